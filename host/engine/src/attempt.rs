//! What an attempt may ask of the host: its log, its progress, more tasks, its checkpoint, artifacts; and the pipeline that its log lines
//! go through.
//!
//! Lines gather in a bounded buffer per attempt. [`LogPipeline`] appends what has gathered every [`FLUSH_INTERVAL`], one append
//! per attempt at a time; a full buffer makes the guest wait; what is left at the end goes into the same transaction as the
//! attempt's outcome. A line is numbered when it is accepted, so an append that is repeated repeats nothing.

mod artifacts;

use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::log::{Level, Line, Source};
use bulkhead_core::machine::Rejected;
use bulkhead_core::plan::{LogOverflow, StepPlan};
use bulkhead_core::task::Progress;
use bytes::Bytes;
use parking::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::artifacts::{FileError, FileInfo, FileSource, MAX_ARTIFACTS};
use crate::store::{Claimed, STORE_RETRY, Spawned, Store, StoreError, StoreFuture, StoreResult, TaskSpec};

/// How long lines gather before they are appended: short against a person's patience, long against a no-op task, whose lines
/// then go with its outcome.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(5);

/// The lines that one attempt's buffer holds before the guest waits.
const MAX_BUFFERED_LINES: usize = 4_096;
/// The bytes that one attempt's buffer holds before the guest waits.
const MAX_BUFFERED_BYTES: usize = 1 << 20;
/// The longest status message that is kept, in bytes.
const MAX_STATUS_LEN: usize = 1_024;
/// The largest checkpoint, in bytes.
pub const MAX_CHECKPOINT_LEN: usize = 4 << 20;

mod parking {
    //! A mutex that a panic elsewhere does not poison: what it guards is consistent between statements.
    use std::sync::{MutexGuard, PoisonError};

    #[derive(Debug, Default)]
    pub(super) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

/// An attempt passed its log quota, and its step says that this is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the attempt logged more than {lines} lines or {bytes} bytes (`limits.log_lines`, `limits.log_bytes`)")]
pub struct LogQuotaPassed {
    lines: u64,
    bytes: u64,
}

/// Why a checkpoint was not saved.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It is larger than [`MAX_CHECKPOINT_LEN`].
    #[error("a checkpoint may have {MAX_CHECKPOINT_LEN} bytes, this one has {0}")]
    TooLarge(usize),
    /// The store refused, or could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The host as one attempt sees it. Cheap to clone.
#[derive(Clone)]
pub struct AttemptHost(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    pipeline: Arc<LogPipeline>,
    claimed: Arc<Claimed>,
    cancel: CancellationToken,
    log: Mutex<LogBuffer>,
    /// Wakes whoever waits for lines to leave the buffer, or for their append to end.
    appended: Notify,
    progress: Mutex<ProgressSlot>,
    artifacts: artifacts::Artifacts,
}

/// Lines that are not stored yet, and what the attempt logged so far.
#[derive(Debug, Default)]
struct LogBuffer {
    lines: Vec<Line>,
    bytes: usize,
    /// The number in the attempt of the first line in `lines`.
    first: u64,
    appending: bool,
    /// The pipeline knows of this buffer.
    enlisted: bool,
    accepted_bytes: u64,
    suppressed: u64,
}

impl LogBuffer {
    fn accepted_lines(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= MAX_BUFFERED_LINES || self.bytes >= MAX_BUFFERED_BYTES
    }

    /// Takes the lines out, to be stored; gives the number of the first.
    fn take(&mut self) -> (u64, Vec<Line>) {
        let lines = std::mem::take(&mut self.lines);
        let first = self.first;
        self.first += lines.len() as u64;
        self.bytes = 0;
        (first, lines)
    }
}

#[derive(Debug, Default)]
struct ProgressSlot {
    latest: Progress,
    changed: bool,
}

/// What is left of an attempt's log at its end.
#[derive(Debug)]
pub struct LogRest {
    /// The number in the attempt of the first of `lines`.
    pub first_line: u64,
    /// Lines that are not stored yet.
    pub lines: Vec<Line>,
    /// Lines that the quota suppressed.
    pub suppressed: u64,
}

impl AttemptHost {
    /// The host for an attempt at a claimed task; `cancel` tells it to end.
    pub fn new(store: Arc<dyn Store>, pipeline: Arc<LogPipeline>, claimed: Arc<Claimed>, cancel: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            store,
            pipeline,
            claimed,
            cancel,
            log: Mutex::default(),
            appended: Notify::new(),
            progress: Mutex::default(),
            artifacts: artifacts::Artifacts::default(),
        }))
    }

    /// The task and its attempt.
    pub fn claimed(&self) -> &Arc<Claimed> {
        &self.0.claimed
    }

    /// The step of the task.
    pub fn step(&self) -> &StepPlan {
        self.0.claimed.plan.step(self.0.claimed.task.step)
    }

    /// Fires when the attempt is to end.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.0.cancel
    }

    /// Accepts a line, and waits while the buffer is full. A message past `limits.log_line_bytes` is cut and says so; past the
    /// quota, lines are counted only.
    ///
    /// # Errors
    /// [`LogQuotaPassed`] where the step says `log_overflow = "fail"`.
    pub async fn log(&self, level: Level, source: Source, message: &str, fields: Option<&str>) -> Result<(), LogQuotaPassed> {
        loop {
            let appended = self.0.appended.notified();
            if self.try_log(level, source, message, fields)? {
                return Ok(());
            }
            self.0.pipeline.hurry();
            appended.await;
        }
    }

    /// Accepts a line unless the buffer is full; whether it did. See [`Self::log`].
    ///
    /// # Errors
    /// [`LogQuotaPassed`] where the step says `log_overflow = "fail"`.
    pub fn try_log(&self, level: Level, source: Source, message: &str, fields: Option<&str>) -> Result<bool, LogQuotaPassed> {
        let limits = &self.step().limits;
        let at = self.0.store.now();
        let mut log = self.0.log.lock();
        let message = cut_line(message, limits.log_line_bytes);
        let size = message.len() + fields.map_or(0, str::len);
        if log.accepted_lines() >= limits.log_lines || log.accepted_bytes + size as u64 > limits.log_bytes {
            log.suppressed += 1;
            return match limits.log_overflow {
                LogOverflow::Suppress => Ok(true),
                LogOverflow::Fail => Err(LogQuotaPassed { lines: limits.log_lines, bytes: limits.log_bytes }),
            };
        }
        if log.is_full() {
            return Ok(false);
        }
        log.lines.push(Line { at, level, source, message, fields: fields.map(Box::from) });
        log.bytes += size;
        log.accepted_bytes += size as u64;
        self.enlist(&mut log);
        Ok(true)
    }

    /// Makes the pipeline look at this buffer, once.
    fn enlist(&self, log: &mut LogBuffer) {
        if !log.enlisted && !log.appending {
            log.enlisted = true;
            self.0.pipeline.enlist(self.clone());
        }
    }

    /// Appends what has gathered, then what gathered meanwhile if the pipeline asks again.
    fn start_append(self) {
        let (first, lines) = {
            let mut log = self.0.log.lock();
            log.enlisted = false;
            if log.appending || log.lines.is_empty() {
                return;
            }
            log.appending = true;
            log.take()
        };
        // There is room again: a guest that waited fills it while these lines are on their way.
        self.0.appended.notify_waiters();
        tokio::spawn(async move {
            self.append(first, lines).await;
            let mut log = self.0.log.lock();
            log.appending = false;
            if !log.lines.is_empty() {
                self.enlist(&mut log);
            }
            drop(log);
            self.0.appended.notify_waiters();
        });
    }

    /// Appends lines, for as long as the store can't: a guest that logs on waits meanwhile, since its buffer is full.
    async fn append(&self, first: u64, lines: Vec<Line>) {
        let Claimed { task, attempt, .. } = *self.0.claimed;
        loop {
            match self.0.store.append_log(task, attempt, first, lines.clone()).await {
                Ok(()) => return,
                Err(StoreError::Unavailable { reason, .. }) => {
                    tracing::warn!(%task, attempt, reason, "log lines wait for the store");
                    tokio::time::sleep(STORE_RETRY).await;
                }
                // The attempt lost its task: what it says is nobody's any more.
                Err(error @ (StoreError::Rejected(_) | StoreError::NotFound(_))) => {
                    tracing::debug!(%task, attempt, %error, "log lines of a lost attempt are refused");
                    self.0.cancel.cancel();
                    return;
                }
                // A bug or damage: an attempt whose log has a hole must not succeed.
                Err(error) => {
                    tracing::error!(%task, attempt, %error, "log lines can't be stored");
                    self.0.cancel.cancel();
                    return;
                }
            }
        }
    }

    /// Ends the attempt's log: waits for an append that is under way and gives what is left, with a line that tells how many
    /// were suppressed. The guest must have ended.
    pub async fn finish_log(&self) -> LogRest {
        loop {
            let appended = self.0.appended.notified();
            {
                let mut log = self.0.log.lock();
                if !log.appending {
                    // No append starts any more: whoever looks at this buffer finds it busy.
                    log.appending = true;
                    let (first_line, mut lines) = log.take();
                    let suppressed = log.suppressed;
                    if suppressed > 0 {
                        let limits = &self.step().limits;
                        lines.push(Line {
                            at: self.0.store.now(),
                            level: Level::Warn,
                            source: Source::Host,
                            message: format!(
                                "{suppressed} log lines were suppressed: this attempt passed {} lines or {} bytes",
                                limits.log_lines, limits.log_bytes
                            )
                            .into(),
                            fields: None,
                        });
                    }
                    return LogRest { first_line, lines, suppressed };
                }
            }
            appended.await;
        }
    }

    /// Keeps how far the task is. The lease keeper stores the latest.
    pub fn set_progress(&self, done: u64, total: Option<u64>) {
        let mut slot = self.0.progress.lock();
        (slot.latest.done, slot.latest.total) = (done, total);
        slot.changed = true;
    }

    /// Keeps what the task is doing. The lease keeper stores the latest.
    pub fn set_status(&self, message: &str) {
        let mut slot = self.0.progress.lock();
        slot.latest.message = Some(message[..message.floor_char_boundary(MAX_STATUS_LEN)].into());
        slot.changed = true;
    }

    /// The progress, if it changed since the last call.
    pub(crate) fn take_progress(&self) -> Option<Progress> {
        let mut slot = self.0.progress.lock();
        std::mem::take(&mut slot.changed).then(|| slot.latest.clone())
    }

    /// The progress that was taken could not be stored: take it again next time.
    pub(crate) fn keep_progress(&self) {
        let mut slot = self.0.progress.lock();
        slot.changed |= slot.latest != Progress::default();
    }

    /// Creates tasks in this task's step. They are durable when it returns. It waits while the store can't answer; what was
    /// created before an answer was lost counts as existing.
    ///
    /// # Errors
    /// What [`Queue::spawn`](crate::store::Queue::spawn) says.
    pub async fn spawn(&self, specs: Vec<TaskSpec>) -> StoreResult<Spawned> {
        let Claimed { task, attempt, .. } = *self.0.claimed;
        self.told(self.insist(|| self.0.store.spawn(task, attempt, specs.clone())).await)
    }

    /// Replaces the task's checkpoint. It is durable when it returns. It waits while the store can't answer.
    ///
    /// # Errors
    /// [`CheckpointError::TooLarge`], or what the store says.
    pub async fn save_checkpoint(&self, data: Bytes) -> Result<(), CheckpointError> {
        if data.len() > MAX_CHECKPOINT_LEN {
            return Err(CheckpointError::TooLarge(data.len()));
        }
        let Claimed { task, attempt, .. } = *self.0.claimed;
        Ok(self.told(self.insist(|| self.0.store.save_checkpoint(task, attempt, data.clone())).await)?)
    }

    /// The task's latest checkpoint. It waits while the store can't answer.
    ///
    /// # Errors
    /// What the store says.
    pub async fn load_checkpoint(&self) -> StoreResult<Option<Bytes>> {
        self.insist(|| self.0.store.load_checkpoint(self.0.claimed.task)).await
    }

    /// Asks the store for something that may be repeated, until it answers: that it can't for a while is not the guest's fault,
    /// and the attempt's timeout bounds the wait.
    async fn insist<'a, T>(&'a self, ask: impl Fn() -> StoreFuture<'a, T>) -> StoreResult<T> {
        loop {
            match ask().await {
                Err(StoreError::Unavailable { reason, .. }) => {
                    tracing::warn!(task = %self.0.claimed.task, attempt = self.0.claimed.attempt, reason, "a guest waits for the store");
                    tokio::time::sleep(STORE_RETRY).await;
                }
                answer => return answer,
            }
        }
    }

    /// Ends an attempt that the store says has lost its task.
    fn told<T>(&self, result: StoreResult<T>) -> StoreResult<T> {
        if let Err(StoreError::Rejected(Rejected::Fenced { .. })) = &result {
            self.0.cancel.cancel();
        }
        result
    }
}

/// The text, cut at `limit` bytes with a remark that says so.
fn cut_line(message: &str, limit: u64) -> Box<str> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if message.len() <= limit {
        return message.into();
    }
    format!("{}… (cut: {} bytes in all)", &message[..message.floor_char_boundary(limit)], message.len()).into()
}

/// Appends what attempts have logged. Make one per engine and run it.
#[derive(Default)]
pub struct LogPipeline {
    /// Attempts with lines that wait; each is here at most once, so there are at most as many as slots.
    enlisted: Mutex<Vec<AttemptHost>>,
    some: Notify,
    full: Notify,
}

impl LogPipeline {
    fn enlist(&self, attempt: AttemptHost) {
        let mut enlisted = self.enlisted.lock();
        enlisted.push(attempt);
        if enlisted.len() == 1 {
            self.some.notify_one();
        }
    }

    /// A buffer is full: do not wait for the interval's end.
    fn hurry(&self) {
        self.full.notify_one();
    }

    /// Appends for ever. Drop the future to stop; attempts then store their lines when they end.
    pub async fn run(&self) {
        loop {
            self.some.notified().await;
            tokio::select! {
                biased;
                () = tokio::time::sleep(FLUSH_INTERVAL) => {}
                () = self.full.notified() => {}
            }
            for attempt in std::mem::take(&mut *self.enlisted.lock()) {
                attempt.start_append();
            }
        }
    }
}
