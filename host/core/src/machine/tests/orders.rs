//! What a person orders of single tasks, and runs that start paused.

use std::time::Duration;

use super::world::{World, failed, plan, single};
use crate::failure::{CauseSet, FailureFilter};
use crate::id::StepIndex;
use crate::machine::{Rejected, RunCommand, TaskCommand, create};
use crate::plan::{ErrorTolerance, FailureAction, Plan, RetryPolicy};
use crate::run::{RunState, RunStatus, StepStatus};
use crate::task::{AttemptEnd, TaskStatus};

const DONE: AttemptEnd = AttemptEnd::Succeeded;

/// Two steps, one after the other; the first has three tasks, of which the second failed, and the run with it.
fn one_failed() -> World {
    let mut world = World::new(plan(&[&[], &[0]]));
    world.expand(0, 3);
    world.through(0, 1, DONE);
    world.through(0, 2, failed(false));
    world.through(0, 3, DONE);
    assert_eq!((world.status_of_run(), world.step(1)), (RunStatus::Failed, StepStatus::Skipped));
    world
}

#[test]
fn retrying_one_task_opens_its_step_and_what_depends_on_it() {
    let mut world = one_failed();
    world.command(0, 2, TaskCommand::Retry).unwrap();
    assert_eq!(
        (world.status_of_run(), world.step(0), world.step(1)),
        (RunStatus::Running, StepStatus::Running, StepStatus::Blocked)
    );
    world.command(0, 2, TaskCommand::Retry).unwrap();
    world.through(0, 2, DONE);
    world.through(1, 0, DONE);
    assert_eq!(world.run.state, RunState::Succeeded);
    let refused = Err(Rejected::TaskState { state: "succeeded", command: "retried" });
    assert_eq!(world.command(0, 2, TaskCommand::Retry), refused);
}

#[test]
fn skipping_the_last_failure_ends_the_step_well_and_lets_what_depends_on_it_go_on() {
    let mut world = one_failed();
    world.command(0, 2, TaskCommand::Skip).unwrap();
    assert_eq!((world.step(0), world.step(1), world.counts(0).skipped), (StepStatus::Succeeded, StepStatus::Running, 1));
    world.through(1, 0, DONE);
    assert_eq!(world.run.state, RunState::Succeeded);
}

#[test]
fn skipping_one_of_several_failures_changes_no_end() {
    let mut world = World::new(single());
    world.expand(0, 2);
    world.through(0, 1, failed(false));
    world.through(0, 2, failed(false));
    let before = world.events.len();
    world.command(0, 1, TaskCommand::Skip).unwrap();
    assert_eq!((world.events.len(), world.status_of_run()), (before + 1, RunStatus::Failed));
    world.command(0, 2, TaskCommand::Skip).unwrap();
    assert_eq!(world.run.state, RunState::Succeeded);
}

#[test]
fn a_skipped_task_is_no_failure_and_can_be_retried() {
    let mut world = World::new(single());
    world.expand(0, 2);
    world.command(0, 1, TaskCommand::Skip).unwrap();
    assert_eq!(world.claim(0, 1).unwrap_err().to_string(), "the task is skipped: it can't be claimed");
    world.command(0, 1, TaskCommand::Retry).unwrap();
    world.through(0, 1, DONE);
    world.claim(0, 2).unwrap();
    let refused = Err(Rejected::TaskState { state: "running", command: "skipped" });
    assert_eq!(world.command(0, 2, TaskCommand::Skip), refused);
}

#[test]
fn a_waiting_task_is_cancelled_at_once_and_a_running_one_when_its_attempt_ends() {
    let mut world = World::new(Plan { ..single() });
    world.plan.steps[0].retry = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
    world.expand(0, 4);
    world.command(0, 1, TaskCommand::Cancel).unwrap();
    assert_eq!(world.status(0, 1), TaskStatus::Cancelled);
    for (index, end, then) in [
        (2, AttemptEnd::Cancelled, TaskStatus::Cancelled),
        (3, failed(true), TaskStatus::Failed),
        (4, AttemptEnd::Succeeded, TaskStatus::Succeeded),
    ] {
        world.claim(0, index).unwrap();
        world.command(0, index, TaskCommand::Cancel).unwrap();
        assert_eq!((world.status(0, index), world.task(0, index).stop), (TaskStatus::Running, true));
        world.end(0, index, end).unwrap();
        assert_eq!((world.status(0, index), world.task(0, index).stop), (then, false));
    }
    let failure = world.run.steps[0].state.failure().unwrap();
    assert_eq!(failure.message, "1 of 5 tasks failed, 0 tolerated; the first: no luck");
}

#[test]
fn a_cancelled_task_whose_host_dies_does_not_come_back() {
    let mut world = World::new(single());
    world.expand(0, 1);
    world.claim(0, 1).unwrap();
    world.command(0, 1, TaskCommand::Cancel).unwrap();
    world.lose(0, 1).unwrap();
    assert_eq!((world.status(0, 1), world.step(0)), (TaskStatus::Cancelled, StepStatus::Failed));
}

#[test]
fn one_retried_task_is_not_stopped_for_what_failed_before() {
    let tolerance = ErrorTolerance { failure_action: FailureAction::Stop, ..ErrorTolerance::default() };
    let mut world = World::new(Plan { tolerance, ..single() });
    world.expand(0, 3);
    (1..=3).for_each(|index| drop(world.claim(0, index)));
    (1..=3).for_each(|index| world.end(0, index, failed(false)).unwrap());
    assert_eq!((world.status_of_run(), world.counts(0).failed), (RunStatus::Failed, 3));
    world.command(0, 1, TaskCommand::Retry).unwrap();
    world.command(0, 2, TaskCommand::Retry).unwrap();
    assert_eq!((world.step(0), world.run.steps[0].stop), (StepStatus::Running, None));
    world.through(0, 1, failed(false));
    assert!(world.run.steps[0].stop.is_some(), "one failure more stops it as ever");
}

#[test]
fn without_its_plan_a_step_is_not_retried_by_the_task() {
    let mut world = World::new(single());
    world.claim(0, 0).unwrap();
    world.spawn(0, 0, 2).unwrap();
    world.end(0, 0, failed(false)).unwrap();
    world.sweep(10);
    assert_eq!(world.status_of_run(), RunStatus::Failed);
    assert_eq!(world.command(0, 1, TaskCommand::Retry), Err(Rejected::PlanFailed));
    world.command(0, 0, TaskCommand::Retry).unwrap();
    world.command(0, 1, TaskCommand::Retry).unwrap();
    assert_eq!((world.status(0, 1), world.run.steps[0].stop), (TaskStatus::Queued, None));
}

#[test]
fn retrying_one_task_after_a_timeout_does_not_pass_for_the_rest() {
    let mut world = World::new(Plan { timeout: Some(Duration::from_secs(10)), ..plan(&[&[], &[]]) });
    world.expand(0, 1);
    world.claim(0, 1).unwrap();
    world.expand(1, 1);
    world.tick(Duration::from_secs(10));
    world.ask(RunCommand::TimeOut).unwrap();
    world.sweep(10);
    world.end(0, 1, AttemptEnd::Cancelled).unwrap();
    assert_eq!([world.step(0), world.step(1)], [StepStatus::Cancelled; 2]);
    world.command(0, 1, TaskCommand::Retry).unwrap();
    world.through(0, 1, DONE);
    let failure = world.run.state.failure().unwrap();
    assert_eq!(failure.message, "step `step-1` was cancelled before and is not done: retry what failed in the whole run");
}

#[test]
fn a_retry_by_filter_leaves_the_others() {
    let mut world = World::new(single());
    world.expand(0, 3);
    world.through(0, 1, failed(false));
    world.through(0, 2, AttemptEnd::Failed(crate::failure::Failure::new(crate::failure::Cause::Panic, "row 2")));
    world.command(0, 3, TaskCommand::Cancel).unwrap();
    let filter = FailureFilter { causes: CauseSet::from_names(["panic"]).unwrap(), text: Some("row".into()) };
    let command = RunCommand::RetryMatching { step: Some(StepIndex(0)), filter };
    assert_eq!(world.ask(command.clone()), Ok(3), "the run, the step, and the retry itself");
    assert_eq!(world.ask(command), Ok(0));
    world.sweep(10);
    let states = [1, 2, 3].map(|index| world.status(0, index));
    assert_eq!(states, [TaskStatus::Failed, TaskStatus::Queued, TaskStatus::Cancelled]);
    world.through(0, 2, DONE);
    assert_eq!(world.status_of_run(), RunStatus::Failed);
}

#[test]
fn retries_with_different_filters_follow_each_other() {
    let mut world = World::new(single());
    world.expand(0, 1);
    world.through(0, 1, failed(false));
    let filter = |text: &str| FailureFilter { causes: CauseSet::EMPTY, text: Some(text.into()) };
    let ask = |world: &mut World, text: &str| world.ask(RunCommand::RetryMatching { step: None, filter: filter(text) });
    for number in 0..crate::run::MAX_RETRIES_AT_ONCE {
        ask(&mut world, &format!("nothing says {number}")).unwrap();
    }
    assert_eq!(ask(&mut world, "luck"), Err(Rejected::TooManyRetries));
    world.sweep(10);
    ask(&mut world, "luck").unwrap();
    (0..crate::run::MAX_RETRIES_AT_ONCE).for_each(|_| world.sweep(10));
    assert_eq!((world.status(0, 1), world.retry_from(0)), (TaskStatus::Queued, None));
}

#[test]
fn a_run_that_starts_paused_does_one_summoned_task_at_a_time() {
    let mut world = World::new(single());
    let mut run = world.run.clone();
    (run.state, run.steps) = (RunState::Queued, vec![Default::default()]);
    (world.run, world.tasks) = (run, Default::default());
    world.apply(None, create(&world.run, true));
    assert_eq!(world.status_of_run(), RunStatus::Paused);
    assert!(world.claim(0, 0).is_err());
    world.command(0, 0, TaskCommand::Summon).unwrap();
    world.expand(0, 2);
    assert_eq!((world.status_of_run(), world.run.started_at), (RunStatus::Paused, Some(world.now)));
    assert!(world.claim(0, 1).is_err());
    world.command(0, 2, TaskCommand::Summon).unwrap();
    world.through(0, 2, DONE);
    world.ask(RunCommand::Resume).unwrap();
    world.through(0, 1, DONE);
    assert_eq!(world.run.state, RunState::Succeeded);
}

#[test]
fn a_summons_lasts_until_an_attempt_has_come_to_an_end_of_its_own() {
    let mut world = World::new(single());
    world.plan.steps[0].retry = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
    world.expand(0, 2);
    world.through(0, 1, failed(true));
    assert!(world.claim(0, 1).is_err(), "it is not due");
    world.command(0, 1, TaskCommand::Summon).unwrap();
    world.ask(RunCommand::Pause).unwrap();
    for end in [AttemptEnd::Released, AttemptEnd::Cancelled] {
        world.claim(0, 1).unwrap();
        world.end(0, 1, end).unwrap();
        assert_eq!((world.task(0, 1).summoned, world.run.steps[0].summoned), (true, 1));
    }
    world.claim(0, 1).unwrap();
    world.lose(0, 1).unwrap();
    world.claim(0, 1).unwrap();
    world.end(0, 1, failed(true)).unwrap();
    assert_eq!((world.status(0, 1), world.task(0, 1).summoned), (TaskStatus::Retrying, false));
    assert!(world.claim(0, 1).is_err());
}

#[test]
fn an_input_is_edited_only_where_no_attempt_has_it() {
    let mut world = World::new(single());
    world.expand(0, 2);
    let edit = TaskCommand::Edit { by: Some("ops".into()) };
    world.command(0, 1, edit.clone()).unwrap();
    let edited = world.task(0, 1).edited.clone().unwrap();
    assert_eq!((edited.at, edited.by.as_deref()), (world.now, Some("ops")));
    world.claim(0, 1).unwrap();
    assert_eq!(world.command(0, 1, edit.clone()).unwrap_err().to_string(), "the task is running: it can't be edited");
    assert_eq!(world.command(0, 0, edit.clone()), Err(Rejected::NoInput));
    world.end(0, 1, failed(false)).unwrap();
    world.through(0, 2, DONE);
    world.command(0, 1, edit).unwrap();
    assert_eq!(world.status_of_run(), RunStatus::Failed, "an edit alone opens nothing");
}

#[test]
fn nothing_is_ordered_of_a_run_that_was_cancelled() {
    let mut world = World::new(single());
    world.expand(0, 1);
    world.ask(RunCommand::Cancel).unwrap();
    for order in [TaskCommand::Skip, TaskCommand::Summon, TaskCommand::Edit { by: None }] {
        assert_eq!(world.command(0, 1, order), Err(Rejected::Stopping));
    }
    world.command(0, 1, TaskCommand::Cancel).unwrap();
    world.sweep(10);
    let refused = Err(Rejected::RunState { state: "cancelled", command: "retried" });
    assert_eq!(world.command(0, 1, TaskCommand::Retry), refused);
}
