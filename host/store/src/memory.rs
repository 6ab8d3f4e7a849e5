//! The store in memory: for `bulkhead run`, for tests, and for the seeded simulation.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::{Clock, ManualClock};
use crate::content::MemoryContents;
use crate::kv::MemoryBackend;
use crate::store::{KvStore, Writer};

/// Says that a [`KvStore`] keeps its data in memory.
#[derive(Debug)]
pub enum Memory {}

/// A store that forgets everything with its process.
pub type MemoryStore = KvStore<Memory>;

/// What becomes of an operation in a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not applied: `Unavailable { aborted: true }`.
    Refuse,
    /// It is applied, but its caller hears `Unavailable { aborted: false }`.
    LoseAcknowledgement,
}

impl MemoryStore {
    /// An empty store on the machine's clock, with a writer thread of its own.
    ///
    /// # Errors
    /// If the thread can't be started.
    pub fn new() -> std::io::Result<Self> {
        Self::threaded(Arc::new(MemoryBackend::default()), Arc::new(MemoryContents::default()), Clock::System)
    }

    /// An empty store without threads: an operation is applied when its method is called, each in a commit of its own, and its
    /// future is ready at once. Time is what `clock` says. `faults` is asked before each writing operation, by the name of its
    /// method in the port.
    pub fn deterministic(clock: ManualClock, faults: impl FnMut(&'static str) -> Option<Fault> + Send + 'static) -> Self {
        Self::inline(Arc::new(MemoryBackend::default()), Arc::new(MemoryContents::default()), clock, Box::new(faults))
    }

    /// A process that died and its successor: this store refuses everything from now on, the returned one holds what was
    /// committed, and nothing of what was only in memory (caches, signals, the clock's latest reading).
    ///
    /// # Panics
    /// If the store is not deterministic.
    #[must_use]
    pub fn crash(&self, clock: ManualClock, faults: impl FnMut(&'static str) -> Option<Fault> + Send + 'static) -> Self {
        let Writer::Inline { crashed, .. } = &self.writer else { panic!("only a deterministic store can crash") };
        crashed.store(true, Ordering::Release);
        Self::inline(self.backend.clone(), self.contents.place().clone(), clock, Box::new(faults))
    }
}
