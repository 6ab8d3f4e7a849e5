//! Commands to a whole run.

use super::Rejected;
use crate::event::Event;
use crate::failure::FailureFilter;
use crate::id::StepIndex;
use crate::plan::Plan;
use crate::run::{MAX_RETRIES_AT_ONCE, Run, RunState, RunStatus, Step, StepState, StepStatus, StopReason};
use crate::time::Timestamp;

/// What can be asked of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The same for some of them only.
    RetryMatching {
        /// Of this step; of every one where absent.
        step: Option<StepIndex>,
        /// Those that match.
        filter: FailureFilter,
    },
    /// Its timeout passed, at the time of the timer that says so.
    TimeOut,
}

/// The events that create a run; `paused` says that none of its tasks starts before somebody resumes it.
pub fn create(run: &Run, paused: bool) -> Vec<Event> {
    debug_assert!(run.state == RunState::Queued);
    let mut events = vec![Event::RunCreated];
    if paused {
        events.push(Event::Run { from: RunStatus::Queued, to: RunState::Paused });
    }
    events
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
            _ => retry_failed(run, None, &FailureFilter::default()),
        },
        RunCommand::RetryMatching { step, filter } => match status {
            RunStatus::Cancelled => refuse("retried"),
            _ if run.stop.is_some() => Err(Rejected::Stopping),
            _ => retry_failed(run, step, &filter),
        },
        RunCommand::TimeOut => match (plan.timeout, run.started_at) {
            (Some(timeout), Some(started)) if !status.is_terminal() && run.stop.is_none() && now >= started.after(timeout) => {
                Ok(vec![Event::RunStopping { reason: StopReason::TimedOut }])
            }
            _ => Ok(vec![]),
        },
    }
}

/// Opens the run again, its steps with tasks that may match, and those that never started.
fn retry_failed(run: &Run, only: Option<StepIndex>, filter: &FailureFilter) -> Result<Vec<Event>, Rejected> {
    let mut events = Vec::new();
    let mut retries = false;
    for (index, step) in run.steps.iter().enumerate() {
        let index = step_index(index);
        let from = step.state.status();
        if only.is_none_or(|only| only == index) && begins(step, filter)? {
            if step.state != StepState::Running {
                events.push(Event::Step { step: index, from, to: StepState::Running });
            }
            events.push(Event::StepRetrying { step: index, filter: Some(filter.clone()), next: Some(0) });
            retries = true;
        } else if matches!(step.state, StepState::Skipped) || from == StepStatus::Cancelled && filter.is_all() && only.is_none() {
            // A cancelled step without such tasks has none at all, unless they all ended well before it was stopped.
            let to = if step.spawned == 0 { StepState::Blocked } else { StepState::Running };
            events.push(Event::Step { step: index, from, to });
            retries |= from == StepStatus::Cancelled;
        } else if from == StepStatus::Cancelled && step.spawned == 0 {
            events.push(Event::Step { step: index, from, to: StepState::Blocked });
        }
    }
    if !retries {
        return Ok(Vec::new());
    }
    if run.state.is_terminal() {
        events.insert(0, Event::Run { from: run.state.status(), to: RunState::Running });
    }
    Ok(events)
}

/// Whether a retry goes through this step: it may have such tasks, and no other retry will do the same.
fn begins(step: &Step, filter: &FailureFilter) -> Result<bool, Rejected> {
    let candidates = step.tasks.failed + if filter.takes_cancelled() { step.tasks.cancelled } else { 0 };
    // What is under way from the start does all of it; so does one for everything, for what it has still to look at.
    let covered = step.retries.iter().any(|retry| retry.filter == *filter && (retry.next == 0 || filter.is_all()));
    if candidates == 0 || step.stop.is_some() || covered {
        return Ok(false);
    }
    if step.retries.len() >= MAX_RETRIES_AT_ONCE {
        return Err(Rejected::TooManyRetries);
    }
    Ok(true)
}

/// The events that let a step that has ended go on, with the run and with what could not start because of it.
pub(super) fn reopen(run: &Run, plan: &Plan, index: StepIndex) -> Vec<Event> {
    let mut events = Vec::new();
    let from = run.step(index).state.status();
    if !from.is_terminal() {
        return events;
    }
    if run.state.is_terminal() {
        events.push(Event::Run { from: run.state.status(), to: RunState::Running });
    }
    events.push(Event::Step { step: index, from, to: StepState::Running });
    for step in dependants(plan, index) {
        let from = run.step(step).state.status();
        if from == StepStatus::Skipped || from == StepStatus::Cancelled && run.step(step).spawned == 0 {
            events.push(Event::Step { step, from, to: StepState::Blocked });
        }
    }
    events
}

/// The steps that depend on a step, directly or through others, in the plan's order.
fn dependants(plan: &Plan, index: StepIndex) -> Vec<StepIndex> {
    let mut found = vec![false; plan.steps.len()];
    found[index.get()] = true;
    // The plan's order says nothing of who depends on whom, so look until nothing is new.
    loop {
        let before = found.clone();
        for (at, step) in plan.steps.iter().enumerate() {
            found[at] |= step.depends.iter().any(|on| before[on.get()]);
        }
        if before == found {
            break;
        }
    }
    (0..found.len()).filter(|&at| found[at] && at != index.get()).map(step_index).collect()
}

/// The position of the `index`-th step; a plan has at most 65,536 steps.
pub(super) fn step_index(index: usize) -> crate::id::StepIndex {
    crate::id::StepIndex(u16::try_from(index).expect("a plan has at most 65,536 steps"))
}
