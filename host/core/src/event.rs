//! Events: what happened to a run, its steps and its tasks, and to schedules. The records are authoritative; the events are their history.

use serde::{Deserialize, Serialize};

use crate::failure::FailureFilter;
use crate::id::{RunId, StepIndex};
use crate::name::Name;
use crate::run::{RunState, RunStatus, StepState, StepStatus, StopReason};
use crate::schedule::FireRecord;
use crate::task::{Attempt, TaskState, TaskStatus};
use crate::time::Timestamp;

/// One thing that happened. Every change of a state is one of the three `from`, `to` events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The run was created.
    RunCreated,
    /// The run changed its state.
    Run {
        /// The state before.
        from: RunStatus,
        /// The state after.
        to: RunState,
    },
    /// The run is being stopped: its waiting tasks will be cancelled, its running attempts are told to end.
    RunStopping {
        /// Why.
        reason: StopReason,
    },
    /// A step changed its state.
    Step {
        /// Which.
        step: StepIndex,
        /// The state before.
        from: StepStatus,
        /// The state after.
        to: StepState,
    },
    /// A step is being stopped.
    StepStopping {
        /// Which.
        step: StepIndex,
        /// Why.
        reason: StopReason,
    },
    /// A step's failed and cancelled tasks are being queued again.
    StepRetrying {
        /// Which.
        step: StepIndex,
        /// Which of its tasks, where this begins; absent where it goes on.
        filter: Option<FailureFilter>,
        /// The number of the next task to look at; absent when all were.
        next: Option<u32>,
    },
    /// A step got tasks: `count` of them, numbered from `first`.
    TasksCreated {
        /// Which step.
        step: StepIndex,
        /// The number of the first.
        first: u32,
        /// How many.
        count: u32,
        /// The task that spawned them; absent for the step's `plan`.
        parent: Option<u32>,
    },
    /// A task changed its state.
    Task {
        /// Its step.
        step: StepIndex,
        /// Its number.
        index: u32,
        /// Its attempt: the one that starts, or the last one.
        attempt: u32,
        /// The state before.
        from: TaskStatus,
        /// The state after.
        to: TaskState,
        /// The attempt that ended with this change.
        ended: Option<Box<Attempt>>,
    },
    /// A running task was cancelled: its attempt is told to end.
    TaskStopping {
        /// Its step.
        step: StepIndex,
        /// Its number.
        index: u32,
    },
    /// A waiting task is to run next, out of turn.
    TaskSummoned {
        /// Its step.
        step: StepIndex,
        /// Its number.
        index: u32,
    },
    /// A task's input was edited by hand.
    TaskEdited {
        /// Its step.
        step: StepIndex,
        /// Its number.
        index: u32,
        /// By whom: a token's name, where there is one.
        by: Option<Box<str>>,
    },
    /// A fire of a schedule came to something, or several in a row were passed over.
    Fire {
        /// The definition.
        schedule: Name,
        /// What became of it.
        fire: Box<FireRecord>,
    },
}

impl Event {
    /// The task that the event is about: its step and its number.
    pub const fn task(&self) -> Option<(StepIndex, u32)> {
        match self {
            Self::Task { step, index, .. }
            | Self::TaskStopping { step, index }
            | Self::TaskSummoned { step, index }
            | Self::TaskEdited { step, index, .. } => Some((*step, *index)),
            _ => None,
        }
    }
}

/// An event where and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its number among all events of the store: 1, 2, … without a gap.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// In which run; absent for a fire that started none.
    pub run: Option<RunId>,
    /// What.
    pub event: Event,
}
