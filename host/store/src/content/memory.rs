//! Content in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_core::id::Digest;

use super::{Draft, Place};

type Stored = BTreeMap<Digest, Vec<u8>>;

/// Contents that are forgotten with their process. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryContents(Arc<Mutex<Stored>>);

impl MemoryContents {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place for MemoryContents {
    fn blocks(&self) -> bool {
        false
    }

    fn begin(&self) -> io::Result<Box<dyn Draft>> {
        Ok(Box::new(MemoryDraft { contents: self.clone(), bytes: Vec::new() }))
    }

    fn read(&self, digest: Digest, offset: u64, max: usize) -> io::Result<Option<Vec<u8>>> {
        let stored = self.stored();
        let Some(bytes) = stored.get(&digest) else { return Ok(None) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Some(bytes[start..start.saturating_add(max).min(bytes.len())].to_vec()))
    }

    fn size(&self, digest: Digest) -> io::Result<Option<u64>> {
        Ok(self.stored().get(&digest).map(|bytes| bytes.len() as u64))
    }

    fn remove(&self, digest: Digest) -> io::Result<()> {
        self.stored().remove(&digest);
        Ok(())
    }

    fn part(&self, first: u8) -> io::Result<Vec<Digest>> {
        Ok(self.stored().keys().filter(|digest| digest.as_bytes()[0] == first).copied().collect())
    }
}

struct MemoryDraft {
    contents: MemoryContents,
    bytes: Vec<u8>,
}

impl Draft for MemoryDraft {
    fn write(&mut self, offset: u64, piece: &[u8]) -> io::Result<()> {
        self.bytes.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn publish(&mut self, digest: Digest, _: u64) -> io::Result<()> {
        self.contents.stored().insert(digest, std::mem::take(&mut self.bytes));
        Ok(())
    }
}
