//! The store in a file.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::Database;

use crate::clock::Clock;
use crate::content::{Directory, MemoryContents, Place};
use crate::kv::{OpenDatabase, RedbBackend};
use crate::migrate::{self, MigrateError};
use crate::store::KvStore;

/// The file's name in the data directory.
pub const FILE_NAME: &str = "bulkhead.redb";

/// The directory of large content in the data directory.
const CONTENTS: &str = "artifacts";

/// Says that a [`KvStore`] keeps its data in a redb file.
#[derive(Debug)]
pub enum Redb {}

/// A durable store: nothing is acknowledged before it is on the disk.
pub type RedbStore = KvStore<Redb>;

/// How a [`RedbStore`] uses the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedbOptions {
    /// Bytes of the file that are kept in memory. The operating system's own cache comes on top.
    pub cache: usize,
}

impl Default for RedbOptions {
    /// 16 MiB: all of a server's live work, while history stays with the operating system.
    fn default() -> Self {
        Self { cache: 16 << 20 }
    }
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or the file can't be made or used.
    #[error("can't use {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Two processes would write to one file.
    #[error("{path} is in use by another process: stop it, or choose another data directory")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is no store, or is damaged.
    #[error("{path} can't be opened as a store")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// The stored format can't be brought to this program's.
    #[error("{path} can't be used by this program")]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: MigrateError,
    },
}

impl RedbStore {
    /// Opens the store in a directory; makes both where they are not there. Brings an older format to this program's.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(directory: &Path, options: RedbOptions) -> Result<Self, OpenError> {
        let path = directory.join(FILE_NAME);
        let at = |source| OpenError::Io { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at)?;
        // Plugins' logs and configurations may hold secrets: nobody else reads them.
        OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path).map_err(at)?;
        let file = path.clone();
        let open = move || {
            let mut builder = Database::builder();
            builder.set_cache_size(options.cache);
            builder.set_repair_callback(|repair| tracing::info!(progress = repair.progress(), "the store is being checked"));
            builder.create(&file)
        };
        Self::open_with(Box::new(open), &path, Some(&directory.join(CONTENTS)), Clock::System)
    }

    /// Opens a store whose database `open` gives: for tests that lose writes, fill the disk or stop time. `name` is for messages,
    /// `contents` the directory of large content, which is in memory where there is none.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_with(open: OpenDatabase, name: &Path, contents: Option<&Path>, clock: Clock) -> Result<Self, OpenError> {
        let path = name.to_owned();
        let backend = RedbBackend::open(open).map_err(|error| match error {
            redb::Error::DatabaseAlreadyOpen => OpenError::Locked { path: path.clone() },
            redb::Error::Io(source) => OpenError::Io { path: path.clone(), source },
            source => OpenError::Damaged { path: path.clone(), source: Box::new(source) },
        })?;
        let backend = Arc::new(backend);
        migrate::run(&*backend).map_err(|source| OpenError::Format { path: path.clone(), source })?;
        let place: Arc<dyn Place> = match contents {
            // After the file: whoever has its lock has the directory, too.
            Some(contents) => {
                let directory = Directory::open(contents.to_owned());
                Arc::new(directory.map_err(|source| OpenError::Io { path: contents.to_owned(), source })?)
            }
            None => Arc::new(MemoryContents::default()),
        };
        Self::threaded(backend, place, clock).map_err(|source| OpenError::Io { path, source })
    }
}
