//! The engine: one worker on one store, from its registration to its end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bulkhead_core::id::{TaskId, WorkerId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::{AttemptHost, LogPipeline};
use crate::dispatcher::dispatch;
use crate::executor::Executor;
use crate::keeper;
use crate::scheduler;
use crate::store::{Retention, Store, StoreResult};

/// How a worker works.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// The worker's id: a new one for each life of a process.
    pub worker: WorkerId,
    /// Attempts at once.
    pub slots: usize,
    /// Bytes that the memory limits of the attempts at once may add up to.
    pub memory: u64,
    /// How long the worker's lease lasts without renewal. It is renewed three times as often.
    pub lease: Duration,
    /// Whether no other worker can use the store, so that whatever another one held is free at once.
    pub exclusive: bool,
    /// How long ended runs are kept.
    pub retention: Retention,
    /// Spreads the waits before retries, and makes the ids of scheduled runs: the seed of a sequence of random numbers, another
    /// one for each life of a process.
    pub seed: u64,
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Attempts at once, at most.
    pub slots: usize,
    /// Attempts now.
    pub running: usize,
    /// Bytes that the memory limits of the attempts at once may add up to.
    pub memory: u64,
    /// Bytes that they add up to now.
    pub reserved: u64,
    /// Whether the worker takes no more tasks.
    pub draining: bool,
}

/// A running worker. [`Engine::stop`] ends it in order. Dropping it ends its services at once; attempts at work go on until the
/// runtime ends, and nobody renews their lease.
pub struct Engine {
    shared: Arc<Shared>,
    services: Vec<JoinHandle<()>>,
}

/// What the services of one worker share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) config: EngineConfig,
    pub(crate) pipeline: Arc<LogPipeline>,
    /// No task is claimed any more.
    pub(crate) draining: CancellationToken,
    /// Attempts that end now are given back.
    pub(crate) releasing: CancellationToken,
    /// The dispatcher, and attempts from their claim to the record of their end.
    pub(crate) attempts: TaskTracker,
    pub(crate) running: AtomicUsize,
    pub(crate) reserved: AtomicU64,
    /// Wakes the dispatcher when a slot is free.
    pub(crate) slot_freed: tokio::sync::Notify,
    registry: Mutex<Registry>,
}

/// The attempts that can be told to end.
#[derive(Default)]
pub(crate) struct Registry {
    running: BTreeMap<TaskId, AttemptHost>,
    /// Tasks that are to end and whose claim has not arrived here yet; emptied by the claim that follows.
    revoked_early: Vec<TaskId>,
}

impl Registry {
    /// Makes an attempt known; it is told to end at once if word of that came before it.
    pub(crate) fn add(&mut self, host: AttemptHost) {
        let task = host.claimed().task;
        if self.revoked_early.contains(&task) {
            host.cancelled().cancel();
        }
        self.running.insert(task, host);
    }

    /// Forgets an attempt. A later attempt at the same task stays.
    pub(crate) fn remove(&mut self, host: &AttemptHost) {
        let claimed = host.claimed();
        if self.running.get(&claimed.task).is_some_and(|running| running.claimed().attempt == claimed.attempt) {
            self.running.remove(&claimed.task);
        }
    }

    /// The claims that were under way when the early revocations came have all arrived.
    pub(crate) fn claims_arrived(&mut self) {
        self.revoked_early.clear();
    }

    /// Tells attempts to end.
    pub(crate) fn revoke(&mut self, tasks: Vec<TaskId>) {
        for task in tasks {
            match self.running.get(&task) {
                Some(host) => host.cancelled().cancel(),
                None => self.revoked_early.push(task),
            }
        }
    }

    /// Tells all attempts to end.
    pub(crate) fn revoke_all(&mut self) {
        self.running.values().for_each(|host| host.cancelled().cancel());
    }

    /// All attempts, by number.
    pub(crate) fn holding(&self) -> Vec<(TaskId, u32)> {
        self.running.iter().map(|(task, host)| (*task, host.claimed().attempt)).collect()
    }

    /// All attempts.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &AttemptHost> {
        self.running.values()
    }
}

impl Shared {
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Registers the worker and starts its services on the current runtime.
    ///
    /// # Errors
    /// What the store says to the registration.
    pub async fn start(store: Arc<dyn Store>, executor: Arc<dyn Executor>, config: EngineConfig) -> StoreResult<Self> {
        store.register_worker(config.worker, config.lease, config.exclusive).await?;
        let shared = Arc::new(Shared {
            store,
            executor,
            config,
            pipeline: Arc::default(),
            draining: CancellationToken::new(),
            releasing: CancellationToken::new(),
            attempts: TaskTracker::new(),
            running: AtomicUsize::new(0),
            reserved: AtomicU64::new(0),
            slot_freed: tokio::sync::Notify::new(),
            registry: Mutex::default(),
        });
        let pipeline = shared.pipeline.clone();
        let services = vec![
            // Tracked as attempts are: a claim that is under way when the worker drains brings tasks, too.
            shared.attempts.spawn(dispatch(shared.clone())),
            tokio::spawn(keeper::renew(shared.clone())),
            tokio::spawn(keeper::revoke(shared.clone())),
            tokio::spawn(keeper::housekeep(shared.clone())),
            tokio::spawn(scheduler::schedule(shared.clone())),
            tokio::spawn(async move { pipeline.run().await }),
        ];
        Ok(Self { shared, services })
    }

    /// What the worker is doing.
    pub fn load(&self) -> Load {
        Load {
            slots: self.shared.config.slots,
            running: self.shared.running.load(Ordering::Relaxed),
            memory: self.shared.config.memory,
            reserved: self.shared.reserved.load(Ordering::Relaxed),
            draining: self.shared.draining.is_cancelled(),
        }
    }

    /// Takes no more tasks, and returns when those at work have ended, or after `grace`: whether they have. May be called again.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.shared.draining.cancel();
        self.shared.attempts.close();
        tokio::time::timeout(grace, self.shared.attempts.wait()).await.is_ok()
    }

    /// Ends the worker: attempts that still run are told to end and given back to the queue, and the lease with them.
    ///
    /// # Errors
    /// What the store says to the end of the registration; the lease then runs out by itself.
    pub async fn stop(&self) -> StoreResult<()> {
        self.shared.draining.cancel();
        self.shared.releasing.cancel();
        self.shared.registry().revoke_all();
        self.shared.attempts.close();
        self.shared.attempts.wait().await;
        self.services.iter().for_each(JoinHandle::abort);
        self.shared.store.retire_worker(self.shared.config.worker).await
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.services.iter().for_each(JoinHandle::abort);
    }
}
