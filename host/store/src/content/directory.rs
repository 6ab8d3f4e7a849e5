//! Content in files: `sha256/ab/ab12…` by digest, and `drafts/` for what is on its way.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bulkhead_core::id::Digest;

use super::{Draft, Place};

/// Contents by digest.
const BY_DIGEST: &str = "sha256";
/// What is on its way.
const DRAFTS: &str = "drafts";

/// A directory of contents. No other process may use it at the same time; the lock on the store's file sees to that.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    next_draft: AtomicU64,
}

impl Directory {
    /// Opens the directory, makes it where it is missing, and removes drafts that a crash left.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        for part in [BY_DIGEST, DRAFTS] {
            make(&path.join(part))?;
        }
        for draft in fs::read_dir(path.join(DRAFTS))? {
            fs::remove_file(draft?.path())?;
        }
        Ok(Self { path, next_draft: AtomicU64::new(0) })
    }

    fn part_path(&self, first: u8) -> PathBuf {
        self.path.join(BY_DIGEST).join(format!("{first:02x}"))
    }

    fn content_path(&self, digest: Digest) -> PathBuf {
        self.part_path(digest.as_bytes()[0]).join(digest.hex())
    }
}

impl Place for Directory {
    fn blocks(&self) -> bool {
        true
    }

    fn begin(&self) -> io::Result<Box<dyn Draft>> {
        let number = self.next_draft.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(DRAFTS).join(number.to_string());
        // Opened again for each piece: as many drafts as there are attempts would use up the process's files.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Box::new(FileDraft { directory: self.path.clone(), path, published: false }))
    }

    fn read(&self, digest: Digest, offset: u64, max: usize) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.content_path(digest)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let left = file.metadata()?.len().saturating_sub(offset);
        let mut bytes = vec![0; max.min(usize::try_from(left).unwrap_or(usize::MAX))];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(Some(bytes))
    }

    fn size(&self, digest: Digest) -> io::Result<Option<u64>> {
        found(fs::metadata(self.content_path(digest))).map(|metadata| metadata.map(|metadata| metadata.len()))
    }

    fn remove(&self, digest: Digest) -> io::Result<()> {
        found(fs::remove_file(self.content_path(digest))).map(drop)
    }

    fn part(&self, first: u8) -> io::Result<Vec<Digest>> {
        let Some(entries) = found(fs::read_dir(self.part_path(first)))? else { return Ok(Vec::new()) };
        let mut digests = Vec::new();
        for entry in entries {
            // Whatever else somebody put there is not ours to remove.
            let name = entry?.file_name();
            digests.extend(name.to_str().and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok()));
        }
        Ok(digests)
    }
}

struct FileDraft {
    directory: PathBuf,
    path: PathBuf,
    published: bool,
}

impl Draft for FileDraft {
    fn write(&mut self, offset: u64, piece: &[u8]) -> io::Result<()> {
        OpenOptions::new().write(true).open(&self.path)?.write_all_at(piece, offset)
    }

    fn publish(&mut self, digest: Digest, size: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        // A write that failed in its middle may have left more.
        file.set_len(size)?;
        file.sync_all()?;
        let parts = self.directory.join(BY_DIGEST);
        let part = parts.join(format!("{:02x}", digest.as_bytes()[0]));
        if !part.is_dir() {
            make(&part)?;
            File::open(&parts)?.sync_all()?;
        }
        // The same content may be there already: then it is replaced by itself.
        fs::rename(&self.path, part.join(digest.hex()))?;
        self.published = true;
        File::open(&part)?.sync_all()
    }
}

impl Drop for FileDraft {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "a draft can't be removed; the next start does");
        }
    }
}

/// Makes a directory that only this process's user reads.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// What is not there is no error.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
