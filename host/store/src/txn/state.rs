//! What the writer knows in memory: caches of stored records, and indexes that are made anew when a store opens.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use bulkhead_core::event::Event;
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::plan::Plan;
use bulkhead_core::run::Run;
use bulkhead_core::task::Task;
use bulkhead_core::time::Timestamp;

use super::{Txn, bound_cache};
use crate::agenda::Agenda;
use crate::events;
use crate::keys::{self, Fields, Key, UseKind};
use crate::kv::{Direction, Fault, KvRead, Tx};
use crate::logs::ChunkBuilder;
use crate::read::recount::differ;
use crate::record::{self, Totals, WorkerRow};
use crate::signals::Effects;

/// Bytes of a `ready` key before its due time: tag, run, step.
pub(super) const READY_FIELDS: usize = 1 + 16 + 2;

/// Decoded runs that stay in memory between batches.
const MOST_RUNS: usize = 1_024;
/// Decoded tasks that stay in memory between batches: those that run, since their workers write to them.
const MOST_TASKS: usize = 4_096;
/// Decoded plans that stay in memory.
const MOST_PLANS: usize = 256;
/// Use counters that stay in memory.
const MOST_USES: usize = 4_096;

/// A run in memory.
#[derive(Debug)]
pub(crate) struct RunEntry {
    pub(crate) run: Run,
    pub(crate) plan: Arc<Plan>,
    pub(crate) parameters: Arc<str>,
    /// It differs from its stored record.
    pub(super) dirty: bool,
    /// The last batch that used it.
    pub(super) used: u64,
}

/// A task in memory.
#[derive(Debug)]
pub(crate) struct TaskEntry {
    pub(crate) task: Task,
    /// It differs from its stored record.
    pub(super) dirty: bool,
}

/// What the operations of the current batch gathered.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(super) dirty_runs: Vec<RunId>,
    pub(super) dirty_tasks: Vec<TaskId>,
    pub(super) logs: HashMap<RunId, ChunkBuilder>,
    pub(super) events: Vec<(Option<RunId>, Event)>,
    /// Steps whose place on the agenda may have changed.
    pub(super) stale: BTreeSet<(RunId, StepIndex)>,
    pub(crate) effects: Effects,
}

/// Everything that the writer knows in memory. After an aborted batch it is loaded anew.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) runs: HashMap<RunId, RunEntry>,
    pub(super) tasks: HashMap<TaskId, TaskEntry>,
    pub(super) plans: HashMap<Digest, Arc<Plan>>,
    /// Use counters, and whether they differ from the stored ones.
    pub(super) uses: HashMap<(UseKind, Digest), (u64, bool)>,
    pub(super) workers: BTreeMap<WorkerId, WorkerRow>,
    pub(crate) agenda: Agenda,
    /// The tasks that wait out of turn.
    pub(crate) summoned: BTreeSet<TaskId>,
    pub(super) totals: Totals,
    /// How many groups of dead letters there are.
    pub(super) letter_groups: u64,
    stored_totals: Totals,
    /// The number of the first event that is kept, at the beginning of a chunk.
    pub(super) first_event: u64,
    /// The most ended runs that retention keeps, as housekeeping last heard.
    pub(super) keep_runs: Option<u64>,
    pub(super) no_parameters: Arc<str>,
    pub(super) batch_number: u64,
    pub(super) buffer: Vec<u8>,
    pub(crate) batch: Batch,
}

impl State {
    /// What a store that was just opened knows.
    pub(crate) fn load(kv: &dyn KvRead) -> Tx<Self> {
        let totals: Totals = record::load(kv, &keys::totals())?.unwrap_or_default();
        let mut state = Self {
            runs: HashMap::new(),
            tasks: HashMap::new(),
            plans: HashMap::new(),
            uses: HashMap::new(),
            workers: BTreeMap::new(),
            agenda: Agenda::default(),
            summoned: BTreeSet::new(),
            totals,
            letter_groups: 0,
            stored_totals: totals,
            first_event: events::first_kept(kv)?,
            keep_runs: None,
            no_parameters: "{}".into(),
            batch_number: 0,
            buffer: Vec::new(),
            batch: Batch::default(),
        };
        kv.scan(&keys::workers().prefix(), Direction::Forward, &mut |key, value| {
            state.workers.insert(Fields::of(key, 1).worker()?, record::decode(value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        kv.scan(&keys::summoned().prefix(), Direction::Forward, &mut |key, _| {
            state.summoned.insert(Fields::of(key, 1).task()?);
            Ok(ControlFlow::Continue(()))
        })?;
        kv.scan(&keys::letter_groups().prefix(), Direction::Forward, &mut |_, _| {
            state.letter_groups += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        state.load_agenda(kv)?;
        Ok(state)
    }

    /// Compares what lasts beyond a batch with what a store that is opened now knows.
    pub(crate) fn compare(&self, stored: &Self, differences: &mut Vec<String>) {
        differ(differences, || "the workers in memory".into(), &self.workers, &stored.workers);
        differ(differences, || "the summoned tasks in memory".into(), &self.summoned, &stored.summoned);
        differ(differences, || "the totals in memory".into(), &self.totals, &stored.totals);
        differ(differences, || "the groups of dead letters in memory".into(), &self.letter_groups, &stored.letter_groups);
        differ(differences, || "the first event in memory".into(), &self.first_event, &stored.first_event);
    }

    /// Finds the steps with waiting tasks, one look per step, and gives those their places that may be claimed from.
    fn load_agenda(&mut self, kv: &dyn KvRead) -> Tx<()> {
        let all = keys::ready();
        let mut from = all.prefix();
        while let Some((run_id, step, due)) = first_ready(kv, &from)? {
            let run: Run = record::load(kv, &keys::run(run_id))?.ok_or_else(|| Fault::Corrupt(format!("{run_id} is missing")))?;
            let plan = match self.plans.get(&run.plan) {
                Some(plan) => plan.clone(),
                None => {
                    let plan: Plan = record::load(kv, &keys::plan(run.plan))?
                        .ok_or_else(|| Fault::Corrupt(format!("plan {} is missing", run.plan)))?;
                    let plan = Arc::new(plan);
                    self.plans.insert(run.plan, plan.clone());
                    plan
                }
            };
            if run.is_claimable(step, &plan) {
                self.agenda.set(run_id, step, Some((run.priority, due)));
            }
            let Some(next) = keys::ready_of(run_id, step).prefix().end else { break };
            from = Key::from_bytes(all.tree, &next).onward_within(&all);
        }
        Ok(())
    }
}

/// The step, the due time and the tasks of a `ready` row.
pub(crate) fn ready_rows(key: &[u8], value: &[u8]) -> Tx<(RunId, StepIndex, Timestamp, std::ops::Range<u32>)> {
    let mut fields = Fields::of(key, 1);
    let (run, step, due, first) = (fields.run()?, fields.step()?, fields.time()?, fields.number()?);
    let count: u32 = record::decode(value)?;
    Ok((run, step, due, first..first + count))
}

/// The first `ready` row of a range.
fn first_ready(kv: &dyn KvRead, range: &keys::KeyRange) -> Tx<Option<(RunId, StepIndex, Timestamp)>> {
    let mut first = None;
    kv.scan(range, Direction::Forward, &mut |key, _| {
        let mut fields = Fields::of(key, 1);
        first = Some((fields.run()?, fields.step()?, fields.time()?));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first)
}

/// The due time of a step's first waiting task.
pub(crate) fn head(kv: &dyn KvRead, run: RunId, step: StepIndex) -> Tx<Option<Timestamp>> {
    Ok(first_ready(kv, &keys::ready_of(run, step).prefix())?.map(|(_, _, due)| due))
}

impl Txn<'_> {
    /// Writes everything back that the batch changed in memory. Call it once, at the end.
    pub(crate) fn finish(&mut self) -> Tx<()> {
        self.refresh_agenda()?;
        for (run, chunk) in std::mem::take(&mut self.state.batch.logs) {
            self.put_log_chunk(run, chunk)?;
        }
        self.put_events()?;
        self.write_tasks()?;
        let mut buffer = std::mem::take(&mut self.state.buffer);
        for id in std::mem::take(&mut self.state.batch.dirty_runs) {
            if let Some(entry) = self.state.runs.get_mut(&id)
                && std::mem::take(&mut entry.dirty)
            {
                record::encode(&entry.run, &mut buffer)?;
                self.kv.put(&keys::run(id), &buffer)?;
            }
        }
        for (&(kind, digest), (count, dirty)) in &mut self.state.uses {
            if std::mem::take(dirty) {
                let key = keys::use_of(kind, digest);
                if *count == 0 {
                    self.kv.remove(&key)?;
                } else {
                    record::encode(count, &mut buffer)?;
                    self.kv.put(&key, &buffer)?;
                }
            }
        }
        if self.state.totals != self.state.stored_totals {
            self.state.stored_totals = self.state.totals;
            record::encode(&self.state.totals, &mut buffer)?;
            self.kv.put(&keys::totals(), &buffer)?;
        }
        self.state.buffer = buffer;
        self.trim_caches();
        Ok(())
    }

    /// Writes the tasks back that the batch changed in memory.
    pub(super) fn write_tasks(&mut self) -> Tx<()> {
        let mut tasks = std::mem::take(&mut self.state.batch.dirty_tasks);
        // Sorted, so that neighbours land on the same page one after the other.
        tasks.sort_unstable();
        let mut buffer = std::mem::take(&mut self.state.buffer);
        for id in tasks {
            if let Some(entry) = self.state.tasks.get_mut(&id)
                && std::mem::take(&mut entry.dirty)
            {
                record::encode(&entry.task, &mut buffer)?;
                self.kv.put(&keys::task(id), &buffer)?;
            }
        }
        self.state.buffer = buffer;
        Ok(())
    }

    fn trim_caches(&mut self) {
        let state = &mut *self.state;
        let batch = state.batch_number;
        bound_cache(&mut state.runs, MOST_RUNS, |_, entry| entry.used == batch);
        // A task that does not run is not written to again soon.
        state.tasks.retain(|_, entry| entry.task.state.worker().is_some());
        bound_cache(&mut state.tasks, MOST_TASKS, |_, _| false);
        bound_cache(&mut state.plans, MOST_PLANS, |_, plan| Arc::strong_count(plan) > 1);
        bound_cache(&mut state.uses, MOST_USES, |_, _| false);
        state.batch_number += 1;
    }

    /// Appends the batch's events, numbered on from the last.
    fn put_events(&mut self) -> Tx<()> {
        let events = std::mem::take(&mut self.state.batch.events);
        for chunk in events.chunks(events::MOST_PER_CHUNK) {
            let first = self.state.totals.last_event + 1;
            self.state.totals.last_event += chunk.len() as u64;
            let value = events::encode(self.now, chunk)?;
            self.put(&keys::event_chunk(first), &value)?;
        }
        if !events.is_empty() {
            self.state.batch.effects.events = true;
            self.state.batch.effects.runs.extend(events.iter().filter_map(|(run, _)| *run));
            self.trim_events(super::EVENTS_KEPT, 2 + events.len() / events::MOST_PER_CHUNK)?;
        }
        Ok(())
    }

    /// Removes the oldest events while there are more than `keep`, at most `chunks` chunks of them.
    fn trim_events(&mut self, keep: u64, chunks: usize) -> Tx<()> {
        for _ in 0..chunks {
            if self.state.totals.last_event - (self.state.first_event - 1) <= keep {
                break;
            }
            let Some(next) = events::chunk_after(self.kv, self.state.first_event)? else { break };
            if self.state.totals.last_event - (next - 1) < keep {
                break;
            }
            self.remove(&keys::event_chunk(self.state.first_event))?;
            self.state.first_event = next;
        }
        Ok(())
    }
}
