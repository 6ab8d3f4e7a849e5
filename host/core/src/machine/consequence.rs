//! What follows by itself: steps that settle, start or are skipped, and the end of the run.

use super::run::step_index;
use crate::event::Event;
use crate::failure::{Cause, Failure};
use crate::id::StepIndex;
use crate::plan::{FailureAction, OnError, Plan};
use crate::run::{Run, RunState, Step, StepState, StepStatus, StopReason};

/// The next event that follows from the records alone, if any. Ask again after applying it, until there is none.
pub fn consequence(run: &Run, plan: &Plan) -> Option<Event> {
    if run.state.is_terminal() {
        return None;
    }
    let mut open = false;
    for (index, step) in run.steps.iter().enumerate() {
        let index = step_index(index);
        let event = match step.state.status() {
            StepStatus::Blocked => start_or_skip(run, plan, index),
            StepStatus::Running => settle(run, plan, index),
            StepStatus::Succeeded | StepStatus::Failed | StepStatus::Cancelled | StepStatus::Skipped => continue,
        };
        if event.is_some() {
            return event;
        }
        open = true;
    }
    (!open).then(|| Event::Run { from: run.state.status(), to: outcome(run, plan) })
}

/// A blocked step: starts when everything that it depends on ended well, and is skipped when something did not.
fn start_or_skip(run: &Run, plan: &Plan, index: StepIndex) -> Option<Event> {
    let change = |to| Some(Event::Step { step: index, from: StepStatus::Blocked, to });
    if run.stop.is_some() {
        return change(StepState::Cancelled);
    }
    let mut ready = true;
    for &dependency in &plan.step(index).depends {
        match run.step(dependency).state.status() {
            StepStatus::Succeeded => {}
            StepStatus::Failed if plan.step(dependency).on_error == OnError::Continue => {}
            StepStatus::Failed | StepStatus::Cancelled | StepStatus::Skipped => return change(StepState::Skipped),
            StepStatus::Blocked | StepStatus::Running => ready = false,
        }
    }
    if ready { change(StepState::Running) } else { None }
}

/// A running step: gets its `plan` task when it starts, stops when it can't succeed, ends when no task of it is live.
fn settle(run: &Run, plan: &Plan, index: StepIndex) -> Option<Event> {
    let step = run.step(index);
    if step.spawned == 0 {
        return Some(Event::TasksCreated { step: index, first: 0, count: 1, parent: None });
    }
    if step.stop.is_none() {
        if let Some(reason) = run.stop {
            return Some(Event::StepStopping { step: index, reason });
        }
        let exceeds = || exceeds(step, plan, false) && step.tasks.failed > step.forgiven;
        let stops = step.plan_failed || plan.tolerance.failure_action == FailureAction::Stop && exceeds();
        if stops && step.retries.is_empty() && step.tasks.live() > 0 {
            return Some(Event::StepStopping { step: index, reason: StopReason::Failed });
        }
    }
    if step.tasks.live() > 0 || (!step.retries.is_empty() && step.stop.is_none()) {
        return None;
    }
    let to = match step.stop {
        Some(StopReason::Cancelled | StopReason::TimedOut) => StepState::Cancelled,
        _ if step.plan_failed || exceeds(step, plan, true) => StepState::Failed(step_failure(step, plan)),
        // By hand, or when the step was stopped once, before a retry opened it again.
        _ if step.tasks.cancelled > 0 => StepState::Failed(left_undone(step)),
        _ => StepState::Succeeded,
    };
    Some(Event::Step { step: index, from: StepStatus::Running, to })
}

/// Whether a step whose tasks have all ended ends well.
pub(super) fn is_good(step: &Step, plan: &Plan) -> bool {
    step.tasks.live() == 0 && !step.plan_failed && step.tasks.cancelled == 0 && !exceeds(step, plan, true)
}

/// Whether more tasks failed than the step bears, at its end or before it.
fn exceeds(step: &Step, plan: &Plan, at_end: bool) -> bool {
    let (failed, ended) = (step.tasks.failed, rated(step));
    let by_rate =
        |rate: f64| (at_end || ended >= plan.tolerance.rate_from) && f64::from(failed) > rate * f64::from(ended) + ROUNDING;
    failed > plan.tolerance.max_child_failures || plan.tolerance.max_child_failure_rate.is_some_and(by_rate)
}

/// What a product of a rate and a number of tasks may be off by: 0.29 × 100 is a little less than 29.
const ROUNDING: f64 = 1e-6;

/// The tasks that a rate of failures is of.
fn rated(step: &Step) -> u32 {
    step.tasks.succeeded + step.tasks.failed - u32::from(step.plan_succeeded)
}

/// Why a step failed: the cause of its first failed task, and how many there are.
fn step_failure(step: &Step, plan: &Plan) -> Failure {
    let first = step.first_failure.clone().unwrap_or_else(|| Failure::new(Cause::HostFault, "a task failed before this record"));
    let (failed, borne) = (step.tasks.failed, plan.tolerance.max_child_failures);
    let message = match plan.tolerance.max_child_failure_rate {
        _ if step.plan_failed => format!("the step's plan failed: {}", first.message),
        Some(rate) if failed <= borne => {
            let ended = rated(step);
            let share = f64::from(failed) * 100.0 / f64::from(ended.max(1));
            let rate = (rate * 10_000.0).round() / 100.0;
            format!("{failed} of {ended} tasks failed ({share:.1}%), {rate}% tolerated; the first: {}", first.message)
        }
        _ => format!("{failed} of {} tasks failed, {borne} tolerated; the first: {}", step.tasks.total(), first.message),
    };
    Failure::new(first.cause, message)
}

/// Why a step failed whose tasks did not.
fn left_undone(step: &Step) -> Failure {
    let (cancelled, total) = (step.tasks.cancelled, step.tasks.total());
    Failure::new(
        Cause::Cancelled,
        format!("{cancelled} of {total} tasks were cancelled and are not done: retry them, or skip them"),
    )
}

/// How a run whose steps have all ended ends.
fn outcome(run: &Run, plan: &Plan) -> RunState {
    match run.stop {
        Some(StopReason::Cancelled) => return RunState::Cancelled,
        Some(StopReason::TimedOut) => {
            let timeout = plan.timeout.unwrap_or_default();
            return RunState::Failed(Failure::new(
                Cause::TimedOut,
                format!("the run took longer than its timeout of {timeout:?}"),
            ));
        }
        Some(StopReason::Failed) | None => {}
    }
    let failed = run.steps.iter().zip(&plan.steps).find_map(|(step, plan)| match (&step.state, plan.on_error) {
        (StepState::Failed(failure), OnError::Fail) => Some((plan, failure)),
        _ => None,
    });
    // It was cancelled when the run was stopped; since then the run was opened again for other steps.
    let undone = run.steps.iter().zip(&plan.steps).find(|(step, _)| step.state == StepState::Cancelled);
    match (failed, undone) {
        (Some((step, failure)), _) => {
            RunState::Failed(Failure::new(failure.cause, format!("step `{}`: {}", step.name, failure.message)))
        }
        (None, Some((_, step))) => {
            let message =
                format!("step `{}` was cancelled before and is not done: retry what failed in the whole run", step.name);
            RunState::Failed(Failure::new(Cause::Cancelled, message))
        }
        (None, None) => RunState::Succeeded,
    }
}
