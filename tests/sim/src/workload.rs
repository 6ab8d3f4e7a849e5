//! What runs: random plans, and what each attempt at their tasks does.

use std::time::Duration;

use bulkhead_core::failure::{Cause, Quota, TrapCode};
use bulkhead_core::id::{Digest, StepIndex};
use bulkhead_core::name::Name;
use bulkhead_core::plan::{
    ErrorTolerance, FailureAction, Grants, Limits, LogOverflow, OnError, Plan, PluginRef, Priority, RetryPolicy, StepPlan,
};

use crate::profile::MEMORY_UNIT;
use crate::rng::Rng;

fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

/// A random plan. `memory` is what one worker has.
pub(crate) fn plan(rng: &mut Rng, memory: u64) -> Plan {
    let count = rng.between(1, 4);
    let steps = (0..count).map(|index| step(rng, index as u16, memory)).collect();
    Plan {
        definition: name("simulated"),
        name: "simulated".into(),
        tags: vec![],
        priority: Priority(rng.between(3, 6) as u8),
        timeout: rng.permille(150).then(|| rng.millis(2_000, 60_000)),
        tolerance: ErrorTolerance {
            max_child_failures: rng.pick(&[0, 0, 1, 3, 100]),
            max_child_failure_rate: rng.pick(&[None, None, Some(0.1), Some(0.5)]),
            rate_from: rng.pick(&[1, 4, 20]),
            failure_action: rng.pick(&[FailureAction::Continue, FailureAction::Stop]),
        },
        steps,
    }
}

fn step(rng: &mut Rng, index: u16, memory: u64) -> StepPlan {
    StepPlan {
        name: name(&format!("step-{index}")),
        description: String::new(),
        plugin: PluginRef { name: name("scripted"), digest: Digest::from_bytes([7; 32]) },
        depends: (0..index).filter(|_| rng.permille(500)).map(StepIndex).collect(),
        on_error: rng.pick(&[OnError::Fail, OnError::Continue]),
        concurrency: rng.permille(400).then(|| rng.between(1, 3) as u32),
        timeout: rng.millis(1_000, 8_000),
        retry: RetryPolicy {
            attempts: rng.between(1, 4) as u32,
            backoff: rng.millis(10, 2_000),
            max_backoff: Duration::from_secs(3),
            jitter: rng.pick(&[0.0, 0.2, 1.0]),
            ..RetryPolicy::default()
        },
        limits: Limits {
            memory: rng.pick(&[10 * MEMORY_UNIT, 40 * MEMORY_UNIT, memory / 2, memory]).clamp(1, memory),
            log_lines: rng.pick(&[3, 1_000_000, 1_000_000]),
            log_overflow: rng.pick(&[LogOverflow::Suppress, LogOverflow::Fail]),
            spawned_tasks: rng.pick(&[6, 1_000, 1_000]),
            ..Limits::default()
        },
        allow: Grants::default(),
        config: "{}".into(),
    }
}

/// One thing that a guest does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Writes so many lines.
    Log(u64),
    /// Sleeps.
    Sleep(Duration),
    /// Spawns tasks with these keys.
    Spawn(Vec<String>),
    /// Loads the checkpoint and saves a new one.
    Checkpoint,
    /// Says how far it is.
    Progress(u64),
}

/// How a guest ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Finish {
    Succeed,
    Fail(Cause),
    /// Does nothing until it is told to end.
    Hang,
    /// Panics in the host.
    Panic,
}

/// What an attempt does.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) actions: Vec<Action>,
    pub(crate) finish: Finish,
    /// Ends only at the executor's bound once it is told to.
    pub(crate) stubborn: bool,
}

/// The script of an attempt. `depth` is how many generations its task is away from the step's `plan`.
pub(crate) fn script(rng: &mut Rng, is_plan: bool, key: &str) -> Script {
    let mut actions = Vec::new();
    let depth = key.matches('/').count();
    if is_plan {
        for chunk in 0..rng.between(0, 4) {
            let keys = (0..rng.between(1, 8)).map(|task| format!("t{}", chunk * 4 + task)).collect();
            actions.push(Action::Spawn(keys));
            if rng.permille(300) {
                actions.push(Action::Sleep(rng.millis(0, 300)));
            }
        }
    }
    for _ in 0..rng.between(0, 4) {
        actions.push(match rng.below(10) {
            0..4 => Action::Log(if rng.permille(8) { rng.between(4_000, 9_000) } else { rng.between(1, 12) }),
            4..7 => Action::Sleep(if rng.permille(100) { rng.millis(500, 6_000) } else { rng.millis(0, 200) }),
            7 => Action::Checkpoint,
            8 => Action::Progress(rng.below(100)),
            _ if depth < 2 => Action::Spawn((0..rng.between(1, 2)).map(|child| format!("{key}/{child}")).collect()),
            _ => Action::Log(1),
        });
    }
    let finish = match rng.below(100) {
        0..78 => Finish::Succeed,
        78..94 => Finish::Fail(cause(rng)),
        94..98 => Finish::Hang,
        _ => Finish::Panic,
    };
    // A `plan` that fails ends its step: rarely, or nothing would be left to see.
    let finish = if is_plan && rng.permille(800) { Finish::Succeed } else { finish };
    Script { actions, finish, stubborn: rng.permille(150) }
}

fn cause(rng: &mut Rng) -> Cause {
    rng.pick(&[
        Cause::PluginError { retryable: true },
        Cause::PluginError { retryable: true },
        Cause::PluginError { retryable: false },
        Cause::Panic,
        Cause::Trap(TrapCode::Unreachable),
        Cause::OutOfMemory,
        Cause::StackOverflow,
        Cause::OutOfFuel,
        Cause::Denied,
        Cause::Limit(Quota::Output),
        Cause::InvalidPlugin,
        Cause::HostFault,
    ])
}
