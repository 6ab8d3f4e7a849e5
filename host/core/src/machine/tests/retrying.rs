//! Retrying failed tasks by hand.

use std::time::Duration;

use super::world::{World, failed, plan, single};
use crate::event::Event;
use crate::id::StepIndex;
use crate::machine::{Rejected, RunCommand, TaskCommand};
use crate::plan::{ErrorTolerance, FailureAction, Plan};
use crate::run::{RunState, RunStatus, StepStatus};
use crate::task::{AttemptEnd, QUARANTINE_HOST_DEATHS, TaskStatus};

const DONE: AttemptEnd = AttemptEnd::Succeeded;

#[test]
fn a_failed_run_is_opened_again_with_what_failed_and_what_was_skipped() {
    let mut world = World::new(plan(&[&[], &[0], &[1]]));
    world.expand(0, 2);
    world.through(0, 1, DONE);
    world.through(0, 2, failed(false));
    assert_eq!((world.status_of_run(), world.step(2)), (RunStatus::Failed, StepStatus::Skipped));
    world.ask(RunCommand::RetryFailed).unwrap();
    assert_eq!((world.status_of_run(), world.run.ended_at), (RunStatus::Running, None));
    assert_eq!([world.step(0), world.step(1), world.step(2)], [StepStatus::Running, StepStatus::Blocked, StepStatus::Blocked]);
    world.sweep(10);
    assert_eq!([world.status(0, 1), world.status(0, 2)], [TaskStatus::Succeeded, TaskStatus::Queued]);
    for (step, index) in [(0, 2), (1, 0), (2, 0)] {
        world.through(step, index, DONE);
    }
    assert_eq!(world.run.state, RunState::Succeeded);
}

#[test]
fn a_run_that_succeeded_with_tolerated_failures_can_be_retried() {
    let mut world = World::new(Plan { tolerance: ErrorTolerance { max_child_failures: 1, ..Default::default() }, ..single() });
    world.expand(0, 2);
    world.through(0, 1, failed(false));
    world.through(0, 2, DONE);
    assert_eq!(world.status_of_run(), RunStatus::Succeeded);
    world.ask(RunCommand::RetryFailed).unwrap();
    world.sweep(10);
    world.through(0, 1, DONE);
    assert_eq!((world.status_of_run(), world.counts(0).failed), (RunStatus::Succeeded, 0));
}

#[test]
fn failed_tasks_can_be_retried_while_others_still_run() {
    let mut world = World::new(single());
    world.expand(0, 2);
    world.claim(0, 2).unwrap();
    world.through(0, 1, failed(false));
    world.ask(RunCommand::RetryFailed).unwrap();
    world.end(0, 2, DONE).unwrap();
    assert_eq!(world.step(0), StepStatus::Running, "the sweep has still to come");
    world.sweep(10);
    world.through(0, 1, DONE);
    assert_eq!(world.status_of_run(), RunStatus::Succeeded);
}

#[test]
fn a_retry_forgets_the_failures_before_it() {
    let mut world = World::new(single());
    world.expand(0, 2);
    world.claim(0, 2).unwrap();
    world.through(0, 1, failed(true));
    assert!(world.run.steps[0].first_failure.is_some());
    world.ask(RunCommand::RetryFailed).unwrap();
    world.sweep(10);
    assert_eq!(world.run.steps[0].first_failure, None);
    assert_eq!(world.task(0, 1).failures, 0);
}

#[test]
fn retrying_nothing_does_nothing() {
    let mut world = World::new(single());
    assert_eq!(world.ask(RunCommand::RetryFailed), Ok(0));
    world.through(0, 0, DONE);
    assert_eq!((world.ask(RunCommand::RetryFailed), world.status_of_run()), (Ok(0), RunStatus::Succeeded));
}

#[test]
fn a_cancelled_run_stays_cancelled() {
    let mut world = World::new(single());
    world.ask(RunCommand::Cancel).unwrap();
    assert_eq!(world.ask(RunCommand::RetryFailed), Err(Rejected::Stopping));
    world.sweep(10);
    let refused = Err(Rejected::RunState { state: "cancelled", command: "retried" });
    assert_eq!(world.ask(RunCommand::RetryFailed), refused);
}

#[test]
fn a_large_step_is_swept_in_pieces() {
    let mut world = World::new(single());
    world.expand(0, 5);
    for index in 1..=5 {
        world.through(0, index, failed(false));
    }
    world.ask(RunCommand::RetryFailed).unwrap();
    world.sweep(2);
    assert_eq!((world.counts(0).queued, world.retry_from(0)), (2, Some(3)));
    // What fails meanwhile behind the sweep stays failed.
    world.through(0, 1, failed(false));
    world.sweep(2);
    world.sweep(2);
    assert_eq!((world.counts(0).queued, world.counts(0).failed, world.retry_from(0)), (4, 1, None));
}

#[test]
fn a_quarantined_task_gets_all_its_lives_back() {
    let mut world = World::new(single());
    for _ in 0..QUARANTINE_HOST_DEATHS {
        world.claim(0, 0).unwrap();
        world.lose(0, 0).unwrap();
    }
    world.ask(RunCommand::RetryFailed).unwrap();
    world.sweep(10);
    world.claim(0, 0).unwrap();
    world.lose(0, 0).unwrap();
    assert_eq!(world.status(0, 0), TaskStatus::Queued);
}

fn stopped() -> World {
    let tolerance = ErrorTolerance { max_child_failures: 0, failure_action: FailureAction::Stop, ..ErrorTolerance::default() };
    let mut world = World::new(Plan { tolerance, ..single() });
    world.expand(0, 3);
    world.through(0, 1, failed(false));
    world.sweep(10);
    assert_eq!((world.status_of_run(), world.counts(0).cancelled), (RunStatus::Failed, 2));
    world
}

#[test]
fn tasks_that_were_cancelled_because_their_step_was_stopped_are_retried_with_it() {
    let mut world = stopped();
    world.ask(RunCommand::RetryFailed).unwrap();
    world.sweep(10);
    for index in 1..=3 {
        world.through(0, index, DONE);
    }
    assert_eq!((world.status_of_run(), world.counts(0).succeeded), (RunStatus::Succeeded, 4));
}

#[test]
fn a_step_does_not_succeed_with_cancelled_tasks_undone() {
    let mut world = stopped();
    world.ask(RunCommand::RetryFailed).unwrap();
    // A sweep that looks at dead letters only.
    world.command(0, 1, TaskCommand::SweepRetry).unwrap();
    world.apply(None, vec![Event::StepRetrying { step: StepIndex(0), filter: None, next: None }]);
    world.through(0, 1, DONE);
    let failure = world.run.steps[0].state.failure().unwrap();
    assert_eq!(failure.to_string(), "cancelled: 2 of 4 tasks were cancelled and are not done: retry them, or skip them");
    assert_eq!(world.status_of_run(), RunStatus::Failed);
}

#[test]
fn a_run_that_timed_out_gets_its_whole_timeout_again() {
    let mut world = World::new(Plan { timeout: Some(Duration::from_secs(10)), ..plan(&[&[], &[0]]) });
    world.expand(0, 1);
    world.claim(0, 1).unwrap();
    world.tick(Duration::from_secs(10));
    world.ask(RunCommand::TimeOut).unwrap();
    world.end(0, 1, AttemptEnd::Cancelled).unwrap();
    assert_eq!(world.status_of_run(), RunStatus::Failed);

    world.tick(Duration::from_secs(3600));
    world.ask(RunCommand::RetryFailed).unwrap();
    assert_eq!(world.ask(RunCommand::TimeOut), Ok(0), "the time before the retry does not count");
    world.sweep(10);
    world.through(0, 1, DONE);
    world.through(1, 0, DONE);
    assert_eq!(world.status_of_run(), RunStatus::Succeeded);
}
