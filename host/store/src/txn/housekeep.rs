//! What falls due by itself: a bounded piece of it at a time.

use std::ops::ControlFlow;
use std::time::Duration;

use bulkhead_core::event::Event;
use bulkhead_core::failure::FailureFilter;
use bulkhead_core::id::{RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::machine::{self, RunCommand, TaskCommand};
use bulkhead_core::run::StepRetry;
use bulkhead_core::task::{Task, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{Housekeeping, Retention, StoreError};

use super::Txn;
use super::remove::ROWS_PER_TRANSACTION;
use crate::events;
use crate::keys::{self, Fields, Key};
use crate::kv::{self, Direction, Fault, Tree, Tx};
use crate::record::{self, IdempotencyRow, task_status_code};

/// Tasks that one call cancels, queues again or takes from lost workers: some 10 ms of the writer's time.
const TASKS_PER_CALL: usize = 2_000;
/// Tasks that one call looks at to find those to retry: some milliseconds of the writer's time.
const LOOKS_PER_CALL: usize = 20_000;
/// Timers that one call looks at.
const TIMERS_PER_CALL: usize = 256;
/// Idempotency keys that one call forgets.
const KEYS_PER_CALL: usize = 1_000;
/// Event chunks that one call removes for their age.
const CHUNKS_PER_CALL: usize = 64;

/// The latest events that are kept. Who reads events is behind by seconds, or reads the records anew.
pub(crate) const EVENTS_KEPT: u64 = 1_000_000;
/// The age at which events go.
const EVENTS_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Txn<'_> {
    /// Does a bounded piece of what is due.
    pub(crate) fn housekeep(&mut self, retention: Retention) -> Tx<Housekeeping> {
        self.state.keep_runs = retention.count;
        let mut tasks = TASKS_PER_CALL;
        self.lose_workers(&mut tasks)?;
        let timers = self.fire_timers()?;
        self.sweep_steps(&mut tasks)?;
        let mut rows = ROWS_PER_TRANSACTION;
        self.go_on_removing(&mut rows)?;
        self.retire_runs(retention, &mut rows)?;
        let expired = self.forget_keys()?.max(self.expire_uploads(KEYS_PER_CALL)?);
        let aged = self.age_events()?;
        let bounded = tasks == 0 || rows == 0 || timers == TIMERS_PER_CALL || expired == KEYS_PER_CALL || aged == CHUNKS_PER_CALL;
        let again = bounded || kv::exists_in(self.kv, &keys::sweeps().prefix())?;
        Ok(Housekeeping { again, next_due: self.next_due(retention)? })
    }

    /// When something falls due next by the clock.
    fn next_due(&self, retention: Retention) -> Tx<Option<Timestamp>> {
        let mut due: Vec<Timestamp> = self.state.workers.values().map(|row| row.expires).collect();
        due.extend(self.first_time(&keys::timers())?);
        due.extend(self.first_time(&keys::idempotency_expiries())?);
        due.extend(self.first_time(&keys::upload_expiries())?);
        if let Some(age) = retention.age {
            due.extend(self.first_time(&keys::ended())?.map(|at| at.after(age)));
        }
        Ok(due.into_iter().min())
    }

    /// The time that the first key of a table begins with.
    fn first_time(&self, table: &Key) -> Tx<Option<Timestamp>> {
        kv::keys_of(self.kv, &table.prefix(), 1)?.first().map(|key| Fields::of(key.bytes(), 1).time()).transpose()
    }

    /// The keys of a table that begin with a time up to now.
    pub(super) fn due_keys(&self, table: &Key, now: Timestamp, limit: usize) -> Tx<Vec<Key>> {
        let mut keys = Vec::new();
        self.kv.scan(&table.prefix(), Direction::Forward, &mut |key, _| {
            if keys.len() >= limit || Fields::of(key, 1).time()? > now {
                return Ok(ControlFlow::Break(()));
            }
            keys.push(Key::from_bytes(table.tree, key));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(keys)
    }

    fn lose_workers(&mut self, tasks: &mut usize) -> Tx<()> {
        let now = self.now;
        let lost: Vec<WorkerId> =
            self.state.workers.iter().filter(|(_, row)| row.lost || row.expires <= now).map(|(id, _)| *id).collect();
        for worker in lost {
            if *tasks == 0 {
                break;
            }
            *tasks -= self.lose_worker(worker, *tasks)?;
        }
        Ok(())
    }

    fn fire_timers(&mut self) -> Tx<usize> {
        let due = self.due_keys(&keys::timers(), self.now, TIMERS_PER_CALL)?;
        for key in &due {
            let mut fields = Fields::of(key.bytes(), 1);
            let run = fields.time().and_then(|_| fields.run())?;
            self.load_run(run).map_err(|fault| Fault::Corrupt(format!("a timer of {run}: {fault:?}")))?;
            self.remove(key)?;
            self.command_run(run, RunCommand::TimeOut)?;
        }
        Ok(due.len())
    }

    /// Cancels the waiting tasks of stopping steps and queues the failed ones of steps that are being retried.
    fn sweep_steps(&mut self, tasks: &mut usize) -> Tx<()> {
        for key in kv::keys_of(self.kv, &keys::sweeps().prefix(), TASKS_PER_CALL)? {
            if *tasks == 0 {
                break;
            }
            let mut fields = Fields::of(key.bytes(), 1);
            let (run, step) = (fields.run()?, fields.step()?);
            let done = match self.load_run(run) {
                Ok(()) => self.sweep_step(run, step, tasks)?,
                Err(Fault::Refused(StoreError::NotFound(_))) => true,
                Err(fault) => return Err(fault),
            };
            if done {
                self.remove(&key)?;
            }
        }
        Ok(())
    }

    /// Goes on with one step; whether it is through.
    fn sweep_step(&mut self, run: RunId, step: StepIndex, tasks: &mut usize) -> Tx<bool> {
        let record = self.run(run)?.run.step(step);
        if record.stop.is_some() {
            let mut taken = self.take_ready(run, step, Timestamp::from_micros(u64::MAX), *tasks)?;
            let whole = TaskId::new(run, step, 0)..=TaskId::new(run, step, u32::MAX);
            let summoned: Vec<_> = self.state.summoned.range(whole).copied().take(*tasks - taken.len()).collect();
            for id in summoned {
                self.load_task(id)?;
                self.leave_queue(id)?;
                taken.push(id.index);
            }
            for &index in &taken {
                self.command_task(TaskId::new(run, step, index), TaskCommand::SweepCancel)?;
            }
            self.stale(run, step);
            self.settle(run)?;
            let through = taken.len() < *tasks;
            *tasks -= taken.len();
            return Ok(through);
        }
        let Some(StepRetry { filter, next: from }) = record.retries.first().cloned() else { return Ok(true) };
        let (found, next) = self.next_retries(run, step, from, &filter, *tasks)?;
        for &task in &found {
            self.command_task(task, TaskCommand::SweepRetry)?;
        }
        // A look that found little was work, too.
        *tasks = if next.is_some() { 0 } else { *tasks - found.len() };
        self.apply(run, None, Event::StepRetrying { step, filter: None, next })?;
        self.settle(run)?;
        // What was looked at last may have been all the step waited for before it fails: then its waiting tasks come next.
        let step = self.run(run)?.run.step(step);
        Ok(step.retries.is_empty() && step.stop.is_none())
    }

    /// The next tasks of a step that can be retried, and where to look on. There is no index of them: the state stands before
    /// the record, so a look is cheap, and history stays out of the indexes.
    fn next_retries(
        &mut self,
        run: RunId,
        step: StepIndex,
        from: u32,
        filter: &FailureFilter,
        limit: usize,
    ) -> Tx<(Vec<TaskId>, Option<u32>)> {
        self.write_tasks()?;
        let retried = [TaskStatus::Failed, TaskStatus::Cancelled].map(task_status_code);
        let (mut found, mut looked, mut next) = (Vec::new(), 0, None);
        let range = keys::task(TaskId::new(run, step, from)).onward_within(&keys::of_step(Tree::Tasks, run, step));
        self.kv.scan(&range, Direction::Forward, &mut |key, value| {
            let task = Fields::of(key, 0).task()?;
            if looked == LOOKS_PER_CALL || found.len() == limit {
                next = Some(task.index);
                return Ok(ControlFlow::Break(()));
            }
            looked += 1;
            if record::lead_of(value).is_some_and(|code| retried.contains(&code))
                && (filter.is_all() || filter.matches(&record::decode::<Task>(value)?.state))
            {
                found.push(task);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((found, next))
    }

    fn command_task(&mut self, id: TaskId, command: TaskCommand) -> Tx<()> {
        self.load_task(id)?;
        let entry = self.run(id.run)?;
        let events = machine::decide_task(&entry.run, &entry.plan, self.task(id)?, command, self.now)
            .map_err(|rejected| Fault::Corrupt(format!("an index names {id} wrongly: {rejected}")))?;
        for event in events {
            self.apply(id.run, Some(id), event)?;
        }
        Ok(())
    }

    fn go_on_removing(&mut self, rows: &mut usize) -> Tx<()> {
        for key in kv::keys_of(self.kv, &keys::removals().prefix(), ROWS_PER_TRANSACTION)? {
            if *rows == 0 {
                break;
            }
            let run = Fields::of(key.bytes(), 1).run()?;
            self.remove_rows(run, rows)?;
        }
        Ok(())
    }

    /// Removes ended runs that are too old, or too many.
    fn retire_runs(&mut self, retention: Retention, rows: &mut usize) -> Tx<()> {
        while *rows > 0 {
            let Some(key) = kv::keys_of(self.kv, &keys::ended().prefix(), 1)?.pop() else { break };
            let mut fields = Fields::of(key.bytes(), 1);
            let (ended, run) = (fields.time()?, fields.run()?);
            let old = retention.age.is_some_and(|age| ended.after(age) <= self.now);
            let many = retention.count.is_some_and(|count| self.ended_runs() > count);
            if !old && !many {
                break;
            }
            self.unlist_run(run)?;
            // Its record, its index row: even a run without tasks costs some of the budget, so the loop is bounded.
            *rows -= 1;
            if *rows == 0 {
                self.put(&keys::removal(run), &[])?;
                break;
            }
            self.remove_rows(run, rows)?;
        }
        Ok(())
    }

    fn forget_keys(&mut self) -> Tx<usize> {
        let due = self.due_keys(&keys::idempotency_expiries(), self.now, KEYS_PER_CALL)?;
        for expiry in &due {
            let mut fields = Fields::of(expiry.bytes(), 1);
            fields.time()?;
            let key = keys::idempotency(fields.text()?);
            // A key that was used again since has a later expiry of its own.
            if self.load::<IdempotencyRow>(&key)?.is_some_and(|row| row.expires <= self.now) {
                self.remove(&key)?;
            }
            self.remove(expiry)?;
        }
        Ok(due.len())
    }

    /// Removes events that are too old, but never the last chunk.
    fn age_events(&mut self) -> Tx<usize> {
        for removed in 0..CHUNKS_PER_CALL {
            let chunk = keys::event_chunk(self.state.first_event);
            let mut at = None;
            self.kv.get(&chunk, &mut |value| at = Some(events::decode_at(value)))?;
            let Some(at) = at.transpose()? else { return Ok(removed) };
            if at.after(EVENTS_AGE) > self.now {
                return Ok(removed);
            }
            let Some(next) = events::chunk_after(self.kv, self.state.first_event)? else { return Ok(removed) };
            self.remove(&chunk)?;
            self.state.first_event = next;
        }
        Ok(CHUNKS_PER_CALL)
    }
}
