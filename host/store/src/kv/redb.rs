//! redb: one file, one writer, snapshots for readers.

use std::cell::OnceCell;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{Backend, Body, CommitFault, Direction, Fault, KvRead, KvWrite, Tree, Tx, Verdict, Visit, WithSnapshot};
use crate::keys::{Key, KeyRange};

type Bytes = &'static [u8];

const fn definition(tree: Tree) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(tree.name())
}

/// Opens the database: once at the start, and again after an I/O error, since redb refuses everything after one.
pub type OpenDatabase = Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send + Sync>;

/// A redb database. After an I/O error (a full disk, say) the handle is dropped and opened anew: what was committed before is
/// there, the transaction that failed is not.
pub(crate) struct RedbBackend {
    open: OpenDatabase,
    /// Absent between an I/O error and a successful reopening.
    database: RwLock<Option<Arc<Database>>>,
}

impl std::fmt::Debug for RedbBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbBackend").finish_non_exhaustive()
    }
}

impl RedbBackend {
    /// Opens the database and makes the trees.
    pub(crate) fn open(open: OpenDatabase) -> Result<Self, redb::Error> {
        let database = open()?;
        let transaction = database.begin_write()?;
        for tree in Tree::ALL {
            transaction.open_table(definition(tree))?;
        }
        transaction.commit()?;
        Ok(Self { open, database: RwLock::new(Some(Arc::new(database))) })
    }

    fn database(&self) -> Option<Arc<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The database, opened anew where an error closed it. Called by the one writer only.
    fn database_for_writing(&self) -> Result<Arc<Database>, CommitFault> {
        if let Some(database) = self.database() {
            return Ok(database);
        }
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let database = (self.open)()
            .map_err(|error| CommitFault { aborted: true, reason: format!("the file can't be opened again: {error}") })?;
        tracing::info!("the store is open again");
        Ok(slot.insert(Arc::new(database)).clone())
    }

    /// Closes a database that refuses everything; the next write opens it again, once the last reader has let go.
    fn give_up(&self, database: Arc<Database>, reason: &str) {
        tracing::error!(reason, "the store's file failed and is closed");
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        drop(database);
    }
}

fn storage(error: impl std::fmt::Display) -> Fault {
    Fault::Storage(error.to_string())
}

impl Backend for RedbBackend {
    fn blocks(&self) -> bool {
        true
    }

    fn read(&self, with: WithSnapshot<'_>) -> Tx<()> {
        let database = self.database().ok_or_else(|| storage("the file failed and is not open again yet"))?;
        let transaction = database.begin_read().map_err(storage)?;
        with(&Snapshot { transaction, trees: Default::default() })
    }

    fn write(&self, body: Body<'_>) -> Result<(), CommitFault> {
        let database = self.database_for_writing()?;
        let mut committing = false;
        let result = (|| -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            let mut open = Transaction { transaction: &transaction, trees: Default::default(), failed: false };
            let verdict = body(&mut open);
            let failed = open.failed;
            drop(open);
            match verdict {
                Verdict::Commit if !failed => {
                    committing = true;
                    transaction.commit()?;
                }
                _ => transaction.abort()?,
            }
            if failed { Err(redb::Error::PreviousIo) } else { Ok(()) }
        })();
        result.map_err(|error| {
            let reason = error.to_string();
            self.give_up(database, &reason);
            CommitFault { aborted: !committing, reason }
        })
    }
}

struct Snapshot {
    transaction: redb::ReadTransaction,
    trees: [OnceCell<ReadOnlyTable<Bytes, Bytes>>; Tree::ALL.len()],
}

impl Snapshot {
    fn tree(&self, tree: Tree) -> Tx<&ReadOnlyTable<Bytes, Bytes>> {
        let cell = &self.trees[tree as usize];
        if let Some(table) = cell.get() {
            return Ok(table);
        }
        let table = self.transaction.open_table(definition(tree)).map_err(storage)?;
        Ok(cell.get_or_init(|| table))
    }
}

impl KvRead for Snapshot {
    fn get(&self, key: &Key, found: &mut dyn FnMut(&[u8])) -> Tx<bool> {
        get(self.tree(key.tree)?, key, found)
    }

    fn scan(&self, range: &KeyRange, direction: Direction, visit: Visit<'_>) -> Tx<()> {
        scan(self.tree(range.tree)?, range, direction, visit)
    }
}

/// A write transaction whose trees are opened when they are first used: a commit pays for what it touches only.
struct Transaction<'t> {
    transaction: &'t WriteTransaction,
    trees: [OnceCell<Table<'t, Bytes, Bytes>>; Tree::ALL.len()],
    /// redb refused something, and refuses everything from now on.
    failed: bool,
}

impl<'t> Transaction<'t> {
    fn tree(&self, tree: Tree) -> Tx<&Table<'t, Bytes, Bytes>> {
        let cell = &self.trees[tree as usize];
        if let Some(table) = cell.get() {
            return Ok(table);
        }
        let table = self.transaction.open_table(definition(tree)).map_err(storage)?;
        Ok(cell.get_or_init(|| table))
    }

    fn tree_mut(&mut self, tree: Tree) -> Tx<&mut Table<'t, Bytes, Bytes>> {
        self.tree(tree)?;
        self.trees[tree as usize].get_mut().ok_or_else(|| storage("a tree is not open"))
    }
}

impl KvRead for Transaction<'_> {
    fn get(&self, key: &Key, found: &mut dyn FnMut(&[u8])) -> Tx<bool> {
        get(self.tree(key.tree)?, key, found)
    }

    fn scan(&self, range: &KeyRange, direction: Direction, visit: Visit<'_>) -> Tx<()> {
        scan(self.tree(range.tree)?, range, direction, visit)
    }
}

impl KvWrite for Transaction<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Tx<()> {
        let result = self.tree_mut(key.tree)?.insert(key.bytes(), value).map(drop).map_err(storage);
        self.failed |= result.is_err();
        result
    }

    fn remove(&mut self, key: &Key) -> Tx<()> {
        let result = self.tree_mut(key.tree)?.remove(key.bytes()).map(drop).map_err(storage);
        self.failed |= result.is_err();
        result
    }
}

fn get(table: &impl ReadableTable<Bytes, Bytes>, key: &Key, found: &mut dyn FnMut(&[u8])) -> Tx<bool> {
    match table.get(key.bytes()).map_err(storage)? {
        Some(value) => {
            found(value.value());
            Ok(true)
        }
        None => Ok(false),
    }
}

fn scan(table: &impl ReadableTable<Bytes, Bytes>, range: &KeyRange, direction: Direction, visit: Visit<'_>) -> Tx<()> {
    if range.is_empty() {
        return Ok(());
    }
    let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut entries = table.range::<&[u8]>((Bound::Included(&*range.start), end)).map_err(storage)?;
    loop {
        let entry = match direction {
            Direction::Forward => entries.next(),
            Direction::Backward => entries.next_back(),
        };
        let Some(entry) = entry else { return Ok(()) };
        let (key, value) = entry.map_err(storage)?;
        if let ControlFlow::Break(()) = visit(key.value(), value.value())? {
            return Ok(());
        }
    }
}
