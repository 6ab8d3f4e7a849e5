//! Large content by its digest: in a directory, or in memory.
//!
//! # Invariants
//! - Content appears whole or not at all: it is written elsewhere, made durable, and then gets its name.
//! - Content that a committed record names is there. What becomes durable is *pinned* until it was recorded, and only what is
//!   neither pinned nor counted as used is removed; both are looked at under one lock.
//! - What a crash leaves behind (drafts, content whose record never came) goes at the next start.

mod directory;
mod memory;
mod writer;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bulkhead_core::id::Digest;
use bulkhead_engine::files::{Content, ContentWriter, MAX_PIECE_LEN};
use bulkhead_engine::store::{StoreError, StoreFuture, StoreResult};
use bytes::Bytes;

pub(crate) use self::directory::Directory;
pub(crate) use self::memory::MemoryContents;
use crate::keys::{self, UseKind};
use crate::kv::{Backend, snapshot};
use crate::record;

/// Unused contents that one call of [`Contents::sweep`] removes.
const REMOVED_PER_SWEEP: usize = 1_000;
/// Contents that may be unused and are remembered one by one; beyond that, all that is stored is looked at again.
const MOST_SUSPECTS: usize = 100_000;
/// The parts that contents are kept in, by the first byte of their digests.
const PARTS: u16 = 256;

/// Where the bytes are.
pub(crate) trait Place: Send + Sync + 'static {
    /// Whether it may wait for a disk, so that its calls belong on a thread that may block.
    fn blocks(&self) -> bool;
    /// Begins content.
    fn begin(&self) -> io::Result<Box<dyn Draft>>;
    /// At most `max` bytes from `offset` on; absent where there is no such content.
    fn read(&self, digest: Digest, offset: u64, max: usize) -> io::Result<Option<Vec<u8>>>;
    /// The size of content, if it is there.
    fn size(&self, digest: Digest) -> io::Result<Option<u64>>;
    /// Removes content, if it is there.
    fn remove(&self, digest: Digest) -> io::Result<()>;
    /// All contents whose digests begin with a byte.
    fn part(&self, first: u8) -> io::Result<Vec<Digest>>;
}

/// Content on its way. Dropping it leaves nothing.
pub(crate) trait Draft: Send {
    /// Writes at an offset, over whatever a failed write left there.
    fn write(&mut self, offset: u64, piece: &[u8]) -> io::Result<()>;
    /// Makes the first `size` bytes durable under their digest.
    fn publish(&mut self, digest: Digest, size: u64) -> io::Result<()>;
}

/// All contents of a store.
pub(crate) struct Contents {
    place: Arc<dyn Place>,
    backend: Arc<dyn Backend>,
    known: Mutex<Known>,
}

/// What is known in memory.
struct Known {
    /// Contents that must stay although nothing recorded may name them yet, with how many hold them.
    pinned: HashMap<Digest, usize>,
    /// Contents that may be unused.
    suspects: BTreeSet<Digest>,
    /// The next part to look through for what an earlier process left.
    next_part: u16,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

impl Contents {
    pub(crate) fn new(place: Arc<dyn Place>, backend: Arc<dyn Backend>) -> Arc<Self> {
        let known = Known { pinned: HashMap::new(), suspects: BTreeSet::new(), next_part: 0 };
        Arc::new(Self { place, backend, known: Mutex::new(known) })
    }

    /// Where the bytes are.
    pub(crate) fn place(&self) -> &Arc<dyn Place> {
        &self.place
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something that may wait for the disk.
    async fn blocking<T: Send + 'static>(self: &Arc<Self>, work: impl FnOnce(&Self) -> T + Send + 'static) -> StoreResult<T> {
        if !self.place.blocks() {
            return Ok(work(self));
        }
        let me = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&me))
            .await
            .map_err(|error| unavailable(format!("a disk's thread broke: {error}")))
    }

    /// Begins content.
    pub(crate) fn begin(self: &Arc<Self>) -> StoreFuture<'_, Box<dyn ContentWriter>> {
        Box::pin(async move {
            let draft = self.blocking(|me| me.place.begin()).await?.map_err(failed)?;
            Ok(Box::new(writer::Writer::new(self, draft)) as Box<dyn ContentWriter>)
        })
    }

    /// Reads content.
    pub(crate) fn read(self: &Arc<Self>, digest: Digest, offset: u64, max: usize) -> StoreFuture<'_, Bytes> {
        Box::pin(async move {
            let max = max.min(MAX_PIECE_LEN);
            let read = self.blocking(move |me| me.place.read(digest, offset, max)).await?.map_err(failed)?;
            read.map(Bytes::from).ok_or(StoreError::NotFound("content"))
        })
    }

    /// Gives content its name, pinned before it is there.
    fn publish(self: &Arc<Self>, draft: &mut dyn Draft, digest: Digest, size: u64) -> io::Result<Content> {
        *self.known().pinned.entry(digest).or_default() += 1;
        let pin = Pin { contents: Arc::downgrade(self), digest };
        draft.publish(digest, size)?;
        Ok(Content::new(digest, size, Arc::new(pin)))
    }

    /// Notes that contents may be unused from now on.
    pub(crate) fn suspect(&self, digests: impl IntoIterator<Item = Digest>) {
        self.known().suspect(digests);
    }

    /// Removes a bounded number of unused contents; whether there is more to do now.
    pub(crate) async fn sweep(self: &Arc<Self>) -> bool {
        match self.blocking(Self::sweep_now).await {
            Ok(Ok(more)) => more,
            Ok(Err(error)) => {
                tracing::warn!(%error, "unused content can't be removed yet");
                false
            }
            Err(error) => {
                tracing::warn!(%error, "unused content can't be removed yet");
                false
            }
        }
    }

    fn sweep_now(&self) -> io::Result<bool> {
        let part = self.known().next_part;
        if part < PARTS {
            let leftovers = self.place.part(u8::try_from(part).unwrap_or(u8::MAX))?;
            let mut known = self.known();
            known.next_part = known.next_part.max(part + 1);
            known.suspect(leftovers);
        }
        for _ in 0..REMOVED_PER_SWEEP {
            let mut known = self.known();
            let Some(digest) = known.suspects.pop_first() else { break };
            // Whoever pins it from here on waits for this lock, and writes it anew.
            if known.pinned.contains_key(&digest) {
                continue;
            }
            let removed = self.is_used(digest).and_then(|used| if used { Ok(()) } else { self.place.remove(digest) });
            if let Err(error) = removed {
                known.suspects.insert(digest);
                return Err(error);
            }
        }
        let known = self.known();
        Ok(!known.suspects.is_empty() || known.next_part < PARTS)
    }

    fn is_used(&self, digest: Digest) -> io::Result<bool> {
        let uses = snapshot(&*self.backend, |kv| record::load::<u64>(kv, &keys::use_of(UseKind::Content, digest)));
        uses.map(|uses| uses.is_some_and(|uses| uses > 0)).map_err(|fault| io::Error::other(StoreError::from(fault).to_string()))
    }
}

impl Known {
    fn suspect(&mut self, digests: impl IntoIterator<Item = Digest>) {
        self.suspects.extend(digests);
        if self.suspects.len() > MOST_SUSPECTS {
            self.suspects.clear();
            self.next_part = 0;
        }
    }
}

/// Keeps content from being removed, and not the store from being closed.
struct Pin {
    contents: Weak<Contents>,
    digest: Digest,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let Some(contents) = self.contents.upgrade() else { return };
        let mut known = contents.known();
        let Some(pins) = known.pinned.get_mut(&self.digest) else { return };
        *pins -= 1;
        if *pins == 0 {
            known.pinned.remove(&self.digest);
            // Where it was recorded, the next sweep finds it used.
            known.suspect([self.digest]);
        }
    }
}

fn failed(error: io::Error) -> StoreError {
    unavailable(format!("content can't be kept or read: {error}"))
}

fn unavailable(reason: String) -> StoreError {
    StoreError::Unavailable { aborted: true, reason }
}
