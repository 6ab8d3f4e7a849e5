//! Appending log lines and checkpoints: what a running attempt writes.

use bulkhead_core::id::{RunId, TaskId};
use bulkhead_core::log::Line;
use bulkhead_core::task::Progress;
use bulkhead_engine::store::StoreError;
use bytes::Bytes;

use super::Txn;
use crate::keys;
use crate::kv::Tx;
use crate::logs::{ChunkBuilder, Segment};

impl Txn<'_> {
    /// Appends lines of an attempt, those that are not stored yet.
    pub(crate) fn append_log(&mut self, id: TaskId, attempt: u32, first: u64, lines: Vec<Line>) -> Tx<()> {
        self.load_task(id)?;
        self.task(id)?.check_fence(attempt)?;
        self.check_lines(id, first)?;
        self.append_lines(id, first, lines)
    }

    /// Refuses lines that leave a gap.
    pub(super) fn check_lines(&self, id: TaskId, first: u64) -> Tx<()> {
        let stored = self.task(id)?.attempt_lines;
        if first > stored {
            let message = format!("lines {stored} to {} of the attempt were never appended", first - 1);
            return Err(StoreError::Conflict(message).into());
        }
        Ok(())
    }

    /// Numbers lines of a loaded task's current attempt and gives them to the batch's chunk of the run.
    pub(super) fn append_lines(&mut self, id: TaskId, first: u64, lines: Vec<Line>) -> Tx<()> {
        let (attempt, stored) = {
            let task = self.task(id)?;
            (task.attempt, task.attempt_lines)
        };
        let known = usize::try_from(stored - first).unwrap_or(usize::MAX).min(lines.len());
        let new = &lines[known..];
        if new.is_empty() {
            return Ok(());
        }
        let now = self.now;
        let run = self.run_mut(id.run)?;
        run.steps[id.step.get()].last_activity = Some(now);
        let first_seq = run.last_line + 1;
        run.last_line += new.len() as u64;
        let counts = &mut run.steps[id.step.get()].lines;
        let step_seq = counts.total() + 1;
        for line in new {
            counts.add(line.level);
        }
        let task = self.task_mut(id)?;
        task.attempt_lines += new.len() as u64;
        task.tail.extend(first_seq, new.len() as u64);
        for line in new {
            task.lines.add(line.level);
        }
        self.state.totals.statistics.lines += new.len() as u64;
        self.state.batch.effects.runs.insert(id.run);

        let segment = Segment { step: id.step, task: id.index, attempt, attempt_line: stored, step_seq };
        let mut chunk = self.state.batch.logs.remove(&id.run).unwrap_or_else(|| ChunkBuilder::new(first_seq));
        let mut rest = new;
        let mut segment = segment;
        while !rest.is_empty() {
            let taken = chunk.append(segment, rest);
            segment.attempt_line += taken as u64;
            segment.step_seq += taken as u64;
            rest = &rest[taken..];
            if chunk.is_full() {
                let next = ChunkBuilder::new(chunk.next_seq());
                self.put_log_chunk(id.run, std::mem::replace(&mut chunk, next))?;
            }
        }
        if !chunk.is_empty() {
            self.state.batch.logs.insert(id.run, chunk);
        }
        Ok(())
    }

    /// Writes a chunk of lines.
    pub(super) fn put_log_chunk(&mut self, run: RunId, chunk: ChunkBuilder) -> Tx<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        let key = keys::log_chunk(run, chunk.first_seq());
        self.put(&key, &chunk.finish())
    }

    /// Replaces a task's checkpoint.
    pub(crate) fn save_checkpoint(&mut self, id: TaskId, attempt: u32, data: &Bytes) -> Tx<()> {
        self.load_task(id)?;
        self.task(id)?.check_fence(attempt)?;
        self.put(&keys::checkpoint(id), data)
    }

    /// Keeps how far a task is, unless another attempt holds it by now.
    pub(super) fn save_progress(&mut self, id: TaskId, attempt: u32, progress: Progress) -> Tx<()> {
        match self.load_task(id) {
            Ok(()) => {}
            Err(crate::kv::Fault::Refused(StoreError::NotFound(_))) => return Ok(()),
            Err(fault) => return Err(fault),
        }
        if self.task(id)?.check_fence(attempt).is_ok() {
            self.task_mut(id)?.progress = Some(progress);
        }
        Ok(())
    }
}
