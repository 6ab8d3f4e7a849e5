//! The client commands about schedules.

use std::time::Duration;

use bulkhead_api::model::{Fire, Run, Schedule, ScheduleDetail, SchedulePreview};

use super::runs::segment;
use crate::args::{SchedulesArgs, SchedulesCommand};
use crate::client::Client;
use crate::error::CliResult;
use crate::exit_codes;
use crate::output::table::{Cell, Table};
use crate::output::{Output, format};

/// More than any server lists.
const ALL: usize = 100_000;

/// Lists schedules, or does what the subcommand says.
pub(crate) async fn schedules(args: SchedulesArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    match args.command.unwrap_or(SchedulesCommand::List) {
        SchedulesCommand::List => {
            let schedules: Vec<Schedule> = client.list("/schedules", &[], ALL).await?;
            output.result(&schedules, |schedules| schedule_table(schedules, output))?;
        }
        SchedulesCommand::Show { id } => {
            let schedule: ScheduleDetail = client.get(&path(&id), &()).await?;
            output.result(&schedule, |schedule| show(schedule, output))?;
        }
        SchedulesCommand::Pause { id } => command(&client, &id, "pause", output).await?,
        SchedulesCommand::Resume { id } => command(&client, &id, "resume", output).await?,
        SchedulesCommand::Run { id } => {
            let key = format!("{:032x}", rand::random::<u128>());
            let run: Run = client.create(&format!("{}/run-now", path(&id)), &serde_json::json!({}), &key).await?;
            output.result(&run, |run| run.id.clone())?;
        }
        SchedulesCommand::Preview { cron, timezone, count } => {
            let query = [("cron", cron), ("timezone", timezone), ("count", count.to_string())];
            let preview: SchedulePreview = client.get("/schedule-preview", &query).await?;
            output.result(&preview, |preview| {
                preview.upcoming.iter().map(|at| format!("{}\n", format::date(*at))).collect::<String>()
            })?;
        }
    }
    Ok(exit_codes::SUCCEEDED)
}

async fn command(client: &Client, id: &str, command: &str, output: &Output) -> CliResult<()> {
    let schedule: Schedule = client.post(&format!("{}/{command}", path(id))).await?;
    output.result(&schedule, |schedule| {
        let next = schedule.next.map_or_else(String::new, |next| format!(", next at {}", format::date(next)));
        format!("{} {}{next}", schedule.id, state(schedule))
    })
}

fn path(id: &str) -> String {
    format!("/schedules/{}", segment(id))
}

fn state(schedule: &Schedule) -> &'static str {
    match (schedule.enabled, schedule.paused) {
        (false, _) => "disabled",
        (true, true) => "paused",
        (true, false) => "active",
    }
}

fn schedule_table(schedules: &[Schedule], output: &Output) -> String {
    let mut table = Table::new(&["schedule", "cron", "zone", "state", "next", "last", ">started", ">skipped", ">missed"]);
    let date = |at: Option<_>| Cell::text(at.map_or_else(|| "-".to_owned(), format::date));
    for schedule in schedules {
        table.row(vec![
            Cell::text(&schedule.id),
            Cell::text(&schedule.cron),
            Cell::text(&schedule.timezone),
            Cell::text(state(schedule)),
            date(schedule.next),
            date(schedule.last.as_ref().map(|fire| fire.time)),
            Cell::number(format::count(schedule.counts.started)),
            Cell::number(format::count(schedule.counts.skipped)),
            Cell::number(format::count(schedule.counts.missed)),
        ]);
    }
    if table.is_empty() { "no schedules".to_owned() } else { table.render(output.paint()) }
}

fn show(detail: &ScheduleDetail, output: &Output) -> String {
    let Schedule { id, version, cron, timezone, overlap, catch_up, jitter_ms, .. } = &detail.schedule;
    let mut text = format!("{id} {}: {cron} in {timezone}, version {version}\noverlap {overlap}", state(&detail.schedule));
    if let Some(most) = detail.schedule.max_waiting {
        text.push_str(&format!(" (at most {most})"));
    }
    text.push_str(&format!(", catch up {catch_up}"));
    if *jitter_ms > 0 {
        text.push_str(&format!(", jitter {}", format::duration(Duration::from_millis(*jitter_ms))));
    }
    text.push_str(&format!("\nparameters {}\n\nNext\n", detail.parameters.get()));
    for at in &detail.upcoming {
        text.push_str(&format!("{}\n", format::date(*at)));
    }
    let mut table = Table::new(&[">fire", "time", "outcome", ">count", "run", "reason"]);
    for fire in &detail.fires {
        table.row(vec![
            Cell::number(fire.number.to_string()),
            Cell::text(times(fire)),
            Cell::text(if fire.manual { format!("{} by hand", fire.outcome) } else { fire.outcome.clone() }),
            Cell::number(format::count(fire.count.into())),
            Cell::text(fire.run.as_deref().unwrap_or("-")),
            Cell::text(fire.reason.as_deref().map(crate::output::summary::first_line).unwrap_or_default()),
        ]);
    }
    if !table.is_empty() {
        text.push_str(&format!("\nLast\n{}", table.render(output.paint())));
    }
    text
}

fn times(fire: &Fire) -> String {
    let first = format::date(fire.time);
    fire.last.map_or_else(|| first.clone(), |last| format!("{first} to {}", format::date(last)))
}
