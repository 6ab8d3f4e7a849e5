//! What an attempt may take of the host, and the record of what it was denied.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::ResourceLimiter;

/// Core instances of one component: a Rust guest takes 4, one that is linked from shared libraries some dozen.
pub(crate) const MAX_CORE_INSTANCES: usize = 100;
/// Linear memories of one component. `limits.memory` bounds their sum.
pub(crate) const MAX_MEMORIES: usize = 4;
/// Tables of one component.
pub(crate) const MAX_TABLES: usize = 16;
/// Elements of all tables of one component: 800 KB. Large interpreters have some 20,000 functions in theirs.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Resources of the host that a guest may hold: streams, pollables, errors.
pub(crate) const MAX_RESOURCES: usize = 1_000;
/// Handles in a guest's own component tables.
pub(crate) const MAX_HANDLES: usize = 10_000;
/// Random bytes that one call returns.
pub(crate) const MAX_RANDOM_BYTES: u64 = 256 << 10;
/// Bytes that one host call may carry: a checkpoint, or 10,000 tasks of 800 bytes.
pub(crate) const HOST_CALL_BYTES: usize = 8 << 20;
/// The tasks of one call of `spawn`.
pub(crate) const MAX_SPAWNED_PER_CALL: usize = 10_000;
/// The longest key of a task, in bytes.
pub(crate) const MAX_KEY_LEN: usize = 512;
/// Refusals of `spawn` for the quota that a guest may ignore before it is ended.
pub(crate) const MAX_IGNORED_REFUSALS: u32 = 1_000;

/// The memory of one attempt: what its linear memories and its files take together, up to `limits.memory`.
///
/// Shared with the contents of files, which outlive the directories that they are in.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    denied: Mutex<Option<Denial>>,
}

/// What a guest asked for and did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// So many bytes of memory more, with so many in use.
    Memory { wanted: usize, used: usize },
    /// So many bytes for files, with so many in use.
    Files { wanted: usize, used: usize },
    /// So many table elements more, with so many in use.
    Table { wanted: usize, used: usize },
}

impl Memory {
    /// Of `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0), denied: Mutex::new(None) }
    }

    /// What is taken, in bytes.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes bytes for files, or records that there were too few.
    pub(crate) fn take_for_files(&self, wanted: usize) -> bool {
        self.take(wanted).map_err(|used| self.deny(Denial::Files { wanted, used })).is_ok()
    }

    /// Gives back what was taken, in bytes.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes bytes; an error is how many are in use.
    fn take(&self, wanted: usize) -> Result<(), usize> {
        let within = |used: usize| used.checked_add(wanted).filter(|&sum| sum <= self.limit);
        let used = self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, within)?;
        self.peak.fetch_max(used + wanted, Ordering::Relaxed);
        Ok(())
    }

    fn deny(&self, denial: Denial) {
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(denial);
    }
}

/// Counts memory and table space against their limits. wasmtime asks before it grants.
#[derive(Debug)]
pub(crate) struct Meter {
    memory: Arc<Memory>,
    table_elements: usize,
    /// The last growth that was granted, in case it fails all the same.
    granted: usize,
}

impl Meter {
    pub(crate) fn new(memory_limit: u64) -> Self {
        Self { memory: Arc::new(Memory::new(memory_limit)), table_elements: 0, granted: 0 }
    }

    /// The memory that it counts.
    pub(crate) const fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// The most memory at once, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory.peak.load(Ordering::Relaxed) as u64
    }

    /// The last denial, if there was one.
    pub(crate) fn denied(&self) -> Option<Denial> {
        *self.memory.denied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last denial in words.
    pub(crate) fn explain_denial(&self) -> Option<String> {
        let limit = self.memory.limit;
        Some(match self.denied()? {
            Denial::Memory { wanted, used } => {
                format!("it asked for {wanted} bytes of memory more with {used} in use; `limits.memory` is {limit} bytes")
            }
            Denial::Files { wanted, used } => format!(
                "its files asked for {wanted} bytes more with {used} in use; they count as memory, and `limits.memory` is {limit} bytes"
            ),
            Denial::Table { wanted, used } => {
                format!("it asked for {wanted} table elements more with {used} in use; {MAX_TABLE_ELEMENTS} are the most")
            }
        })
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = desired.saturating_sub(current);
        let taken = match maximum {
            Some(maximum) if desired > maximum => Err(self.memory.used()),
            _ => self.memory.take(wanted),
        };
        self.granted = if taken.is_ok() { wanted } else { 0 };
        Ok(taken.map_err(|used| self.memory.deny(Denial::Memory { wanted, used })).is_ok())
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        let wanted = std::mem::take(&mut self.granted);
        self.memory.give_back(wanted);
        self.memory.deny(Denial::Memory { wanted, used: self.memory.used() });
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = desired.saturating_sub(current);
        if wanted > MAX_TABLE_ELEMENTS.saturating_sub(self.table_elements) || maximum.is_some_and(|maximum| desired > maximum) {
            self.granted = 0;
            self.memory.deny(Denial::Table { wanted, used: self.table_elements });
            return Ok(false);
        }
        self.granted = wanted;
        self.table_elements += wanted;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        let wanted = std::mem::take(&mut self.granted);
        self.table_elements -= wanted;
        self.memory.deny(Denial::Table { wanted, used: self.table_elements });
        Ok(())
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 << 10;

    #[test]
    fn memories_share_one_limit() {
        let mut meter = Meter::new(4 * PAGE as u64);
        assert!(meter.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(meter.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(!meter.memory_growing(2 * PAGE, 3 * PAGE, None).unwrap());
        assert_eq!(meter.denied(), Some(Denial::Memory { wanted: PAGE, used: 4 * PAGE }));
        assert_eq!(meter.peak_memory(), 4 * PAGE as u64);
    }

    #[test]
    fn files_share_it_with_memories() {
        let mut meter = Meter::new(4 * PAGE as u64);
        assert!(meter.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(meter.memory().take_for_files(2 * PAGE));
        assert!(!meter.memory_growing(2 * PAGE, 3 * PAGE, None).unwrap());
        assert!(!meter.memory().take_for_files(1));
        assert_eq!(meter.denied(), Some(Denial::Files { wanted: 1, used: 4 * PAGE }));
        meter.memory().give_back(2 * PAGE);
        assert!(meter.memory_growing(2 * PAGE, 3 * PAGE, None).unwrap());
        assert_eq!(meter.peak_memory(), 4 * PAGE as u64);
    }

    #[test]
    fn tables_share_one_limit() {
        let mut meter = Meter::new(0);
        assert!(meter.table_growing(0, MAX_TABLE_ELEMENTS, None).unwrap());
        assert!(!meter.table_growing(0, 1, None).unwrap());
        assert_eq!(meter.denied(), Some(Denial::Table { wanted: 1, used: MAX_TABLE_ELEMENTS }));
    }

    #[test]
    fn a_memorys_own_maximum_is_a_denial_too() {
        let mut meter = Meter::new(100 * PAGE as u64);
        assert!(!meter.memory_growing(PAGE, 3 * PAGE, Some(2 * PAGE)).unwrap());
        assert!(meter.denied().is_some());
    }
}
