//! Attempts end when they are told to, disturb nobody, and there may be more of them than slots.

mod support;

use std::time::{Duration, Instant};

use bulkhead_core::failure::Cause;
use bulkhead_engine::executor::{ExecutionEnd, Executor};
use bulkhead_sandbox::SandboxConfig;
use futures::future::join_all;
use support::{Attempt, HANG, Lab, config, failed, plugin, sized, succeeded};

const MODE: &str = "mode = \"nothing\"";

async fn cancelled(lab: &Lab, attempt: &Attempt) {
    let execution = lab.sandbox.execute(attempt.host.clone());
    let end = async {
        // Long enough to be in the middle of it.
        tokio::time::sleep(Duration::from_millis(200)).await;
        attempt.cancel.cancel();
        std::future::pending::<()>().await
    };
    tokio::select! {
        execution = execution => assert!(matches!(execution.end, ExecutionEnd::Cancelled), "{:?}", execution.end),
        () = end => {}
        () = tokio::time::sleep(HANG) => panic!("it was cancelled and goes on"),
    }
}

#[tokio::test]
async fn a_cancelled_attempt_ends_whatever_it_is_doing() {
    let lab = Lab::new().await;
    let misbehave = lab.upload(plugin("misbehave")).await.unwrap();
    for mode in ["endless-loop", "endless-loop-in-host-call", "sleep-for-ever", "sleep-past-cancellation"] {
        let attempt = lab.task(&misbehave, MODE, &format!("\"{mode}\"")).await;
        cancelled(&lab, &attempt).await;
    }
}

#[tokio::test]
async fn a_guest_is_told_that_it_is_cancelled_before_it_is_ended() {
    let lab = Lab::new().await;
    let misbehave = lab.upload(plugin("misbehave")).await.unwrap();
    let attempt = lab.task(&misbehave, MODE, "\"sleep-past-cancellation\"").await;
    cancelled(&lab, &attempt).await;
    let lines = lab.lines(&attempt).await;
    assert!(lines.iter().any(|line| line.message.contains("told to stop")), "{lines:?}");
}

#[tokio::test]
async fn an_attempt_that_waits_for_a_slot_can_be_cancelled() {
    let lab = Lab::with(sized(1)).await;
    let misbehave = lab.upload(plugin("misbehave")).await.unwrap();
    let specs = vec![("first", "\"endless-loop\"".to_owned()), ("second", "\"nothing\"".to_owned())];
    let attempts = lab.tasks(&misbehave, MODE, specs).await;
    let first = tokio::spawn(lab.sandbox.execute(attempts[0].host.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = tokio::spawn(lab.sandbox.execute(attempts[1].host.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    attempts[1].cancel.cancel();
    assert!(matches!(second.await.unwrap().end, ExecutionEnd::Cancelled));
    attempts[0].cancel.cancel();
    first.await.unwrap();
}

#[tokio::test]
async fn a_dropped_attempt_gives_its_slot_back() {
    let lab = Lab::with(sized(1)).await;
    let misbehave = lab.upload(plugin("misbehave")).await.unwrap();
    let specs = vec![("first", "\"endless-loop\"".to_owned()), ("second", "\"nothing\"".to_owned())];
    let attempts = lab.tasks(&misbehave, MODE, specs).await;
    let started = tokio::time::timeout(Duration::from_millis(200), lab.sandbox.execute(attempts[0].host.clone()));
    assert!(started.await.is_err(), "it loops");
    succeeded(&lab.execute(&attempts[1]).await);
}

/// Guests that loop on all their threads leave this runtime's timers alone, and other guests get their turns.
#[tokio::test]
async fn loops_in_all_slots_starve_nobody() {
    let lab = Lab::with(sized(9)).await;
    let misbehave = lab.upload(plugin("misbehave")).await.unwrap();
    let keys: Vec<_> = (0..8).map(|number| format!("loop-{number}")).collect();
    let mut specs: Vec<_> = keys.iter().map(|key| (key.as_str(), "\"endless-loop\"".to_owned())).collect();
    specs.push(("good", "\"nothing\"".to_owned()));
    let mut attempts = lab.tasks(&misbehave, MODE, specs).await;
    let good = attempts.pop().unwrap();
    let loops: Vec<_> = attempts.iter().map(|attempt| tokio::spawn(lab.sandbox.execute(attempt.host.clone()))).collect();
    let mut ticks = 0;
    let ticking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ticks += 1;
        }
    };
    tokio::select! {
        () = ticking => {}
        execution = lab.execute(&good) => { succeeded(&execution); }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(loops.iter().all(|looping| !looping.is_finished()));
    for attempt in &attempts {
        attempt.cancel.cancel();
    }
    for looping in loops {
        let execution = looping.await.unwrap();
        assert!(matches!(execution.end, ExecutionEnd::Cancelled));
        assert!(execution.usage.cpu_micros > 0);
    }
}

#[tokio::test]
async fn three_hundred_attempts_share_a_few_slots() {
    let lab = Lab::with(sized(5)).await;
    let noop = lab.upload(plugin("noop")).await.unwrap();
    let keys: Vec<_> = (0..300).map(|number| format!("task-{number}")).collect();
    let attempts = lab.tasks(&noop, "lines = 3", keys.iter().map(|key| (key.as_str(), "null".to_owned())).collect()).await;
    for execution in join_all(attempts.iter().map(|attempt| lab.execute(attempt))).await {
        assert_eq!(succeeded(&execution), "null");
        assert!(execution.usage.peak_memory > 0);
    }
}

#[tokio::test]
async fn three_hundred_attempts_run_at_once() {
    let lab = Lab::with(sized(300)).await;
    let misbehave = lab.upload(plugin("misbehave")).await.unwrap();
    let keys: Vec<_> = (0..300).map(|number| format!("task-{number}")).collect();
    let specs = keys.iter().map(|key| (key.as_str(), "\"sleep-for-ever\"".to_owned())).collect();
    let attempts = lab.tasks(&misbehave, "mode = \"nothing\"\ntimeout = \"2s\"", specs).await;
    for execution in join_all(attempts.iter().map(|attempt| lab.execute(attempt))).await {
        assert_eq!(failed(execution).cause, Cause::TimedOut);
    }
}

#[tokio::test]
async fn without_a_pool_everything_works_the_same() {
    let lab = Lab::with(SandboxConfig { pooling: false, ..config() }).await;
    assert!(!lab.sandbox.info().pooled);
    let noop = lab.upload(plugin("noop")).await.unwrap();
    let attempt = lab.task(&noop, "lines = 3", "null").await;
    succeeded(&lab.execute(&attempt).await);
    assert_eq!(lab.lines(&attempt).await.len(), 3);
}

/// No machine has room for a million slots of 4 GiB.
#[tokio::test]
async fn a_pool_that_cannot_be_had_is_done_without() {
    let lab = Lab::with(sized(1_000_000)).await;
    let info = lab.sandbox.info();
    assert!(!info.pooled && info.unpooled_because.is_some(), "{info:?}");
    let noop = lab.upload(plugin("noop")).await.unwrap();
    let attempt = lab.task(&noop, "", "null").await;
    succeeded(&lab.execute(&attempt).await);
}

#[tokio::test]
async fn time_in_a_host_call_is_not_cpu_time() {
    let lab = Lab::new().await;
    let misbehave = lab.upload(plugin("misbehave")).await.unwrap();
    let attempt = lab.task(&misbehave, "mode = \"nothing\"\ntimeout = \"1s\"", "\"sleep-for-ever\"").await;
    let start = Instant::now();
    let execution = lab.execute(&attempt).await;
    assert!(u128::from(execution.usage.cpu_micros) < start.elapsed().as_micros() / 2, "{:?}", execution.usage);
}

#[tokio::test]
async fn a_plan_spawns_its_tasks() {
    let lab = Lab::new().await;
    let noop = lab.upload(plugin("noop")).await.unwrap();
    let plan = lab.plan_task(&noop, "tasks = 2500").await;
    assert_eq!(succeeded(&lab.execute(&plan).await), "null");
    let run = bulkhead_engine::store::Journal::run(&*lab.store, plan.claimed.task.run).await.unwrap().run;
    assert_eq!(run.steps[0].tasks.total(), 2_501);
}
