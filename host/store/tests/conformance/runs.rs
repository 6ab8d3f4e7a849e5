//! Whole runs: how they go, how they are commanded, how they are found.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::event::Event;
use bulkhead_core::failure::Cause;
use bulkhead_core::id::{Digest, RunId, TaskId};
use bulkhead_core::machine::{Rejected, RunCommand};
use bulkhead_core::plan::{ErrorTolerance, FailureAction};
use bulkhead_core::run::{RunStatus, StepState, StepStatus};
use bulkhead_core::task::{AttemptEnd, TaskStatus};
use bulkhead_engine::store::{Idempotency, NewRun, RunFilter, StoreError};

use crate::fixture::{FIRST, Fixture, SECOND, name, one_step, plan};

pub(crate) async fn a_run_goes_from_its_plan_task_to_its_end(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Queued);
    let plan_task = f.claim_one().await;
    assert_eq!((plan_task.task, plan_task.attempt), (TaskId::new(run, FIRST, 0), 1));
    assert_eq!((&*plan_task.input, &*plan_task.parameters), ("", r#"{"n":1}"#));
    assert_eq!(f.get(run).await.state.status(), RunStatus::Running);
    f.spawn(&plan_task, &["a", "b"]).await.unwrap();
    f.succeed(&plan_task).await;
    let tasks = f.claim(10).await;
    assert_eq!(tasks.iter().map(|task| &*task.key).collect::<Vec<_>>(), ["a", "b"]);
    for task in &tasks {
        f.succeed(task).await;
    }
    let view = f.store().run(run).await.unwrap();
    assert_eq!(view.run.state.status(), RunStatus::Succeeded);
    assert_eq!(view.run.tasks().succeeded, 3);
    assert_eq!(view.plan.steps[0].name.as_str(), "only");
    let statistics = f.store().statistics().await.unwrap();
    assert_eq!((statistics.runs[3], statistics.tasks[3], statistics.attempts, statistics.fuel), (1, 3, 3, 30));
    assert_eq!(statistics.oldest_due, None);
}

pub(crate) async fn steps_wait_for_what_they_depend_on(f: &mut Fixture) {
    let mut plan = plan(&["one", "two"]);
    plan.steps[1].depends = vec![FIRST];
    let run = f.create(plan).await;
    let first = f.claim(10).await;
    assert_eq!(first.len(), 1);
    f.succeed(&first[0]).await;
    let second = f.claim_one().await;
    assert_eq!(second.task.step, SECOND);
    f.succeed(&second).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Succeeded);
}

pub(crate) async fn a_failed_step_makes_what_depends_on_it_skip(f: &mut Fixture) {
    let mut plan = plan(&["one", "two"]);
    plan.steps[1].depends = vec![FIRST];
    let run = f.create(plan).await;
    assert_eq!(f.fail(&f.claim_one().await, Cause::Panic).await, TaskStatus::Failed);
    let run = f.get(run).await;
    assert_eq!(run.state.failure().unwrap().cause, Cause::Panic);
    assert_eq!(run.step(SECOND).state, StepState::Skipped);
}

pub(crate) async fn a_failure_that_the_step_bears_does_not_fail_it(f: &mut Fixture) {
    let mut plan = plan(&["only"]);
    plan.tolerance.max_child_failures = 1;
    let run = f.spawned(plan, &["a", "b"]).await;
    let tasks = f.claim(10).await;
    f.fail(&tasks[0], Cause::Panic).await;
    f.succeed(&tasks[1]).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Succeeded);
}

pub(crate) async fn an_idempotency_key_creates_one_run(f: &mut Fixture) {
    let request = |key: &str, digest| Some(Idempotency { key: key.into(), request: Digest::from_bytes([digest; 32]) });
    let first = f.store().create_run(NewRun { idempotency: request("k", 1), ..f.new_run(plan(&["only"])) }).await.unwrap();
    let second = f.store().create_run(NewRun { idempotency: request("k", 1), ..f.new_run(plan(&["only"])) }).await.unwrap();
    assert_eq!((first.existing, second.existing, second.run.id), (false, true, first.run.id));
    let other = f.store().create_run(NewRun { idempotency: request("k", 2), ..f.new_run(plan(&["only"])) }).await;
    assert!(matches!(other, Err(StoreError::Conflict(_))), "{other:?}");
    assert_eq!(f.store().statistics().await.unwrap().runs[0], 1);
    let same_id = f.store().create_run(NewRun { id: first.run.id, ..f.new_run(plan(&["only"])) }).await;
    assert!(matches!(same_id, Err(StoreError::Conflict(_))));
}

pub(crate) async fn an_idempotency_key_is_forgotten_after_a_day(f: &mut Fixture) {
    let idempotency = Some(Idempotency { key: "k".into(), request: Digest::from_bytes([1; 32]) });
    let new = |f: &Fixture| NewRun { idempotency: idempotency.clone(), ..f.new_run(plan(&["only"])) };
    let first = f.store().create_run(new(f)).await.unwrap().run.id;
    f.clock.advance(Duration::from_secs(24 * 3600));
    f.housekeep().await;
    let second = f.store().create_run(new(f)).await.unwrap();
    assert!(!second.existing && second.run.id != first);
    f.recount().await;
}

pub(crate) async fn a_paused_run_gives_no_tasks_until_it_is_resumed(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b"]).await;
    let running = f.claim_one().await;
    assert_eq!(f.command(run, RunCommand::Pause).await.state.status(), RunStatus::Paused);
    assert!(f.claim(10).await.is_empty());
    f.succeed(&running).await;
    assert!(f.claim(10).await.is_empty());
    let mut work = f.store().work_signal();
    f.command(run, RunCommand::Resume).await;
    work.wait().await;
    f.succeed(&f.claim_one().await).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Succeeded);
}

pub(crate) async fn a_cancelled_run_ends_when_its_attempts_have(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b", "c"]).await;
    let running = f.claim_one().await;
    let mut revoked = f.store().revocation_signal(f.worker);
    f.command(run, RunCommand::Cancel).await;
    revoked.wait().await;
    assert_eq!(f.store().take_revoked(f.worker).await.unwrap(), [running.task]);
    assert_eq!(f.store().take_revoked(f.worker).await.unwrap(), []);
    assert!(f.claim(10).await.is_empty());
    f.housekeep().await;
    assert_eq!(f.get(run).await.tasks().cancelled, 2);
    assert_eq!(f.end(&running, AttemptEnd::Cancelled).await.unwrap(), TaskStatus::Cancelled);
    let run = f.get(run).await;
    assert_eq!((run.state.status(), run.step(FIRST).state.status()), (RunStatus::Cancelled, StepStatus::Cancelled));
}

pub(crate) async fn cancelling_a_large_run_takes_several_pieces(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    let plan_task = f.claim_one().await;
    let keys: Vec<String> = (0..5_000).map(|key| format!("k{key}")).collect();
    f.spawn(&plan_task, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    f.command(run, RunCommand::Cancel).await;
    f.end(&plan_task, AttemptEnd::Cancelled).await.unwrap();
    assert!(f.store().housekeep(Default::default()).await.unwrap().again);
    f.recount().await;
    f.reopen();
    assert!(f.housekeep().await >= 2);
    let run = f.get(run).await;
    assert_eq!((run.state.status(), run.tasks().cancelled), (RunStatus::Cancelled, 5_001));
}

pub(crate) async fn failed_tasks_are_retried_by_hand(f: &mut Fixture) {
    let mut plan = plan(&["one", "two"]);
    plan.steps[1].depends = vec![FIRST];
    let run = f.spawned(plan, &["a", "b"]).await;
    for task in f.claim(10).await {
        f.fail(&task, Cause::OutOfFuel).await;
    }
    assert_eq!(f.get(run).await.state.status(), RunStatus::Failed);
    assert_eq!(f.command(run, RunCommand::RetryFailed).await.state.status(), RunStatus::Running);
    f.housekeep().await;
    f.recount().await;
    let tasks = f.claim(10).await;
    assert_eq!(tasks.iter().map(|task| task.attempt).collect::<Vec<_>>(), [2, 2]);
    for task in &tasks {
        f.succeed(task).await;
    }
    f.succeed(&f.claim_one().await).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Succeeded);
}

pub(crate) async fn failed_tasks_are_retried_while_others_run(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b"]).await;
    let tasks = f.claim(10).await;
    f.fail(&tasks[0], Cause::OutOfFuel).await;
    f.command(run, RunCommand::RetryFailed).await;
    f.succeed(&tasks[1]).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Running);
    f.housekeep().await;
    f.succeed(&f.claim_one().await).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Succeeded);
}

pub(crate) async fn a_run_past_its_timeout_is_stopped(f: &mut Fixture) {
    let mut plan = plan(&["only"]);
    plan.timeout = Some(Duration::from_secs(10));
    let run = f.create(plan).await;
    let task = f.claim_one().await;
    f.clock.advance(Duration::from_secs(9));
    let due = f.store().housekeep(Default::default()).await.unwrap().next_due.unwrap();
    assert_eq!(due.since(f.clock.now()), Duration::from_secs(1));
    f.clock.advance(Duration::from_secs(1));
    f.housekeep().await;
    assert_eq!(f.store().take_revoked(f.worker).await.unwrap(), [task.task]);
    f.end(&task, AttemptEnd::Cancelled).await.unwrap();
    assert_eq!(f.get(run).await.state.failure().unwrap().cause, Cause::TimedOut);
}

pub(crate) async fn a_step_with_too_many_failures_stops_where_the_plan_says_so(f: &mut Fixture) {
    let mut plan = plan(&["only"]);
    plan.tolerance = ErrorTolerance { max_child_failures: 0, failure_action: FailureAction::Stop, ..ErrorTolerance::default() };
    let run = f.spawned(plan, &["a", "b", "c"]).await;
    let running = f.claim(2).await;
    f.fail(&running[0], Cause::Panic).await;
    assert_eq!(f.store().take_revoked(f.worker).await.unwrap(), [running[1].task]);
    f.end(&running[1], AttemptEnd::Cancelled).await.unwrap();
    f.housekeep().await;
    let run = f.get(run).await;
    assert_eq!((run.state.status(), run.tasks().cancelled), (RunStatus::Failed, 2));
}

pub(crate) async fn runs_are_listed_newest_first_and_filtered(f: &mut Fixture) {
    let mut runs: Vec<RunId> = Vec::new();
    for number in 0..5 {
        let mut plan = plan(&["only"]);
        plan.definition = name(if number % 2 == 0 { "even" } else { "odd" });
        runs.push(f.create(plan).await);
        f.clock.advance(Duration::from_secs(1));
    }
    runs.reverse();
    let list = async |filter, before, limit| {
        let runs = f.store().runs(filter, before, limit).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(list(RunFilter::default(), None, 10).await, runs);
    assert_eq!(list(RunFilter::default(), None, 2).await, runs[..2]);
    assert_eq!(list(RunFilter::default(), Some(runs[1]), 2).await, runs[2..4]);
    assert_eq!(list(RunFilter { definition: Some(name("odd")), ..RunFilter::default() }, None, 10).await, [runs[1], runs[3]]);
    f.command(runs[2], RunCommand::Pause).await;
    assert_eq!(list(RunFilter { statuses: vec![RunStatus::Paused], ..RunFilter::default() }, None, 10).await, [runs[2]]);
    let created = f.get(runs[2]).await.created_at;
    let since = RunFilter { since: Some(created), ..RunFilter::default() };
    assert_eq!(list(since, None, 10).await, runs[..3]);
    let until = RunFilter { until: Some(created), ..RunFilter::default() };
    assert_eq!(list(until, None, 10).await, runs[3..]);
}

pub(crate) async fn events_tell_everything_without_a_gap(f: &mut Fixture) {
    let mut signal = f.store().event_signal();
    let run = f.spawned(plan(&["only"]), &["a"]).await;
    signal.wait().await;
    f.fail(&f.claim_one().await, Cause::Panic).await;
    let last = f.store().last_event().await.unwrap();
    let events = f.store().events(0, 1_000).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event.run == Some(run)));
    assert_eq!(events[0].event, Event::RunCreated);
    assert!(matches!(&events.last().unwrap().event, Event::Run { to, .. } if to.status() == RunStatus::Failed));
    for after in 0..=last {
        let page = f.store().events(after, 2).await.unwrap();
        assert_eq!(page, events[after as usize..].iter().take(2).cloned().collect::<Vec<_>>());
    }
}

pub(crate) async fn the_same_state_is_there_after_reopening(f: &mut Fixture) {
    let mut plan = one_step(|step| step.retry.attempts = 3);
    plan.timeout = Some(Duration::from_secs(1_000));
    let run = f.spawned(plan, &["a", "b", "c"]).await;
    let tasks = f.claim(2).await;
    f.append(&tasks[0], 0, &["hello"]).await;
    f.fail(&tasks[1], Cause::Panic).await;
    let before =
        (f.get(run).await, f.log(run).await, f.store().statistics().await.unwrap(), f.store().last_event().await.unwrap());
    let missing = f.store().command_run(RunId::from_u128(9), RunCommand::Cancel).await;
    assert!(matches!(missing, Err(StoreError::NotFound("run"))));
    f.reopen();
    let after =
        (f.get(run).await, f.log(run).await, f.store().statistics().await.unwrap(), f.store().last_event().await.unwrap());
    assert_eq!((&before.0, &before.1, before.3), (&after.0, &after.1, after.3));
    assert_eq!(before.2.tasks, after.2.tasks);
    f.recount().await;
    f.succeed(&tasks[0]).await;
    f.clock.advance(Duration::from_secs(1));
    for task in f.claim(10).await {
        f.succeed(&task).await;
    }
    let refused = f.store().command_run(run, RunCommand::Pause).await;
    assert!(matches!(refused, Err(StoreError::Rejected(Rejected::RunState { .. }))), "{refused:?}");
    assert_eq!(f.get(run).await.state.status(), RunStatus::Succeeded);
    drop(Arc::clone(f.store()));
}
