//! The port to durable state: domain transactions, each atomic and durable when it returns.
//!
//! Inside its transactions a store calls [`bulkhead_core::machine`]; it decides nothing itself. Every list is paged by a key,
//! every result is bounded. Lease time is the store's clock ([`Queue::now`]).

mod hooks;
mod letters;
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::artifact::FileName;
use bulkhead_core::event::EventRecord;
use bulkhead_core::failure::{Failure, FailureFilter};
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::log::{Level, Line, Source, Tail};
use bulkhead_core::machine::{Rejected, Report, RunCommand};
use bulkhead_core::name::Name;
use bulkhead_core::plan::Plan;
use bulkhead_core::plugin::Analysis;
use bulkhead_core::run::{Run, RunStatus, TaskCounts, Trigger};
use bulkhead_core::task::{Progress, Task, TaskStatus};
use bulkhead_core::time::Timestamp;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::files::{Files, NewArtifact};
pub use hooks::{
    DELIVERED_KEPT, DeliveryEnd, DeliveryRequest, HookRecord, Hooks, LeasedDeliveries, MAX_FAILED, MAX_WAITING, Settlement,
};
pub use letters::{LetterGroup, LetterRun, Letters, MAX_LETTER_GROUPS, MAX_LETTERS_PER_RUN};
pub use schedules::{DueSchedules, Fire, Fired, Schedules};

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// What was named is not there.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Something else is there already, or changed in between.
    #[error("{0}")]
    Conflict(String),
    /// The state machine refused.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The store could not answer. `Aborted`: nothing was written. `Unknown`: it may have been.
    #[error("the store is unavailable ({}): {reason}", if *.aborted { "nothing was written" } else { "the write may have happened" })]
    Unavailable {
        /// Whether it is certain that nothing was written.
        aborted: bool,
        /// What happened.
        reason: String,
    },
    /// What is stored can't be read.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// The pause before a store that could not answer is asked again by what an attempt waits for.
pub(crate) const STORE_RETRY: Duration = Duration::from_millis(100);
/// The same for services that nobody waits for.
pub(crate) const SERVICE_RETRY: Duration = Duration::from_millis(250);

/// The versions of a definition that are kept beside the one that it has.
pub const MAX_OLD_VERSIONS: u64 = 100;

/// What a store's methods return.
pub type StoreResult<T> = Result<T, StoreError>;
/// A future of a [`StoreResult`].
pub type StoreFuture<'a, T> = BoxFuture<'a, StoreResult<T>>;

/// Durable state. Object-safe; share it as `Arc<dyn Store>`.
pub trait Store: Queue + Journal + Letters + Catalog + Files + Schedules + Hooks {}
impl<T: Queue + Journal + Letters + Catalog + Files + Schedules + Hooks> Store for T {}

/// Runs and tasks: what changes them.
pub trait Queue: Send + Sync + 'static {
    /// The store's clock, which leases and due times follow. It never goes back within one process.
    fn now(&self) -> Timestamp;

    /// Creates a run, or returns the one that the same idempotency key created.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the idempotency key was used for another request, and [`StoreError::NotFound`] (`file`)
    /// where one of its files is not there.
    fn create_run(&self, new: NewRun) -> StoreFuture<'_, CreatedRun>;

    /// Does something to a whole run and returns it as it is then.
    fn command_run(&self, run: RunId, command: RunCommand) -> StoreFuture<'_, Run>;

    /// Does something to one task and returns it as it is then. Asking for what is so already changes nothing and is no error.
    ///
    /// # Errors
    /// [`StoreError::Rejected`] where the task's or the run's state gives the order no meaning.
    fn order_task(&self, task: TaskId, order: TaskOrder) -> StoreFuture<'_, Task>;

    /// Makes one waiting task of a run the next to run, whatever its due time and although the run is paused. Each call takes
    /// another one; the same idempotency key takes one task only.
    ///
    /// # Errors
    /// [`Rejected::NothingWaits`], or [`StoreError::Conflict`] where the idempotency key was used for another request.
    fn summon(&self, summons: Summons) -> StoreFuture<'_, Summoned>;

    /// Removes a run in a terminal state with all that belongs to it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where it is not in a terminal state.
    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()>;

    /// Makes a worker known, its lease valid for `lease` from now. `exclusive` says that no other worker can exist (an embedded
    /// store has one process): all others' tasks are taken from them at once.
    fn register_worker(&self, worker: WorkerId, lease: Duration, exclusive: bool) -> StoreFuture<'_, ()>;

    /// Extends a worker's lease to `lease` from now and stores what its tasks last said of their progress.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the lease ran out and its tasks were taken away: the worker must register anew.
    fn renew(&self, worker: WorkerId, lease: Duration, progress: Vec<(TaskId, u32, Progress)>) -> StoreFuture<'_, ()>;

    /// Ends a worker's registration in order. It must hold no task.
    fn retire_worker(&self, worker: WorkerId) -> StoreFuture<'_, ()>;

    /// Hands out due tasks: by priority, then by due time, as many as fit `slots` and `memory`.
    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, Claims>;

    /// Gives back to the queue what a worker holds by the store's word and not in fact: tasks that a claim took whose answer was
    /// lost. `holding` are the attempts that the worker does hold. What is given back counts against no limit.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the lease ran out: then the worker holds nothing.
    fn reconcile(&self, worker: WorkerId, holding: Vec<(TaskId, u32)>) -> StoreFuture<'_, ()>;

    /// Records how an attempt ended, with its last log lines, and returns the task's state then.
    ///
    /// # Errors
    /// [`Rejected::Fenced`] where the attempt does not hold the task any more.
    fn complete(&self, completion: Completion) -> StoreFuture<'_, TaskStatus>;

    /// Creates tasks from a task, those whose keys the step does not have. All or none.
    ///
    /// # Errors
    /// [`Rejected::Fenced`], [`Rejected::Stopping`], [`Rejected::SpawnQuota`].
    fn spawn(&self, task: TaskId, attempt: u32, specs: Vec<TaskSpec>) -> StoreFuture<'_, Spawned>;

    /// Replaces a task's checkpoint.
    fn save_checkpoint(&self, task: TaskId, attempt: u32, data: Bytes) -> StoreFuture<'_, ()>;

    /// A task's checkpoint.
    fn load_checkpoint(&self, task: TaskId) -> StoreFuture<'_, Option<Bytes>>;

    /// Appends lines of an attempt; `first` is the number of the first of them in the attempt, from 0. Lines that are stored
    /// already are left out, so a repeated append repeats nothing.
    ///
    /// # Errors
    /// [`Rejected::Fenced`] where the attempt does not hold the task any more.
    fn append_log(&self, task: TaskId, attempt: u32, first: u64, lines: Vec<Line>) -> StoreFuture<'_, ()>;

    /// The attempts of this worker that are to end because their run or step is being stopped: each is named once, and what is
    /// named here was claimed before. May be empty.
    fn take_revoked(&self, worker: WorkerId) -> StoreFuture<'_, Vec<TaskId>>;

    /// A signal that [`Queue::take_revoked`] may have something for this worker.
    fn revocation_signal(&self, worker: WorkerId) -> Signal;

    /// Does a bounded piece of what is due: timeouts, lost workers, cancelled and retried tasks, retention.
    fn housekeep(&self, retention: Retention) -> StoreFuture<'_, Housekeeping>;

    /// A signal that tasks may have become claimable. Like every signal it may come too often, and it may be lost with a process:
    /// whoever waits looks again at the due time that [`Claims`] named.
    fn work_signal(&self) -> Signal;

    /// A signal that housekeeping may be due, or due earlier than [`Housekeeping`] said.
    fn housekeeping_signal(&self) -> Signal;
}

/// What was recorded: reads, each of one consistent moment.
pub trait Journal: Send + Sync + 'static {
    /// A run and its plan.
    fn run(&self, run: RunId) -> StoreFuture<'_, RunView>;

    /// Runs, the newest first, before `before`.
    fn runs(&self, filter: RunFilter, before: Option<RunId>, limit: usize) -> StoreFuture<'_, Vec<Run>>;

    /// A task with its input and output.
    fn task(&self, task: TaskId) -> StoreFuture<'_, TaskView>;

    /// Tasks of a run in the order of their ids, after `after`.
    fn tasks(&self, run: RunId, filter: TaskFilter, after: Option<TaskId>, limit: usize) -> StoreFuture<'_, Vec<Task>>;

    /// Tasks of a step by their numbers, in that order; what is not there is left out. One look for each.
    fn tasks_numbered(&self, run: RunId, step: StepIndex, numbers: Vec<u32>) -> StoreFuture<'_, Vec<Task>>;

    /// The tasks of a run that workers hold, in the order of their ids. Never more than there are slots.
    fn running_tasks(&self, run: RunId) -> StoreFuture<'_, Vec<Task>>;

    /// When the first task of each step falls due that waits for its turn; absent where none does.
    fn next_due(&self, run: RunId) -> StoreFuture<'_, Vec<Option<Timestamp>>>;

    /// How many tasks of a run match. Looks at each of them.
    fn count_tasks(&self, run: RunId, filter: TaskFilter) -> StoreFuture<'_, u64>;

    /// The last lines of an attempt, those that its record knows, in order. Never reads more of the log than they need.
    fn log_tail(&self, task: TaskId, tail: Tail) -> StoreFuture<'_, Vec<LogRecord>>;

    /// Log lines of a run that match, in order: the first ones after a number, or the last ones before one.
    fn log(&self, run: RunId, query: LogQuery) -> StoreFuture<'_, LogPage>;

    /// Events after number `after`, in order. Older ones may have been removed by retention.
    fn events(&self, after: u64, limit: usize) -> StoreFuture<'_, Vec<EventRecord>>;

    /// The number of the last event.
    fn last_event(&self) -> StoreFuture<'_, u64>;

    /// The counters of the whole store.
    fn statistics(&self) -> StoreFuture<'_, Statistics>;

    /// A signal that something of this run was recorded: an event or log lines. As [`Queue::work_signal`] for the rest.
    fn run_signal(&self, run: RunId) -> Signal;

    /// A signal that an event was recorded.
    fn event_signal(&self) -> Signal;

    /// Counts everything again from the records and compares: the differences found, in words. Reads the whole store; for tests
    /// and `bulkhead doctor`.
    fn recount(&self) -> StoreFuture<'_, Vec<String>>;
}

/// Definitions, plugins and tokens.
pub trait Catalog: Send + Sync + 'static {
    /// Stores a definition under its id and returns its version: 1, or one more than before. The same text keeps its version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where `expected` is given and is not the stored version (0: there is none).
    fn put_definition(&self, id: Name, text: Arc<str>, expected: Option<u64>) -> StoreFuture<'_, DefinitionRecord>;
    /// A definition.
    fn definition(&self, id: Name) -> StoreFuture<'_, DefinitionRecord>;
    /// Definitions in the order of their ids, after `after`.
    fn definitions(&self, after: Option<Name>, limit: usize) -> StoreFuture<'_, Vec<DefinitionRecord>>;
    /// The versions of a definition, the newest first, before `before`: the one that it has, and the last
    /// [`MAX_OLD_VERSIONS`] before.
    fn definition_versions(&self, id: Name, before: Option<u64>, limit: usize) -> StoreFuture<'_, Vec<DefinitionRecord>>;
    /// One version of a definition.
    fn definition_version(&self, id: Name, version: u64) -> StoreFuture<'_, DefinitionRecord>;
    /// Removes a definition with its versions. Its runs stay.
    fn delete_definition(&self, id: Name) -> StoreFuture<'_, ()>;

    /// Stores a plugin under its name. Uploading the same component again changes nothing; another one under the same name
    /// becomes the one that new plans use, and earlier ones stay for the runs that are pinned to them.
    fn put_plugin(&self, plugin: PluginRecord, component: Bytes) -> StoreFuture<'_, PluginRecord>;
    /// The plugin that a name means now.
    fn plugin(&self, name: Name) -> StoreFuture<'_, PluginRecord>;
    /// The plugins that names mean now, in the order of their names.
    fn plugins(&self) -> StoreFuture<'_, Vec<PluginRecord>>;
    /// The component with this digest.
    fn component(&self, digest: Digest) -> StoreFuture<'_, Bytes>;
    /// Stores a plugin that no name means: it is found by what it is pinned to. Storing it again changes nothing.
    fn pin_plugin(&self, plugin: PluginRecord, component: Bytes) -> StoreFuture<'_, PluginRecord>;
    /// The plugin whose manifest in a registry has this digest, wherever it came from.
    fn pinned_plugin(&self, manifest: Digest) -> StoreFuture<'_, PluginRecord>;
    /// The plugins that are pinned and that no name means, in the order of their names, each with its papers.
    fn pinned_plugins(&self) -> StoreFuture<'_, Vec<(PluginRecord, Papers)>>;
    /// Stores what proves a component, beside what is known of that. The component need not be there yet: papers say something of
    /// bytes, and not who has them. They go with the component.
    fn put_papers(&self, component: Digest, papers: Papers) -> StoreFuture<'_, ()>;
    /// What proves a component; nothing where nothing does.
    fn papers(&self, component: Digest) -> StoreFuture<'_, Papers>;
    /// Removes a plugin.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a run that has not ended uses it.
    fn delete_plugin(&self, name: Name) -> StoreFuture<'_, ()>;

    /// Takes a component that is to be checked later, under its digest, with what proves it. One that waits already, under the same
    /// name, stays as it is; one that was checked before is checked anew.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where [`MAX_WAITING_UPLOADS`] wait, or this one waits under another name.
    fn submit_plugin(
        &self,
        digest: Digest,
        name: Option<Name>,
        papers: Papers,
        component: Bytes,
    ) -> StoreFuture<'_, PluginUpload>;
    /// Records that an upload that waits is checked now, and returns it as it is then: refused, where
    /// [`MAX_UPLOAD_ATTEMPTS`] checks of it never came to an end.
    fn begin_upload(&self, digest: Digest) -> StoreFuture<'_, PluginUpload>;
    /// Records what came of it. One that does not wait any more stays as it is.
    fn end_upload(&self, digest: Digest, end: UploadEnd) -> StoreFuture<'_, PluginUpload>;
    /// The upload of the component with this digest.
    fn plugin_upload(&self, digest: Digest) -> StoreFuture<'_, PluginUpload>;
    /// All uploads that are known, those that came first at the front: what waits, and the last [`MAX_ENDED_UPLOADS`] others.
    fn plugin_uploads(&self) -> StoreFuture<'_, Vec<PluginUpload>>;

    /// Stores a token under the digest of its secret.
    fn put_token(&self, token: TokenRecord) -> StoreFuture<'_, ()>;
    /// The token with this digest of its secret.
    fn token(&self, secret: Digest) -> StoreFuture<'_, TokenRecord>;
    /// All tokens.
    fn tokens(&self) -> StoreFuture<'_, Vec<TokenRecord>>;
    /// Removes the token with this name.
    fn delete_token(&self, name: Name) -> StoreFuture<'_, ()>;
}

/// A run to create.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// What it executes.
    pub plan: Arc<Plan>,
    /// Its parameters: a JSON object.
    pub parameters: Arc<str>,
    /// The files that it is started with: uploaded ones, each under the name that the run calls it.
    pub files: Vec<(FileName, Digest)>,
    /// What made it start.
    pub trigger: Trigger,
    /// Whether none of its tasks starts before somebody resumes it.
    pub paused: bool,
    /// Create it once only.
    pub idempotency: Option<Idempotency>,
}

/// The key under which a request happens once, and what the request was.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// The client's key, with the scope that it is unique in.
    pub key: String,
    /// The digest of the request: another request under the same key is a conflict.
    pub request: Digest,
}

/// What [`Queue::create_run`] did.
#[derive(Clone, Debug)]
pub struct CreatedRun {
    /// The run.
    pub run: Run,
    /// Whether it existed already, under the same idempotency key.
    pub existing: bool,
}

/// What a person may order of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskOrder {
    /// Try it again although it failed, was cancelled or was skipped.
    Retry,
    /// It need not be done.
    Skip,
    /// End it.
    Cancel,
    /// Give it another input before its next attempt.
    Edit {
        /// The input: JSON text.
        input: Arc<str>,
        /// Who changes it: a token's name, where there is one.
        by: Option<Box<str>>,
    },
}

/// That one waiting task is to run next.
#[derive(Clone, Debug)]
pub struct Summons {
    /// Of which run.
    pub run: RunId,
    /// Of which step; of the first one with a waiting task where absent.
    pub step: Option<StepIndex>,
    /// Take one task only, however often it is asked.
    pub idempotency: Option<Idempotency>,
}

/// What [`Queue::summon`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summoned {
    /// The task that runs next.
    pub task: TaskId,
    /// Its last attempt before: the answer is how a later one ends.
    pub after: u32,
    /// Whether it was taken before, under the same idempotency key.
    pub existing: bool,
}

/// What a worker can take.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRequest {
    /// Who.
    pub worker: WorkerId,
    /// How many tasks at most.
    pub slots: usize,
    /// How many bytes their memory limits may add up to now.
    pub memory: u64,
    /// How many bytes they may add up to when the worker is idle. A task with a higher limit is passed over: waiting for memory
    /// would hold up everything behind it for ever.
    pub budget: u64,
}

/// What a worker got.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The tasks.
    pub tasks: Vec<Claimed>,
    /// When the next waiting task falls due that is not due now. Absent where none waits, or where more are due than were given.
    pub next_due: Option<Timestamp>,
    /// Whether a due task was left because its memory limit did not fit.
    pub wants_memory: bool,
}

/// A task with all that an attempt needs.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Which.
    pub task: TaskId,
    /// The attempt's number; the fencing token.
    pub attempt: u32,
    /// The run's plan.
    pub plan: Arc<Plan>,
    /// The task's key.
    pub key: Arc<str>,
    /// The task's input: JSON text. Empty for a step's `plan`.
    pub input: Arc<str>,
    /// The run's parameters: a JSON object.
    pub parameters: Arc<str>,
}

/// How an attempt ended, with what goes into the same transaction.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// How it ended.
    pub report: Report,
    /// The output of a task that succeeded: JSON text.
    pub output: Option<Arc<str>>,
    /// What a task that succeeded publishes.
    pub artifacts: Vec<NewArtifact>,
    /// The number of the first of `lines` in the attempt, from 0.
    pub first_line: u64,
    /// The attempt's last log lines.
    pub lines: Vec<Line>,
    /// Spreads the wait before the next attempt; uniform over all of u32.
    pub random: u32,
}

/// A task to spawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    /// The deduplication key.
    pub key: Box<str>,
    /// The input: JSON text.
    pub input: Box<str>,
}

/// What [`Queue::spawn`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spawned {
    /// Tasks that are new.
    pub created: u32,
    /// Tasks that the step already had under the same key.
    pub existing: u32,
}

/// How long runs are kept that have ended. Whatever is older than `age` or beyond the `count` newest goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// The longest time since a run's end.
    pub age: Option<Duration>,
    /// The most ended runs.
    pub count: Option<u64>,
}

/// What [`Queue::housekeep`] left to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Housekeeping {
    /// There is more to do now.
    pub again: bool,
    /// When the next timeout or lease runs out.
    pub next_due: Option<Timestamp>,
}

/// A run, with what does not change.
#[derive(Clone, Debug)]
pub struct RunView {
    /// The run.
    pub run: Run,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its parameters: a JSON object.
    pub parameters: Arc<str>,
}

/// A task, with what lies beside its record.
#[derive(Clone, Debug)]
pub struct TaskView {
    /// The task.
    pub task: Task,
    /// Its input: JSON text.
    pub input: Arc<str>,
    /// Its output: JSON text.
    pub output: Option<Arc<str>>,
}

/// Which runs to list. All criteria must hold.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// In one of these states; in any where empty.
    pub statuses: Vec<RunStatus>,
    /// Of this definition.
    pub definition: Option<Name>,
    /// Created at or after.
    pub since: Option<Timestamp>,
    /// Created before.
    pub until: Option<Timestamp>,
}

/// Which tasks to list. All criteria must hold.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// In one of these states; in any where empty.
    pub statuses: Vec<TaskStatus>,
    /// Of this step.
    pub step: Option<StepIndex>,
    /// Failed for such a reason; whatever became of them where absent.
    pub failure: Option<FailureFilter>,
    /// Dead letters of this group.
    pub letter: Option<Digest>,
}

/// Which lines to read. All criteria must hold.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// Lines with greater numbers.
    pub after: u64,
    /// Lines with smaller numbers, and of those that match the last ones instead of the first: reading goes backwards from here.
    pub before: Option<u64>,
    /// At least this level.
    pub level: Option<Level>,
    /// Of this step.
    pub step: Option<StepIndex>,
    /// Of this task.
    pub task: Option<TaskId>,
    /// With this text in the message or the fields, in upper or lower case.
    pub contains: Option<Arc<str>>,
    /// At most so many lines.
    pub limit: usize,
}

/// Lines, and how far the search for them got.
#[derive(Clone, Debug, Default)]
pub struct LogPage {
    /// The lines that match, in order.
    pub lines: Vec<LogRecord>,
    /// Every line up to this number was looked at: read on after it. With [`LogQuery::before`], every line from this number on
    /// was: read on before it.
    pub scanned: u64,
    /// The number of the run's last line.
    pub last: u64,
    /// Whether the run had ended when this was read. With `scanned == last` no line will follow unless the run is retried.
    pub ended: bool,
}

/// A stored log line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its number in the run: 1, 2, … without a gap.
    pub seq: u64,
    /// Its number in the step, likewise.
    pub step_seq: u64,
    /// Its step.
    pub step: StepIndex,
    /// Its task's number in the step.
    pub task: u32,
    /// Its attempt.
    pub attempt: u32,
    /// Its number in the attempt, from 0.
    pub attempt_line: u64,
    /// When the host received it.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// Where it comes from.
    pub source: Source,
    /// The text.
    pub message: Box<str>,
    /// A JSON object of structured fields.
    pub fields: Option<Box<str>>,
}

/// The counters of the whole store. Counts of states are of what is stored now; totals only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Runs by state, in the order of [`RunStatus::ALL`].
    pub runs: [u64; RunStatus::ALL.len()],
    /// Tasks by state, in the order of [`TaskStatus::ALL`].
    pub tasks: [u64; TaskStatus::COUNT],
    /// Attempts that ended since the store was made.
    pub attempts: u64,
    /// Log lines stored since the store was made.
    pub lines: u64,
    /// Units of fuel used since the store was made.
    pub fuel: u64,
    /// Leases that ran out since the store was made: one for each task taken from a worker.
    pub lost_leases: u64,
    /// Retries scheduled since the store was made.
    pub retries: u64,
    /// Different contents of uploaded files, runs' files and artifacts that are stored now.
    pub contents: u64,
    /// Their bytes.
    pub content_bytes: u64,
    /// When the oldest task fell due that waits and could be claimed now.
    pub oldest_due: Option<Timestamp>,
}

impl Statistics {
    /// Adds or takes away a run's task counters.
    pub fn count_tasks(&mut self, counts: &TaskCounts, add: bool) {
        for (total, status) in self.tasks.iter_mut().zip(TaskStatus::ALL) {
            let count = u64::from(counts.of(status));
            *total = if add { *total + count } else { *total - count };
        }
    }
}

/// A definition as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionRecord {
    /// Its id.
    pub id: Name,
    /// How often its text changed: 1, 2, …
    pub version: u64,
    /// When this version was stored.
    pub updated_at: Timestamp,
    /// Its text, in TOML.
    pub text: Arc<str>,
}

/// A plugin as it is stored, without its component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// The name that it calls itself.
    pub name: Name,
    /// Its own version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The JSON Schema of its configuration.
    pub config_schema: String,
    /// The digest of its component.
    pub digest: Digest,
    /// The component's size in bytes.
    pub size: u64,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
    /// What the check at upload found; absent where it was uploaded before that was recorded.
    pub analysis: Option<Analysis>,
}

/// The uploads that may wait at once.
pub const MAX_WAITING_UPLOADS: usize = 100;
/// The uploads that are remembered when they have ended.
pub const MAX_ENDED_UPLOADS: usize = 100;
/// How often a check of an upload may begin and never end, before it is to blame.
pub const MAX_UPLOAD_ATTEMPTS: u32 = 3;

/// A component that was uploaded to be checked in the background.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginUpload {
    /// The digest of what was uploaded.
    pub digest: Digest,
    /// The name that it was given: that of a command.
    pub name: Option<Name>,
    /// Its size in bytes.
    pub size: u64,
    /// When it came.
    pub received_at: Timestamp,
    /// Checks of it that began and have not ended.
    pub begun: u32,
    /// Where it is.
    pub state: UploadState,
}

/// Where an upload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadState {
    /// It is to be checked, or is being checked.
    Waiting,
    /// It is a plugin.
    Accepted {
        /// Since when.
        at: Timestamp,
        /// Its name.
        plugin: Name,
    },
    /// It is none.
    Refused {
        /// Since when.
        at: Timestamp,
        /// Why.
        failure: Failure,
    },
}

/// What came of the check of an upload.
#[derive(Clone, Debug)]
pub enum UploadEnd {
    /// It is this plugin.
    Accepted(Box<PluginRecord>),
    /// It is none.
    Refused(Failure),
    /// The check was broken off and is to begin again; it did nothing wrong.
    Released,
}

/// What proves a component: a fact about its bytes, each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    /// The manifests in registries that name it, at most [`MAX_MANIFESTS`]: what it may be pinned to.
    pub manifests: Vec<Digest>,
    /// The reference that it was pulled by, pinned, where it was pulled last.
    pub source: Option<Box<str>>,
    /// Its detached signature: the text of a `.minisig` file.
    pub signature: Option<Box<str>>,
    /// Whose key that was when it came, where keys are trusted.
    pub signed_by: Option<Box<str>>,
}

/// The manifests that are remembered of one component; those that were told first go.
pub const MAX_MANIFESTS: usize = 100;

/// A token as it is stored: its secret only as a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// What people call it.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// The SHA-256 of its secret, which has 256 random bits: a slow hash would protect nothing more.
    pub secret: Digest,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a token may do. Each role may do all that the one before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Read.
    Viewer,
    /// Start and command runs and their tasks.
    Operator,
    /// Change definitions, plugins and tokens.
    Admin,
}

impl Role {
    /// The role's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of a name that [`Self::name`] gave.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin].into_iter().find(|role| role.name() == name)
    }
}

/// Something to wait on. It remembers one wake-up that came while nobody waited since the last [`Signal::wait`], so a reader
/// that makes its signal before it reads misses nothing: make it, read, wait, read again.
#[derive(Debug)]
pub struct Signal(tokio::sync::watch::Receiver<u64>);

impl Signal {
    /// A signal that fires whenever the channel's value changes.
    pub fn new(receiver: tokio::sync::watch::Receiver<u64>) -> Self {
        Self(receiver)
    }

    /// Waits for the next wake-up since the last call. Stays pending when the store is gone.
    pub async fn wait(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
