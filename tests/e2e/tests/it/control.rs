//! What people do to runs: cancel, pause, resume, retry, and trigger twice.

use std::time::{Duration, Instant};

use bulkhead_e2e::{Server, bulkhead};
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
async fn single_tasks_are_commanded_from_the_command_line() {
    let server = Server::start();
    let api = server.api();
    let text = "id = \"half\"\nname = \"Half\"\n[step.all]\nplugin = \"generator\"\nworker_count = 20\nlog_count = 30\nfailure_rate = 0.5\n";
    api.put_definition("half", text).await.ok();
    let cli = |args: &[&str]| {
        let mut command = bulkhead(args);
        command.arg("--json").env("BULKHEAD_SERVER", server.url());
        let output = command.output().expect("the binary starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), serde_json::from_str(&text).unwrap_or(serde_json::Value::Null), error)
    };
    let (_, run, _) = cli(&["trigger", "half", "--paused"]);
    let id = run["id"].as_str().expect("a run has an id").to_owned();
    assert_eq!(run["state"], "paused");
    let (code, plan, _) = cli(&["process-next", &id]);
    assert_eq!((code, &plan["task"]["state"]), (Some(0), &json!("succeeded")));
    let (code, one, error) = cli(&["process-next", &id, "--step", "all"]);
    assert!(code == Some(0) || code == Some(1), "{code:?}: {error}");
    assert_eq!(one["result"]["log_tail"].as_array().map(Vec::len), Some(20), "{one:#}");
    api.command(&id, "resume").await.ok();
    let ended = api.wait_for_end(&id).await;
    let failed = ended["tasks"]["failed"].as_u64().expect("a number");

    let (_, dry, _) = cli(&["retry", &id, "--dry-run", "--cause", "plugin-error"]);
    assert_eq!((&dry["matching"], &dry["state"]), (&json!(failed), &json!("failed")));
    let tasks = api.tasks(&id).await;
    let failures: Vec<&str> =
        tasks.iter().filter(|task| task["state"] == "failed").filter_map(|task| task["id"].as_str()).collect();
    let (code, edited, error) = cli(&["task", "edit", failures[0], "--input", "{\"wrong\": 1}"]);
    assert_eq!((code, &edited["input"]), (Some(0), &json!({"wrong": 1})), "{error}");
    for task in &failures {
        let (code, skipped, error) = cli(&["task", "skip", task]);
        assert_eq!((code, &skipped["state"]), (Some(0), &json!("skipped")), "{error}");
    }
    let run = api.run(&id).await;
    assert_eq!((&run["state"], &run["tasks"]["skipped"]), (&json!("succeeded"), &json!(failed)));
    let (code, _, error) = cli(&["task", "cancel", failures[0]]);
    assert!(code == Some(5) && error.contains("the task is skipped"), "{code:?} {error}");
    let (_, retried, _) = cli(&["task", "retry", failures[0]]);
    assert_eq!(retried["id"], failures[0]);
    let ended = api.wait_for_end(&id).await;
    assert_eq!(ended["tasks"]["failed"], 1, "its input means nothing to the plugin: {ended:#}");
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
