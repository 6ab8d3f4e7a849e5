//! Reading a run's log, forwards and backwards.

use std::ops::ControlFlow;

use bulkhead_core::id::{RunId, TaskId};
use bulkhead_core::log::{TAIL_LINES, Tail};
use bulkhead_engine::store::{LogPage, LogQuery, LogRecord, StoreError};
use regex::bytes::{Regex, RegexBuilder};

use super::{MOST_PER_PAGE, run_record};
use crate::keys::{self, Fields, Key};
use crate::kv::{Direction, KvRead, Tree, Tx};
use crate::logs::{self, Wanted};

/// Bytes of messages and fields after which a page ends.
const PAGE_BYTES: usize = 4 << 20;
/// Bytes of chunks that one call looks through for lines that match: some milliseconds' worth. The caller goes on from `scanned`.
const SCAN_BYTES: usize = 64 << 20;
/// The size that a searched text's automaton may have, in bytes: enough for any text that the API lets through.
const SEARCH_BYTES: usize = 1 << 20;

/// Lines that match: the first ones after `query.after`, or the last ones before `query.before`.
pub(crate) fn read(kv: &dyn KvRead, run: RunId, query: &LogQuery) -> Tx<LogPage> {
    let record = run_record(kv, run)?;
    let last = record.last_line;
    let page = LogPage { lines: Vec::new(), scanned: query.after.min(last), last, ended: record.state.is_terminal() };
    let elsewhere = query.task.is_some_and(|task| task.run != run || query.step.is_some_and(|step| step != task.step));
    let wanted = Wanted {
        after: query.after,
        before: query.before,
        level: query.level,
        step: query.step.or(query.task.map(|task| task.step)),
        task: query.task.map(|task| task.index),
        text: query.contains.as_deref().map(searcher).transpose()?,
    };
    let limit = query.limit.min(MOST_PER_PAGE);
    match query.before {
        Some(before) => backward(kv, run, &wanted, before, if elsewhere { 0 } else { limit }, elsewhere, page),
        None if elsewhere => Ok(LogPage { scanned: last, ..page }),
        None => forward(kv, run, &wanted, limit, page),
    }
}

fn forward(kv: &dyn KvRead, run: RunId, wanted: &Wanted, limit: usize, mut page: LogPage) -> Tx<LogPage> {
    if limit == 0 || wanted.after >= page.last {
        return Ok(page);
    }
    let all = keys::of_run(Tree::Logs, run);
    let start = chunk_of(kv, run, wanted.after + 1)?;
    let (mut bytes, mut looked) = (0, 0);
    kv.scan(&start.onward_within(&all), Direction::Forward, &mut |key, value| {
        let mut full = false;
        let end = logs::read(Fields::of(key, 16).seq()?, value, wanted, &mut |line| {
            bytes += size(&line);
            page.scanned = line.seq;
            page.lines.push(line);
            full = page.lines.len() >= limit || bytes >= PAGE_BYTES;
            !full
        })?;
        looked += value.len();
        if full {
            return Ok(ControlFlow::Break(()));
        }
        page.scanned = end;
        Ok(if looked < SCAN_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(page)
}

/// Chunk by chunk from the end, each of which is small; `page.lines` is turned round at the end.
fn backward(
    kv: &dyn KvRead,
    run: RunId,
    wanted: &Wanted,
    before: u64,
    limit: usize,
    elsewhere: bool,
    mut page: LogPage,
) -> Tx<LogPage> {
    let bottom = wanted.after.min(page.last) + 1;
    page.scanned = before.min(page.last + 1).max(bottom);
    if elsewhere {
        page.scanned = bottom;
    }
    if limit == 0 || page.scanned == bottom {
        return Ok(page);
    }
    let all = keys::of_run(Tree::Logs, run);
    let (mut bytes, mut looked) = (0, 0);
    kv.scan(&keys::log_chunk(run, page.scanned).before_within(&all), Direction::Backward, &mut |key, value| {
        let first = Fields::of(key, 16).seq()?;
        let mut found = Vec::new();
        logs::read(first, value, wanted, &mut |line| {
            found.push(line);
            true
        })?;
        for line in found.into_iter().rev() {
            bytes += size(&line);
            page.scanned = line.seq;
            page.lines.push(line);
            if page.lines.len() >= limit || bytes >= PAGE_BYTES {
                return Ok(ControlFlow::Break(()));
            }
        }
        looked += value.len();
        page.scanned = first.max(bottom);
        Ok(if looked < SCAN_BYTES && first > bottom { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    page.lines.reverse();
    Ok(page)
}

fn size(line: &LogRecord) -> usize {
    line.message.len() + line.fields.as_deref().map_or(0, str::len)
}

/// Finds a text in upper or lower case.
fn searcher(text: &str) -> Tx<Regex> {
    let pattern = RegexBuilder::new(&regex::escape(text)).case_insensitive(true).size_limit(SEARCH_BYTES).build();
    pattern.map_err(|error| StoreError::Conflict(format!("this text can't be searched for: {error}")).into())
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
        let wanted = Wanted { after: first - 1, step: Some(task.step), task: Some(task.index), ..Wanted::default() };
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
