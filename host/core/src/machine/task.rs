//! Commands to one task.

use super::Rejected;
use crate::event::Event;
use crate::failure::{Cause, Failure};
use crate::id::WorkerId;
use crate::plan::Plan;
use crate::run::{Run, RunState, RunStatus, StopReason, Usage};
use crate::task::{Attempt, AttemptEnd, QUARANTINE_HOST_DEATHS, Task, TaskState, TaskStatus};
use crate::time::Timestamp;

/// What can be asked of a task.
#[derive(Clone, Debug)]
pub enum TaskCommand {
    /// A worker takes it.
    Claim {
        /// Who.
        worker: WorkerId,
    },
    /// Its attempt ended.
    Complete {
        /// Which attempt; the fencing token.
        attempt: u32,
        /// How.
        report: Report,
        /// Spreads the wait before the next attempt; uniform over all of u32.
        random: u32,
    },
    /// Its worker died or stopped renewing its lease.
    LoseWorker,
    /// The sweep of a stopping step reached it.
    Cancel,
    /// The sweep of a step that is being retried reached it: it is to be tried again although it failed or was cancelled.
    Retry,
}

/// What a worker reports of an attempt that ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended; never [`AttemptEnd::HostLost`], which a dead worker can't report.
    pub end: AttemptEnd,
    /// What it used.
    pub usage: Usage,
    /// Log lines that its quota suppressed.
    pub suppressed: u64,
}

/// What a command does to a task. `run` and `plan` are the task's.
///
/// # Errors
/// [`Rejected::Fenced`] where another attempt holds the task or it has ended, [`Rejected::TaskState`] where the command means
/// nothing in the task's state, [`Rejected::RunState`] and [`Rejected::Stopping`] where the run does not let tasks start.
pub fn decide_task(run: &Run, plan: &Plan, task: &Task, command: TaskCommand, now: Timestamp) -> Result<Vec<Event>, Rejected> {
    match command {
        TaskCommand::Claim { worker } => claim(run, plan, task, worker, now),
        TaskCommand::Complete { attempt, report, random } => complete(run, plan, task, attempt, report, random, now),
        TaskCommand::LoseWorker => lose_worker(run, task, now),
        TaskCommand::Cancel => match task.state.status() {
            TaskStatus::Queued | TaskStatus::Retrying if is_stopping(run, task) => {
                Ok(vec![change(task, TaskState::Cancelled, None)])
            }
            status => refuse(status, "cancelled by a sweep"),
        },
        TaskCommand::Retry => match task.state.status() {
            TaskStatus::Failed | TaskStatus::Cancelled if run.step(task.id.step).retry_from.is_some() => {
                Ok(vec![change(task, TaskState::Queued { due: now }, None)])
            }
            status => refuse(status, "retried"),
        },
    }
}

/// Whether a holder may write to its task: log lines, a checkpoint, progress.
///
/// # Errors
/// [`Rejected::Fenced`] where another attempt holds the task, or none.
fn check_fence(task: &Task, attempt: u32) -> Result<(WorkerId, Timestamp), Rejected> {
    match task.state {
        TaskState::Running { worker, since } if task.attempt == attempt => Ok((worker, since)),
        _ => Err(Rejected::Fenced { attempt, current: task.attempt, state: task.state.status().name() }),
    }
}

impl Task {
    /// Whether the attempt with this number may write to the task: log lines, a checkpoint, progress, tasks.
    ///
    /// # Errors
    /// [`Rejected::Fenced`] where another attempt holds the task, or none.
    pub fn check_fence(&self, attempt: u32) -> Result<(), Rejected> {
        check_fence(self, attempt).map(|_| ())
    }
}

/// What spawning `count` new tasks from a task does. The caller has left out keys that the step has already.
///
/// # Errors
/// [`Rejected::Fenced`], [`Rejected::Stopping`] where the run or the step is ending, [`Rejected::SpawnQuota`].
pub fn decide_spawn(run: &Run, plan: &Plan, task: &Task, attempt: u32, count: u32) -> Result<Vec<Event>, Rejected> {
    check_fence(task, attempt)?;
    let (at, step) = (task.id.step, run.step(task.id.step));
    if run.stop.is_some() || step.stop.is_some() {
        return Err(Rejected::Stopping);
    }
    let limit = plan.step(at).limits.spawned_tasks;
    // The step's own `plan` task is not a spawned one.
    if u64::from(step.spawned) - 1 + u64::from(count) > u64::from(limit) {
        return Err(Rejected::SpawnQuota { limit });
    }
    Ok(match count {
        0 => vec![],
        count => vec![Event::TasksCreated { step: at, first: step.spawned, count, parent: Some(task.id.index) }],
    })
}

fn claim(run: &Run, plan: &Plan, task: &Task, worker: WorkerId, now: Timestamp) -> Result<Vec<Event>, Rejected> {
    let status = task.state.status();
    if !run.is_claimable(task.id.step, plan) {
        return match run.stop {
            Some(_) => Err(Rejected::Stopping),
            None => Err(Rejected::RunState { state: run.state.status().name(), command: "given to a worker" }),
        };
    }
    if task.state.due().is_none_or(|due| due > now) {
        return refuse(status, "claimed");
    }
    let running = TaskState::Running { worker, since: now };
    let claimed = Event::Task {
        step: task.id.step,
        index: task.id.index,
        attempt: task.attempt + 1,
        from: status,
        to: running,
        ended: None,
    };
    Ok(match run.state.status() {
        RunStatus::Queued => vec![Event::Run { from: RunStatus::Queued, to: RunState::Running }, claimed],
        _ => vec![claimed],
    })
}

fn complete(
    run: &Run,
    plan: &Plan,
    task: &Task,
    attempt: u32,
    report: Report,
    random: u32,
    now: Timestamp,
) -> Result<Vec<Event>, Rejected> {
    let (worker, since) = check_fence(task, attempt)?;
    let stop = run.stop.or(run.step(task.id.step).stop);
    let policy = &plan.step(task.id.step).retry;
    let to = match &report.end {
        AttemptEnd::Succeeded => TaskState::Succeeded,
        AttemptEnd::Failed(failure) => {
            let failures = task.failures + 1;
            if stop.is_none() && failure.cause.is_retryable() && failures < policy.attempts {
                TaskState::Retrying { due: now.after(policy.delay(failures, random)), cause: failure.cause }
            } else {
                TaskState::Failed(failure.clone())
            }
        }
        AttemptEnd::Cancelled => cancelled(stop, now),
        AttemptEnd::Released | AttemptEnd::HostLost => match stop {
            Some(_) => TaskState::Cancelled,
            None => TaskState::Queued { due: now },
        },
    };
    let ended = Attempt {
        number: attempt,
        worker,
        claimed_at: since,
        ended_at: now,
        end: report.end,
        usage: report.usage,
        lines: task.attempt_lines,
        suppressed: report.suppressed,
    };
    Ok(vec![change(task, to, Some(Box::new(ended)))])
}

/// Where a task goes whose attempt was told to end: to its end if its step is ending, else back to the queue.
fn cancelled(stop: Option<StopReason>, now: Timestamp) -> TaskState {
    match stop {
        Some(_) => TaskState::Cancelled,
        None => TaskState::Queued { due: now },
    }
}

fn lose_worker(run: &Run, task: &Task, now: Timestamp) -> Result<Vec<Event>, Rejected> {
    let TaskState::Running { worker, since } = task.state else {
        return refuse(task.state.status(), "taken from its worker");
    };
    let deaths = task.host_deaths + 1;
    let stop = run.stop.or(run.step(task.id.step).stop);
    let to = if deaths >= QUARANTINE_HOST_DEATHS {
        let message =
            format!("{deaths} processes died while they ran this task; it is quarantined: find out why before you retry it");
        TaskState::Failed(Failure::new(Cause::HostLost, message))
    } else {
        cancelled(stop, now)
    };
    let ended = Attempt {
        number: task.attempt,
        worker,
        claimed_at: since,
        ended_at: now,
        end: AttemptEnd::HostLost,
        usage: Usage::default(),
        lines: task.attempt_lines,
        suppressed: 0,
    };
    Ok(vec![change(task, to, Some(Box::new(ended)))])
}

fn is_stopping(run: &Run, task: &Task) -> bool {
    run.stop.is_some() || run.step(task.id.step).stop.is_some()
}

fn change(task: &Task, to: TaskState, ended: Option<Box<Attempt>>) -> Event {
    Event::Task { step: task.id.step, index: task.id.index, attempt: task.attempt, from: task.state.status(), to, ended }
}

fn refuse<T>(status: TaskStatus, command: &'static str) -> Result<T, Rejected> {
    Err(Rejected::TaskState { state: status.name(), command })
}
