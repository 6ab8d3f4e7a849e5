//! One worker: what it claims, how it ends, and what becomes of it when the store or its lease is lost.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bulkhead_core::failure::Cause;
use bulkhead_core::id::WorkerId;
use bulkhead_core::machine::RunCommand;
use bulkhead_core::plan::Limits;
use bulkhead_core::run::RunState;
use bulkhead_core::task::{AttemptEnd, TaskState, TaskStatus};
use bulkhead_engine::engine::{Engine, EngineConfig};
use bulkhead_engine::executor::ExecutionEnd;
use bulkhead_engine::store::{Journal as _, Queue as _};
use bulkhead_store::Fault;
use common::{Bench, Scripted, config, done, plan};
use tokio::sync::Semaphore;

async fn engine(bench: &Bench, executor: Arc<Scripted>, config: EngineConfig) -> Engine {
    Engine::start(bench.store.clone(), executor, config).await.unwrap()
}

/// Does nothing until it is told to end.
async fn hang(host: bulkhead_engine::attempt::AttemptHost) -> ExecutionEnd {
    host.cancelled().cancelled().await;
    ExecutionEnd::Cancelled
}

/// How many are at it at once, and how many that ever were.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The most attempts at once of a run of 20 tasks that each take a while.
async fn most_at_once(limits: Limits, config: EngineConfig) -> usize {
    let bench = Bench::new();
    let crowd = Arc::new(Crowd::default());
    let inside = crowd.clone();
    let executor = Scripted::tasks(20, move |_| {
        let crowd = inside.clone();
        async move {
            crowd.enter();
            tokio::time::sleep(Duration::from_millis(30)).await;
            crowd.leave();
            done()
        }
    });
    let run = bench.start(plan(limits)).await;
    let engine = engine(&bench, executor, config).await;
    assert_eq!(bench.ended(run).await.state, RunState::Succeeded);
    assert_eq!((engine.load().running, engine.load().reserved), (0, 0));
    crowd.most.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn every_slot_is_used_and_no_more() {
    assert_eq!(most_at_once(Limits::default(), config(3)).await, 3);
}

#[tokio::test(start_paused = true)]
async fn the_memory_budget_admits_what_fits_and_no_more() {
    let limits = Limits { memory: 40, ..Limits::default() };
    assert_eq!(most_at_once(limits, EngineConfig { memory: 100, ..config(8) }).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_attempts_end_and_takes_no_more() {
    let bench = Bench::new();
    let gate = Arc::new(Semaphore::new(0));
    let inside = gate.clone();
    let executor = Scripted::tasks(4, move |_| {
        let gate = inside.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            done()
        }
    });
    let run = bench.start(plan(Limits::default())).await;
    let engine = engine(&bench, executor, config(2)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!engine.drain(Duration::from_secs(1)).await, "two attempts are at work");
    assert!(engine.load().draining);
    gate.add_permits(4);
    assert!(engine.drain(Duration::from_secs(1)).await);
    let tasks = bench.run(run).await.tasks();
    assert_eq!((tasks.succeeded, tasks.queued, tasks.running), (3, 2, 0));
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_attempts_back() {
    let bench = Bench::new();
    let run = bench.start(plan(Limits::default())).await;
    let engine = engine(&bench, Scripted::tasks(3, hang), config(2)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(engine.load().running, 2);
    engine.stop().await.unwrap();
    let tasks = bench.run(run).await.tasks();
    assert_eq!((tasks.queued, tasks.running), (3, 0));
    let given_back = bench.task(run, 1).await;
    assert_eq!(given_back.history[0].end, AttemptEnd::Released);
    assert_eq!((given_back.failures, given_back.host_deaths), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_is_given_back_and_claimed_again() {
    let bench = Bench::new();
    bench.fault("claim", Fault::LoseAcknowledgement);
    bench.fault("reconcile", Fault::Refuse);
    bench.fault("reconcile", Fault::LoseAcknowledgement);
    let run = bench.start(plan(Limits::default())).await;
    let _engine = engine(&bench, Scripted::new(|_| async { done() }), config(2)).await;
    assert_eq!(bench.ended(run).await.state, RunState::Succeeded);
    let task = bench.task(run, 0).await;
    let ends: Vec<_> = task.history.iter().map(|attempt| attempt.end.clone()).collect();
    assert_eq!(ends, [AttemptEnd::Released, AttemptEnd::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_claim_is_tried_again_soon() {
    let bench = Bench::new();
    let run = bench.start(plan(Limits::default())).await;
    bench.refuse(Some("claim"));
    let _engine = engine(&bench, Scripted::new(|_| async { done() }), config(2)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    bench.refuse(None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.run(run).await.state, RunState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_attempt_waits_for_the_store_and_is_recorded_once() {
    let bench = Bench::new();
    for _ in 0..3 {
        bench.fault("complete", Fault::Refuse);
    }
    bench.fault("complete", Fault::LoseAcknowledgement);
    let run = bench.start(plan(Limits::default())).await;
    let engine = engine(&bench, Scripted::new(|_| async { done() }), config(2)).await;
    assert_eq!(bench.ended(run).await.state, RunState::Succeeded);
    assert_eq!(bench.task(run, 0).await.history.len(), 1);
    assert!(engine.drain(Duration::from_secs(5)).await, "the repeated record is refused, and that is its end");
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_lease_ran_out_gives_its_attempts_up_and_registers_again() {
    let bench = Bench::new();
    let tries = Arc::new(AtomicUsize::new(0));
    let inside = tries.clone();
    let executor = Scripted::new(move |host| {
        let try_number = inside.fetch_add(1, Ordering::SeqCst);
        async move { if try_number == 0 { hang(host).await } else { done() } }
    });
    let run = bench.start(plan(Limits::default())).await;
    let _engine = engine(&bench, executor, config(2)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.run(run).await.tasks().running, 1);
    // Whoever keeps house next finds that the lease ran out.
    bench.clock.advance(Duration::from_secs(10));
    bench.store.housekeep(Default::default()).await.unwrap();
    assert_eq!(bench.ended(run).await.state, RunState::Succeeded);
    let task = bench.task(run, 0).await;
    let ends: Vec<_> = task.history.iter().map(|attempt| attempt.end.clone()).collect();
    assert_eq!(ends, [AttemptEnd::HostLost, AttemptEnd::Succeeded]);
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_end_of_a_lost_attempt_changes_nothing() {
    let bench = Bench::new();
    let gate = Arc::new(Semaphore::new(0));
    let inside = gate.clone();
    // The first try ignores that it is told to end, and succeeds much later; the second fails.
    let executor = Scripted::new(move |host| {
        let gate = inside.clone();
        async move {
            if host.claimed().attempt == 1 {
                gate.acquire().await.unwrap().forget();
                return done();
            }
            ExecutionEnd::Failed(bulkhead_core::failure::Failure::new(Cause::Denied, "the second try fails"))
        }
    });
    let run = bench.start(plan(Limits::default())).await;
    let engine = engine(&bench, executor, config(2)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    bench.store.register_worker(WorkerId::from_u128(1_000), Duration::from_secs(600), true).await.unwrap();
    bench.ended(run).await;
    gate.add_permits(1);
    assert!(engine.drain(Duration::from_secs(5)).await);
    let task = bench.task(run, 0).await;
    assert_eq!(task.state.status(), TaskStatus::Failed, "{task:#?}");
    assert_eq!(task.history.len(), 2);
    assert_eq!(bench.store.recount().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn attempts_of_a_cancelled_run_are_told_to_end() {
    for lost_word in [false, true] {
        let bench = Bench::new();
        let run = bench.start(plan(Limits::default())).await;
        let _engine = engine(&bench, Scripted::tasks(5, hang), config(2)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        if lost_word {
            bench.fault("take_revoked", Fault::LoseAcknowledgement);
        }
        bench.store.command_run(run, RunCommand::Cancel).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let run = bench.run(run).await;
        assert_eq!(run.state, RunState::Cancelled, "lost word: {lost_word}");
        assert_eq!(run.tasks().cancelled, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_executor_fails_its_attempt_and_frees_its_slot() {
    let bench = Bench::new();
    let run = bench.start(plan(Limits::default())).await;
    // Not even a future comes out of it.
    let executor = Scripted::new(|_| -> std::future::Ready<ExecutionEnd> { panic!("a bug of the host") });
    let engine = engine(&bench, executor, config(1)).await;
    bench.ended(run).await;
    let task = bench.task(run, 0).await;
    let TaskState::Failed(failure) = &task.state else { panic!("{task:#?}") };
    assert_eq!(failure.cause, Cause::HostFault);
    assert_eq!(engine.load().running, 0);
}
