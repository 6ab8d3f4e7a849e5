//! Format 2: hooks are told of runs, and attempts count what they send and receive over HTTP.
//!
//! Tasks, runs and events hold what attempts used, so each of them is written anew; the totals count deliveries, of which there are
//! none yet.

use bulkhead_core::failure::{Failure, FailureFilter};
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::log::{LevelCounts, Tail};
use bulkhead_core::name::Name;
use bulkhead_core::pace::Pace;
use bulkhead_core::plan::Priority;
use bulkhead_core::run::{self, RunState, RunStatus, StepRetry, StepState, StepStatus, StopReason, TaskCounts, Trigger};
use bulkhead_core::schedule::{FireCounts, FireRecord};
use bulkhead_core::task::{self, AttemptEnd, Edit, Progress, TaskState, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_core::{event, hook::HookCounts};
use bulkhead_engine::store::Statistics;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::events;
use crate::keys::{self, Key, KeyRange};
use crate::kv::{self, Direction, Fault, KvWrite, Tree, Tx};
use crate::record::{self, Totals};

/// Rows that are in memory at once.
const PIECE: usize = 1_000;

pub(super) fn migrate(kv: &mut dyn KvWrite) -> Tx<()> {
    let mut buffer = Vec::new();
    if let Some(totals) = kv::bytes(kv, &keys::totals())? {
        let (statistics, last_event, fires): (Statistics, u64, FireCounts) = read(&totals, 1)?;
        let totals = Totals { statistics, last_event, fires, hooks: HookCounts::default(), deliveries: 0 };
        record::encode(&totals, &mut buffer)?;
        kv.put(&keys::totals(), &buffer)?;
    }
    each(kv, Tree::Tasks, &mut |value| {
        record::encode(&task::Task::from(read::<Task>(value, 2)?), &mut buffer)?;
        Ok(buffer.clone())
    })?;
    each(kv, Tree::Runs, &mut |value| {
        record::encode(&run::Run::from(read::<Run>(value, 2)?), &mut buffer)?;
        Ok(buffer.clone())
    })?;
    each(kv, Tree::Events, &mut |value| {
        let (at, chunk): (Timestamp, Vec<(Option<RunId>, Event)>) = read(value, 1)?;
        let chunk: Vec<_> = chunk.into_iter().map(|(run, event)| (run, event.into())).collect();
        events::encode(at, &chunk)
    })
}

/// Reads a value of format 1 after its first `skip` bytes: version and state.
fn read<T: DeserializeOwned>(value: &[u8], skip: usize) -> Tx<T> {
    let body = value.get(skip..).unwrap_or_default();
    postcard::from_bytes(body).map_err(|error| Fault::Corrupt(format!("a record of format 1 can't be decoded: {error}")))
}

/// Replaces every value of a tree.
fn each(kv: &mut dyn KvWrite, tree: Tree, change: &mut dyn FnMut(&[u8]) -> Tx<Vec<u8>>) -> Tx<()> {
    let mut range = KeyRange::all(tree);
    loop {
        let mut piece: Vec<(Key, Vec<u8>)> = Vec::new();
        kv.scan(&range, Direction::Forward, &mut |key, value| {
            piece.push((Key::from_bytes(tree, key), change(value)?));
            Ok(if piece.len() < PIECE { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) })
        })?;
        let Some((last, _)) = piece.last() else { return Ok(()) };
        range.start = [last.bytes(), &[0]].concat();
        for (key, value) in piece {
            kv.put(&key, &value)?;
        }
    }
}

#[derive(Deserialize)]
struct Usage {
    fuel: u64,
    peak_memory: u64,
    cpu_micros: u64,
}

impl From<Usage> for run::Usage {
    fn from(Usage { fuel, peak_memory, cpu_micros }: Usage) -> Self {
        Self { fuel, peak_memory, cpu_micros, ..Self::default() }
    }
}

#[derive(Deserialize)]
struct Attempt {
    number: u32,
    worker: WorkerId,
    claimed_at: Timestamp,
    ended_at: Timestamp,
    end: AttemptEnd,
    usage: Usage,
    lines: u64,
    suppressed: u64,
    tail: Tail,
}

impl From<Attempt> for task::Attempt {
    fn from(attempt: Attempt) -> Self {
        let Attempt { number, worker, claimed_at, ended_at, end, usage, lines, suppressed, tail } = attempt;
        Self { number, worker, claimed_at, ended_at, end, usage: usage.into(), lines, suppressed, tail }
    }
}

#[derive(Deserialize)]
struct Task {
    id: TaskId,
    key: Box<str>,
    parent: Option<u32>,
    state: TaskState,
    attempt: u32,
    failures: u32,
    host_deaths: u32,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
    history: Vec<Attempt>,
    attempt_lines: u64,
    lines: LevelCounts,
    progress: Option<Progress>,
    usage: Usage,
    tail: Tail,
    stop: bool,
    summoned: bool,
    edited: Option<Edit>,
}

impl From<Task> for task::Task {
    fn from(task: Task) -> Self {
        Self {
            id: task.id,
            key: task.key,
            parent: task.parent,
            state: task.state,
            attempt: task.attempt,
            failures: task.failures,
            host_deaths: task.host_deaths,
            created_at: task.created_at,
            ended_at: task.ended_at,
            history: task.history.into_iter().map(Into::into).collect(),
            attempt_lines: task.attempt_lines,
            lines: task.lines,
            progress: task.progress,
            usage: task.usage.into(),
            tail: task.tail,
            stop: task.stop,
            summoned: task.summoned,
            edited: task.edited,
        }
    }
}

#[derive(Deserialize)]
struct Step {
    state: StepState,
    stop: Option<StopReason>,
    retries: Vec<StepRetry>,
    tasks: TaskCounts,
    summoned: u32,
    forgiven: u32,
    spawned: u32,
    lines: LevelCounts,
    usage: Usage,
    attempts: u64,
    pace: Pace,
    last_activity: Option<Timestamp>,
    first_failure: Option<Failure>,
    plan_failed: bool,
    plan_succeeded: bool,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl From<Step> for run::Step {
    fn from(step: Step) -> Self {
        Self {
            state: step.state,
            stop: step.stop,
            retries: step.retries,
            tasks: step.tasks,
            summoned: step.summoned,
            forgiven: step.forgiven,
            spawned: step.spawned,
            lines: step.lines,
            usage: step.usage.into(),
            attempts: step.attempts,
            pace: step.pace,
            last_activity: step.last_activity,
            first_failure: step.first_failure,
            plan_failed: step.plan_failed,
            plan_succeeded: step.plan_succeeded,
            started_at: step.started_at,
            ended_at: step.ended_at,
        }
    }
}

#[derive(Deserialize)]
struct Run {
    id: RunId,
    definition: Name,
    plan: Digest,
    priority: Priority,
    trigger: Trigger,
    state: RunState,
    stop: Option<StopReason>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    steps: Vec<Step>,
    last_line: u64,
}

impl From<Run> for run::Run {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            definition: run.definition,
            plan: run.plan,
            priority: run.priority,
            trigger: run.trigger,
            state: run.state,
            stop: run.stop,
            created_at: run.created_at,
            started_at: run.started_at,
            ended_at: run.ended_at,
            steps: run.steps.into_iter().map(Into::into).collect(),
            last_line: run.last_line,
        }
    }
}

#[derive(Deserialize)]
enum Event {
    RunCreated,
    Run { from: RunStatus, to: RunState },
    RunStopping { reason: StopReason },
    Step { step: StepIndex, from: StepStatus, to: StepState },
    StepStopping { step: StepIndex, reason: StopReason },
    StepRetrying { step: StepIndex, filter: Option<FailureFilter>, next: Option<u32> },
    TasksCreated { step: StepIndex, first: u32, count: u32, parent: Option<u32> },
    Task { step: StepIndex, index: u32, attempt: u32, from: TaskStatus, to: TaskState, ended: Option<Box<Attempt>> },
    TaskStopping { step: StepIndex, index: u32 },
    TaskSummoned { step: StepIndex, index: u32 },
    TaskEdited { step: StepIndex, index: u32, by: Option<Box<str>> },
    Fire { schedule: Name, fire: Box<FireRecord> },
}

impl From<Event> for event::Event {
    fn from(event: Event) -> Self {
        match event {
            Event::RunCreated => Self::RunCreated,
            Event::Run { from, to } => Self::Run { from, to },
            Event::RunStopping { reason } => Self::RunStopping { reason },
            Event::Step { step, from, to } => Self::Step { step, from, to },
            Event::StepStopping { step, reason } => Self::StepStopping { step, reason },
            Event::StepRetrying { step, filter, next } => Self::StepRetrying { step, filter, next },
            Event::TasksCreated { step, first, count, parent } => Self::TasksCreated { step, first, count, parent },
            Event::Task { step, index, attempt, from, to, ended } => {
                Self::Task { step, index, attempt, from, to, ended: ended.map(|ended| Box::new((*ended).into())) }
            }
            Event::TaskStopping { step, index } => Self::TaskStopping { step, index },
            Event::TaskSummoned { step, index } => Self::TaskSummoned { step, index },
            Event::TaskEdited { step, index, by } => Self::TaskEdited { step, index, by },
            Event::Fire { schedule, fire } => Self::Fire { schedule, fire },
        }
    }
}
