//! Tasks and their attempts.

use bulkhead_core::plan::Plan;
use bulkhead_core::task as core;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::run::duration_ms;
use super::{Failure, LineCounts, LogLine, TaskCounts, Time, Usage};

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskStatus {
    /// It waits to be claimed.
    Queued,
    /// A worker holds it.
    Running,
    /// An attempt failed; it waits for the next.
    Retrying,
    /// Done.
    Succeeded,
    /// Dead letter: no attempt will follow by itself.
    Failed,
    /// Cancelled.
    Cancelled,
    /// Somebody decided that it need not be done: neither a success nor a failure.
    Skipped,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptEnd {
    /// It returned an output.
    Succeeded,
    /// It failed; `failure` says why.
    Failed,
    /// It was told to end, and did.
    Cancelled,
    /// Its worker gave it back when it shut down.
    Released,
    /// Its worker died.
    HostLost,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Its id: `task_`, the run's characters, the step's index and its own number, joined by `-`.
    #[schema(example = "task_01kjk4f2c8e4xq1v2h5zq0y7ab-0-3")]
    pub id: String,
    /// Its run.
    pub run: String,
    /// The name of its step.
    pub step: String,
    /// Its number in the step; 0 is the step's `plan`.
    pub index: u32,
    /// Its deduplication key, unique in the step. Written by a plugin: treat it as hostile.
    pub key: String,
    /// The number of the task that spawned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// Where it is.
    pub state: TaskStatus,
    /// Why it failed, if it did, or why its last attempt did while it waits for the next; without a backtrace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When a waiting task may be claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    /// The worker that holds a running task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Since when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Time>,
    /// The number of its last attempt; 0 before the first.
    pub attempt: u32,
    /// Failures that the retry policy counts.
    pub failures: u32,
    /// How often a host died while it held the task.
    pub host_deaths: u32,
    /// When it was spawned.
    pub created_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Somebody cancelled it: its attempt is told to end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
    /// It runs next, out of turn and although its run is paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub summoned: bool,
    /// When its input was last edited by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Time>,
    /// By whom: a token's name, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_by: Option<String>,
    /// Its log lines by level, of all attempts.
    pub lines: LineCounts,
    /// What all its attempts used.
    pub usage: Usage,
    /// What it last said of its progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// A task with its input, output and attempts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskDetail {
    /// The task.
    #[serde(flatten)]
    pub task: Task,
    /// Its input: JSON. Null for a step's `plan`.
    #[schema(value_type = serde_json::Value)]
    pub input: Box<RawValue>,
    /// Its output: JSON. Null before it has succeeded.
    #[schema(value_type = serde_json::Value)]
    pub output: Box<RawValue>,
    /// Its latest attempts that ended, oldest first.
    pub attempts: Vec<AttemptDetail>,
    /// The last lines of the attempt that is at work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<LogLine>,
}

/// An attempt with the end of its log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AttemptDetail {
    /// The attempt.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// Its last lines, at most 20.
    pub log_tail: Vec<LogLine>,
}

/// What `process-next` did.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Processed {
    /// The task that it took, as it is now.
    pub task: TaskDetail,
    /// The attempt that is the answer. Absent where it is still at work, or where the task went before it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<AttemptDetail>,
}

/// A page of tasks, in the order of their ids.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskPage {
    /// The tasks.
    pub items: Vec<Task>,
    /// Give this as `cursor` to get the next page. Absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The tasks of the run, or of the step that is asked for, by state.
    pub counts: TaskCounts,
}

/// How far a task says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What it is doing. Written by a plugin: treat it as hostile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One try at a task that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its number: 1, 2, …
    pub number: u32,
    /// Who made it.
    pub worker: String,
    /// When it was claimed.
    pub claimed_at: Time,
    /// When its end was recorded.
    pub ended_at: Time,
    /// Milliseconds between the two.
    pub duration_ms: u64,
    /// How it ended.
    pub end: AttemptEnd,
    /// Why it failed, if it did, with the guest's stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What it used.
    pub usage: Usage,
    /// Its log lines that are stored.
    pub lines: u64,
    /// Its log lines that its quota suppressed.
    pub suppressed: u64,
}

impl From<core::TaskStatus> for TaskStatus {
    fn from(status: core::TaskStatus) -> Self {
        match status {
            core::TaskStatus::Queued => Self::Queued,
            core::TaskStatus::Running => Self::Running,
            core::TaskStatus::Retrying => Self::Retrying,
            core::TaskStatus::Succeeded => Self::Succeeded,
            core::TaskStatus::Failed => Self::Failed,
            core::TaskStatus::Cancelled => Self::Cancelled,
            core::TaskStatus::Skipped => Self::Skipped,
        }
    }
}

impl From<&core::Progress> for Progress {
    fn from(progress: &core::Progress) -> Self {
        Self { done: progress.done, total: progress.total, message: progress.message.as_deref().map(str::to_owned) }
    }
}

impl From<&core::Attempt> for Attempt {
    fn from(attempt: &core::Attempt) -> Self {
        let (end, failure) = match &attempt.end {
            core::AttemptEnd::Succeeded => (AttemptEnd::Succeeded, None),
            core::AttemptEnd::Failed(failure) => (AttemptEnd::Failed, Some(failure.into())),
            core::AttemptEnd::Cancelled => (AttemptEnd::Cancelled, None),
            core::AttemptEnd::Released => (AttemptEnd::Released, None),
            core::AttemptEnd::HostLost => (AttemptEnd::HostLost, None),
        };
        Self {
            number: attempt.number,
            worker: attempt.worker.to_string(),
            claimed_at: attempt.claimed_at.into(),
            ended_at: attempt.ended_at.into(),
            duration_ms: duration_ms(Some(attempt.claimed_at), Some(attempt.ended_at)).unwrap_or(0),
            end,
            failure,
            usage: attempt.usage.into(),
            lines: attempt.lines,
            suppressed: attempt.suppressed,
        }
    }
}

impl Task {
    /// A task as its record and its run's plan say.
    pub fn new(task: &core::Task, plan: &Plan) -> Self {
        let last_failure = || {
            task.history.iter().rev().find_map(|attempt| match &attempt.end {
                core::AttemptEnd::Failed(failure) => Some(failure),
                _ => None,
            })
        };
        let failure = match &task.state {
            core::TaskState::Failed(failure) => Some(failure),
            core::TaskState::Retrying { .. } => last_failure(),
            _ => None,
        };
        let running_since = match &task.state {
            core::TaskState::Running { since, .. } => Some((*since).into()),
            _ => None,
        };
        Self {
            id: task.id.to_string(),
            run: task.id.run.to_string(),
            step: plan.step(task.id.step).name.to_string(),
            index: task.id.index,
            key: task.key.to_string(),
            parent: task.parent,
            state: task.state.status().into(),
            failure: failure.map(|failure| Failure { backtrace: None, ..failure.into() }),
            due_at: task.state.due().map(Into::into),
            worker: task.state.worker().map(|worker| worker.to_string()),
            running_since,
            attempt: task.attempt,
            failures: task.failures,
            host_deaths: task.host_deaths,
            created_at: task.created_at.into(),
            ended_at: task.ended_at.map(Into::into),
            stopping: task.stop,
            summoned: task.summoned,
            edited_at: task.edited.as_ref().map(|edit| edit.at.into()),
            edited_by: task.edited.as_ref().and_then(|edit| edit.by.as_deref().map(str::to_owned)),
            lines: task.lines.into(),
            usage: task.usage.into(),
            progress: task.progress.as_ref().map(Into::into),
        }
    }
}

impl TaskDetail {
    /// A task with what lies beside its record; `input` and `output` are JSON text. `tail` gives the last lines of an attempt, by
    /// its number.
    pub fn new(
        task: &core::Task,
        plan: &Plan,
        input: &str,
        output: Option<&str>,
        mut tail: impl FnMut(u32) -> Vec<LogLine>,
    ) -> Self {
        Self {
            task: Task::new(task, plan),
            input: raw_json(input),
            output: raw_json(output.unwrap_or("")),
            attempts: task
                .history
                .iter()
                .map(|attempt| AttemptDetail { attempt: attempt.into(), log_tail: tail(attempt.number) })
                .collect(),
            log_tail: if task.state.worker().is_some() { tail(task.attempt) } else { Vec::new() },
        }
    }
}

/// JSON text as JSON; what is empty is null, and what is no JSON becomes a string, so that an answer never breaks.
pub(super) fn raw_json(text: &str) -> Box<RawValue> {
    let text = if text.is_empty() { "null" } else { text };
    RawValue::from_string(text.to_owned())
        .or_else(|_| serde_json::value::to_raw_value(text))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}
