//! The scheduler: it sleeps until something is due, and notices what changes meanwhile.

mod common;

use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_core::schedule::FireOutcome;
use bulkhead_engine::engine::Engine;
use bulkhead_engine::store::{Catalog as _, PluginRecord, Queue as _, Schedules as _};
use bulkhead_store::Fault;
use common::{Bench, Scripted, config, done};

fn id() -> Name {
    "test".parse().unwrap()
}

/// A definition with this schedule; each step has one task, which is done at once.
fn text(schedule: &str) -> String {
    format!("id = \"test\"\n{schedule}\n[step.only]\nplugin = \"scripted\"\n")
}

/// A store with the plugin and the definition, and an engine on it.
async fn started(bench: &Bench, schedule: &str) -> Engine {
    let plugin = PluginRecord {
        name: "scripted".parse().unwrap(),
        version: "1".into(),
        summary: String::new(),
        config_schema: "true".into(),
        digest: Digest::from_bytes([0; 32]),
        size: 0,
        uploaded_at: bench.store.now(),
        analysis: None,
    };
    bench.store.put_plugin(plugin, Default::default()).await.unwrap();
    bench.store.put_definition(id(), text(schedule).into(), None).await.unwrap();
    let executor: Arc<Scripted> = Scripted::new(|_| async { done() });
    Engine::start(bench.store.clone(), executor, config(4)).await.unwrap()
}

/// The outcomes of the fires so far, the oldest first.
async fn outcomes(bench: &Bench) -> Vec<&'static str> {
    let fires = bench.store.fires(id(), None, 1_000).await.unwrap();
    fires.iter().rev().map(|fire| fire.outcome.name()).collect()
}

/// Lets time pass in steps of a tenth of a second.
async fn pass(bench: &Bench, seconds: u64) {
    for _ in 0..10 * seconds {
        bench.pass(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fires_start_runs_on_time() {
    let bench = Bench::new();
    let engine = started(&bench, "schedule = \"*/10 * * * * *\"").await;
    pass(&bench, 35).await;
    assert_eq!(outcomes(&bench).await, ["started"; 3]);
    let late = bench.store.fire_counts().await.unwrap().late_micros;
    assert!(late < 1_000_000, "{late} µs late");
    for fire in bench.store.fires(id(), None, 10).await.unwrap() {
        let FireOutcome::Started { run } = fire.outcome else { panic!("{fire:?}") };
        bench.ended(run).await;
    }
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_changed_definition_is_heard_of_at_once() {
    let bench = Bench::new();
    let engine = started(&bench, "schedule = \"0 0 1 1 *\"").await;
    pass(&bench, 5).await;
    bench.store.put_definition(id(), text("schedule = \"* * * * * *\"").into(), None).await.unwrap();
    pass(&bench, 3).await;
    assert!(outcomes(&bench).await.len() >= 2, "{:?}", outcomes(&bench).await);
    bench.store.delete_definition(id()).await.unwrap();
    pass(&bench, 3).await;
    assert!(bench.store.schedule(id()).await.is_err());
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_forward_is_noticed() {
    let bench = Bench::new();
    let engine = started(&bench, "schedule = { cron = \"0 0 * * * *\", catch_up = \"last\" }").await;
    pass(&bench, 1).await;
    // As after the machine slept: its timers stood still.
    bench.clock.advance(Duration::from_secs(3 * 3_600));
    pass(&bench, 6).await;
    assert_eq!(outcomes(&bench).await, ["missed", "started"]);
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_starts_nothing_twice() {
    let bench = Bench::new();
    let engine = started(&bench, "schedule = { cron = \"*/10 * * * * *\", catch_up = \"all\" }").await;
    for _ in 0..3 {
        bench.fault("fire", Fault::LoseAcknowledgement);
        bench.fault("fire", Fault::Refuse);
        pass(&bench, 10).await;
    }
    pass(&bench, 5).await;
    assert_eq!(outcomes(&bench).await, ["started"; 3]);
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_can_not_run_says_so_and_is_tried_again() {
    let bench = Bench::new();
    let engine = started(&bench, "schedule = \"*/10 * * * * *\"").await;
    bench.store.delete_plugin("scripted".parse().unwrap()).await.unwrap();
    pass(&bench, 12).await;
    let fires = bench.store.fires(id(), None, 1).await.unwrap();
    let FireOutcome::Refused { reason } = &fires[0].outcome else { panic!("{fires:?}") };
    assert!(reason.contains("scripted"), "{reason}");
    engine.stop().await.unwrap();
}
