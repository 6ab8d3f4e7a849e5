//! Runs and their steps, with the counters that are changed together with what they count.

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, FailureFilter};
use crate::id::{Digest, RunId, StepIndex};
use crate::log::LevelCounts;
use crate::name::Name;
use crate::pace::Pace;
use crate::plan::{Plan, Priority};
use crate::task::TaskStatus;
use crate::time::Timestamp;

/// One execution of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The definition that it executes.
    pub definition: Name,
    /// The digest of its plan.
    pub plan: Digest,
    /// How soon its tasks are claimed.
    pub priority: Priority,
    /// What made it start.
    pub trigger: Trigger,
    /// Where it is.
    pub state: RunState,
    /// Why it is being stopped, while it is: no task starts any more, and running attempts are told to end.
    pub stop: Option<StopReason>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first task was claimed, or when a retry opened it again: its timeout counts from here.
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal state.
    pub ended_at: Option<Timestamp>,
    /// Its steps, in the plan's order.
    pub steps: Vec<Step>,
    /// The number of its last log line; lines are numbered 1, 2, … in the order in which they were stored.
    pub last_line: u64,
}

impl Run {
    /// A new run of a plan, before any event.
    pub fn new(id: RunId, plan: &Plan, digest: Digest, trigger: Trigger, now: Timestamp) -> Self {
        Self {
            id,
            definition: plan.definition.clone(),
            plan: digest,
            priority: plan.priority,
            trigger,
            state: RunState::Queued,
            stop: None,
            created_at: now,
            started_at: None,
            ended_at: None,
            steps: vec![Step::default(); plan.steps.len()],
            last_line: 0,
        }
    }

    /// The step at a position of this run's plan.
    pub fn step(&self, index: StepIndex) -> &Step {
        &self.steps[index.get()]
    }

    /// The step at a position, to change.
    pub(crate) fn step_mut(&mut self, index: StepIndex) -> &mut Step {
        &mut self.steps[index.get()]
    }

    /// Whether tasks of this step may be claimed now: the run is neither paused nor ending, the step runs, is not being stopped,
    /// has waiting tasks, and is below its concurrency.
    pub fn is_claimable(&self, index: StepIndex, plan: &Plan) -> bool {
        let step = self.step(index);
        matches!(self.state, RunState::Queued | RunState::Running)
            && step.tasks.waiting() > step.summoned
            && self.may_start_summoned(index, plan)
    }

    /// Whether a summoned task of this step may be claimed now: as any other, but although the run is paused.
    pub fn may_start_summoned(&self, index: StepIndex, plan: &Plan) -> bool {
        self.is_open(index) && plan.step(index).concurrency.is_none_or(|most| self.step(index).tasks.running < most)
    }

    /// Whether tasks of this step may start at all, now or later: neither it nor the run has ended or is ending.
    pub fn is_open(&self, index: StepIndex) -> bool {
        let step = self.step(index);
        self.stop.is_none() && !self.state.is_terminal() && step.state == StepState::Running && step.stop.is_none()
    }

    /// The counters of all steps together.
    pub fn tasks(&self) -> TaskCounts {
        self.steps.iter().fold(TaskCounts::default(), |sum, step| sum.plus(&step.tasks))
    }
}

/// What made a run start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    /// A request to the REST API (a person, a script, the console).
    Api,
    /// `bulkhead run`.
    Cli,
    /// The definition's `auto_start`, when the server started.
    AutoStart,
    /// The definition's schedule.
    Schedule,
}

impl Trigger {
    /// The trigger's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Cli => "cli",
            Self::AutoStart => "auto-start",
            Self::Schedule => "schedule",
        }
    }
}

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    /// Created; no task was claimed yet.
    Queued,
    /// At least one task was claimed.
    Running,
    /// Running tasks end, none starts.
    Paused,
    /// Every step ended as the plan allows.
    Succeeded,
    /// It can't succeed any more, and nothing of it runs.
    Failed(Failure),
    /// Somebody cancelled it, and nothing of it runs.
    Cancelled,
}

/// A [`RunState`] without its data: what lists filter by and statistics count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RunStatus {
    /// See [`RunState::Queued`].
    Queued,
    /// See [`RunState::Running`].
    Running,
    /// See [`RunState::Paused`].
    Paused,
    /// See [`RunState::Succeeded`].
    Succeeded,
    /// See [`RunState::Failed`].
    Failed,
    /// See [`RunState::Cancelled`].
    Cancelled,
}

impl RunState {
    /// The state without its data.
    pub const fn status(&self) -> RunStatus {
        match self {
            Self::Queued => RunStatus::Queued,
            Self::Running => RunStatus::Running,
            Self::Paused => RunStatus::Paused,
            Self::Succeeded => RunStatus::Succeeded,
            Self::Failed(_) => RunStatus::Failed,
            Self::Cancelled => RunStatus::Cancelled,
        }
    }

    /// Whether nothing of the run will happen any more by itself.
    pub const fn is_terminal(&self) -> bool {
        self.status().is_terminal()
    }

    /// Why it failed, if it did.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl RunStatus {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Queued, Self::Running, Self::Paused, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The state's name on the wire and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of a name that [`Self::name`] gave.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether nothing of the run will happen any more by itself.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Why something is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// Somebody cancelled the run.
    Cancelled,
    /// The run's timeout passed.
    TimedOut,
    /// The step can't succeed any more.
    Failed,
}

/// A node of a run's graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Where it is.
    pub state: StepState,
    /// Why its remaining tasks are being cancelled, while they are.
    pub stop: Option<StopReason>,
    /// What is being queued again, one after the other; at most [`MAX_RETRIES_AT_ONCE`].
    pub retries: Vec<StepRetry>,
    /// Its tasks by state.
    pub tasks: TaskCounts,
    /// Those of its waiting tasks that are summoned: they run next, out of turn.
    pub summoned: u32,
    /// The failed tasks that it had when one was last retried by hand: only more of them stop it early.
    pub forgiven: u32,
    /// Tasks that it ever had: the number that the next one gets.
    pub spawned: u32,
    /// Its log lines by level.
    pub lines: LevelCounts,
    /// What its attempts used.
    pub usage: Usage,
    /// Attempts that ended.
    pub attempts: u64,
    /// How fast its tasks are done, or fail for good.
    pub pace: Pace,
    /// When a task of it last changed its state, or a line of it was stored.
    pub last_activity: Option<Timestamp>,
    /// The first failure of one of its tasks since none was failed, or that of its `plan`; without a backtrace.
    pub first_failure: Option<Failure>,
    /// Whether its `plan` failed, so that its tasks are not all there.
    pub plan_failed: bool,
    /// Whether its `plan` succeeded: it is no part of a rate.
    pub plan_succeeded: bool,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal state.
    pub ended_at: Option<Timestamp>,
}

/// The most retries of one step that are under way at once, each with a filter of its own.
pub const MAX_RETRIES_AT_ONCE: usize = 8;

/// A pass through a step's tasks that queues failed and cancelled ones again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRetry {
    /// Which.
    pub filter: FailureFilter,
    /// The number of the next task to look at.
    pub next: u32,
}

/// Where a step is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// It waits for the steps that it depends on.
    #[default]
    Blocked,
    /// Its tasks are being done.
    Running,
    /// Its tasks ended, with no more failures than it bears.
    Succeeded,
    /// More tasks failed than it bears, or its `plan` did.
    Failed(Failure),
    /// The run was stopped before it ended.
    Cancelled,
    /// A step that it depends on did not end well.
    Skipped,
}

/// A [`StepState`] without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StepStatus {
    /// See [`StepState::Blocked`].
    Blocked,
    /// See [`StepState::Running`].
    Running,
    /// See [`StepState::Succeeded`].
    Succeeded,
    /// See [`StepState::Failed`].
    Failed,
    /// See [`StepState::Cancelled`].
    Cancelled,
    /// See [`StepState::Skipped`].
    Skipped,
}

impl StepState {
    /// The state without its data.
    pub const fn status(&self) -> StepStatus {
        match self {
            Self::Blocked => StepStatus::Blocked,
            Self::Running => StepStatus::Running,
            Self::Succeeded => StepStatus::Succeeded,
            Self::Failed(_) => StepStatus::Failed,
            Self::Cancelled => StepStatus::Cancelled,
            Self::Skipped => StepStatus::Skipped,
        }
    }

    /// Why it failed, if it did.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl StepStatus {
    /// The state's name on the wire and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// Whether nothing of the step will happen any more by itself.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Blocked | Self::Running)
    }
}

/// How many tasks are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Waiting for their first claim, or claimed and given back.
    pub queued: u32,
    /// Held by a worker.
    pub running: u32,
    /// Waiting for their next attempt.
    pub retrying: u32,
    /// Done.
    pub succeeded: u32,
    /// Dead letters.
    pub failed: u32,
    /// Cancelled.
    pub cancelled: u32,
    /// Skipped by hand.
    pub skipped: u32,
}

impl TaskCounts {
    /// Tasks that wait to be claimed, now or later.
    pub const fn waiting(&self) -> u32 {
        self.queued + self.retrying
    }

    /// Tasks that are not in a terminal state.
    pub const fn live(&self) -> u32 {
        self.queued + self.retrying + self.running
    }

    /// All tasks.
    pub const fn total(&self) -> u32 {
        self.live() + self.succeeded + self.failed + self.cancelled + self.skipped
    }

    /// The number of tasks in a state.
    pub const fn of(&self, status: TaskStatus) -> u32 {
        match status {
            TaskStatus::Queued => self.queued,
            TaskStatus::Running => self.running,
            TaskStatus::Retrying => self.retrying,
            TaskStatus::Succeeded => self.succeeded,
            TaskStatus::Failed => self.failed,
            TaskStatus::Cancelled => self.cancelled,
            TaskStatus::Skipped => self.skipped,
        }
    }

    /// The number of tasks in a state, to change.
    pub(crate) const fn of_mut(&mut self, status: TaskStatus) -> &mut u32 {
        match status {
            TaskStatus::Queued => &mut self.queued,
            TaskStatus::Running => &mut self.running,
            TaskStatus::Retrying => &mut self.retrying,
            TaskStatus::Succeeded => &mut self.succeeded,
            TaskStatus::Failed => &mut self.failed,
            TaskStatus::Cancelled => &mut self.cancelled,
            TaskStatus::Skipped => &mut self.skipped,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            queued: self.queued + other.queued,
            running: self.running + other.running,
            retrying: self.retrying + other.retrying,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            cancelled: self.cancelled + other.cancelled,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// What attempts used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Units of fuel; zero where unmetered.
    pub fuel: u64,
    /// The most linear memory at once, in bytes; over several attempts the greatest.
    pub peak_memory: u64,
    /// Microseconds that guest code held a thread.
    pub cpu_micros: u64,
    /// HTTP requests, whatever came of them.
    pub http_requests: u64,
    /// Bytes of the bodies that were sent over HTTP.
    pub http_sent: u64,
    /// Bytes of the bodies that were received over HTTP.
    pub http_received: u64,
}

impl Usage {
    /// Adds what a further attempt used.
    pub fn add(&mut self, other: &Self) {
        self.fuel = self.fuel.saturating_add(other.fuel);
        self.peak_memory = self.peak_memory.max(other.peak_memory);
        self.cpu_micros = self.cpu_micros.saturating_add(other.cpu_micros);
        self.http_requests = self.http_requests.saturating_add(other.http_requests);
        self.http_sent = self.http_sent.saturating_add(other.http_sent);
        self.http_received = self.http_received.saturating_add(other.http_received);
    }
}
