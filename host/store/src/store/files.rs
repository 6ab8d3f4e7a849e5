//! [`Files`]: large content, and what names it.

use bulkhead_core::artifact::FileName;
use bulkhead_core::id::{Digest, RunId, StepIndex};
use bulkhead_engine::files::{ArtifactPlace, ArtifactRecord, Content, ContentWriter, FileRecord, Files, OutputRecord, RunFile};
use bulkhead_engine::store::StoreFuture;
use bytes::Bytes;

use super::{Cost, KvStore};
use crate::read::files as read;

impl<K: 'static> Files for KvStore<K> {
    fn begin_content(&self) -> StoreFuture<'_, Box<dyn ContentWriter>> {
        self.contents.begin()
    }

    fn read_content(&self, digest: Digest, offset: u64, max: usize) -> StoreFuture<'_, Bytes> {
        self.contents.read(digest, offset, max)
    }

    fn put_file(&self, content: Content) -> StoreFuture<'_, FileRecord> {
        self.write("put_file", 0, move |txn| txn.put_file(content))
    }

    fn file(&self, digest: Digest) -> StoreFuture<'_, FileRecord> {
        self.read(Cost::Point, move |kv| read::upload(kv, digest))
    }

    fn run_files(&self, run: RunId) -> StoreFuture<'_, Vec<RunFile>> {
        self.read(Cost::Point, move |kv| read::run_files(kv, run))
    }

    fn artifact(&self, run: RunId, step: StepIndex, name: FileName, task: Option<u32>) -> StoreFuture<'_, ArtifactRecord> {
        self.read(Cost::Point, move |kv| read::artifact(kv, run, step, name.as_str(), task))
    }

    fn artifacts(
        &self,
        run: RunId,
        step: Option<StepIndex>,
        after: Option<ArtifactPlace>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ArtifactRecord>> {
        self.read(Cost::Range, move |kv| read::artifacts(kv, run, step, after.as_ref(), limit))
    }

    fn latest_artifacts(
        &self,
        before: Option<(RunId, ArtifactPlace)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(RunId, ArtifactRecord)>> {
        self.read(Cost::Range, move |kv| read::latest_artifacts(kv, before.as_ref(), limit))
    }

    fn outputs(&self, run: RunId, step: StepIndex, after: u32, limit: usize) -> StoreFuture<'_, Vec<OutputRecord>> {
        self.read(Cost::Range, move |kv| read::outputs(kv, run, step, after, limit))
    }
}
