//! A store under test, and short words for what the cases do with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::log::{Level, Line, Source};
use bulkhead_core::machine::{Report, RunCommand};
use bulkhead_core::name::Name;
use bulkhead_core::plan::{ErrorTolerance, Grants, Limits, OnError, Plan, PluginRef, Priority, RetryPolicy, StepPlan};
use bulkhead_core::run::{Run, Trigger, Usage};
use bulkhead_core::task::{AttemptEnd, Task, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{
    ClaimRequest, Claimed, Claims, Completion, LogQuery, LogRecord, NewRun, Retention, Spawned, Store, StoreResult, TaskSpec,
};
use bulkhead_store::{Clock, FILE_NAME, ManualClock, MemoryStore, RedbStore};

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const MIB: u64 = 1 << 20;

/// Makes a store from what is durable, with nothing in memory.
type Reopen = Box<dyn FnMut(Option<Arc<dyn Store>>) -> Arc<dyn Store>>;

pub(crate) struct Fixture {
    store: Option<Arc<dyn Store>>,
    reopen: Reopen,
    pub(crate) clock: ManualClock,
    pub(crate) worker: WorkerId,
    next_id: AtomicU64,
}

impl Fixture {
    fn new(clock: ManualClock, mut reopen: Reopen) -> Self {
        Self { store: Some(reopen(None)), reopen, clock, worker: WorkerId::from_u128(1), next_id: AtomicU64::new(1) }
    }

    pub(crate) fn memory() -> Self {
        let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
        let time = clock.clone();
        let mut last: Option<Arc<MemoryStore>> = None;
        let reopen = move |_| {
            let next = Arc::new(match &last {
                Some(last) => last.crash(time.clone(), |_| None),
                None => MemoryStore::deterministic(time.clone(), |_| None),
            });
            last = Some(next.clone());
            next as Arc<dyn Store>
        };
        Self::new(clock, Box::new(reopen))
    }

    pub(crate) fn redb() -> Self {
        let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
        let time = clock.clone();
        let directory = tempfile::tempdir().unwrap();
        let reopen = move |store: Option<Arc<dyn Store>>| {
            drop(store);
            let file = directory.path().join(FILE_NAME);
            let open = Box::new(move || redb::Database::builder().set_cache_size(4 << 20).create(&file));
            let contents = directory.path().join("artifacts");
            let clock = Clock::Manual(time.clone());
            Arc::new(RedbStore::open_with(open, directory.path(), Some(&contents), clock).unwrap()) as Arc<dyn Store>
        };
        Self::new(clock, Box::new(reopen))
    }

    /// Runs a case, then counts everything again.
    pub(crate) fn run(mut self, case: impl AsyncFnOnce(&mut Self)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            self.register(self.worker).await;
            case(&mut self).await;
            self.recount().await;
        });
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().unwrap()
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(&mut self) {
        let store = self.store.take();
        self.store = Some((self.reopen)(store));
    }

    pub(crate) async fn recount(&self) {
        let differences = self.store().recount().await.unwrap();
        assert!(differences.is_empty(), "the recount differs:\n{}", differences.join("\n"));
    }

    pub(crate) async fn register(&self, worker: WorkerId) {
        self.store().register_worker(worker, LEASE, false).await.unwrap();
    }

    pub(crate) fn new_run(&self, plan: Plan) -> NewRun {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        NewRun {
            id: RunId::new(self.clock.now(), u128::from(number)),
            plan: Arc::new(plan),
            parameters: r#"{"n":1}"#.into(),
            files: vec![],
            trigger: Trigger::Api,
            paused: false,
            idempotency: None,
        }
    }

    pub(crate) async fn create(&self, plan: Plan) -> RunId {
        self.store().create_run(self.new_run(plan)).await.unwrap().run.id
    }

    /// A run of one step whose plan has spawned tasks with these keys; nothing of it runs.
    pub(crate) async fn spawned(&self, plan: Plan, keys: &[&str]) -> RunId {
        let run = self.create(plan).await;
        let plan_task = self.claim(1).await.pop().unwrap();
        assert_eq!(plan_task.task.run, run);
        self.spawn(&plan_task, keys).await.unwrap();
        self.succeed(&plan_task).await;
        run
    }

    pub(crate) async fn claims(&self, slots: usize, memory: u64) -> Claims {
        self.store().claim(ClaimRequest { worker: self.worker, slots, memory, budget: u64::MAX }).await.unwrap()
    }

    pub(crate) async fn claim(&self, slots: usize) -> Vec<Claimed> {
        self.claims(slots, u64::MAX).await.tasks
    }

    /// Claims one task, which must be there.
    pub(crate) async fn claim_one(&self) -> Claimed {
        self.claim(1).await.pop().expect("a task is due")
    }

    pub(crate) async fn spawn(&self, claimed: &Claimed, keys: &[&str]) -> StoreResult<Spawned> {
        let specs = keys.iter().map(|key| TaskSpec { key: (*key).into(), input: format!("\"{key}\"").into() }).collect();
        self.store().spawn(claimed.task, claimed.attempt, specs).await
    }

    pub(crate) async fn end(&self, claimed: &Claimed, end: AttemptEnd) -> StoreResult<TaskStatus> {
        self.complete(claimed, end, 0, vec![]).await
    }

    pub(crate) async fn complete(
        &self,
        claimed: &Claimed,
        end: AttemptEnd,
        first_line: u64,
        lines: Vec<Line>,
    ) -> StoreResult<TaskStatus> {
        let usage = Usage { fuel: 10, peak_memory: 100, cpu_micros: 1, http_requests: 2, http_sent: 30, http_received: 400 };
        let completion = Completion {
            task: claimed.task,
            attempt: claimed.attempt,
            report: Report { end, usage, suppressed: 0 },
            output: Some("null".into()),
            artifacts: vec![],
            first_line,
            lines,
            random: u32::MAX / 2,
        };
        self.store().complete(completion).await
    }

    pub(crate) async fn succeed(&self, claimed: &Claimed) {
        assert_eq!(self.end(claimed, AttemptEnd::Succeeded).await.unwrap(), TaskStatus::Succeeded);
    }

    pub(crate) async fn fail(&self, claimed: &Claimed, cause: Cause) -> TaskStatus {
        self.end(claimed, failure(cause)).await.unwrap()
    }

    pub(crate) async fn command(&self, run: RunId, command: RunCommand) -> Run {
        self.store().command_run(run, command).await.unwrap()
    }

    pub(crate) async fn get(&self, run: RunId) -> Run {
        self.store().run(run).await.unwrap().run
    }

    pub(crate) async fn task(&self, task: TaskId) -> Task {
        self.store().task(task).await.unwrap().task
    }

    /// Does what is due until nothing is; how often it was asked.
    pub(crate) async fn housekeep(&self) -> usize {
        self.retain(Retention::default()).await
    }

    pub(crate) async fn retain(&self, retention: Retention) -> usize {
        for calls in 1..10_000 {
            if !self.store().housekeep(retention).await.unwrap().again {
                return calls;
            }
        }
        panic!("housekeeping never ends")
    }

    pub(crate) async fn log(&self, run: RunId) -> Vec<LogRecord> {
        self.store().log(run, LogQuery { limit: 10_000, ..LogQuery::default() }).await.unwrap().lines
    }

    pub(crate) async fn append(&self, claimed: &Claimed, first: u64, messages: &[&str]) {
        self.store().append_log(claimed.task, claimed.attempt, first, lines(messages)).await.unwrap();
    }
}

pub(crate) fn failure(cause: Cause) -> AttemptEnd {
    AttemptEnd::Failed(Failure::new(cause, "it broke"))
}

pub(crate) fn line(level: Level, message: &str) -> Line {
    Line { at: Timestamp::from_micros(7), level, source: Source::Plugin, message: message.into(), fields: None }
}

pub(crate) fn lines(messages: &[&str]) -> Vec<Line> {
    messages.iter().map(|message| line(Level::Info, message)).collect()
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A plan of independent steps with these names.
pub(crate) fn plan(steps: &[&str]) -> Plan {
    Plan {
        definition: name("job"),
        name: "Job".into(),
        tags: vec![],
        priority: Priority::default(),
        timeout: None,
        tolerance: ErrorTolerance::default(),
        steps: steps.iter().map(|step| step_plan(step)).collect(),
    }
}

fn step_plan(step: &str) -> StepPlan {
    StepPlan {
        name: name(step),
        description: String::new(),
        plugin: PluginRef { name: name("noop"), digest: Digest::from_bytes([7; 32]) },
        depends: vec![],
        on_error: OnError::Fail,
        concurrency: None,
        timeout: Duration::from_secs(60),
        retry: RetryPolicy {
            attempts: 1,
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            jitter: 0.0,
            ..RetryPolicy::default()
        },
        limits: Limits { memory: MIB, ..Limits::default() },
        allow: Grants::default(),
        config: "{}".into(),
    }
}

/// A plan of one step, changed by `with`.
pub(crate) fn one_step(with: impl FnOnce(&mut StepPlan)) -> Plan {
    let mut plan = plan(&["only"]);
    with(&mut plan.steps[0]);
    plan
}

pub(crate) const FIRST: StepIndex = StepIndex(0);
pub(crate) const SECOND: StepIndex = StepIndex(1);
