//! Removing runs: unlisted at once, their rows piece by piece, so that a large one never stalls the writer.

use bulkhead_core::id::RunId;
use bulkhead_core::run::RunStatus;
use bulkhead_engine::store::StoreError;

use super::Txn;
use crate::keys::{self, UseKind};
use crate::kv::{self, Tree, Tx};
use crate::record::run_status_code;

/// Rows of a removed run that one transaction removes.
pub(super) const ROWS_PER_TRANSACTION: usize = 2_000;

/// The trees whose keys begin with the run, and what a row costs of the budget: a log chunk is as large as many tasks.
const TREES: [(Tree, usize); 5] =
    [(Tree::Tasks, 1), (Tree::Outputs, 1), (Tree::Checkpoints, 16), (Tree::Dedup, 1), (Tree::Logs, 16)];

impl Txn<'_> {
    /// Removes a run that has ended: no read finds it from now on.
    pub(crate) fn delete_run(&mut self, id: RunId) -> Tx<()> {
        self.load_run(id)?;
        let run = &self.run(id)?.run;
        if !run.state.is_terminal() {
            let message = format!("{id} is {}: cancel it before you delete it", run.state.status().name());
            return Err(StoreError::Conflict(message).into());
        }
        self.unlist_run(id)?;
        self.remove_rows(id, &mut ROWS_PER_TRANSACTION.clone())
    }

    /// Takes the run's record and what it counts for out of the store. Its other rows can't be found without it.
    pub(super) fn unlist_run(&mut self, id: RunId) -> Tx<()> {
        self.load_run(id)?;
        let entry = self.run(id)?;
        let (status, tasks, ended, digest) = (entry.run.state.status(), entry.run.tasks(), entry.run.ended_at, entry.run.plan);
        debug_assert!(RunStatus::is_terminal(status));
        self.state.totals.statistics.runs[usize::from(run_status_code(status))] -= 1;
        self.state.totals.statistics.count_tasks(&tasks, false);
        if let Some(at) = ended {
            self.remove(&keys::ended_run(at, id))?;
        }
        if self.count_use(UseKind::Plan, digest, -1)? == 0 {
            self.remove(&keys::plan(digest))?;
            self.state.plans.remove(&digest);
        }
        self.remove_letters(id)?;
        self.remove(&keys::run(id))?;
        self.remove(&keys::parameters(id))?;
        // Lines that this batch appended before go with the rest.
        if let Some(chunk) = self.state.batch.logs.remove(&id) {
            self.put_log_chunk(id, chunk)?;
        }
        self.state.runs.remove(&id);
        self.state.tasks.retain(|task, _| task.run != id);
        self.state.batch.effects.runs.insert(id);
        Ok(())
    }

    /// Removes rows of an unlisted run while `budget` lasts, and leaves a note if it does not.
    pub(super) fn remove_rows(&mut self, id: RunId, budget: &mut usize) -> Tx<()> {
        if !self.remove_files(id, budget)? {
            self.state.batch.effects.housekeeping = true;
            return self.put(&keys::removal(id), &[]);
        }
        let inputs = (keys::inputs_of(id), 1);
        for (prefix, cost) in TREES.map(|(tree, cost)| (keys::of_run(tree, id), cost)).into_iter().chain([inputs]) {
            let rows = kv::keys_of(self.kv, &prefix.prefix(), budget.div_ceil(cost))?;
            for key in &rows {
                self.remove(key)?;
            }
            *budget = budget.saturating_sub(rows.len() * cost);
            if *budget == 0 {
                self.state.batch.effects.housekeeping = true;
                return self.put(&keys::removal(id), &[]);
            }
        }
        self.remove(&keys::removal(id))
    }
}
