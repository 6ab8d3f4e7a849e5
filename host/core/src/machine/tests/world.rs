//! One run in memory, driven like a store drives it, with every promise checked after every event.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::Event;
use crate::failure::{Cause, Failure};
use crate::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use crate::machine::{
    Rejected, Report, RunCommand, TaskCommand, consequence, create, decide_run, decide_spawn, decide_task, evolve,
};
use crate::plan::{ErrorTolerance, FailureAction, Grants, Limits, OnError, Plan, PluginRef, Priority, RetryPolicy, StepPlan};
use crate::run::{Run, RunState, RunStatus, StepState, StepStatus, TaskCounts, Trigger, Usage};
use crate::task::{AttemptEnd, MAX_HISTORY, Task, TaskState, TaskStatus};
use crate::time::Timestamp;

/// More consequences of one event than any plan of a test has.
const MAX_CONSEQUENCES: usize = 200;

/// Where no wait is spread.
const NO_SPREAD: u32 = u32::MAX / 2;

/// A plan of steps that depend on steps by position. Each attempt is the only one.
pub(super) fn plan(steps: &[&[u16]]) -> Plan {
    let name = |text: &str| text.parse().expect("a valid name");
    let step = |(at, depends): (usize, &&[u16])| StepPlan {
        name: name(&format!("step-{at}")),
        description: String::new(),
        plugin: PluginRef { name: name("noop"), digest: Digest::from_bytes([7; 32]) },
        depends: depends.iter().copied().map(StepIndex).collect(),
        on_error: OnError::Fail,
        concurrency: None,
        timeout: Duration::from_secs(60),
        retry: RetryPolicy { jitter: 0.0, ..RetryPolicy::default() },
        limits: Limits::default(),
        allow: Grants::default(),
        config: "{}".to_owned(),
    };
    Plan {
        definition: name("job"),
        name: "Job".to_owned(),
        tags: Vec::new(),
        priority: Priority::default(),
        timeout: None,
        tolerance: ErrorTolerance::default(),
        steps: steps.iter().enumerate().map(step).collect(),
    }
}

/// A plan of one step.
pub(super) fn single() -> Plan {
    plan(&[&[]])
}

pub(super) fn worker(number: u8) -> WorkerId {
    WorkerId::from_u128(u128::from(number))
}

/// A plugin's own failure.
pub(super) fn failed(retryable: bool) -> AttemptEnd {
    AttemptEnd::Failed(Failure::new(Cause::PluginError { retryable }, "no luck"))
}

/// One run with its tasks.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) run: Run,
    pub(super) tasks: BTreeMap<(u16, u32), Task>,
    pub(super) now: Timestamp,
    /// All events, the oldest first.
    pub(super) events: Vec<Event>,
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let now = Timestamp::from_micros(1_000_000_000);
        let run = Run::new(RunId::new(now, 1), &plan, Digest::from_bytes([1; 32]), Trigger::Api, now);
        let mut world = Self { plan, run, tasks: BTreeMap::new(), now, events: Vec::new() };
        world.apply(None, create(&world.run, false));
        world
    }

    pub(super) fn task(&self, step: u16, index: u32) -> &Task {
        &self.tasks[&(step, index)]
    }

    pub(super) fn status(&self, step: u16, index: u32) -> TaskStatus {
        self.task(step, index).state.status()
    }

    pub(super) fn step(&self, step: u16) -> StepStatus {
        self.run.step(StepIndex(step)).state.status()
    }

    pub(super) fn counts(&self, step: u16) -> TaskCounts {
        self.run.step(StepIndex(step)).tasks
    }

    pub(super) fn status_of_run(&self) -> RunStatus {
        self.run.state.status()
    }

    pub(super) fn tick(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
    }

    /// Gives a task to worker 1.
    pub(super) fn claim(&mut self, step: u16, index: u32) -> Result<u32, Rejected> {
        self.claim_by(step, index, worker(1))
    }

    /// Gives a task to a worker; the number of the attempt.
    pub(super) fn claim_by(&mut self, step: u16, index: u32, worker: WorkerId) -> Result<u32, Rejected> {
        let before = self.clone();
        self.command(step, index, TaskCommand::Claim { worker })?;
        let (plan, task) = (&before.plan.steps[usize::from(step)], before.task(step, index));
        let paused = matches!(before.status_of_run(), RunStatus::Paused) && !task.summoned;
        assert!(before.run.stop.is_none() && !paused, "a run that stands still gave");
        assert_eq!(before.step(step), StepStatus::Running);
        assert!(plan.concurrency.is_none_or(|most| before.counts(step).running < most), "a claim exceeds the concurrency");
        assert!(task.state.due().is_some_and(|due| due <= self.now || task.summoned), "a task was given that is not due");
        assert_eq!(self.task(step, index).attempt, task.attempt + 1);
        Ok(self.task(step, index).attempt)
    }

    /// Ends the current attempt of a task.
    pub(super) fn end(&mut self, step: u16, index: u32, end: AttemptEnd) -> Result<(), Rejected> {
        self.complete(step, index, self.task(step, index).attempt, end)
    }

    /// Ends an attempt of a task.
    pub(super) fn complete(&mut self, step: u16, index: u32, attempt: u32, end: AttemptEnd) -> Result<(), Rejected> {
        let report = Report {
            end,
            usage: Usage { fuel: 5, peak_memory: 1, cpu_micros: 2, http_requests: 2, http_sent: 30, http_received: 400 },
            suppressed: 0,
        };
        self.command(step, index, TaskCommand::Complete { attempt, report, random: NO_SPREAD })
    }

    /// Claims a task and ends it.
    pub(super) fn through(&mut self, step: u16, index: u32, end: AttemptEnd) {
        self.claim(step, index).expect("the task can be claimed");
        self.end(step, index, end).expect("the attempt holds the task");
    }

    /// Claims a step's `plan`, lets it spawn tasks, and ends it well.
    pub(super) fn expand(&mut self, step: u16, count: u32) {
        self.claim(step, 0).expect("the plan can be claimed");
        self.spawn(step, 0, count).expect("the plan may spawn");
        self.end(step, 0, AttemptEnd::Succeeded).expect("the attempt holds the task");
    }

    pub(super) fn spawn(&mut self, step: u16, index: u32, count: u32) -> Result<(), Rejected> {
        let task = self.task(step, index);
        let events = decide_spawn(&self.run, &self.plan, task, task.attempt, count)?;
        self.apply(None, events);
        Ok(())
    }

    pub(super) fn lose(&mut self, step: u16, index: u32) -> Result<(), Rejected> {
        self.command(step, index, TaskCommand::LoseWorker)
    }

    pub(super) fn command(&mut self, step: u16, index: u32, command: TaskCommand) -> Result<(), Rejected> {
        let events = decide_task(&self.run, &self.plan, self.task(step, index), command, self.now)?;
        self.apply(Some((step, index)), events);
        Ok(())
    }

    /// Asks something of the run; how many events that made, without their consequences.
    pub(super) fn ask(&mut self, command: RunCommand) -> Result<usize, Rejected> {
        let events = decide_run(&self.run, &self.plan, command, self.now)?;
        let count = events.len();
        self.apply(None, events);
        Ok(count)
    }

    /// Where the first retry of a step goes on.
    pub(super) fn retry_from(&self, step: u16) -> Option<u32> {
        self.run.step(StepIndex(step)).retries.first().map(|retry| retry.next)
    }

    /// Goes through at most `most` tasks of each step that is being stopped or retried, like a store's housekeeping.
    pub(super) fn sweep(&mut self, most: usize) {
        for at in 0..self.plan.steps.len() {
            let step = u16::try_from(at).expect("few steps");
            let record = &self.run.steps[at];
            let (stop, retry) = (record.stop, record.retries.first().cloned());
            let wanted = |task: &Task| match (stop, &retry) {
                (Some(_), _) => task.state.due().is_some(),
                (None, Some(retry)) => task.id.index >= retry.next && retry.filter.matches(&task.state),
                (None, None) => false,
            };
            let tasks = self.tasks.range((step, 0)..=(step, u32::MAX)).filter(|(_, task)| wanted(task));
            let found: Vec<u32> = tasks.map(|((_, index), _)| *index).take(most).collect();
            for &index in &found {
                let command = if stop.is_some() { TaskCommand::SweepCancel } else { TaskCommand::SweepRetry };
                self.command(step, index, command).expect("a sweep finds only what it may change");
            }
            if stop.is_none() && retry.is_some() {
                let next = if found.len() < most { None } else { found.last().map(|last| last + 1) };
                self.apply(None, vec![Event::StepRetrying { step: StepIndex(step), filter: None, next }]);
            }
        }
    }

    /// Applies events and what follows from them.
    pub(super) fn apply(&mut self, task: Option<(u16, u32)>, events: Vec<Event>) {
        for event in events {
            self.apply_one(task, event);
        }
        for _ in 0..MAX_CONSEQUENCES {
            match consequence(&self.run, &self.plan) {
                Some(event) => self.apply_one(None, event),
                None => return self.check_settled(),
            }
        }
        panic!("consequences without an end: {:?}", self.events);
    }

    fn apply_one(&mut self, task: Option<(u16, u32)>, event: Event) {
        let task = task.filter(|_| event.task().is_some());
        let before = task.map(|at| self.tasks[&at].clone());
        evolve(&mut self.run, task.and_then(|at| self.tasks.get_mut(&at)), &event, self.now);
        if let Event::TasksCreated { step, first, count, parent } = event {
            for index in first..first + count {
                let id = TaskId::new(self.run.id, step, index);
                let created = self.tasks.insert((step.0, index), Task::new(id, format!("key-{index}").into(), parent, self.now));
                assert!(created.is_none(), "two tasks have one number");
            }
        }
        if let (Some(before), Some(at)) = (before, task) {
            self.check_change(&before, &self.tasks[&at]);
        }
        self.events.push(event);
        self.check();
    }

    /// What holds of every change of a task.
    fn check_change(&self, before: &Task, after: &Task) {
        let retried = after.state.status() == TaskStatus::Queued;
        let by_hand = retried || after.state.status() == TaskStatus::Skipped || before.state == after.state;
        assert!(!before.state.status().is_terminal() || by_hand, "an ended task changed: {before:?} -> {after:?}");
        assert!(after.attempt >= before.attempt);
        assert_eq!(after.ended_at.is_some(), after.state.status().is_terminal());
        if retried && before.state.status().is_terminal() {
            assert_eq!((after.failures, after.host_deaths), (0, 0), "a retried task starts afresh");
        }
    }

    /// What holds after every single event.
    fn check(&self) {
        for (at, (step, plan)) in self.run.steps.iter().zip(&self.plan.steps).enumerate() {
            let at = u16::try_from(at).expect("few steps");
            let tasks = || self.tasks.range((at, 0)..=(at, u32::MAX)).map(|(_, task)| task);
            let mut recount = TaskCounts::default();
            tasks().for_each(|task| *recount.of_mut(task.state.status()) += 1);
            assert_eq!(step.tasks, recount, "counters of step {at} differ from a recount");
            assert_eq!(step.spawned, recount.total());
            assert_eq!(
                step.summoned as usize,
                tasks().filter(|task| task.waits_summoned()).count(),
                "summoned tasks of step {at}"
            );
            let mut usage = Usage::default();
            tasks().for_each(|task| usage.add(&task.usage));
            assert_eq!(step.usage, usage, "the usage of step {at}");
            assert!(
                tasks().all(|task| !task.stop || task.state.status() == TaskStatus::Running),
                "a task stops that does not run"
            );
            assert!(plan.concurrency.is_none_or(|most| step.tasks.running <= most), "more tasks run than may");
            let ended: u64 =
                tasks().map(|task| u64::from(task.attempt) - u64::from(task.state.status() == TaskStatus::Running)).sum();
            assert_eq!(step.attempts, ended, "attempts of step {at}");
            assert!(u64::from(step.spawned) <= u64::from(plan.limits.spawned_tasks) + 1, "more tasks than the limit allows");
            if step.state.status().is_terminal() {
                assert_eq!((step.stop, &*step.retries), (None, &[][..]), "an ended step is still being swept");
                assert_eq!(step.tasks.live(), 0, "an ended step has live tasks");
                assert!(step.ended_at.is_some());
            }
            if matches!(step.state, StepState::Blocked | StepState::Skipped) {
                assert_eq!(step.spawned, 0, "a step that never started has tasks");
            }
            if let StepState::Succeeded = step.state {
                assert!(step.tasks.failed <= self.plan.tolerance.max_child_failures && !step.plan_failed);
                let children = step.tasks.failed
                    + tasks().filter(|task| !task.is_plan() && task.state == TaskState::Succeeded).count() as u32;
                let rate = self.plan.tolerance.max_child_failure_rate.unwrap_or(1.0);
                assert!(
                    f64::from(step.tasks.failed) <= rate * f64::from(children) + 1e-6,
                    "a step bears a higher rate than it may"
                );
                assert_eq!(step.tasks.cancelled, 0, "a step succeeded with work undone");
            }
            step.state.failure().into_iter().for_each(check_failure);
        }
        for task in self.tasks.values() {
            assert!(task.history.len() <= MAX_HISTORY);
            if let TaskState::Failed(failure) = &task.state {
                check_failure(failure);
            }
        }
    }

    /// What holds once all consequences were applied.
    fn check_settled(&self) {
        self.run.state.failure().into_iter().for_each(check_failure);
        assert_eq!(self.run.ended_at.is_some(), self.run.state.is_terminal());
        if self.run.state.is_terminal() {
            assert!(self.run.steps.iter().all(|step| step.state.status().is_terminal()), "an ended run has open steps");
            assert_eq!(self.run.tasks().live(), 0);
            assert_eq!(self.run.stop, None);
        }
        if self.run.state == RunState::Succeeded {
            let well = |(step, plan): (&crate::run::Step, &StepPlan)| match step.state {
                StepState::Succeeded => true,
                StepState::Failed(_) => plan.on_error == OnError::Continue,
                _ => false,
            };
            assert!(self.run.steps.iter().zip(&self.plan.steps).all(well), "a run succeeded that did not: {:?}", self.run);
        }
        if self.run.state.is_terminal() || self.run.stop.is_some() || self.run.state == RunState::Paused {
            let claimable =
                (0..self.plan.steps.len()).any(|at| self.run.is_claimable(super::super::run::step_index(at), &self.plan));
            assert!(!claimable, "a run that stands still hands out tasks");
        }
        if self.plan.tolerance.failure_action == FailureAction::Stop {
            let too_many = |step: &crate::run::Step| step.tasks.failed > self.plan.tolerance.max_child_failures;
            let goes_on = |step: &&crate::run::Step| {
                step.state == StepState::Running
                    && too_many(step)
                    && step.stop.is_none()
                    && step.retries.is_empty()
                    && step.tasks.failed > step.forgiven
            };
            assert_eq!(self.run.steps.iter().find(goes_on), None, "a step goes on that can't succeed");
        }
    }
}

fn check_failure(failure: &Failure) {
    assert!(!failure.message.is_empty(), "a failure says nothing");
    assert_ne!(failure.cause, Cause::HostFault, "no host failed here: {failure}");
}
