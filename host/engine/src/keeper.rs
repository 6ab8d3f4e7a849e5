//! The keeper: renews the worker's lease, tells attempts to end, and runs the store's housekeeping. It never runs on a thread
//! that guests use, so a busy guest can't cost the worker its lease.

use std::sync::Arc;
use std::time::Duration;

use crate::attempt::AttemptHost;
use crate::dispatcher::until;
use crate::engine::Shared;
use crate::store::{RunView, SERVICE_RETRY, StoreError};

/// The longest wait between two rounds of housekeeping: it bounds what a lost signal costs.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait between two looks at what is to end: likewise.
const LONGEST_REVOCATION_WAIT: Duration = Duration::from_secs(1);
/// How often progress is stored while it changes.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Renews the lease in time, with what the tasks say of their progress. A worker whose lease ran out ends its attempts, which
/// no longer hold their tasks, and registers again.
pub(crate) async fn renew(shared: Arc<Shared>) {
    let config = &shared.config;
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(PROGRESS_INTERVAL.min(config.lease / 3)).await;
        let progress: Vec<_> = shared
            .registry()
            .hosts()
            .filter_map(|host| Some((host.claimed().task, host.claimed().attempt, host.take_progress()?)))
            .collect();
        if progress.is_empty() && renewed.elapsed() < config.lease / 3 {
            continue;
        }
        match shared.store.renew(config.worker, config.lease, progress).await {
            Ok(()) => renewed = tokio::time::Instant::now(),
            Err(StoreError::NotFound(_)) => {
                tracing::error!(worker_id = %config.worker, "the lease ran out; attempts at work are given up");
                shared.registry().revoke_all();
                if let Err(error) = shared.store.register_worker(config.worker, config.lease, config.exclusive).await {
                    tracing::warn!(%error, "the worker can't register again");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the lease can't be renewed");
                shared.registry().hosts().for_each(AttemptHost::keep_progress);
            }
        }
    }
}

/// Tells attempts to end whose run or step is being stopped.
pub(crate) async fn revoke(shared: Arc<Shared>) {
    let mut signal = shared.store.revocation_signal(shared.config.worker);
    loop {
        match shared.store.take_revoked(shared.config.worker).await {
            Ok(tasks) if tasks.is_empty() => {}
            Ok(tasks) => {
                shared.registry().revoke(tasks);
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "what is to end can't be read");
                // What was named may have been lost with the answer, and is named once: look at the runs themselves.
                tokio::time::sleep(SERVICE_RETRY).await;
                if !revoke_stopping(&shared).await {
                    continue;
                }
            }
        }
        let _ = tokio::time::timeout(LONGEST_REVOCATION_WAIT, signal.wait()).await;
    }
}

/// Tells attempts to end that are to, by the records of their runs and tasks; whether all could be read.
async fn revoke_stopping(shared: &Shared) -> bool {
    let hosts: Vec<_> = shared.registry().hosts().cloned().collect();
    for same_run in hosts.chunk_by(|one, other| one.claimed().task.run == other.claimed().task.run) {
        match shared.store.run(same_run[0].claimed().task.run).await {
            Ok(RunView { run, .. }) => {
                for host in same_run {
                    let task = host.claimed().task;
                    let mut stops = run.stop.or(run.step(task.step).stop).is_some();
                    if !stops {
                        stops = match shared.store.task(task).await {
                            Ok(view) => view.task.stop,
                            Err(StoreError::NotFound(_)) => false,
                            Err(_) => return false,
                        };
                    }
                    if stops {
                        host.cancelled().cancel();
                    }
                }
            }
            Err(StoreError::NotFound(_)) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Does what falls due in the store: timeouts, lost workers, cancelled and retried tasks, retention.
pub(crate) async fn housekeep(shared: Arc<Shared>) {
    let mut signal = shared.store.housekeeping_signal();
    loop {
        let wait = match shared.store.housekeep(shared.config.retention).await {
            Ok(done) if done.again => continue,
            Ok(done) => done.next_due.map_or(LONGEST_WAIT, |due| until(due, shared.store.now()).min(LONGEST_WAIT)),
            Err(error) => {
                tracing::warn!(%error, "housekeeping waits for the store");
                SERVICE_RETRY
            }
        };
        let _ = tokio::time::timeout(wait, signal.wait()).await;
    }
}
