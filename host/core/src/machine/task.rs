//! Commands to one task.

use super::run::reopen;
use super::{Rejected, consequence};
use crate::event::Event;
use crate::failure::{Cause, Failure};
use crate::id::WorkerId;
use crate::plan::Plan;
use crate::run::{Run, RunState, RunStatus, StepStatus, Usage};
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
    SweepCancel,
    /// The sweep of a step that is being retried reached it: it is to be tried again although it failed or was cancelled.
    SweepRetry,
    /// Try it again although it failed, was cancelled or was skipped. What is to be tried anyway stays so.
    Retry,
    /// It need not be done: neither a success nor a failure.
    Skip,
    /// End it: at once where it waits; a running attempt is told to end, and none follows.
    Cancel,
    /// Run it next, whatever its due time and although the run is paused.
    Summon,
    /// Its input changes, before its next attempt.
    Edit {
        /// Who changes it.
        by: Option<Box<str>>,
    },
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
        TaskCommand::SweepCancel => match task.state.status() {
            TaskStatus::Queued | TaskStatus::Retrying if is_stopping(run, task) => {
                Ok(vec![change(task, TaskState::Cancelled, None)])
            }
            status => refuse(status, "cancelled by a sweep"),
        },
        TaskCommand::SweepRetry => {
            let step = run.step(task.id.step);
            match task.state.status() {
                // Without its plan the step would be stopped again at once, and all that waits with it.
                TaskStatus::Failed | TaskStatus::Cancelled if step.plan_failed && !task.is_plan() => Ok(vec![]),
                TaskStatus::Failed | TaskStatus::Cancelled if !step.retries.is_empty() => {
                    Ok(vec![change(task, TaskState::Queued { due: now }, None)])
                }
                status => refuse(status, "retried by a sweep"),
            }
        }
        TaskCommand::Retry => retry(run, plan, task, now),
        TaskCommand::Skip => skip(run, plan, task),
        TaskCommand::Cancel => cancel(run, task),
        TaskCommand::Summon => summon(run, task),
        TaskCommand::Edit { by } => edit(run, task, by),
    }
}

/// Refuses what a person asks of a task of a run that was cancelled or is ending: nothing of it starts any more.
fn check_open(run: &Run, task: &Task, command: &'static str) -> Result<(), Rejected> {
    match run.state.status() {
        status @ RunStatus::Cancelled => Err(Rejected::RunState { state: status.name(), command }),
        _ if is_stopping(run, task) => Err(Rejected::Stopping),
        _ => Ok(()),
    }
}

fn retry(run: &Run, plan: &Plan, task: &Task, now: Timestamp) -> Result<Vec<Event>, Rejected> {
    match task.state.status() {
        TaskStatus::Queued | TaskStatus::Retrying => Ok(vec![]),
        TaskStatus::Running if !task.stop => Ok(vec![]),
        TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::Skipped => {
            check_open(run, task, "retried")?;
            if run.step(task.id.step).plan_failed && !task.is_plan() {
                return Err(Rejected::PlanFailed);
            }
            let mut events = reopen(run, plan, task.id.step);
            events.push(change(task, TaskState::Queued { due: now }, None));
            Ok(events)
        }
        status => refuse(status, "retried"),
    }
}

fn skip(run: &Run, plan: &Plan, task: &Task) -> Result<Vec<Event>, Rejected> {
    match task.state.status() {
        TaskStatus::Skipped => Ok(vec![]),
        TaskStatus::Queued | TaskStatus::Retrying | TaskStatus::Failed | TaskStatus::Cancelled => {
            check_open(run, task, "skipped")?;
            let mut after = run.step(task.id.step).clone();
            *after.tasks.of_mut(task.state.status()) -= 1;
            after.tasks.skipped += 1;
            after.plan_failed &= !task.is_plan();
            // A step that has ended changes its end only where this was the last thing against it.
            let mut events = match after.state.status().is_terminal() && consequence::is_good(&after, plan) {
                true if run.step(task.id.step).state.status() != StepStatus::Succeeded => reopen(run, plan, task.id.step),
                _ => vec![],
            };
            events.push(change(task, TaskState::Skipped, None));
            Ok(events)
        }
        status => refuse(status, "skipped"),
    }
}

fn cancel(run: &Run, task: &Task) -> Result<Vec<Event>, Rejected> {
    match task.state.status() {
        TaskStatus::Cancelled => Ok(vec![]),
        TaskStatus::Queued | TaskStatus::Retrying | TaskStatus::Running if is_stopping(run, task) => Ok(vec![]),
        TaskStatus::Queued | TaskStatus::Retrying => Ok(vec![change(task, TaskState::Cancelled, None)]),
        TaskStatus::Running if task.stop => Ok(vec![]),
        TaskStatus::Running => Ok(vec![Event::TaskStopping { step: task.id.step, index: task.id.index }]),
        status => refuse(status, "cancelled"),
    }
}

fn summon(run: &Run, task: &Task) -> Result<Vec<Event>, Rejected> {
    match task.state.status() {
        TaskStatus::Queued | TaskStatus::Retrying if run.is_open(task.id.step) => Ok(match task.summoned {
            true => vec![],
            false => vec![Event::TaskSummoned { step: task.id.step, index: task.id.index }],
        }),
        TaskStatus::Queued | TaskStatus::Retrying => Err(Rejected::Stopping),
        status => refuse(status, "run next"),
    }
}

fn edit(run: &Run, task: &Task, by: Option<Box<str>>) -> Result<Vec<Event>, Rejected> {
    if task.is_plan() {
        return Err(Rejected::NoInput);
    }
    match task.state.status() {
        status @ (TaskStatus::Running | TaskStatus::Succeeded) => refuse(status, "edited"),
        _ => {
            check_open(run, task, "edited")?;
            Ok(vec![Event::TaskEdited { step: task.id.step, index: task.id.index, by }])
        }
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
    let may = if task.summoned { run.may_start_summoned(task.id.step, plan) } else { run.is_claimable(task.id.step, plan) };
    if !may {
        return match run.stop {
            Some(_) => Err(Rejected::Stopping),
            None => Err(Rejected::RunState { state: run.state.status().name(), command: "given to a worker" }),
        };
    }
    if task.state.due().is_none_or(|due| due > now && !task.summoned) {
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
    let stops = is_stopping(run, task) || task.stop;
    let policy = &plan.step(task.id.step).retry;
    let to = match &report.end {
        AttemptEnd::Succeeded => TaskState::Succeeded,
        AttemptEnd::Failed(failure) => {
            let failures = task.failures + 1;
            if !stops && policy.retries(failure.cause) && failures < policy.attempts {
                TaskState::Retrying { due: now.after(policy.delay(failures, random)), cause: failure.cause }
            } else {
                TaskState::Failed(failure.clone())
            }
        }
        AttemptEnd::Cancelled | AttemptEnd::Released | AttemptEnd::HostLost => given_back(stops, now),
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
        tail: task.tail.clone(),
    };
    Ok(vec![change(task, to, Some(Box::new(ended)))])
}

/// Where a task goes whose attempt came to no end of its own: to its end if it is to stop, else back to the queue.
fn given_back(stops: bool, now: Timestamp) -> TaskState {
    if stops { TaskState::Cancelled } else { TaskState::Queued { due: now } }
}

fn lose_worker(run: &Run, task: &Task, now: Timestamp) -> Result<Vec<Event>, Rejected> {
    let TaskState::Running { worker, since } = task.state else {
        return refuse(task.state.status(), "taken from its worker");
    };
    let deaths = task.host_deaths + 1;
    let stops = is_stopping(run, task) || task.stop;
    let to = if deaths >= QUARANTINE_HOST_DEATHS {
        let message =
            format!("{deaths} processes died while they ran this task; it is quarantined: find out why before you retry it");
        TaskState::Failed(Failure::new(Cause::HostLost, message))
    } else {
        given_back(stops, now)
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
        tail: task.tail.clone(),
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
