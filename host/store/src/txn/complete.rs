//! How attempts end.

use bulkhead_core::failure::Failure;
use bulkhead_core::id::TaskId;
use bulkhead_core::log::{Level, Line, Source};
use bulkhead_core::machine::{self, Report, TaskCommand};
use bulkhead_core::run::Usage;
use bulkhead_core::task::{AttemptEnd, Task, TaskState, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::Completion;

use super::Txn;
use crate::keys;
use crate::kv::Tx;

/// What a task that has no output is said to have put out; not stored.
pub(crate) const NO_OUTPUT: &str = "null";

impl Txn<'_> {
    /// Records how an attempt ended, with its last lines and a line of the host about a failure.
    pub(crate) fn complete(&mut self, completion: Completion) -> Tx<TaskStatus> {
        let Completion { task: id, attempt, report, output, artifacts, first_line, lines, random } = completion;
        self.load_task(id)?;
        self.task(id)?.check_fence(attempt)?;
        self.check_lines(id, first_line)?;

        self.append_lines(id, first_line, lines)?;
        let failure = match &report.end {
            AttemptEnd::Failed(failure) => Some(failure.clone()),
            _ => None,
        };
        self.end_attempt(id, TaskCommand::Complete { attempt, report, random }, failure)?;
        let status = self.task(id)?.state.status();
        if status == TaskStatus::Succeeded {
            self.publish(id, artifacts)?;
        }
        if status == TaskStatus::Succeeded
            && let Some(output) = output
            && !matches!(&*output, NO_OUTPUT | "")
        {
            self.put(&keys::output(id), output.as_bytes())?;
        }
        Ok(status)
    }

    /// Takes a task from a worker that is gone.
    pub(super) fn lose_task(&mut self, id: TaskId) -> Tx<()> {
        self.load_task(id)?;
        let lost = Failure::new(bulkhead_core::failure::Cause::HostLost, "its process died or stopped renewing its lease");
        self.end_attempt(id, TaskCommand::LoseWorker, Some(lost))
    }

    /// Queues a task again that no worker ever got to see.
    pub(super) fn release_task(&mut self, id: TaskId, attempt: u32) -> Tx<()> {
        let report = Report { end: AttemptEnd::Released, usage: Usage::default(), suppressed: 0 };
        self.end_attempt(id, TaskCommand::Complete { attempt, report, random: 0 }, None)
    }

    /// Decides and applies the end of a task's attempt. A failed one gets a line of the host, which counts as the attempt's.
    fn end_attempt(&mut self, id: TaskId, command: TaskCommand, failure: Option<Failure>) -> Tx<()> {
        if failure.is_some() {
            // The host's line about it follows at once; the attempt's record knows of it already.
            let seq = self.run(id.run)?.run.last_line + 1;
            let task = self.task_mut(id)?;
            task.attempt_lines += 1;
            task.tail.extend(seq, 1);
        }
        let entry = self.run(id.run)?;
        let events = machine::decide_task(&entry.run, &entry.plan, self.task(id)?, command, self.now)?;
        for event in events {
            self.apply(id.run, Some(id), event)?;
        }
        if let Some(failure) = failure {
            let task = self.task(id)?;
            let (line, number) = (host_line(task, &failure, self.now), task.attempt_lines - 1);
            self.task_mut(id)?.attempt_lines = number;
            self.append_lines(id, number, vec![line])?;
        }
        self.settle(id.run)
    }
}

/// What the host says of a failed attempt.
fn host_line(task: &Task, failure: &Failure, now: Timestamp) -> Line {
    let Task { attempt, key, .. } = task;
    let (level, message) = match &task.state {
        TaskState::Retrying { due, .. } => {
            let wait = due.since(now).as_secs_f64();
            (Level::Warn, format!("attempt {attempt} of {key} failed: {failure}; retrying in {wait:.1}s"))
        }
        TaskState::Queued { .. } => (Level::Warn, format!("attempt {attempt} of {key} failed: {failure}; queued again")),
        // Quarantine says more than that the host was lost.
        TaskState::Failed(last) => (Level::Error, format!("attempt {attempt} of {key} failed: {last}")),
        _ => (Level::Warn, format!("attempt {attempt} of {key} failed: {failure}")),
    };
    Line { at: now, level, source: Source::Host, message: message.into(), fields: None }
}
