//! How far a run and its steps are, how fast, and why a step stands still.

use bulkhead_core::id::StepIndex;
use bulkhead_core::pace;
use bulkhead_core::plan::Plan;
use bulkhead_core::run as core;
use bulkhead_core::run::{RunStatus, StepStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::engine::Load;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

use super::Time;

/// How long a step whose tasks run may say nothing before it is said to be silent.
const SILENT_AFTER: Duration = Duration::from_secs(60);

/// How fast tasks come to an end, from what is stored. Of a run or a step that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pace {
    /// Tasks that were done or failed for good, per second, in the last `window_ms` or since the step's start.
    pub per_second: f64,
    /// Milliseconds that `per_second` is of, at most.
    pub window_ms: u64,
    /// Milliseconds until the tasks that there are will have ended at this pace. Absent where nothing ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<u64>,
}

/// Why nothing of a step goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stall {
    /// A step that it depends on has not ended.
    WaitingForDependency,
    /// Its run is paused.
    Paused,
    /// All its tasks that wait do so until a retry falls due.
    WaitingForRetry,
    /// All slots are taken.
    NoSlot,
    /// Its tasks may use more memory than is free.
    WaitingForMemory,
    /// The server is about to end and starts nothing.
    Draining,
    /// It is being stopped, and its attempts have not ended yet.
    Stopping,
    /// Its attempts run, and none has ended or logged anything for a minute.
    Silent,
}

/// What a run's progress is computed from, beside its record.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Now, by the store's clock.
    pub now: Timestamp,
    /// When the first waiting task of each step falls due.
    pub next_due: Vec<Option<Timestamp>>,
    /// What the worker is doing.
    pub load: Load,
}

impl Pace {
    fn new(per_second: f64, live: u32) -> Self {
        let remaining = if per_second > 0.0 { Some((f64::from(live) / per_second * 1_000.0) as u64) } else { None };
        Self { per_second, window_ms: pace::Pace::WINDOW.as_millis() as u64, remaining_ms: remaining }
    }

    /// The pace of a step that runs.
    pub(super) fn of_step(step: &core::Step, now: Timestamp) -> Option<Self> {
        (step.state.status() == StepStatus::Running).then(|| Self::new(per_second(step, now), step.tasks.live()))
    }

    /// The pace of a run that has not ended: that of its steps together.
    pub(super) fn of_run(run: &core::Run, now: Timestamp) -> Option<Self> {
        let per_second: f64 = run.steps.iter().map(|step| per_second(step, now)).sum();
        (!run.state.is_terminal()).then(|| Self::new(per_second, run.tasks().live()))
    }
}

fn per_second(step: &core::Step, now: Timestamp) -> f64 {
    step.started_at.map_or(0.0, |start| step.pace.per_second(start, now))
}

/// When something of a run last happened.
pub(super) fn last_activity(run: &core::Run) -> Option<Time> {
    run.steps.iter().filter_map(|step| step.last_activity).max().map(Into::into)
}

impl Stall {
    /// Why nothing of a step goes on, by what is so; absent where something does, or is about to.
    pub(super) fn of(run: &core::Run, plan: &Plan, index: StepIndex, moment: &Moment) -> Option<Self> {
        let step = run.step(index);
        let (tasks, load) = (&step.tasks, &moment.load);
        match step.state.status() {
            StepStatus::Blocked if run.state.status() == RunStatus::Paused => return Some(Self::Paused),
            StepStatus::Blocked => return Some(Self::WaitingForDependency),
            StepStatus::Running => {}
            _ => return None,
        }
        if run.stop.is_some() || step.stop.is_some() {
            return Some(Self::Stopping);
        }
        if tasks.running > 0 {
            let silent = step.last_activity.is_some_and(|last| moment.now.since(last) >= SILENT_AFTER);
            return silent.then_some(Self::Silent);
        }
        let due = moment.next_due.get(index.get()).copied().flatten();
        match due {
            _ if run.state.status() == RunStatus::Paused && step.summoned == 0 => Some(Self::Paused),
            Some(due) if due > moment.now && step.summoned == 0 => Some(Self::WaitingForRetry),
            _ if tasks.waiting() == 0 => None,
            _ if load.draining => Some(Self::Draining),
            _ if load.running >= load.slots => Some(Self::NoSlot),
            _ if plan.step(index).limits.memory > load.memory.saturating_sub(load.reserved) => Some(Self::WaitingForMemory),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_core::id::{Digest, RunId};
    use bulkhead_core::plan::{ErrorTolerance, Grants, Limits, OnError, PluginRef, Priority, RetryPolicy, StepPlan};
    use bulkhead_core::run::{RunState, StepState, Trigger};

    #[test]
    fn a_step_that_stands_still_says_why() {
        let name = |text: &str| text.parse().unwrap();
        let step = StepPlan {
            name: name("only"),
            description: String::new(),
            plugin: PluginRef { name: name("noop"), digest: Digest::from_bytes([0; 32]) },
            depends: vec![],
            on_error: OnError::Fail,
            concurrency: None,
            timeout: Duration::from_secs(1),
            retry: RetryPolicy::default(),
            limits: Limits { memory: 100, ..Limits::default() },
            allow: Grants::default(),
            config: "{}".to_owned(),
        };
        let plan = Plan {
            definition: name("x"),
            name: String::new(),
            tags: vec![],
            priority: Priority::default(),
            timeout: None,
            tolerance: ErrorTolerance::default(),
            steps: vec![step],
        };
        let now = Timestamp::from_micros(1_000_000_000);
        let mut run = core::Run::new(RunId::from_u128(1), &plan, Digest::from_bytes([1; 32]), Trigger::Api, now);
        let load = Load { slots: 2, running: 0, memory: 200, reserved: 0, draining: false };
        let mut moment = Moment { now, next_due: vec![None], load };
        let why = |run: &core::Run, moment: &Moment| Stall::of(run, &plan, StepIndex(0), moment);
        assert_eq!(why(&run, &moment), Some(Stall::WaitingForDependency));
        (run.state, run.steps[0].state, run.steps[0].tasks.queued) = (RunState::Running, StepState::Running, 1);
        moment.next_due = vec![Some(now)];
        assert_eq!(why(&run, &moment), None, "it is about to be claimed");
        moment.load.reserved = 150;
        assert_eq!(why(&run, &moment), Some(Stall::WaitingForMemory));
        moment.load.running = 2;
        assert_eq!(why(&run, &moment), Some(Stall::NoSlot));
        moment.load.draining = true;
        assert_eq!(why(&run, &moment), Some(Stall::Draining));
        moment.next_due = vec![Some(now.after(Duration::from_secs(1)))];
        assert_eq!(why(&run, &moment), Some(Stall::WaitingForRetry));
        run.state = RunState::Paused;
        assert_eq!(why(&run, &moment), Some(Stall::Paused));
        run.steps[0].tasks.running = 1;
        run.steps[0].last_activity = Some(now);
        assert_eq!(why(&run, &moment), None);
        moment.now = now.after(SILENT_AFTER);
        assert_eq!(why(&run, &moment), Some(Stall::Silent));
        run.stop = Some(core::StopReason::Cancelled);
        assert_eq!(why(&run, &moment), Some(Stall::Stopping));
    }
}
