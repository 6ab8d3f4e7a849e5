//! The domain transactions, written once over [`KvWrite`].
//!
//! Always true:
//! - An operation decides first and writes only what succeeds, so a refused one leaves nothing behind. A failure in the middle
//!   aborts the whole batch, and [`State`] is made anew from what is stored.
//! - Within a batch, run and task records live decoded in [`State`] and are written back once, by [`Txn::finish`].
//! - Whatever changes a state goes through [`Txn::apply`], which keeps every index and every counter with it.

mod apply;
mod catalog;
mod claim;
mod complete;
mod files;
mod hooks;
mod housekeep;
mod letter;
mod log;
mod order;
mod remove;
mod run;
mod schedule;
mod spawn;
mod state;
mod worker;

use std::ops::ControlFlow;
use std::sync::Arc;

use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId};
use bulkhead_core::plan::Plan;
use bulkhead_core::run::Run;
use bulkhead_core::task::Task;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::StoreError;

pub(crate) use self::apply::{components, timer_of};
pub(crate) use self::complete::NO_OUTPUT;
pub(crate) use self::housekeep::EVENTS_KEPT;
pub(crate) use self::letter::{group_of, others_of, shown};
pub(crate) use self::run::PreparedRun;
pub(crate) use self::schedule::PreparedFire;
use self::state::{RunEntry, TaskEntry};
pub(crate) use self::state::{State, head, ready_rows};
use crate::keys::{self, Key, UseKind};
use crate::kv::{self, Direction, Fault, KvWrite, Tx};
use crate::record::{self, Record};

/// One batch of operations: what they write, and what they know in memory.
pub(crate) struct Txn<'a> {
    kv: &'a mut dyn KvWrite,
    pub(crate) state: &'a mut State,
    /// The moment of the whole batch.
    now: Timestamp,
    /// Counts writes, so that a damaged record that was found before the first of an operation refuses this operation only.
    writes: u64,
}

impl<'a> Txn<'a> {
    pub(crate) fn new(kv: &'a mut dyn KvWrite, state: &'a mut State, now: Timestamp) -> Self {
        Self { kv, state, now, writes: 0 }
    }

    /// How many changes there were so far, in memory or in the tables.
    pub(crate) fn writes(&self) -> u64 {
        self.writes
    }

    fn put(&mut self, key: &Key, value: &[u8]) -> Tx<()> {
        self.writes += 1;
        self.kv.put(key, value)
    }

    fn remove(&mut self, key: &Key) -> Tx<()> {
        self.writes += 1;
        self.kv.remove(key)
    }

    fn put_record<T: Record>(&mut self, key: &Key, record: &T) -> Tx<()> {
        let mut buffer = std::mem::take(&mut self.state.buffer);
        let result = record::encode(record, &mut buffer).and_then(|()| self.put(key, &buffer));
        self.state.buffer = buffer;
        result
    }

    fn load<T: Record>(&self, key: &Key) -> Tx<Option<T>> {
        record::load(self.kv, key)
    }

    /// Makes sure that a run is in memory.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn load_run(&mut self, id: RunId) -> Tx<()> {
        let batch = self.state.batch_number;
        if let Some(entry) = self.state.runs.get_mut(&id) {
            entry.used = batch;
            return Ok(());
        }
        let run: Run = self.load(&keys::run(id))?.ok_or(StoreError::NotFound("run"))?;
        let plan = self.plan(run.plan)?;
        let parameters = match kv::bytes(self.kv, &keys::parameters(id))? {
            Some(bytes) => text(bytes)?,
            None => self.state.no_parameters.clone(),
        };
        self.state.runs.insert(id, RunEntry { run, plan, parameters, dirty: false, used: batch });
        Ok(())
    }

    /// A run that [`Self::load_run`] has loaded.
    fn run(&self, id: RunId) -> Tx<&RunEntry> {
        self.state.runs.get(&id).ok_or(Fault::Refused(StoreError::NotFound("run")))
    }

    /// Makes sure that a task and its run are in memory.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn load_task(&mut self, id: TaskId) -> Tx<()> {
        self.load_run(id.run)?;
        if self.state.tasks.contains_key(&id) {
            return Ok(());
        }
        let task: Task = self.load(&keys::task(id))?.ok_or(StoreError::NotFound("task"))?;
        self.state.tasks.insert(id, TaskEntry { task, dirty: false });
        Ok(())
    }

    /// A task that [`Self::load_task`] has loaded.
    fn task(&self, id: TaskId) -> Tx<&Task> {
        self.state.tasks.get(&id).map(|entry| &entry.task).ok_or(Fault::Refused(StoreError::NotFound("task")))
    }

    /// A loaded task, to change: it is written back at the end of the batch.
    fn task_mut(&mut self, id: TaskId) -> Tx<&mut Task> {
        self.writes += 1;
        let entry = self.state.tasks.get_mut(&id).ok_or(Fault::Refused(StoreError::NotFound("task")))?;
        if !entry.dirty {
            entry.dirty = true;
            self.state.batch.dirty_tasks.push(id);
        }
        Ok(&mut entry.task)
    }

    /// A loaded run, to change: it is written back at the end of the batch.
    fn run_mut(&mut self, id: RunId) -> Tx<&mut Run> {
        self.writes += 1;
        let entry = self.state.runs.get_mut(&id).ok_or(Fault::Refused(StoreError::NotFound("run")))?;
        if !entry.dirty {
            entry.dirty = true;
            self.state.batch.dirty_runs.push(id);
        }
        Ok(&mut entry.run)
    }

    /// A plan, from memory or from the tables.
    fn plan(&mut self, digest: Digest) -> Tx<Arc<Plan>> {
        if let Some(plan) = self.state.plans.get(&digest) {
            return Ok(plan.clone());
        }
        let plan: Plan = self.load(&keys::plan(digest))?.ok_or_else(|| Fault::Corrupt(format!("plan {digest} is missing")))?;
        let plan = Arc::new(plan);
        self.state.plans.insert(digest, plan.clone());
        Ok(plan)
    }

    /// Changes a use counter and returns it.
    fn count_use(&mut self, kind: UseKind, digest: Digest, by: i64) -> Tx<u64> {
        self.writes += 1;
        let count = self.uses(kind, digest)?;
        let count = count
            .checked_add_signed(by)
            .ok_or_else(|| Fault::Corrupt(format!("the {kind:?} uses of {digest} went below zero")))?;
        self.state.uses.insert((kind, digest), (count, true));
        Ok(count)
    }

    /// A use counter.
    fn uses(&mut self, kind: UseKind, digest: Digest) -> Tx<u64> {
        if let Some(&(count, _)) = self.state.uses.get(&(kind, digest)) {
            return Ok(count);
        }
        let count = self.load(&keys::use_of(kind, digest))?.unwrap_or(0);
        self.state.uses.insert((kind, digest), (count, false));
        Ok(count)
    }

    /// What a store that is opened now would know.
    pub(crate) fn reloaded(&self) -> Tx<State> {
        State::load(self.kv)
    }

    /// The due time of a step's first waiting task.
    fn head(&self, run: RunId, step: StepIndex) -> Tx<Option<Timestamp>> {
        state::head(self.kv, run, step)
    }

    /// Gives a step its place on the agenda before the next claim.
    fn stale(&mut self, run: RunId, step: StepIndex) {
        self.state.batch.stale.insert((run, step));
    }

    /// Gives the steps that changed their places.
    fn refresh_agenda(&mut self) -> Tx<()> {
        while let Some((run, step)) = self.state.batch.stale.pop_first() {
            self.refresh_step(run, step)?;
        }
        Ok(())
    }

    fn refresh_step(&mut self, run: RunId, step: StepIndex) -> Tx<()> {
        let head = match self.state.runs.get(&run) {
            Some(entry) if entry.run.is_claimable(step, &entry.plan) => {
                let priority = entry.run.priority;
                let due = self.head(run, step)?;
                Some((priority, due.ok_or_else(|| Fault::Corrupt(format!("step {} of {run} waits for no task", step.0)))?))
            }
            _ => None,
        };
        if self.state.agenda.set(run, step, head) == crate::agenda::Change::Earlier {
            self.state.batch.effects.work = true;
        }
        Ok(())
    }

    /// Takes at most `limit` waiting tasks from the head of a step, those that are due by `until`.
    fn take_ready(&mut self, run: RunId, step: StepIndex, until: Timestamp, limit: usize) -> Tx<Vec<u32>> {
        let mut taken = Vec::new();
        let mut rows = Vec::new();
        self.kv.scan(&keys::ready_of(run, step).prefix(), Direction::Forward, &mut |key, value| {
            let mut fields = keys::Fields::of(key, state::READY_FIELDS);
            let (due, first) = (fields.time()?, fields.number()?);
            if due > until || taken.len() >= limit {
                return Ok(ControlFlow::Break(()));
            }
            let count: u32 = record::decode(value)?;
            let part = count.min(u32::try_from(limit - taken.len()).unwrap_or(u32::MAX));
            taken.extend(first..first + part);
            rows.push((due, first, count, part));
            Ok(ControlFlow::Continue(()))
        })?;
        for (due, first, count, part) in rows {
            self.remove(&keys::ready_row(run, step, due, first))?;
            if part < count {
                self.put_record(&keys::ready_row(run, step, due, first + part), &(count - part))?;
            }
        }
        Ok(taken)
    }
}

/// Stored text as text.
pub(crate) fn text(bytes: Vec<u8>) -> Tx<Arc<str>> {
    String::from_utf8(bytes).map(Arc::from).map_err(|_| Fault::Corrupt("a stored text is no UTF-8".into()))
}

/// Keeps `map` below a bound; `keep` says what the next batch is likely to want.
fn bound_cache<K: std::hash::Hash + Eq, V>(
    map: &mut std::collections::HashMap<K, V>,
    most: usize,
    mut keep: impl FnMut(&K, &V) -> bool,
) {
    if map.len() > most {
        map.retain(|key, value| keep(key, value));
        if map.len() > most {
            map.clear();
        }
    }
}
