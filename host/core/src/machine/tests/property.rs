//! Random plans and random histories: [`World`] checks every promise after every event.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::world::{World, failed, plan, worker};
use crate::failure::{Cause, CauseSet, Failure, FailureFilter};
use crate::id::StepIndex;
use crate::machine::{Rejected, RunCommand, TaskCommand, decide_spawn, decide_task};
use crate::plan::{ErrorTolerance, FailureAction, OnError, Plan, RetryPolicy};
use crate::run::RunStatus;
use crate::task::{AttemptEnd, TaskStatus};

/// Rounds of claiming, succeeding and sweeping after which every run has ended: each ends at least a step's `plan` or its tasks.
const MAX_ROUNDS: usize = 40;

/// Something that happens. A `usize` picks one of the tasks there are.
#[derive(Clone, Debug)]
enum Step {
    Claim(usize, u8),
    End(usize, AttemptEnd),
    EndStale(usize, u32),
    Spawn(usize, u32),
    Lose(u8),
    Ask(RunCommand),
    Order(usize, TaskCommand),
    Sweep(usize),
    Wait(u64),
}

fn ends() -> impl Strategy<Value = AttemptEnd> {
    prop_oneof![
        4 => Just(AttemptEnd::Succeeded),
        2 => Just(failed(true)),
        1 => Just(failed(false)),
        1 => Just(AttemptEnd::Failed(Failure::new(Cause::OutOfFuel, ""))),
        1 => Just(AttemptEnd::Cancelled),
        1 => Just(AttemptEnd::Released),
    ]
}

fn commands() -> impl Strategy<Value = RunCommand> {
    prop_oneof![
        1 => Just(RunCommand::Cancel),
        2 => Just(RunCommand::Pause),
        3 => Just(RunCommand::Resume),
        4 => Just(RunCommand::RetryFailed),
        2 => (option::of(0..3_u16), any::<bool>()).prop_map(|(step, failed)| RunCommand::RetryMatching {
            step: step.map(StepIndex),
            filter: FailureFilter {
                causes: if failed { CauseSet::from_names(["plugin-error"]).expect("a cause") } else { CauseSet::EMPTY },
                text: None,
            },
        }),
        2 => Just(RunCommand::TimeOut),
    ]
}

fn orders() -> impl Strategy<Value = TaskCommand> {
    prop_oneof![
        4 => Just(TaskCommand::Retry),
        2 => Just(TaskCommand::Skip),
        2 => Just(TaskCommand::Cancel),
        3 => Just(TaskCommand::Summon),
        1 => Just(TaskCommand::Edit { by: Some("me".into()) }),
    ]
}

fn happenings() -> impl Strategy<Value = Vec<Step>> {
    let task = 0..1000_usize;
    let step = prop_oneof![
        12 => (task.clone(), 1..4_u8).prop_map(|(task, worker)| Step::Claim(task, worker)),
        10 => (task.clone(), ends()).prop_map(|(task, end)| Step::End(task, end)),
        1 => (task.clone(), 0..3_u32).prop_map(|(task, attempt)| Step::EndStale(task, attempt)),
        4 => (task.clone(), orders()).prop_map(|(task, order)| Step::Order(task, order)),
        5 => (task, 0..4_u32).prop_map(|(task, count)| Step::Spawn(task, count)),
        1 => (1..4_u8).prop_map(Step::Lose),
        2 => commands().prop_map(Step::Ask),
        4 => (1..4_usize).prop_map(Step::Sweep),
        3 => (1..5_000_u64).prop_map(Step::Wait),
    ];
    vec(step, 0..150)
}

fn plans() -> impl Strategy<Value = Plan> {
    let step = (any::<u16>(), any::<bool>(), option::of(1..3_u32), 1..4_u32, 0..9_u32);
    let tolerance = (0..3_u32, any::<bool>(), option::of(0.0..0.6_f64), 1..5_u32);
    (vec(step, 1..=6), tolerance, option::of(1..60_u64)).prop_map(|(steps, (most, stop, rate, rate_from), timeout)| {
        let depends: Vec<Vec<u16>> = (0..)
            .zip(&steps)
            .map(|(at, (mask, ..)): (u16, _)| (0..at).filter(|earlier| mask >> earlier & 1 == 1).collect())
            .collect();
        let mut plan = plan(&depends.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for (step, (_, go_on, concurrency, attempts, spawned)) in plan.steps.iter_mut().zip(steps) {
            step.on_error = if go_on { OnError::Continue } else { OnError::Fail };
            step.concurrency = concurrency;
            step.retry = RetryPolicy { attempts, ..RetryPolicy::default() };
            step.limits.spawned_tasks = spawned;
        }
        let failure_action = if stop { FailureAction::Stop } else { FailureAction::Continue };
        plan.tolerance = ErrorTolerance { max_child_failures: most, max_child_failure_rate: rate, rate_from, failure_action };
        plan.timeout = timeout.map(Duration::from_secs);
        plan
    })
}

fn pick(world: &World, number: usize) -> Option<(u16, u32)> {
    // Mostly tasks that something can still happen to: random histories end soon enough.
    let live: Vec<_> = world.tasks.iter().filter(|(_, task)| !task.state.status().is_terminal()).map(|(at, _)| *at).collect();
    let all: Vec<_> = if live.is_empty() || number.is_multiple_of(7) { world.tasks.keys().copied().collect() } else { live };
    (!all.is_empty()).then(|| all[number % all.len()])
}

fn happen(world: &mut World, step: Step) {
    match step {
        Step::Claim(number, by) => {
            if let Some((step, index)) = pick(world, number) {
                let held = world.status(step, index) == TaskStatus::Running;
                let claimed = world.claim_by(step, index, worker(by));
                assert!(!(held && claimed.is_ok()), "a task is held twice");
            }
        }
        Step::End(number, end) => {
            if let Some((step, index)) = pick(world, number) {
                let held = world.status(step, index) == TaskStatus::Running;
                assert_eq!(world.end(step, index, end).is_ok(), held);
            }
        }
        Step::EndStale(number, attempt) => {
            if let Some((step, index)) = pick(world, number) {
                let current = world.task(step, index).attempt;
                let stale = if attempt == current { current + 1 } else { attempt };
                let fenced = world.complete(step, index, stale, AttemptEnd::Succeeded);
                assert!(matches!(fenced, Err(Rejected::Fenced { .. })), "a stale attempt was believed");
                let spawned = decide_spawn(&world.run, &world.plan, world.task(step, index), stale, 1);
                assert!(matches!(spawned, Err(Rejected::Fenced { .. })), "a stale attempt spawned");
            }
        }
        Step::Spawn(number, count) => {
            if let Some((step, index)) = pick(world, number) {
                let before = world.counts(step).total();
                if world.spawn(step, index, count).is_ok() {
                    assert_eq!(world.counts(step).total(), before + count);
                }
            }
        }
        Step::Lose(dead) => {
            let held = |(at, task): (&(u16, u32), &crate::task::Task)| (task.state.worker() == Some(worker(dead))).then_some(*at);
            for (step, index) in world.tasks.iter().filter_map(held).collect::<Vec<_>>() {
                world.lose(step, index).expect("a held task can be lost");
            }
        }
        Step::Ask(command) => {
            let ended = world.run.state.is_terminal();
            let retries = matches!(command, RunCommand::RetryFailed | RunCommand::RetryMatching { .. });
            let asked = world.ask(command.clone());
            if ended && !retries && command != RunCommand::TimeOut {
                assert!(!matches!(asked, Ok(1..)), "an ended run changed");
            }
            // What was asked for is so: asking again changes nothing, unless what follows has undone it already.
            if asked.is_ok() && !retries && !world.run.state.is_terminal() {
                assert_eq!(world.ask(command.clone()), Ok(0), "{command:?} is not idempotent");
            }
        }
        Step::Order(number, order) => {
            if let Some((step, index)) = pick(world, number)
                && world.command(step, index, order.clone()).is_ok()
                && !matches!(order, TaskCommand::Edit { .. })
            {
                // What was asked for is so: asking again changes nothing.
                let again = decide_task(&world.run, &world.plan, world.task(step, index), order.clone(), world.now);
                assert!(again.as_ref().is_ok_and(Vec::is_empty), "{order:?} is not idempotent: {again:?}");
            }
        }
        Step::Sweep(most) => world.sweep(most),
        Step::Wait(millis) => world.tick(Duration::from_millis(millis)),
    }
}

/// Whatever happened: if everything is claimed and succeeds, the run ends soon.
fn run_to_the_end(world: &mut World) {
    for _ in 0..MAX_ROUNDS {
        if world.run.state.is_terminal() {
            return;
        }
        if world.status_of_run() == RunStatus::Paused && world.run.stop.is_none() {
            world.ask(RunCommand::Resume).expect("a paused run goes on");
        }
        world.tick(Duration::from_secs(3600));
        world.sweep(usize::MAX);
        for (step, index) in world.tasks.keys().copied().collect::<Vec<_>>() {
            let _ = world.claim(step, index);
            if world.status(step, index) == TaskStatus::Running {
                world.end(step, index, AttemptEnd::Succeeded).expect("the attempt holds the task");
            }
        }
    }
    panic!("the run does not end: {:#?}", world.run);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_every_promise_and_can_end(plan in plans(), steps in happenings()) {
        let mut world = World::new(plan);
        for step in steps {
            happen(&mut world, step);
        }
        run_to_the_end(&mut world);
        // Nothing but a retry opens an ended run again.
        let settled = world.clone();
        for (step, index) in world.tasks.keys().copied().collect::<Vec<_>>() {
            for command in [
                TaskCommand::Claim { worker: worker(9) },
                TaskCommand::LoseWorker,
                TaskCommand::SweepCancel,
                TaskCommand::SweepRetry,
                TaskCommand::Cancel,
                TaskCommand::Summon,
            ] {
                let decided = decide_task(&world.run, &world.plan, world.task(step, index), command, world.now);
                prop_assert!(decided.is_err() || decided == Ok(vec![]));
            }
        }
        if world.ask(RunCommand::RetryFailed).is_ok() {
            run_to_the_end(&mut world);
            prop_assert!(world.status_of_run() == RunStatus::Succeeded || settled.status_of_run() == RunStatus::Cancelled);
        }
    }
}
