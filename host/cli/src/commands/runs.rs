//! The client commands about runs: trigger, list, show, wait, follow, cancel, pause, resume.

use bulkhead_api::model::{
    BulkAction, BulkRequest, BulkResult, LogLine, LogPage, Run, RunDetail, RunSelection, RunStatus, Task, Time, TriggerRequest,
};
use serde_json::value::RawValue;

use crate::args::{
    LineFormat, ListRunsArgs, LogsArgs, ManyRunsArgs, RunFilterArgs, RunIdArgs, RunsArgs, RunsCommand, TriggerArgs,
};
use crate::client::{Client, LogFilter, follow_log, wait_for_end};
use crate::commands::files::upload_all;
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::line::LineRenderer;
use crate::output::summary::{Failures, RunSummary, elapsed, state_style};
use crate::output::table::{Cell, Table};
use crate::output::{Output, format};
use crate::parameters;

/// Starts a run; with `--follow` or `--wait` its result is this call's.
pub(crate) async fn trigger(args: TriggerArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    let parameters = parameters::collect(&args.parameters)?
        .map(|text| RawValue::from_string(text.into()))
        .transpose()
        .map_err(|error| CliError::usage(error.to_string()))?;
    let key = args.idempotency_key.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
    let path = format!("/definitions/{}/runs", segment(&args.definition));
    let files = upload_all(&client, &args.files).await?;
    let request = TriggerRequest { parameters, paused: args.paused, files };
    let run: Run = client.create(&path, &request, &key).await?;
    if args.follow || args.wait {
        output.note(&run.id);
        if args.follow {
            let printer = Printer::new(output, LineFormat::Text);
            follow_log(&client, &run_path(&run.id), LogFilter::default(), |lines| printer.print(&lines)).await?;
        } else {
            wait_for_end(&client, &run_path(&run.id)).await?;
        }
        return end(&client, &run.id, output).await;
    }
    output.result(&run, |run| run.id.clone())?;
    Ok(exit_codes::SUCCEEDED)
}

/// Lists runs, or what the subcommand says.
pub(crate) async fn runs(args: RunsArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    match args.command {
        None => list(&client, args.list, output).await,
        Some(RunsCommand::List(list_args)) => list(&client, list_args, output).await,
        Some(RunsCommand::Show { id }) => {
            show(&client, &id, output).await?;
            Ok(exit_codes::SUCCEEDED)
        }
        Some(RunsCommand::Wait { id }) => {
            wait_for_end(&client, &run_path(&id)).await?;
            end(&client, &id, output).await
        }
        Some(RunsCommand::Cancel(many)) => act(&client, BulkAction::Cancel, many, output).await,
        Some(RunsCommand::Retry(many)) => act(&client, BulkAction::Retry, many, output).await,
        Some(RunsCommand::Delete(many)) => act(&client, BulkAction::Delete, many, output).await,
    }
}

async fn list(client: &Client, args: ListRunsArgs, output: &Output) -> CliResult<u8> {
    let RunFilterArgs { state, definition, tag, cause, text, since, until, min_duration, max_duration } = args.filter;
    let mut query = states(&state);
    for (name, value) in [
        ("definition", definition),
        ("tag", tag),
        ("cause", cause),
        ("text", text),
        ("since", since),
        ("until", until),
        ("min_duration", min_duration),
        ("max_duration", max_duration),
    ] {
        query.extend(value.map(|value| (name, value)));
    }
    let runs: Vec<Run> = client.list("/runs", &query, args.limit).await?;
    output.result(&runs, |runs| {
        let mut table = Table::new(&["run", "definition", "state", "created", ">time", ">tasks", ">failed", ">lines"]);
        for run in runs {
            let state = format::name(&run.state);
            let time = elapsed(run.started_at, run.ended_at).map_or_else(|| "-".to_owned(), format::duration);
            table.row(vec![
                Cell::text(&run.id),
                Cell::text(&run.definition),
                Cell::text(&state).styled(state_style(&state)),
                Cell::text(format::date(run.created_at)),
                Cell::number(time),
                Cell::number(format::count(run.tasks.total)),
                Cell::number(format::count(run.tasks.failed)),
                Cell::number(format::count(run.lines.total)),
            ]);
        }
        if table.is_empty() { "no runs".to_owned() } else { table.render(output.paint()) }
    })?;
    Ok(exit_codes::SUCCEEDED)
}

/// Does something with several runs; those that a filter means are counted first, and somebody is asked.
async fn act(client: &Client, action: BulkAction, many: ManyRunsArgs, output: &Output) -> CliResult<u8> {
    let ManyRunsArgs { runs, filter, all: every, dry_run, yes } = many;
    let named = !runs.is_empty();
    let filter = if named { RunSelection { ids: runs, ..RunSelection::default() } } else { selection(filter)? };
    if filter == RunSelection::default() && !every {
        return Err(CliError::usage_help(
            "which runs?",
            "name some, filter them (`--state failed --tag nightly`), or say `--all`",
        ));
    }
    let name = format::name(&action);
    let request = |dry_run| BulkRequest { action, filter: filter.clone(), dry_run, cursor: None };
    if dry_run {
        let found = all(client, request(true)).await?;
        output.result(&found, |found| counted(found, &format!("would be {}", done(action))))?;
        return Ok(exit_codes::SUCCEEDED);
    }
    if !named && !yes {
        let found = all(client, request(true)).await?;
        if !output.confirm(&format!("{name} {}?", counted_runs(found.acted)))? {
            return Err(CliError::usage_help("nothing was done", "`--yes` does it without asking, `--dry-run` only counts"));
        }
    }
    let result = all(client, request(false)).await?;
    output.result(&result, |result| counted(result, done(action)))?;
    // Who names runs hears of it when one of them could not be.
    if named && result.acted == 0 {
        return Err(CliError::Refused { message: format!("no run was {}", done(action)), help: None });
    }
    Ok(exit_codes::SUCCEEDED)
}

/// Asks until there is nothing more to do.
async fn all(client: &Client, mut request: BulkRequest) -> CliResult<BulkResult> {
    let mut sum = BulkResult::default();
    loop {
        sum.add(client.post_json("/runs/bulk", &request).await?);
        if sum.next.is_none() {
            return Ok(sum);
        }
        request.cursor.clone_from(&sum.next);
    }
}

fn selection(filter: RunFilterArgs) -> CliResult<RunSelection> {
    let RunFilterArgs { state, definition, tag, cause, text, since, until, min_duration, max_duration } = filter;
    let time = |text: Option<String>| {
        text.map(|text| text.parse::<Time>().map_err(|error| CliError::usage(format!("`{text}` is no moment: {error}"))))
            .transpose()
    };
    let states = state.iter().flat_map(|states| states.split(',')).map(|state| {
        let wrong = || CliError::usage(format!("there is no state `{state}` of a run"));
        serde_json::from_value(serde_json::Value::from(state.trim())).map_err(|_| wrong())
    });
    Ok(RunSelection {
        state: states.collect::<CliResult<_>>()?,
        definition,
        tag,
        cause,
        text,
        since: time(since)?,
        until: time(until)?,
        min_duration,
        max_duration,
        ids: Vec::new(),
    })
}

const fn done(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Cancel => "cancelled",
        BulkAction::Retry => "retried",
        BulkAction::Delete => "deleted",
    }
}

fn counted_runs(count: u64) -> String {
    format!("{} {}", format::count(count), if count == 1 { "run" } else { "runs" })
}

fn counted(result: &BulkResult, done: &str) -> String {
    let left = match result.left {
        0 => String::new(),
        left => format!(", {} left as they are", format::count(left)),
    };
    format!("{} {done}{left}", counted_runs(result.acted))
}

/// Prints a run as it is now.
async fn show(client: &Client, id: &str, output: &Output) -> CliResult<RunStatus> {
    let run: RunDetail = client.get(&run_path(id), &()).await?;
    let state = run.run.state;
    let query = [("state", "failed".to_owned())];
    let failed: Vec<Task> = match run.run.tasks.failed {
        0 => Vec::new(),
        _ => client.list(&format!("{}/tasks", run_path(id)), &query, Failures::MAX_LOOKED_AT).await?,
    };
    let failures = Failures::of(&failed, run.run.tasks.failed);
    output.result(&RunSummary { run, failures }, |summary| summary.render(output.paint()))?;
    Ok(state)
}

/// Prints a run that has ended; the exit code says how.
async fn end(client: &Client, id: &str, output: &Output) -> CliResult<u8> {
    let state = show(client, id, output).await?;
    Ok(exit_codes::of_run(state))
}

/// Prints a log.
pub(crate) async fn logs(args: LogsArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    let printer = Printer::new(output, args.format);
    let mut filter = LogFilter { after: args.after, level: args.level, step: args.step };
    if args.follow {
        follow_log(&client, &run_path(&args.run), filter, |lines| printer.print(&lines)).await?;
        return Ok(exit_codes::SUCCEEDED);
    }
    loop {
        let page: LogPage = client.get(&format!("{}/logs", run_path(&args.run)), &filter.query()).await?;
        printer.print(&page.lines)?;
        // Lines that come while this runs are for those who follow.
        if page.scanned >= page.last || page.scanned <= filter.after {
            return Ok(exit_codes::SUCCEEDED);
        }
        filter.after = page.scanned;
    }
}

/// Prints lines in one format.
struct Printer<'a> {
    output: &'a Output,
    renderer: LineRenderer,
    json: bool,
}

impl<'a> Printer<'a> {
    fn new(output: &'a Output, format: LineFormat) -> Self {
        let json = output.is_json() || format == LineFormat::Ndjson;
        Self { output, renderer: LineRenderer::new(format, output.paint()), json }
    }

    fn print(&self, lines: &[LogLine]) -> CliResult<()> {
        for line in lines {
            if self.json {
                self.output.json_line(line)?;
            } else {
                self.output.line(&self.renderer.render(line))?;
            }
        }
        self.output.flush()
    }
}

/// Does something to a run and prints it.
pub(crate) async fn command(args: RunIdArgs, command: &str, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    let run: Run = client.post(&format!("{}/{command}", run_path(&args.run))).await?;
    output.result(&run, |run| {
        let ending = run.stopping.map(|_| ", ending").unwrap_or_default();
        format!("{} {}{ending}", run.id, format::name(&run.state))
    })?;
    Ok(exit_codes::SUCCEEDED)
}

/// The query for these states; for all where there is none.
pub(crate) fn states(states: &[String]) -> Vec<(&'static str, String)> {
    if states.is_empty() { Vec::new() } else { vec![("state", states.join(","))] }
}

pub(crate) fn run_path(id: &str) -> String {
    format!("/runs/{}", segment(id))
}

/// A text as a segment of a path: ids have none of these characters, so a wrong one is refused by the server and not
/// misunderstood.
pub(crate) fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}
