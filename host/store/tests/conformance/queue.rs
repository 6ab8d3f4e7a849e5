//! Tasks: who gets them, who may write to them, how they multiply.

use std::time::Duration;

use bulkhead_core::failure::Cause;
use bulkhead_core::id::{RunId, TaskId};
use bulkhead_core::machine::{Rejected, RunCommand};
use bulkhead_core::plan::Priority;
use bulkhead_core::task::{AttemptEnd, TaskStatus};
use bulkhead_engine::store::{ClaimRequest, Spawned, StoreError, TaskFilter};
use bytes::Bytes;

use crate::fixture::{FIRST, Fixture, MIB, SECOND, failure, lines, one_step, plan};

fn is_fenced<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Rejected(Rejected::Fenced { .. })))
}

pub(crate) async fn only_the_attempt_that_holds_a_task_may_write(f: &mut Fixture) {
    let run = f.create(one_step(|step| step.retry.attempts = 5)).await;
    let first = f.claim_one().await;
    assert_eq!(f.fail(&first, Cause::Panic).await, TaskStatus::Retrying);
    f.clock.advance(Duration::from_secs(5));
    let second = f.claim_one().await;
    assert_eq!((second.task, second.attempt), (first.task, 2));
    let before = (f.get(run).await, f.task(first.task).await);
    assert!(is_fenced(f.end(&first, AttemptEnd::Succeeded).await));
    assert!(is_fenced(f.spawn(&first, &["a"]).await));
    assert!(is_fenced(f.store().append_log(first.task, 1, 0, lines(&["late"])).await));
    assert!(is_fenced(f.store().save_checkpoint(first.task, 1, Bytes::from_static(b"late")).await));
    assert_eq!(before, (f.get(run).await, f.task(first.task).await));
    assert_eq!(f.store().load_checkpoint(first.task).await.unwrap(), None);
    f.succeed(&second).await;
    assert!(is_fenced(f.end(&second, AttemptEnd::Succeeded).await));
    let nobody = TaskId::new(RunId::from_u128(4), FIRST, 0);
    assert!(matches!(f.store().append_log(nobody, 1, 0, vec![]).await, Err(StoreError::NotFound("run"))));
}

pub(crate) async fn a_retryable_failure_is_tried_again_after_its_wait(f: &mut Fixture) {
    let run = f.create(one_step(|step| step.retry.attempts = 3)).await;
    for wait in [1, 2] {
        assert_eq!(f.fail(&f.claim_one().await, Cause::Panic).await, TaskStatus::Retrying);
        let claims = f.claims(1, u64::MAX).await;
        assert!(claims.tasks.is_empty());
        assert_eq!(claims.next_due, Some(f.clock.now().after(Duration::from_secs(wait))));
        f.clock.advance(Duration::from_secs(wait));
    }
    assert_eq!(f.fail(&f.claim_one().await, Cause::Panic).await, TaskStatus::Failed);
    let task = f.task(TaskId::new(run, FIRST, 0)).await;
    assert_eq!(task.history.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(f.store().statistics().await.unwrap().retries, 2);

    let run = f.create(one_step(|step| step.retry.attempts = 3)).await;
    assert_eq!(f.fail(&f.claim_one().await, Cause::PluginError { retryable: false }).await, TaskStatus::Failed);
    assert_eq!(f.get(run).await.tasks().failed, 1);
}

pub(crate) async fn tasks_are_claimed_by_priority_then_by_due_time(f: &mut Fixture) {
    let mut runs = Vec::new();
    for priority in [1, 5, 5, 9, 5] {
        let mut plan = plan(&["one", "two"]);
        plan.priority = Priority(priority);
        runs.push(f.create(plan).await);
        f.clock.advance(Duration::from_millis(1));
    }
    let order: Vec<RunId> = f.claim(7).await.iter().map(|task| task.task.run).collect();
    assert_eq!(order, [runs[3], runs[3], runs[1], runs[1], runs[2], runs[2], runs[4]]);
    let rest: Vec<_> = f.claim(10).await.iter().map(|task| (task.task.run, task.task.step)).collect();
    assert_eq!(rest, [(runs[4], SECOND), (runs[0], FIRST), (runs[0], SECOND)]);
}

pub(crate) async fn concurrency_bounds_the_running_tasks_of_a_step(f: &mut Fixture) {
    let run = f.spawned(one_step(|step| step.concurrency = Some(2)), &["a", "b", "c", "d"]).await;
    let first = f.claim(10).await;
    assert_eq!(first.len(), 2);
    assert!(f.claim(10).await.is_empty());
    let mut work = f.store().work_signal();
    f.succeed(&first[0]).await;
    work.wait().await;
    let second = f.claim(10).await;
    assert_eq!(second.len(), 1);
    f.succeed(&first[1]).await;
    f.succeed(&second[0]).await;
    f.succeed(&f.claim(10).await[0]).await;
    assert!(f.get(run).await.state.is_terminal());
}

pub(crate) async fn a_task_that_does_not_fit_holds_back_those_behind_it(f: &mut Fixture) {
    let small = f.spawned(plan(&["only"]), &["a"]).await;
    f.clock.advance(Duration::from_millis(1));
    let large = f.create(one_step(|step| step.limits.memory = 8 * MIB)).await;
    f.clock.advance(Duration::from_millis(1));
    f.create(plan(&["only"])).await;
    let claims = f.claims(10, 8 * MIB).await;
    assert_eq!(claims.tasks.iter().map(|task| task.task.run).collect::<Vec<_>>(), [small]);
    assert!(claims.wants_memory && claims.next_due.is_none());
    f.succeed(&claims.tasks[0]).await;
    let claims = f.claims(1, 8 * MIB).await;
    assert_eq!(claims.tasks[0].task.run, large);
    assert!(!claims.wants_memory && claims.next_due.is_none());
    assert!(f.claims(1, 0).await.wants_memory);
}

pub(crate) async fn a_task_that_can_never_fit_holds_back_nobody(f: &mut Fixture) {
    f.create(one_step(|step| step.limits.memory = 8 * MIB)).await;
    f.clock.advance(Duration::from_millis(1));
    let small = f.create(one_step(|step| step.limits.memory = MIB)).await;
    let request = ClaimRequest { worker: f.worker, slots: 10, memory: 4 * MIB, budget: 4 * MIB };
    let claims = f.store().claim(request).await.unwrap();
    assert_eq!(claims.tasks.iter().map(|task| task.task.run).collect::<Vec<_>>(), [small]);
    assert!(!claims.wants_memory);
}

pub(crate) async fn a_key_spawns_one_task(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    let plan_task = f.claim_one().await;
    assert_eq!(f.spawn(&plan_task, &["a", "b", "a", "plan"]).await.unwrap(), Spawned { created: 3, existing: 1 });
    assert_eq!(f.spawn(&plan_task, &["b", "c"]).await.unwrap(), Spawned { created: 1, existing: 1 });
    let child = f.claim_one().await;
    assert_eq!(f.spawn(&child, &["c", "d", &"x".repeat(512)]).await.unwrap(), Spawned { created: 2, existing: 1 });
    assert_eq!(f.spawn(&child, &[]).await.unwrap(), Spawned { created: 0, existing: 0 });
    f.reopen();
    assert_eq!(f.spawn(&child, &["d"]).await.unwrap(), Spawned { created: 0, existing: 1 });
    let task = f.task(TaskId::new(run, FIRST, 5)).await;
    assert_eq!((&*task.key, task.parent), ("d", Some(child.task.index)));
    assert_eq!(f.get(run).await.step(FIRST).spawned, 7);
}

pub(crate) async fn a_spawn_past_the_quota_creates_nothing(f: &mut Fixture) {
    let run = f.create(one_step(|step| step.limits.spawned_tasks = 2)).await;
    let plan_task = f.claim_one().await;
    let refused = f.spawn(&plan_task, &["a", "b", "c"]).await;
    assert!(matches!(refused, Err(StoreError::Rejected(Rejected::SpawnQuota { limit: 2 }))), "{refused:?}");
    assert_eq!(f.get(run).await.tasks().total(), 1);
    assert_eq!(f.spawn(&plan_task, &["a", "b", "a"]).await.unwrap().created, 2);
}

pub(crate) async fn a_stopping_run_spawns_nothing(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    let plan_task = f.claim_one().await;
    f.command(run, RunCommand::Cancel).await;
    let refused = f.spawn(&plan_task, &["a"]).await;
    assert!(matches!(refused, Err(StoreError::Rejected(Rejected::Stopping))), "{refused:?}");
    f.end(&plan_task, AttemptEnd::Succeeded).await.unwrap();
    assert!(f.get(run).await.state.is_terminal());
}

pub(crate) async fn inputs_outputs_and_checkpoints_are_kept_beside_the_task(f: &mut Fixture) {
    let run = f.spawned(one_step(|step| step.retry.attempts = 2), &["a"]).await;
    let task = f.claim_one().await;
    assert_eq!((&*task.key, &*task.input), ("a", "\"a\""));
    f.store().save_checkpoint(task.task, 1, Bytes::from_static(b"half")).await.unwrap();
    f.end(&task, failure(Cause::Panic)).await.unwrap();
    f.clock.advance(Duration::from_secs(2));
    let task = f.claim_one().await;
    assert_eq!(f.store().load_checkpoint(task.task).await.unwrap(), Some(Bytes::from_static(b"half")));
    let mut completion = bulkhead_engine::store::Completion {
        task: task.task,
        attempt: task.attempt,
        report: bulkhead_core::machine::Report { end: AttemptEnd::Succeeded, usage: Default::default(), suppressed: 0 },
        output: Some("[1]".into()),
        artifacts: vec![],
        first_line: 0,
        lines: vec![],
        random: 0,
    };
    f.store().complete(completion.clone()).await.unwrap();
    completion.output = Some("[2]".into());
    assert!(is_fenced(f.store().complete(completion).await));
    let view = f.store().task(task.task).await.unwrap();
    assert_eq!((&*view.input, view.output.as_deref()), ("\"a\"", Some("[1]")));
    assert_eq!(f.store().load_checkpoint(task.task).await.unwrap(), None);
    let plan_task = f.store().task(TaskId::new(run, FIRST, 0)).await.unwrap();
    assert_eq!((&*plan_task.input, plan_task.output.as_deref()), ("", Some("null")));
}

pub(crate) async fn tasks_are_listed_in_order_and_filtered(f: &mut Fixture) {
    let run = f.create(plan(&["one", "two"])).await;
    let plans = f.claim(2).await;
    f.spawn(&plans[0], &["a", "b"]).await.unwrap();
    f.spawn(&plans[1], &["c"]).await.unwrap();
    f.succeed(&plans[0]).await;
    let list = async |filter, after, limit| {
        let tasks = f.store().tasks(run, filter, after, limit).await.unwrap();
        tasks.into_iter().map(|task| (task.id.step.0, task.id.index)).collect::<Vec<_>>()
    };
    let all = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)];
    assert_eq!(list(TaskFilter::default(), None, 10).await, all);
    assert_eq!(list(TaskFilter::default(), Some(TaskId::new(run, FIRST, 1)), 2).await, all[2..4]);
    assert_eq!(list(TaskFilter { step: Some(SECOND), ..TaskFilter::default() }, None, 10).await, all[3..]);
    let after = Some(TaskId::new(run, FIRST, 2));
    assert_eq!(list(TaskFilter { step: Some(SECOND), ..TaskFilter::default() }, after, 10).await, all[3..]);
    let queued = TaskFilter { statuses: vec![TaskStatus::Queued, TaskStatus::Succeeded], ..TaskFilter::default() };
    assert_eq!(list(queued, None, 10).await, [(0, 0), (0, 1), (0, 2), (1, 1)]);
}

pub(crate) async fn ten_thousand_tasks_are_spawned_at_once_and_claimed_in_order(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    let plan_task = f.claim_one().await;
    let keys: Vec<String> = (0..10_000).map(|key| format!("k{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(f.spawn(&plan_task, &keys).await.unwrap().created, 10_000);
    f.recount().await;
    let mut next = 1;
    for slots in [1, 999, 5_000, 10_000] {
        for task in f.claim(slots).await {
            assert_eq!(task.task.index, next);
            next += 1;
        }
    }
    assert_eq!(next, 10_001);
    assert_eq!(f.get(run).await.tasks().running, 10_001);
}

pub(crate) async fn signals_fire_for_new_work(f: &mut Fixture) {
    let (mut work, mut housekeeping) = (f.store().work_signal(), f.store().housekeeping_signal());
    let run = f.create(plan(&["only"])).await;
    work.wait().await;
    let plan_task = f.claim_one().await;
    f.spawn(&plan_task, &["a"]).await.unwrap();
    work.wait().await;
    f.command(run, RunCommand::Cancel).await;
    housekeeping.wait().await;
    f.end(&plan_task, AttemptEnd::Cancelled).await.unwrap();
    f.housekeep().await;
}
