//! A server's life: signals, restarts, directories.

use std::time::{Duration, Instant};

use bulkhead_e2e::{Server, ServerOptions, call, job_definition};
use serde_json::json;
use tempfile::tempdir;

const STEADY: &str = "id = \"steady\"\nname = \"Steady\"\n[step.all]\nplugin = \"generator\"\nworker_count = 3\nlog_count = 60\nlog_delay_ms = 20\n";

#[tokio::test]
async fn sigterm_drains() {
    let dir = tempdir().expect("a temporary directory");
    let options = ServerOptions::default().data_dir(&dir.path().join("data"));
    let mut server = Server::start_with(options.clone());
    server.wait_until_loaded();
    let api = server.api();
    api.put_definition("steady", STEADY).await.ok();
    let run = api.trigger("steady").await;
    api.wait_for(&run, "at work", |run| run["tasks"]["running"] == 3).await;
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));

    let server = Server::start_with(options);
    let run = server.api().wait_for_end(&run).await;
    assert_eq!((&run["state"], &run["attempts"]), (&json!("succeeded"), &json!(4)), "what was at work ended: {run:#}");
    assert_eq!(run["lines"]["total"], 180);
}

#[tokio::test]
async fn a_second_signal_gives_attempts_back_and_ends_at_once() {
    let dir = tempdir().expect("a temporary directory");
    let options = ServerOptions::default().data_dir(&dir.path().join("data"));
    let mut server = Server::start_with(options.clone());
    server.wait_until_loaded();
    let api = server.api();
    let text = "id = \"loop\"\nname = \"Loop\"\n[step.bad]\nplugin = \"misbehave\"\ntimeout = \"10m\"\nmode = \"endless-loop\"\n";
    api.put_definition("loop", text).await.ok();
    let run = api.trigger("loop").await;
    api.wait_for(&run, "at work", |run| run["tasks"]["running"] == 1 && run["tasks"]["succeeded"] == 1).await;
    server.terminate();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = Instant::now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(130));
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());

    let server = Server::start_with(options);
    let api = server.api();
    api.wait_for(&run, "at work again", |run| run["tasks"]["running"] == 1).await;
    let task = api.tasks(&run).await.into_iter().find(|task| task["index"] == 1).expect("the task is there");
    assert_eq!((&task["failures"], &task["host_deaths"]), (&json!(0), &json!(0)), "it counts against no limit: {task:#}");
}

#[tokio::test]
async fn history_outlives_a_kill_and_counts_are_right() {
    let dir = tempdir().expect("a temporary directory");
    let data_dir = dir.path().join("data");
    let options = ServerOptions::default().data_dir(&data_dir);
    let mut server = Server::start_with(options.clone());
    server.wait_until_loaded();
    let api = server.api();
    api.put_definition("steady", STEADY).await.ok();
    let ended = api.trigger("steady").await;
    let before = api.wait_for_end(&ended).await;
    let lines = api.lines(&ended).await;
    let interrupted = api.trigger("steady").await;
    api.wait_for(&interrupted, "at work", |run| run["tasks"]["running"] == 3).await;
    server.kill();

    let mut server = Server::start_with(options);
    assert!(server.listening_after() < Duration::from_secs(5), "{:?}", server.listening_after());
    let api = server.api();
    assert_eq!(api.run(&ended).await, before);
    assert_eq!(api.lines(&ended).await, lines);
    let after = api.wait_for_end(&interrupted).await;
    assert_eq!((&after["state"], &after["tasks"]["succeeded"]), (&json!("succeeded"), &json!(4)), "{after:#}");
    assert_eq!(server.api().get("/definitions/steady").await.ok()["version"], 1);
    server.terminate();
    server.wait();

    let doctor = call(&["doctor", "--json", "--data-dir", data_dir.to_str().expect("a path in UTF-8")]);
    assert_eq!(doctor.status.code(), Some(0), "{}", String::from_utf8_lossy(&doctor.stdout));
}

#[tokio::test]
async fn directories_are_loaded_and_start_what_starts_by_itself() {
    let dir = tempdir().expect("a temporary directory");
    let definitions = dir.path().join("definitions");
    std::fs::create_dir(&definitions).expect("a directory can be made");
    std::fs::write(definitions.join("a.toml"), STEADY.replace("name =", "auto_start = true\nname ="))
        .expect("a file can be written");
    std::fs::write(definitions.join("b.toml"), "id = \"broken\"\n").expect("a file can be written");
    let path = definitions.to_str().expect("a path in UTF-8");
    let mut server = Server::start_with(ServerOptions::default().args(&["--definitions", path]));
    server.wait_until_loaded();
    let api = server.api();
    let listed = api.get("/definitions").await.ok();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "the broken one is left out, no other: {listed:#}");
    let runs = api.get("/runs").await.ok();
    assert_eq!(runs["items"][0]["trigger"], "auto-start", "{runs:#}");
}

#[tokio::test]
async fn every_job_definition_is_valid() {
    let server = Server::start();
    for name in ["test_job_generator", "misbehave", "stress"] {
        let path = job_definition(name);
        let output = server.call(&["definitions", "validate", path.to_str().expect("a path in UTF-8")]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
