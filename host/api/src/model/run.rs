//! Runs and their steps.

use std::collections::BTreeMap;

use bulkhead_core::failure as core_failure;
use bulkhead_core::log::LevelCounts;
use bulkhead_core::plan::{OnError as CoreOnError, Plan};
use bulkhead_core::run as core;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Time;
use super::progress::{Moment, Pace, Stall, last_activity};

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// Created; no task was claimed yet.
    Queued,
    /// At least one task was claimed.
    Running,
    /// Running tasks end, none starts.
    Paused,
    /// Every step ended as the plan allows.
    Succeeded,
    /// It failed; `failure` says why.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl RunStatus {
    /// Whether nothing of the run will happen any more by itself.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// It waits for the steps that it depends on.
    Blocked,
    /// Its tasks are being done.
    Running,
    /// Its tasks ended, with no more failures than it bears.
    Succeeded,
    /// More tasks failed than it bears, or its `plan` did.
    Failed,
    /// The run was stopped before it ended.
    Cancelled,
    /// A step that it depends on did not end well.
    Skipped,
}

/// Why something is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// Somebody cancelled the run.
    Cancelled,
    /// The run's timeout passed.
    TimedOut,
    /// The step can't succeed any more.
    Failed,
}

/// What made a run start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A request to this API.
    Api,
    /// `bulkhead run`.
    Cli,
    /// The definition's `auto_start`.
    AutoStart,
    /// The definition's schedule.
    Schedule,
}

/// What a step's failure means for the rest of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The steps that depend on it are skipped and the run fails in the end.
    Fail,
    /// The steps that depend on it run all the same.
    Continue,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The cause: `plugin-error`, `panic`, `trap`, `out-of-memory`, `stack-overflow`, `out-of-fuel`, `timed-out`, `cancelled`,
    /// `denied`, `limit`, `invalid-plugin`, `host-fault` or `host-lost`.
    #[schema(example = "trap")]
    pub cause: String,
    /// The trap's code or the quota's name, where the cause has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "unreachable")]
    pub detail: Option<String>,
    /// What happened, for a person. Written by a plugin, perhaps: treat it as hostile.
    pub message: String,
    /// Whether another attempt may succeed.
    pub retryable: bool,
    /// The guest's stack, one frame a line. In an attempt only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
}

/// How many tasks are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskCounts {
    /// All of them.
    pub total: u64,
    /// Waiting for their first claim.
    pub queued: u64,
    /// Held by a worker.
    pub running: u64,
    /// Waiting for their next attempt.
    pub retrying: u64,
    /// Done.
    pub succeeded: u64,
    /// Dead letters.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Skipped by hand: neither done nor failed.
    #[serde(default)]
    pub skipped: u64,
}

/// How many runs are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunCounts {
    /// All of them.
    pub total: u64,
    /// See [`RunStatus::Queued`].
    pub queued: u64,
    /// See [`RunStatus::Running`].
    pub running: u64,
    /// See [`RunStatus::Paused`].
    pub paused: u64,
    /// See [`RunStatus::Succeeded`].
    pub succeeded: u64,
    /// See [`RunStatus::Failed`].
    pub failed: u64,
    /// See [`RunStatus::Cancelled`].
    pub cancelled: u64,
}

/// How many log lines there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineCounts {
    /// All of them.
    pub total: u64,
    /// At level `debug`.
    pub debug: u64,
    /// At level `info`.
    pub info: u64,
    /// At level `warn`.
    pub warn: u64,
    /// At level `error`.
    pub error: u64,
}

/// What attempts used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Units of fuel; 0 where unmetered.
    pub fuel: u64,
    /// The most linear memory at once, in bytes; of several attempts the greatest.
    pub peak_memory_bytes: u64,
    /// Microseconds that guest code held a thread.
    pub cpu_us: u64,
    /// HTTP requests, whatever came of them.
    pub http_requests: u64,
    /// Bytes of the bodies that were sent over HTTP.
    pub http_sent_bytes: u64,
    /// Bytes of the bodies that were received over HTTP.
    pub http_received_bytes: u64,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id.
    #[schema(example = "run_01kjk4f2c8e4xq1v2h5zq0y7ab")]
    pub id: String,
    /// The definition that it executes.
    pub definition: String,
    /// The definition's name for people, as it was then.
    pub name: String,
    /// The definition's tags, as they were then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where it is.
    pub state: RunStatus,
    /// Why it is being stopped, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<StopReason>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What made it start.
    pub trigger: Trigger,
    /// How soon its tasks are claimed: 0 to 9, 9 first.
    pub priority: u8,
    /// When it was created.
    pub created_at: Time,
    /// When its first task was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Milliseconds from its start to its end, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Its tasks by state; the `plan` of each step is one of them.
    pub tasks: TaskCounts,
    /// Its log lines by level.
    pub lines: LineCounts,
    /// The number of its last log line; 0 without one.
    pub last_line: u64,
    /// Attempts that ended.
    pub attempts: u64,
    /// What they used.
    pub usage: Usage,
}

/// A run with its steps and parameters.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// The digest of its plan.
    pub plan: String,
    /// How long it may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Its parameters: a JSON object.
    #[schema(value_type = Object)]
    pub parameters: Box<RawValue>,
    /// How fast its tasks come to an end, while it has not ended. No part of the entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// When something of it last happened: a task changed its state, or a line was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity_at: Option<Time>,
    /// Its steps, in the definition's order.
    pub steps: Vec<Step>,
}

/// A page of runs, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RunPage {
    /// The runs.
    pub items: Vec<Run>,
    /// Give this as `cursor` to get the next page. Absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// All runs of the server by state, whatever the filter.
    pub counts: RunCounts,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Its position in the run, from 0; a part of its tasks' ids.
    pub index: u16,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The plugin that does it.
    pub plugin: StepPlugin,
    /// The names of the steps that it waits for.
    pub depends: Vec<String>,
    /// What its failure means for the rest of the run.
    pub on_error: OnError,
    /// How many of its tasks may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Where it is.
    pub state: StepStatus,
    /// Why its remaining tasks are being cancelled, while they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<StopReason>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The first failure of one of its tasks, even where the step bears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<Failure>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Milliseconds from its start to its end, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How fast its tasks come to an end, while it runs. No part of the entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// Why nothing of it goes on, where nothing does. No part of the entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<Stall>,
    /// When something of it last happened: a task changed its state, or a line was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity_at: Option<Time>,
    /// Its tasks by state; its `plan` is one of them, number 0.
    pub tasks: TaskCounts,
    /// Its log lines by level.
    pub lines: LineCounts,
    /// Attempts that ended.
    pub attempts: u64,
    /// What they used.
    pub usage: Usage,
}

/// The plugin of a step, pinned to its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepPlugin {
    /// The name that the definition uses.
    pub name: String,
    /// The digest of the component that the run uses, whatever is uploaded later.
    pub digest: String,
}

/// What a run is started with.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// Its parameters: a JSON object, `{}` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Box<RawValue>>,
    /// Uploaded files that its plugins may read: the digest of each, under the name that they read it by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"rows": "sha256:…"}))]
    pub files: BTreeMap<String, String>,
    /// Start it paused: none of its tasks starts before it is resumed, but those that `process-next` takes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// What a retry does, or would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Retried {
    /// The run.
    #[serde(flatten)]
    pub run: RunDetail,
    /// With `dry_run`: how many tasks would be queued again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<u64>,
}

impl From<core::RunStatus> for RunStatus {
    fn from(status: core::RunStatus) -> Self {
        match status {
            core::RunStatus::Queued => Self::Queued,
            core::RunStatus::Running => Self::Running,
            core::RunStatus::Paused => Self::Paused,
            core::RunStatus::Succeeded => Self::Succeeded,
            core::RunStatus::Failed => Self::Failed,
            core::RunStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<core::StepStatus> for StepStatus {
    fn from(status: core::StepStatus) -> Self {
        match status {
            core::StepStatus::Blocked => Self::Blocked,
            core::StepStatus::Running => Self::Running,
            core::StepStatus::Succeeded => Self::Succeeded,
            core::StepStatus::Failed => Self::Failed,
            core::StepStatus::Cancelled => Self::Cancelled,
            core::StepStatus::Skipped => Self::Skipped,
        }
    }
}

impl From<core::StopReason> for StopReason {
    fn from(reason: core::StopReason) -> Self {
        match reason {
            core::StopReason::Cancelled => Self::Cancelled,
            core::StopReason::TimedOut => Self::TimedOut,
            core::StopReason::Failed => Self::Failed,
        }
    }
}

impl From<core::Trigger> for Trigger {
    fn from(trigger: core::Trigger) -> Self {
        match trigger {
            core::Trigger::Api => Self::Api,
            core::Trigger::Cli => Self::Cli,
            core::Trigger::AutoStart => Self::AutoStart,
            core::Trigger::Schedule => Self::Schedule,
        }
    }
}

impl From<&core_failure::Failure> for Failure {
    fn from(failure: &core_failure::Failure) -> Self {
        Self {
            cause: failure.cause.name().to_owned(),
            detail: failure.cause.detail().map(str::to_owned),
            message: failure.message.clone(),
            retryable: failure.cause.is_retryable(),
            backtrace: failure.backtrace.clone(),
        }
    }
}

impl From<core::TaskCounts> for TaskCounts {
    fn from(counts: core::TaskCounts) -> Self {
        Self {
            total: counts.total().into(),
            queued: counts.queued.into(),
            running: counts.running.into(),
            retrying: counts.retrying.into(),
            succeeded: counts.succeeded.into(),
            failed: counts.failed.into(),
            cancelled: counts.cancelled.into(),
            skipped: counts.skipped.into(),
        }
    }
}

impl From<[u64; bulkhead_core::task::TaskStatus::COUNT]> for TaskCounts {
    /// From counts in the order of [`bulkhead_core::task::TaskStatus::ALL`].
    fn from(counts: [u64; bulkhead_core::task::TaskStatus::COUNT]) -> Self {
        let [queued, running, retrying, succeeded, failed, cancelled, skipped] = counts;
        Self { total: counts.iter().sum(), queued, running, retrying, succeeded, failed, cancelled, skipped }
    }
}

impl From<[u64; 6]> for RunCounts {
    /// From counts in the order of [`core::RunStatus::ALL`].
    fn from(counts: [u64; 6]) -> Self {
        let [queued, running, paused, succeeded, failed, cancelled] = counts;
        Self { total: counts.iter().sum(), queued, running, paused, succeeded, failed, cancelled }
    }
}

impl From<LevelCounts> for LineCounts {
    fn from(counts: LevelCounts) -> Self {
        let LevelCounts { debug, info, warn, error } = counts;
        Self { total: counts.total(), debug, info, warn, error }
    }
}

impl LineCounts {
    /// Both together.
    #[must_use]
    fn plus(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            debug: self.debug + other.debug,
            info: self.info + other.info,
            warn: self.warn + other.warn,
            error: self.error + other.error,
        }
    }
}

impl From<core::Usage> for Usage {
    fn from(usage: core::Usage) -> Self {
        let core::Usage { fuel, peak_memory, cpu_micros, http_requests, http_sent, http_received } = usage;
        Self {
            fuel,
            peak_memory_bytes: peak_memory,
            cpu_us: cpu_micros,
            http_requests,
            http_sent_bytes: http_sent,
            http_received_bytes: http_received,
        }
    }
}

/// Milliseconds between two moments of which either may be missing.
pub(super) fn duration_ms(
    from: Option<bulkhead_core::time::Timestamp>,
    to: Option<bulkhead_core::time::Timestamp>,
) -> Option<u64> {
    Some(u64::try_from(to?.since(from?).as_millis()).unwrap_or(u64::MAX))
}

impl Run {
    /// A run as its record and its plan say.
    pub fn new(run: &core::Run, plan: &Plan) -> Self {
        let mut usage = core::Usage::default();
        let mut lines = LineCounts::default();
        let mut attempts = 0;
        for step in &run.steps {
            usage.add(&step.usage);
            lines = lines.plus(step.lines.into());
            attempts += step.attempts;
        }
        Self {
            id: run.id.to_string(),
            definition: run.definition.to_string(),
            name: plan.name.clone(),
            tags: plan.tags.clone(),
            state: run.state.status().into(),
            stopping: run.stop.map(Into::into),
            failure: run.state.failure().map(Into::into),
            trigger: run.trigger.into(),
            priority: run.priority.0,
            created_at: run.created_at.into(),
            started_at: run.started_at.map(Into::into),
            ended_at: run.ended_at.map(Into::into),
            duration_ms: duration_ms(run.started_at, run.ended_at),
            tasks: run.tasks().into(),
            lines,
            last_line: run.last_line,
            attempts,
            usage: usage.into(),
        }
    }
}

impl RunDetail {
    /// A run with its steps; `parameters` is JSON text.
    pub fn new(run: &core::Run, plan: &Plan, parameters: &str) -> Self {
        let steps = plan.steps.iter().zip(&run.steps).zip(0..).map(|((plan_step, step), index)| Step {
            index,
            name: plan_step.name.to_string(),
            description: plan_step.description.clone(),
            plugin: StepPlugin { name: plan_step.plugin.name.to_string(), digest: plan_step.plugin.digest.to_string() },
            depends: plan_step.depends.iter().map(|&on| plan.step(on).name.to_string()).collect(),
            on_error: match plan_step.on_error {
                CoreOnError::Fail => OnError::Fail,
                CoreOnError::Continue => OnError::Continue,
            },
            concurrency: plan_step.concurrency,
            state: step.state.status().into(),
            stopping: step.stop.map(Into::into),
            failure: step.state.failure().map(Into::into),
            first_failure: step.first_failure.as_ref().map(Into::into),
            started_at: step.started_at.map(Into::into),
            ended_at: step.ended_at.map(Into::into),
            duration_ms: duration_ms(step.started_at, step.ended_at),
            pace: None,
            stalled: None,
            last_activity_at: step.last_activity.map(Into::into),
            tasks: step.tasks.into(),
            lines: step.lines.into(),
            attempts: step.attempts,
            usage: step.usage.into(),
        });
        Self {
            run: Run::new(run, plan),
            plan: run.plan.to_string(),
            timeout_ms: plan.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            parameters: super::task::raw_json(parameters),
            pace: None,
            last_activity_at: last_activity(run),
            steps: steps.collect(),
        }
    }

    /// The same with how fast it is, and why its steps stand still, at a moment.
    #[must_use]
    pub fn at(mut self, run: &core::Run, plan: &Plan, moment: &Moment) -> Self {
        self.pace = Pace::of_run(run, moment.now);
        for (shown, index) in self.steps.iter_mut().zip((0..).map(bulkhead_core::id::StepIndex)) {
            shown.pace = Pace::of_step(run.step(index), moment.now);
            shown.stalled = Stall::of(run, plan, index, moment);
        }
        self
    }
}
