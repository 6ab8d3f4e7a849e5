//! The port to durable state: domain transactions, each atomic and durable when it returns.
//!
//! Inside its transactions a store calls [`bulkhead_core::machine`]; it decides nothing itself. Every list is paged by a key,
//! every result is bounded. Lease time is the store's clock ([`Queue::now`]).

mod catalog;
mod hooks;
mod letters;
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::artifact::FileName;
use bulkhead_core::event::EventRecord;
use bulkhead_core::failure::FailureFilter;
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::log::{Level, Line, Source, Tail};
use bulkhead_core::machine::{Rejected, Report, RunCommand};
use bulkhead_core::name::Name;
use bulkhead_core::plan::Plan;
use bulkhead_core::run::{Run, RunStatus, TaskCounts, Trigger};
use bulkhead_core::task::{Progress, Task, TaskStatus};
use bulkhead_core::time::Timestamp;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::files::{Files, NewArtifact};
pub use catalog::{
    Catalog, DefinitionRecord, MAX_ENDED_UPLOADS, MAX_MANIFESTS, MAX_OLD_VERSIONS, MAX_UPLOAD_ATTEMPTS, MAX_WAITING_UPLOADS,
    Papers, PluginRecord, PluginUpload, Role, TokenRecord, UploadEnd, UploadState,
};
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
