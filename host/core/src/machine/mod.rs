//! The state machine: what commands do to runs, steps and tasks, and what follows by itself.
//!
//! A transaction calls [`decide_run`] or [`decide_task`], applies every event with [`evolve()`], then asks [`consequence()`] and
//! applies what it says until it says nothing. Each of them is a function of its arguments alone.

mod consequence;
mod evolve;
mod run;
mod task;
#[cfg(test)]
mod tests;

pub use consequence::consequence;
pub use evolve::evolve;
pub use run::{RunCommand, create, decide_run};
pub use task::{Report, TaskCommand, decide_spawn, decide_task};

use crate::run::{MAX_RETRIES_AT_ONCE, RunStatus, StepStatus};
use crate::task::TaskStatus;

/// Why a command does nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The attempt that writes does not hold the task: another one does, or the task has ended.
    #[error("attempt {attempt} does not hold the task (its last attempt is {current}, the task is {state})")]
    Fenced {
        /// The attempt that wanted to write.
        attempt: u32,
        /// The task's last attempt.
        current: u32,
        /// The task's state.
        state: &'static str,
    },
    /// The run is in a state in which the command means nothing.
    #[error("the run is {state}: it can't be {command}")]
    RunState {
        /// The run's state.
        state: &'static str,
        /// What was asked, as a participle.
        command: &'static str,
    },
    /// The task is in a state in which the command means nothing.
    #[error("the task is {state}: it can't be {command}")]
    TaskState {
        /// The task's state.
        state: &'static str,
        /// What was asked, as a participle.
        command: &'static str,
    },
    /// The run or the step is being stopped.
    #[error("the run is ending")]
    Stopping,
    /// The step's `plan` failed, and its tasks can't be all there.
    #[error("the step's plan failed: retry or skip that first (its task 0)")]
    PlanFailed,
    /// A step's `plan` has no input.
    #[error("this task is its step's plan: it has no input")]
    NoInput,
    /// No task waits that could run next.
    #[error("no task waits: all have ended or are running")]
    NothingWaits,
    /// As many tasks as may be are summoned already.
    #[error("{limit} tasks are to run next already: wait until some of them have started")]
    TooManySummoned {
        /// The limit.
        limit: usize,
    },
    /// As many retries as may be are under way already.
    #[error("{MAX_RETRIES_AT_ONCE} retries of the step are under way: wait until one of them is through")]
    TooManyRetries,
    /// The step has as many tasks as its limit allows.
    #[error("the step may spawn {limit} tasks in all (`limits.spawned_tasks`)")]
    SpawnQuota {
        /// The limit.
        limit: u32,
    },
}

/// Whether a run may go from one state to another. [`evolve()`] refuses anything else.
pub const fn run_may_become(from: RunStatus, to: RunStatus) -> bool {
    use RunStatus::{Cancelled, Failed, Paused, Queued, Running, Succeeded};
    match from {
        Queued => matches!(to, Running | Paused | Succeeded | Failed | Cancelled),
        Running => matches!(to, Paused | Succeeded | Failed | Cancelled),
        Paused => matches!(to, Queued | Running | Succeeded | Failed | Cancelled),
        // Retrying failed tasks opens a run again.
        Succeeded | Failed => matches!(to, Running),
        Cancelled => false,
    }
}

/// Whether a step may go from one state to another. [`evolve()`] refuses anything else.
pub const fn step_may_become(from: StepStatus, to: StepStatus) -> bool {
    use StepStatus::{Blocked, Cancelled, Failed, Running, Skipped, Succeeded};
    match from {
        Blocked => matches!(to, Running | Skipped | Cancelled),
        Running => matches!(to, Succeeded | Failed | Cancelled),
        // Retrying opens a step again, and those that it made skip; after a timeout also those that were cancelled.
        Succeeded | Failed => matches!(to, Running),
        Skipped => matches!(to, Blocked),
        Cancelled => matches!(to, Running | Blocked),
    }
}

/// Whether a task may go from one state to another. [`evolve()`] refuses anything else.
pub const fn task_may_become(from: TaskStatus, to: TaskStatus) -> bool {
    use TaskStatus::{Cancelled, Failed, Queued, Retrying, Running, Skipped, Succeeded};
    match from {
        Queued | Retrying => matches!(to, Running | Cancelled | Skipped),
        Running => matches!(to, Queued | Retrying | Succeeded | Failed | Cancelled),
        // Retrying by hand queues again what did not succeed.
        Failed | Cancelled => matches!(to, Queued | Skipped),
        Skipped => matches!(to, Queued),
        Succeeded => false,
    }
}
