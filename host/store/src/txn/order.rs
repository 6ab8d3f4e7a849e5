//! What people order of single tasks.

use std::ops::ControlFlow;

use bulkhead_core::event::Event;
use bulkhead_core::id::{RunId, StepIndex, TaskId};
use bulkhead_core::machine::{self, Rejected, TaskCommand};
use bulkhead_core::task::{Task, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{StoreError, Summoned, Summons, TaskOrder};

use super::Txn;
use crate::keys::{self, Fields};
use crate::kv::{self, Direction, Fault, Tx};
use crate::record;

/// The most tasks of the store that are summoned and wait: a claim looks at each of them.
pub(crate) const MOST_SUMMONED: usize = 1_024;

impl Txn<'_> {
    /// Does something to one task.
    pub(crate) fn order_task(&mut self, id: TaskId, order: TaskOrder) -> Tx<Task> {
        self.load_task(id)?;
        let (command, input) = match order {
            TaskOrder::Retry => (TaskCommand::Retry, None),
            TaskOrder::Skip => (TaskCommand::Skip, None),
            TaskOrder::Cancel => (TaskCommand::Cancel, None),
            TaskOrder::Edit { input, by } => (TaskCommand::Edit { by }, Some(input)),
        };
        let entry = self.run(id.run)?;
        let events = machine::decide_task(&entry.run, &entry.plan, self.task(id)?, command, self.now)?;
        if let Some(input) = input {
            if kv::bytes(self.kv, &keys::input(id))?.as_deref() == Some(input.as_bytes()) {
                return Ok(self.task(id)?.clone());
            }
            self.put(&keys::input(id), input.as_bytes())?;
        }
        let leaves = |event: &Event| matches!(event, Event::Task { from: TaskStatus::Queued | TaskStatus::Retrying, .. });
        if events.iter().any(leaves) {
            self.leave_queue(id)?;
        }
        self.apply_all(id.run, Some(id), events)?;
        Ok(self.task(id)?.clone())
    }

    /// Makes a waiting task the next to run.
    pub(crate) fn summon(&mut self, summons: Summons) -> Tx<Summoned> {
        let Summons { run, step, idempotency } = summons;
        self.load_run(run)?;
        if let Some(row) = self.known_request(idempotency.as_ref())? {
            let (step, index, after) =
                row.task.ok_or_else(|| StoreError::Conflict("the idempotency key was used for another request".into()))?;
            return Ok(Summoned { task: TaskId::new(row.run, step, index), after, existing: true });
        }
        let id = self.next_waiting(run, step)?;
        if self.state.summoned.len() >= MOST_SUMMONED {
            return Err(StoreError::Rejected(Rejected::TooManySummoned { limit: MOST_SUMMONED }).into());
        }
        self.load_task(id)?;
        let entry = self.run(run)?;
        let events = machine::decide_task(&entry.run, &entry.plan, self.task(id)?, TaskCommand::Summon, self.now)?;
        let after = self.task(id)?.attempt;
        self.remember_request(idempotency.as_ref(), run, Some((id.step, id.index, after)))?;
        self.leave_queue(id)?;
        self.apply_all(run, Some(id), events)?;
        Ok(Summoned { task: id, after, existing: false })
    }

    /// The waiting task of a run that would be the next, were it due.
    fn next_waiting(&self, run: RunId, only: Option<StepIndex>) -> Tx<TaskId> {
        let record = &self.run(run)?.run;
        for index in (0..record.steps.len()).map(|index| StepIndex(u16::try_from(index).unwrap_or(u16::MAX))) {
            if only.is_some_and(|only| only != index) || !record.is_open(index) {
                continue;
            }
            let mut first = None;
            self.kv.scan(&keys::ready_of(run, index).prefix(), Direction::Forward, &mut |key, _| {
                let mut fields = Fields::of(key, super::state::READY_FIELDS);
                fields.time()?;
                first = Some(fields.number()?);
                Ok(ControlFlow::Break(()))
            })?;
            if let Some(first) = first {
                return Ok(TaskId::new(run, index, first));
            }
        }
        let rejected = match (record.state.is_terminal(), record.stop) {
            (true, _) => Rejected::RunState { state: record.state.status().name(), command: "processed further" },
            (false, Some(_)) => Rejected::Stopping,
            (false, None) => Rejected::NothingWaits,
        };
        Err(StoreError::Rejected(rejected).into())
    }

    /// Takes a waiting task out of its place, before its state changes.
    pub(super) fn leave_queue(&mut self, id: TaskId) -> Tx<()> {
        let task = self.task(id)?;
        if task.waits_summoned() {
            self.state.summoned.remove(&id);
            return self.remove(&keys::summoned_task(id));
        }
        let due = task.state.due().ok_or_else(|| Fault::Corrupt(format!("{id} does not wait")))?;
        self.stale(id.run, id.step);
        self.leave_ready(id, due)
    }

    /// Takes a task out of its `ready` row, which may hold its neighbours, too: they stay.
    fn leave_ready(&mut self, id: TaskId, due: Timestamp) -> Tx<()> {
        let row = |first: u32| keys::ready_row(id.run, id.step, due, first);
        let mut found = None;
        // The row that holds the task is the last one of its due time that begins at or before it.
        let until = match id.index.checked_add(1) {
            Some(next) => row(next).before_within(&keys::ready_of(id.run, id.step)),
            None => keys::ready_of(id.run, id.step).prefix(),
        };
        self.kv.scan(&until, Direction::Backward, &mut |key, value| {
            let mut fields = Fields::of(key, super::state::READY_FIELDS);
            found = Some((fields.time()?, fields.number()?, record::decode::<u32>(value)?));
            Ok(ControlFlow::Break(()))
        })?;
        let (first, count) = match found {
            Some((at, first, count)) if at == due && id.index - first < count => (first, count),
            _ => return Err(Fault::Corrupt(format!("{id} waits and is not ready"))),
        };
        self.remove(&row(first))?;
        if first < id.index {
            self.put_record(&row(first), &(id.index - first))?;
        }
        let after = count - (id.index - first) - 1;
        if after > 0 {
            self.put_record(&row(id.index + 1), &after)?;
        }
        Ok(())
    }
}
