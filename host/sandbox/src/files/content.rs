//! What is in a file: pieces of one size, made as they are written. What was never written is zero and takes nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime_wasi::p2::bindings::sync::filesystem::types::{Datetime, ErrorCode};

use crate::limits::Memory;

/// The size of a piece, in bytes: a page, as of any file system in memory.
const PIECE: usize = 4 << 10;
/// What a piece takes, in bytes: itself and its place among the others.
const PIECE_COST: usize = PIECE + 64;
/// Where a file ends at the latest: offsets are signed where guests keep them.
const MAX_SIZE: u64 = i64::MAX as u64;

/// The content of a file. Streams hold it beside the directory that it is in.
pub(crate) struct Content {
    memory: Arc<Memory>,
    data: Mutex<Data>,
}

struct Data {
    size: u64,
    /// By number. What is in none is zero, and so is what a piece has behind the file's end.
    pieces: BTreeMap<u64, Box<[u8]>>,
    times: Times,
}

/// When a file or directory was read and changed, as far as anyone said so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(super) accessed: Datetime,
    pub(super) modified: Datetime,
}

impl Times {
    pub(super) fn now() -> Self {
        Self { accessed: now(), modified: now() }
    }
}

/// The time.
pub(super) fn now() -> Datetime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Datetime { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() }
}

impl Content {
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self { memory, data: Mutex::new(Data { size: 0, pieces: BTreeMap::new(), times: Times::now() }) }
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.lock().size
    }

    pub(super) fn times(&self) -> Times {
        self.lock().times
    }

    pub(super) fn set_times(&self, times: Times) {
        self.lock().times = times;
    }

    /// What is there from an offset on: `most` bytes, or what there is before the end.
    pub(crate) fn read(&self, offset: u64, most: usize) -> Vec<u8> {
        let data = self.lock();
        let len = data.size.saturating_sub(offset).min(most as u64);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(most)];
        for (number, within, range) in spans(offset, bytes.len()) {
            if let Some(piece) = data.pieces.get(&number) {
                let len = range.len();
                bytes[range].copy_from_slice(&piece[within..within + len]);
            }
        }
        bytes
    }

    /// Writes at an offset, and tells how much of it there was room for.
    ///
    /// # Errors
    /// `InsufficientSpace` where there was none for anything, `FileTooLarge` beyond what an offset can say.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<usize, ErrorCode> {
        self.write_into(&mut self.lock(), offset, bytes)
    }

    /// Writes at the end. See [`write`](Self::write).
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<usize, ErrorCode> {
        let mut data = self.lock();
        let end = data.size;
        self.write_into(&mut data, end, bytes)
    }

    /// Writes all of it at the end. See [`write`](Self::write).
    pub(crate) fn append_all(&self, bytes: &[u8]) -> Result<(), ErrorCode> {
        if self.append(bytes)? < bytes.len() { Err(ErrorCode::InsufficientSpace) } else { Ok(()) }
    }

    fn write_into(&self, data: &mut Data, offset: u64, bytes: &[u8]) -> Result<usize, ErrorCode> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > MAX_SIZE) {
            return Err(ErrorCode::FileTooLarge);
        }
        let mut written = 0;
        for (number, within, range) in spans(offset, bytes.len()) {
            let piece = match data.pieces.entry(number) {
                Entry::Occupied(piece) => piece.into_mut(),
                Entry::Vacant(place) if self.memory.take_for_files(PIECE_COST) => place.insert(vec![0; PIECE].into()),
                Entry::Vacant(_) => break,
            };
            written = range.end;
            piece[within..within + range.len()].copy_from_slice(&bytes[range]);
        }
        if written == 0 && !bytes.is_empty() {
            return Err(ErrorCode::InsufficientSpace);
        }
        if written > 0 {
            data.size = data.size.max(offset + written as u64);
        }
        data.times.modified = now();
        Ok(written)
    }

    /// Cuts it off, or lengthens it by zeros.
    ///
    /// # Errors
    /// `FileTooLarge` beyond what an offset can say.
    pub(super) fn set_size(&self, size: u64) -> Result<(), ErrorCode> {
        if size > MAX_SIZE {
            return Err(ErrorCode::FileTooLarge);
        }
        let mut data = self.lock();
        let gone = data.pieces.split_off(&size.div_ceil(PIECE as u64));
        self.memory.give_back(gone.len() * PIECE_COST);
        let within = usize::try_from(size % PIECE as u64).expect("it is below the size of a piece");
        if within > 0
            && let Some(piece) = data.pieces.get_mut(&(size / PIECE as u64))
        {
            piece[within..].fill(0);
        }
        data.size = size;
        data.times.modified = now();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        let pieces = self.lock().pieces.len();
        self.memory.give_back(pieces * PIECE_COST);
    }
}

/// The pieces that a range of a file is in: the number of each, where in it, and which part of the range.
fn spans(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = usize::try_from(at % PIECE as u64).expect("it is below the size of a piece");
        let part = (len - done).min(PIECE - within);
        let range = done..done + part;
        done += part;
        (part > 0).then_some((at / PIECE as u64, within, range))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Change {
        Write(u64, Vec<u8>),
        Append(Vec<u8>),
        SetSize(u64),
    }

    fn change() -> impl Strategy<Value = Change> {
        let place = || 0..5 * PIECE as u64;
        let bytes = || proptest::collection::vec(1..=u8::MAX, 0..2 * PIECE);
        prop_oneof![
            (place(), bytes()).prop_map(|(offset, bytes)| Change::Write(offset, bytes)),
            bytes().prop_map(Change::Append),
            place().prop_map(Change::SetSize),
        ]
    }

    proptest! {
        /// A file is what a list of bytes would be, takes what its pieces take, and gives all of it back.
        #[test]
        fn it_is_as_a_list_of_bytes(changes in proptest::collection::vec(change(), 0..40)) {
            let memory = Arc::new(Memory::new(1 << 30));
            let content = Content::new(Arc::clone(&memory));
            let mut model: Vec<u8> = Vec::new();
            for change in changes {
                match change {
                    Change::Write(offset, bytes) => {
                        prop_assert_eq!(content.write(offset, &bytes).unwrap(), bytes.len());
                        let offset = usize::try_from(offset).unwrap();
                        if !bytes.is_empty() {
                            model.resize(model.len().max(offset + bytes.len()), 0);
                            model[offset..offset + bytes.len()].copy_from_slice(&bytes);
                        }
                    }
                    Change::Append(bytes) => {
                        content.append(&bytes).unwrap();
                        model.extend(bytes);
                    }
                    Change::SetSize(size) => {
                        content.set_size(size).unwrap();
                        model.resize(usize::try_from(size).unwrap(), 0);
                    }
                }
                prop_assert_eq!(content.size(), model.len() as u64);
                prop_assert!(content.read(0, usize::MAX) == model);
                let middle = model.len() / 3;
                prop_assert!(content.read(middle as u64, 100) == model[middle..(middle + 100).min(model.len())]);
                prop_assert_eq!(memory.used() % PIECE_COST, 0);
                prop_assert!(memory.used() <= model.len().div_ceil(PIECE) * PIECE_COST);
            }
            drop(content);
            prop_assert_eq!(memory.used(), 0);
        }
    }

    #[test]
    fn a_full_memory_takes_what_there_is_room_for() {
        let memory = Arc::new(Memory::new(2 * PIECE_COST as u64 + 100));
        let content = Content::new(Arc::clone(&memory));
        assert_eq!(content.write(10, &[1; 3 * PIECE]), Ok(2 * PIECE - 10));
        assert_eq!(content.size(), 2 * PIECE as u64);
        assert_eq!(content.append(b"more"), Err(ErrorCode::InsufficientSpace));
        assert_eq!(content.write(0, b"what is there can be written"), Ok(28));
        content.set_size(1).unwrap();
        assert_eq!(content.append(b"more"), Ok(4));
    }

    #[test]
    fn a_hole_takes_nothing_and_reads_as_zeros() {
        let memory = Arc::new(Memory::new(1 << 20));
        let content = Content::new(Arc::clone(&memory));
        content.set_size(MAX_SIZE).unwrap();
        assert_eq!(memory.used(), 0);
        assert_eq!(content.read(1 << 40, 5), [0; 5]);
        assert_eq!(content.write(MAX_SIZE - 1, b"ab"), Err(ErrorCode::FileTooLarge));
        assert_eq!(content.write(u64::MAX, b"a"), Err(ErrorCode::FileTooLarge));
        assert_eq!(content.write(MAX_SIZE - 2, b"ab"), Ok(2));
        assert_eq!(content.read(MAX_SIZE - 3, 100), b"\0ab");
        assert!(matches!(content.set_size(MAX_SIZE + 1), Err(ErrorCode::FileTooLarge)));
    }
}
