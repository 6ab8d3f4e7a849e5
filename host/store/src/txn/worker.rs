//! Workers and their leases. A task's lease is its worker's.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use bulkhead_core::id::{TaskId, WorkerId};
use bulkhead_core::task::Progress;
use bulkhead_engine::store::StoreError;

use super::Txn;
use crate::keys::{self, Fields};
use crate::kv::{self, Direction, Tx};
use crate::record::WorkerRow;

impl Txn<'_> {
    /// Refuses a worker that could not lose its tasks properly, because the store does not know it.
    pub(super) fn check_worker(&self, worker: WorkerId) -> Tx<()> {
        match self.state.workers.get(&worker) {
            Some(row) if !row.lost => Ok(()),
            _ => Err(StoreError::NotFound("worker").into()),
        }
    }

    fn put_worker(&mut self, worker: WorkerId, row: WorkerRow) -> Tx<()> {
        self.state.workers.insert(worker, row);
        self.put_record(&keys::worker(worker), &row)
    }

    /// Makes a worker known. Whoever else can't exist loses all tasks at once: a worker never holds more than its slots.
    pub(crate) fn register_worker(&mut self, worker: WorkerId, lease: Duration, exclusive: bool) -> Tx<()> {
        let gone = |id: WorkerId, row: &WorkerRow| if id == worker { row.lost } else { exclusive };
        let lost: Vec<_> = self.state.workers.iter().filter(|(id, row)| gone(**id, row)).map(|(id, _)| *id).collect();
        for id in lost {
            self.lose_worker(id, usize::MAX)?;
        }
        self.state.batch.effects.housekeeping = true;
        self.put_worker(worker, WorkerRow { expires: self.now.after(lease), lost: false })
    }

    /// Takes at most `limit` tasks from a worker, and forgets it when it holds none any more. Returns how many it took.
    pub(super) fn lose_worker(&mut self, worker: WorkerId, limit: usize) -> Tx<usize> {
        let held = self.held_by(worker, limit)?;
        for &task in &held {
            self.lose_task(task)?;
        }
        if held.len() < limit {
            self.forget_worker(worker)?;
        } else if let Some(&row) = self.state.workers.get(&worker)
            && !row.lost
        {
            self.put_worker(worker, WorkerRow { lost: true, ..row })?;
        }
        Ok(held.len())
    }

    fn held_by(&self, worker: WorkerId, limit: usize) -> Tx<Vec<TaskId>> {
        let mut held = Vec::new();
        if limit == 0 {
            return Ok(held);
        }
        self.kv.scan(&keys::held_by(worker).prefix(), Direction::Forward, &mut |key, _| {
            held.push(Fields::of(key, 1 + 16).task()?);
            Ok(if held.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(held)
    }

    fn forget_worker(&mut self, worker: WorkerId) -> Tx<()> {
        for key in kv::keys_of(self.kv, &keys::revoked_of(worker).prefix(), usize::MAX)? {
            self.remove(&key)?;
        }
        self.state.workers.remove(&worker);
        self.remove(&keys::worker(worker))
    }

    /// Extends a lease and keeps what the worker's tasks said of their progress.
    pub(crate) fn renew(&mut self, worker: WorkerId, lease: Duration, progress: Vec<(TaskId, u32, Progress)>) -> Tx<()> {
        self.check_worker(worker)?;
        self.put_worker(worker, WorkerRow { expires: self.now.after(lease), lost: false })?;
        for (task, attempt, progress) in progress {
            self.save_progress(task, attempt, progress)?;
        }
        Ok(())
    }

    /// Gives back what the worker holds by the store's word only.
    pub(crate) fn reconcile(&mut self, worker: WorkerId, holding: &[(TaskId, u32)]) -> Tx<()> {
        self.check_worker(worker)?;
        let holding: HashMap<_, _> = holding.iter().copied().collect();
        for task in self.held_by(worker, usize::MAX)? {
            self.load_task(task)?;
            let attempt = self.task(task)?.attempt;
            if holding.get(&task) != Some(&attempt) {
                self.release_task(task, attempt)?;
            }
        }
        Ok(())
    }

    /// Ends a worker's registration.
    pub(crate) fn retire_worker(&mut self, worker: WorkerId) -> Tx<()> {
        self.check_worker(worker)?;
        if let Some(task) = self.held_by(worker, 1)?.first() {
            return Err(StoreError::Conflict(format!("{worker} still holds {task}")).into());
        }
        self.forget_worker(worker)
    }

    /// The worker's tasks that are to end and were not named yet.
    pub(crate) fn take_revoked(&mut self, worker: WorkerId) -> Tx<Vec<TaskId>> {
        let keys = kv::keys_of(self.kv, &keys::revoked_of(worker).prefix(), usize::MAX)?;
        let mut tasks = Vec::with_capacity(keys.len());
        for key in keys {
            tasks.push(Fields::of(key.bytes(), 1 + 16).task()?);
            self.remove(&key)?;
        }
        Ok(tasks)
    }
}
