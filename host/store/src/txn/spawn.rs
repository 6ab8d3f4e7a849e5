//! Creating tasks from a task.

use std::collections::HashSet;

use bulkhead_core::event::Event;
use bulkhead_core::id::TaskId;
use bulkhead_core::machine;
use bulkhead_core::task::Task;
use bulkhead_engine::store::{Spawned, TaskSpec};

use super::Txn;
use crate::keys::{self, Key};
use crate::kv::{self, Fault, Tx};
use crate::record;

impl Txn<'_> {
    /// Creates the tasks whose keys the step does not have.
    pub(crate) fn spawn(&mut self, id: TaskId, attempt: u32, specs: Vec<TaskSpec>) -> Tx<Spawned> {
        self.load_task(id)?;
        let all = specs.len();
        let new = self.unknown(id, specs)?;
        let created = u32::try_from(new.len()).map_err(|_| Fault::Storage("too many tasks at once".into()))?;
        let entry = self.run(id.run)?;
        let events = machine::decide_spawn(&entry.run, &entry.plan, self.task(id)?, attempt, created)?;
        let first = entry.run.step(id.step).spawned;

        self.create_tasks(id, first, new)?;
        for event in events {
            debug_assert!(matches!(event, Event::TasksCreated { first: at, .. } if at == first));
            self.apply(id.run, None, event)?;
        }
        Ok(Spawned { created, existing: (all - created as usize) as u32 })
    }

    /// The specs whose keys the step does not have, each with its deduplication key, in the order in which they came.
    fn unknown(&self, id: TaskId, specs: Vec<TaskSpec>) -> Tx<Vec<(Key, TaskSpec)>> {
        let mut new = Vec::with_capacity(specs.len());
        let mut seen: HashSet<Box<str>> = HashSet::new();
        let several = specs.len() > 1;
        for spec in specs {
            let key = keys::dedup(id.run, id.step, &spec.key);
            if kv::exists(self.kv, &key)? || several && !seen.insert(spec.key.clone()) {
                continue;
            }
            new.push((key, spec));
        }
        Ok(new)
    }

    /// Writes the records of new tasks, tree by tree, so that each tree's neighbours are written one after the other.
    fn create_tasks(&mut self, parent: TaskId, first: u32, new: Vec<(Key, TaskSpec)>) -> Tx<()> {
        let numbered = || (first..).map(|index| TaskId::new(parent.run, parent.step, index));
        for (id, (_, spec)) in numbered().zip(&new) {
            if !spec.input.is_empty() {
                self.put(&keys::input(id), spec.input.as_bytes())?;
            }
        }
        let mut buffer = Vec::new();
        for (id, (key, _)) in numbered().zip(&new) {
            record::encode(&id.index, &mut buffer)?;
            self.put(key, &buffer)?;
        }
        for (id, (_, spec)) in numbered().zip(new) {
            let task = Task::new(id, spec.key, Some(parent.index), self.now);
            record::encode(&task, &mut buffer)?;
            self.put(&keys::task(id), &buffer)?;
        }
        Ok(())
    }
}
