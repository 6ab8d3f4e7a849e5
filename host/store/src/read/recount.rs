//! Counting everything again, from the records alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::ops::ControlFlow;

use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::log::LevelCounts;
use bulkhead_core::plan::Plan;
use bulkhead_core::run::{Run, TaskCounts, Usage};
use bulkhead_core::task::{Task, TaskState, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::Statistics;

use crate::agenda::Agenda;
use crate::content::Place;
use crate::events;
use crate::keys::{self, Fields, Key, KeyRange, UseKind};
use crate::kv::{Direction, Fault, KvRead, Tree, Tx};
use crate::logs::{self, Wanted};
use crate::record::{self, ArtifactRow, ContentRow, IdempotencyRow, UploadRow, run_status_code, task_status_code};
use crate::txn::{Txn, components, ready_rows, timer_of};

/// The most differences that are named; of a damaged store, the first ones tell enough.
const MOST_DIFFERENCES: usize = 100;

/// What is stored, and what follows from the records.
struct Recount<'a> {
    kv: &'a dyn KvRead,
    differences: Vec<String>,
    runs: BTreeMap<RunId, (Run, Plan)>,
    removed: BTreeSet<RunId>,
    statistics: Statistics,
    /// What the indexes should hold.
    held: BTreeSet<(WorkerId, TaskId)>,
    ready: BTreeSet<(RunId, StepIndex, Timestamp, u32)>,
    summoned: BTreeSet<TaskId>,
    letters: super::letter::Counted,
}

/// What the tasks of a step add up to.
#[derive(Debug, Default)]
struct StepSums {
    tasks: TaskCounts,
    lines: LevelCounts,
    usage: Usage,
    attempts: u64,
    summoned: u32,
    next: u32,
}

/// The differences between what is stored and what follows from it.
pub(crate) fn recount(kv: &dyn KvRead) -> Tx<Vec<String>> {
    let mut recount = Recount {
        kv,
        differences: Vec::new(),
        runs: BTreeMap::new(),
        removed: BTreeSet::new(),
        statistics: Statistics::default(),
        held: BTreeSet::new(),
        ready: BTreeSet::new(),
        summoned: BTreeSet::new(),
        letters: super::letter::Counted::default(),
    };
    recount.runs()?;
    recount.tasks()?;
    recount.beside_tasks()?;
    recount.indexes()?;
    recount.run_indexes()?;
    recount.logs()?;
    recount.events()?;
    recount.totals()?;
    recount.idempotency()?;
    let Recount { mut differences, letters, .. } = recount;
    letters.compare(kv, &mut differences)?;
    super::schedule::recount(kv, &mut differences)?;
    super::hooks::recount(kv, &mut differences)?;
    Ok(differences)
}

impl Txn<'_> {
    /// The same for what the writer keeps in memory.
    pub(crate) fn recount_memory(&mut self) -> Tx<Vec<String>> {
        // What earlier operations of the batch changed must be in the tables to be compared.
        self.finish()?;
        let recounted = self.reloaded()?;
        let mut differences = Vec::new();
        let sorted = |agenda: &Agenda| agenda.steps().collect::<BTreeSet<_>>();
        differ(&mut differences, || "the agenda".into(), &sorted(&self.state.agenda), &sorted(&recounted.agenda));
        self.state.compare(&recounted, &mut differences);
        Ok(differences)
    }
}

/// Notes a difference between what is stored and what was counted.
pub(crate) fn differ<T: PartialEq + Debug>(
    differences: &mut Vec<String>,
    what: impl FnOnce() -> String,
    stored: &T,
    counted: &T,
) {
    if stored != counted && differences.len() < MOST_DIFFERENCES {
        differences.push(format!("{}: stored {stored:?}, counted {counted:?}", what()));
    }
}

impl Recount<'_> {
    fn note(&mut self, difference: String) {
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(difference);
        }
    }

    fn differ<T: PartialEq + Debug>(&mut self, what: impl FnOnce() -> String, stored: &T, counted: &T) {
        differ(&mut self.differences, what, stored, counted);
    }

    /// Rows of a set-like index, compared both ways.
    fn same_set<T: Ord + Copy + Debug>(&mut self, what: &str, stored: &BTreeSet<T>, counted: &BTreeSet<T>) {
        for row in stored.difference(counted) {
            self.note(format!("{what} has {row:?} without a record"));
        }
        for row in counted.difference(stored) {
            self.note(format!("{what} lacks {row:?}"));
        }
    }

    fn scan(kv: &dyn KvRead, range: &KeyRange, mut visit: impl FnMut(&[u8], &[u8]) -> Tx<()>) -> Tx<()> {
        kv.scan(range, Direction::Forward, &mut |key, value| visit(key, value).map(ControlFlow::Continue))
    }

    fn rows<T: Ord>(kv: &dyn KvRead, table: &Key, mut row: impl FnMut(Fields<'_>, &[u8]) -> Tx<T>) -> Tx<BTreeSet<T>> {
        let mut rows = BTreeSet::new();
        Self::scan(kv, &table.prefix(), |key, value| {
            rows.insert(row(Fields::of(key, 1), value)?);
            Ok(())
        })?;
        Ok(rows)
    }

    fn runs(&mut self) -> Tx<()> {
        let kv = self.kv;
        let mut plans: HashMap<Digest, u64> = HashMap::new();
        let mut plugins: HashMap<Digest, u64> = HashMap::new();
        self.removed = Self::rows(kv, &keys::removals(), |mut fields, _| fields.run())?;
        Self::scan(kv, &KeyRange::all(Tree::Runs), |key, value| {
            let run: Run = record::decode(value)?;
            if keys::run(run.id).bytes() != key || record::lead_of(value) != Some(run_status_code(run.state.status())) {
                self.note(format!("{} lies under another key or state", run.id));
            }
            let plan: Plan =
                record::load(kv, &keys::plan(run.plan))?.ok_or_else(|| Fault::Corrupt(format!("no plan {}", run.plan)))?;
            *plans.entry(run.plan).or_default() += 1;
            self.statistics.runs[usize::from(run_status_code(run.state.status()))] += 1;
            if run.state.is_terminal() != run.ended_at.is_some() || run.steps.len() != plan.steps.len() {
                self.note(format!("{} has no end, an end too early, or other steps than its plan", run.id));
            }
            if !run.state.is_terminal() {
                for component in components(&plan) {
                    *plugins.entry(component).or_default() += 1;
                }
            }
            self.runs.insert(run.id, (run, plan));
            Ok(())
        })?;
        let counted = plans.iter().map(|(&digest, &count)| (UseKind::Plan as u8, digest, count));
        let counted = counted.chain(plugins.iter().map(|(&digest, &count)| (UseKind::Plugin as u8, digest, count)));
        let contents = self.content_rows()?;
        let counted =
            counted.chain(contents.iter().map(|(&digest, &(_, count))| (UseKind::Content as u8, digest, count))).collect();
        self.statistics.contents = contents.len() as u64;
        self.statistics.content_bytes = contents.values().map(|(size, _)| size).sum();
        let stored =
            Self::rows(kv, &keys::uses(), |mut fields, value| Ok((fields.byte()?, fields.digest()?, record::decode(value)?)))?;
        self.same_set::<(u8, Digest, u64)>("the use counters", &stored, &counted);
        let mut stored = BTreeSet::new();
        Self::scan(kv, &KeyRange::all(Tree::Plans), |key, _| {
            stored.insert(Fields::of(key, 0).digest()?);
            Ok(())
        })?;
        self.same_set("the plans", &stored, &plans.keys().copied().collect());
        Ok(())
    }

    fn tasks(&mut self) -> Tx<()> {
        let kv = self.kv;
        let mut counts: HashMap<(RunId, StepIndex), StepSums> = HashMap::new();
        Self::scan(kv, &KeyRange::all(Tree::Tasks), |key, value| {
            let task: Task = record::decode(value)?;
            let id = task.id;
            if keys::task(id).bytes() != key || record::lead_of(value) != Some(task_status_code(task.state.status())) {
                self.note(format!("{id} lies under another key or state"));
            }
            if !self.runs.contains_key(&id.run) {
                if !self.removed.contains(&id.run) {
                    self.note(format!("{id} has no run"));
                }
                return Ok(());
            }
            let sums = counts.entry((id.run, id.step)).or_default();
            if sums.next != id.index {
                self.differences.push(format!("{id} follows number {}, which is missing", sums.next));
            }
            sums.next = id.index + 1;
            count(&mut sums.tasks, task.state.status());
            plus(&mut sums.lines, &task.lines);
            sums.usage.add(&task.usage);
            sums.attempts += u64::from(task.attempt) - u64::from(task.state.worker().is_some());
            sums.summoned += u32::from(task.waits_summoned());
            self.statistics.tasks[usize::from(task_status_code(task.state.status()))] += 1;
            self.letters.add(&task);
            match &task.state {
                TaskState::Queued { .. } | TaskState::Retrying { .. } if task.summoned => {
                    self.summoned.insert(id);
                }
                TaskState::Queued { due } | TaskState::Retrying { due, .. } => {
                    self.ready.insert((id.run, id.step, *due, id.index));
                }
                TaskState::Running { worker, .. } => {
                    self.held.insert((*worker, id));
                }
                TaskState::Succeeded | TaskState::Failed(_) | TaskState::Cancelled | TaskState::Skipped => {}
            }
            if task.is_plan() != task.parent.is_none() || task.state.status().is_terminal() != task.ended_at.is_some() {
                self.note(format!("{id} has the wrong parent or end"));
            }
            Ok(())
        })?;
        let runs = std::mem::take(&mut self.runs);
        for (run, _) in runs.values() {
            for (index, step) in (0..).map(StepIndex).zip(&run.steps) {
                let sums = counts.remove(&(run.id, index)).unwrap_or_default();
                self.differ(|| format!("the task counters of step {} of {}", index.0, run.id), &step.tasks, &sums.tasks);
                self.differ(|| format!("the line counters of step {} of {}", index.0, run.id), &step.lines, &sums.lines);
                self.differ(|| format!("the usage of step {} of {}", index.0, run.id), &step.usage, &sums.usage);
                self.differ(|| format!("the attempts of step {} of {}", index.0, run.id), &step.attempts, &sums.attempts);
                self.differ(|| format!("the summoned tasks of step {} of {}", index.0, run.id), &step.summoned, &sums.summoned);
                self.differ(|| format!("the tasks ever spawned in step {} of {}", index.0, run.id), &step.spawned, &sums.next);
            }
        }
        self.runs = runs;
        Ok(())
    }

    /// Deduplication keys name the task with that key, both ways; nothing lies beside a task that is not there.
    fn beside_tasks(&mut self) -> Tx<()> {
        let kv = self.kv;
        let mut keys_found = 0u64;
        Self::scan(kv, &KeyRange::all(Tree::Dedup), |key, value| {
            let mut fields = Fields::of(key, 0);
            let (run, step) = (fields.run()?, fields.step()?);
            if self.removed.contains(&run) {
                return Ok(());
            }
            keys_found += 1;
            let (text, index): (&str, u32) = (fields.text()?, record::decode(value)?);
            let task: Option<Task> = record::load(kv, &keys::task(TaskId::new(run, step, index)))?;
            if task.is_none_or(|task| &*task.key != text || task.is_plan()) {
                self.note(format!("key {text:?} of step {} of {run} names task {index}, which has another", step.0));
            }
            Ok(())
        })?;
        let spawned: u64 =
            self.runs.values().flat_map(|(run, _)| &run.steps).map(|step| u64::from(step.spawned.saturating_sub(1))).sum();
        self.differ(|| "the number of deduplication keys".into(), &keys_found, &spawned);
        for tree in [Tree::Outputs, Tree::Checkpoints] {
            Self::scan(kv, &KeyRange::all(tree), |key, _| self.belongs(Fields::of(key, 0).task()?, tree))?;
        }
        let inputs: Vec<TaskId> = Self::rows(kv, &keys::inputs(), |mut fields, _| fields.task())?.into_iter().collect();
        inputs.into_iter().try_for_each(|task| self.belongs(task, Tree::Inputs))?;
        let parameters = Self::rows(kv, &keys::all_parameters(), |mut fields, _| fields.run())?;
        for run in parameters {
            if !self.runs.contains_key(&run) {
                self.note(format!("parameters of {run}, which is not there"));
            }
        }
        Ok(())
    }

    fn belongs(&mut self, id: TaskId, tree: Tree) -> Tx<()> {
        let ends_checkpoint = |task: &Task| task.state.status() == TaskStatus::Succeeded;
        if self.removed.contains(&id.run) {
            return Ok(());
        }
        match record::load::<Task>(self.kv, &keys::task(id))? {
            None => self.note(format!("{} of {id}, which is not there", tree.name())),
            Some(task) if tree == Tree::Checkpoints && ends_checkpoint(&task) => {
                self.note(format!("a checkpoint of {id}, which has ended"))
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The indexes of live tasks.
    fn indexes(&mut self) -> Tx<()> {
        let kv = self.kv;
        let held = Self::rows(kv, &keys::held(), |mut fields, _| Ok((fields.worker()?, fields.task()?)))?;
        let counted = std::mem::take(&mut self.held);
        self.same_set("held", &held, &counted);
        let workers = Self::rows(kv, &keys::workers(), |mut fields, _| fields.worker())?;
        for (worker, task) in &held {
            if !workers.contains(worker) {
                self.note(format!("{task} is held by {worker}, which is not registered"));
            }
        }
        let mut ready = BTreeSet::new();
        let mut twice = Vec::new();
        Self::scan(kv, &keys::ready().prefix(), |key, value| {
            let (run, step, due, tasks) = ready_rows(key, value)?;
            for index in tasks {
                if !ready.insert((run, step, due, index)) {
                    twice.push(TaskId::new(run, step, index));
                }
            }
            Ok(())
        })?;
        for task in twice {
            self.note(format!("{task} is ready twice"));
        }
        let counted = std::mem::take(&mut self.ready);
        self.same_set("ready", &ready, &counted);
        let summoned = Self::rows(kv, &keys::summoned(), |mut fields, _| fields.task())?;
        let counted = std::mem::take(&mut self.summoned);
        self.same_set("summoned", &summoned, &counted);
        for (worker, task) in Self::rows(kv, &keys::revoked(), |mut fields, _| Ok((fields.worker()?, fields.task()?)))? {
            if !held.contains(&(worker, task)) {
                self.note(format!("{task} is revoked from {worker}, which does not hold it"));
            }
        }
        Ok(())
    }

    /// The indexes of runs: timers, sweeps, ended runs.
    fn run_indexes(&mut self) -> Tx<()> {
        let kv = self.kv;
        let (mut timers, mut sweeps, mut ended) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (run, plan) in self.runs.values() {
            ended.extend(run.ended_at.map(|at| (at, run.id)));
            // A timer goes when it fires, and nothing is left to time out once the run is being stopped.
            if let Some(at) = timer_of(run, plan).filter(|_| !run.state.is_terminal() && run.stop.is_none()) {
                timers.insert((at, run.id));
            }
            for (index, step) in (0..).map(StepIndex).zip(&run.steps) {
                if !step.retries.is_empty() || step.stop.is_some() && step.tasks.waiting() > 0 {
                    sweeps.insert((run.id, index));
                }
            }
        }
        let stored = Self::rows(kv, &keys::ended(), |mut fields, _| Ok((fields.time()?, fields.run()?)))?;
        self.same_set("ended runs", &stored, &ended);
        let stored = Self::rows(kv, &keys::timers(), |mut fields, _| Ok((fields.time()?, fields.run()?)))?;
        for missing in timers.difference(&stored) {
            self.note(format!("timers lack {missing:?}"));
        }
        for (_, run) in stored {
            if self.runs.get(&run).is_none_or(|(run, _)| run.state.is_terminal()) {
                self.note(format!("a timer of {run}, which is not live"));
            }
        }
        let stored = Self::rows(kv, &keys::sweeps(), |mut fields, _| Ok((fields.run()?, fields.step()?)))?;
        for missing in sweeps.difference(&stored) {
            self.note(format!("sweeps lack {missing:?}"));
        }
        Ok(())
    }

    /// Lines are numbered 1..N in their run, 1..n in their step and 0..m in their attempts, and counted by level.
    fn logs(&mut self) -> Tx<()> {
        let kv = self.kv;
        let mut differences = Vec::new();
        for (run, _) in self.runs.values() {
            let mut next = 1;
            let mut steps: HashMap<StepIndex, LevelCounts> = HashMap::new();
            let mut attempts: HashMap<(StepIndex, u32, u32), u64> = HashMap::new();
            Self::scan(kv, &keys::of_run(Tree::Logs, run.id).prefix(), |key, value| {
                logs::read(Fields::of(key, 16).seq()?, value, &Wanted::default(), &mut |line| {
                    let counts = steps.entry(line.step).or_default();
                    let attempt = attempts.entry((line.step, line.task, line.attempt)).or_default();
                    let numbers = (line.seq, line.step_seq, line.attempt_line);
                    differ(
                        &mut differences,
                        || format!("a line's numbers in {}", run.id),
                        &numbers,
                        &(next, counts.total() + 1, *attempt),
                    );
                    counts.add(line.level);
                    *attempt += 1;
                    next += 1;
                    true
                })?;
                Ok(())
            })?;
            differ(&mut differences, || format!("the last line of {}", run.id), &run.last_line, &(next - 1));
            for (index, step) in (0..).map(StepIndex).zip(&run.steps) {
                let counted = steps.get(&index).copied().unwrap_or_default();
                differ(&mut differences, || format!("the lines of step {} of {}", index.0, run.id), &step.lines, &counted);
            }
            for ((step, task, attempt), lines) in attempts {
                let id = TaskId::new(run.id, step, task);
                let stored: Option<Task> = record::load(kv, &keys::task(id))?;
                let current = stored.as_ref().filter(|task| task.attempt == attempt).map(|task| task.attempt_lines);
                let ended = stored
                    .as_ref()
                    .and_then(|task| task.history.iter().find(|ended| ended.number == attempt))
                    .map(|ended| ended.lines);
                // Older attempts than the history keeps are not known any more.
                for stored in current.into_iter().chain(ended) {
                    differ(&mut differences, || format!("the lines of attempt {attempt} of {id}"), &stored, &lines);
                }
            }
        }
        self.differences.extend(differences);
        Ok(())
    }

    fn events(&mut self) -> Tx<()> {
        let mut next = events::first_kept(self.kv)?;
        let mut gaps = Vec::new();
        Self::scan(self.kv, &KeyRange::all(Tree::Events), |key, value| {
            for event in events::decode(Fields::of(key, 0).seq()?, value)? {
                differ(&mut gaps, || "an event's number".into(), &event.seq, &next);
                next = event.seq + 1;
            }
            Ok(())
        })?;
        self.differences.extend(gaps);
        let last = super::totals(self.kv)?.last_event;
        self.differ(|| "the last event".into(), &last, &(next - 1));
        Ok(())
    }

    fn totals(&mut self) -> Tx<()> {
        let stored = super::totals(self.kv)?.statistics;
        // Totals of what was removed since can't be counted again.
        self.differ(|| "runs by state".into(), &stored.runs, &{ self.statistics.runs });
        self.differ(|| "tasks by state".into(), &stored.tasks, &{ self.statistics.tasks });
        self.differ(|| "contents".into(), &stored.contents, &{ self.statistics.contents });
        self.differ(|| "bytes of contents".into(), &stored.content_bytes, &{ self.statistics.content_bytes });
        let lines: u64 = self.runs.values().map(|(run, _)| run.last_line).sum();
        let attempts: u64 = self.runs.values().flat_map(|(run, _)| &run.steps).map(|step| step.attempts).sum();
        if stored.lines < lines || stored.attempts < attempts {
            self.note(format!("totals {stored:?} are below what is stored: {lines} lines, {attempts} attempts"));
        }
        Ok(())
    }

    /// What names content, how often, and how large it is; and that each file and artifact belongs to a run.
    fn content_rows(&mut self) -> Tx<BTreeMap<Digest, (u64, u64)>> {
        let rows = content_rows(self.kv)?;
        for run in rows.runs {
            if !self.runs.contains_key(&run) && !self.removed.contains(&run) {
                self.note(format!("a file or an artifact of {run}, which is not there"));
            }
        }
        for digest in rows.of_two_sizes {
            self.note(format!("content {digest} has two sizes"));
        }
        let expiries = Self::rows(self.kv, &keys::upload_expiries(), |mut fields, _| Ok((fields.time()?, fields.digest()?)))?;
        self.same_set("the expiries of uploaded files", &expiries, &rows.expiries);
        Ok(rows.contents)
    }

    fn idempotency(&mut self) -> Tx<()> {
        let mut rows = BTreeSet::new();
        Self::scan(self.kv, &keys::idempotency_keys().prefix(), |key, value| {
            let row: IdempotencyRow = record::decode(value)?;
            rows.insert((row.expires, Fields::of(key, 1).text()?.to_owned()));
            Ok(())
        })?;
        let expiries =
            Self::rows(self.kv, &keys::idempotency_expiries(), |mut fields, _| Ok((fields.time()?, fields.text()?.to_owned())))?;
        self.differ(|| "the expiries of idempotency keys".into(), &expiries, &rows);
        Ok(())
    }
}

/// What the rows that name content say.
#[derive(Default)]
struct ContentRows {
    /// The size of each content, and how many rows name it.
    contents: BTreeMap<Digest, (u64, u64)>,
    runs: BTreeSet<RunId>,
    expiries: BTreeSet<(Timestamp, Digest)>,
    of_two_sizes: Vec<Digest>,
}

impl ContentRows {
    fn add(&mut self, digest: Digest, size: u64) {
        let (known, count) = self.contents.entry(digest).or_insert((size, 0));
        *count += 1;
        if *known != size {
            self.of_two_sizes.push(digest);
        }
    }
}

fn content_rows(kv: &dyn KvRead) -> Tx<ContentRows> {
    let mut rows = ContentRows::default();
    Recount::scan(kv, &keys::all_artifacts().prefix(), |key, value| {
        let ArtifactRow { content, .. } = record::decode(value)?;
        rows.runs.insert(Fields::of(key, 1).run()?);
        rows.add(content.digest, content.size);
        Ok(())
    })?;
    Recount::scan(kv, &keys::all_run_files().prefix(), |key, value| {
        let ContentRow { digest, size } = record::decode(value)?;
        rows.runs.insert(Fields::of(key, 1).run()?);
        rows.add(digest, size);
        Ok(())
    })?;
    Recount::scan(kv, &keys::uploads().prefix(), |key, value| {
        let (digest, UploadRow { size, expires }) = (Fields::of(key, 1).digest()?, record::decode(value)?);
        rows.expiries.insert((expires, digest));
        rows.add(digest, size);
        Ok(())
    })?;
    Ok(rows)
}

/// Content that is named and not there, or has another size.
pub(crate) fn contents(kv: &dyn KvRead, place: &dyn Place) -> Tx<Vec<String>> {
    let mut differences = Vec::new();
    for (digest, (size, _)) in content_rows(kv)?.contents {
        let stored = place.size(digest).map_err(|error| Fault::Storage(error.to_string()))?;
        differ(&mut differences, || format!("the size of content {digest}"), &stored, &Some(size));
    }
    Ok(differences)
}

fn count(counts: &mut TaskCounts, status: TaskStatus) {
    *match status {
        TaskStatus::Queued => &mut counts.queued,
        TaskStatus::Running => &mut counts.running,
        TaskStatus::Retrying => &mut counts.retrying,
        TaskStatus::Succeeded => &mut counts.succeeded,
        TaskStatus::Failed => &mut counts.failed,
        TaskStatus::Cancelled => &mut counts.cancelled,
        TaskStatus::Skipped => &mut counts.skipped,
    } += 1;
}

fn plus(sum: &mut LevelCounts, other: &LevelCounts) {
    sum.debug += other.debug;
    sum.info += other.info;
    sum.warn += other.warn;
    sum.error += other.error;
}
