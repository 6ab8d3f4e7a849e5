//! Eight clients command single tasks and the whole run at random while a server works, is killed and goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bulkhead_e2e::Api;
use bulkhead_torture::{Dice, LIMIT, audit, doctor, number_of, setting, start};
use reqwest::Method;
use serde_json::{Value, json};

/// More tasks than four slots do in a minute, some of which fail for good and some of which are tried again.
const DEFINITION: &str = r#"
id = "controlled"

[error_tolerance]
max_child_failure_rate = 0.9

[step.steady]
plugin = "generator"
worker_count = 4000
log_count = 4
log_delay_ms = 20
failure_rate = 0.2
retry = { attempts = 2, backoff = "100ms", on = ["plugin-error", "panic"] }

[step.after]
plugin = "noop"
depends = "steady"
tasks = 20
lines = 2
"#;

/// The tasks of the first step, its plan among them.
const TASKS: u64 = 4_001;
/// Clients at once.
const CLIENTS: u64 = 8;
/// What a command may answer beside success: the state has gone on meanwhile.
const REFUSED: u16 = 409;

/// What the clients did.
#[derive(Default)]
struct Tally {
    done: AtomicU64,
    refused: AtomicU64,
    processed: AtomicU64,
    slowest_ms: AtomicU64,
}

#[tokio::test]
async fn random_control_from_eight_clients_leaves_every_count_right() {
    let time = Duration::from_secs(setting("BULKHEAD_CONTROL_SECONDS", 20));
    let mut dice = Dice::fresh();
    let data = tempfile::tempdir().expect("a temporary directory");
    let (mut server, _) = start(data.path(), &["--slots", "4"]).await;
    server.wait_until_loaded();
    let api = server.api();
    api.put_definition("controlled", DEFINITION).await.ok();
    let run = api.trigger("controlled").await;
    api.wait_for(&run, "planned", |run| number_of(&run["steps"][0]["tasks"], "total") == TASKS).await;

    let (over, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let seeds: Vec<u64> = (0..CLIENTS).map(|_| dice.below(u64::MAX)).collect();
    let clients = seeds.into_iter().map(|seed| {
        let (api, run, over, tally) = (api.clone(), run.clone(), over.clone(), tally.clone());
        tokio::spawn(async move {
            let mut dice = Dice::of(seed);
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                command(&api, &run, &mut dice, &tally).await;
                tally.slowest_ms.fetch_max(asked.elapsed().as_millis() as u64, Ordering::Relaxed);
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    // The time is the test's input, not a wait for anything.
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a client meets nothing that it did not expect");
    }
    let [done, refused, processed, slowest] =
        [&tally.done, &tally.refused, &tally.processed, &tally.slowest_ms].map(|count| count.load(Ordering::Relaxed));
    println!("{done} commands done, {refused} refused, {processed} tasks processed one by one; the slowest took {slowest} ms");
    println!("after the last command: {}", api.run(&run).await["tasks"]);
    assert!(done > 100 && processed > 0, "the clients did next to nothing");

    // What is summoned, cancelled or half retried at this moment survives the kill.
    server.kill();
    doctor(data.path());
    let (mut server, _) = start(data.path(), &["--slots", "128"]).await;
    server.wait_until_loaded();
    let api = server.api();
    drain(&api, &run).await;
    let found = audit(&api, &run).await;
    assert_eq!(number_of(&found.run["steps"][0]["tasks"], "total"), TASKS);
    let usage = |name: &str| found.tasks.iter().map(|task| number_of(&task["usage"], name)).sum::<u64>();
    assert_eq!(number_of(&found.run["usage"], "cpu_us"), usage("cpu_us"), "what the tasks used is what the run used");
    let attempts: u64 = found.tasks.iter().map(|task| number_of(task, "attempt")).sum();
    assert_eq!(number_of(&found.run, "attempts"), attempts);
    server.kill();
    doctor(data.path());
}

/// Resumes the run and retries what was cancelled until all has ended: nothing is stuck.
async fn drain(api: &Api, run: &str) {
    let deadline = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < deadline, "the run is stuck: {:#}", api.run(run).await);
        let now = api.run(run).await;
        match now["state"].as_str() {
            Some("paused") => drop(api.command(run, "resume").await),
            Some("succeeded") => return,
            // Its tasks fail again or not; those that somebody cancelled have to be done.
            Some("failed") => {
                let retried = api.post(&format!("/runs/{run}/retry?cause=cancelled"), &Value::Null).await;
                assert!(retried.status.is_success(), "{retried:?}");
            }
            _ => {}
        }
        let path = format!("/api/v1/runs/{run}?wait=2s");
        api.send(api.request(Method::GET, &path)).await.ok();
    }
}

/// One command at random.
async fn command(api: &Api, run: &str, dice: &mut Dice, tally: &Tally) {
    let id = format!("task_{}-0-{}", run.trim_start_matches("run_"), dice.below(TASKS));
    let post = async |path: String| api.send(api.request(Method::POST, &format!("/api/v1{path}"))).await;
    let reply = match dice.below(100) {
        0..8 => post(format!("/runs/{run}/pause")).await,
        8..24 => post(format!("/runs/{run}/resume")).await,
        24..44 => {
            let key = format!("key-{}", dice.below(400));
            let request = api.request(Method::POST, &format!("/api/v1/runs/{run}/process-next?wait=2s"));
            let reply = api.send(request.header("idempotency-key", key)).await;
            if reply.status == 200 && reply.body["result"].is_object() {
                tally.processed.fetch_add(1, Ordering::Relaxed);
                let end = &reply.body["result"]["end"];
                assert!(["succeeded", "failed", "cancelled", "host-lost"].iter().any(|known| end == known), "{reply:?}");
            }
            reply
        }
        44..60 => post(format!("/tasks/{id}/retry")).await,
        60..64 => {
            let query = ["cause=plugin-error", "step=steady&text=worker-1", "cause=cancelled", "dry_run=true&cause=panic"];
            post(format!("/runs/{run}/retry?{}", query[dice.below(4) as usize])).await
        }
        64..76 => post(format!("/tasks/{id}/skip")).await,
        76..88 => {
            let path = format!("/api/v1/tasks/{id}/input");
            api.send(api.request(Method::PUT, &path).json(&json!({"edited": dice.below(10)}))).await
        }
        _ => post(format!("/tasks/{id}/cancel")).await,
    };
    let status = reply.status.as_u16();
    assert!(status < 300 || status == REFUSED, "{id}: {reply:?}");
    let counter = if status == REFUSED { &tally.refused } else { &tally.done };
    counter.fetch_add(1, Ordering::Relaxed);
}
