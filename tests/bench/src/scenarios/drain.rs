//! Tasks per second out of a backlog, durable: the whole engine, and its halves alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_core::id::RunId;
use bulkhead_core::machine::{Report as Outcome, RunCommand};
use bulkhead_core::run::Usage;
use bulkhead_core::task::AttemptEnd;
use bulkhead_engine::attempt::AttemptHost;
use bulkhead_engine::engine::Engine;
use bulkhead_engine::store::{ClaimRequest, Completion, Store, TaskSpec};
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::report::{Report, micros_each, rate};
use crate::setup::{self, Parts};

/// What a worker asks for at once when there is no sandbox to wait for.
const STORE_BATCH: usize = 256;

/// Drains a backlog with and without a sandbox, then again on top of a long history.
pub(crate) async fn measure(options: &Options, report: &mut Report) {
    let parts = setup::parts(options).await;
    let count = u64::from(options.tasks);

    let elapsed = drain_store(&parts, options.tasks).await;
    report.add("drain", "claim and commit without a sandbox", rate(count, elapsed, "tasks"));
    report.add("drain", "… of which claim + commit per task", micros_each(count, elapsed));

    split(&parts, report).await;

    let elapsed = drain(&parts, options.tasks).await;
    report.add("drain", "durable sandboxed no-op tasks, from a backlog", rate(count, elapsed, "tasks"));
    report.add("drain", "… per task, all parts", micros_each(count, elapsed));

    let mut finished = u64::from(options.tasks) * 2;
    while finished < u64::from(options.history) {
        drain_store(&parts, options.tasks).await;
        finished += u64::from(options.tasks);
    }
    let elapsed = drain(&parts, options.tasks).await;
    report.add("drain", format!("the same, with {finished} finished tasks in the store"), rate(count, elapsed, "tasks"));
    let differences = parts.store.recount().await.expect("a recount");
    report.add("drain", "counters against a recount of the store", format!("{} differences", differences.len()));
}

/// What one attempt costs in the sandbox, part by part, on one thread and without the hop to it.
async fn split(parts: &Parts, report: &mut Report) {
    const REPEATS: u32 = 20_000;
    let run = backlog(parts, 1).await;
    let worker = setup::worker_id();
    parts.store.register_worker(worker, Duration::from_secs(600), false).await.expect("a worker");
    parts.store.command_run(run, RunCommand::Resume).await.expect("a resumed run");
    let request = ClaimRequest { worker, slots: 1, memory: u64::MAX, budget: u64::MAX };
    let claimed = Arc::new(parts.store.claim(request).await.expect("a claim").tasks.remove(0));
    let host = AttemptHost::new(parts.store.clone(), Arc::default(), claimed.clone(), CancellationToken::new());
    let cost = parts.sandbox.measure(host, REPEATS).await.expect("attempts that succeed");
    for (what, time) in
        [("make a store", cost.store), ("instantiate", cost.instantiate), ("call", cost.call), ("drop", cost.drop)]
    {
        report.add("drain", format!("sandbox, per attempt: {what}"), format!("{:.2} µs", time.as_secs_f64() * 1e6));
    }
    parts.store.complete(succeeded(claimed.task, claimed.attempt)).await.expect("a completed task");
    parts.store.retire_worker(worker).await.expect("a retired worker");
}

/// A run with `tasks` tasks that wait, none of which may start yet.
async fn backlog(parts: &Parts, tasks: u32) -> RunId {
    let run = setup::start_run(parts, "[step.noop]\nplugin = \"noop\"\nlimits = { memory = \"4MiB\" }\n").await;
    let worker = setup::worker_id();
    let store = &parts.store;
    store.register_worker(worker, Duration::from_secs(600), false).await.expect("a worker");
    let claims = store.claim(ClaimRequest { worker, slots: 1, memory: u64::MAX, budget: u64::MAX }).await.expect("a claim");
    let plan = &claims.tasks[0];
    for first in (0..tasks).step_by(10_000) {
        let specs =
            (first..tasks.min(first + 10_000)).map(|n| TaskSpec { key: n.to_string().into(), input: "null".into() }).collect();
        store.spawn(plan.task, plan.attempt, specs).await.expect("spawned tasks");
    }
    store.command_run(run, RunCommand::Pause).await.expect("a paused run");
    store.complete(succeeded(plan.task, plan.attempt)).await.expect("a completed plan");
    store.retire_worker(worker).await.expect("a retired worker");
    run
}

fn succeeded(task: bulkhead_core::id::TaskId, attempt: u32) -> Completion {
    Completion {
        task,
        attempt,
        report: Outcome { end: AttemptEnd::Succeeded, usage: Usage::default(), suppressed: 0 },
        output: Some("null".into()),
        artifacts: vec![],
        first_line: 0,
        lines: vec![],
        random: 0,
    }
}

/// Lets an engine drain a backlog.
async fn drain(parts: &Parts, tasks: u32) -> Duration {
    let run = backlog(parts, tasks).await;
    let engine =
        Engine::start(parts.store.clone(), parts.executor.clone(), setup::engine_config(false)).await.expect("an engine");
    let start = Instant::now();
    parts.store.command_run(run, RunCommand::Resume).await.expect("a resumed run");
    setup::wait_for_end(&*parts.store, run).await;
    let elapsed = start.elapsed();
    engine.stop().await.expect("a stopped engine");
    elapsed
}

/// Claims and completes a backlog, two batches in flight, as an engine whose sandbox costs nothing would.
async fn drain_store(parts: &Parts, tasks: u32) -> Duration {
    let run = backlog(parts, tasks).await;
    let worker = setup::worker_id();
    let store = parts.store.clone();
    store.register_worker(worker, Duration::from_secs(600), false).await.expect("a worker");
    let start = Instant::now();
    store.command_run(run, RunCommand::Resume).await.expect("a resumed run");
    let claimers = (0..2).map(|_| tokio::spawn(claim_and_complete(store.clone(), worker)));
    futures::future::join_all(claimers).await.into_iter().for_each(|claimer| claimer.expect("a claimer"));
    let elapsed = start.elapsed();
    store.retire_worker(worker).await.expect("a retired worker");
    elapsed
}

async fn claim_and_complete(store: Arc<dyn Store>, worker: bulkhead_core::id::WorkerId) {
    loop {
        let request = ClaimRequest { worker, slots: STORE_BATCH, memory: u64::MAX, budget: u64::MAX };
        let claims = store.claim(request).await.expect("a claim");
        if claims.tasks.is_empty() {
            return;
        }
        let completions = claims.tasks.iter().map(|claimed| store.complete(succeeded(claimed.task, claimed.attempt)));
        futures::future::try_join_all(completions).await.expect("completed tasks");
    }
}
