//! Commands to a whole run.

use super::Rejected;
use crate::event::Event;
use crate::plan::Plan;
use crate::run::{Run, RunState, RunStatus, StepState, StepStatus, StopReason};
use crate::time::Timestamp;

/// What can be asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunCommand {
    /// End it: waiting tasks are cancelled, running attempts are told to end. A run that is ending stays so.
    Cancel,
    /// Let running tasks end and start none. A paused run stays so.
    Pause,
    /// Go on after a pause. A run that is not paused stays as it is.
    Resume,
    /// Queue the failed tasks of every step again, with those that were cancelled because their step was stopped, and unblock
    /// the steps that were skipped or cancelled because of them.
    RetryFailed,
    /// Its timeout passed, at the time of the timer that says so.
    TimeOut,
}

/// The events that create a run.
pub fn create(run: &Run) -> Vec<Event> {
    debug_assert!(run.state == RunState::Queued);
    vec![Event::RunCreated]
}

/// What a command does to a run. Asking for what is so already does nothing and is no error.
///
/// # Errors
/// [`Rejected::RunState`] where the run's state gives the command no meaning, [`Rejected::Stopping`] where it is ending.
pub fn decide_run(run: &Run, plan: &Plan, command: RunCommand, now: Timestamp) -> Result<Vec<Event>, Rejected> {
    let status = run.state.status();
    let refuse = |command| Err(Rejected::RunState { state: status.name(), command });
    let change = |to| vec![Event::Run { from: status, to }];
    match command {
        RunCommand::Cancel => match status {
            RunStatus::Cancelled => Ok(vec![]),
            RunStatus::Succeeded | RunStatus::Failed => refuse("cancelled"),
            RunStatus::Queued | RunStatus::Running | RunStatus::Paused => match run.stop {
                Some(_) => Ok(vec![]),
                None => Ok(vec![Event::RunStopping { reason: StopReason::Cancelled }]),
            },
        },
        RunCommand::Pause => match status {
            RunStatus::Paused => Ok(vec![]),
            RunStatus::Queued | RunStatus::Running if run.stop.is_none() => Ok(change(RunState::Paused)),
            RunStatus::Queued | RunStatus::Running => Err(Rejected::Stopping),
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => refuse("paused"),
        },
        RunCommand::Resume => match status {
            RunStatus::Queued | RunStatus::Running => Ok(vec![]),
            RunStatus::Paused if run.stop.is_some() => Err(Rejected::Stopping),
            RunStatus::Paused if run.started_at.is_some() => Ok(change(RunState::Running)),
            RunStatus::Paused => Ok(change(RunState::Queued)),
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => refuse("resumed"),
        },
        RunCommand::RetryFailed => match status {
            RunStatus::Cancelled => refuse("retried"),
            _ if run.stop.is_some() => Err(Rejected::Stopping),
            _ => Ok(retry_failed(run)),
        },
        RunCommand::TimeOut => match (plan.timeout, run.started_at) {
            (Some(timeout), Some(started)) if !status.is_terminal() && run.stop.is_none() && now >= started.after(timeout) => {
                Ok(vec![Event::RunStopping { reason: StopReason::TimedOut }])
            }
            _ => Ok(vec![]),
        },
    }
}

/// Opens the run again, its steps with failed or cancelled tasks, and those that never started.
fn retry_failed(run: &Run) -> Vec<Event> {
    let mut events = Vec::new();
    let mut retries = false;
    for (index, step) in run.steps.iter().enumerate() {
        let index = step_index(index);
        let from = step.state.status();
        if step.tasks.failed + step.tasks.cancelled > 0 && step.stop.is_none() && step.retry_from.is_none() {
            if step.state != StepState::Running {
                events.push(Event::Step { step: index, from, to: StepState::Running });
            }
            events.push(Event::StepRetrying { step: index, next: Some(0) });
            retries = true;
        } else if matches!(step.state, StepState::Skipped | StepState::Cancelled) {
            // A cancelled step without such tasks has none at all, unless they all ended well before it was stopped.
            let to = if step.spawned == 0 { StepState::Blocked } else { StepState::Running };
            events.push(Event::Step { step: index, from, to });
            retries |= from == StepStatus::Cancelled;
        }
    }
    if !retries {
        return Vec::new();
    }
    if run.state.is_terminal() {
        events.insert(0, Event::Run { from: run.state.status(), to: RunState::Running });
    }
    events
}

/// The position of the `index`-th step; a plan has at most 65,536 steps.
pub(super) fn step_index(index: usize) -> crate::id::StepIndex {
    crate::id::StepIndex(u16::try_from(index).expect("a plan has at most 65,536 steps"))
}
