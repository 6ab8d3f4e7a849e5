//! Reads, each of one snapshot, over any backend.

pub(crate) mod catalog;
pub(crate) mod files;
pub(crate) mod hooks;
pub(crate) mod letter;
pub(crate) mod log;
pub(crate) mod recount;
pub(crate) mod schedule;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::id::{RunId, StepIndex, TaskId};
use bulkhead_core::run::{Run, RunStatus, Step};
use bulkhead_core::task::{Task, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{RunFilter, RunView, StoreError, TaskFilter, TaskView};
use bytes::Bytes;

use crate::keys::{self, Key, KeyRange};
use crate::kv::{self, Direction, Fault, KvRead, Tree, Tx};
use crate::record::{self, Record, Totals, lead_of, run_status_code, task_status_code};
use crate::txn::{head, text};

/// The most entries of a page, whatever was asked for.
pub(crate) const MOST_PER_PAGE: usize = 10_000;

/// How far a run's id, which its client's clock made, may be from its creation by the store's clock.
const ID_SLACK: Duration = Duration::from_secs(60 * 60);

pub(crate) fn run_record(kv: &dyn KvRead, id: RunId) -> Tx<Run> {
    Ok(record::load(kv, &keys::run(id))?.ok_or(StoreError::NotFound("run"))?)
}

/// A run with its plan and its parameters.
pub(crate) fn run(kv: &dyn KvRead, id: RunId) -> Tx<RunView> {
    let run = run_record(kv, id)?;
    let plan = record::load(kv, &keys::plan(run.plan))?.ok_or_else(|| Fault::Corrupt(format!("plan {} is missing", run.plan)))?;
    let parameters = match kv::bytes(kv, &keys::parameters(id))? {
        Some(bytes) => text(bytes)?,
        None => "{}".into(),
    };
    Ok(RunView { run, plan: Arc::new(plan), parameters })
}

/// Runs that match, the newest first.
pub(crate) fn runs(kv: &dyn KvRead, filter: &RunFilter, before: Option<RunId>, limit: usize) -> Tx<Vec<Run>> {
    let all = keys::of_all(Tree::Runs);
    let range = match before {
        Some(before) => keys::run(before).before_within(&all),
        None => KeyRange::all(Tree::Runs),
    };
    let statuses = mask(filter.statuses.iter().map(|&status| run_status_code(status)), run_status_code(RunStatus::Cancelled));
    let oldest = filter.since.map(|since| Timestamp::from_micros(since.as_micros().saturating_sub(ID_SLACK.as_micros() as u64)));
    let oldest = oldest.map(|oldest| RunId::new(oldest, 0));
    let mut found = Vec::new();
    page(kv, &range, Direction::Backward, limit, &mut |key, value| {
        if oldest.is_some_and(|oldest| keys::run(oldest).bytes() > key) {
            return Ok(ControlFlow::Break(()));
        }
        if !is_in(statuses, value) {
            return Ok(ControlFlow::Continue(false));
        }
        let run: Run = record::decode(value)?;
        let matches = filter.definition.as_ref().is_none_or(|definition| *definition == run.definition)
            && filter.since.is_none_or(|since| run.created_at >= since)
            && filter.until.is_none_or(|until| run.created_at < until);
        if matches {
            found.push(run);
        }
        Ok(ControlFlow::Continue(matches))
    })?;
    Ok(found)
}

/// A task with its input and its output.
pub(crate) fn task(kv: &dyn KvRead, id: TaskId) -> Tx<TaskView> {
    // A run that is being removed still has rows.
    if !kv::exists(kv, &keys::run(id.run))? {
        return Err(StoreError::NotFound("run").into());
    }
    let task: Task = record::load(kv, &keys::task(id))?.ok_or(StoreError::NotFound("task"))?;
    let input = kv::bytes(kv, &keys::input(id))?.map_or(Ok("".into()), text)?;
    let output = match kv::bytes(kv, &keys::output(id))? {
        Some(bytes) => Some(text(bytes)?),
        None if task.state.status() == TaskStatus::Succeeded => Some(crate::txn::NO_OUTPUT.into()),
        None => None,
    };
    Ok(TaskView { task, input, output })
}

/// A task's checkpoint.
pub(crate) fn checkpoint(kv: &dyn KvRead, id: TaskId) -> Tx<Option<Bytes>> {
    Ok(kv::bytes(kv, &keys::checkpoint(id))?.map(Bytes::from))
}

/// Tasks of a run that match, in the order of their ids.
pub(crate) fn tasks(kv: &dyn KvRead, run: RunId, filter: &TaskFilter, after: Option<TaskId>, limit: usize) -> Tx<Vec<Task>> {
    if !kv::exists(kv, &keys::run(run))? {
        return Err(StoreError::NotFound("run").into());
    }
    let prefix = match filter.step {
        Some(step) => keys::of_step(Tree::Tasks, run, step),
        None => keys::of_run(Tree::Tasks, run),
    };
    let range = match after.map(keys::task) {
        Some(after) if after.bytes() >= prefix.bytes() => after.after_within(&prefix),
        _ => prefix.prefix(),
    };
    let statuses = statuses(filter);
    let mut found = Vec::new();
    page(kv, &range, Direction::Forward, limit, &mut |_, value| {
        let task = matching(kv, filter, statuses, value)?;
        let matches = task.is_some();
        found.extend(task);
        Ok(ControlFlow::Continue(matches))
    })?;
    Ok(found)
}

/// A stored task, where it matches.
fn matching(kv: &dyn KvRead, filter: &TaskFilter, statuses: u32, value: &[u8]) -> Tx<Option<Task>> {
    if !is_in(statuses, value) {
        return Ok(None);
    }
    let task: Task = record::decode(value)?;
    if !filter.failure.as_ref().is_none_or(|failure| failure.matches(&task.state)) {
        return Ok(None);
    }
    Ok(match filter.letter {
        Some(group) if !letter::is_of(kv, &task, group)? => None,
        _ => Some(task),
    })
}

/// Tasks of a step by their numbers.
pub(crate) fn tasks_numbered(kv: &dyn KvRead, run: RunId, step: StepIndex, numbers: &[u32]) -> Tx<Vec<Task>> {
    if !kv::exists(kv, &keys::run(run))? {
        return Err(StoreError::NotFound("run").into());
    }
    let task = |&number: &u32| record::load(kv, &keys::task(TaskId::new(run, step, number))).transpose();
    numbers.iter().take(MOST_PER_PAGE).filter_map(task).collect()
}

/// The tasks of a run that workers hold.
pub(crate) fn running_tasks(kv: &dyn KvRead, run: RunId) -> Tx<Vec<Task>> {
    if !kv::exists(kv, &keys::run(run))? {
        return Err(StoreError::NotFound("run").into());
    }
    let mut held = Vec::new();
    kv.scan(&keys::held().prefix(), Direction::Forward, &mut |key, _| {
        let mut fields = keys::Fields::of(key, 1);
        let (_, task) = (fields.worker()?, fields.task()?);
        held.extend(Some(task).filter(|task| task.run == run));
        Ok(ControlFlow::Continue(()))
    })?;
    held.sort_unstable();
    held.into_iter().filter_map(|task| record::load(kv, &keys::task(task)).transpose()).collect()
}

/// When the first waiting task of each step falls due: one look for each step that has any.
pub(crate) fn next_due(kv: &dyn KvRead, run: RunId) -> Tx<Vec<Option<Timestamp>>> {
    let record = run_record(kv, run)?;
    let steps = (0..).map(bulkhead_core::id::StepIndex).zip(&record.steps);
    let head = |(index, step): (_, &Step)| if step.tasks.waiting() == 0 { Ok(None) } else { head(kv, run, index) };
    steps.map(head).collect()
}

/// How many tasks of a run match.
pub(crate) fn count_tasks(kv: &dyn KvRead, run: RunId, filter: &TaskFilter) -> Tx<u64> {
    if !kv::exists(kv, &keys::run(run))? {
        return Err(StoreError::NotFound("run").into());
    }
    let prefix = match filter.step {
        Some(step) => keys::of_step(Tree::Tasks, run, step),
        None => keys::of_run(Tree::Tasks, run),
    };
    let statuses = statuses(filter);
    let mut count = 0;
    kv.scan(&prefix.prefix(), Direction::Forward, &mut |_, value| {
        count += u64::from(matching(kv, filter, statuses, value)?.is_some());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(count)
}

/// The states that a filter lets through, as bits.
fn statuses(filter: &TaskFilter) -> u32 {
    // Nothing else has a failure to compare, and need not be decoded.
    let all: &[TaskStatus] = match filter {
        TaskFilter { letter: Some(_), .. } => &[TaskStatus::Failed],
        TaskFilter { failure: Some(_), statuses, .. } if statuses.is_empty() => &[TaskStatus::Failed, TaskStatus::Cancelled],
        TaskFilter { statuses, .. } => statuses,
    };
    mask(all.iter().map(|&status| task_status_code(status)), task_status_code(TaskStatus::Skipped))
}

/// Counters, and the number of the last event.
pub(crate) fn totals(kv: &dyn KvRead) -> Tx<Totals> {
    Ok(record::load(kv, &keys::totals())?.unwrap_or_default())
}

/// What a page does with an entry: whether it is on the page, or the page is at its end.
type OnPage<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Tx<ControlFlow<(), bool>>;

fn page(kv: &dyn KvRead, range: &KeyRange, direction: Direction, limit: usize, visit: OnPage<'_>) -> Tx<()> {
    let mut left = limit.min(MOST_PER_PAGE);
    if left == 0 {
        return Ok(());
    }
    kv.scan(range, direction, &mut |key, value| {
        let ControlFlow::Continue(on_page) = visit(key, value)? else { return Ok(ControlFlow::Break(())) };
        left -= usize::from(on_page);
        Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
}

/// The records below a key in the order of their keys, from behind `after` on.
fn list<T: Record>(kv: &dyn KvRead, all: &Key, after: Option<Key>, limit: usize) -> Tx<Vec<T>> {
    let range = after.map_or_else(|| all.prefix(), |after| after.after_within(all));
    let mut found = Vec::new();
    page(kv, &range, Direction::Forward, limit, &mut |_, value| {
        found.push(record::decode(value)?);
        Ok(ControlFlow::Continue(true))
    })?;
    Ok(found)
}

/// A set of state numbers as bits; all where none is named.
fn mask(codes: impl Iterator<Item = u8>, last: u8) -> u32 {
    match codes.fold(0, |mask, code| mask | 1 << code) {
        0 => (2 << last) - 1,
        mask => mask,
    }
}

fn is_in(mask: u32, value: &[u8]) -> bool {
    lead_of(value).is_some_and(|code| code < 32 && mask >> code & 1 == 1)
}

/// The entries of a table, decoded.
fn table<T: record::Record>(kv: &dyn KvRead, table: &Key) -> Tx<Vec<T>> {
    let mut found = Vec::new();
    kv.scan(&table.prefix(), Direction::Forward, &mut |_, value| {
        found.push(record::decode(value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}
