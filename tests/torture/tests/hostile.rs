//! Hostile plugins inside a server that goes on serving.

use std::time::{Duration, Instant};

use bulkhead_e2e::{Api, job_definition};
use bulkhead_torture::{Dice, audit, doctor, number_of, resident_memory, setting, start};
use reqwest::Method;

/// How much more memory a server may hold after rounds of misbehaviour than after the first ones, which warm its caches up.
const GROWTH: u64 = 96 << 20;

/// A run that behaves, next to those that do not.
const HEALTHY: &str = r#"
id = "healthy"

[step.talk]
plugin = "generator"
worker_count = 10
log_count = 20
log_delay_ms = 20
"#;

async fn healthy_run(api: &Api) -> Duration {
    let started = Instant::now();
    let run = api.trigger("healthy").await;
    let mut stream = api.follow(&run, None).await;
    let lines = stream.lines_to_end().await;
    assert_eq!(lines.len(), 200);
    let found = audit(api, &run).await;
    assert_eq!(found.run["state"], "succeeded");
    started.elapsed()
}

#[tokio::test]
async fn the_server_answers_while_endless_loops_fill_every_slot() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let definition = r#"
id = "loops"

[step.loops]
plugin = "misbehave"
copies = 16
mode = "endless-loop"
timeout = "1h"
"#;
    let (mut server, _) = start(data.path(), &["--slots", "8"]).await;
    server.wait_until_loaded();
    let api = server.api();
    api.put_definition("loops", definition).await.ok();
    api.put_definition("healthy", HEALTHY).await.ok();
    let loops = api.trigger("loops").await;
    api.wait_for(&loops, "in every slot", |run| number_of(&run["tasks"], "running") == 8).await;

    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let asked = Instant::now();
        assert!(api.send(api.request(Method::GET, "/health")).await.status.is_success());
        slowest = slowest.max(asked.elapsed());
    }
    println!("the slowest of 200 answers of /health took {} ms", slowest.as_millis());
    let waiting = api.trigger("healthy").await;
    let mut stream = api.follow(&waiting, None).await;
    assert_eq!(api.run(&waiting).await["state"], "queued");

    let asked = Instant::now();
    api.command(&loops, "cancel").await.ok();
    let cancelled = api.wait_for_end(&loops).await;
    println!("sixteen endless loops were cancelled within {} ms", asked.elapsed().as_millis());
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(stream.lines_to_end().await.len(), 200);
    audit(&api, &loops).await;
    audit(&api, &waiting).await;
}

#[tokio::test]
async fn misbehaviour_over_and_over_leaves_the_server_as_it_was() {
    let rounds = setting("BULKHEAD_ROUNDS", 4);
    let data = tempfile::tempdir().expect("a temporary directory");
    let (mut server, _) = start(data.path(), &["--slots", "32", "--memory-budget", "2GiB"]).await;
    server.wait_until_loaded();
    let api = server.api();
    let mut text = std::fs::read_to_string(job_definition("misbehave")).expect("the definition");
    // Nothing but what is endless may run into its timeout, however busy the machine is.
    for timeout in ["\"5s\"", "\"10s\"", "\"20s\"", "\"5m\""] {
        text = text.replace(&format!("timeout = {timeout}"), "timeout = \"30m\"");
    }
    api.put_definition("misbehave", &text).await.ok();
    api.put_definition("healthy", HEALTHY).await.ok();
    let mut first = None;
    let mut causes = None;
    for round in 1..=rounds {
        let hostile = api.trigger("misbehave").await;
        let beside = healthy_run(&api).await;
        let ended = api.wait_for_end(&hostile).await;
        assert_eq!(ended["state"], "succeeded", "{:#}", ended["failure"]);
        let found = audit(&api, &hostile).await;
        let mut named: Vec<_> = found
            .tasks
            .iter()
            .filter(|task| task["state"] == "failed")
            .map(|task| format!("{} {}: {}", task["step"], task["index"], task["failure"]["cause"]))
            .collect();
        named.sort();
        assert_eq!(*causes.get_or_insert(named.clone()), named, "round {round} failed in another way");
        let memory = resident_memory(server.process());
        println!("round {round}: {} MiB, the healthy run took {} ms", memory >> 20, beside.as_millis());
        // The first two rounds warm up caches and pools.
        if round == 2 {
            first = Some(memory);
        }
        if let Some(first) = first {
            assert!(memory < first + GROWTH, "memory grew from {first} to {memory} bytes in {} rounds", round - 2);
        }
    }
    server.terminate();
    assert!(server.wait().success());
    doctor(data.path());
}

#[tokio::test]
async fn mutilated_components_are_refused_and_nothing_else_happens() {
    let uploads = setting("BULKHEAD_UPLOADS", 120);
    let mut dice = Dice::fresh();
    let data = tempfile::tempdir().expect("a temporary directory");
    let (mut server, _) = start(data.path(), &[]).await;
    server.wait_until_loaded();
    let api = server.api();
    let sound = std::fs::read(bulkhead_e2e::plugins().join("noop.wasm")).expect("the no-op plugin");
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..uploads {
        let component = mutilate(&sound, &mut dice);
        let request = api.request(Method::POST, "/api/v1/plugins").header("content-type", "application/octet-stream");
        let reply = api.send(request.body(component)).await;
        // A mutation that hurts nothing, of a name section for example, makes another sound plugin.
        match reply.status.as_u16() {
            200..300 => taken += 1,
            400..500 => {
                refused += 1;
                assert_eq!(reply.content_type, "application/problem+json", "{:#}", reply.body);
            }
            status => panic!("{status}: {:#}", reply.body),
        }
    }
    println!("{refused} mutilated components were refused, {taken} were sound all the same");
    assert!(refused > taken);
    assert!(api.send(api.request(Method::GET, "/health")).await.status.is_success());
    // The sound one is what the name means again, and works.
    let request = api.request(Method::POST, "/api/v1/plugins").header("content-type", "application/octet-stream");
    api.send(request.body(sound)).await.ok();
    api.put_definition("noop", "id = \"noop\"\n[step.noop]\nplugin = \"noop\"\ntasks = 5\n").await.ok();
    let run = api.trigger("noop").await;
    assert_eq!(api.wait_for_end(&run).await["state"], "succeeded");
}

/// A component with some bytes changed, cut off, doubled, or replaced by noise.
fn mutilate(sound: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    let length = bytes.len() as u64;
    match dice.below(6) {
        0 => bytes.truncate(dice.below(length) as usize),
        1 => bytes = (0..dice.below(4_096)).map(|_| dice.below(256) as u8).collect(),
        2 => {
            let (from, to) = (dice.below(length) as usize, dice.below(length) as usize);
            bytes.splice(from.min(to)..from.min(to), sound[from.min(to)..from.max(to)].iter().copied());
        }
        3 => {
            let from = dice.below(length) as usize;
            let to = (from + dice.below(200) as usize).min(bytes.len());
            bytes.drain(from..to);
        }
        _ => {
            for _ in 0..=dice.below(20) {
                let at = dice.below(length) as usize;
                bytes[at] = dice.below(256) as u8;
            }
        }
    }
    bytes
}
