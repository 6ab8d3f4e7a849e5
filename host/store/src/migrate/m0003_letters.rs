//! Format 3: dead letters are counted by what they failed of. Those that are there are counted once.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use bulkhead_core::id::{Digest, RunId};
use bulkhead_core::task::{Task, TaskState, TaskStatus};
use bulkhead_engine::store::{LetterGroup, MAX_LETTER_GROUPS, MAX_LETTERS_PER_RUN};

use crate::keys::{self, Fields, KeyRange};
use crate::kv::{Direction, KvRead, KvWrite, Tree, Tx};
use crate::record::{self, LetterRow, lead_of, task_status_code};
use crate::txn::{group_of, others_of, shown};

/// What is found: bounded by what is told apart, not by the tasks.
#[derive(Default)]
struct Found {
    groups: BTreeMap<Digest, LetterGroup>,
    rows: BTreeMap<(RunId, Digest), LetterRow>,
}

pub(super) fn migrate(kv: &mut dyn KvWrite) -> Tx<()> {
    let Found { groups, rows } = find(kv)?;
    let mut value = Vec::new();
    for ((run, id), row) in &rows {
        record::encode(row, &mut value)?;
        kv.put(&keys::letter_run(*id, *run), &value)?;
        kv.put(&keys::run_letter(*run, *id), &[])?;
    }
    for (id, group) in &groups {
        record::encode(group, &mut value)?;
        kv.put(&keys::letter_group(*id), &value)?;
    }
    Ok(())
}

fn find(kv: &dyn KvRead) -> Tx<Found> {
    let mut runs = HashSet::new();
    // A run that is being removed still has tasks.
    kv.scan(&KeyRange::all(Tree::Runs), Direction::Forward, &mut |key, _| {
        runs.insert(Fields::of(key, 0).run()?);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut found = Found::default();
    kv.scan(&KeyRange::all(Tree::Tasks), Direction::Forward, &mut |key, value| {
        if lead_of(value) == Some(task_status_code(TaskStatus::Failed)) && runs.contains(&Fields::of(key, 0).run()?) {
            found.add(&record::decode(value)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

impl Found {
    fn add(&mut self, task: &Task) {
        let TaskState::Failed(failure) = &task.state else { return };
        let (own, run) = (group_of(failure), task.id.run);
        let of_run = self.rows.range((run, Digest::from_bytes([0; 32]))..=(run, Digest::from_bytes([255; 32]))).count();
        let full =
            of_run >= MAX_LETTERS_PER_RUN || self.groups.len() as u64 >= MAX_LETTER_GROUPS && !self.groups.contains_key(&own);
        let id = if self.rows.contains_key(&(run, own)) || !full { own } else { others_of(failure.cause) };
        let at = task.ended_at.unwrap_or(task.created_at);
        let row = self.rows.entry((run, id)).or_insert(LetterRow { tasks: 0, last_at: at, last: (task.id.step, task.id.index) });
        let first = row.tasks == 0;
        row.tasks += 1;
        if at >= row.last_at {
            (row.last_at, row.last) = (at, (task.id.step, task.id.index));
        }
        let group = self.groups.entry(id).or_insert_with(|| LetterGroup {
            id,
            failure: shown(failure),
            others: id != own,
            tasks: 0,
            runs: 0,
            first_at: at,
            last_at: at,
            last: task.id,
        });
        group.tasks += 1;
        group.runs += u64::from(first);
        group.first_at = group.first_at.min(at);
        if at >= group.last_at {
            (group.failure, group.last_at, group.last) = (shown(failure), at, task.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_core::failure::{Cause, Failure};
    use bulkhead_core::id::{StepIndex, TaskId};
    use bulkhead_core::time::Timestamp;

    use super::*;
    use crate::kv::{Backend as _, MemoryBackend, Verdict, snapshot};
    use crate::read::letter;

    fn failed(run: RunId, index: u32, message: &str) -> Task {
        let at = Timestamp::from_micros(100 + u64::from(index));
        let task = Task::new(TaskId::new(run, StepIndex(0), index), "k".into(), Some(0), at);
        Task { state: TaskState::Failed(Failure::new(Cause::Panic, message)), ended_at: Some(at), ..task }
    }

    #[test]
    fn what_failed_before_is_counted_once() {
        let backend = MemoryBackend::default();
        let (here, gone) = (RunId::from_u128(1), RunId::from_u128(2));
        backend
            .write(&mut |kv| {
                let mut value = Vec::new();
                let many = (10..200).map(|index| failed(here, index, &format!("{} broke", "x".repeat(index as usize))));
                let tasks = [failed(here, 1, "row 1"), failed(here, 2, "row 2"), failed(gone, 1, "row 3")];
                for task in tasks.into_iter().chain(many) {
                    record::encode(&task, &mut value).unwrap();
                    kv.put(&keys::task(task.id), &value).unwrap();
                }
                // All that is looked at of a run is that it is there.
                kv.put(&keys::run(here), &[1]).unwrap();
                migrate(kv).unwrap();
                Verdict::Commit
            })
            .unwrap();
        let groups = snapshot(&backend, letter::groups).unwrap();
        assert_eq!(groups.len(), MAX_LETTERS_PER_RUN + 1);
        let rows = groups.iter().find(|group| group.failure.message == "row 2").unwrap();
        assert_eq!((rows.tasks, rows.runs, rows.last.index, rows.others), (2, 1, 2, false));
        let others = groups.iter().find(|group| group.others).unwrap();
        assert_eq!(others.tasks + groups.iter().filter(|group| !group.others).map(|group| group.tasks).sum::<u64>(), 192);
        assert_eq!(others.last.index, 199);
        let runs = snapshot(&backend, |kv| letter::runs(kv, others.id, None, 10)).unwrap();
        assert_eq!(runs.iter().map(|of| (of.run, of.tasks)).collect::<Vec<_>>(), [(here, others.tasks)]);
    }
}
