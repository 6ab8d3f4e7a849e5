//! Reading a run's log.

use std::ops::ControlFlow;

use bulkhead_core::id::{RunId, TaskId};
use bulkhead_core::log::{TAIL_LINES, Tail};
use bulkhead_engine::store::{LogPage, LogQuery, LogRecord};

use super::{MOST_PER_PAGE, run_record};
use crate::keys::{self, Fields, Key};
use crate::kv::{Direction, KvRead, Tree, Tx};
use crate::logs::{self, Wanted};

/// Bytes of messages and fields after which a page ends.
const PAGE_BYTES: usize = 4 << 20;
/// Bytes of chunks that one call looks through for lines that match: some milliseconds' worth. The caller goes on from `scanned`.
const SCAN_BYTES: usize = 64 << 20;

/// Lines that match, with numbers greater than `query.after`.
pub(crate) fn read(kv: &dyn KvRead, run: RunId, query: &LogQuery) -> Tx<LogPage> {
    let record = run_record(kv, run)?;
    let last = record.last_line;
    let mut result = LogPage { lines: Vec::new(), scanned: query.after.min(last), last, ended: record.state.is_terminal() };
    let elsewhere = query.task.is_some_and(|task| task.run != run || query.step.is_some_and(|step| step != task.step));
    if elsewhere {
        result.scanned = last;
        return Ok(result);
    }
    if query.limit == 0 || query.after >= last {
        return Ok(result);
    }
    let wanted = Wanted {
        after: query.after,
        level: query.level,
        step: query.step.or(query.task.map(|task| task.step)),
        task: query.task.map(|task| task.index),
    };
    let all = keys::of_run(Tree::Logs, run);
    let start = chunk_of(kv, run, query.after + 1)?;
    let (limit, mut bytes, mut looked) = (query.limit.min(MOST_PER_PAGE), 0, 0);
    kv.scan(&start.onward_within(&all), Direction::Forward, &mut |key, value| {
        let mut full = false;
        let end = logs::read(Fields::of(key, 16).seq()?, value, &wanted, &mut |line| {
            bytes += line.message.len() + line.fields.as_deref().map_or(0, str::len);
            result.scanned = line.seq;
            result.lines.push(line);
            full = result.lines.len() >= limit || bytes >= PAGE_BYTES;
            !full
        })?;
        looked += value.len();
        if full {
            return Ok(ControlFlow::Break(()));
        }
        result.scanned = end;
        Ok(if looked < SCAN_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(result)
}

/// The chunk that holds a line: the last one that begins at or before it.
fn chunk_of(kv: &dyn KvRead, run: RunId, seq: u64) -> Tx<Key> {
    let all = keys::of_run(Tree::Logs, run);
    let mut start = all.clone();
    kv.scan(&keys::log_chunk(run, seq + 1).before_within(&all), Direction::Backward, &mut |key, _| {
        start = keys::log_chunk(run, Fields::of(key, 16).seq()?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(start)
}

/// The lines of an attempt's end: for each of their few stretches, the chunk or two that hold it.
pub(crate) fn tail(kv: &dyn KvRead, task: TaskId, tail: &Tail) -> Tx<Vec<LogRecord>> {
    run_record(kv, task.run)?;
    let all = keys::of_run(Tree::Logs, task.run);
    let mut lines = Vec::with_capacity(TAIL_LINES as usize);
    for (first, count) in tail.stretches() {
        let last = first + count - 1;
        let wanted = Wanted { after: first - 1, step: Some(task.step), task: Some(task.index), level: None };
        kv.scan(&chunk_of(kv, task.run, first)?.onward_within(&all), Direction::Forward, &mut |key, value| {
            let begins = Fields::of(key, 16).seq()?;
            if begins > last {
                return Ok(ControlFlow::Break(()));
            }
            let end = logs::read(begins, value, &wanted, &mut |line| {
                if line.seq <= last {
                    lines.push(line);
                    return true;
                }
                false
            })?;
            Ok(if end < last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
    }
    Ok(lines)
}
