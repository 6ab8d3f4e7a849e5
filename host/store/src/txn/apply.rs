//! Applying events: the record, its indexes, its counters and its history change together, here and nowhere else.

use std::ops::ControlFlow;

use bulkhead_core::event::Event;
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::machine;
use bulkhead_core::plan::Plan;
use bulkhead_core::run::{Run, RunState, RunStatus, Step};
use bulkhead_core::task::{PLAN_INDEX, Task, TaskState, TaskStatus};
use bulkhead_core::time::Timestamp;

use super::Txn;
use super::state::TaskEntry;
use crate::keys::{self, Fields, UseKind};
use crate::kv::{self, Direction, Fault, Tx};
use crate::record::{run_status_code, task_status_code};

/// The key of a step's first task. It is no deduplication key: a plugin may spawn a task with the same one.
const PLAN_KEY: &str = "plan";

/// The stop of a run's timeout, where it has one and has started.
pub(crate) fn timer_of(run: &Run, plan: &Plan) -> Option<Timestamp> {
    Some(run.started_at?.after(plan.timeout?))
}

/// The different components that a plan uses.
pub(crate) fn components(plan: &Plan) -> Vec<Digest> {
    let mut digests: Vec<_> = plan.steps.iter().map(|step| step.plugin.digest).collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}

/// Who held a task before an event, and whether its attempt was told to end by itself.
#[derive(Clone, Copy)]
struct Held {
    worker: WorkerId,
    stops: bool,
}

impl Txn<'_> {
    /// Applies events of a run, which is loaded, as is the task that they are about, and then what follows from them.
    pub(super) fn apply_all(&mut self, run: RunId, task: Option<TaskId>, events: Vec<Event>) -> Tx<()> {
        for event in events {
            self.apply(run, task, event)?;
        }
        self.settle(run)
    }

    /// Applies what follows by itself, until nothing does.
    pub(super) fn settle(&mut self, run: RunId) -> Tx<()> {
        while let Some(event) = {
            let entry = self.run(run)?;
            machine::consequence(&entry.run, &entry.plan)
        } {
            self.apply(run, None, event)?;
        }
        Ok(())
    }

    /// Applies one event.
    pub(super) fn apply(&mut self, id: RunId, task: Option<TaskId>, event: Event) -> Tx<()> {
        let now = self.now;
        // What the indexes must know of the state before.
        let ended_before = self.run(id)?.run.ended_at;
        let started_before = self.run(id)?.run.started_at;
        let task = task.filter(|_| event.task().is_some());
        let held = match (&event, task) {
            (Event::Task { from: TaskStatus::Running, .. } | Event::TaskStopping { .. }, Some(task)) => {
                let task = self.task(task)?;
                task.state.worker().map(|worker| Held { worker, stops: task.stop })
            }
            _ => None,
        };
        if let (Event::Task { from: TaskStatus::Failed, .. }, Some(task)) = (&event, task)
            && let TaskState::Failed(failure) = self.task(task)?.state.clone()
        {
            self.take_letter(id, &failure)?;
        }
        self.run_mut(id)?;
        if let Some(task) = task {
            self.task_mut(task)?;
        }
        {
            let state = &mut *self.state;
            let entry = state.runs.get_mut(&id).ok_or_else(|| Fault::Storage("a run left the cache".into()))?;
            let task = task.and_then(|task| state.tasks.get_mut(&task)).map(|entry| &mut entry.task);
            machine::evolve(&mut entry.run, task, &event, now);
        }
        match &event {
            // Schedules are no part of a run: their events are recorded where they are decided.
            Event::Fire { .. } => {}
            Event::RunCreated => self.state.totals.statistics.runs[usize::from(run_status_code(RunStatus::Queued))] += 1,
            Event::Run { from, to } => {
                self.index_run(id, *from, to, ended_before)?;
                self.tell_of_run(id, to)?;
            }
            Event::RunStopping { .. } => self.stale_run(id)?,
            Event::Step { step, .. } => self.stale(id, *step),
            Event::StepStopping { step, .. } => {
                self.stale(id, *step);
                self.sweep(id, *step)?;
                self.revoke(id, *step)?;
            }
            Event::StepRetrying { step, next, .. } => {
                if next.is_some() {
                    self.sweep(id, *step)?;
                }
            }
            Event::TasksCreated { step, first, count, parent } => {
                self.state.totals.statistics.tasks[usize::from(task_status_code(TaskStatus::Queued))] += u64::from(*count);
                self.put_record(&keys::ready_row(id, *step, now, *first), count)?;
                self.stale(id, *step);
                if parent.is_none() {
                    let task = TaskId::new(id, *step, PLAN_INDEX);
                    let entry = TaskEntry { task: Task::new(task, PLAN_KEY.into(), None, now), dirty: false };
                    self.state.tasks.insert(task, entry);
                    self.task_mut(task)?;
                }
            }
            Event::Task { step, index, from, to, ended, .. } => {
                let statistics = &mut self.state.totals.statistics;
                statistics.tasks[usize::from(task_status_code(*from))] -= 1;
                statistics.tasks[usize::from(task_status_code(to.status()))] += 1;
                if let Some(attempt) = ended {
                    statistics.attempts += 1;
                    statistics.fuel += attempt.usage.fuel;
                    statistics.lost_leases += u64::from(attempt.end == bulkhead_core::task::AttemptEnd::HostLost);
                }
                statistics.retries += u64::from(to.status() == TaskStatus::Retrying);
                self.index_task(TaskId::new(id, *step, *index), *from, to, held)?;
                if let TaskState::Failed(failure) = to {
                    self.add_letter(TaskId::new(id, *step, *index), failure)?;
                }
                // A summoned task of a paused run starts the run's time without changing its state.
                let entry = self.run(id)?;
                if started_before.is_none()
                    && let Some(timer) = timer_of(&entry.run, &entry.plan)
                {
                    self.put(&keys::timer(timer, id), &[])?;
                    self.state.batch.effects.housekeeping = true;
                }
                self.tell_of_task(TaskId::new(id, *step, *index), to)?;
            }
            Event::TaskStopping { step, index } => {
                let task = TaskId::new(id, *step, *index);
                let Held { worker, .. } = held.ok_or_else(|| Fault::Corrupt(format!("{task} runs nowhere")))?;
                self.put(&keys::revoked_task(worker, task), &[])?;
                self.state.batch.effects.revoked.insert(worker);
            }
            Event::TaskSummoned { step, index } => {
                let task = TaskId::new(id, *step, *index);
                self.stale(id, *step);
                self.wait_summoned(task)?;
            }
            Event::TaskEdited { .. } => {}
        }
        self.state.batch.events.push((Some(id), event));
        Ok(())
    }

    /// The indexes of a run whose state changed.
    fn index_run(&mut self, id: RunId, from: RunStatus, to: &RunState, ended_before: Option<Timestamp>) -> Tx<()> {
        let statistics = &mut self.state.totals.statistics;
        statistics.runs[usize::from(run_status_code(from))] -= 1;
        statistics.runs[usize::from(run_status_code(to.status()))] += 1;
        self.stale_run(id)?;
        let entry = self.run(id)?;
        let (timer, plan, ended) = (timer_of(&entry.run, &entry.plan), entry.plan.clone(), entry.run.ended_at);
        if let Some(at) = ended {
            self.put(&keys::ended_run(at, id), &[])?;
            if let Some(timer) = timer {
                self.remove(&keys::timer(timer, id))?;
            }
            for component in components(&plan) {
                self.count_use(UseKind::Plugin, component, -1)?;
            }
            self.run_of_schedule_ended(id)?;
            if self.state.keep_runs.is_some_and(|keep| self.ended_runs() > keep) {
                self.state.batch.effects.housekeeping = true;
            }
        } else {
            if let Some(at) = ended_before {
                self.remove(&keys::ended_run(at, id))?;
                for component in components(&plan) {
                    self.count_use(UseKind::Plugin, component, 1)?;
                }
                self.run_of_schedule_opened(id)?;
            }
            // Also after a pause: the row is there already then.
            if let Some(timer) = timer {
                self.put(&keys::timer(timer, id), &[])?;
                self.state.batch.effects.housekeeping = true;
            }
        }
        Ok(())
    }

    /// How many stored runs have ended.
    pub(super) fn ended_runs(&self) -> u64 {
        let runs = &self.state.totals.statistics.runs;
        RunStatus::ALL.iter().zip(runs).filter(|(status, _)| status.is_terminal()).map(|(_, count)| count).sum()
    }

    /// The indexes of a task whose state changed. That a waiting task leaves its `ready` row is done by whoever took it there.
    fn index_task(&mut self, id: TaskId, from: TaskStatus, to: &TaskState, held: Option<Held>) -> Tx<()> {
        let summoned = self.task(id)?.waits_summoned();
        let entry = self.run(id.run)?;
        let step: &Step = entry.run.step(id.step);
        let stopping = entry.run.stop.is_some() || step.stop.is_some();
        // Its end makes room for those of its step that wait out of turn, which are not on the agenda.
        let wakes = from == TaskStatus::Running && step.summoned > 0;
        if entry.plan.step(id.step).concurrency.is_some() || !matches!(to, TaskState::Running { .. }) && to.due().is_some() {
            self.stale(id.run, id.step);
        }
        match from {
            TaskStatus::Running => {
                let Held { worker, stops } = held.ok_or_else(|| Fault::Corrupt(format!("{id} runs nowhere")))?;
                self.remove(&keys::held_task(worker, id))?;
                if stopping || stops {
                    self.remove(&keys::revoked_task(worker, id))?;
                }
                self.state.batch.effects.work |= wakes;
            }
            TaskStatus::Queued
            | TaskStatus::Retrying
            | TaskStatus::Succeeded
            | TaskStatus::Failed
            | TaskStatus::Cancelled
            | TaskStatus::Skipped => {}
        }
        match to {
            TaskState::Queued { .. } | TaskState::Retrying { .. } if summoned => self.wait_summoned(id),
            TaskState::Queued { due } | TaskState::Retrying { due, .. } => {
                self.put_record(&keys::ready_row(id.run, id.step, *due, id.index), &1u32)
            }
            TaskState::Running { worker, .. } => self.put(&keys::held_task(*worker, id), &[]),
            // What a task saved on its way is worth nothing once it has arrived.
            // Most tasks have none, and looking is cheaper than removing nothing.
            TaskState::Succeeded if !kv::exists(self.kv, &keys::checkpoint(id))? => Ok(()),
            TaskState::Succeeded => self.remove(&keys::checkpoint(id)),
            // It may be tried again.
            TaskState::Failed(_) | TaskState::Cancelled | TaskState::Skipped => Ok(()),
        }
    }

    /// Gives a summoned task its place among those that wait out of turn.
    fn wait_summoned(&mut self, id: TaskId) -> Tx<()> {
        self.state.summoned.insert(id);
        self.state.batch.effects.work = true;
        self.put(&keys::summoned_task(id), &[])
    }

    /// All steps of a run may have got or lost their places.
    fn stale_run(&mut self, id: RunId) -> Tx<()> {
        for index in 0..self.run(id)?.run.steps.len() {
            self.stale(id, StepIndex(u16::try_from(index).unwrap_or(u16::MAX)));
        }
        Ok(())
    }

    /// Makes housekeeping go through a step's tasks.
    fn sweep(&mut self, id: RunId, step: StepIndex) -> Tx<()> {
        self.state.batch.effects.housekeeping = true;
        self.put(&keys::sweep(id, step), &[])
    }

    /// Names the running tasks of a stopping step to their workers. Looks at all held tasks: there are never more than slots.
    fn revoke(&mut self, id: RunId, step: StepIndex) -> Tx<()> {
        if self.run(id)?.run.step(step).tasks.running == 0 {
            return Ok(());
        }
        let mut held = Vec::new();
        self.kv.scan(&keys::held().prefix(), Direction::Forward, &mut |key, _| {
            let mut fields = Fields::of(key, 1);
            let (worker, task) = (fields.worker()?, fields.task()?);
            if (task.run, task.step) == (id, step) {
                held.push((worker, task));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for (worker, task) in held {
            self.put(&keys::revoked_task(worker, task), &[])?;
            self.state.batch.effects.revoked.insert(worker);
        }
        Ok(())
    }
}
