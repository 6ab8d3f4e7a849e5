//! The port to large content: files that runs are started with, and the artifacts that tasks publish.
//!
//! Content is kept by its digest and written piece by piece; nothing here holds a whole file. [`Content`] that was finished
//! stays while it is held, and from then on while something that was recorded names it: an uploaded file that has not expired,
//! a run's file, or an artifact. What nothing names is removed by housekeeping, and by the next start after a crash.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::artifact::{ContentType, FileName};
use bulkhead_core::id::{Digest, RunId, StepIndex};
use bulkhead_core::task::TaskState;
use bulkhead_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::store::StoreFuture;

/// The most bytes of one write to, and of one read from, content.
pub const MAX_PIECE_LEN: usize = 1 << 20;
/// The files that a run may be started with.
pub const MAX_RUN_FILES: usize = 64;
/// How long an uploaded file is kept, from its upload or the last start of a run with it. The run keeps its own use of it.
pub const UPLOAD_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Large content, and what names it.
pub trait Files: Send + Sync + 'static {
    /// Begins content. It is nobody's, and gone with its writer, until it is finished and recorded.
    fn begin_content(&self) -> StoreFuture<'_, Box<dyn ContentWriter>>;

    /// At most `max` bytes of content from `offset` on, never more than [`MAX_PIECE_LEN`]; nothing at the end.
    fn read_content(&self, digest: Digest, offset: u64, max: usize) -> StoreFuture<'_, Bytes>;

    /// Records content as an uploaded file: runs can be started with it for [`UPLOAD_KEPT`].
    fn put_file(&self, content: Content) -> StoreFuture<'_, FileRecord>;

    /// An uploaded file.
    fn file(&self, digest: Digest) -> StoreFuture<'_, FileRecord>;

    /// The files that a run was started with, by name.
    fn run_files(&self, run: RunId) -> StoreFuture<'_, Vec<RunFile>>;

    /// An artifact of a step: of one task, or else of the first task that published one of this name.
    fn artifact(&self, run: RunId, step: StepIndex, name: FileName, task: Option<u32>) -> StoreFuture<'_, ArtifactRecord>;

    /// Artifacts of a run, or of one of its steps, by step, name and task, after a place.
    fn artifacts(
        &self,
        run: RunId,
        step: Option<StepIndex>,
        after: Option<ArtifactPlace>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ArtifactRecord>>;

    /// Artifacts of all runs, those of the newest run first, and in a run the last first; before a place. Those of a run that is being
    /// removed may be among them.
    fn latest_artifacts(
        &self,
        before: Option<(RunId, ArtifactPlace)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(RunId, ArtifactRecord)>>;

    /// The tasks of a step after number `after`, without its `plan`, each with its output: at most `limit`, and about 1 MiB.
    fn outputs(&self, run: RunId, step: StepIndex, after: u32, limit: usize) -> StoreFuture<'_, Vec<OutputRecord>>;
}

/// Writes content piece by piece. Dropping it leaves nothing.
pub trait ContentWriter: Send {
    /// Appends. Where it fails nothing was appended, so it may be repeated.
    fn append(&mut self, piece: Bytes) -> StoreFuture<'_, ()>;

    /// Makes the content durable and gives it its digest.
    fn finish(self: Box<Self>) -> StoreFuture<'static, Content>;
}

/// Content that is durable, and stays so while this value or a clone of it lives.
#[derive(Clone)]
pub struct Content {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whatever keeps it from being removed.
    _pin: Arc<dyn Any + Send + Sync>,
}

impl Content {
    /// Content that stays while `pin` lives.
    pub fn new(digest: Digest, size: u64, pin: Arc<dyn Any + Send + Sync>) -> Self {
        Self { digest, size, _pin: pin }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("digest", &self.digest).field("size", &self.size).finish_non_exhaustive()
    }
}

/// An uploaded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// The digest of its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// When it is removed unless it is uploaded or used again before.
    pub expires_at: Timestamp,
}

/// A file that a run was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFile {
    /// What the run calls it.
    pub name: FileName,
    /// The digest of its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// An artifact to publish.
#[derive(Clone, Debug)]
pub struct NewArtifact {
    /// Its name, unique in its task.
    pub name: FileName,
    /// What its bytes are.
    pub content_type: ContentType,
    /// Its bytes.
    pub content: Content,
}

/// A published artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRecord {
    /// The step.
    pub step: StepIndex,
    /// The number in the step of the task that published it.
    pub task: u32,
    /// Its name.
    pub name: FileName,
    /// The digest of its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What its bytes are.
    pub content_type: ContentType,
    /// When it was published.
    pub created_at: Timestamp,
}

/// Where a list of artifacts goes on: after this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactPlace {
    /// The step.
    pub step: StepIndex,
    /// The name.
    pub name: FileName,
    /// The task's number in the step.
    pub task: u32,
}

/// A task with what it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRecord {
    /// Its number in the step.
    pub task: u32,
    /// Its key.
    pub key: Box<str>,
    /// Where it is.
    pub state: TaskState,
    /// Its output, where it succeeded: JSON text.
    pub output: Option<Arc<str>>,
}
