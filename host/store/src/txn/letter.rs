//! Dead letters, counted by what they failed of, in the transactions that make them and take them away.
//!
//! # Invariants
//! - What is told apart is bounded, in a run and in all runs together. Past that, a failure counts for the others of its cause.
//! - The rows of a run add up to its dead letters, cause by cause; a group is the sum of its rows, and goes with its last one.
//! - A task that is no dead letter any more leaves the row that it would be found under now, which has at least as many.

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::{Digest, RunId, TaskId};
use bulkhead_engine::store::{LetterGroup, MAX_LETTER_GROUPS, MAX_LETTERS_PER_RUN};
use sha2::{Digest as _, Sha256};

use super::Txn;
use crate::keys::{self, Fields};
use crate::kv::{self, Fault, Tx};
use crate::record::LetterRow;

/// The most characters of a message that a group shows.
const SHOWN_CHARS: usize = 500;

/// The group of failures like this one.
pub(crate) fn group_of(failure: &Failure) -> Digest {
    digest(&failure.signature())
}

/// The group of those of a cause that are not told apart.
pub(crate) fn others_of(cause: Cause) -> Digest {
    // No signature has a line break.
    digest(&format!("{}\nothers", cause.name()))
}

fn digest(text: &str) -> Digest {
    Digest::from_bytes(Sha256::digest(text).into())
}

/// A failure as a group shows it.
pub(crate) fn shown(failure: &Failure) -> Failure {
    Failure { message: failure.message.chars().take(SHOWN_CHARS).collect(), backtrace: None, ..*failure }
}

impl Txn<'_> {
    /// Counts a task that became a dead letter now.
    pub(super) fn add_letter(&mut self, task: TaskId, failure: &Failure) -> Tx<()> {
        let (id, now) = (self.letter_place(task.run, failure)?, self.now);
        let row: Option<LetterRow> = self.load(&keys::letter_run(id, task.run))?;
        if row.is_none() {
            self.put(&keys::run_letter(task.run, id), &[])?;
        }
        let tasks = row.map_or(0, |row| row.tasks) + 1;
        self.put_record(&keys::letter_run(id, task.run), &LetterRow { tasks, last_at: now, last: (task.step, task.index) })?;
        let known: Option<LetterGroup> = self.load(&keys::letter_group(id))?;
        self.state.letter_groups += u64::from(known.is_none());
        let group = LetterGroup {
            id,
            failure: shown(failure),
            others: id != group_of(failure),
            tasks: known.as_ref().map_or(0, |group| group.tasks) + 1,
            runs: known.as_ref().map_or(0, |group| group.runs) + u64::from(row.is_none()),
            first_at: known.map_or(now, |group| group.first_at),
            last_at: now,
            last: task,
        };
        self.put_record(&keys::letter_group(id), &group)
    }

    /// The group that a run's next dead letter of this failure counts for.
    fn letter_place(&self, run: RunId, failure: &Failure) -> Tx<Digest> {
        let own = group_of(failure);
        if kv::exists(self.kv, &keys::letter_run(own, run))? {
            return Ok(own);
        }
        let full = self.state.letter_groups >= MAX_LETTER_GROUPS && !kv::exists(self.kv, &keys::letter_group(own))?
            || kv::keys_of(self.kv, &keys::run_letters(run).prefix(), MAX_LETTERS_PER_RUN)?.len() == MAX_LETTERS_PER_RUN;
        Ok(if full { others_of(failure.cause) } else { own })
    }

    /// Takes a task out that is no dead letter any more.
    pub(super) fn take_letter(&mut self, run: RunId, failure: &Failure) -> Tx<()> {
        let own = group_of(failure);
        let id = if kv::exists(self.kv, &keys::letter_run(own, run))? { own } else { others_of(failure.cause) };
        let key = keys::letter_run(id, run);
        let row: LetterRow =
            self.load(&key)?.ok_or_else(|| Fault::Corrupt(format!("{run} has no dead letters of {}", failure.cause)))?;
        if row.tasks > 1 {
            self.put_record(&key, &LetterRow { tasks: row.tasks - 1, ..row })?;
        } else {
            self.remove(&key)?;
            self.remove(&keys::run_letter(run, id))?;
        }
        self.shrink_letters(id, 1, row.tasks == 1)
    }

    /// Takes all dead letters of a run out: never more rows than are told apart.
    pub(super) fn remove_letters(&mut self, run: RunId) -> Tx<()> {
        for key in kv::keys_of(self.kv, &keys::run_letters(run).prefix(), usize::MAX)? {
            let id = Fields::of(key.bytes(), 1 + 16).digest()?;
            let row: Option<LetterRow> = self.load(&keys::letter_run(id, run))?;
            self.remove(&key)?;
            self.remove(&keys::letter_run(id, run))?;
            self.shrink_letters(id, row.map_or(0, |row| row.tasks), true)?;
        }
        Ok(())
    }

    /// A group has so many tasks less, and perhaps a run.
    fn shrink_letters(&mut self, id: Digest, tasks: u64, run: bool) -> Tx<()> {
        let key = keys::letter_group(id);
        let group: LetterGroup =
            self.load(&key)?.ok_or_else(|| Fault::Corrupt(format!("the group {id} of dead letters is missing")))?;
        let runs = group.runs.saturating_sub(u64::from(run));
        if runs > 0 {
            return self.put_record(&key, &LetterGroup { tasks: group.tasks.saturating_sub(tasks), runs, ..group });
        }
        self.state.letter_groups = self.state.letter_groups.saturating_sub(1);
        self.remove(&key)
    }
}
