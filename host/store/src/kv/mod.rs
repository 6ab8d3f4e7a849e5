//! A small ordered key-value store: what the domain transactions are written over, once for every backend.
//!
//! Always true: keys sort as bytes; a write is visible to the reads of its own transaction at once and to nobody else before
//! the commit. Deliberately absent: types (see [`crate::record`]), key layouts (see [`crate::keys`]) and any notion of a run.

mod memory;
mod redb;

use std::ops::ControlFlow;

use bulkhead_core::machine::Rejected;
use bulkhead_engine::store::StoreError;

pub(crate) use self::memory::MemoryBackend;
pub use self::redb::OpenDatabase;
pub(crate) use self::redb::RedbBackend;
use crate::keys::{Key, KeyRange};

/// The physical B-trees. Few, because every tree that a commit touches costs it pages: what is small and changes together
/// shares one ([`Tree::Live`]); what grows with history, or holds large values, has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Tree {
    /// The format version.
    Meta,
    /// Indexes of live work, workers, counters.
    Live,
    /// Definitions, plugins, tokens.
    Catalog,
    /// Plugins' components.
    Components,
    /// Plans by digest.
    Plans,
    /// Run records.
    Runs,
    /// Parameters of runs and inputs of tasks.
    Inputs,
    /// Task records.
    Tasks,
    /// Outputs of tasks.
    Outputs,
    /// Checkpoints of tasks.
    Checkpoints,
    /// Deduplication keys.
    Dedup,
    /// Log chunks.
    Logs,
    /// Event chunks.
    Events,
    /// Idempotency keys and their expiry.
    Idempotency,
    /// Artifacts, runs' files and uploaded files: what names content.
    Files,
    /// What hooks are told.
    Deliveries,
    /// Dead letters by what they failed of.
    Letters,
}

impl Tree {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 17] = [
        Self::Meta,
        Self::Live,
        Self::Catalog,
        Self::Components,
        Self::Plans,
        Self::Runs,
        Self::Inputs,
        Self::Tasks,
        Self::Outputs,
        Self::Checkpoints,
        Self::Dedup,
        Self::Logs,
        Self::Events,
        Self::Idempotency,
        Self::Files,
        Self::Deliveries,
        Self::Letters,
    ];

    /// Its name in the file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Live => "live",
            Self::Catalog => "catalog",
            Self::Components => "components",
            Self::Plans => "plans",
            Self::Runs => "runs",
            Self::Inputs => "inputs",
            Self::Tasks => "tasks",
            Self::Outputs => "outputs",
            Self::Checkpoints => "checkpoints",
            Self::Dedup => "dedup",
            Self::Logs => "logs",
            Self::Events => "events",
            Self::Idempotency => "idempotency",
            Self::Files => "files",
            Self::Deliveries => "deliveries",
            Self::Letters => "letters",
        }
    }
}

/// Why a transaction stopped.
#[derive(Debug)]
pub(crate) enum Fault {
    /// This operation is refused; it has written nothing.
    Refused(StoreError),
    /// The backend failed: nothing of the transaction may stay.
    Storage(String),
    /// A record can't be read.
    Corrupt(String),
}

/// What a step of a transaction returns.
pub(crate) type Tx<T> = Result<T, Fault>;

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Rejected> for Fault {
    fn from(rejected: Rejected) -> Self {
        Self::Refused(rejected.into())
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Storage(reason) => Self::Unavailable { aborted: true, reason },
            Fault::Corrupt(reason) => Self::Corrupt(reason),
        }
    }
}

/// In which order a range is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Ascending.
    Forward,
    /// Descending.
    Backward,
}

/// What [`KvRead::scan`] calls for each entry.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Tx<ControlFlow<()>>;

/// Reads, all of one moment.
pub(crate) trait KvRead {
    /// Hands the value to `found`, if there is one; says whether there is.
    fn get(&self, key: &Key, found: &mut dyn FnMut(&[u8])) -> Tx<bool>;

    /// Visits the entries of a range until it breaks.
    fn scan(&self, range: &KeyRange, direction: Direction, visit: Visit<'_>) -> Tx<()>;
}

/// Reads and writes of one transaction.
pub(crate) trait KvWrite: KvRead {
    /// Sets a value.
    fn put(&mut self, key: &Key, value: &[u8]) -> Tx<()>;

    /// Removes a value, if there is one.
    fn remove(&mut self, key: &Key) -> Tx<()>;
}

/// How the body of a write transaction wants it to end.
pub(crate) enum Verdict {
    /// Keep what was written.
    Commit,
    /// Keep nothing.
    Abort,
}

/// A commit failed.
#[derive(Debug)]
pub(crate) struct CommitFault {
    /// Whether it is certain that nothing was written.
    pub(crate) aborted: bool,
    /// What happened.
    pub(crate) reason: String,
}

/// The body of a write transaction.
pub(crate) type Body<'a> = &'a mut dyn FnMut(&mut dyn KvWrite) -> Verdict;
/// What to do with a snapshot.
pub(crate) type WithSnapshot<'a> = &'a mut dyn FnMut(&dyn KvRead) -> Tx<()>;

/// Where the bytes are.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Whether a read may wait for a disk, so that a long one belongs on a thread that may block.
    fn blocks(&self) -> bool;

    /// Gives a consistent snapshot.
    fn read(&self, with: WithSnapshot<'_>) -> Tx<()>;

    /// Runs one write transaction. What it commits is durable when this returns.
    fn write(&self, body: Body<'_>) -> Result<(), CommitFault>;
}

/// Does a read and gives what it found.
pub(crate) fn snapshot<T>(backend: &dyn Backend, read: impl FnOnce(&dyn KvRead) -> Tx<T>) -> Tx<T> {
    let (mut read, mut found) = (Some(read), None);
    backend.read(&mut |kv| {
        if let Some(read) = read.take() {
            found = Some(read(kv)?);
        }
        Ok(())
    })?;
    found.ok_or_else(|| Fault::Storage("the snapshot was never read".into()))
}

/// The value, copied.
pub(crate) fn bytes(kv: &dyn KvRead, key: &Key) -> Tx<Option<Vec<u8>>> {
    let mut value = None;
    kv.get(key, &mut |bytes| value = Some(bytes.to_vec()))?;
    Ok(value)
}

/// Whether there is a value.
pub(crate) fn exists(kv: &dyn KvRead, key: &Key) -> Tx<bool> {
    kv.get(key, &mut |_| {})
}

/// The keys of at most `limit` entries of a range.
pub(crate) fn keys_of(kv: &dyn KvRead, range: &KeyRange, limit: usize) -> Tx<Vec<Key>> {
    let mut keys = Vec::new();
    if limit == 0 {
        return Ok(keys);
    }
    kv.scan(range, Direction::Forward, &mut |key, _| {
        keys.push(Key::from_bytes(range.tree, key));
        Ok(if keys.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(keys)
}

/// Whether a range has an entry.
pub(crate) fn exists_in(kv: &dyn KvRead, range: &KeyRange) -> Tx<bool> {
    Ok(!keys_of(kv, range, 1)?.is_empty())
}
