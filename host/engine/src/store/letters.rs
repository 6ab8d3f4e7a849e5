//! Dead letters: tasks that failed for good, of all runs, by what they failed of.

use bulkhead_core::failure::Failure;
use bulkhead_core::id::{Digest, RunId, TaskId};
use bulkhead_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreFuture;

/// The groups that are told apart; what fails otherwise then is one group for each cause.
pub const MAX_LETTER_GROUPS: u64 = 10_000;

/// The groups that one run's dead letters are told apart by, likewise.
pub const MAX_LETTERS_PER_RUN: usize = 64;

/// The dead letters of all runs. They are counted in the transactions that make, retry, skip and remove them.
pub trait Letters: Send + Sync + 'static {
    /// All groups, in no order: at most [`MAX_LETTER_GROUPS`], and one for each cause.
    fn letter_groups(&self) -> StoreFuture<'_, Vec<LetterGroup>>;

    /// One of the groups.
    fn letter_group(&self, group: Digest) -> StoreFuture<'_, LetterGroup>;

    /// The runs with dead letters of a group, the newest first, before `before`.
    fn letter_runs(&self, group: Digest, before: Option<RunId>, limit: usize) -> StoreFuture<'_, Vec<LetterRun>>;
}

/// Dead letters of all runs that failed of the same: their failures have one
/// [signature](bulkhead_core::failure::Failure::signature).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterGroup {
    /// The digest of the signature.
    pub id: Digest,
    /// The latest failure, without its backtrace.
    pub failure: Failure,
    /// It has what failed otherwise, for this cause, when there were too many groups already.
    pub others: bool,
    /// How many tasks.
    pub tasks: u64,
    /// How many runs.
    pub runs: u64,
    /// When the first of them failed.
    pub first_at: Timestamp,
    /// When the last one failed. It may have been retried since.
    pub last_at: Timestamp,
    /// Which that was.
    pub last: TaskId,
}

/// What a run has of a group of dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterRun {
    /// The run.
    pub run: RunId,
    /// How many tasks.
    pub tasks: u64,
    /// When the last one failed. It may have been retried since.
    pub last_at: Timestamp,
    /// Which that was.
    pub last: TaskId,
}
