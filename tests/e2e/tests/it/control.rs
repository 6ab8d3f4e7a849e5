//! What people do to runs: cancel, pause, resume, retry, and trigger twice.

use std::time::{Duration, Instant};

use bulkhead_e2e::Server;
use serde_json::json;

/// The contract says 3 s; a machine that compiles something else meanwhile is given more.
const CANCEL_BOUND: Duration = Duration::from_secs(6);

fn misbehaving(mode: &str) -> String {
    format!("id = \"{mode}\"\nname = \"One mode\"\n[step.bad]\nplugin = \"misbehave\"\ntimeout = \"10m\"\nmode = \"{mode}\"\n")
}

#[tokio::test]
async fn cancel_ends_a_run_whatever_its_guest_does() {
    let server = Server::start();
    let api = server.api();
    for mode in ["endless-loop", "endless-loop-in-host-call", "sleep-for-ever", "sleep-past-cancellation"] {
        api.put_definition(mode, &misbehaving(mode)).await.ok();
        let run = api.trigger(mode).await;
        // The `plan` has ended, and the guest is at it.
        let is_at_it = |run: &serde_json::Value| run["tasks"]["running"] == 1 && run["tasks"]["succeeded"] == 1;
        api.wait_for(&run, "at work", is_at_it).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let asked = Instant::now();
        api.command(&run, "cancel").await.ok();
        let ended = api.wait_for_end(&run).await;
        let took = asked.elapsed();
        assert_eq!(ended["state"], "cancelled", "{mode}");
        assert!(took < CANCEL_BOUND, "{mode}: {took:?}");
        assert_eq!(ended["tasks"]["cancelled"], 1, "{mode}");
        // What has ended stays so.
        let again = api.command(&run, "cancel").await;
        assert!(again.status.is_success() || again.status == 409, "{mode}: {again:?}");
    }
}

#[tokio::test]
async fn a_paused_run_starts_nothing_until_it_is_resumed() {
    let server = Server::start();
    let api = server.api();
    let text = "id = \"steps\"\nname = \"Steps\"\n[step.all]\nplugin = \"generator\"\nconcurrency = 2\nworker_count = 40\nlog_count = 20\nlog_delay_ms = 5\n";
    api.put_definition("steps", text).await.ok();
    let run = api.trigger("steps").await;
    api.wait_for(&run, "at work", |run| run["tasks"]["succeeded"].as_u64() > Some(3)).await;
    api.command(&run, "pause").await.ok();
    let paused = api.wait_for(&run, "at rest", |run| run["tasks"]["running"] == 0).await;
    assert_eq!(paused["state"], "paused");
    assert!(paused["tasks"]["queued"].as_u64() > Some(0), "{paused:#}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(api.run(&run).await["tasks"], paused["tasks"], "nothing moves");
    api.command(&run, "resume").await.ok();
    let ended = api.wait_for_end(&run).await;
    assert_eq!((&ended["state"], &ended["tasks"]["succeeded"]), (&json!("succeeded"), &json!(41)));
    assert_eq!(ended["attempts"], 41, "a pause costs no attempt");
    assert_eq!(ended["lines"]["total"], 800);
}

#[tokio::test]
async fn retry_does_the_failed_tasks_again_and_no_others() {
    let server = Server::start();
    let api = server.api();
    let text = "id = \"half\"\nname = \"Half\"\n[step.all]\nplugin = \"generator\"\nworker_count = 20\nlog_count = 5\nfailure_rate = 0.5\n";
    api.put_definition("half", text).await.ok();
    let run = api.trigger("half").await;
    let first = api.wait_for_end(&run).await;
    assert_eq!(first["state"], "failed");
    let failed = first["tasks"]["failed"].as_u64().expect("a number");
    assert!((1..20).contains(&failed), "{failed}");
    api.command(&run, "retry").await.ok();
    // The generator fails the same workers for the same seed.
    let again =
        api.wait_for(&run, "retried", |run| run["attempts"].as_u64() == Some(21 + failed) && run["state"] == "failed").await;
    assert_eq!(again["tasks"]["failed"], failed);
    for task in api.tasks(&run).await {
        let attempts = if task["state"] == "failed" { 2 } else { 1 };
        assert_eq!(task["attempt"], attempts, "{task:#}");
    }
}

#[tokio::test]
async fn one_key_starts_one_run() {
    let server = Server::start();
    let api = server.api();
    api.put_definition("noop", "id = \"noop\"\nname = \"Noop\"\n[step.all]\nplugin = \"noop\"\n").await.ok();
    let path = "/definitions/noop/runs";
    let first = api.post_once(path, &json!({}), "key-1").await.ok();
    let second = api.post_once(path, &json!({}), "key-1").await.ok();
    assert_eq!(first["id"], second["id"]);
    let other_body = api.post_once(path, &json!({"parameters": {"a": 1}}), "key-1").await;
    assert_eq!(other_body.status, 422, "{other_body:?}");
    assert_eq!(other_body.content_type, "application/problem+json");
    let other_key = api.post_once(path, &json!({}), "key-2").await.ok();
    assert_ne!(first["id"], other_key["id"]);
    let runs = api.get("/runs").await.ok();
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(2));
}
