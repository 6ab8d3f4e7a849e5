//! What must always hold. The oracle follows the store's events and log after every call, keeps a model of its own of every run,
//! and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bulkhead_core::event::{Event, EventRecord};
use bulkhead_core::id::{RunId, StepIndex, TaskId};
use bulkhead_core::log::{Source, TAIL_LINES};
use bulkhead_core::machine::{run_may_become, step_may_become, task_may_become};
use bulkhead_core::plan::Plan;
use bulkhead_core::run::{Run, RunState, RunStatus, StepState, StepStatus, TaskCounts};
use bulkhead_core::task::{Attempt, AttemptEnd, Task, TaskState, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{Claimed, LogQuery, LogRecord, Store, StoreError, TaskOrder};
use bytes::Bytes;

use crate::timetable::TimetableModel;
use crate::uploads::UploadsModel;
use crate::world::ready;

/// Events and lines read at once.
const PAGE: usize = 500;

/// `Ok`, or what is broken.
pub(crate) type Check = Result<(), String>;

/// Fails unless a condition holds.
macro_rules! hold {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

/// The model of everything.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    last_event: u64,
    last_at: Timestamp,
    pub(crate) runs: BTreeMap<RunId, RunModel>,
    /// What executors say of their attempts.
    pub(crate) attempts: BTreeMap<(TaskId, u32), AttemptModel>,
    checkpoints: BTreeMap<TaskId, Bytes>,
    /// What a call has broken on the way.
    faults: Vec<String>,
    /// Runs that were created under a key.
    keys: BTreeMap<String, RunId>,
    /// What became of the schedule's fires.
    pub(crate) timetable: TimetableModel,
    /// What is known of uploads.
    pub(crate) uploads: UploadsModel,
    /// When a run's cancellation was acknowledged, in microseconds of the simulation.
    pub(crate) cancelled: BTreeMap<RunId, u64>,
    /// When the cancellation of a running attempt was acknowledged, likewise.
    pub(crate) cancelled_tasks: BTreeMap<(TaskId, u32), u64>,
    /// Inputs that were edited, durably.
    inputs: BTreeMap<TaskId, Arc<str>>,
    /// Keys under which somebody asked for a task to run next, and how many tasks were taken for it.
    summons: BTreeSet<String>,
    summoned: usize,
}

/// A run, as its events tell it.
#[derive(Debug)]
pub(crate) struct RunModel {
    pub(crate) plan: Arc<Plan>,
    pub(crate) status: RunStatus,
    pub(crate) stopping: bool,
    pub(crate) steps: Vec<StepModel>,
    last_line: u64,
    /// It was removed.
    pub(crate) gone: bool,
}

/// A step.
#[derive(Debug)]
pub(crate) struct StepModel {
    pub(crate) status: StepStatus,
    pub(crate) stopping: bool,
    pub(crate) tasks: Vec<TaskModel>,
    lines: u64,
    spawned: BTreeSet<Box<str>>,
}

/// A task.
#[derive(Clone, Debug)]
pub(crate) struct TaskModel {
    pub(crate) status: TaskStatus,
    pub(crate) due: Timestamp,
    attempt: u32,
    lines: u64,
    plugin_lines: u64,
    deaths: u32,
    /// Its attempt is told to end.
    pub(crate) stopping: bool,
    /// It runs out of turn, since this moment.
    pub(crate) summoned: Option<Timestamp>,
}

impl TaskModel {
    /// Whether it waits to be claimed.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.status, TaskStatus::Queued | TaskStatus::Retrying)
    }
}

/// An attempt, as its executor tells it.
#[derive(Debug, Default)]
pub(crate) struct AttemptModel {
    /// Lines that were offered, in order.
    pub(crate) offered: Vec<String>,
    /// How many of them were accepted.
    pub(crate) accepted: u64,
    /// How many lines the quota must have suppressed.
    pub(crate) suppressed: u64,
    /// How it ended.
    pub(crate) outcome: Option<Outcome>,
    /// What it put out.
    pub(crate) output: Option<Arc<str>>,
    process: usize,
    claims: u32,
    completions: u32,
}

/// How an executor says that an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed(String),
    Cancelled,
    Panicked,
}

impl StepModel {
    pub(crate) fn count(&self, status: TaskStatus) -> u32 {
        self.tasks.iter().filter(|task| task.status == status).count() as u32
    }
}

impl Oracle {
    /// The store was opened again: its clock may be behind what it was.
    pub(crate) fn reopened(&mut self) {
        self.last_at = Timestamp::EPOCH;
    }

    /// A claim gave tasks to a process.
    pub(crate) fn claimed(&mut self, process: usize, tasks: &[Claimed]) {
        for Claimed { task, attempt, input, .. } in tasks {
            if let Some(edited) = self.inputs.get(task)
                && edited != input
            {
                self.faults.push(format!("attempt {attempt} at {task} got {input}, its input was edited to {edited}"));
            }
            let model = self.attempts.entry((*task, *attempt)).or_default();
            model.process = process;
            model.claims += 1;
            if model.claims > 1 {
                self.faults.push(format!("attempt {attempt} at {task} was handed out twice"));
            }
        }
    }

    /// An attempt's end was accepted.
    pub(crate) fn completed(&mut self, task: TaskId, attempt: u32) {
        let model = self.attempts.entry((task, attempt)).or_default();
        model.completions += 1;
        if model.completions > 1 {
            self.faults.push(format!("the end of attempt {attempt} at {task} was recorded twice"));
        }
    }

    /// Something was ordered of a task, durably.
    pub(crate) fn ordered(&mut self, after: &Task, order: &TaskOrder, now: u64) {
        match order {
            TaskOrder::Edit { input, .. } => drop(self.inputs.insert(after.id, input.clone())),
            TaskOrder::Cancel if after.state.worker().is_some() => {
                self.cancelled_tasks.entry((after.id, after.attempt)).or_insert(now);
            }
            TaskOrder::Cancel | TaskOrder::Retry | TaskOrder::Skip => {}
        }
    }

    /// A run's cancellation was acknowledged, unless it has ended since.
    pub(crate) fn cancellation(&mut self, run: RunId, at: u64) {
        if self.runs.get(&run).is_some_and(|model| model.stopping) {
            self.cancelled.entry(run).or_insert(at);
        }
    }

    /// Somebody asks for a task to run next.
    pub(crate) fn summons_asked(&mut self, key: &str) {
        self.summons.insert(key.to_owned());
    }

    /// All tasks that are not gone.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.runs.iter().filter(|(_, run)| !run.gone).flat_map(|(id, run)| {
            let steps = (0..).map(StepIndex).zip(&run.steps);
            let id = *id;
            steps.flat_map(move |(step, model)| (0..model.tasks.len() as u32).map(move |index| TaskId::new(id, step, index)))
        })
    }

    /// Whether an attempt is at work.
    pub(crate) fn is_running(&self, task: TaskId, attempt: u32) -> bool {
        let model = self.runs.get(&task.run).filter(|run| !run.gone);
        let model = model.and_then(|run| run.steps[task.step.get()].tasks.get(task.index as usize));
        model.is_some_and(|task| task.status == TaskStatus::Running && task.attempt == attempt)
    }

    /// Tasks were spawned, durably.
    pub(crate) fn spawned(&mut self, from: TaskId, keys: Vec<Box<str>>) {
        if let Some(run) = self.runs.get_mut(&from.run) {
            run.steps[from.step.get()].spawned.extend(keys);
        }
    }

    /// A checkpoint was saved, durably.
    pub(crate) fn saved(&mut self, task: TaskId, data: Bytes) {
        self.checkpoints.insert(task, data);
    }

    /// The checkpoint that was saved last.
    pub(crate) fn checkpoint(&self, task: TaskId) -> Option<Bytes> {
        self.checkpoints.get(&task).cloned()
    }

    /// A run was created, or found, under a key: always the same one.
    pub(crate) fn created(&mut self, key: &str, run: RunId) -> Check {
        let first = *self.keys.entry(key.to_owned()).or_insert(run);
        let gone = self.runs.get(&first).is_some_and(|run| run.gone);
        hold!(first == run || gone, "the key {key} created {first} and {run}");
        Ok(())
    }

    /// Reads what is new and checks it. What happened goes to `news`.
    pub(crate) fn look(&mut self, store: &dyn Store, news: &mut Vec<String>) -> Check {
        let mut events = Vec::new();
        loop {
            let after = self.last_event + events.len() as u64;
            let page = read(store.events(after, PAGE))?;
            let full = page.len() == PAGE;
            events.extend(page);
            if !full {
                break;
            }
        }
        for run in events.iter().filter(|record| record.event == Event::RunCreated).filter_map(|record| record.run) {
            let plan = read(store.run(run))?.plan;
            self.runs.insert(run, RunModel::new(plan));
        }
        let live: Vec<_> = self.runs.iter().filter(|(_, run)| !run.gone).map(|(id, _)| *id).collect();
        let mut records = BTreeMap::new();
        for id in live {
            match ready(store.run(id)) {
                Ok(view) => drop(records.insert(id, view.run)),
                Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(format!("{id} can't be read: {error}")),
            }
        }
        // The lines of a call come before its events: a last line and the end of its attempt are one transaction.
        for (id, run) in &records {
            self.look_at_log(store, *id, run)?;
        }
        for record in &events {
            self.look_at_event(record, record.run.is_some_and(|run| records.contains_key(&run)))
                .map_err(|broken| format!("{broken}, in event {record:?}"))?;
            news.push(format!("  {:?} {:?}", record.run.map(short), record.event));
        }
        for (id, model) in &mut self.runs {
            match records.get(id) {
                Some(run) => model.compare(run).map_err(|broken| format!("{broken}, in {id}"))?,
                None => {
                    hold!(model.status.is_terminal(), "{id} vanished while it was {}", model.status.name());
                    model.gone = true;
                }
            }
        }
        self.faults.pop().map_or(Ok(()), Err)
    }

    fn look_at_log(&mut self, store: &dyn Store, id: RunId, run: &Run) -> Check {
        let Some(model) = self.runs.get_mut(&id) else { return Ok(()) };
        while model.last_line < run.last_line {
            let query = LogQuery { after: model.last_line, limit: PAGE, ..LogQuery::default() };
            let page = read(store.log(id, query))?;
            hold!(!page.lines.is_empty(), "{id} has {} lines, and none can be read after {}", run.last_line, model.last_line);
            for line in &page.lines {
                model.add_line(id, line, &self.attempts).map_err(|broken| format!("{broken}, in {id}: {line:?}"))?;
            }
        }
        Ok(())
    }

    /// Checks one event. A run that ended and was removed in one call (its end may be older than others', where the clock went
    /// back) is not readable any more, and neither are its last lines.
    fn look_at_event(&mut self, EventRecord { seq, at, run, event }: &EventRecord, readable: bool) -> Check {
        hold!(*seq == self.last_event + 1, "event {seq} follows event {}", self.last_event);
        self.last_event = *seq;
        hold!(*at >= self.last_at, "the store's clock went back");
        self.last_at = *at;
        if let Event::Fire { fire, .. } = event {
            return self.timetable.fired(fire);
        }
        let run = run.as_ref().ok_or("an event of no run")?;
        let Some(model) = self.runs.get_mut(run) else { return Err(format!("{run} was never created")) };
        hold!(!model.gone, "{run} was removed");
        if let Event::Task { step, index, attempt, ended: Some(ended), .. } = event {
            let id = TaskId::new(*run, *step, *index);
            let task = model.steps[step.get()].tasks.get(*index as usize).ok_or("no such task")?;
            check_end(task, ended, self.attempts.get(&(id, *attempt)), readable)?;
        }
        // Its end is an end, whatever a retry makes of it: it may have timed out before it was cancelled.
        if let Event::Run { to, .. } = event
            && to.is_terminal()
        {
            self.cancelled.remove(run);
        }
        if let Event::TaskSummoned { .. } = event {
            self.summoned += 1;
            let (taken, asked) = (self.summoned, self.summons.len());
            hold!(taken <= asked, "{taken} tasks were summoned, {asked} were asked for");
        }
        model.apply(event, *at)
    }

    /// What must hold when everything has ended.
    pub(crate) fn check_the_end(&self, store: &dyn Store) -> Check {
        for (id, model) in self.runs.iter().filter(|(_, run)| !run.gone) {
            model.check_the_end().map_err(|broken| format!("{broken}, in {id}"))?;
            let mut keys = vec![BTreeSet::new(); model.steps.len()];
            let tails = Tails::read(store, *id)?;
            let mut after = None;
            loop {
                let tasks = read(store.tasks(*id, Default::default(), after, 100))?;
                let Some(last) = tasks.last() else { break };
                after = Some(last.id);
                for task in &tasks {
                    let shadow = &model.steps[task.id.step.get()].tasks[task.id.index as usize];
                    hold!(task.state.status() == shadow.status, "{} is {:?}, its events say {shadow:?}", task.id, task.state);
                    hold!(task.is_plan() || keys[task.id.step.get()].insert(task.key.clone()), "{} has a key twice", task.id);
                    tails.check(store, task)?;
                    if task.state == TaskState::Succeeded {
                        let view = read(store.task(task.id))?;
                        let output = self.attempts.get(&(task.id, task.attempt)).and_then(|attempt| attempt.output.clone());
                        hold!(view.output == output, "{} put out {output:?}, stored is {:?}", task.id, view.output);
                    }
                }
            }
            for (step, keys) in model.steps.iter().zip(&keys) {
                let lost: Vec<_> = step.spawned.difference(keys).collect();
                hold!(lost.is_empty(), "spawned tasks of {id} are missing: {lost:?}");
            }
        }
        self.timetable.check_the_end(store)?;
        self.uploads.check_the_end()?;
        let differences = read(store.recount())?;
        hold!(differences.is_empty(), "a recount differs: {differences:?}");
        Ok(())
    }
}

/// The numbers of an attempt's last lines, by its task and its number.
struct Tails(BTreeMap<(StepIndex, u32, u32), Vec<u64>>);

impl Tails {
    /// Reads a run's whole log.
    fn read(store: &dyn Store, run: RunId) -> Result<Self, String> {
        let (mut tails, mut after) = (BTreeMap::new(), 0);
        loop {
            let page = read(store.log(run, LogQuery { after, limit: PAGE, ..LogQuery::default() }))?;
            for line in &page.lines {
                let tail: &mut Vec<u64> = tails.entry((line.step, line.task, line.attempt)).or_default();
                tail.push(line.seq);
                if tail.len() as u64 > TAIL_LINES {
                    tail.remove(0);
                }
            }
            after = page.scanned;
            if page.scanned >= page.last {
                return Ok(Self(tails));
            }
        }
    }

    /// What the records of a task's attempts say of their last lines is so.
    fn check(&self, store: &dyn Store, task: &Task) -> Check {
        for attempt in &task.history {
            let lines = read(store.log_tail(task.id, attempt.tail.clone()))?;
            let found: Vec<_> = lines.iter().map(|line| line.seq).collect();
            let expected = self.0.get(&(task.id.step, task.id.index, attempt.number)).cloned().unwrap_or_default();
            hold!(
                found == expected,
                "attempt {} at {} ended with lines {expected:?}, it says {found:?}",
                attempt.number,
                task.id
            );
        }
        Ok(())
    }
}

fn short(run: RunId) -> u16 {
    run.as_u128() as u16
}

pub(crate) fn read<T>(future: futures::future::BoxFuture<'_, Result<T, StoreError>>) -> Result<T, String> {
    ready(future).map_err(|error| format!("a read failed: {error}"))
}

/// The end of an attempt says what its executor said, and all its accepted lines are stored, where its log can be read.
fn check_end(task: &TaskModel, ended: &Attempt, said: Option<&AttemptModel>, readable: bool) -> Check {
    hold!(ended.number == task.attempt, "attempt {} ended while {} was the last", ended.number, task.attempt);
    hold!(!readable || ended.lines == task.lines, "{} lines of the attempt are recorded, {} are stored", ended.lines, task.lines);
    let none = AttemptModel::default();
    let said = said.unwrap_or(&none);
    let matches = match (&ended.end, &said.outcome) {
        (AttemptEnd::HostLost, _) => return Ok(()),
        (AttemptEnd::Succeeded, Some(Outcome::Succeeded)) => true,
        (AttemptEnd::Failed(failure), Some(Outcome::Failed(message))) => failure.message == *message,
        (AttemptEnd::Failed(failure), Some(Outcome::Panicked)) => failure.message.contains("the host panicked"),
        (AttemptEnd::Cancelled | AttemptEnd::Released, Some(Outcome::Cancelled)) => true,
        // Given back before it began: its claim was never answered.
        (AttemptEnd::Released, None) => true,
        _ => false,
    };
    hold!(matches, "the attempt ended {:?}, its executor said {:?}", ended.end, said.outcome);
    let stored = said.accepted;
    hold!(
        !readable || task.plugin_lines == stored,
        "{stored} lines of the attempt were accepted, {} are stored",
        task.plugin_lines
    );
    hold!(ended.suppressed == said.suppressed, "{} lines were suppressed, {} are recorded", said.suppressed, ended.suppressed);
    Ok(())
}

impl RunModel {
    fn new(plan: Arc<Plan>) -> Self {
        let step =
            || StepModel { status: StepStatus::Blocked, stopping: false, tasks: Vec::new(), lines: 0, spawned: BTreeSet::new() };
        let steps = plan.steps.iter().map(|_| step()).collect();
        Self { plan, status: RunStatus::Queued, stopping: false, steps, last_line: 0, gone: false }
    }

    fn add_line(&mut self, id: RunId, line: &LogRecord, attempts: &BTreeMap<(TaskId, u32), AttemptModel>) -> Check {
        let step = &mut self.steps[line.step.get()];
        hold!(line.seq == self.last_line + 1, "line {} follows line {}", line.seq, self.last_line);
        hold!(line.step_seq == step.lines + 1, "line {} of the step follows line {}", line.step_seq, step.lines);
        self.last_line += 1;
        step.lines += 1;
        let task = step.tasks.get_mut(line.task as usize).ok_or("a line of a task that is not there")?;
        let holds = task.status == TaskStatus::Running && task.attempt == line.attempt;
        hold!(holds, "a line of a fenced attempt: {} is the last, the task is {}", task.attempt, task.status.name());
        hold!(line.attempt_line == task.lines, "line {} of the attempt follows {} lines", line.attempt_line, task.lines);
        if line.source == Source::Plugin {
            let said = attempts.get(&(TaskId::new(id, line.step, line.task), line.attempt));
            let offered = said.and_then(|said| said.offered.get(task.plugin_lines as usize));
            hold!(offered.is_some_and(|offered| **offered == *line.message), "the attempt wrote {offered:?} here");
            task.plugin_lines += 1;
        }
        task.lines += 1;
        Ok(())
    }

    fn apply(&mut self, event: &Event, at: Timestamp) -> Check {
        match event {
            // It is the schedule's.
            Event::Fire { .. } => {}
            Event::RunCreated => {}
            Event::Run { from, to } => {
                let to = to.status();
                hold!(self.status == *from && run_may_become(*from, to), "the run was {}", self.status.name());
                let over = !to.is_terminal() || self.steps.iter().all(|step| step.status.is_terminal());
                hold!(over, "the run ended before its steps");
                self.status = to;
                self.stopping &= !to.is_terminal();
            }
            Event::RunStopping { .. } => self.stopping = true,
            Event::Step { step, from, to } => {
                let depends = &self.plan.steps[step.get()].depends;
                let ready = depends.iter().all(|&step| self.steps[step.get()].status.is_terminal());
                let step = &mut self.steps[step.get()];
                let to = to.status();
                hold!(step.status == *from && step_may_become(*from, to), "the step was {}", step.status.name());
                hold!(ready || to != StepStatus::Running || *from != StepStatus::Blocked, "the step started too early");
                let over = !to.is_terminal() || step.tasks.iter().all(|task| task.status.is_terminal());
                hold!(over, "the step ended before its tasks");
                step.status = to;
                step.stopping &= !to.is_terminal();
            }
            Event::StepStopping { step, .. } => self.steps[step.get()].stopping = true,
            Event::StepRetrying { .. } => {}
            Event::TasksCreated { step, first, count, .. } => {
                let stopping = self.stopping;
                let step = &mut self.steps[step.get()];
                hold!(step.status == StepStatus::Running, "tasks of a step that is {}", step.status.name());
                hold!(step.tasks.is_empty() || !step.stopping && !stopping, "tasks of a step that is being stopped");
                hold!(step.tasks.len() == *first as usize, "tasks are numbered from {first}, there are {}", step.tasks.len());
                let new = TaskModel {
                    status: TaskStatus::Queued,
                    due: at,
                    attempt: 0,
                    lines: 0,
                    plugin_lines: 0,
                    deaths: 0,
                    stopping: false,
                    summoned: None,
                };
                step.tasks.extend(std::iter::repeat_n(new, *count as usize));
            }
            Event::Task { step, index, attempt, from, to, ended } => {
                let (status, stopping) = (self.status, self.stopping);
                let most = self.plan.steps[step.get()].concurrency;
                let step = &mut self.steps[step.get()];
                let step_stopping = step.stopping;
                let task = step.tasks.get_mut(*index as usize).ok_or("no such task")?;
                let turn = status == RunStatus::Running || status == RunStatus::Paused && task.summoned.is_some();
                let open = turn && !stopping && !step_stopping;
                task.apply(*attempt, *from, to, ended.as_deref())?;
                if to.status() == TaskStatus::Running {
                    hold!(open && step.status == StepStatus::Running, "a task started although nothing may");
                    let running = step.count(TaskStatus::Running);
                    hold!(most.is_none_or(|most| running <= most), "{running} tasks of the step run at once");
                }
            }
            Event::TaskStopping { step, index } => {
                let task = self.task(*step, *index)?;
                hold!(task.status == TaskStatus::Running, "a task is stopped that is {}", task.status.name());
                task.stopping = true;
            }
            Event::TaskSummoned { step, index } => {
                let task = self.task(*step, *index)?;
                hold!(task.waits() && task.summoned.is_none(), "a task is summoned that is {task:?}");
                task.summoned = Some(at);
            }
            Event::TaskEdited { step, index, .. } => {
                let task = self.task(*step, *index)?;
                hold!(!matches!(task.status, TaskStatus::Running | TaskStatus::Succeeded), "a task was edited that is {task:?}");
            }
        }
        Ok(())
    }

    fn task(&mut self, step: StepIndex, index: u32) -> Result<&mut TaskModel, String> {
        self.steps[step.get()].tasks.get_mut(index as usize).ok_or_else(|| "no such task".to_owned())
    }

    /// The record is what the events say.
    fn compare(&self, run: &Run) -> Check {
        hold!(run.state.status() == self.status, "the record says {:?}, the events say {:?}", run.state, self.status);
        hold!(run.stop.is_some() == self.stopping, "the record says {:?}", run.stop);
        hold!(run.last_line == self.last_line, "the record says {} lines, there are {}", run.last_line, self.last_line);
        for (step, model) in run.steps.iter().zip(&self.steps) {
            hold!(step.state.status() == model.status, "a step's record says {:?}, its events {:?}", step.state, model.status);
            hold!(step.lines.total() == model.lines, "a step counts {:?}, there are {} lines", step.lines, model.lines);
            let counts = TaskCounts {
                queued: model.count(TaskStatus::Queued),
                running: model.count(TaskStatus::Running),
                retrying: model.count(TaskStatus::Retrying),
                succeeded: model.count(TaskStatus::Succeeded),
                failed: model.count(TaskStatus::Failed),
                cancelled: model.count(TaskStatus::Cancelled),
                skipped: model.count(TaskStatus::Skipped),
            };
            let summoned = model.tasks.iter().filter(|task| task.waits() && task.summoned.is_some()).count();
            hold!(step.summoned as usize == summoned, "a step counts {} summoned tasks, there are {summoned}", step.summoned);
            hold!(step.tasks == counts, "a step counts {:?}, there are {counts:?}", step.tasks);
        }
        let tolerated = self.plan.tolerance.max_child_failures;
        for (step, model) in run.steps.iter().zip(&self.steps) {
            let children =
                model.tasks.iter().skip(1).filter(|task| matches!(task.status, TaskStatus::Succeeded | TaskStatus::Failed));
            let (children, failed) = (children.count() as f64, f64::from(step.tasks.failed));
            let rated = self.plan.tolerance.max_child_failure_rate.is_some_and(|rate| failed > rate * children + 1e-6);
            let exceeded = step.plan_failed || step.tasks.failed > tolerated || rated || step.tasks.cancelled > 0;
            match step.state {
                StepState::Succeeded => hold!(!exceeded, "a step succeeded with too many failures: {step:?}"),
                StepState::Failed(_) => hold!(exceeded, "a step failed for no reason: {step:?}"),
                _ => {}
            }
        }
        if run.state == RunState::Succeeded {
            let bad = run.steps.iter().any(|step| matches!(step.state, StepState::Cancelled));
            hold!(!bad, "the run succeeded with cancelled steps");
        }
        Ok(())
    }

    fn check_the_end(&self) -> Check {
        hold!(self.status.is_terminal(), "the run is still {}", self.status.name());
        hold!(self.steps.iter().all(|step| step.status.is_terminal()), "a step has not ended");
        let open = self.steps.iter().flat_map(|step| &step.tasks).filter(|task| !task.status.is_terminal()).count();
        hold!(open == 0, "{open} tasks have no result");
        Ok(())
    }
}

impl TaskModel {
    fn apply(&mut self, attempt: u32, from: TaskStatus, to: &TaskState, ended: Option<&Attempt>) -> Check {
        let status = to.status();
        hold!(self.status == from && task_may_become(from, status), "the task was {}", self.status.name());
        hold!(ended.is_some() == (from == TaskStatus::Running), "an attempt ends when a task stops running, and only then");
        let next = self.attempt + u32::from(status == TaskStatus::Running);
        hold!(attempt == next, "attempt {attempt} follows attempt {}", self.attempt);
        if status == TaskStatus::Running {
            (self.lines, self.plugin_lines) = (0, 0);
        }
        if ended.is_some_and(|ended| ended.end == AttemptEnd::HostLost) {
            self.deaths += 1;
        }
        if let TaskState::Failed(failure) = to {
            let quarantined = failure.cause == bulkhead_core::failure::Cause::HostLost;
            hold!(!quarantined || self.deaths >= 3, "quarantined after {} deaths", self.deaths);
        }
        if from.is_terminal() {
            self.deaths = 0;
        }
        let by_itself = from == TaskStatus::Running && to.due().is_some();
        hold!(!self.stopping || !by_itself, "a task that was cancelled goes on: {to:?}");
        self.stopping = false;
        if status != TaskStatus::Running && !(from == TaskStatus::Running && status == TaskStatus::Queued) {
            self.summoned = None;
        }
        if let Some(due) = to.due() {
            self.due = due;
        }
        (self.status, self.attempt) = (status, attempt);
        Ok(())
    }
}
