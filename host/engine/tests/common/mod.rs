//! What the engine's tests share: a store whose faults and clock they decide, plans, and executors made of closures.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::name::Name;
use bulkhead_core::plan::{ErrorTolerance, Grants, Limits, OnError, Plan, PluginRef, Priority, RetryPolicy, StepPlan};
use bulkhead_core::run::{Run, Trigger, Usage};
use bulkhead_core::task::Task;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::attempt::AttemptHost;
use bulkhead_engine::engine::EngineConfig;
use bulkhead_engine::executor::{CompileListener, Execution, ExecutionEnd, Executor, Inspected};
use bulkhead_engine::store::{Journal as _, LogQuery, LogRecord, NewRun, Queue as _, Retention, TaskSpec};
use bulkhead_store::{Fault, ManualClock, MemoryStore};
use bytes::Bytes;
use futures::future::BoxFuture;

/// A store, its clock, and the faults that it will meet.
pub(crate) struct Bench {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: ManualClock,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Default)]
struct Faults {
    /// What becomes of the next calls of these names.
    next: VecDeque<(&'static str, Fault)>,
    /// What is refused until further notice.
    refused: Option<&'static str>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
        let faults = Arc::new(Mutex::new(Faults::default()));
        let hook = faults.clone();
        let store = MemoryStore::deterministic(clock.clone(), move |name| {
            let mut faults = hook.lock().unwrap();
            if faults.refused == Some(name) {
                return Some(Fault::Refuse);
            }
            let at = faults.next.iter().position(|(next, _)| *next == name)?;
            faults.next.remove(at).map(|(_, fault)| fault)
        });
        Self { store: Arc::new(store), clock, faults }
    }

    /// The next call of this name meets a fault.
    pub(crate) fn fault(&self, name: &'static str, fault: Fault) {
        self.faults.lock().unwrap().next.push_back((name, fault));
    }

    /// Calls of this name are refused until further notice; none with `None`.
    pub(crate) fn refuse(&self, name: Option<&'static str>) {
        self.faults.lock().unwrap().refused = name;
    }

    /// Starts a run of a plan.
    pub(crate) async fn start(&self, plan: Plan) -> RunId {
        let id = RunId::from_u128(1);
        let new = NewRun {
            id,
            plan: Arc::new(plan),
            parameters: "{}".into(),
            files: vec![],
            trigger: Trigger::Cli,
            paused: false,
            idempotency: None,
        };
        self.store.create_run(new).await.unwrap().run.id
    }

    pub(crate) async fn run(&self, id: RunId) -> Run {
        self.store.run(id).await.unwrap().run
    }

    /// Waits until a run has ended, at most ten simulated minutes.
    pub(crate) async fn ended(&self, id: RunId) -> Run {
        for _ in 0..6_000 {
            let run = self.run(id).await;
            if run.state.is_terminal() {
                return run;
            }
            self.pass(Duration::from_millis(100)).await;
        }
        panic!("the run does not end: {:#?}", self.run(id).await);
    }

    /// Lets time pass, on the store's clock, too.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::sleep(time).await;
    }

    pub(crate) async fn lines(&self, id: RunId) -> Vec<LogRecord> {
        let mut lines = Vec::new();
        loop {
            let query = LogQuery { after: lines.len() as u64, limit: 1_000, ..LogQuery::default() };
            let page = self.store.log(id, query).await.unwrap();
            lines.extend(page.lines);
            if page.scanned == page.last {
                return lines;
            }
        }
    }

    pub(crate) async fn task(&self, run: RunId, index: u32) -> Task {
        self.store.task(TaskId::new(run, StepIndex(0), index)).await.unwrap().task
    }
}

/// A plan of one step.
pub(crate) fn plan(limits: Limits) -> Plan {
    let step = StepPlan {
        name: "only".parse().unwrap(),
        description: String::new(),
        plugin: PluginRef { name: "scripted".parse().unwrap(), digest: Digest::from_bytes([0; 32]) },
        depends: vec![],
        on_error: OnError::Fail,
        concurrency: None,
        timeout: Duration::from_secs(60),
        retry: RetryPolicy::default(),
        limits,
        allow: Grants::default(),
        config: "{}".into(),
    };
    Plan {
        definition: "test".parse().unwrap(),
        name: "test".into(),
        tags: vec![],
        priority: Priority::default(),
        timeout: None,
        tolerance: ErrorTolerance::default(),
        steps: vec![step],
    }
}

/// How a worker of the tests works.
pub(crate) fn config(slots: usize) -> EngineConfig {
    EngineConfig {
        worker: WorkerId::from_u128(9),
        slots,
        memory: 1 << 40,
        lease: Duration::from_secs(3),
        exclusive: false,
        retention: Retention::default(),
        seed: 1,
    }
}

type Body = dyn Fn(AttemptHost) -> BoxFuture<'static, ExecutionEnd> + Send + Sync;

/// An executor made of a closure.
pub(crate) struct Scripted(Arc<Body>);

impl Scripted {
    /// What every attempt does.
    pub(crate) fn new<F>(body: impl Fn(AttemptHost) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = ExecutionEnd> + Send + 'static,
    {
        Arc::new(Self(Arc::new(move |host| Box::pin(body(host)))))
    }

    /// The step's `plan` spawns `count` tasks; what each of them does.
    pub(crate) fn tasks<F>(count: u32, body: impl Fn(AttemptHost) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = ExecutionEnd> + Send + 'static,
    {
        let body = Arc::new(body);
        Self::new(move |host| {
            let body = body.clone();
            async move {
                if host.claimed().task.index > 0 {
                    return body(host).await;
                }
                let specs = (0..count).map(|key| TaskSpec { key: key.to_string().into(), input: "null".into() }).collect();
                host.spawn(specs).await.unwrap();
                done()
            }
        })
    }
}

impl Executor for Scripted {
    fn execute(&self, host: AttemptHost) -> BoxFuture<'static, Execution> {
        let body = (self.0)(host);
        Box::pin(async { Execution { end: body.await, usage: Usage::default() } })
    }

    fn inspect(
        &self,
        _component: Bytes,
        _name: Option<Name>,
        _told: Option<CompileListener>,
    ) -> BoxFuture<'static, Result<Inspected, Failure>> {
        Box::pin(async { Err(Failure::new(Cause::InvalidPlugin, "none here")) })
    }
}

/// A success.
pub(crate) fn done() -> ExecutionEnd {
    ExecutionEnd::Succeeded("null".into())
}
