//! The port, implemented: each method is one operation for the writer or one read.

mod catalog;
mod files;
mod hooks;
mod journal;
mod queue;
mod schedules;

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bulkhead_engine::store::{StoreError, StoreFuture};
use tokio::sync::mpsc;

use crate::clock::{MonotonicClock, TimeSource};
use crate::content::{Contents, Place};
use crate::kv::{Backend, KvRead, Tx, snapshot};
use crate::memory::Fault;
use crate::signals::Signals;
use crate::txn::Txn;
use crate::writer::{Committer, Job, Operation, OperationFate, Published, QUEUE};

/// A store over ordered keys and values. `K` says where they are: [`RedbStore`](crate::RedbStore) or
/// [`MemoryStore`](crate::MemoryStore).
pub struct KvStore<K> {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: Arc<MonotonicClock>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) published: Arc<Published>,
    pub(crate) contents: Arc<Contents>,
    pub(crate) writer: Writer,
    pub(crate) kind: PhantomData<fn() -> K>,
}

impl<K> std::fmt::Debug for KvStore<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KvStore").finish_non_exhaustive()
    }
}

/// Decides what becomes of an operation, by its name, before it is applied.
pub(crate) type Faults = Box<dyn FnMut(&'static str) -> Option<Fault> + Send>;

/// Who applies operations.
pub(crate) enum Writer {
    /// A thread of its own, which commits what has queued up together.
    Thread { sender: Option<mpsc::Sender<Box<dyn Operation>>>, thread: Option<JoinHandle<()>> },
    /// The caller, at once, one operation per commit.
    Inline { committer: Box<Mutex<(Committer, Faults)>>, crashed: AtomicBool },
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Self::Thread { sender, thread } = self {
            drop(sender.take());
            // What is queued is still committed, and the file is closed when this returns.
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

/// How long a read may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// A few keys: done at once, since handing it to another thread would cost more than the read.
    Point,
    /// Anything longer.
    Range,
}

impl<K: 'static> KvStore<K> {
    /// A store whose operations are committed in groups by a thread of its own.
    pub(crate) fn threaded(backend: Arc<dyn Backend>, place: Arc<dyn Place>, clock: impl TimeSource) -> std::io::Result<Self> {
        let (clock, signals, published) = parts(clock);
        let contents = Contents::new(place, backend.clone());
        let committer = Committer::new(backend.clone(), clock.clone(), signals.clone(), published.clone(), contents.clone());
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("bulkhead-store".into()).spawn(move || committer.run(receiver))?;
        let writer = Writer::Thread { sender: Some(sender), thread: Some(thread) };
        Ok(Self { backend, clock, signals, published, contents, writer, kind: PhantomData })
    }

    /// A store whose operations are applied by their callers.
    pub(crate) fn inline(backend: Arc<dyn Backend>, place: Arc<dyn Place>, clock: impl TimeSource, faults: Faults) -> Self {
        let (clock, signals, published) = parts(clock);
        let contents = Contents::new(place, backend.clone());
        let committer = Committer::new(backend.clone(), clock.clone(), signals.clone(), published.clone(), contents.clone());
        let writer = Writer::Inline { committer: Box::new(Mutex::new((committer, faults))), crashed: AtomicBool::new(false) };
        Self { backend, clock, signals, published, contents, writer, kind: PhantomData }
    }

    fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        weight: usize,
        operation: impl FnOnce(&mut Txn<'_>) -> Tx<T> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        let (job, result) = Job::new(weight, operation);
        let answer = async move {
            result.await.unwrap_or_else(|_| Err(StoreError::Unavailable { aborted: false, reason: "the writer is gone".into() }))
        };
        match &self.writer {
            Writer::Thread { sender, .. } => Box::pin(async move {
                let queued = match sender {
                    Some(sender) => sender.send(Box::new(job)).await.is_ok(),
                    None => false,
                };
                if !queued {
                    return Err(StoreError::Unavailable { aborted: true, reason: "the store is closed".into() });
                }
                answer.await
            }),
            Writer::Inline { committer, crashed } => {
                let mut inline = committer.lock().unwrap_or_else(PoisonError::into_inner);
                let (committer, faults) = &mut *inline;
                if crashed.load(Ordering::Acquire) {
                    Box::new(job).acknowledge(&OperationFate::failed(true, "the store has crashed"));
                } else {
                    match faults(name) {
                        Some(Fault::Refuse) => Box::new(job).acknowledge(&OperationFate::failed(true, "injected")),
                        Some(Fault::LoseAcknowledgement) => committer.commit(vec![Box::new(job)], true),
                        None => committer.commit(vec![Box::new(job)], false),
                    }
                }
                Box::pin(answer)
            }
        }
    }

    fn read<T: Send + 'static>(
        &self,
        cost: Cost,
        read: impl FnOnce(&dyn KvRead) -> Tx<T> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        if let Writer::Inline { crashed, .. } = &self.writer
            && crashed.load(Ordering::Acquire)
        {
            return Box::pin(async { Err(StoreError::Unavailable { aborted: true, reason: "the store has crashed".into() }) });
        }
        let backend = self.backend.clone();
        if cost == Cost::Point || !backend.blocks() {
            let result = snapshot(&*backend, read).map_err(StoreError::from);
            return Box::pin(async move { result });
        }
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || snapshot(&*backend, read).map_err(StoreError::from)).await;
            done.unwrap_or_else(|error| {
                Err(StoreError::Unavailable { aborted: true, reason: format!("a read did not end: {error}") })
            })
        })
    }
}

fn parts(clock: impl TimeSource) -> (Arc<MonotonicClock>, Arc<Signals>, Arc<Published>) {
    (Arc::new(MonotonicClock::new(clock)), Arc::default(), Arc::default())
}
