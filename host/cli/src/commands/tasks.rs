//! The client commands about tasks: list, show, retry, skip, cancel, edit, and the next one of a run.

use bulkhead_api::model::{AttemptDetail, Processed, Run, Task, TaskDetail};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::runs::{run_path, segment, states};
use crate::args::{LineFormat, ProcessNextArgs, RetryArgs, TaskArgs, TaskCommand, TasksArgs};
use crate::client::Client;
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::line::LineRenderer;
use crate::output::summary::{first_line, one_line, state_style};
use crate::output::table::{Cell, Table};
use crate::output::{Output, format};

/// Lists a run's tasks.
pub(crate) async fn list(args: TasksArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    let mut query = states(&args.state);
    query.extend(args.step.map(|step| ("step", step)));
    let tasks: Vec<Task> = client.list(&format!("{}/tasks", run_path(&args.run)), &query, args.limit).await?;
    output.result(&tasks, |tasks| {
        let mut table = Table::new(&["step", ">task", "key", "state", ">attempt", ">lines", ">memory", ">fuel", "failure"]);
        for task in tasks {
            let state = format::name(&task.state);
            table.row(vec![
                Cell::text(&task.step),
                Cell::number(task.index.to_string()),
                Cell::text(first_line(&task.key)),
                Cell::text(&state).styled(state_style(&state)),
                Cell::number(task.attempt.to_string()),
                Cell::number(format::count(task.lines.total)),
                Cell::number(format::bytes(task.usage.peak_memory_bytes)),
                Cell::number(format::count(task.usage.fuel)),
                Cell::text(task.failure.as_ref().map(one_line).unwrap_or_default()),
            ]);
        }
        if table.is_empty() { "no tasks".to_owned() } else { table.render(output.paint()) }
    })?;
    Ok(exit_codes::SUCCEEDED)
}

/// A run whose tasks are retried, or would be.
#[derive(Debug, Serialize, Deserialize)]
struct Retried {
    #[serde(flatten)]
    run: Run,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matching: Option<u64>,
}

/// Queues failed tasks again, or counts them.
pub(crate) async fn retry(args: RetryArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    let mut query = Vec::new();
    query.extend(args.step.map(|step| ("step", step)));
    if !args.cause.is_empty() {
        query.push(("cause", args.cause.join(",")));
    }
    query.extend(args.text.map(|text| ("text", text)));
    if args.dry_run {
        query.push(("dry_run", "true".to_owned()));
    }
    let retried: Retried = client.post_with(&format!("{}/retry", run_path(&args.run)), &query, None).await?;
    output.result(&retried, |Retried { run, matching }| match matching {
        Some(matching) => format!("{} tasks of {} would be retried", format::count(*matching), run.id),
        None => format!("{} {}", run.id, format::name(&run.state)),
    })?;
    Ok(exit_codes::SUCCEEDED)
}

/// Runs one waiting task now; its result is this call's.
pub(crate) async fn process_next(args: ProcessNextArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    let mut query = vec![("wait", format!("{}ms", args.wait.as_millis()))];
    query.extend(args.step.map(|step| ("step", step)));
    let key = args.idempotency_key.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
    let path = format!("{}/process-next", run_path(&args.run));
    let processed: Processed = client.post_with(&path, &query, Some(&key)).await?;
    let state = format::name(&processed.task.task.state);
    output.result(&processed, |processed| {
        let mut text = head(&processed.task, output);
        if let Some(attempt) = &processed.result {
            text.push_str(&attempt_text(attempt, output));
        }
        if processed.task.output.get() != "null" {
            text.push_str(&format!("output {}\n", first_line(processed.task.output.get())));
        }
        text.trim_end().to_owned()
    })?;
    Ok(if matches!(state.as_str(), "failed" | "retrying") { exit_codes::FAILED } else { exit_codes::SUCCEEDED })
}

/// Shows a task, or does something to it and shows it then.
pub(crate) async fn task(args: TaskArgs, output: &Output) -> CliResult<u8> {
    let client = Client::new(&args.client)?;
    let path = |id: &str| format!("/tasks/{}", segment(id));
    let task: TaskDetail = match &args.command {
        TaskCommand::Show { id } => client.get(&path(id), &()).await?,
        TaskCommand::Retry { id } => client.post(&format!("{}/retry", path(id))).await?,
        TaskCommand::Skip { id } => client.post(&format!("{}/skip", path(id))).await?,
        TaskCommand::Cancel { id } => client.post(&format!("{}/cancel", path(id))).await?,
        TaskCommand::Edit { id, input } => client.put_json(&format!("{}/input", path(id)), &json_input(input)?).await?,
    };
    let shows = matches!(args.command, TaskCommand::Show { .. });
    output.result(&task, |task| {
        let mut text = head(task, output);
        if shows {
            text.push_str(&format!("input  {}\noutput {}\n", first_line(task.input.get()), first_line(task.output.get())));
            for attempt in &task.attempts {
                text.push_str(&attempt_text(attempt, output));
            }
            text.push_str(&tail_text(&task.log_tail, output));
        }
        text.trim_end().to_owned()
    })?;
    Ok(exit_codes::SUCCEEDED)
}

/// JSON as it was typed, or of a file.
fn json_input(text: &str) -> CliResult<Box<RawValue>> {
    let text = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| CliError::usage(format!("{file}: {error}")))?,
        None => text.to_owned(),
    };
    RawValue::from_string(text).map_err(|error| CliError::usage(format!("the input is no JSON: {error}")))
}

/// What a task is, in one line, and its failure in another.
fn head(task: &TaskDetail, output: &Output) -> String {
    let Task { id, step, index, key, state, attempt, stopping, summoned, failure, usage, .. } = &task.task;
    let state = format::name(state);
    let shown = state_style(&state).map_or_else(|| state.clone(), |style| output.paint().paint(style, &state));
    let mut text = format!("{id} {step}/{index} {} {shown}", first_line(key));
    if *stopping {
        text.push_str(", ending");
    }
    if *summoned {
        text.push_str(", next to run");
    }
    let (memory, fuel) = (format::bytes(usage.peak_memory_bytes), format::count(usage.fuel));
    let cpu = format::duration(std::time::Duration::from_micros(usage.cpu_us));
    text.push_str(&format!(", {attempt} attempts, cpu {cpu}, memory {memory}, fuel {fuel}"));
    if usage.http_requests > 0 {
        let (requests, received) = (format::count(usage.http_requests), format::bytes(usage.http_received_bytes));
        text.push_str(&format!(", {requests} HTTP requests for {received}"));
    }
    text.push('\n');
    if let Some(failure) = failure {
        text.push_str(&format!("{}\n", one_line(failure)));
    }
    text
}

/// An attempt with the end of its log.
fn attempt_text(detail: &AttemptDetail, output: &Output) -> String {
    let attempt = &detail.attempt;
    let took = format::duration(std::time::Duration::from_millis(attempt.duration_ms));
    let mut text =
        format!("attempt {} {} at {} after {took}", attempt.number, format::name(&attempt.end), format::date(attempt.ended_at));
    if let Some(failure) = &attempt.failure {
        text.push_str(&format!(": {}", one_line(failure)));
    }
    text.push('\n');
    text.push_str(&tail_text(&detail.log_tail, output));
    text
}

fn tail_text(lines: &[bulkhead_api::model::LogLine], output: &Output) -> String {
    let renderer = LineRenderer::new(LineFormat::Text, output.paint());
    lines.iter().map(|line| format!("  {}\n", renderer.render(line))).collect()
}
