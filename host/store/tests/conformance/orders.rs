//! What people order of single tasks, and tasks that run out of turn.

use std::time::Duration;

use bulkhead_core::failure::{Cause, CauseSet, Failure, FailureFilter};
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::log::TAIL_LINES;
use bulkhead_core::machine::{Rejected, RunCommand};
use bulkhead_core::plan::{ErrorTolerance, FailureAction};
use bulkhead_core::run::{RunStatus, StepStatus};
use bulkhead_core::task::{AttemptEnd, Task, TaskStatus};
use bulkhead_engine::store::{Idempotency, NewRun, StoreError, StoreResult, Summoned, Summons, TaskFilter, TaskOrder};

use crate::fixture::{FIRST, Fixture, LEASE, MIB, SECOND, lines, one_step, plan};

fn id(run: RunId, index: u32) -> TaskId {
    TaskId::new(run, FIRST, index)
}

async fn order(f: &Fixture, task: TaskId, order: TaskOrder) -> StoreResult<Task> {
    f.store().order_task(task, order).await
}

async fn summon(f: &Fixture, run: RunId, key: Option<&str>) -> StoreResult<Summoned> {
    summon_of(f, run, None, key).await
}

async fn summon_of(f: &Fixture, run: RunId, step: Option<StepIndex>, key: Option<&str>) -> StoreResult<Summoned> {
    let idempotency = key.map(|key| Idempotency { key: key.into(), request: Digest::from_bytes([9; 32]) });
    f.store().summon(Summons { run, step, idempotency }).await
}

fn edit(input: &str) -> TaskOrder {
    TaskOrder::Edit { input: input.into(), by: Some("ops".into()) }
}

pub(crate) async fn one_task_is_retried_and_opens_what_had_ended(f: &mut Fixture) {
    let mut plan = plan(&["one", "two"]);
    plan.steps[1].depends = vec![FIRST];
    let run = f.spawned(plan, &["a", "b"]).await;
    for task in f.claim(10).await {
        f.fail(&task, Cause::OutOfFuel).await;
    }
    assert_eq!(f.get(run).await.state.status(), RunStatus::Failed);
    for _ in 0..2 {
        let task = order(f, id(run, 2), TaskOrder::Retry).await.unwrap();
        assert_eq!(task.state.status(), TaskStatus::Queued);
    }
    f.recount().await;
    f.reopen();
    f.succeed(&f.claim_one().await).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Failed);
    order(f, id(run, 1), TaskOrder::Skip).await.unwrap();
    assert_eq!(f.get(run).await.step(SECOND).state.status(), StepStatus::Running);
    f.succeed(&f.claim_one().await).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Succeeded);
}

pub(crate) async fn a_task_is_skipped_wherever_it_waits(f: &mut Fixture) {
    let run = f.spawned(one_step(|step| step.retry.attempts = 2), &["a", "b", "c", "d", "e", "f"]).await;
    // In the middle of a row, at its beginning, at its end, and one that waits for its retry.
    for index in [3, 1, 6] {
        order(f, id(run, index), TaskOrder::Skip).await.unwrap();
        order(f, id(run, index), TaskOrder::Skip).await.unwrap();
        f.recount().await;
    }
    assert_eq!(f.fail(&f.claim_one().await, Cause::Panic).await, TaskStatus::Retrying);
    order(f, id(run, 2), TaskOrder::Skip).await.unwrap();
    f.reopen();
    let rest = f.claim(10).await;
    assert_eq!(rest.iter().map(|task| task.task.index).collect::<Vec<_>>(), [4, 5]);
    assert!(matches!(order(f, id(run, 4), TaskOrder::Skip).await, Err(StoreError::Rejected(Rejected::TaskState { .. }))));
    for task in &rest {
        f.succeed(task).await;
    }
    let run = f.get(run).await;
    assert_eq!((run.state.status(), run.tasks().skipped, run.tasks().failed), (RunStatus::Succeeded, 4, 0));
}

pub(crate) async fn a_running_task_is_cancelled_by_name(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b", "c"]).await;
    let (running, other) = (f.claim_one().await, f.claim_one().await);
    let mut signal = f.store().revocation_signal(f.worker);
    let task = order(f, running.task, TaskOrder::Cancel).await.unwrap();
    assert!(task.stop && task.state.status() == TaskStatus::Running);
    signal.wait().await;
    f.recount().await;
    f.reopen();
    order(f, running.task, TaskOrder::Cancel).await.unwrap();
    assert_eq!(f.store().take_revoked(f.worker).await.unwrap(), [running.task], "it is named once");
    assert_eq!(f.end(&running, AttemptEnd::Cancelled).await.unwrap(), TaskStatus::Cancelled);
    // One that ends before its worker hears of it leaves nothing behind.
    order(f, other.task, TaskOrder::Cancel).await.unwrap();
    f.succeed(&other).await;
    assert_eq!(f.store().take_revoked(f.worker).await.unwrap(), []);
    order(f, id(run, 3), TaskOrder::Cancel).await.unwrap();
    let record = f.get(run).await;
    assert_eq!((record.state.status(), record.tasks().cancelled), (RunStatus::Failed, 2));
    f.command(run, RunCommand::RetryFailed).await;
    f.housekeep().await;
    assert_eq!(f.claim(10).await.len(), 2);
}

pub(crate) async fn an_edited_input_reaches_the_next_attempt(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a"]).await;
    let first = f.claim_one().await;
    assert!(matches!(order(f, first.task, edit("1")).await, Err(StoreError::Rejected(Rejected::TaskState { .. }))));
    f.fail(&first, Cause::Panic).await;
    let task = order(f, first.task, edit(r#"{"fixed":true}"#)).await.unwrap();
    assert_eq!(task.edited.unwrap().by.as_deref(), Some("ops"));
    let events = f.store().last_event().await.unwrap();
    order(f, first.task, edit(r#"{"fixed":true}"#)).await.unwrap();
    assert_eq!(f.store().last_event().await.unwrap(), events, "the same input is no change");
    assert_eq!(f.get(run).await.state.status(), RunStatus::Failed);
    order(f, first.task, TaskOrder::Retry).await.unwrap();
    f.reopen();
    let second = f.claim_one().await;
    assert_eq!((second.attempt, &*second.input), (2, r#"{"fixed":true}"#));
    f.succeed(&second).await;
    assert!(order(f, first.task, edit("2")).await.is_err());
    assert!(matches!(order(f, id(run, 0), edit("2")).await, Err(StoreError::Rejected(Rejected::NoInput))));
}

pub(crate) async fn a_large_retry_by_filter_survives_a_crash_in_the_middle(f: &mut Fixture) {
    let run = f.create(one_step(|step| step.limits.memory = 1)).await;
    let plan_task = f.claim_one().await;
    let keys: Vec<String> = (0..6_000).map(|key| format!("k{key}")).collect();
    f.spawn(&plan_task, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    f.succeed(&plan_task).await;
    for task in f.claim(6_000).await {
        let cause = if task.task.index.is_multiple_of(3) { Cause::Panic } else { Cause::OutOfFuel };
        f.fail(&task, cause).await;
    }
    let filter = FailureFilter { causes: CauseSet::from_names(["out-of-fuel"]).unwrap(), text: Some("broke".into()) };
    let command = RunCommand::RetryMatching { step: None, filter };
    assert_eq!(f.command(run, command.clone()).await.state.status(), RunStatus::Running);
    assert!(f.store().housekeep(Default::default()).await.unwrap().again);
    f.command(run, command).await;
    f.recount().await;
    f.reopen();
    assert!(f.housekeep().await >= 2);
    let counts = f.get(run).await.tasks();
    assert_eq!((counts.queued, counts.failed), (4_000, 2_000));
}

pub(crate) async fn a_step_that_fails_when_its_retry_ends_cancels_what_waits(f: &mut Fixture) {
    let mut plan = plan(&["only"]);
    plan.tolerance = ErrorTolerance { max_child_failures: 1, failure_action: FailureAction::Stop, ..plan.tolerance };
    let run = f.spawned(plan, &["a", "b", "c"]).await;
    let [first, second] = [f.claim_one().await, f.claim_one().await];
    f.fail(&first, Cause::OutOfFuel).await;
    let filter = FailureFilter { causes: CauseSet::from_names(["panic"]).unwrap(), text: None };
    f.command(run, RunCommand::RetryMatching { step: None, filter }).await;
    assert_eq!(f.fail(&second, Cause::OutOfFuel).await, TaskStatus::Failed);
    assert_eq!(f.get(run).await.tasks().queued, 1, "a step under retry does not fail before it has been gone through");
    f.housekeep().await;
    let record = f.get(run).await;
    assert_eq!((record.state.status(), record.tasks().cancelled), (RunStatus::Failed, 1));
}

pub(crate) async fn tasks_are_counted_and_listed_by_their_failure(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b", "c", "d"]).await;
    let claimed = f.claim(3).await;
    for (task, message) in claimed.iter().zip(["row 1: no name", "row 2: no age", "late"]) {
        f.end(task, AttemptEnd::Failed(Failure::new(Cause::Panic, message))).await.unwrap();
    }
    order(f, id(run, 4), TaskOrder::Cancel).await.unwrap();
    let filter = |causes: &[&'static str], text: Option<&str>| TaskFilter {
        failure: Some(FailureFilter {
            causes: CauseSet::from_names(causes.iter().copied()).unwrap(),
            text: text.map(Into::into),
        }),
        ..TaskFilter::default()
    };
    for (filter, expected) in [
        (filter(&[], None), vec![1, 2, 3, 4]),
        (filter(&["panic"], Some("row")), vec![1, 2]),
        (filter(&["trap"], None), vec![]),
        (filter(&["cancelled"], None), vec![4]),
        (TaskFilter { step: Some(FIRST), ..filter(&[], Some("late")) }, vec![3]),
        (TaskFilter { step: Some(SECOND), ..filter(&[], None) }, vec![]),
        (TaskFilter { statuses: vec![TaskStatus::Succeeded], ..filter(&[], None) }, vec![]),
    ] {
        let found = f.store().tasks(run, filter.clone(), None, 100).await.unwrap();
        assert_eq!(found.iter().map(|task| task.id.index).collect::<Vec<_>>(), expected);
        assert_eq!(f.store().count_tasks(run, filter).await.unwrap(), expected.len() as u64);
    }
}

pub(crate) async fn a_run_that_starts_paused_does_what_is_summoned(f: &mut Fixture) {
    let mut plan = one_step(|_| {});
    plan.timeout = Some(Duration::from_secs(10));
    let new = NewRun { paused: true, ..f.new_run(plan) };
    let run = f.store().create_run(new).await.unwrap().run;
    assert_eq!(run.state.status(), RunStatus::Paused);
    let run = run.id;
    assert!(f.claim(10).await.is_empty());
    let mut work = f.store().work_signal();
    assert_eq!(summon(f, run, None).await.unwrap(), Summoned { task: id(run, 0), after: 0, existing: false });
    work.wait().await;
    assert!(matches!(summon(f, run, None).await, Err(StoreError::Rejected(Rejected::NothingWaits))));
    let plan_task = f.claim_one().await;
    f.spawn(&plan_task, &["a", "b"]).await.unwrap();
    f.succeed(&plan_task).await;
    f.recount().await;
    assert!(f.claim(10).await.is_empty());
    summon(f, run, None).await.unwrap();
    let only = f.claim(10).await;
    assert_eq!(only.iter().map(|task| task.task.index).collect::<Vec<_>>(), [1]);
    f.succeed(&only[0]).await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Paused);
    // The run's time runs since its first claim.
    f.clock.advance(Duration::from_secs(11));
    f.housekeep().await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Failed);
    let refused = summon(f, run, None).await;
    assert!(matches!(refused, Err(StoreError::Rejected(Rejected::RunState { .. }))));
}

pub(crate) async fn each_summons_takes_another_task(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b", "c"]).await;
    f.command(run, RunCommand::Pause).await;
    let first = summon(f, run, Some("key")).await.unwrap();
    let again = summon(f, run, Some("key")).await.unwrap();
    assert_eq!(again, Summoned { existing: true, ..first });
    let other = Idempotency { key: "key".into(), request: Digest::from_bytes([8; 32]) };
    let conflict = f.store().summon(Summons { run, step: None, idempotency: Some(other) }).await;
    assert!(matches!(conflict, Err(StoreError::Conflict(_))));
    let second = summon_of(f, run, Some(FIRST), None).await.unwrap();
    assert_ne!(first.task, second.task);
    let claimed = f.claim(10).await;
    assert_eq!(claimed.iter().map(|task| task.task).collect::<Vec<_>>(), [first.task, second.task]);
    f.succeed(&claimed[0]).await;
    assert_eq!(summon(f, run, Some("key")).await.unwrap().task, first.task, "a key never runs a second task");
    let third = summon(f, run, None).await.unwrap();
    order(f, third.task, TaskOrder::Cancel).await.unwrap();
    assert!(matches!(summon(f, run, None).await, Err(StoreError::Rejected(Rejected::NothingWaits))));
    f.recount().await;
}

pub(crate) async fn a_summons_survives_its_worker_and_the_store(f: &mut Fixture) {
    let run = f.spawned(one_step(|step| step.retry.attempts = 3), &["a", "b"]).await;
    f.command(run, RunCommand::Pause).await;
    let summoned = summon(f, run, None).await.unwrap();
    f.reopen();
    assert_eq!(f.claim_one().await.task, summoned.task);
    f.worker = WorkerId::from_u128(2);
    f.store().register_worker(f.worker, LEASE, true).await.unwrap();
    f.recount().await;
    let claimed = f.claim(10).await;
    assert_eq!(claimed.iter().map(|task| (task.task, task.attempt)).collect::<Vec<_>>(), [(summoned.task, 2)]);
    assert_eq!(f.fail(&claimed[0], Cause::Panic).await, TaskStatus::Retrying);
    f.clock.advance(Duration::from_secs(60));
    assert!(f.claim(10).await.is_empty(), "a failure is an answer");
}

pub(crate) async fn a_summoned_task_respects_concurrency_and_memory(f: &mut Fixture) {
    let run = f.spawned(one_step(|step| step.concurrency = Some(1)), &["a", "b", "c"]).await;
    let running = f.claim_one().await;
    let summoned = summon(f, run, None).await.unwrap();
    assert!(f.claim(10).await.is_empty());
    let mut work = f.store().work_signal();
    f.succeed(&running).await;
    work.wait().await;
    let claims = f.claims(10, MIB - 1).await;
    assert!(claims.tasks.is_empty() && claims.wants_memory);
    let claimed = f.claim(10).await;
    assert_eq!(claimed.iter().map(|task| task.task).collect::<Vec<_>>(), [summoned.task]);
    f.succeed(&claimed[0]).await;
    f.succeed(&f.claim_one().await).await;
}

pub(crate) async fn a_stopping_step_takes_summoned_tasks_with_it(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b"]).await;
    summon(f, run, None).await.unwrap();
    f.command(run, RunCommand::Cancel).await;
    assert!(f.claim(10).await.is_empty());
    f.housekeep().await;
    let run = f.get(run).await;
    assert_eq!((run.state.status(), run.tasks().cancelled), (RunStatus::Cancelled, 2));
}

pub(crate) async fn an_attempt_knows_where_its_last_lines_are(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b"]).await;
    let (one, other) = (f.claim_one().await, f.claim_one().await);
    let numbers: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    for (at, message) in numbers.iter().enumerate() {
        f.append(&one, at as u64, &[message]).await;
        f.append(&other, at as u64, &["noise"]).await;
    }
    f.complete(&one, AttemptEnd::Failed(Failure::new(Cause::Panic, "oh")), 30, lines(&["last"])).await.unwrap();
    f.succeed(&other).await;
    let task = f.task(one.task).await;
    let tail = f.store().log_tail(one.task, task.history[0].tail.clone()).await.unwrap();
    let said: Vec<_> = tail.iter().map(|line| &*line.message).collect();
    let mut expected = numbers[12..].to_vec();
    expected.extend(["last", "attempt 1 of a failed: panic: oh"]);
    assert_eq!((said, tail.len() as u64), (expected, TAIL_LINES));
    let all = f.log(run).await;
    assert!(tail.iter().all(|line| all[line.seq as usize - 1] == *line));
    // The next attempt's end is its own.
    order(f, one.task, TaskOrder::Retry).await.unwrap();
    let again = f.claim_one().await;
    f.append(&again, 0, &["second"]).await;
    let running = f.task(one.task).await;
    let tail = f.store().log_tail(one.task, running.tail).await.unwrap();
    assert_eq!(tail.iter().map(|line| (line.attempt, &*line.message)).collect::<Vec<_>>(), [(2, "second")]);
    f.succeed(&again).await;
}

pub(crate) async fn usage_is_summed_per_task_and_step(f: &mut Fixture) {
    let run = f.spawned(one_step(|step| step.retry.attempts = 2), &["a"]).await;
    f.fail(&f.claim_one().await, Cause::Panic).await;
    f.clock.advance(Duration::from_secs(60));
    f.succeed(&f.claim_one().await).await;
    let task = f.task(id(run, 1)).await;
    assert_eq!((task.usage.fuel, task.usage.cpu_micros, task.usage.peak_memory), (20, 2, 100));
    assert_eq!((task.usage.http_requests, task.usage.http_sent, task.usage.http_received), (4, 60, 800));
    let step = f.get(run).await.step(FIRST).clone();
    assert_eq!((step.usage.fuel, step.usage.cpu_micros, step.usage.peak_memory, step.attempts), (30, 3, 100, 3));
    assert_eq!((step.usage.http_requests, step.usage.http_sent, step.usage.http_received), (6, 90, 1_200));
}
