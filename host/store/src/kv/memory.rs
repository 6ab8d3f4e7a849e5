//! Sorted maps in memory, with an undo log in place of a commit.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{PoisonError, RwLock};

use super::{Backend, Body, CommitFault, Direction, KvRead, KvWrite, Tree, Tx, Verdict, Visit, WithSnapshot};
use crate::keys::{Key, KeyRange};

type Map = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// Maps under a lock: a reader holds it for one read, the writer for one transaction.
#[derive(Debug, Default)]
pub(crate) struct MemoryBackend {
    maps: RwLock<Maps>,
}

#[derive(Debug, Default)]
struct Maps([Map; Tree::ALL.len()]);

impl Maps {
    fn of(&self, tree: Tree) -> &Map {
        &self.0[tree as usize]
    }
}

impl Backend for MemoryBackend {
    fn blocks(&self) -> bool {
        false
    }

    fn read(&self, with: WithSnapshot<'_>) -> Tx<()> {
        // Poison means that a transaction panicked; its guard has undone what it wrote.
        with(&*self.maps.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, body: Body<'_>) -> Result<(), CommitFault> {
        let mut maps = self.maps.write().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = Transaction { maps: &mut maps, undo: Vec::new() };
        if let Verdict::Commit = body(&mut transaction) {
            transaction.undo.clear();
        }
        Ok(())
    }
}

/// Undoes what it wrote when it is dropped, unless the undo log was cleared.
struct Transaction<'a> {
    maps: &'a mut Maps,
    undo: Vec<(Key, Option<Box<[u8]>>)>,
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            let map = &mut self.maps.0[key.tree as usize];
            match before {
                Some(value) => map.insert(key.bytes().into(), value),
                None => map.remove(key.bytes()),
            };
        }
    }
}

impl KvRead for Maps {
    fn get(&self, key: &Key, found: &mut dyn FnMut(&[u8])) -> Tx<bool> {
        let value = self.of(key.tree).get(key.bytes());
        Ok(value.inspect(|value| found(value)).is_some())
    }

    fn scan(&self, range: &KeyRange, direction: Direction, visit: Visit<'_>) -> Tx<()> {
        if range.is_empty() {
            return Ok(());
        }
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = self.of(range.tree).range::<[u8], _>((Bound::Included(&*range.start), end));
        loop {
            let entry = match direction {
                Direction::Forward => entries.next(),
                Direction::Backward => entries.next_back(),
            };
            let Some((key, value)) = entry else { return Ok(()) };
            if let ControlFlow::Break(()) = visit(key, value)? {
                return Ok(());
            }
        }
    }
}

impl KvRead for Transaction<'_> {
    fn get(&self, key: &Key, found: &mut dyn FnMut(&[u8])) -> Tx<bool> {
        self.maps.get(key, found)
    }

    fn scan(&self, range: &KeyRange, direction: Direction, visit: Visit<'_>) -> Tx<()> {
        self.maps.scan(range, direction, visit)
    }
}

impl KvWrite for Transaction<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Tx<()> {
        let before = self.maps.0[key.tree as usize].insert(key.bytes().into(), value.into());
        self.undo.push((key.clone(), before));
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Tx<()> {
        if let Some(before) = self.maps.0[key.tree as usize].remove(key.bytes()) {
            self.undo.push((key.clone(), Some(before)));
        }
        Ok(())
    }
}
