//! Tasks and their attempts.

use serde::{Deserialize, Serialize};

use crate::failure::{Cause, Failure};
use crate::id::{TaskId, WorkerId};
use crate::log::{LevelCounts, Tail};
use crate::run::Usage;
use crate::time::Timestamp;

/// The number of a step's first task, its `plan`.
pub const PLAN_INDEX: u32 = 0;

/// The attempts that a task's record keeps; of more, the latest.
pub const MAX_HISTORY: usize = 20;

/// A task whose host died so often is failed with [`Cause::HostLost`]: it may be what kills the host.
pub const QUARANTINE_HOST_DEATHS: u32 = 3;

/// What a worker claims and a sandbox executes. Its input and its output are stored beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its deduplication key, unique in its step.
    pub key: Box<str>,
    /// The number of the task that spawned it; absent for the step's `plan`.
    pub parent: Option<u32>,
    /// Where it is.
    pub state: TaskState,
    /// The number of its last attempt, 0 before the first. It fences every write of whoever holds the task.
    pub attempt: u32,
    /// Failures that the retry policy counts, since the task was queued or retried by hand.
    pub failures: u32,
    /// How often a host died while it held the task, since the task was queued or retried by hand.
    pub host_deaths: u32,
    /// When it was spawned.
    pub created_at: Timestamp,
    /// When it reached a terminal state.
    pub ended_at: Option<Timestamp>,
    /// Its latest attempts that ended, oldest first, at most [`MAX_HISTORY`].
    pub history: Vec<Attempt>,
    /// The lines of the current or last attempt that are stored: the number that its next line gets, from 0.
    pub attempt_lines: u64,
    /// Its log lines by level, of all attempts.
    pub lines: LevelCounts,
    /// What it last said of its progress.
    pub progress: Option<Progress>,
    /// What all its attempts used.
    pub usage: Usage,
    /// Where the last lines of the current or last attempt are.
    pub tail: Tail,
    /// Somebody cancelled it while it runs: its attempt is told to end, and none follows.
    pub stop: bool,
    /// Somebody asked that it runs next, whatever its due time and although the run is paused. It lasts until an attempt has
    /// come to an end of its own.
    pub summoned: bool,
    /// When its input was last edited by hand.
    pub edited: Option<Edit>,
}

impl Task {
    /// A new task that is due at once.
    pub fn new(id: TaskId, key: Box<str>, parent: Option<u32>, now: Timestamp) -> Self {
        Self {
            id,
            key,
            parent,
            state: TaskState::Queued { due: now },
            attempt: 0,
            failures: 0,
            host_deaths: 0,
            created_at: now,
            ended_at: None,
            history: Vec::new(),
            attempt_lines: 0,
            lines: LevelCounts::default(),
            progress: None,
            usage: Usage::default(),
            tail: Tail::default(),
            stop: false,
            summoned: false,
            edited: None,
        }
    }

    /// Whether it waits out of turn: the next claim takes it before all that wait for their due times.
    pub const fn waits_summoned(&self) -> bool {
        self.summoned && self.state.due().is_some()
    }

    /// Whether this is its step's `plan`.
    pub const fn is_plan(&self) -> bool {
        self.id.index == PLAN_INDEX
    }
}

/// Where a task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// It waits to be claimed.
    Queued {
        /// Not before.
        due: Timestamp,
    },
    /// A worker holds it.
    Running {
        /// Who; its lease is the worker's.
        worker: WorkerId,
        /// Since when.
        since: Timestamp,
    },
    /// An attempt failed; it waits for the next.
    Retrying {
        /// Not before.
        due: Timestamp,
        /// Why the last attempt failed.
        cause: Cause,
    },
    /// Done.
    Succeeded,
    /// Dead letter: no attempt will follow by itself.
    Failed(Failure),
    /// Cancelled.
    Cancelled,
    /// Somebody decided that it need not be done: neither a success nor a failure.
    Skipped,
}

/// A [`TaskState`] without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskStatus {
    /// See [`TaskState::Queued`].
    Queued,
    /// See [`TaskState::Running`].
    Running,
    /// See [`TaskState::Retrying`].
    Retrying,
    /// See [`TaskState::Succeeded`].
    Succeeded,
    /// See [`TaskState::Failed`].
    Failed,
    /// See [`TaskState::Cancelled`].
    Cancelled,
    /// See [`TaskState::Skipped`].
    Skipped,
}

impl TaskState {
    /// The state without its data.
    pub const fn status(&self) -> TaskStatus {
        match self {
            Self::Queued { .. } => TaskStatus::Queued,
            Self::Running { .. } => TaskStatus::Running,
            Self::Retrying { .. } => TaskStatus::Retrying,
            Self::Succeeded => TaskStatus::Succeeded,
            Self::Failed(_) => TaskStatus::Failed,
            Self::Cancelled => TaskStatus::Cancelled,
            Self::Skipped => TaskStatus::Skipped,
        }
    }

    /// When a waiting task may be claimed.
    pub const fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Queued { due } | Self::Retrying { due, .. } => Some(*due),
            _ => None,
        }
    }

    /// Who holds a running task.
    pub const fn worker(&self) -> Option<WorkerId> {
        match self {
            Self::Running { worker, .. } => Some(*worker),
            _ => None,
        }
    }
}

impl TaskStatus {
    /// All of them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Queued, Self::Running, Self::Retrying, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Skipped];

    /// How many there are.
    pub const COUNT: usize = 7;

    /// The state's name on the wire and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// The state of a name that [`Self::name`] gave.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether no attempt will follow by itself.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped)
    }
}

/// One try at a task that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number: 1, 2, …
    pub number: u32,
    /// Who made it.
    pub worker: WorkerId,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When its end was recorded.
    pub ended_at: Timestamp,
    /// How it ended.
    pub end: AttemptEnd,
    /// What it used.
    pub usage: Usage,
    /// Log lines of it that are stored.
    pub lines: u64,
    /// Log lines of it that its quota suppressed.
    pub suppressed: u64,
    /// Where its last lines are.
    pub tail: Tail,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptEnd {
    /// It returned an output.
    Succeeded,
    /// It failed.
    Failed(Failure),
    /// It was told to end, and did.
    Cancelled,
    /// Its worker gave it back when it shut down; it counts against no limit.
    Released,
    /// Its worker died.
    HostLost,
}

/// How far a task says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// What it is doing.
    pub message: Option<Box<str>>,
}

/// That a task's input was edited by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// When.
    pub at: Timestamp,
    /// By whom: a token's name, where there is one.
    pub by: Option<Box<str>>,
}
