//! Group commit: what is queued becomes one transaction, and nothing is acknowledged before it is durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{StoreError, StoreResult};
use tokio::sync::{mpsc, oneshot};

use crate::clock::MonotonicClock;
use crate::content::Contents;
use crate::kv::{Backend, CommitFault, Fault, KvWrite, Tx, Verdict};
use crate::signals::Signals;
use crate::txn::{State, Txn};

/// Operations that wait for the writer; whoever comes later waits for room.
pub(crate) const QUEUE: usize = 2_048;
/// The most operations in a batch: enough that the cost of the commit vanishes, few enough that nobody waits long.
const MOST_OPERATIONS: usize = 1_024;
/// The most bytes of payload in a batch, give or take one operation.
const MOST_BYTES: usize = 8 << 20;

/// How a batch ended.
#[derive(Clone, Debug)]
enum Fate {
    /// What it wrote is durable.
    Committed,
    /// It is not, or nobody knows.
    Failed { aborted: bool, reason: String },
}

/// One operation, whatever it returns.
pub(crate) trait Operation: Send {
    /// Bytes of payload.
    fn weight(&self) -> usize;
    /// Does it. `Err` aborts the batch.
    fn apply(&mut self, txn: &mut Txn<'_>) -> Result<(), String>;
    /// Gives its result to whoever waits.
    fn acknowledge(self: Box<Self>, fate: &OperationFate);
}

/// How the batch of an operation ended, as the operation sees it.
pub(crate) struct OperationFate(Fate);

impl OperationFate {
    /// An answer without an attempt.
    pub(crate) fn failed(aborted: bool, reason: impl Into<String>) -> Self {
        Self(Fate::Failed { aborted, reason: reason.into() })
    }
}

/// A closure with a place for its result.
pub(crate) struct Job<T, F> {
    operation: Option<F>,
    weight: usize,
    result: Option<StoreResult<T>>,
    reply: oneshot::Sender<StoreResult<T>>,
}

impl<T: Send, F: FnOnce(&mut Txn<'_>) -> Tx<T> + Send> Job<T, F> {
    /// An operation, and where its result will arrive.
    pub(crate) fn new(weight: usize, operation: F) -> (Self, oneshot::Receiver<StoreResult<T>>) {
        let (reply, result) = oneshot::channel();
        (Self { operation: Some(operation), weight, result: None, reply }, result)
    }
}

impl<T: Send, F: FnOnce(&mut Txn<'_>) -> Tx<T> + Send> Operation for Job<T, F> {
    fn weight(&self) -> usize {
        self.weight
    }

    fn apply(&mut self, txn: &mut Txn<'_>) -> Result<(), String> {
        let Some(operation) = self.operation.take() else { return Ok(()) };
        let before = txn.writes();
        let result = operation(txn);
        let clean = txn.writes() == before;
        match &result {
            Err(Fault::Storage(reason)) => return Err(reason.clone()),
            Err(Fault::Refused(error)) if !clean => return Err(format!("an operation was refused half way: {error}")),
            Err(Fault::Corrupt(reason)) if !clean => {
                let reason = reason.clone();
                self.result = Some(result.map_err(StoreError::from));
                return Err(reason);
            }
            Ok(_) | Err(Fault::Refused(_) | Fault::Corrupt(_)) => {}
        }
        self.result = Some(result.map_err(StoreError::from));
        Ok(())
    }

    fn acknowledge(self: Box<Self>, fate: &OperationFate) {
        let result = match (&fate.0, self.result) {
            (Fate::Committed, Some(result)) => result,
            // Damage stays damage, whatever becomes of the batch.
            (Fate::Failed { .. }, Some(Err(StoreError::Corrupt(reason)))) => Err(StoreError::Corrupt(reason)),
            // Even a refusal: it may rest on what an earlier operation of the batch wrote.
            (Fate::Failed { aborted, reason }, _) => Err(StoreError::Unavailable { aborted: *aborted, reason: reason.clone() }),
            (Fate::Committed, None) => Err(StoreError::Unavailable { aborted: true, reason: "the operation was not run".into() }),
        };
        // Nobody waits any more: what was done stays done.
        let _ = self.reply.send(result);
    }
}

/// What readers may know of the writer's memory.
#[derive(Debug)]
pub(crate) struct Published {
    /// When the task fell due that waits for the longest; the maximum where none waits.
    oldest_due: AtomicU64,
}

impl Default for Published {
    fn default() -> Self {
        Self { oldest_due: AtomicU64::new(u64::MAX) }
    }
}

impl Published {
    /// When the task fell due that waits for the longest, if it is due by `now`.
    pub(crate) fn oldest_due(&self, now: Timestamp) -> Option<Timestamp> {
        Some(Timestamp::from_micros(self.oldest_due.load(Ordering::Acquire))).filter(|due| *due <= now)
    }
}

/// Applies batches. There is one per store.
pub(crate) struct Committer {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: Arc<MonotonicClock>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) published: Arc<Published>,
    pub(crate) contents: Arc<Contents>,
    /// Absent at the start and after a batch that failed.
    state: Option<State>,
}

impl Committer {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        clock: Arc<MonotonicClock>,
        signals: Arc<Signals>,
        published: Arc<Published>,
        contents: Arc<Contents>,
    ) -> Self {
        Self { backend, clock, signals, published, contents, state: None }
    }

    /// Applies operations in one transaction and acknowledges each. `lost` says to acknowledge none, as if the network had
    /// eaten the answers.
    pub(crate) fn commit(&mut self, mut batch: Vec<Box<dyn Operation>>, lost: bool) {
        let fate = OperationFate(self.write(&mut batch));
        if let Fate::Committed = fate.0
            && let Some(state) = &mut self.state
        {
            let oldest = state.agenda.earliest().map_or(u64::MAX, Timestamp::as_micros);
            self.published.oldest_due.store(oldest, Ordering::Release);
            let mut effects = std::mem::take(&mut state.batch.effects);
            // Before anybody hears of it, so that the housekeeping which this wakes finds them.
            self.contents.suspect(std::mem::take(&mut effects.unused));
            self.signals.fire(&effects);
        }
        let fate = if lost { OperationFate::failed(false, "the acknowledgement was lost") } else { fate };
        for operation in batch {
            operation.acknowledge(&fate);
        }
    }

    fn write(&mut self, batch: &mut [Box<dyn Operation>]) -> Fate {
        let now = self.clock.now();
        let mut kept = self.state.take();
        let mut failure = None;
        let mut after = None;
        let mut body = |kv: &mut dyn KvWrite| {
            // A panic is a bug of ours, and is contained like any other failure: nothing of the batch stays.
            let result = catch_unwind(AssertUnwindSafe(|| {
                let mut state = match kept.take() {
                    Some(state) => state,
                    None => State::load(kv).map_err(reason)?,
                };
                let mut txn = Txn::new(kv, &mut state, now);
                for operation in batch.iter_mut() {
                    operation.apply(&mut txn)?;
                }
                let wrote = txn.writes() > 0;
                if wrote {
                    txn.finish().map_err(reason)?;
                }
                Ok((state, wrote))
            }));
            match result {
                Ok(Ok((state, wrote))) => {
                    after = Some(state);
                    if wrote { Verdict::Commit } else { Verdict::Abort }
                }
                Ok(Err(reason)) => {
                    failure = Some(reason);
                    Verdict::Abort
                }
                Err(panic) => {
                    let what = panic.downcast_ref::<String>().map(String::as_str);
                    let what = what.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
                    failure = Some(format!("a transaction panicked: {what}"));
                    Verdict::Abort
                }
            }
        };
        match (self.backend.write(&mut body), failure) {
            (Ok(()), None) => {
                self.state = after;
                Fate::Committed
            }
            (Ok(()), Some(reason)) => {
                tracing::error!(reason, "a batch was aborted");
                Fate::Failed { aborted: true, reason }
            }
            (Err(CommitFault { aborted, reason }), failure) => {
                let reason = failure.unwrap_or(reason);
                tracing::error!(reason, aborted, "a commit failed");
                Fate::Failed { aborted, reason }
            }
        }
    }

    /// Takes operations until nobody can send any more.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Operation>>) {
        while let Some(first) = queue.blocking_recv() {
            let mut bytes = first.weight();
            let mut batch = vec![first];
            while batch.len() < MOST_OPERATIONS
                && bytes < MOST_BYTES
                && let Ok(operation) = queue.try_recv()
            {
                bytes += operation.weight();
                batch.push(operation);
            }
            self.commit(batch, false);
        }
    }
}

fn reason(fault: Fault) -> String {
    StoreError::from(fault).to_string()
}
