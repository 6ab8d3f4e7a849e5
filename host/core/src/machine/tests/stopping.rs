//! Cancelling, pausing and timing out.

use std::time::Duration;

use super::world::{World, failed, plan, single};
use crate::failure::Cause;
use crate::machine::{Rejected, RunCommand};
use crate::plan::Plan;
use crate::run::{RunState, RunStatus, StepStatus, StopReason};
use crate::task::{AttemptEnd, TaskStatus};

#[test]
fn cancelling_ends_what_waits_and_then_what_runs() {
    let mut world = World::new(plan(&[&[], &[0]]));
    world.expand(0, 2);
    world.claim(0, 1).unwrap();
    world.ask(RunCommand::Cancel).unwrap();
    assert_eq!((world.step(0), world.step(1)), (StepStatus::Running, StepStatus::Cancelled));
    assert_eq!(world.claim(0, 2), Err(Rejected::Stopping));
    world.sweep(10);
    assert_eq!((world.status(0, 2), world.status_of_run()), (TaskStatus::Cancelled, RunStatus::Running));
    world.end(0, 1, AttemptEnd::Cancelled).unwrap();
    assert_eq!((world.step(0), world.run.state.clone()), (StepStatus::Cancelled, RunState::Cancelled));
}

#[test]
fn cancelling_twice_is_cancelling_once() {
    let mut world = World::new(single());
    world.claim(0, 0).unwrap();
    assert_eq!(world.ask(RunCommand::Cancel), Ok(1));
    assert_eq!(world.ask(RunCommand::Cancel), Ok(0));
    world.end(0, 0, AttemptEnd::Cancelled).unwrap();
    assert_eq!((world.ask(RunCommand::Cancel), world.status_of_run()), (Ok(0), RunStatus::Cancelled));
}

#[test]
fn a_run_that_nobody_claimed_can_be_cancelled() {
    let mut world = World::new(single());
    world.ask(RunCommand::Cancel).unwrap();
    world.sweep(10);
    assert_eq!((world.status_of_run(), world.run.started_at), (RunStatus::Cancelled, None));
}

#[test]
fn failures_while_a_run_is_cancelled_are_not_retried() {
    let mut plan = single();
    plan.steps[0].retry.attempts = 5;
    let mut world = World::new(plan);
    world.claim(0, 0).unwrap();
    world.ask(RunCommand::Cancel).unwrap();
    world.end(0, 0, failed(true)).unwrap();
    assert_eq!((world.status(0, 0), world.status_of_run()), (TaskStatus::Failed, RunStatus::Cancelled));
}

#[test]
fn a_lost_worker_of_a_cancelled_run_ends_its_task() {
    let mut world = World::new(single());
    world.claim(0, 0).unwrap();
    world.ask(RunCommand::Cancel).unwrap();
    world.lose(0, 0).unwrap();
    assert_eq!(world.status_of_run(), RunStatus::Cancelled);
}

#[test]
fn an_ended_run_can_be_neither_cancelled_nor_paused_nor_resumed() {
    let mut world = World::new(single());
    world.through(0, 0, AttemptEnd::Succeeded);
    for (command, participle) in
        [(RunCommand::Cancel, "cancelled"), (RunCommand::Pause, "paused"), (RunCommand::Resume, "resumed")]
    {
        assert_eq!(world.ask(command), Err(Rejected::RunState { state: "succeeded", command: participle }));
    }
    assert_eq!(world.ask(RunCommand::TimeOut), Ok(0));
}

#[test]
fn a_paused_run_lets_tasks_end_and_starts_none() {
    let mut world = World::new(single());
    world.expand(0, 2);
    world.claim(0, 1).unwrap();
    world.ask(RunCommand::Pause).unwrap();
    assert_eq!(world.ask(RunCommand::Pause), Ok(0));
    assert_eq!(world.claim(0, 2), Err(Rejected::RunState { state: "paused", command: "given to a worker" }));
    world.end(0, 1, AttemptEnd::Succeeded).unwrap();
    assert_eq!(world.status_of_run(), RunStatus::Paused);
    world.ask(RunCommand::Resume).unwrap();
    world.through(0, 2, AttemptEnd::Succeeded);
    assert_eq!(world.status_of_run(), RunStatus::Succeeded);
}

#[test]
fn a_run_that_was_paused_before_its_first_claim_is_queued_again() {
    let mut world = World::new(single());
    world.ask(RunCommand::Pause).unwrap();
    world.ask(RunCommand::Resume).unwrap();
    assert_eq!(world.status_of_run(), RunStatus::Queued);
}

#[test]
fn a_paused_run_can_be_cancelled_and_then_not_resumed() {
    let mut world = World::new(single());
    world.ask(RunCommand::Pause).unwrap();
    world.ask(RunCommand::Cancel).unwrap();
    assert_eq!(world.ask(RunCommand::Resume), Err(Rejected::Stopping));
    world.sweep(10);
    assert_eq!(world.status_of_run(), RunStatus::Cancelled);
}

fn limited() -> World {
    World::new(Plan { timeout: Some(Duration::from_secs(10)), ..plan(&[&[], &[0]]) })
}

#[test]
fn a_run_times_out_after_its_timeout_and_not_before() {
    let mut world = limited();
    world.tick(Duration::from_secs(3600));
    assert_eq!(world.ask(RunCommand::TimeOut), Ok(0), "waiting for the first claim does not count");
    world.claim(0, 0).unwrap();
    world.tick(Duration::from_millis(9_999));
    assert_eq!(world.ask(RunCommand::TimeOut), Ok(0));
    world.tick(Duration::from_millis(1));
    assert_eq!(world.ask(RunCommand::TimeOut), Ok(1));
    assert_eq!(world.ask(RunCommand::TimeOut), Ok(0));
    assert_eq!(world.run.stop, Some(StopReason::TimedOut));
    world.end(0, 0, AttemptEnd::Cancelled).unwrap();
    let RunState::Failed(failure) = &world.run.state else { panic!("{:?}", world.run.state) };
    assert_eq!((failure.cause, failure.message.as_str()), (Cause::TimedOut, "the run took longer than its timeout of 10s"));
    assert_eq!([world.step(0), world.step(1)], [StepStatus::Cancelled, StepStatus::Cancelled]);
}

#[test]
fn a_run_without_a_timeout_never_times_out() {
    let mut world = World::new(single());
    world.claim(0, 0).unwrap();
    world.tick(Duration::from_secs(1 << 40));
    assert_eq!(world.ask(RunCommand::TimeOut), Ok(0));
}
