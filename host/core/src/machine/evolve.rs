//! Applying events: the one place where states and counters change.

use super::{run_may_become, step_may_become, task_may_become};
use crate::event::Event;
use crate::log::Tail;
use crate::run::{Run, RunState, StepRetry, StepState};
use crate::task::{AttemptEnd, Edit, MAX_HISTORY, PLAN_INDEX, Task, TaskState, TaskStatus};
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
            step.retries.clear();
        }
        Event::StepRetrying { step, filter: Some(filter), next } => {
            let step = run.step_mut(*step);
            step.retries.push(StepRetry { filter: filter.clone(), next: next.unwrap_or(0) });
        }
        Event::StepRetrying { step, filter: None, next } => {
            let retries = &mut run.step_mut(*step).retries;
            match (retries.first_mut(), *next) {
                (Some(retry), Some(next)) => retry.next = next,
                (Some(_), None) => drop(retries.remove(0)),
                (None, _) => {}
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
            let summoned = task.waits_summoned();
            evolve_step_of_task(run, event, now);
            evolve_task(task, event, now);
            count_summoned(run, task, summoned);
            if matches!(to, TaskState::Running { .. }) {
                run.started_at.get_or_insert(now);
            }
        }
        Event::TaskStopping { .. } | Event::TaskSummoned { .. } | Event::TaskEdited { .. } => {
            let task = task.expect("an event of a task comes with the task");
            assert_eq!(event.task(), Some((task.id.step, task.id.index)), "an event of another task");
            let summoned = task.waits_summoned();
            match event {
                Event::TaskStopping { .. } => task.stop = true,
                Event::TaskSummoned { .. } => task.summoned = true,
                Event::TaskEdited { by, .. } => task.edited = Some(Edit { at: now, by: by.clone() }),
                _ => {}
            }
            count_summoned(run, task, summoned);
        }
    }
}

/// The counter of the tasks that wait out of turn; `before` says whether this one did.
fn count_summoned(run: &mut Run, task: &Task, before: bool) {
    let count = &mut run.step_mut(task.id.step).summoned;
    *count = *count + u32::from(task.waits_summoned()) - u32::from(before);
}

/// The counters of the step that a task belongs to.
fn evolve_step_of_task(run: &mut Run, event: &Event, now: Timestamp) {
    let Event::Task { step, index, from, to, ended, .. } = event else { return };
    let step = run.step_mut(*step);
    *step.tasks.of_mut(*from) -= 1;
    *step.tasks.of_mut(to.status()) += 1;
    // A task that is tried again must not stop its step for what had failed before.
    if from.is_terminal() && to.status() == TaskStatus::Queued {
        step.forgiven = step.tasks.failed;
    }
    if step.tasks.failed == 0 {
        step.first_failure = None;
    }
    if *index == PLAN_INDEX {
        step.plan_failed = matches!(to, TaskState::Failed(_));
        step.plan_succeeded = matches!(to, TaskState::Succeeded);
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
    step.last_activity = Some(now);
    if ended.is_some() && matches!(to, TaskState::Succeeded | TaskState::Failed(_)) {
        step.pace.count(now);
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
        task.tail = Tail::default();
    }
    task.stop = false;
    // Whoever summoned it waits for an end of its own: that its worker went away is none.
    task.summoned &= matches!(to, TaskState::Running { .. }) || *from == TaskStatus::Running && to.status() == TaskStatus::Queued;
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
        task.usage.add(&ended.usage);
        task.history.push((**ended).clone());
    }
    task.ended_at = to.status().is_terminal().then_some(now);
    task.state = to.clone();
}
