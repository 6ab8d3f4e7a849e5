//! The table at a run's end.

use std::time::Duration;

use bulkhead_api::model::{Failure, RunDetail, Task, Time};
use serde::Serialize;

use super::table::{Cell, Table};
use super::{Paint, Style, format};

/// A run and what failed in it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunSummary {
    /// The run.
    pub(crate) run: RunDetail,
    /// What failed in it, by step and cause.
    pub(crate) failures: Failures,
}

/// What failed, grouped by step and cause.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Failures {
    groups: Vec<FailureGroup>,
    /// Failed tasks that were not looked at any more.
    more: u64,
}

/// Tasks of a step that failed for the same cause.
#[derive(Clone, Debug, Serialize)]
struct FailureGroup {
    step: String,
    cause: String,
    /// The trap's code, or the quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How many.
    tasks: u64,
    /// The number of the first.
    first: u32,
    /// What the first one said.
    message: String,
}

impl Failures {
    /// The failed tasks that a summary looks at; of more, it tells how many there are.
    pub(crate) const MAX_LOOKED_AT: usize = 5_000;

    /// Groups of failed tasks; `all` is how many there are.
    pub(crate) fn of(tasks: &[Task], all: u64) -> Self {
        let mut failures = Self { groups: Vec::new(), more: all.saturating_sub(tasks.len() as u64) };
        for task in tasks {
            if let Some(failure) = &task.failure {
                failures.add(task, failure);
            }
        }
        failures
    }

    fn add(&mut self, task: &Task, failure: &Failure) {
        let same =
            |group: &&mut FailureGroup| group.step == task.step && group.cause == failure.cause && group.detail == failure.detail;
        match self.groups.iter_mut().find(same) {
            Some(group) => group.tasks += 1,
            None => self.groups.push(FailureGroup {
                step: task.step.clone(),
                cause: failure.cause.clone(),
                detail: failure.detail.clone(),
                tasks: 1,
                first: task.index,
                message: failure.message.clone(),
            }),
        }
    }
}

impl RunSummary {
    /// The summary for people, each line ended by a newline.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let mut out = self.steps().render(paint);
        self.render_progress(&mut out);
        self.render_failures(paint, &mut out);
        let run = &self.run.run;
        let state = format::name(&run.state);
        let shown = state_style(&state).map_or_else(|| state.clone(), |style| paint.paint(style, &state));
        out.push_str(&format!("\n{} of {} {shown}", run.id, run.definition));
        if let Some(millis) = run.duration_ms {
            out.push_str(&format!(" after {}", format::duration(Duration::from_millis(millis))));
        }
        if let Some(failure) = &run.failure {
            out.push_str(&format!(": {}", one_line(failure)));
        }
        out.push('\n');
        out
    }

    fn steps(&self) -> Table {
        let mut table = Table::new(&[
            "step",
            "state",
            ">ok",
            ">failed",
            ">cancelled",
            ">skipped",
            ">retries",
            ">lines",
            ">info",
            ">warn",
            ">error",
            ">time",
            ">cpu",
            ">memory",
            ">fuel",
        ]);
        for step in &self.run.steps {
            let number = |value: u64, style: Option<Style>| {
                Cell::number(format::count(value)).styled(if value > 0 { style } else { Some(Style::Dim) })
            };
            let state = format::name(&step.state);
            // A task that ended had one attempt that was no retry; a cancelled one may have had none.
            let retries = step.attempts.saturating_sub(step.tasks.succeeded + step.tasks.failed + step.tasks.cancelled);
            table.row(vec![
                Cell::text(&step.name),
                Cell::text(&state).styled(state_style(&state)),
                number(step.tasks.succeeded, None),
                number(step.tasks.failed, Some(Style::Red)),
                number(step.tasks.cancelled, Some(Style::Yellow)),
                number(step.tasks.skipped, Some(Style::Yellow)),
                number(retries, Some(Style::Yellow)),
                number(step.lines.total, None),
                number(step.lines.info, None),
                number(step.lines.warn, Some(Style::Yellow)),
                number(step.lines.error, Some(Style::Red)),
                Cell::number(elapsed(step.started_at, step.ended_at).map_or_else(|| "-".to_owned(), format::duration)),
                Cell::number(format::duration(Duration::from_micros(step.usage.cpu_us))),
                Cell::number(format::bytes(step.usage.peak_memory_bytes)),
                Cell::number(if step.usage.fuel == 0 { "-".to_owned() } else { format::count(step.usage.fuel) }),
            ]);
        }
        table
    }

    /// How fast the steps go that run, and why those stand still that do.
    fn render_progress(&self, out: &mut String) {
        for step in &self.run.steps {
            let pace = step.pace.filter(|pace| pace.per_second > 0.0).map(|pace| {
                let left = pace.remaining_ms.map(|millis| format::duration(Duration::from_millis(millis)));
                format!("{:.1} tasks/s{}", pace.per_second, left.map(|left| format!(", about {left} left")).unwrap_or_default())
            });
            let said: Vec<_> = pace.into_iter().chain(step.stalled.map(|why| format::name(&why))).collect();
            if !said.is_empty() {
                out.push_str(&format!("{}: {}\n", step.name, said.join(", ")));
            }
        }
    }

    fn render_failures(&self, paint: Paint, out: &mut String) {
        if self.failures.groups.is_empty() {
            return;
        }
        out.push_str(&paint.paint(Style::Bold, "\nFailed tasks\n"));
        for group in &self.failures.groups {
            let borne = self.run.steps.iter().any(|step| step.name == group.step && format::name(&step.state) == "succeeded");
            let detail = group.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
            let borne = if borne { ", tolerated" } else { "" };
            let head = format!("{} × {}{detail} in {}{borne}", format::count(group.tasks), group.cause, group.step);
            out.push_str(&format!(
                "  {}: task {}: {}\n",
                paint.paint(Style::Red, &head),
                group.first,
                first_line(&group.message)
            ));
        }
        if self.failures.more > 0 {
            out.push_str(&format!("  and {} more\n", format::count(self.failures.more)));
        }
    }
}

/// From a start to an end, or to now.
pub(crate) fn elapsed(started: Option<Time>, ended: Option<Time>) -> Option<Duration> {
    let ended = ended.map_or_else(jiff::Timestamp::now, |time| time.0);
    Duration::try_from(ended.duration_since(started?.0)).ok()
}

/// A failure in one line.
pub(crate) fn one_line(failure: &Failure) -> String {
    let detail = failure.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{}{detail}: {}", failure.cause, first_line(&failure.message))
}

/// The first line of a text that a guest may have written, without control characters.
pub(crate) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|letter| !letter.is_control()).collect()
}

/// The style of a run's, a step's or a task's state.
pub(crate) fn state_style(state: &str) -> Option<Style> {
    match state {
        "succeeded" => Some(Style::Green),
        "failed" => Some(Style::Red),
        "cancelled" | "skipped" | "paused" | "retrying" => Some(Style::Yellow),
        "running" => Some(Style::Cyan),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(step: &str, index: u32, cause: &str, detail: Option<&str>, message: &str) -> Task {
        let value = serde_json::json!({
            "id": "task_x", "run": "run_x", "step": step, "index": index, "key": "k", "state": "failed", "attempt": 1, "failures": 1,
            "host_deaths": 0, "created_at": "2026-01-01T00:00:00Z",
            "failure": {"cause": cause, "detail": detail, "message": message, "retryable": false},
            "lines": {"total": 0, "debug": 0, "info": 0, "warn": 0, "error": 0},
            "usage": {"fuel": 0, "peak_memory_bytes": 0, "cpu_us": 0, "http_requests": 0, "http_sent_bytes": 0, "http_received_bytes": 0},
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn failures_are_grouped_with_the_first_message() {
        let tasks = [
            failed("fast", 2, "plugin-error", None, "worker-2 fails\nat length"),
            failed("fast", 4, "plugin-error", None, "worker-4 fails"),
            failed("fast", 5, "trap", Some("unreachable"), "wasm trap"),
            failed("slow", 1, "plugin-error", None, "no"),
        ];
        let failures = Failures::of(&tasks, 7);
        let groups: Vec<_> = failures.groups.iter().map(|group| (group.step.as_str(), group.tasks, group.first)).collect();
        assert_eq!(groups, [("fast", 2, 2), ("fast", 1, 5), ("slow", 1, 1)]);
        assert_eq!(failures.more, 3);
    }

    #[test]
    fn a_message_becomes_one_harmless_line() {
        assert_eq!(first_line("\x1b[31mred\x07\nsecond"), "[31mred");
    }
}
