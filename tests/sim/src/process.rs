//! A process as the store sees it: calls that take time, are refused, lose their answer, or come from a process that is frozen
//! or dead by then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bulkhead_core::artifact::FileName;
use bulkhead_core::hook::{Delivery, DeliveryState, Hook, HookCounts, HookName};
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::log::{Line, Tail};
use bulkhead_core::machine::{Rejected, RunCommand};
use bulkhead_core::name::Name;
use bulkhead_core::run::Run;
use bulkhead_core::schedule::{FireCounts, FireRecord, ScheduleRecord};
use bulkhead_core::task::{Progress, Task, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::files::{ArtifactPlace, ArtifactRecord, Content, ContentWriter, FileRecord, Files, OutputRecord, RunFile};
use bulkhead_engine::store::{
    Catalog, ClaimRequest, Claims, Completion, CreatedRun, DefinitionRecord, DeliveryRequest, DueSchedules, Fire, Fired,
    HookRecord, Hooks, Housekeeping, Journal, LeasedDeliveries, LetterGroup, LetterRun, Letters, LogPage, LogQuery, LogRecord,
    NewRun, Papers, PluginRecord, PluginUpload, Queue, Retention, RunFilter, RunView, Schedules, Settlement, Signal, Spawned,
    Statistics, Store, StoreError, StoreFuture, StoreResult, Summoned, Summons, TaskFilter, TaskOrder, TaskSpec, TaskView,
    TokenRecord, UploadEnd, UploadState,
};
use bulkhead_store::MemoryStore;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::Mutant;
use crate::profile::MEMORY_UNIT;
use crate::world::{World, ready};

/// One life of a process.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) number: usize,
    dead: AtomicBool,
    frozen: AtomicBool,
    thawed: Notify,
    /// Attempts in its executor.
    pub(crate) executing: AtomicUsize,
    /// Their memory.
    pub(crate) memory: AtomicU64,
    /// How often in a row it was seen with room while a task waited.
    pub(crate) idle_looks: AtomicUsize,
}

impl Process {
    pub(crate) fn new(number: usize) -> Arc<Self> {
        Arc::new(Self { number, ..Self::default() })
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Nothing of it happens any more.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Nothing of it happens until [`Self::thaw`].
    pub(crate) fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }

    pub(crate) fn thaw(&self) {
        self.frozen.store(false, Ordering::Relaxed);
        self.thawed.notify_waiters();
    }

    /// Goes on when the process does; never, once it is dead.
    pub(crate) async fn gate(&self) {
        loop {
            let thawed = self.thawed.notified();
            if self.is_dead() {
                std::future::pending::<()>().await;
            }
            if !self.frozen.load(Ordering::Relaxed) {
                return;
            }
            thawed.await;
        }
    }
}

/// The store as one process reaches it.
#[derive(Clone)]
pub(crate) struct ProcessStore {
    world: Arc<World>,
    process: Arc<Process>,
    inner: Arc<MemoryStore>,
}

/// Who a fenced write is by.
type Fence = Option<(TaskId, u32)>;

impl ProcessStore {
    pub(crate) fn new(world: &Arc<World>, process: &Arc<Process>) -> Self {
        Self { world: world.clone(), process: process.clone(), inner: world.store() }
    }

    /// The process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    fn call<T, F>(&self, name: &'static str, writes: bool, fence: Fence, apply: F) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> StoreResult<T> + Send + 'static,
    {
        Box::pin(async move {
            let (world, number) = (&self.world, self.process.number);
            self.process.gate().await;
            let fate = world.fate(writes);
            self.delay(fate.before).await;
            if fate.refuse || world.is_out() {
                world.note_fault();
                world.say(format!("p{number} {name}{} refused", of(fence)));
                return Err(StoreError::Unavailable { aborted: true, reason: "simulated".into() });
            }
            world.sync_clock();
            let held = fence.map(|(task, attempt)| self.holds(task, attempt));
            let result = apply(self);
            if let (Some((task, attempt)), Some(held)) = (fence, held) {
                self.check_fence(name, task, attempt, held, result.as_ref().err());
            }
            if writes {
                let outcome = result.as_ref().err().map_or_else(|| "ok".into(), ToString::to_string);
                world.say(format!("p{number} {name}{} {outcome}", of(fence)));
                world.check();
            }
            self.delay(fate.after).await;
            if fate.lose {
                world.note_fault();
                world.met("lost acknowledgement");
                world.say(format!("p{number} {name}{} answer lost", of(fence)));
                return Err(StoreError::Unavailable { aborted: false, reason: "simulated".into() });
            }
            result
        })
    }

    async fn delay(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        self.process.gate().await;
    }

    /// Whether an attempt holds its task, by the record.
    fn holds(&self, task: TaskId, attempt: u32) -> bool {
        ready(self.inner.task(task)).is_ok_and(|view| view.task.attempt == attempt && view.task.state.worker().is_some())
    }

    /// A write of an attempt succeeds only where it holds its task, and is fenced only where it does not.
    fn check_fence(&self, name: &str, task: TaskId, attempt: u32, held: bool, error: Option<&StoreError>) {
        match error {
            None => self.world.require(held, || format!("{name} of {task} attempt {attempt} was accepted although it is fenced")),
            Some(StoreError::Rejected(Rejected::Fenced { .. })) => {
                self.world.met("fenced write");
                self.world.require(!held, || format!("{name} of {task} attempt {attempt} was fenced although it holds the task"));
            }
            Some(_) => {}
        }
    }

    /// Whether a mutant of this kind strikes now.
    fn mutant(&self, mutant: Mutant) -> bool {
        self.world.mutant == Some(mutant)
    }
}

fn of(fence: Fence) -> String {
    fence.map(|(task, attempt)| format!(" s{}t{}a{attempt}", task.step.0, task.index)).unwrap_or_default()
}

impl Queue for ProcessStore {
    fn now(&self) -> Timestamp {
        self.world.sync_clock();
        self.inner.now()
    }

    fn create_run(&self, new: NewRun) -> StoreFuture<'_, CreatedRun> {
        self.call("create_run", true, None, move |me| ready(me.inner.create_run(new)))
    }

    fn command_run(&self, run: RunId, command: RunCommand) -> StoreFuture<'_, Run> {
        self.call("command_run", true, None, move |me| ready(me.inner.command_run(run, command)))
    }

    fn order_task(&self, task: TaskId, order: TaskOrder) -> StoreFuture<'_, Task> {
        self.call("order_task", true, None, move |me| {
            let before = ready(me.inner.task(task))?.task;
            let forgotten = match &order {
                TaskOrder::Edit { .. } => me.mutant(Mutant::LostEdit),
                TaskOrder::Cancel => me.mutant(Mutant::ForgottenCancellation) && before.state.worker().is_some(),
                TaskOrder::Retry | TaskOrder::Skip => false,
            };
            let after = if forgotten { before } else { ready(me.inner.order_task(task, order.clone()))? };
            let now = me.world.elapsed();
            me.world.oracle().ordered(&after, &order, now);
            Ok(after)
        })
    }

    fn summon(&self, mut summons: Summons) -> StoreFuture<'_, Summoned> {
        self.call("summon", true, None, move |me| {
            if me.mutant(Mutant::RepeatedSummons) {
                summons.idempotency = None;
            }
            ready(me.inner.summon(summons))
        })
    }

    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()> {
        self.call("delete_run", true, None, move |me| ready(me.inner.delete_run(run)))
    }

    fn register_worker(&self, worker: WorkerId, lease: Duration, exclusive: bool) -> StoreFuture<'_, ()> {
        self.call("register_worker", true, None, move |me| ready(me.inner.register_worker(worker, lease, exclusive)))
    }

    fn renew(&self, worker: WorkerId, lease: Duration, progress: Vec<(TaskId, u32, Progress)>) -> StoreFuture<'_, ()> {
        self.call("renew", true, None, move |me| ready(me.inner.renew(worker, lease, progress)))
    }

    fn retire_worker(&self, worker: WorkerId) -> StoreFuture<'_, ()> {
        self.call("retire_worker", true, None, move |me| ready(me.inner.retire_worker(worker)))
    }

    fn claim(&self, mut request: ClaimRequest) -> StoreFuture<'_, Claims> {
        self.call("claim", true, None, move |me| {
            if me.mutant(Mutant::TooManySlots) {
                request.slots += 2;
                request.memory += 200 * MEMORY_UNIT;
            }
            let mut claims = ready(me.inner.claim(request))?;
            me.world.oracle().claimed(me.process.number, &claims.tasks);
            if me.mutant(Mutant::LostClaim) && claims.tasks.len() > 1 {
                claims.tasks.pop();
            }
            Ok(claims)
        })
    }

    fn reconcile(&self, worker: WorkerId, holding: Vec<(TaskId, u32)>) -> StoreFuture<'_, ()> {
        self.call("reconcile", true, None, move |me| {
            if me.mutant(Mutant::SkippedReconciliation) {
                return Ok(());
            }
            me.world.met("reconciled claims");
            ready(me.inner.reconcile(worker, holding))
        })
    }

    fn complete(&self, completion: Completion) -> StoreFuture<'_, TaskStatus> {
        let mut completion = completion;
        if self.mutant(Mutant::IgnoredFence)
            && let Ok(view) = ready(self.inner.task(completion.task))
        {
            completion.attempt = view.task.attempt;
            completion.first_line = 0;
        }
        let fence = Some((completion.task, completion.attempt));
        self.call("complete", true, fence, move |me| {
            if me.mutant(Mutant::ForgottenCompletion) && completion.random.is_multiple_of(16) {
                return Ok(TaskStatus::Succeeded);
            }
            if me.mutant(Mutant::LostLastLine) {
                completion.lines.pop();
            }
            let (task, attempt) = (completion.task, completion.attempt);
            let status = ready(me.inner.complete(completion))?;
            me.world.oracle().completed(task, attempt);
            Ok(status)
        })
    }

    fn spawn(&self, task: TaskId, attempt: u32, specs: Vec<TaskSpec>) -> StoreFuture<'_, Spawned> {
        self.call("spawn", true, Some((task, attempt)), move |me| {
            let keys: Vec<_> = specs.iter().map(|spec| spec.key.clone()).collect();
            let spawned = ready(me.inner.spawn(task, attempt, specs))?;
            me.world.oracle().spawned(task, keys);
            Ok(spawned)
        })
    }

    fn save_checkpoint(&self, task: TaskId, attempt: u32, data: Bytes) -> StoreFuture<'_, ()> {
        self.call("save_checkpoint", true, Some((task, attempt)), move |me| {
            ready(me.inner.save_checkpoint(task, attempt, data.clone()))?;
            me.world.oracle().saved(task, data);
            Ok(())
        })
    }

    fn load_checkpoint(&self, task: TaskId) -> StoreFuture<'_, Option<Bytes>> {
        self.call("load_checkpoint", false, None, move |me| {
            let data = ready(me.inner.load_checkpoint(task))?;
            let expected = me.world.oracle().checkpoint(task);
            me.world.require(data.is_none() || data == expected, || format!("{task} got another checkpoint than was saved last"));
            Ok(data)
        })
    }

    fn append_log(&self, task: TaskId, attempt: u32, first: u64, lines: Vec<Line>) -> StoreFuture<'_, ()> {
        self.call("append_log", true, Some((task, attempt)), move |me| {
            if me.mutant(Mutant::DroppedAppend) {
                return Ok(());
            }
            if me.mutant(Mutant::RepeatedAppend) {
                ready(me.inner.append_log(task, attempt, first, lines.clone()))?;
                let first = first + lines.len() as u64;
                return ready(me.inner.append_log(task, attempt, first, lines));
            }
            ready(me.inner.append_log(task, attempt, first, lines))
        })
    }

    fn take_revoked(&self, worker: WorkerId) -> StoreFuture<'_, Vec<TaskId>> {
        self.call("take_revoked", true, None, move |me| {
            let tasks = ready(me.inner.take_revoked(worker))?;
            Ok(if me.mutant(Mutant::UnheardRevocation) { vec![] } else { tasks })
        })
    }

    fn revocation_signal(&self, worker: WorkerId) -> Signal {
        self.world.relay(&self.process, self.inner.revocation_signal(worker))
    }

    fn housekeep(&self, retention: Retention) -> StoreFuture<'_, Housekeeping> {
        self.call("housekeep", true, None, move |me| {
            if me.mutant(Mutant::NoHousekeeping) {
                return Ok(Housekeeping::default());
            }
            ready(me.inner.housekeep(retention))
        })
    }

    fn work_signal(&self) -> Signal {
        self.world.relay(&self.process, self.inner.work_signal())
    }

    fn housekeeping_signal(&self) -> Signal {
        self.world.relay(&self.process, self.inner.housekeeping_signal())
    }
}

impl Journal for ProcessStore {
    fn run(&self, run: RunId) -> StoreFuture<'_, RunView> {
        self.call("run", false, None, move |me| ready(me.inner.run(run)))
    }

    fn runs(&self, filter: RunFilter, before: Option<RunId>, limit: usize) -> StoreFuture<'_, Vec<Run>> {
        self.call("runs", false, None, move |me| ready(me.inner.runs(filter, before, limit)))
    }

    fn task(&self, task: TaskId) -> StoreFuture<'_, TaskView> {
        self.call("task", false, None, move |me| ready(me.inner.task(task)))
    }

    fn tasks(&self, run: RunId, filter: TaskFilter, after: Option<TaskId>, limit: usize) -> StoreFuture<'_, Vec<Task>> {
        self.call("tasks", false, None, move |me| ready(me.inner.tasks(run, filter, after, limit)))
    }

    fn tasks_numbered(&self, run: RunId, step: StepIndex, numbers: Vec<u32>) -> StoreFuture<'_, Vec<Task>> {
        self.call("tasks_numbered", false, None, move |me| ready(me.inner.tasks_numbered(run, step, numbers)))
    }

    fn running_tasks(&self, run: RunId) -> StoreFuture<'_, Vec<Task>> {
        self.call("running_tasks", false, None, move |me| ready(me.inner.running_tasks(run)))
    }

    fn next_due(&self, run: RunId) -> StoreFuture<'_, Vec<Option<Timestamp>>> {
        self.call("next_due", false, None, move |me| ready(me.inner.next_due(run)))
    }

    fn count_tasks(&self, run: RunId, filter: TaskFilter) -> StoreFuture<'_, u64> {
        self.call("count_tasks", false, None, move |me| ready(me.inner.count_tasks(run, filter)))
    }

    fn log_tail(&self, task: TaskId, tail: Tail) -> StoreFuture<'_, Vec<LogRecord>> {
        self.call("log_tail", false, None, move |me| ready(me.inner.log_tail(task, tail)))
    }

    fn log(&self, run: RunId, query: LogQuery) -> StoreFuture<'_, LogPage> {
        self.call("log", false, None, move |me| {
            let mut page = ready(me.inner.log(run, query))?;
            if me.mutant(Mutant::SkippedRead) && page.lines.len() > 2 {
                page.lines.remove(1);
            }
            Ok(page)
        })
    }

    fn events(&self, after: u64, limit: usize) -> StoreFuture<'_, Vec<bulkhead_core::event::EventRecord>> {
        self.call("events", false, None, move |me| ready(me.inner.events(after, limit)))
    }

    fn last_event(&self) -> StoreFuture<'_, u64> {
        self.call("last_event", false, None, |me| ready(me.inner.last_event()))
    }

    fn statistics(&self) -> StoreFuture<'_, Statistics> {
        self.call("statistics", false, None, |me| ready(me.inner.statistics()))
    }

    fn run_signal(&self, run: RunId) -> Signal {
        self.world.relay(&self.process, self.inner.run_signal(run))
    }

    fn event_signal(&self) -> Signal {
        self.world.relay(&self.process, self.inner.event_signal())
    }

    fn recount(&self) -> StoreFuture<'_, Vec<String>> {
        self.call("recount", false, None, |me| ready(me.inner.recount()))
    }
}

impl Letters for ProcessStore {
    fn letter_groups(&self) -> StoreFuture<'_, Vec<LetterGroup>> {
        self.call("letter_groups", false, None, |me| ready(me.inner.letter_groups()))
    }

    fn letter_group(&self, group: Digest) -> StoreFuture<'_, LetterGroup> {
        self.call("letter_group", false, None, move |me| ready(me.inner.letter_group(group)))
    }

    fn letter_runs(&self, group: Digest, before: Option<RunId>, limit: usize) -> StoreFuture<'_, Vec<LetterRun>> {
        self.call("letter_runs", false, None, move |me| ready(me.inner.letter_runs(group, before, limit)))
    }
}

impl Catalog for ProcessStore {
    fn put_definition(&self, id: Name, text: Arc<str>, expected: Option<u64>) -> StoreFuture<'_, DefinitionRecord> {
        self.inner.put_definition(id, text, expected)
    }
    fn definition(&self, id: Name) -> StoreFuture<'_, DefinitionRecord> {
        self.inner.definition(id)
    }
    fn definition_versions(&self, id: Name, before: Option<u64>, limit: usize) -> StoreFuture<'_, Vec<DefinitionRecord>> {
        self.inner.definition_versions(id, before, limit)
    }
    fn definition_version(&self, id: Name, version: u64) -> StoreFuture<'_, DefinitionRecord> {
        self.inner.definition_version(id, version)
    }
    fn definitions(&self, after: Option<Name>, limit: usize) -> StoreFuture<'_, Vec<DefinitionRecord>> {
        self.inner.definitions(after, limit)
    }
    fn delete_definition(&self, id: Name) -> StoreFuture<'_, ()> {
        self.inner.delete_definition(id)
    }
    fn put_plugin(&self, plugin: PluginRecord, component: Bytes) -> StoreFuture<'_, PluginRecord> {
        self.inner.put_plugin(plugin, component)
    }
    fn plugin(&self, name: Name) -> StoreFuture<'_, PluginRecord> {
        self.inner.plugin(name)
    }
    fn plugins(&self) -> StoreFuture<'_, Vec<PluginRecord>> {
        self.inner.plugins()
    }
    fn component(&self, digest: Digest) -> StoreFuture<'_, Bytes> {
        self.call("component", false, None, move |me| ready(me.inner.component(digest)))
    }
    fn pin_plugin(&self, plugin: PluginRecord, component: Bytes) -> StoreFuture<'_, PluginRecord> {
        self.inner.pin_plugin(plugin, component)
    }
    fn pinned_plugin(&self, manifest: Digest) -> StoreFuture<'_, PluginRecord> {
        self.inner.pinned_plugin(manifest)
    }
    fn pinned_plugins(&self) -> StoreFuture<'_, Vec<(PluginRecord, Papers)>> {
        self.inner.pinned_plugins()
    }
    fn put_papers(&self, component: Digest, papers: Papers) -> StoreFuture<'_, ()> {
        self.inner.put_papers(component, papers)
    }
    fn papers(&self, component: Digest) -> StoreFuture<'_, Papers> {
        self.inner.papers(component)
    }
    fn delete_plugin(&self, name: Name) -> StoreFuture<'_, ()> {
        self.inner.delete_plugin(name)
    }
    fn submit_plugin(&self, digest: Digest, name: Option<Name>, component: Bytes) -> StoreFuture<'_, PluginUpload> {
        self.call("submit_plugin", true, None, move |me| {
            me.world.oracle().uploads.submitted(digest);
            if me.mutant(Mutant::LostUpload) {
                let (size, received_at) = (component.len() as u64, me.inner.now());
                return Ok(PluginUpload { digest, name, size, received_at, begun: 0, state: UploadState::Waiting });
            }
            ready(me.inner.submit_plugin(digest, name, component))
        })
    }
    fn begin_upload(&self, digest: Digest, begun: u32) -> StoreFuture<'_, PluginUpload> {
        self.call("begin_upload", true, None, move |me| {
            me.world.oracle().uploads.begun(digest, me.process.number);
            ready(me.inner.begin_upload(digest, begun))
        })
    }
    fn end_upload(&self, digest: Digest, end: UploadEnd) -> StoreFuture<'_, PluginUpload> {
        self.call("end_upload", true, None, move |me| {
            if me.mutant(Mutant::ForgottenUploadEnd) {
                return ready(me.inner.plugin_upload(digest));
            }
            ready(me.inner.end_upload(digest, end))
        })
    }
    fn plugin_upload(&self, digest: Digest) -> StoreFuture<'_, PluginUpload> {
        self.inner.plugin_upload(digest)
    }
    fn plugin_uploads(&self) -> StoreFuture<'_, Vec<PluginUpload>> {
        self.call("plugin_uploads", false, None, |me| ready(me.inner.plugin_uploads()))
    }
    fn put_token(&self, token: TokenRecord) -> StoreFuture<'_, ()> {
        self.inner.put_token(token)
    }
    fn token(&self, secret: Digest) -> StoreFuture<'_, TokenRecord> {
        self.inner.token(secret)
    }
    fn tokens(&self) -> StoreFuture<'_, Vec<TokenRecord>> {
        self.inner.tokens()
    }
    fn delete_token(&self, name: Name) -> StoreFuture<'_, ()> {
        self.inner.delete_token(name)
    }
}

impl Files for ProcessStore {
    fn begin_content(&self) -> StoreFuture<'_, Box<dyn ContentWriter>> {
        self.call("begin_content", false, None, |me| ready(me.inner.begin_content()))
    }

    fn read_content(&self, digest: Digest, offset: u64, max: usize) -> StoreFuture<'_, Bytes> {
        self.call("read_content", false, None, move |me| ready(me.inner.read_content(digest, offset, max)))
    }

    fn put_file(&self, content: Content) -> StoreFuture<'_, FileRecord> {
        self.call("put_file", true, None, move |me| ready(me.inner.put_file(content)))
    }

    fn file(&self, digest: Digest) -> StoreFuture<'_, FileRecord> {
        self.call("file", false, None, move |me| ready(me.inner.file(digest)))
    }

    fn run_files(&self, run: RunId) -> StoreFuture<'_, Vec<RunFile>> {
        self.call("run_files", false, None, move |me| ready(me.inner.run_files(run)))
    }

    fn artifact(&self, run: RunId, step: StepIndex, name: FileName, task: Option<u32>) -> StoreFuture<'_, ArtifactRecord> {
        self.call("artifact", false, None, move |me| ready(me.inner.artifact(run, step, name, task)))
    }

    fn artifacts(
        &self,
        run: RunId,
        step: Option<StepIndex>,
        after: Option<ArtifactPlace>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ArtifactRecord>> {
        self.call("artifacts", false, None, move |me| ready(me.inner.artifacts(run, step, after, limit)))
    }

    fn latest_artifacts(
        &self,
        before: Option<(RunId, ArtifactPlace)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(RunId, ArtifactRecord)>> {
        self.call("latest_artifacts", false, None, move |me| ready(me.inner.latest_artifacts(before, limit)))
    }

    fn outputs(&self, run: RunId, step: StepIndex, after: u32, limit: usize) -> StoreFuture<'_, Vec<OutputRecord>> {
        self.call("outputs", false, None, move |me| ready(me.inner.outputs(run, step, after, limit)))
    }
}

impl Schedules for ProcessStore {
    fn schedule(&self, id: Name) -> StoreFuture<'_, ScheduleRecord> {
        self.call("schedule", false, None, move |me| ready(me.inner.schedule(id)))
    }

    fn schedules(&self, after: Option<Name>, limit: usize) -> StoreFuture<'_, Vec<ScheduleRecord>> {
        self.call("schedules", false, None, move |me| ready(me.inner.schedules(after, limit)))
    }

    fn fires(&self, id: Name, before: Option<u64>, limit: usize) -> StoreFuture<'_, Vec<FireRecord>> {
        self.call("fires", false, None, move |me| ready(me.inner.fires(id, before, limit)))
    }

    fn fire_counts(&self) -> StoreFuture<'_, FireCounts> {
        self.call("fire_counts", false, None, |me| ready(me.inner.fire_counts()))
    }

    fn due_schedules(&self, limit: usize) -> StoreFuture<'_, DueSchedules> {
        self.call("due_schedules", false, None, move |me| ready(me.inner.due_schedules(limit)))
    }

    fn fire(&self, fire: Fire) -> StoreFuture<'_, Fired> {
        self.call("fire", true, None, move |me| {
            if me.mutant(Mutant::ForgottenFire) {
                return Ok(Fired { acted: true, run: None, again: false });
            }
            let fired = ready(me.inner.fire(fire))?;
            if let Some(run) = fired.run {
                me.world.met("scheduled run");
                me.world.say(format!("  fired {run}"));
            }
            Ok(fired)
        })
    }

    fn fire_now(&self, id: Name, run: NewRun) -> StoreFuture<'_, CreatedRun> {
        self.call("fire_now", true, None, move |me| ready(me.inner.fire_now(id, run)))
    }

    fn pause_schedule(&self, id: Name, paused: bool) -> StoreFuture<'_, ScheduleRecord> {
        self.call("pause_schedule", true, None, move |me| ready(me.inner.pause_schedule(id, paused)))
    }

    fn schedule_signal(&self) -> Signal {
        self.world.relay(&self.process, self.inner.schedule_signal())
    }
}

impl Hooks for ProcessStore {
    fn put_hook(&self, name: Name, hook: Hook) -> StoreFuture<'_, HookRecord> {
        self.call("put_hook", true, None, move |me| ready(me.inner.put_hook(name, hook)))
    }

    fn delete_hook(&self, name: Name) -> StoreFuture<'_, ()> {
        self.call("delete_hook", true, None, move |me| ready(me.inner.delete_hook(name)))
    }

    fn hook(&self, name: HookName) -> StoreFuture<'_, HookRecord> {
        self.call("hook", false, None, move |me| ready(me.inner.hook(name)))
    }

    fn hooks(&self, after: Option<HookName>, limit: usize) -> StoreFuture<'_, Vec<HookRecord>> {
        self.call("hooks", false, None, move |me| ready(me.inner.hooks(after, limit)))
    }

    fn hook_counts(&self) -> StoreFuture<'_, HookCounts> {
        self.call("hook_counts", false, None, |me| ready(me.inner.hook_counts()))
    }

    fn deliveries(
        &self,
        name: HookName,
        state: DeliveryState,
        before: Option<u64>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Delivery>> {
        self.call("deliveries", false, None, move |me| ready(me.inner.deliveries(name, state, before, limit)))
    }

    fn test_hook(&self, name: HookName) -> StoreFuture<'_, Delivery> {
        self.call("test_hook", true, None, move |me| ready(me.inner.test_hook(name)))
    }

    fn redeliver(&self, name: HookName, number: Option<u64>) -> StoreFuture<'_, u64> {
        self.call("redeliver", true, None, move |me| ready(me.inner.redeliver(name, number)))
    }

    fn lease_deliveries(&self, request: DeliveryRequest) -> StoreFuture<'_, LeasedDeliveries> {
        self.call("lease_deliveries", true, None, move |me| ready(me.inner.lease_deliveries(request)))
    }

    fn settle_delivery(&self, settlement: Settlement) -> StoreFuture<'_, ()> {
        self.call("settle_delivery", true, None, move |me| ready(me.inner.settle_delivery(settlement)))
    }

    fn hook_signal(&self) -> Signal {
        self.world.relay(&self.process, self.inner.hook_signal())
    }

    fn delivery_signal(&self) -> Signal {
        self.world.relay(&self.process, self.inner.delivery_signal())
    }
}

/// The port, as the engine takes it.
pub(crate) fn port(store: &ProcessStore) -> Arc<dyn Store> {
    Arc::new(store.clone())
}
