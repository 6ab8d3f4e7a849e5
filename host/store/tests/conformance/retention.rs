//! What goes, and that it goes piece by piece.

use std::time::Duration;

use bulkhead_core::id::{RunId, TaskId};
use bulkhead_core::task::AttemptEnd;
use bulkhead_engine::store::{LogQuery, Retention, StoreError};

use crate::fixture::{FIRST, Fixture, lines, plan};

/// A run that has ended, with a line.
async fn ended(f: &Fixture) -> RunId {
    let run = f.create(plan(&["only"])).await;
    f.complete(&f.claim_one().await, AttemptEnd::Succeeded, 0, lines(&["x"])).await.unwrap();
    f.clock.advance(Duration::from_secs(1));
    run
}

async fn is_gone(f: &Fixture, run: RunId) -> bool {
    matches!(f.store().run(run).await, Err(StoreError::NotFound("run")))
}

pub(crate) async fn a_live_run_is_not_deleted(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    assert!(matches!(f.store().delete_run(run).await, Err(StoreError::Conflict(_))));
    assert!(matches!(f.store().delete_run(RunId::from_u128(1)).await, Err(StoreError::NotFound("run"))));
}

pub(crate) async fn a_deleted_run_is_gone_at_once_and_its_rows_follow(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    let plan_task = f.claim_one().await;
    let keys: Vec<String> = (0..3_000).map(|key| format!("k{key}")).collect();
    f.spawn(&plan_task, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    f.append(&plan_task, 0, &["a"]).await;
    f.succeed(&plan_task).await;
    for task in f.claim(5_000).await {
        let failed = task.task.index % 2 == 0;
        let end = if failed { crate::fixture::failure(bulkhead_core::failure::Cause::Panic) } else { AttemptEnd::Succeeded };
        f.end(&task, end).await.unwrap();
    }
    let other = ended(f).await;
    f.recount().await;
    f.store().delete_run(run).await.unwrap();
    f.recount().await;
    assert!(is_gone(f, run).await);
    assert!(f.store().task(TaskId::new(run, FIRST, 2_500)).await.is_err());
    assert!(f.store().tasks(run, Default::default(), None, 10).await.is_err());
    assert!(f.store().log(run, LogQuery { limit: 10, ..LogQuery::default() }).await.is_err());
    assert_eq!(f.store().statistics().await.unwrap().tasks, [0, 0, 0, 1, 0, 0, 0]);
    f.reopen();
    assert!(f.housekeep().await > 2);
    assert_eq!(f.log(other).await.len(), 1);
    let again = bulkhead_engine::store::NewRun { id: run, ..f.new_run(plan(&["only"])) };
    f.store().create_run(again).await.unwrap();
    assert!(f.log(run).await.is_empty());
}

pub(crate) async fn old_runs_go_by_age(f: &mut Fixture) {
    let runs = [ended(f).await, ended(f).await];
    let retention = Retention { age: Some(Duration::from_secs(10)), count: None };
    f.clock.advance(Duration::from_secs(8));
    let due = f.store().housekeep(retention).await.unwrap().next_due;
    f.retain(retention).await;
    assert!(is_gone(f, runs[0]).await && !is_gone(f, runs[1]).await);
    assert!(due.is_some_and(|due| due.since(f.clock.now()) <= Duration::from_secs(1)));
    f.clock.advance(Duration::from_secs(1));
    f.retain(retention).await;
    assert!(is_gone(f, runs[1]).await);
}

pub(crate) async fn surplus_runs_go_by_count(f: &mut Fixture) {
    let retention = Retention { age: None, count: Some(2) };
    f.retain(retention).await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(ended(f).await);
    }
    let live = f.create(plan(&["only"])).await;
    f.retain(retention).await;
    let mut gone = Vec::new();
    for run in &runs {
        gone.push(is_gone(f, *run).await);
    }
    assert_eq!(gone, [true, true, false, false]);
    assert!(!is_gone(f, live).await);
    let mut signal = f.store().housekeeping_signal();
    f.succeed(&f.claim_one().await).await;
    signal.wait().await;
}
