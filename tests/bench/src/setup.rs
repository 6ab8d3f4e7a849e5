//! A store and a sandbox in this process, and what runs on them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::id::{RunId, WorkerId};
use bulkhead_core::run::Trigger;
use bulkhead_engine::engine::EngineConfig;
use bulkhead_engine::executor::Executor;
use bulkhead_engine::jobs::{Jobs, RunRequest};
use bulkhead_engine::store::{Retention, Store};
use bulkhead_sandbox::Sandbox;

use crate::Options;

/// Attempts at once in this process.
pub(crate) const SLOTS: NonZeroUsize = NonZeroUsize::new(256).expect("some slots");

/// A redb store, a sandbox on it, and the folder that both live in.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) jobs: Jobs,
    _folder: tempfile::TempDir,
}

/// Makes a store and a sandbox, with the no-op plugin uploaded.
pub(crate) async fn parts(options: &Options) -> Parts {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store: Arc<dyn Store> = Arc::new(bulkhead_store::RedbStore::open(folder.path(), Default::default()).expect("a store"));
    let config = bulkhead_sandbox::SandboxConfig::new(SLOTS);
    let sandbox = Arc::new(Sandbox::new(config, store.clone()).expect("a sandbox"));
    let executor: Arc<dyn Executor> = sandbox.clone();
    let jobs = Jobs::new(store.clone(), executor.clone());
    let file = options.plugins.join("noop.wasm");
    let component = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; run `make plugins`", file.display()));
    jobs.upload(component.into(), None, Default::default()).await.expect("the no-op plugin");
    Parts { store, executor, sandbox, jobs, _folder: folder }
}

/// A worker id of its own.
pub(crate) fn worker_id() -> WorkerId {
    WorkerId::from_u128(rand::random())
}

/// How an engine of this process works.
pub(crate) fn engine_config(exclusive: bool) -> EngineConfig {
    EngineConfig {
        worker: worker_id(),
        slots: SLOTS.get(),
        memory: 4 << 30,
        lease: Duration::from_secs(30),
        exclusive,
        retention: Retention::default(),
        seed: 1,
    }
}

/// Starts a run of a definition with these steps.
pub(crate) async fn start_run(parts: &Parts, steps: &str) -> RunId {
    let request = RunRequest {
        parameters: None,
        files: Default::default(),
        trigger: Trigger::Cli,
        paused: false,
        idempotency: None,
        random: rand::random(),
    };
    let text = format!("id = \"bench\"\n{steps}");
    parts.jobs.run(&text, request).await.expect("a run").run.id
}

/// Waits until a run has ended.
pub(crate) async fn wait_for_end(store: &dyn Store, run: RunId) {
    let mut signal = store.run_signal(run);
    while !store.run(run).await.expect("the run").run.state.is_terminal() {
        signal.wait().await;
    }
}
