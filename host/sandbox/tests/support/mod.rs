//! A store, a sandbox and real tasks between them: each attempt here is at a task that was spawned and claimed.
#![allow(dead_code, reason = "each test file uses its part of it")]

pub(crate) mod component;
pub(crate) mod program;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bulkhead_core::definition::{self, KnownPlugin};
use bulkhead_core::failure::Failure;
use bulkhead_core::id::{Digest, RunId, WorkerId};
use bulkhead_core::machine::Report;
use bulkhead_core::run::{Trigger, Usage};
use bulkhead_core::task::AttemptEnd;
use bulkhead_engine::attempt::{AttemptHost, LogPipeline};
use bulkhead_engine::egress::Egress;
use bulkhead_engine::executor::{Execution, ExecutionEnd, Executor, Inspected};
use bulkhead_engine::store::{
    Catalog, ClaimRequest, Claimed, Completion, Journal, LogQuery, LogRecord, NewRun, PluginRecord, Queue, Store, TaskSpec,
};
use bulkhead_sandbox::{Sandbox, SandboxConfig};
use bulkhead_store::MemoryStore;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

/// A test that takes this long hangs.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// The component of a plugin of this repository.
pub(crate) fn plugin(name: &str) -> Bytes {
    let dir = std::env::var_os("BULKHEAD_PLUGINS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"), PathBuf::from);
    let path = dir.join(format!("{name}.wasm"));
    match std::fs::read(&path) {
        Ok(bytes) => bytes.into(),
        Err(error) => panic!("{}: {error}; run `make plugins` first, or set BULKHEAD_PLUGINS", path.display()),
    }
}

/// A sandbox with a store and a log pipeline.
pub(crate) struct Lab {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) sandbox: Sandbox,
    pipeline: Arc<LogPipeline>,
    worker: WorkerId,
    ids: AtomicU64,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: SandboxConfig) -> Self {
        Self::open(config, None).await
    }

    /// With a way out.
    pub(crate) async fn networked(egress: Arc<dyn Egress>) -> Self {
        Self::open(config(), Some(egress)).await
    }

    async fn open(config: SandboxConfig, egress: Option<Arc<dyn Egress>>) -> Self {
        let store = Arc::new(MemoryStore::new().expect("a store in memory"));
        let mut sandbox = Sandbox::new(config, Arc::clone(&store) as Arc<dyn Store>).expect("a sandbox");
        if let Some(egress) = egress {
            sandbox = sandbox.with_egress(egress);
        }
        let pipeline = Arc::new(LogPipeline::default());
        let running = Arc::clone(&pipeline);
        tokio::spawn(async move { running.run().await });
        let worker = WorkerId::new(store.now(), 1);
        store.register_worker(worker, Duration::from_secs(3_600), true).await.expect("a worker");
        Self { store, sandbox, pipeline, worker, ids: AtomicU64::new(1) }
    }

    /// Uploads a component, as the API does.
    pub(crate) async fn upload(&self, component: Bytes) -> Result<Inspected, Failure> {
        self.upload_as(component, None).await
    }

    /// Likewise with a name.
    pub(crate) async fn upload_as(&self, component: Bytes, name: Option<&str>) -> Result<Inspected, Failure> {
        let name = name.map(|name| name.parse().expect("a name"));
        let inspected = self.sandbox.inspect(component.clone(), name, None).await?;
        let record = PluginRecord {
            name: inspected.name.clone(),
            version: inspected.version.clone(),
            summary: inspected.summary.clone(),
            config_schema: inspected.config_schema.clone(),
            digest: inspected.digest,
            size: component.len() as u64,
            uploaded_at: self.store.now(),
            analysis: Some(inspected.analysis.clone()),
        };
        self.store.put_plugin(record, component).await.expect("the store takes a plugin");
        Ok(inspected)
    }

    /// Starts a run of one step and claims the step's `plan`. `keys` is the rest of the step's table, in TOML.
    pub(crate) async fn plan_task(&self, plugin: &Inspected, keys: &str) -> Attempt {
        let text = format!("id = \"test\"\nname = \"Test\"\n[step.only]\nplugin = \"{}\"\n{keys}\n", plugin.name);
        let known = KnownPlugin { name: plugin.name.clone(), digest: plugin.digest, config_schema: plugin.config_schema.clone() };
        let plan = definition::load(&text, &[known], &[]).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}")).plan;
        let id = RunId::new(self.store.now(), u128::from(self.ids.fetch_add(1, Ordering::Relaxed)));
        let run =
            NewRun { id, plan, parameters: "{}".into(), files: vec![], trigger: Trigger::Api, paused: false, idempotency: None };
        self.store.create_run(run).await.expect("a run");
        self.claim(1).await.pop().expect("the step's plan is due")
    }

    /// Starts a run and claims tasks of its step, spawned in place of the plugin's `plan`.
    pub(crate) async fn tasks(&self, plugin: &Inspected, keys: &str, specs: Vec<(&str, String)>) -> Vec<Attempt> {
        let plan = self.plan_task(plugin, keys).await;
        let count = specs.len();
        let specs = specs.into_iter().map(|(key, input)| TaskSpec { key: key.into(), input: input.into() }).collect();
        plan.host.spawn(specs).await.expect("the tasks are spawned");
        self.complete(&plan, AttemptEnd::Succeeded).await;
        let attempts = self.claim(count).await;
        assert_eq!(attempts.len(), count, "all tasks are claimed");
        attempts
    }

    /// Likewise one task.
    pub(crate) async fn task(&self, plugin: &Inspected, keys: &str, input: &str) -> Attempt {
        self.tasks(plugin, keys, vec![("task", input.to_owned())]).await.pop().expect("one task")
    }

    async fn claim(&self, slots: usize) -> Vec<Attempt> {
        let request = ClaimRequest { worker: self.worker, slots, memory: u64::MAX, budget: u64::MAX };
        let claims = self.store.claim(request).await.expect("a claim");
        claims.tasks.into_iter().map(|claimed| self.attempt(Arc::new(claimed))).collect()
    }

    fn attempt(&self, claimed: Arc<Claimed>) -> Attempt {
        let cancel = CancellationToken::new();
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let host = AttemptHost::new(store, Arc::clone(&self.pipeline), Arc::clone(&claimed), cancel.clone());
        Attempt { claimed, host, cancel }
    }

    async fn complete(&self, attempt: &Attempt, end: AttemptEnd) {
        let rest = attempt.host.finish_log().await;
        let completion = Completion {
            task: attempt.claimed.task,
            attempt: attempt.claimed.attempt,
            report: Report { end, usage: Usage::default(), suppressed: rest.suppressed },
            output: Some("null".into()),
            artifacts: vec![],
            first_line: rest.first_line,
            lines: rest.lines,
            random: 0,
        };
        self.store.complete(completion).await.expect("a completion");
    }

    /// Does an attempt, and fails the test if it hangs.
    pub(crate) async fn execute(&self, attempt: &Attempt) -> Execution {
        let execution = self.sandbox.execute(attempt.host.clone());
        tokio::time::timeout(HANG, execution).await.expect("the attempt ends")
    }

    /// Does an attempt that must fail.
    pub(crate) async fn failure(&self, attempt: &Attempt) -> Failure {
        failed(self.execute(attempt).await)
    }

    /// Ends an attempt's log and reads its lines back.
    pub(crate) async fn lines(&self, attempt: &Attempt) -> Vec<LogRecord> {
        self.complete(attempt, AttemptEnd::Succeeded).await;
        let task = attempt.claimed.task;
        let query = LogQuery { task: Some(task), limit: 100_000, ..LogQuery::default() };
        self.store.log(task.run, query).await.expect("the log").lines
    }
}

/// An attempt at a claimed task.
pub(crate) struct Attempt {
    pub(crate) claimed: Arc<Claimed>,
    pub(crate) host: AttemptHost,
    pub(crate) cancel: CancellationToken,
}

/// A sandbox of so many slots. Compiled code is kept for the next test.
pub(crate) fn sized(slots: usize) -> SandboxConfig {
    let slots = NonZeroUsize::new(slots).expect("some slots");
    SandboxConfig {
        cache: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-code").into()),
        ..SandboxConfig::new(slots)
    }
}

/// A small sandbox.
pub(crate) fn config() -> SandboxConfig {
    sized(8)
}

/// The failure of an attempt that failed.
pub(crate) fn failed(execution: Execution) -> Failure {
    match execution.end {
        ExecutionEnd::Failed(failure) => failure,
        other => panic!("expected a failure: {other:?}"),
    }
}

/// The output of an attempt that succeeded.
pub(crate) fn succeeded(execution: &Execution) -> &str {
    match &execution.end {
        ExecutionEnd::Succeeded(output) => output,
        other => panic!("expected success: {other:?}"),
    }
}

/// A digest that no component has.
pub(crate) fn no_digest() -> Digest {
    Digest::from_bytes([0; 32])
}
