//! What names content: uploaded files, runs' files and artifacts. Each counts as one use of its content.

use bulkhead_core::artifact::FileName;
use bulkhead_core::id::{Digest, RunId, TaskId};
use bulkhead_engine::files::{Content, FileRecord, NewArtifact, UPLOAD_KEPT};
use bulkhead_engine::store::StoreError;

use super::Txn;
use crate::keys::{self, Fields, Key, UseKind};
use crate::kv::{self, Fault, Tx};
use crate::record::{ArtifactRow, ContentRow, UploadRow};

/// What removing a row that names content costs of the budget: its content may have to go, too.
const ROW_COST: usize = 4;

impl Txn<'_> {
    /// Records an uploaded file, or that it was uploaded again.
    pub(crate) fn put_file(&mut self, content: Content) -> Tx<FileRecord> {
        let row = ContentRow { digest: content.digest, size: content.size };
        self.state.batch.effects.recorded.push(content);
        if !self.keep_upload(row)? {
            self.use_content(row)?;
        }
        Ok(FileRecord { digest: row.digest, size: row.size, expires_at: self.now.after(UPLOAD_KEPT) })
    }

    /// Keeps an uploaded file from now on for its time; whether it was there before.
    fn keep_upload(&mut self, file: ContentRow) -> Tx<bool> {
        let key = keys::upload(file.digest);
        let old: Option<UploadRow> = self.load(&key)?;
        let expires = self.now.after(UPLOAD_KEPT);
        if let Some(old) = &old {
            self.remove(&keys::upload_expiry(old.expires, file.digest))?;
        }
        self.put_record(&key, &UploadRow { size: file.size, expires })?;
        self.put(&keys::upload_expiry(expires, file.digest), &[])?;
        self.state.batch.effects.housekeeping = true;
        Ok(old.is_some())
    }

    /// The uploaded files that a run names.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where one is not there.
    pub(super) fn files_of(&self, named: &[(FileName, Digest)]) -> Tx<Vec<(FileName, ContentRow)>> {
        let mut files = Vec::with_capacity(named.len());
        for (name, digest) in named {
            let upload: UploadRow = self.load(&keys::upload(*digest))?.ok_or(StoreError::NotFound("file"))?;
            files.push((name.clone(), ContentRow { digest: *digest, size: upload.size }));
        }
        Ok(files)
    }

    /// Gives a new run its files.
    pub(super) fn use_files(&mut self, run: RunId, files: Vec<(FileName, ContentRow)>) -> Tx<()> {
        for (name, file) in files {
            self.keep_upload(file)?;
            self.put_record(&keys::run_file(run, name.as_str()), &file)?;
            self.use_content(file)?;
        }
        Ok(())
    }

    /// Publishes what a task wrote that succeeded just now.
    pub(super) fn publish(&mut self, task: TaskId, artifacts: Vec<NewArtifact>) -> Tx<()> {
        for NewArtifact { name, content_type, content } in artifacts {
            let key = keys::artifact(task, name.as_str());
            if let Some(old) = self.load::<ArtifactRow>(&key)? {
                self.drop_content(old.content)?;
            }
            let row = ContentRow { digest: content.digest, size: content.size };
            self.state.batch.effects.recorded.push(content);
            self.put_record(&key, &ArtifactRow { content: row, content_type, created_at: self.now })?;
            self.use_content(row)?;
        }
        Ok(())
    }

    /// Removes a run's files and artifacts while `budget` lasts; whether none is left.
    pub(super) fn remove_files(&mut self, run: RunId, budget: &mut usize) -> Tx<bool> {
        for key in self.some_of(&keys::run_files(run), *budget)? {
            let file: ContentRow = self.load(&key)?.ok_or_else(|| Fault::Storage("a run's file is gone".into()))?;
            self.remove(&key)?;
            self.drop_content(file)?;
            *budget = budget.saturating_sub(ROW_COST);
        }
        for key in self.some_of(&keys::artifacts_of(run), *budget)? {
            let row: ArtifactRow = self.load(&key)?.ok_or_else(|| Fault::Storage("an artifact is gone".into()))?;
            self.remove(&key)?;
            self.drop_content(row.content)?;
            *budget = budget.saturating_sub(ROW_COST);
        }
        Ok(*budget > 0)
    }

    /// As many keys as a budget lasts for.
    fn some_of(&self, prefix: &Key, budget: usize) -> Tx<Vec<Key>> {
        kv::keys_of(self.kv, &prefix.prefix(), budget.div_ceil(ROW_COST))
    }

    /// Forgets uploaded files whose time is over, at most `limit`; how many.
    pub(super) fn expire_uploads(&mut self, limit: usize) -> Tx<usize> {
        let due = self.due_keys(&keys::upload_expiries(), self.now, limit)?;
        for expiry in &due {
            let mut fields = Fields::of(expiry.bytes(), 1);
            fields.time()?;
            let digest = fields.digest()?;
            let upload: UploadRow =
                self.load(&keys::upload(digest))?.ok_or_else(|| Fault::Corrupt(format!("{digest} expires and is no file")))?;
            self.remove(expiry)?;
            self.remove(&keys::upload(digest))?;
            self.drop_content(ContentRow { digest, size: upload.size })?;
        }
        Ok(due.len())
    }

    /// Counts one more use of content.
    fn use_content(&mut self, content: ContentRow) -> Tx<()> {
        if self.count_use(UseKind::Content, content.digest, 1)? == 1 {
            let statistics = &mut self.state.totals.statistics;
            statistics.contents += 1;
            statistics.content_bytes += content.size;
        }
        Ok(())
    }

    /// Counts one use of content less. The content that nothing uses goes with the next housekeeping after the commit.
    fn drop_content(&mut self, content: ContentRow) -> Tx<()> {
        if self.count_use(UseKind::Content, content.digest, -1)? == 0 {
            let statistics = &mut self.state.totals.statistics;
            statistics.contents -= 1;
            statistics.content_bytes -= content.size;
            self.state.batch.effects.unused.push(content.digest);
            self.state.batch.effects.housekeeping = true;
        }
        Ok(())
    }
}
