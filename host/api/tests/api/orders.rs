//! What people order of single tasks, retries by filter, and the next task of a run.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::Server;

fn task(run: &str, index: u32) -> String {
    format!("/api/v1/tasks/task_{}-0-{index}", run.trim_start_matches("run_"))
}

async fn put_input(server: &Server, task: &str, body: &str) -> crate::support::Reply {
    let request = Request::put(format!("{task}/input")).header("content-type", "application/json");
    server.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn trigger_paused(server: &Server, id: &str, config: &str) -> String {
    server.define(id, config).await;
    let request = Request::post(format!("/api/v1/definitions/{id}/runs")).header("content-type", "application/json");
    let run = server.send(request.body(r#"{"paused":true}"#.into()).unwrap()).await.expect(201).json();
    assert_eq!(run["state"], "paused");
    run["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_failed_task_is_edited_retried_and_skipped() {
    let server = Server::start().await;
    let run = server.run("fails", "workers = 2\nlines = 30\nfail = true").await;
    assert_eq!(server.end(&run).await["state"], "failed");
    let (one, two) = (task(&run, 1), task(&run, 2));

    let failed = server.get(&one).await.expect(200).json();
    let attempt = &failed["attempts"][0];
    assert_eq!((&attempt["number"], &attempt["failure"]["cause"]), (&json!(1), &json!("panic")));
    let tail: Vec<&str> = attempt["log_tail"].as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!((tail.len(), tail[0], tail[18]), (20, "line 11 of task 1", "line 29 of task 1"));
    assert_eq!(tail[19], "attempt 1 of worker-0 failed: panic: told to fail");

    put_input(&server, &one, "{").await.expect_problem(400, "malformed-body");
    put_input(&server, &one, &format!("\"{}\"", "x".repeat(1 << 20))).await.expect_problem(413, "body-too-large");
    put_input(&server, &task(&run, 0), "1").await.expect_problem(409, "wrong-state");
    let edited = put_input(&server, &one, r#"{"index":7}"#).await.expect(200).json();
    assert_eq!(
        (&edited["input"], &edited["state"], edited["edited_at"].is_string()),
        (&json!({"index":7}), &json!("failed"), true)
    );

    let retried = server.post(&format!("{one}/retry"), "").await.expect(200).json();
    assert_ne!(retried["state"], "skipped");
    let ended = server.end(&run).await;
    assert_eq!((&ended["state"], &ended["tasks"]["failed"], &ended["attempts"]), (&json!("failed"), &json!(2), &json!(4)));
    let again = server.get(&one).await.expect(200).json();
    assert_eq!((again["attempts"].as_array().unwrap().len(), &again["usage"]["fuel"]), (2, &json!(14)));

    server.post(&format!("{one}/skip"), "").await.expect(200);
    server.post(&format!("{one}/skip"), "").await.expect(200);
    let skipped = server.post(&format!("{two}/skip"), "").await.expect(200).json();
    assert_eq!(skipped["state"], "skipped");
    let ended = server.end(&run).await;
    assert_eq!((&ended["state"], &ended["tasks"]["skipped"]), (&json!("succeeded"), &json!(2)));
    server.post(&format!("{one}/cancel"), "").await.expect_problem(409, "wrong-state");
}

#[tokio::test]
async fn a_running_task_is_cancelled() {
    let server = Server::start().await;
    let run = server.run("held", "workers = 1\nhold = true").await;
    let one = task(&run, 1);
    // Until the plan has run, there is none.
    while server.get(&one).await.json()["state"] != "running" {
        tokio::task::yield_now().await;
    }
    put_input(&server, &one, "1").await.expect_problem(409, "wrong-state");
    server.post(&format!("{one}/skip"), "").await.expect_problem(409, "wrong-state");
    server.post(&format!("{one}/cancel"), "").await.expect(200);
    let ended = server.end(&run).await;
    assert_eq!((&ended["state"], &ended["failure"]["cause"]), (&json!("failed"), &json!("cancelled")));
}

#[tokio::test]
async fn failures_are_counted_and_retried_by_filter() {
    let server = Server::start().await;
    let run = server.run("many", "workers = 3\nfail = true").await;
    server.end(&run).await;
    let path = format!("/api/v1/runs/{run}/retry");
    for (query, matching) in
        [("", 3), ("&cause=panic&text=told", 3), ("&cause=trap", 0), ("&step=work&text=nothing", 0), ("&cause=trap,panic", 3)]
    {
        let dry = server.post(&format!("{path}?dry_run=true{query}"), "").await.expect(200).json();
        assert_eq!((&dry["matching"], &dry["state"]), (&json!(matching), &json!("failed")), "{query}");
    }
    let problem = server.post(&format!("{path}?cause=panik"), "").await.expect_problem(400, "invalid-parameter");
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `panic`?"), "{problem}");
    let nothing = server.post(&format!("{path}?cause=trap"), "").await.expect(200).json();
    assert_eq!(nothing["state"], "failed", "a run is not opened again for nothing");
    server.post(&format!("{path}?cause=panic&wait=60s"), "").await.expect(200);
    let ended = server.end(&run).await;
    assert_eq!((&ended["state"], &ended["attempts"]), (&json!("failed"), &json!(7)));
    let listed = server.get(&format!("/api/v1/runs/{run}/tasks?text=told&cause=panic")).await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_tasks_of_a_paused_run_are_processed_one_by_one() {
    let server = Server::start().await;
    let run = trigger_paused(&server, "steps", "workers = 3\nlines = 2").await;
    let path = format!("/api/v1/runs/{run}/process-next");
    let next = async |key: Option<&str>| {
        let mut request = Request::post(format!("{path}?wait=60s"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        server.send(request.body(Body::empty()).unwrap()).await
    };
    let plan = next(None).await.expect(200).json();
    assert_eq!((&plan["task"]["index"], &plan["task"]["state"]), (&json!(0), &json!("succeeded")));
    let first = next(Some("a")).await.expect(200);
    let one = first.json();
    assert_eq!((&one["task"]["output"], &one["result"]["end"]), (&json!({"done": true}), &json!("succeeded")));
    assert_eq!(one["result"]["log_tail"].as_array().unwrap().len(), 2);
    assert_eq!(first.header("location"), format!("/api/v1/tasks/{}", one["task"]["id"].as_str().unwrap()));
    let replayed = next(Some("a")).await.expect(200);
    assert_eq!((&replayed.json()["task"]["id"], replayed.header("idempotency-replayed")), (&one["task"]["id"], "true"));
    let other = Request::post(format!("{path}?step=work")).header("idempotency-key", "a").body(Body::empty()).unwrap();
    server.send(other).await.expect_problem(422, "idempotency-key-reused");

    let (two, three) = tokio::join!(next(None), next(None));
    let ids = [&one, &two.expect(200).json(), &three.expect(200).json()].map(|answer| answer["task"]["id"].to_string());
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    // Nothing is left, and the run ended although nobody resumed it.
    next(None).await.expect_problem(409, "wrong-state");
    let ended = server.end(&run).await;
    assert_eq!((&ended["state"], &ended["tasks"]["succeeded"], &ended["attempts"]), (&json!("succeeded"), &json!(4), &json!(4)));
}

#[tokio::test]
async fn a_task_that_takes_longer_is_answered_with_its_address() {
    let server = Server::start().await;
    let run = trigger_paused(&server, "slow", "workers = 1\nhold = true").await;
    let path = format!("/api/v1/runs/{run}/process-next");
    server.post(&format!("{path}?wait=60s"), "").await.expect(200);
    let slow = server.post(&format!("{path}?wait=50ms"), "").await.expect(202);
    let body = slow.json();
    assert_eq!(body["result"], Value::Null);
    assert_eq!(slow.header("location"), task(&run, 1));
    server.post(&path, "").await.expect_problem(409, "no-waiting-task");
    server.stub.gate.add_permits(1);
    assert_eq!(server.end(&run).await["state"], "succeeded");
}

#[tokio::test]
async fn a_run_says_how_fast_it_is_and_why_a_step_stands_still() {
    let server = Server::start().await;
    let run = trigger_paused(&server, "still", "workers = 2").await;
    let path = format!("/api/v1/runs/{run}");
    let paused = server.get(&path).await.expect(200);
    assert_eq!(paused.json()["steps"][0]["stalled"], "paused");
    server.post(&format!("{path}/process-next"), "").await.expect(200);
    server.post(&format!("{path}/process-next"), "").await.expect(200);
    let shown = server.get(&path).await.expect(200).json();
    let pace = &shown["steps"][0]["pace"];
    assert!(pace["per_second"].as_f64() > Some(0.0) && pace["remaining_ms"].is_u64(), "{pace}");
    assert_eq!((&pace["window_ms"], &shown["pace"]["window_ms"]), (&json!(60_000), &json!(60_000)));
    assert!(shown["last_activity_at"].is_string() && shown["steps"][0]["last_activity_at"].is_string());
    // What fades with time alone is no change of the run.
    let tags = [server.get(&path).await.expect(200), server.get(&path).await.expect(200)];
    assert_eq!(tags[0].header("etag"), tags[1].header("etag"));
    server.post(&format!("{path}/resume?wait=60s"), "").await.expect(200);
    let ended = server.end(&run).await;
    assert_eq!(
        (&ended["state"], &ended["pace"], &ended["steps"][0]["stalled"]),
        (&json!("succeeded"), &Value::Null, &Value::Null)
    );
}
