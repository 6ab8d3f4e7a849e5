//! Workers, their leases, and what becomes of tasks whose worker is gone.

use std::time::Duration;

use bulkhead_core::failure::Cause;
use bulkhead_core::id::{TaskId, WorkerId};
use bulkhead_core::machine::Rejected;
use bulkhead_core::run::RunStatus;
use bulkhead_core::task::{AttemptEnd, Progress, QUARANTINE_HOST_DEATHS, TaskStatus};
use bulkhead_engine::store::{ClaimRequest, StoreError};

use crate::fixture::{FIRST, Fixture, LEASE, plan};

const OTHER: WorkerId = WorkerId::from_u128(2);

pub(crate) async fn a_worker_that_is_not_registered_gets_nothing(f: &mut Fixture) {
    f.create(plan(&["only"])).await;
    let request = ClaimRequest { worker: OTHER, slots: 1, memory: u64::MAX, budget: u64::MAX };
    assert!(matches!(f.store().claim(request).await, Err(StoreError::NotFound("worker"))));
    assert!(matches!(f.store().renew(OTHER, LEASE, vec![]).await, Err(StoreError::NotFound("worker"))));
}

pub(crate) async fn a_lost_worker_loses_its_tasks(f: &mut Fixture) {
    f.create(plan(&["only"])).await;
    let task = f.claim_one().await;
    f.clock.advance(LEASE / 2);
    f.store().renew(f.worker, LEASE, vec![]).await.unwrap();
    f.clock.advance(LEASE - Duration::from_micros(1));
    let next = f.store().housekeep(Default::default()).await.unwrap().next_due.unwrap();
    assert_eq!(next.since(f.clock.now()), Duration::from_micros(1));
    assert_eq!(f.task(task.task).await.state.status(), TaskStatus::Running);
    f.clock.advance(Duration::from_micros(1));
    f.housekeep().await;
    assert!(matches!(f.store().renew(f.worker, LEASE, vec![]).await, Err(StoreError::NotFound("worker"))));
    let late = f.end(&task, AttemptEnd::Succeeded).await;
    assert!(matches!(late, Err(StoreError::Rejected(Rejected::Fenced { .. }))));
    f.register(f.worker).await;
    let again = f.claim_one().await;
    assert_eq!((again.task, again.attempt), (task.task, 2));
    let record = f.task(task.task).await;
    assert_eq!((record.host_deaths, record.failures, &record.history[0].end), (1, 0, &AttemptEnd::HostLost));
    assert_eq!(f.store().statistics().await.unwrap().lost_leases, 1);
}

pub(crate) async fn an_exclusive_worker_takes_over_at_once(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b"]).await;
    assert_eq!(f.claim(10).await.len(), 2);
    f.reopen();
    f.store().register_worker(OTHER, LEASE, true).await.unwrap();
    f.recount().await;
    f.worker = OTHER;
    let tasks = f.claim(10).await;
    assert_eq!(tasks.iter().map(|task| task.attempt).collect::<Vec<_>>(), [2, 2]);
    for task in &tasks {
        f.succeed(task).await;
    }
    assert_eq!(f.get(run).await.state.status(), RunStatus::Succeeded);
}

pub(crate) async fn a_task_that_kills_its_hosts_is_quarantined(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    for death in 1..=QUARANTINE_HOST_DEATHS {
        f.claim_one().await;
        f.worker = WorkerId::from_u128(u128::from(death) + 10);
        f.store().register_worker(f.worker, LEASE, true).await.unwrap();
    }
    assert_eq!(f.get(run).await.state.failure().unwrap().cause, Cause::HostLost);
    let log = f.log(run).await;
    assert_eq!(log.len(), QUARANTINE_HOST_DEATHS as usize);
    assert!(log[2].message.contains("quarantined"), "{}", log[2].message);
}

pub(crate) async fn a_worker_with_tasks_can_not_retire(f: &mut Fixture) {
    f.create(plan(&["only"])).await;
    let task = f.claim_one().await;
    assert!(matches!(f.store().retire_worker(f.worker).await, Err(StoreError::Conflict(_))));
    f.succeed(&task).await;
    f.store().retire_worker(f.worker).await.unwrap();
    assert!(matches!(f.store().retire_worker(f.worker).await, Err(StoreError::NotFound("worker"))));
}

pub(crate) async fn released_tasks_count_against_no_limit(f: &mut Fixture) {
    f.create(plan(&["only"])).await;
    for attempt in 1..5 {
        let task = f.claim_one().await;
        assert_eq!(task.attempt, attempt);
        assert_eq!(f.end(&task, AttemptEnd::Released).await.unwrap(), TaskStatus::Queued);
    }
    let task = f.claim_one().await;
    assert_eq!(f.task(task.task).await.failures, 0);
}

pub(crate) async fn what_an_unanswered_claim_took_is_given_back(f: &mut Fixture) {
    f.spawned(plan(&["only"]), &["a", "b"]).await;
    let tasks = f.claim(2).await;
    f.store().reconcile(f.worker, vec![(tasks[0].task, 1)]).await.unwrap();
    assert_eq!(f.task(tasks[0].task).await.state.status(), TaskStatus::Running);
    let back = f.claim_one().await;
    assert_eq!((back.task, back.attempt), (tasks[1].task, 2));
}

pub(crate) async fn progress_is_stored_with_the_renewal(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    let task = f.claim_one().await;
    let progress = Progress { done: 3, total: Some(5), message: Some("on".into()) };
    let stale = (task.task, 9, Progress::default());
    let gone = (TaskId::new(bulkhead_core::id::RunId::from_u128(3), FIRST, 0), 1, Progress::default());
    f.store().renew(f.worker, LEASE, vec![(task.task, 1, progress.clone()), stale, gone]).await.unwrap();
    assert_eq!(f.task(TaskId::new(run, FIRST, 0)).await.progress, Some(progress));
}
