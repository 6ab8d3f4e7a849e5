//! Dead letters by what they failed of.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bulkhead_core::id::{Digest, RunId, TaskId};
use bulkhead_core::task::{Task, TaskState};
use bulkhead_engine::store::{LetterGroup, LetterRun, StoreError};

use super::recount::differ;
use super::{page, table};
use crate::keys::{self, Fields};
use crate::kv::{self, Direction, KvRead, Tx};
use crate::record::{self, LetterRow};
use crate::txn::{group_of, others_of};

pub(crate) fn groups(kv: &dyn KvRead) -> Tx<Vec<LetterGroup>> {
    table(kv, &keys::letter_groups())
}

pub(crate) fn group(kv: &dyn KvRead, id: Digest) -> Tx<LetterGroup> {
    Ok(record::load(kv, &keys::letter_group(id))?.ok_or(StoreError::NotFound("group of dead letters"))?)
}

/// The runs with dead letters of a group, the newest first.
pub(crate) fn runs(kv: &dyn KvRead, id: Digest, before: Option<RunId>, limit: usize) -> Tx<Vec<LetterRun>> {
    let all = keys::letter_runs(id);
    let range = before.map_or_else(|| all.prefix(), |before| keys::letter_run(id, before).before_within(&all));
    let mut found = Vec::new();
    page(kv, &range, Direction::Backward, limit, &mut |key, value| {
        let run = Fields::of(key, 1 + 32).run()?;
        let LetterRow { tasks, last_at, last: (step, index) } = record::decode(value)?;
        found.push(LetterRun { run, tasks, last_at, last: TaskId::new(run, step, index) });
        Ok(ControlFlow::Continue(true))
    })?;
    Ok(found)
}

/// Whether a task is a dead letter of a group.
pub(super) fn is_of(kv: &dyn KvRead, task: &Task, id: Digest) -> Tx<bool> {
    let TaskState::Failed(failure) = &task.state else { return Ok(false) };
    let own = group_of(failure);
    Ok(own == id || others_of(failure.cause) == id && !kv::exists(kv, &keys::letter_run(own, task.id.run))?)
}

/// The dead letters of each run, counted from its tasks: by cause, and by the group of their own.
#[derive(Debug, Default)]
pub(super) struct Counted(BTreeMap<RunId, Run>);

#[derive(Debug, Default)]
struct Run {
    causes: BTreeMap<&'static str, u64>,
    groups: BTreeMap<Digest, u64>,
}

impl Counted {
    /// Counts a task of a run that is there.
    pub(super) fn add(&mut self, task: &Task) {
        let TaskState::Failed(failure) = &task.state else { return };
        let run = self.0.entry(task.id.run).or_default();
        *run.causes.entry(failure.cause.name()).or_default() += 1;
        *run.groups.entry(group_of(failure)).or_default() += 1;
    }

    /// Compares what is stored with it.
    pub(super) fn compare(mut self, kv: &dyn KvRead, differences: &mut Vec<String>) -> Tx<()> {
        let groups: BTreeMap<Digest, LetterGroup> = groups(kv)?.into_iter().map(|group| (group.id, group)).collect();
        let mut sums: BTreeMap<Digest, (u64, u64)> = BTreeMap::new();
        let mut stored: BTreeMap<RunId, BTreeMap<&'static str, u64>> = BTreeMap::new();
        let mut rows = BTreeSet::new();
        kv.scan(&keys::all_letter_runs().prefix(), Direction::Forward, &mut |key, value| {
            let mut fields = Fields::of(key, 1);
            let (id, run) = (fields.digest()?, fields.run()?);
            let LetterRow { tasks, .. } = record::decode(value)?;
            rows.insert((run, id));
            let sum = sums.entry(id).or_default();
            *sum = (sum.0 + tasks, sum.1 + 1);
            if let Some(group) = groups.get(&id) {
                *stored.entry(run).or_default().entry(group.failure.cause.name()).or_default() += tasks;
                let own = self.0.get(&run).and_then(|run| run.groups.get(&id)).copied().unwrap_or_default();
                if tasks == 0 || !group.others && tasks > own {
                    differ(differences, || format!("the dead letters of {run} in {id}"), &tasks, &own);
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let counted = std::mem::take(&mut self.0).into_iter().map(|(run, of)| (run, of.causes)).collect();
        differ(differences, || "the dead letters by cause".into(), &stored, &counted);
        let stored = groups.values().map(|group| (group.id, (group.tasks, group.runs))).collect();
        differ(differences, || "the groups of dead letters".into(), &stored, &sums);
        let mut indexed = BTreeSet::new();
        kv.scan(&keys::all_run_letters().prefix(), Direction::Forward, &mut |key, _| {
            let mut fields = Fields::of(key, 1);
            indexed.insert((fields.run()?, fields.digest()?));
            Ok(ControlFlow::Continue(()))
        })?;
        differ(differences, || "the dead letters of each run".into(), &indexed, &rows);
        Ok(())
    }
}
