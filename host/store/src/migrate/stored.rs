//! Stores as each format left them: `stored/format-N.bin` has every row of one, and stays as it is once a later format exists.
//!
//! A test writes a fixed history and compares its rows with the file of the latest format. So a record that is stored otherwise
//! needs a format of its own, a migration, and a file: `BULKHEAD_STORE_FORMAT=write` writes that.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::event::Event;
use bulkhead_core::failure::{Cause, Failure, TrapCode};
use bulkhead_core::hook::{Answer, Hook, HookEvent, HookName};
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::log::{Level, Line, Source};
use bulkhead_core::machine::{Report, RunCommand};
use bulkhead_core::name::Name;
use bulkhead_core::plan::{ErrorTolerance, Grants, Limits, OnError, Plan, PluginRef, Priority, RetryPolicy, StepPlan};
use bulkhead_core::plugin::{Analysis, Interfaces, PluginForm, PluginKind};
use bulkhead_core::run::{RunStatus, Trigger, Usage};
use bulkhead_core::task::{AttemptEnd, Progress, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::files::{Content, Files as _, NewArtifact};
use bulkhead_engine::store::{
    Catalog as _, ClaimRequest, Claimed, Completion, DeliveryEnd, DeliveryRequest, Fire, Hooks as _, Idempotency, Journal as _,
    NewRun, Papers, PluginRecord, Queue as _, Retention, Role, RunFilter, Schedules as _, Settlement, Store, Summons, TaskOrder,
    TaskSpec, TokenRecord, UploadEnd,
};
use bytes::Bytes;

use crate::clock::ManualClock;
use crate::content::MemoryContents;
use crate::keys::{Key, KeyRange};
use crate::kv::{Backend, Direction, MemoryBackend, RedbBackend, Tree, Verdict, snapshot};
use crate::memory::MemoryStore;
use crate::redb::{FILE_NAME, RedbOptions, RedbStore};
use crate::store::KvStore;

/// The rows of a store: tree, key, value.
type Rows = Vec<(u8, Vec<u8>, Vec<u8>)>;

/// What each format left, from format 1 on.
const STORED: &[&[u8]] = &[
    include_bytes!("stored/format-1.bin"),
    include_bytes!("stored/format-2.bin"),
    include_bytes!("stored/format-3.bin"),
    include_bytes!("stored/format-4.bin"),
];

fn rows(backend: &dyn Backend) -> Rows {
    let all = snapshot(backend, |kv| {
        let mut rows = Rows::new();
        for tree in Tree::ALL {
            kv.scan(&KeyRange::all(tree), Direction::Forward, &mut |key, value| {
                rows.push((tree as u8, key.to_vec(), value.to_vec()));
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(rows)
    });
    all.unwrap()
}

/// Writes these rows.
fn fill(backend: &dyn Backend, rows: &[u8]) {
    let rows: Rows = postcard::from_bytes(rows).unwrap();
    let written = backend.write(&mut |kv| {
        for (tree, key, value) in &rows {
            kv.put(&Key::from_bytes(Tree::ALL[usize::from(*tree)], key), value).unwrap();
        }
        Verdict::Commit
    });
    written.unwrap();
}

fn open(backend: &Arc<MemoryBackend>, clock: &ManualClock) -> MemoryStore {
    KvStore::inline(backend.clone(), Arc::new(MemoryContents::default()), clock.clone(), Box::new(|_| None))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn step(step: &str, depends: Vec<StepIndex>) -> StepPlan {
    StepPlan {
        name: name(step),
        description: "does it".into(),
        plugin: PluginRef { name: name("noop"), digest: Digest::from_bytes([7; 32]) },
        depends,
        on_error: OnError::Fail,
        concurrency: Some(4),
        timeout: Duration::from_secs(60),
        retry: RetryPolicy { attempts: 2, jitter: 0.0, ..RetryPolicy::default() },
        limits: Limits::default(),
        allow: Grants { env: vec!["HOME".into()], http: vec!["a.test".into()] },
        config: r#"{"a":1}"#.into(),
    }
}

fn plan() -> Plan {
    Plan {
        definition: name("job"),
        name: "Job".into(),
        tags: vec!["tag".into()],
        priority: Priority(7),
        timeout: Some(Duration::from_secs(3_600)),
        tolerance: ErrorTolerance { max_child_failures: 1, ..ErrorTolerance::default() },
        steps: vec![step("first", vec![]), step("second", vec![StepIndex(0)])],
    }
}

fn analysis() -> Analysis {
    let interfaces = Interfaces { imports: vec!["bulkhead:plugin/host@0.1.0".into()], exports: vec!["run".into()] };
    let (kind, form) = (PluginKind::Plugin, PluginForm::TypedModule);
    Analysis { kind, form, contract: Some("0.1.0".into()), interfaces, compile_time: Some(Duration::from_millis(9)) }
}

/// A history with something of everything that is stored.
struct History {
    store: MemoryStore,
    clock: ManualClock,
    worker: WorkerId,
    runs: u128,
}

impl History {
    fn run(&mut self, trigger: Trigger) -> NewRun {
        self.runs += 1;
        NewRun {
            id: RunId::from_u128(self.runs),
            plan: Arc::new(plan()),
            parameters: r#"{"n":1}"#.into(),
            files: vec![],
            trigger,
            paused: false,
            idempotency: None,
        }
    }

    async fn claim(&self, slots: usize) -> Vec<Claimed> {
        self.clock.advance(Duration::from_millis(1));
        let request = ClaimRequest { worker: self.worker, slots, memory: u64::MAX, budget: u64::MAX };
        self.store.claim(request).await.unwrap().tasks
    }

    async fn spawn(&self, claimed: &Claimed, keys: &[&str]) {
        let specs = keys.iter().map(|key| TaskSpec { key: (*key).into(), input: format!("\"{key}\"").into() }).collect();
        self.store.spawn(claimed.task, claimed.attempt, specs).await.unwrap();
    }

    async fn end(&self, claimed: &Claimed, end: AttemptEnd, artifacts: Vec<NewArtifact>) -> TaskStatus {
        self.clock.advance(Duration::from_millis(3));
        let line = Line {
            at: self.clock.now(),
            level: Level::Warn,
            source: Source::Plugin,
            message: "the end".into(),
            fields: Some(r#"{"k":"v"}"#.into()),
        };
        let usage =
            Usage { fuel: 1_000, peak_memory: 65_536, cpu_micros: 250, http_requests: 2, http_sent: 30, http_received: 400 };
        let completion = Completion {
            task: claimed.task,
            attempt: claimed.attempt,
            report: Report { end, usage, suppressed: 2 },
            output: Some(r#"{"done":true}"#.into()),
            artifacts,
            first_line: 0,
            lines: vec![line],
            random: u32::MAX / 2,
        };
        self.store.complete(completion).await.unwrap()
    }

    async fn succeed(&self, claimed: &Claimed) {
        assert_eq!(self.end(claimed, AttemptEnd::Succeeded, vec![]).await, TaskStatus::Succeeded);
    }

    async fn fail(&self, claimed: &Claimed, cause: Cause) -> TaskStatus {
        let failure = Failure { backtrace: Some("at f".into()), ..Failure::new(cause, "it broke") };
        self.end(claimed, AttemptEnd::Failed(failure), vec![]).await
    }

    async fn catalog(&self) {
        let text = "id = \"job\"\nhooks = [{ name = \"ops\", url = \"https://a.test/\", secret = \"ops\" }]\n\
                    [schedule]\ncron = \"* * * * *\"\n[step.first]\nplugin = \"noop\"\n";
        self.store.put_definition(name("job"), text.into(), None).await.unwrap();
        let plugin = PluginRecord {
            name: name("noop"),
            version: "1.0.0".into(),
            summary: "nothing".into(),
            config_schema: "{}".into(),
            digest: Digest::from_bytes([7; 32]),
            size: 4,
            uploaded_at: self.clock.now(),
            analysis: Some(analysis()),
        };
        self.store.put_plugin(plugin, Bytes::from_static(b"\0asm")).await.unwrap();
        for (digest, end) in [(4, UploadEnd::Released), (5, UploadEnd::Refused(Failure::new(Cause::InvalidPlugin, "it is none")))]
        {
            let digest = Digest::from_bytes([digest; 32]);
            self.store.submit_plugin(digest, Some(name("tool")), Bytes::from_static(b"\0asm")).await.unwrap();
            self.store.begin_upload(digest, 0).await.unwrap();
            self.store.end_upload(digest, end).await.unwrap();
        }
        let papers = Papers {
            manifests: vec![Digest::from_bytes([8; 32])],
            source: Some("oci://a.test/noop@sha256:0".into()),
            signature: Some("signed".into()),
            signed_by: Some("me".into()),
        };
        self.store.put_papers(Digest::from_bytes([7; 32]), papers).await.unwrap();
        let secret = Digest::from_bytes([1; 32]);
        let token = TokenRecord { name: name("me"), role: Role::Admin, secret, created_at: self.clock.now() };
        self.store.put_token(token).await.unwrap();
    }

    /// A run in the middle of its work, with tasks in each state.
    async fn live_run(&mut self) {
        let file = content(&self.store, CONTENTS[0]).await;
        self.store.put_file(file.clone()).await.unwrap();
        let mut new = self.run(Trigger::Api);
        new.files = vec![("rows.csv".parse().unwrap(), file.digest)];
        new.idempotency = Some(Idempotency { key: "me/once".into(), request: Digest::from_bytes([3; 32]) });
        let run = self.store.create_run(new).await.unwrap().run.id;
        let plan_task = self.claim(1).await.pop().unwrap();
        self.spawn(&plan_task, &["done", "dead", "retrying", "running", "cancelled", "skipped", "waiting"]).await;
        self.succeed(&plan_task).await;
        let mut claimed = self.claim(4).await.into_iter();
        let content = content(&self.store, CONTENTS[1]).await;
        let artifact = NewArtifact { name: "out.txt".parse().unwrap(), content_type: "text/plain".parse().unwrap(), content };
        let done = claimed.next().unwrap();
        assert_eq!(self.end(&done, AttemptEnd::Succeeded, vec![artifact]).await, TaskStatus::Succeeded);
        let dead = claimed.next().unwrap();
        assert_eq!(self.fail(&dead, Cause::PluginError { retryable: false }).await, TaskStatus::Failed);
        assert_eq!(self.fail(&claimed.next().unwrap(), Cause::Trap(TrapCode::Unreachable)).await, TaskStatus::Retrying);
        let running = claimed.next().unwrap();
        self.store.save_checkpoint(running.task, running.attempt, Bytes::from_static(b"here")).await.unwrap();
        let progress = Progress { done: 1, total: Some(2), message: Some("half".into()) };
        self.store.renew(self.worker, Duration::from_secs(30), vec![(running.task, running.attempt, progress)]).await.unwrap();
        let waiting = |index| TaskId::new(run, StepIndex(0), index);
        self.store.order_task(waiting(5), TaskOrder::Cancel).await.unwrap();
        self.store.order_task(waiting(6), TaskOrder::Skip).await.unwrap();
        let edit = TaskOrder::Edit { input: "2".into(), by: Some("me".into()) };
        self.store.order_task(waiting(7), edit).await.unwrap();
        self.store.summon(Summons { run, step: None, idempotency: None }).await.unwrap();
    }

    /// Runs that have ended, each in its way, and one that is paused.
    async fn other_runs(&mut self) {
        for status in [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled, RunStatus::Paused] {
            let mut new = self.run(Trigger::Cli);
            new.paused = status == RunStatus::Paused;
            let run = self.store.create_run(new).await.unwrap().run.id;
            match status {
                RunStatus::Cancelled => {
                    self.store.command_run(run, RunCommand::Cancel).await.unwrap();
                    while self.store.housekeep(Retention::default()).await.unwrap().again {}
                }
                RunStatus::Paused => {}
                _ => {
                    while let Some(claimed) = self.claim_of(run).await {
                        if status == RunStatus::Failed {
                            self.fail(&claimed, Cause::OutOfFuel).await;
                        } else {
                            self.succeed(&claimed).await;
                        }
                    }
                }
            }
            assert_eq!(self.store.run(run).await.unwrap().run.state.status(), status);
        }
    }

    /// The next task, which must be of this run, if one is due.
    async fn claim_of(&self, run: RunId) -> Option<Claimed> {
        let claimed = self.claim(1).await.pop()?;
        assert_eq!(claimed.task.run, run);
        Some(claimed)
    }

    /// A hook of the server beside the definition's, with deliveries in each state.
    async fn hooks(&self) {
        let (url, events) = ("https://b.test/".into(), HookEvent::ASKED.to_vec());
        let hook = Hook { url, events, definitions: vec![], secret: name("all") };
        self.store.put_hook(name("all"), hook).await.unwrap();
        let all = HookName::from(name("all"));
        for end in [DeliveryEnd::Delivered, DeliveryEnd::Failed, DeliveryEnd::Retry { wait: Duration::from_secs(9) }] {
            self.store.test_hook(all.clone()).await.unwrap();
            let lease = Duration::from_secs(30);
            let request = DeliveryRequest { after: None, busy: Default::default(), per_hook: 1, limit: 1, lease };
            let leased = self.store.lease_deliveries(request).await.unwrap().deliveries;
            let [(hook, delivery)] = &leased[..] else { panic!("{leased:?}") };
            let answer = Answer { at: self.clock.now(), status: Some(503), text: "later".into() };
            let (number, id, attempt) = (delivery.number, delivery.id.clone(), delivery.attempts);
            self.store.settle_delivery(Settlement { hook: hook.name.clone(), number, id, attempt, answer, end }).await.unwrap();
        }
    }

    async fn fire(&mut self) {
        let due = self.store.due_schedules(1).await.unwrap().next.unwrap();
        self.clock.set(due);
        let run = Ok(self.run(Trigger::Schedule));
        let fired = self.store.fire(Fire { schedule: name("job"), version: 1, run }).await.unwrap();
        assert!(fired.run.is_some());
    }
}

/// The contents that the history names: an uploaded file and an artifact.
const CONTENTS: [&str; 2] = ["a,b\n1,2\n", "artifact"];

async fn content(store: &dyn Store, text: &'static str) -> Content {
    let mut writer = store.begin_content().await.unwrap();
    writer.append(Bytes::from_static(text.as_bytes())).await.unwrap();
    writer.finish().await.unwrap()
}

/// Writes the history into a new store of the latest format.
fn write() -> Arc<MemoryBackend> {
    let backend = Arc::new(MemoryBackend::default());
    super::run(&*backend).unwrap();
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000_000));
    let mut history = History { store: open(&backend, &clock), clock, worker: WorkerId::from_u128(1), runs: 0 };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        history.store.register_worker(history.worker, Duration::from_secs(30), false).await.unwrap();
        history.catalog().await;
        history.hooks().await;
        history.other_runs().await;
        history.live_run().await;
        history.fire().await;
        assert_eq!(history.store.recount().await.unwrap(), Vec::<String>::new());
    });
    backend
}

#[test]
fn what_the_latest_format_stores_is_what_its_file_has() {
    let written = postcard::to_stdvec(&rows(&*write())).unwrap();
    let latest = super::MIGRATIONS.len();
    if std::env::var_os("BULKHEAD_STORE_FORMAT").is_some_and(|value| value == "write") {
        let file = format!("{}/src/migrate/stored/format-{latest}.bin", env!("CARGO_MANIFEST_DIR"));
        return std::fs::write(file, written).unwrap();
    }
    let stored = STORED.get(latest - 1).expect("the latest format has a file");
    let (stored, written): (Rows, Rows) = (postcard::from_bytes(stored).unwrap(), postcard::from_bytes(&written).unwrap());
    for (stored, written) in stored.iter().zip(&written) {
        assert_eq!(stored, written, "a record is stored otherwise than format {latest} has it: make a format of its own");
    }
    assert_eq!(stored.len(), written.len(), "rows were added or left out");
}

/// Opens a store of format `number`, and looks at all that it has.
async fn check(store: &dyn Store, number: usize) {
    let mut contents = Vec::new();
    for text in CONTENTS {
        contents.push(content(store, text).await);
    }
    assert_eq!(store.recount().await.unwrap(), Vec::<String>::new(), "format {number}");
    let runs = store.runs(RunFilter::default(), None, 100).await.unwrap();
    let mut statuses: Vec<_> = runs.iter().map(|run| run.state.status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, RunStatus::ALL, "format {number}");
    let steps = || runs.iter().flat_map(|run| &run.steps);
    let (attempts, fuel) = (steps().map(|step| step.attempts).sum::<u64>(), steps().map(|step| step.usage.fuel).sum::<u64>());
    assert!(attempts > 4 && fuel == attempts * 1_000, "format {number}: {attempts} attempts, {fuel} fuel");
    let plugin = store.plugin(name("noop")).await.unwrap();
    assert_eq!((plugin.size, plugin.analysis), (4, (number >= 4).then(analysis)), "format {number}");
    let events = store.events(0, 1_000).await.unwrap();
    assert_eq!(events.len() as u64, store.last_event().await.unwrap(), "format {number}");
    let ended = events.iter().filter(|record| matches!(&record.event, Event::Task { ended: Some(_), .. })).count();
    assert_eq!(ended as u64, attempts, "format {number}");
}

#[test]
fn a_store_of_every_format_opens_and_counts_right() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (number, stored) in (1..).zip(STORED) {
        let backend = Arc::new(MemoryBackend::default());
        fill(&*backend, stored);
        super::run(&*backend).unwrap();
        let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000_000));
        runtime.block_on(check(&open(&backend, &clock), number));
    }
}

#[test]
fn a_file_of_every_format_opens() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (number, stored) in (1..).zip(STORED) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE_NAME);
        fill(&RedbBackend::open(Box::new(move || redb::Database::create(&file))).unwrap(), stored);
        let store = RedbStore::open(directory.path(), RedbOptions::default()).unwrap();
        runtime.block_on(check(&store, number));
    }
}
