//! What all requests share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use bulkhead_core::id::{Digest, RunId};
use bulkhead_core::plan::Plan;
use bulkhead_core::run::Run;
use bulkhead_engine::engine::Load;
use bulkhead_engine::jobs::Jobs;
use bulkhead_engine::store::{Store, StoreError, StoreResult};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::config::ApiConfig;
use crate::history::History;
use crate::limit::{RateLimiter, StreamSlots};
use crate::metrics::HttpMetrics;

/// The plans that are kept in mind.
const MAX_PLANS: usize = 1_024;
/// The runs whose plans are kept in mind.
const MAX_RUNS: usize = 8_192;

/// What the API works on. Cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

/// See [`ApiState`]. Opaque outside of this crate.
pub struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) jobs: Jobs,
    pub(crate) config: ApiConfig,
    load: Arc<dyn Fn() -> Load + Send + Sync>,
    pub(crate) authenticator: Authenticator,
    pub(crate) rate: RateLimiter,
    pub(crate) streams: StreamSlots,
    pub(crate) metrics: HttpMetrics,
    pub(crate) history: History,
    pub(crate) openapi: Bytes,
    plans: Cache<Digest, Arc<Plan>>,
    plans_of_runs: Cache<RunId, Arc<Plan>>,
    closing: CancellationToken,
}

impl std::ops::Deref for ApiState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl ApiState {
    /// The API on a store. `load` says what the worker of this process is doing.
    pub fn new(store: Arc<dyn Store>, jobs: Jobs, load: Arc<dyn Fn() -> Load + Send + Sync>, config: ApiConfig) -> Self {
        Self(Arc::new(Shared {
            authenticator: Authenticator::new(store.clone(), config.require_token),
            rate: RateLimiter::new(config.rate),
            streams: StreamSlots::new(config.streams),
            metrics: HttpMetrics::default(),
            history: History::default(),
            openapi: crate::openapi().to_json().expect("the description is JSON").into(),
            plans: Cache::new(MAX_PLANS),
            plans_of_runs: Cache::new(MAX_RUNS),
            closing: CancellationToken::new(),
            store,
            jobs,
            config,
            load,
        }))
    }

    /// Ends all streams and answers those who wait for a run at once, so that connections can be closed.
    pub fn close(&self) {
        self.closing.cancel();
    }
}

impl Shared {
    /// Fires when streams are to end.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// What the worker of this process is doing.
    pub(crate) fn load(&self) -> Load {
        (self.load)()
    }

    /// The plan of a run that was just read.
    pub(crate) async fn plan_of(&self, run: &Run) -> StoreResult<Arc<Plan>> {
        if let Some(plan) = self.plans.get(&run.plan) {
            return Ok(plan);
        }
        let plan = self.store.run(run.id).await?.plan;
        self.plans.insert(run.plan, plan.clone());
        Ok(plan)
    }

    /// The plan of a run; absent where the run was deleted.
    pub(crate) async fn plan_of_id(&self, run: RunId) -> StoreResult<Option<Arc<Plan>>> {
        if let Some(plan) = self.plans_of_runs.get(&run) {
            return Ok(Some(plan));
        }
        match self.store.run(run).await {
            Ok(view) => {
                self.plans_of_runs.insert(run, view.plan.clone());
                Ok(Some(view.plan))
            }
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What never changes, kept in mind: a bounded map that starts anew when it is full.
struct Cache<K, V> {
    most: usize,
    entries: Mutex<HashMap<K, V>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    fn new(most: usize) -> Self {
        Self { most, entries: Mutex::default() }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn insert(&self, key: K, value: V) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.most {
            entries.clear();
        }
        entries.insert(key, value);
    }
}
