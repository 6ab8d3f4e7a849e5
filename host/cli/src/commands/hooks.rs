//! The client commands about hooks.

use bulkhead_api::model::{Delivery, Hook, PutHook, RedeliverRequest, Redelivered};

use super::runs::segment;
use crate::args::{HooksArgs, HooksCommand};
use crate::client::Client;
use crate::error::CliResult;
use crate::exit_codes;
use crate::output::summary::first_line;
use crate::output::table::{Cell, Table};
use crate::output::{Output, Style, format};

/// More than any server lists.
const ALL: usize = 100_000;

/// Lists hooks, or does what the subcommand says.
pub(crate) async fn hooks(args: HooksArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    match args.command.unwrap_or(HooksCommand::List) {
        HooksCommand::List => {
            let hooks: Vec<Hook> = client.list("/hooks", &[], ALL).await?;
            output.result(&hooks, |hooks| hook_table(hooks, output))?;
        }
        HooksCommand::Put { name, url, secret, events, definitions } => {
            let request = PutHook { url, events, definitions, secret };
            let hook: Hook = client.put_json(&path(&name), &request).await?;
            output.result(&hook, |hook| {
                let problem = hook.problem.as_ref().map(|problem| format!(", but {problem}")).unwrap_or_default();
                format!("{} is told of {}{problem}", hook.name, hook.events.join(", "))
            })?;
        }
        HooksCommand::Remove { name } => client.delete(&path(&name)).await?,
        HooksCommand::Test { name } => {
            let delivery: Delivery = client.post(&format!("{}/test", path(&name))).await?;
            output.result(&delivery, |delivery| format!("delivery {} is on its way", delivery.number))?;
        }
        HooksCommand::Deliveries { name, state, limit } => {
            let query = [("state", state.clone())];
            let found: Vec<Delivery> = client.list(&format!("{}/deliveries", path(&name)), &query, limit).await?;
            output.result(&found, |found| delivery_table(found, &state, output))?;
        }
        HooksCommand::Redeliver { name, number } => {
            let key = format!("{:032x}", rand::random::<u128>());
            let request = RedeliverRequest { number };
            let again: Redelivered = client.create(&format!("{}/redeliver", path(&name)), &request, &key).await?;
            output.result(&again, |again| format!("{} on their way again", format::count(again.count)))?;
        }
    }
    Ok(exit_codes::SUCCEEDED)
}

fn path(name: &str) -> String {
    format!("/hooks/{}", segment(name))
}

fn hook_table(hooks: &[Hook], output: &Output) -> String {
    let mut table = Table::new(&["hook", "url", "told of", ">waiting", ">delivered", ">failed", ">dropped", "problem"]);
    for hook in hooks {
        let failed = Cell::number(format::count(hook.deliveries.failed));
        table.row(vec![
            Cell::text(&hook.name),
            Cell::text(&hook.url),
            Cell::text(hook.events.join(" ")),
            Cell::number(format::count(hook.deliveries.waiting)),
            Cell::number(format::count(hook.deliveries.delivered)),
            if hook.deliveries.failed > 0 { failed.styled(Some(Style::Red)) } else { failed },
            Cell::number(format::count(hook.deliveries.dropped)),
            Cell::text(hook.problem.as_deref().unwrap_or("-")),
        ]);
    }
    if table.is_empty() { "no hooks".to_owned() } else { table.render(output.paint()) }
}

fn delivery_table(found: &[Delivery], state: &str, output: &Output) -> String {
    let mut table = Table::new(&[">delivery", "id", "event", "happened", ">attempts", "next", ">status", "last answer"]);
    for delivery in found {
        table.row(vec![
            Cell::number(delivery.number.to_string()),
            Cell::text(&delivery.id),
            Cell::text(&delivery.event),
            Cell::text(format::date(delivery.at)),
            Cell::number(delivery.attempts.to_string()),
            Cell::text(delivery.next_at.map_or_else(|| "-".to_owned(), format::date)),
            Cell::number(delivery.status.map_or_else(|| "-".to_owned(), |status| status.to_string())),
            Cell::text(first_line(delivery.answer.as_deref().unwrap_or("-"))),
        ]);
    }
    if table.is_empty() { format!("no {state} deliveries") } else { table.render(output.paint()) }
}
