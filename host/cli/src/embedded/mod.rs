//! The embedded host: a store, a sandbox and an engine in this process. `serve` and `run` are built on it.

pub(crate) mod courier;
pub(crate) mod definitions;
pub(crate) mod egress;
pub(crate) mod machine;
pub(crate) mod plugins;
pub(crate) mod registry;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::id::WorkerId;
use bulkhead_engine::egress::Egress;
use bulkhead_engine::engine::{Engine, EngineConfig};
use bulkhead_engine::executor::Executor;
use bulkhead_engine::jobs::Jobs;
use bulkhead_engine::store::{Retention, Store};
use bulkhead_sandbox::{Compiling, Sandbox, SandboxConfig};
use bulkhead_store::{RedbOptions, RedbStore};

use crate::args::WorkerArgs;
use crate::error::{CliError, CliResult, chain};

/// Attempts at once for each processor: guests that wait hold a slot and no thread.
const SLOTS_PER_PROCESSOR: usize = 64;
/// How long the worker's lease lasts. No other process can hold the same data directory, so this matters to nobody but a process
/// that stands still for longer.
const LEASE: Duration = Duration::from_secs(30);
/// How long attempts that are told to end may take before the process goes without them.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Compiled code, in the data directory.
const COMPILED: &str = "compiled";
/// The command of this program that compiles a plugin.
const COMPILE_COMMAND: &str = "compile-plugin";

/// A store and a sandbox in this process, and the services on both. No task is claimed before [`Self::start`].
pub(crate) struct Embedded {
    /// What lasts.
    pub(crate) store: Arc<dyn Store>,
    /// What runs guests.
    pub(crate) sandbox: Arc<dyn Executor>,
    /// The way out, for plugins and whatever else sends requests.
    pub(crate) egress: Arc<dyn Egress>,
    /// What people ask for.
    pub(crate) jobs: Jobs,
    slots: NonZeroUsize,
    memory: u64,
}

/// Where an embedded host leaves what is not in its data directory.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Compiled code, unless the arguments say where; in the data directory where both say nothing.
    pub(crate) compiled: Option<PathBuf>,
    /// A profile of each attempt, where they are wanted.
    pub(crate) profiles: Option<PathBuf>,
}

impl Embedded {
    /// Opens the store in a directory, which is made where it is missing, and makes a sandbox.
    pub(crate) fn open(data_dir: &Path, worker: &WorkerArgs, places: Places) -> CliResult<Self> {
        let store = open_store(data_dir)?;
        let slots = match worker.slots {
            Some(slots) => slots as usize,
            None => SLOTS_PER_PROCESSOR * std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        };
        let slots = NonZeroUsize::new(slots).unwrap_or(NonZeroUsize::MIN);
        let memory = worker.memory_budget.unwrap_or_else(|| machine::memory() / 2);
        let mut config = SandboxConfig::new(slots);
        config.cache = worker.compiled_dir.clone().or(places.compiled).or_else(|| Some(data_dir.join(COMPILED)));
        config.profiles = places.profiles;
        config.compiling = Compiling::Apart { program: machine::this_program()?, arguments: vec![COMPILE_COMMAND.into()] };
        config.compile_threads = worker.compile_threads.map(usize::from).and_then(NonZeroUsize::new);
        config.compile_memory = worker.compile_memory;
        let egress = egress::open(&worker.egress)?;
        let sandbox = Sandbox::new(config, store.clone()).map_err(|error| CliError::broken(chain(&error)))?;
        let sandbox = sandbox.with_egress(egress.clone());
        let registry = registry::client(egress.clone()).only(worker.sources.registry.clone());
        let keys = worker.sources.plugin_keys.as_deref().map(registry::trusted_keys).transpose()?.map(Arc::new);
        let sandbox = match &keys {
            Some(keys) => sandbox.with_keys(keys.clone()),
            None => sandbox,
        };
        let sandbox: Arc<dyn Executor> = Arc::new(sandbox);
        let jobs = Jobs::new(store.clone(), sandbox.clone()).with_memory_budget(memory).with_registry(Arc::new(registry));
        let jobs = match keys {
            Some(keys) => jobs.with_keys(keys),
            None => jobs,
        };
        Ok(Self { store, sandbox, egress, jobs, slots, memory })
    }

    /// Starts to claim and execute tasks.
    pub(crate) async fn start(&self, retention: Retention) -> CliResult<Engine> {
        let config = EngineConfig {
            worker: WorkerId::new(self.store.now(), rand::random()),
            slots: self.slots.get(),
            memory: self.memory,
            lease: LEASE,
            exclusive: true,
            retention,
            seed: rand::random(),
        };
        tracing::debug!(worker_id = %config.worker, slots = config.slots, memory = config.memory, "the worker starts");
        Ok(Engine::start(self.store.clone(), self.sandbox.clone(), config).await?)
    }
}

/// Where compiled code outlasts a call that keeps nothing else: the user's cache. Nobody else may write there.
pub(crate) fn user_cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    let dir = base.join("bulkhead").join("compiled");
    std::fs::create_dir_all(&dir).is_ok().then_some(dir)
}

/// Opens the store in a directory, which is made where it is missing.
pub(crate) fn open_store(data_dir: &Path) -> CliResult<Arc<dyn Store>> {
    let store = RedbStore::open(data_dir, RedbOptions::default()).map_err(|error| CliError::broken(chain(&error)))?;
    Ok(Arc::new(store))
}

/// Ends a worker now: what is at work is told to end and goes back to the queue. Whether that was done in time.
pub(crate) async fn stop(engine: &Engine) -> bool {
    match tokio::time::timeout(STOP_LIMIT, engine.stop()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the worker could not be signed off; its lease runs out by itself");
            false
        }
        Err(_) => {
            tracing::warn!("attempts at work did not end in time; the next start takes their tasks over");
            false
        }
    }
}
