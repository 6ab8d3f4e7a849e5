//! What must happen in time, and panics anywhere.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Once};
use std::time::Duration;

use bulkhead_core::run::{RunStatus, StepStatus};
use bulkhead_core::task::TaskStatus;
use bulkhead_engine::store::Queue as _;

use crate::executor::{CANCEL_BOUND, SCRIPTED_PANIC};
use crate::fleet::Fleet;
use crate::oracle::{RunModel, TaskModel};
use crate::world::World;

/// How often the watch looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long a task that can run may wait in good weather, beside what calls take.
const PROMPT: Duration = Duration::from_millis(300);
/// How many looks in a row may find a process with room while a task waits.
const IDLE_LOOKS: usize = 8;
/// How long a cancelled run may live in good weather, beside what calls take.
const CANCELLED: Duration = CANCEL_BOUND.saturating_add(Duration::from_millis(800));
/// How much longer after the last fault: two rounds of housekeeping whose signals were lost, a clock that stands still.
const AFTER_A_FAULT: Duration = Duration::from_secs(240);

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Remembers panics of this thread instead of printing them, and forgets those that scripts ordered.
pub(crate) fn hear_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&SCRIPTED_PANIC) {
                PANIC.with(|panic| *panic.borrow_mut() = Some(info.to_string()));
                print(info);
            }
        }));
    });
    PANIC.with(|panic| panic.borrow_mut().take());
}

/// Looks for what takes too long.
pub(crate) async fn watch(world: Arc<World>, fleet: Arc<Fleet>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let Some(panic) = PANIC.with(|panic| panic.borrow_mut().take()) {
            world.violate(format!("a panic: {panic}"));
        }
        watch_cancelled(&world);
        watch_cancelled_tasks(&world);
        if world.profile.calm {
            watch_claims(&world, &fleet);
        }
    }
}

/// What calls may add to a bound: some of them, one after the other.
fn calls(world: &World) -> Duration {
    Duration::from_millis(if world.profile.slow_calls > 0 { world.profile.slowest_call * 10 } else { 0 })
}

/// Cancelled runs end in time.
fn watch_cancelled(world: &World) {
    let now = world.elapsed();
    let late = {
        let oracle = world.oracle();
        let late = oracle.cancelled.iter().find(|(id, at)| {
            let open = oracle.runs.get(id).is_some_and(|run| !run.gone && !run.status.is_terminal());
            open && now > bound_of_cancellation(world, **at)
        });
        late.map(|(id, at)| format!("{id} was cancelled {} ms ago and has not ended", (now - at) / 1_000))
    };
    if let Some(late) = late {
        world.violate(late);
    }
}

/// How long after its cancellation something may live, and since when that counts.
fn bound_of_cancellation(world: &World, at: u64) -> u64 {
    let (since, bound) = if world.profile.calm {
        (at, CANCELLED + calls(world))
    } else {
        (world.last_fault().max(at), CANCELLED + AFTER_A_FAULT + world.profile.lease)
    };
    since + bound.as_micros() as u64
}

/// Attempts whose tasks were cancelled end in time.
fn watch_cancelled_tasks(world: &World) {
    let now = world.elapsed();
    let late = {
        let oracle = world.oracle();
        let late = oracle
            .cancelled_tasks
            .iter()
            .find(|((task, attempt), at)| now > bound_of_cancellation(world, **at) && oracle.is_running(*task, *attempt));
        late.map(|((task, attempt), at)| {
            format!("attempt {attempt} at {task} was cancelled {} ms ago and has not ended", (now - at) / 1_000)
        })
    };
    if let Some(late) = late {
        world.violate(late);
    }
}

/// Tasks that can run do so at once.
fn watch_claims(world: &World, fleet: &Fleet) {
    let now = world.store().now();
    let waiting = {
        let oracle = world.oracle();
        let live = || oracle.runs.values().filter(|run| !run.gone && !run.status.is_terminal());
        let most = live().flat_map(|run| &run.plan.steps).map(|step| step.limits.memory).max().unwrap_or(0);
        live().find_map(|run| waits(run, now, PROMPT + calls(world))).map(|what| (what, most))
    };
    for process in fleet.processes() {
        let (executing, memory) = (process.executing.load(Ordering::Relaxed), process.memory.load(Ordering::Relaxed));
        let idle = waiting.as_ref().filter(|(_, most)| executing < world.profile.slots && memory + most <= world.profile.memory);
        match idle {
            // Whoever was busy a moment ago may have a claim under way.
            Some((what, _)) if process.idle_looks.fetch_add(1, Ordering::Relaxed) >= IDLE_LOOKS => {
                world.violate(format!("{what}, and process {} has room", process.number));
            }
            Some(_) => {}
            None => process.idle_looks.store(0, Ordering::Relaxed),
        }
    }
}

/// A task of the run that could have been claimed for as long as `bound`.
fn waits(run: &RunModel, now: bulkhead_core::time::Timestamp, bound: Duration) -> Option<String> {
    let open = !run.stopping && matches!(run.status, RunStatus::Queued | RunStatus::Running);
    run.steps.iter().zip(&run.plan.steps).filter(|_| !run.stopping).find_map(|(step, plan)| {
        let turn = open;
        let running = step.count(TaskStatus::Running);
        let open = step.status == StepStatus::Running && !step.stopping && plan.concurrency.is_none_or(|most| running < most);
        let mut waiting = step.tasks.iter().filter(|task| task.waits());
        let since = |task: &TaskModel| task.summoned.or(turn.then_some(task.due));
        waiting
            .find(|task| open && since(task).is_some_and(|since| since.after(bound) < now))
            .map(|task| format!("a task of {} waits: {task:?}", plan.name))
    })
}
