//! Applying events: the one place where states and counters change.

use super::{run_may_become, step_may_become, task_may_become};
use crate::event::Event;
use crate::run::{Run, RunState, StepState};
use crate::task::{AttemptEnd, MAX_HISTORY, PLAN_INDEX, Task, TaskState};
use crate::time::Timestamp;

/// The longest message that a step keeps of its first failure, in bytes.
const FIRST_FAILURE_LEN: usize = 512;

/// Applies an event to its run and, where the event is about one task, to that task.
///
/// # Panics
/// If the event does not follow from the records: a transition that the table forbids, or another task than the event's.
/// That is a bug of the caller, and writing on would corrupt the store.
pub fn evolve(run: &mut Run, task: Option<&mut Task>, event: &Event, now: Timestamp) {
    match event {
        Event::RunCreated | Event::Fire { .. } => {}
        Event::Run { from, to } => {
            assert!(run.state.status() == *from && run_may_become(*from, to.status()), "a run went {from:?} -> {to:?}");
            // A run that is opened again gets its whole timeout again.
            if *to == RunState::Running && (run.started_at.is_none() || from.is_terminal()) {
                run.started_at = Some(now);
            }
            run.ended_at = to.is_terminal().then_some(now);
            if to.is_terminal() {
                run.stop = None;
            }
            run.state = to.clone();
        }
        Event::RunStopping { reason } => run.stop = Some(*reason),
        Event::Step { step, from, to } => {
            let step = run.step_mut(*step);
            assert!(step.state.status() == *from && step_may_become(*from, to.status()), "a step went {from:?} -> {to:?}");
            if *to == StepState::Running {
                step.started_at.get_or_insert(now);
                step.first_failure = None;
            }
            step.ended_at = to.status().is_terminal().then_some(now);
            if step.ended_at.is_some() {
                step.stop = None;
            }
            step.state = to.clone();
        }
        Event::StepStopping { step, reason } => {
            let step = run.step_mut(*step);
            step.stop = Some(*reason);
            step.retry_from = None;
        }
        Event::StepRetrying { step, next } => {
            let step = run.step_mut(*step);
            step.retry_from = *next;
            if *next == Some(0) {
                step.first_failure = None;
            }
        }
        Event::TasksCreated { step, first, count, .. } => {
            let step = run.step_mut(*step);
            assert_eq!(step.spawned, *first, "tasks were numbered twice");
            step.spawned += count;
            step.tasks.queued += count;
        }
        Event::Task { step, index, from, to, .. } => {
            let task = task.expect("an event of a task comes with the task");
            assert_eq!((task.id.step, task.id.index), (*step, *index), "an event of another task");
            assert!(task.state.status() == *from && task_may_become(*from, to.status()), "a task went {from:?} -> {to:?}");
            evolve_step_of_task(run, event);
            evolve_task(task, event, now);
        }
    }
}

/// The counters of the step that a task belongs to.
fn evolve_step_of_task(run: &mut Run, event: &Event) {
    let Event::Task { step, index, from, to, ended, .. } = event else { return };
    let step = run.step_mut(*step);
    *step.tasks.of_mut(*from) -= 1;
    *step.tasks.of_mut(to.status()) += 1;
    if *index == PLAN_INDEX {
        step.plan_failed = matches!(to, TaskState::Failed(_));
    }
    // The failure of the `plan` says more than that of a task that it had spawned before.
    if let TaskState::Failed(failure) = to
        && (step.first_failure.is_none() || *index == PLAN_INDEX)
    {
        let mut failure = failure.clone();
        failure.backtrace = None;
        failure.message.truncate(failure.message.floor_char_boundary(FIRST_FAILURE_LEN));
        step.first_failure = Some(failure);
    }
    if let Some(attempt) = ended {
        step.attempts += 1;
        step.usage.add(&attempt.usage);
    }
}

/// The task's own record.
fn evolve_task(task: &mut Task, event: &Event, now: Timestamp) {
    let Event::Task { attempt, from, to, ended, .. } = event else { return };
    task.attempt = *attempt;
    if matches!(to, TaskState::Running { .. }) {
        task.attempt_lines = 0;
        task.progress = None;
    }
    if from.is_terminal() {
        (task.failures, task.host_deaths) = (0, 0);
    }
    if let Some(ended) = ended {
        match ended.end {
            AttemptEnd::Failed(_) => task.failures += 1,
            AttemptEnd::HostLost => task.host_deaths += 1,
            AttemptEnd::Succeeded | AttemptEnd::Cancelled | AttemptEnd::Released => {}
        }
        if task.history.len() == MAX_HISTORY {
            task.history.remove(0);
        }
        task.history.push((**ended).clone());
    }
    task.ended_at = to.status().is_terminal().then_some(now);
    task.state = to.clone();
}
