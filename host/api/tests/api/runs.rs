//! From a definition to a run's end, and everything that can be asked of a run.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::Server;

const TWO_STEPS: &str = r#"
id = "two"
name = "Two steps"
tags = ["test"]
[step.first]
plugin = "stub"
workers = 3
lines = 20
[step.second]
plugin = "stub"
depends = "first"
on_error = "continue"
workers = 1
fail = true
"#;

#[tokio::test]
async fn a_run_is_answered_with_its_steps_and_counters() {
    let server = Server::start().await;
    server.put("two", TWO_STEPS).await.expect(201);
    let reply = server.post("/api/v1/definitions/two/runs?wait=60s", r#"{"parameters":{"x":[1]}}"#).await.expect(201);
    let run = reply.json();
    assert_eq!(reply.header("location"), format!("/api/v1/runs/{}", run["id"].as_str().unwrap()));
    assert_eq!((&run["definition"], &run["name"], &run["tags"]), (&json!("two"), &json!("Two steps"), &json!(["test"])));
    assert_eq!((&run["trigger"], &run["priority"], &run["parameters"]), (&json!("api"), &json!(5), &json!({"x": [1]})));
    assert_eq!((&run["tasks"]["total"], &run["tasks"]["succeeded"], &run["tasks"]["failed"]), (&json!(6), &json!(5), &json!(1)));
    assert_eq!(run["lines"]["warn"], 6);
    assert_eq!(run["usage"]["fuel"], 42);
    assert_eq!(run["attempts"], 6);
    let [first, second] = run["steps"].as_array().unwrap().as_slice() else { panic!("{run}") };
    assert_eq!((&first["name"], &first["index"], &first["state"]), (&json!("first"), &json!(0), &json!("succeeded")));
    assert_eq!(first["plugin"]["name"], "stub");
    assert_eq!(first["lines"]["info"], 54);
    assert_eq!((&second["depends"], &second["on_error"]), (&json!(["first"]), &json!("continue")));
    assert_eq!(second["first_failure"]["cause"], "panic");
    for moment in ["created_at", "started_at", "ended_at"] {
        assert!(run[moment].as_str().unwrap().len() == "2026-03-01T08:15:30.000250Z".len(), "{run}");
    }
    assert_eq!(server.end(run["id"].as_str().unwrap()).await, run);
}

#[tokio::test]
async fn tasks_are_listed_by_state_and_step_and_read_with_their_attempts() {
    let server = Server::start().await;
    server.put("two", TWO_STEPS).await.expect(201);
    let run = server.post("/api/v1/definitions/two/runs?wait=60s", "").await.expect(201).json();
    let path = format!("/api/v1/runs/{}/tasks", run["id"].as_str().unwrap());

    let failed = server.get(&format!("{path}?state=failed,cancelled")).await.expect(200).json();
    let [task] = failed["items"].as_array().unwrap().as_slice() else { panic!("{failed}") };
    assert_eq!((&task["step"], &task["index"], &task["key"]), (&json!("second"), &json!(1), &json!("worker-0")));
    assert_eq!(task["failure"]["backtrace"], Value::Null);
    let detail = server.get(&format!("/api/v1/tasks/{}", task["id"].as_str().unwrap())).await.expect(200).json();
    assert_eq!((&detail["input"], &detail["output"]), (&json!({"index": 0}), &Value::Null));
    let attempt = &detail["attempts"][0];
    assert_eq!((&attempt["end"], &attempt["failure"]["backtrace"]), (&json!("failed"), &json!("0: stub!run")));

    let (mut seen, mut cursor) = (vec![], String::new());
    loop {
        let page = server.get(&format!("{path}?step=first&limit=3{cursor}")).await.expect(200).json();
        assert_eq!(page["counts"]["total"], 4);
        seen.extend(page["items"].as_array().unwrap().iter().map(|task| task["index"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [0, 1, 2, 3]);
    let problem = server.get(&format!("{path}?step=fist")).await.expect_problem(400, "invalid-parameter");
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `first`?"), "{problem}");
}

#[tokio::test]
async fn runs_are_listed_by_filter_and_cursor() {
    let server = Server::start().await;
    let mut ids = vec![];
    for index in 0..5 {
        let id = server.run(["a", "b"][index % 2], "workers = 1").await;
        server.end(&id).await;
        ids.push(id);
    }
    let (mut seen, mut cursor) = (vec![], String::new());
    loop {
        let page = server.get(&format!("/api/v1/runs?limit=2{cursor}")).await.expect(200).json();
        assert_eq!((&page["counts"]["succeeded"], &page["counts"]["total"]), (&json!(5), &json!(5)));
        seen.extend(page["items"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    // Runs of one millisecond have no order of their own.
    ids.sort();
    assert_eq!(seen, ids.iter().rev().cloned().collect::<Vec<_>>());
    let only = async |query: &str| {
        server.get(&format!("/api/v1/runs?{query}")).await.expect(200).json()["items"].as_array().unwrap().len()
    };
    assert_eq!(only("definition=b").await, 2);
    assert_eq!(only("state=failed,cancelled").await, 0);
    assert_eq!(only("state=succeeded&definition=a").await, 3);
    assert_eq!(only("until=2001-01-01T00:00:00Z").await, 0);
    assert_eq!(only("since=2001-01-01T00:00:00Z").await, 5);
}

#[tokio::test]
async fn a_request_with_a_known_key_starts_nothing() {
    let server = Server::start().await;
    server.define("once", "workers = 1").await;
    let trigger = async |key: &str, body: &str| {
        let request = Request::post("/api/v1/definitions/once/runs").header("content-type", "application/json");
        server.send(request.header("idempotency-key", key).body(Body::from(body.to_owned())).unwrap()).await
    };
    let first = trigger("k", "{}").await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = trigger("k", "{}").await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json()["id"], first.json()["id"]);
    trigger("k", r#"{"parameters":{"x":1}}"#).await.expect_problem(422, "idempotency-key-reused");
    let other = trigger("l", "{}").await.expect(201);
    assert_ne!(other.json()["id"], first.json()["id"]);
    trigger(&"k".repeat(256), "{}").await.expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn commands_change_a_run_and_a_waiting_client_hears_of_it() {
    let server = Server::start().await;
    let id = server.run("held", "workers = 2\nhold = true\nconcurrency = 1").await;
    let path = format!("/api/v1/runs/{id}");
    let reply = server.get(&path).await.expect(200);
    let same = Request::get(&path).header("if-none-match", reply.header("etag"));
    let still = server.send(same.body(Body::empty()).unwrap()).await;
    assert!(still.status == 304 || still.status == 200);

    assert_eq!(server.post(&format!("{path}/pause"), "").await.expect(200).json()["state"], "paused");
    // One task may have started before the pause; whatever follows, a change is heard of.
    let paused = server.get(&path).await.expect(200);
    let wait = Request::get(format!("{path}?wait=60s")).header("if-none-match", paused.header("etag"));
    let resume = format!("{path}/resume");
    let (changed, resumed) = tokio::join!(server.send(wait.body(Body::empty()).unwrap()), server.post(&resume, ""));
    assert_eq!(resumed.expect(200).json()["stopping"], Value::Null);
    assert_ne!(changed.expect(200).header("etag"), paused.header("etag"));

    let cancelled = server.post(&format!("{path}/cancel?wait=60s"), "").await.expect(200).json();
    assert_eq!((&cancelled["state"], &cancelled["stopping"]), (&json!("cancelled"), &Value::Null));
    server.post(&format!("{path}/pause"), "").await.expect_problem(409, "wrong-state");
    server.post(&format!("{path}/retry"), "").await.expect_problem(409, "wrong-state");
    server.delete(&path).await.expect(204);
    server.get(&path).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn failed_tasks_are_retried() {
    let server = Server::start().await;
    let id = server.run("fails", "workers = 1\nfail = true").await;
    let failed = server.end(&id).await;
    assert_eq!((&failed["state"], &failed["failure"]["cause"]), (&json!("failed"), &json!("panic")));
    server.post(&format!("/api/v1/runs/{id}/retry"), "").await.expect(200);
    let again = server.end(&id).await;
    assert_eq!((&again["state"], &again["attempts"]), (&json!("failed"), &json!(3)));
}

#[tokio::test]
async fn a_run_that_goes_on_can_not_be_deleted() {
    let server = Server::start().await;
    let id = server.run("held", "workers = 1\nhold = true").await;
    server.delete(&format!("/api/v1/runs/{id}")).await.expect_problem(409, "conflict");
    server.stub.gate.add_permits(1);
    server.end(&id).await;
    server.delete(&format!("/api/v1/runs/{id}")).await.expect(204);
}

#[tokio::test]
async fn a_text_runs_without_being_stored() {
    let server = Server::start().await;
    let request = Request::post("/api/v1/runs?wait=60s").header("content-type", "text/toml");
    let run = server.send(request.body(TWO_STEPS.into()).unwrap()).await.expect(201).json();
    assert_eq!((&run["definition"], &run["state"]), (&json!("two"), &json!("succeeded")));
    server.get("/api/v1/definitions/two").await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn lines_are_paged_filtered_and_downloaded() {
    let server = Server::start().await;
    let id = server.run("logs", "workers = 4\nlines = 2500").await;
    server.end(&id).await;
    let path = format!("/api/v1/runs/{id}/logs");

    let (mut after, mut seen) = (0, 0);
    while seen < 1_000 {
        let page = server.get(&format!("{path}?level=warn&after={after}&limit=300")).await.expect(200).json();
        assert_eq!((&page["last"], &page["ended"]), (&json!(10_000), &json!(true)));
        assert!(page["lines"].as_array().unwrap().iter().all(|line| line["level"] == "warn"));
        seen += page["lines"].as_array().unwrap().len();
        after = page["scanned"].as_u64().unwrap();
        assert!(after < 10_000 || seen == 1_000, "{after} {seen}");
    }
    let task = format!("task_{}-0-2", id.trim_start_matches("run_"));
    let page = server.get(&format!("{path}?task={task}&limit=10000")).await.expect(200).json();
    assert_eq!(page["lines"].as_array().unwrap().len(), 2_500);

    let ndjson = server.get(&format!("{path}/download")).await.expect(200);
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    assert_eq!(ndjson.header("content-disposition"), format!("attachment; filename=\"{id}.ndjson\""));
    let numbers: Vec<_> =
        ndjson.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=10_000).collect::<Vec<_>>());
    let text = server.get(&format!("{path}/download?format=text&level=warn")).await.expect(200).text();
    assert_eq!(text.lines().count(), 1_000);
    assert!(text.lines().all(|line| line.contains("Z WARN  work/")));
}

#[tokio::test]
async fn the_server_tells_how_it_is() {
    let server = Server::start().await;
    let id = server.run("x", "workers = 2\nlines = 5").await;
    server.end(&id).await;
    assert_eq!(server.get("/health").await.expect(200).json()["status"], "ok");
    assert_eq!(server.get("/ready").await.expect(200).json()["ready"], true);
    let statistics = server.get("/api/v1/statistics").await.expect(200).json();
    assert_eq!((&statistics["runs"]["succeeded"], &statistics["lines"]), (&json!(1), &json!(10)));
    assert_eq!((&statistics["load"]["slots"], &statistics["attempts"]), (&json!(8), &json!(3)));
    let metrics = server.get("/metrics").await.expect(200).text();
    for line in ["bulkhead_runs{state=\"succeeded\"} 1", "bulkhead_log_lines_total 10", "bulkhead_tasks{state=\"succeeded\"} 3"] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in\n{metrics}");
    }
    assert_eq!(server.get("/api/v1/session").await.expect(200).json()["role"], "admin");
    server.state.close();
    server.get("/ready").await.expect_problem(503, "not-ready");
}
