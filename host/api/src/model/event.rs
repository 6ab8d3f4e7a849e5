//! Events: what changed.

use bulkhead_core::event as core;
use bulkhead_core::id::{StepIndex, TaskId};
use bulkhead_core::plan::Plan;
use bulkhead_core::task::TaskState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Attempt, Failure, Fire, RunStatus, StepStatus, StopReason, TaskStatus, Time};

/// One thing that happened in a run, or to a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its number among all events of the server: 1, 2, … without a gap. Also the stream's `id:`.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// In which run. Absent for a fire of a schedule that started none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The run's definition, or the schedule's. Absent where the run was deleted since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. `step` is a step's name, or its index where the run was deleted since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run was created.
    RunCreated,
    /// The run changed its state.
    Run {
        /// The state before.
        from: RunStatus,
        /// The state after.
        to: RunStatus,
        /// Why it failed, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// The run is being stopped.
    RunStopping {
        /// Why.
        reason: StopReason,
    },
    /// A step changed its state.
    Step {
        /// Which.
        step: String,
        /// The state before.
        from: StepStatus,
        /// The state after.
        to: StepStatus,
        /// Why it failed, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A step is being stopped.
    StepStopping {
        /// Which.
        step: String,
        /// Why.
        reason: StopReason,
    },
    /// A step's failed tasks are being queued again.
    StepRetrying {
        /// Which.
        step: String,
        /// The number of the next task to look at; absent when all are queued.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<u32>,
    },
    /// A step got tasks.
    TasksCreated {
        /// Which.
        step: String,
        /// The number of the first.
        first: u32,
        /// How many.
        count: u32,
        /// The number of the task that spawned them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<u32>,
    },
    /// A task changed its state.
    Task {
        /// Its id.
        task: String,
        /// Its step.
        step: String,
        /// Its number in the step.
        index: u32,
        /// Its attempt: the one that starts, or the last one.
        attempt: u32,
        /// The state before.
        from: TaskStatus,
        /// The state after.
        to: TaskStatus,
        /// The cause of a failure, where the state after has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
        /// The attempt that ended with this change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<Box<Attempt>>,
    },
    /// A running task was cancelled: its attempt is told to end.
    TaskStopping {
        /// Its id.
        task: String,
        /// Its step.
        step: String,
        /// Its number in the step.
        index: u32,
    },
    /// A waiting task is to run next, out of turn.
    TaskSummoned {
        /// Its id.
        task: String,
        /// Its step.
        step: String,
        /// Its number in the step.
        index: u32,
    },
    /// A task's input was edited by hand.
    TaskEdited {
        /// Its id.
        task: String,
        /// Its step.
        step: String,
        /// Its number in the step.
        index: u32,
        /// By whom: a token's name, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A fire of a schedule came to something, or several in a row were passed over.
    ScheduleFire {
        /// What became of it.
        fire: Fire,
    },
}

/// The data of a stream's `gap` event: events that the stream should have sent next are no longer kept. Read anew what you
/// follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventGap {
    /// The last number that was sent, or that the client named.
    pub after: u64,
    /// The number of the next event that is kept.
    pub next: u64,
}

impl Event {
    /// An event as its record says; the run's plan, where it is still there, gives the steps their names.
    pub fn new(record: &core::EventRecord, plan: Option<&Plan>) -> Self {
        let name = |step: StepIndex| match plan.and_then(|plan| plan.steps.get(step.get())) {
            Some(step) => step.name.to_string(),
            None => step.0.to_string(),
        };
        let id = |step: StepIndex, index: u32| record.run.map(|run| TaskId::new(run, step, index).to_string()).unwrap_or_default();
        let kind = match &record.event {
            core::Event::RunCreated => EventKind::RunCreated,
            core::Event::Run { from, to } => {
                EventKind::Run { from: (*from).into(), to: to.status().into(), failure: to.failure().map(Into::into) }
            }
            core::Event::RunStopping { reason } => EventKind::RunStopping { reason: (*reason).into() },
            core::Event::Step { step, from, to } => EventKind::Step {
                step: name(*step),
                from: (*from).into(),
                to: to.status().into(),
                failure: to.failure().map(Into::into),
            },
            core::Event::StepStopping { step, reason } => EventKind::StepStopping { step: name(*step), reason: (*reason).into() },
            core::Event::StepRetrying { step, next, .. } => EventKind::StepRetrying { step: name(*step), next: *next },
            core::Event::TasksCreated { step, first, count, parent } => {
                EventKind::TasksCreated { step: name(*step), first: *first, count: *count, parent: *parent }
            }
            core::Event::Task { step, index, attempt, from, to, ended } => EventKind::Task {
                task: id(*step, *index),
                step: name(*step),
                index: *index,
                attempt: *attempt,
                from: (*from).into(),
                to: to.status().into(),
                cause: match to {
                    TaskState::Failed(failure) => Some(failure.cause.name().to_owned()),
                    TaskState::Retrying { cause, .. } => Some(cause.name().to_owned()),
                    _ => None,
                },
                ended: ended.as_deref().map(|attempt| Box::new(attempt.into())),
            },
            core::Event::TaskStopping { step, index } => {
                EventKind::TaskStopping { task: id(*step, *index), step: name(*step), index: *index }
            }
            core::Event::TaskSummoned { step, index } => {
                EventKind::TaskSummoned { task: id(*step, *index), step: name(*step), index: *index }
            }
            core::Event::TaskEdited { step, index, by } => EventKind::TaskEdited {
                task: id(*step, *index),
                step: name(*step),
                index: *index,
                by: by.as_deref().map(str::to_owned),
            },
            core::Event::Fire { fire, .. } => EventKind::ScheduleFire { fire: Fire::from(&**fire) },
        };
        let definition = match &record.event {
            core::Event::Fire { schedule, .. } => Some(schedule.to_string()),
            _ => plan.map(|plan| plan.definition.to_string()),
        };
        Self { seq: record.seq, at: record.at.into(), run: record.run.map(|run| run.to_string()), definition, kind }
    }
}
