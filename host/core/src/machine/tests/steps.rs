//! How steps start, end and decide the run.

use super::world::{World, failed, plan, single};
use crate::failure::Cause;
use crate::plan::{ErrorTolerance, FailureAction, OnError, Plan};
use crate::run::{RunState, RunStatus, StepStatus};
use crate::task::{AttemptEnd, TaskStatus};

const DONE: AttemptEnd = AttemptEnd::Succeeded;

fn tolerating(max_child_failures: u32, failure_action: FailureAction) -> Plan {
    Plan { tolerance: ErrorTolerance { max_child_failures, failure_action, ..ErrorTolerance::default() }, ..single() }
}

#[test]
fn steps_start_when_all_that_they_depend_on_ended_well() {
    let mut world = World::new(plan(&[&[], &[], &[0, 1]]));
    assert_eq!([world.step(0), world.step(1), world.step(2)], [StepStatus::Running, StepStatus::Running, StepStatus::Blocked]);
    world.through(0, 0, DONE);
    assert_eq!(world.step(2), StepStatus::Blocked);
    world.through(1, 0, DONE);
    assert_eq!(world.step(2), StepStatus::Running);
    world.through(2, 0, DONE);
    assert_eq!(world.run.state, RunState::Succeeded);
    assert_eq!(world.run.ended_at, Some(world.now));
}

#[test]
fn a_step_that_spawns_nothing_is_done_with_its_plan() {
    let mut world = World::new(single());
    world.expand(0, 0);
    assert_eq!(world.status_of_run(), RunStatus::Succeeded);
}

#[test]
fn a_step_succeeds_with_as_many_failures_as_it_bears() {
    let mut world = World::new(tolerating(2, FailureAction::Continue));
    world.expand(0, 3);
    world.through(0, 1, failed(false));
    world.through(0, 2, failed(false));
    world.through(0, 3, DONE);
    assert_eq!((world.step(0), world.status_of_run(), world.counts(0).failed), (StepStatus::Succeeded, RunStatus::Succeeded, 2));
}

#[test]
fn with_continue_the_other_tasks_go_on_and_the_step_fails_in_the_end() {
    let mut world = World::new(tolerating(0, FailureAction::Continue));
    world.expand(0, 3);
    world.through(0, 1, failed(false));
    assert_eq!(world.step(0), StepStatus::Running);
    world.through(0, 2, DONE);
    world.through(0, 3, DONE);
    let RunState::Failed(failure) = &world.run.state else { panic!("{:?}", world.run.state) };
    assert_eq!(failure.cause, Cause::PluginError { retryable: false });
    assert_eq!(failure.message, "step `step-0`: 1 of 4 tasks failed, 0 tolerated; the first: no luck");
}

#[test]
fn with_stop_the_other_tasks_are_cancelled() {
    let mut world = World::new(tolerating(1, FailureAction::Stop));
    world.expand(0, 4);
    world.claim(0, 4).unwrap();
    world.through(0, 1, failed(false));
    assert_eq!(world.run.steps[0].stop, None, "one failure is borne");
    world.through(0, 2, failed(false));
    assert!(world.claim(0, 3).is_err(), "a stopping step hands out nothing");
    world.sweep(10);
    assert_eq!((world.status(0, 3), world.step(0)), (TaskStatus::Cancelled, StepStatus::Running), "one task still runs");
    world.end(0, 4, AttemptEnd::Cancelled).unwrap();
    assert_eq!((world.status(0, 4), world.status_of_run()), (TaskStatus::Cancelled, RunStatus::Failed));
}

#[test]
fn a_task_that_ends_well_while_its_step_is_stopped_has_ended_well() {
    let mut world = World::new(tolerating(0, FailureAction::Stop));
    world.expand(0, 2);
    world.claim(0, 2).unwrap();
    world.through(0, 1, failed(false));
    world.end(0, 2, DONE).unwrap();
    assert_eq!((world.status(0, 2), world.step(0)), (TaskStatus::Succeeded, StepStatus::Failed));
}

#[test]
fn a_failed_plan_fails_its_step_whatever_is_tolerated() {
    let mut world = World::new(tolerating(100, FailureAction::Continue));
    world.claim(0, 0).unwrap();
    world.spawn(0, 0, 2).unwrap();
    world.through(0, 1, failed(false));
    world.end(0, 0, AttemptEnd::Failed(crate::failure::Failure::new(Cause::Panic, "index out of bounds"))).unwrap();
    world.sweep(10);
    assert_eq!((world.status(0, 2), world.step(0)), (TaskStatus::Cancelled, StepStatus::Failed));
    let failure = world.run.steps[0].state.failure().unwrap();
    assert_eq!((failure.cause, failure.message.as_str()), (Cause::Panic, "the step's plan failed: index out of bounds"));
}

#[test]
fn a_failed_step_skips_all_that_depends_on_it() {
    let mut world = World::new(plan(&[&[], &[0], &[1], &[]]));
    world.through(0, 0, failed(false));
    assert_eq!([world.step(1), world.step(2), world.step(3)], [StepStatus::Skipped, StepStatus::Skipped, StepStatus::Running]);
    world.through(3, 0, DONE);
    assert_eq!(world.status_of_run(), RunStatus::Failed);
}

#[test]
fn with_on_error_continue_dependents_run_and_the_run_may_succeed() {
    let mut plan = plan(&[&[], &[0]]);
    plan.steps[0].on_error = OnError::Continue;
    let mut world = World::new(plan);
    world.through(0, 0, failed(false));
    assert_eq!([world.step(0), world.step(1)], [StepStatus::Failed, StepStatus::Running]);
    world.through(1, 0, DONE);
    assert_eq!(world.status_of_run(), RunStatus::Succeeded);
}

#[test]
fn a_rate_of_failures_stops_a_step_once_enough_tasks_have_ended() {
    let tolerance = ErrorTolerance {
        max_child_failures: u32::MAX,
        max_child_failure_rate: Some(0.25),
        rate_from: 4,
        failure_action: FailureAction::Stop,
    };
    let mut world = World::new(Plan { tolerance, ..single() });
    world.expand(0, 8);
    let fail = || failed(false);
    // Two of three are too many, and too few to tell; the `plan` is none of them.
    world.through(0, 1, fail());
    world.through(0, 2, AttemptEnd::Succeeded);
    world.through(0, 3, AttemptEnd::Succeeded);
    world.through(0, 4, AttemptEnd::Succeeded);
    assert_eq!(world.run.steps[0].stop, None, "one of four is a quarter");
    world.through(0, 5, fail());
    assert!(world.run.steps[0].stop.is_some());
    world.sweep(10);
    let failure = world.run.steps[0].state.failure().unwrap();
    assert_eq!(failure.message, "2 of 5 tasks failed (40.0%), 25% tolerated; the first: no luck");
}

#[test]
fn at_a_steps_end_its_rate_counts_however_few_there_were() {
    let tolerance =
        ErrorTolerance { max_child_failures: u32::MAX, max_child_failure_rate: Some(0.4), ..ErrorTolerance::default() };
    for (failures, ends) in [(1, RunStatus::Succeeded), (2, RunStatus::Failed)] {
        let mut world = World::new(Plan { tolerance, ..single() });
        world.expand(0, 3);
        for index in 1..=3 {
            let end = if index <= failures { failed(false) } else { AttemptEnd::Succeeded };
            world.through(0, index, end);
        }
        assert_eq!(world.status_of_run(), ends);
    }
}
