//! Every error is a problem that says what it is and what to do.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use bulkhead_api::{ApiConfig, ApiState, router};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::engine::Load;
use bulkhead_engine::jobs::Jobs;
use bulkhead_engine::store::Store;
use bulkhead_store::{Fault, ManualClock, MemoryStore};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use crate::support::{COMPONENT, Server, Stub, definition};

const NO_RUN: &str = "run_01kjk4f2c8e4xq1v2h5zq0y7ab";
const NO_TASK: &str = "task_01kjk4f2c8e4xq1v2h5zq0y7ab-0-1";

#[tokio::test]
async fn what_is_asked_wrongly_is_a_problem() {
    let server = Server::start().await;
    server.define("d", "").await;
    for (method, path, status, slug) in [
        ("GET", "/nowhere", 404, "unknown-route"),
        ("GET", "/api/v1/", 404, "unknown-route"),
        ("GET", "/api/v2/runs", 404, "unknown-route"),
        ("PATCH", "/api/v1/runs", 405, "method-not-allowed"),
        ("OPTIONS", "/api/v1/runs", 405, "method-not-allowed"),
        ("DELETE", "/health", 405, "method-not-allowed"),
        ("GET", "/api/v1/runs/x", 400, "invalid-parameter"),
        ("GET", "/api/v1/runs/%ff", 400, "invalid-parameter"),
        ("GET", "/api/v1/plugins/Not%20A%20Name", 400, "invalid-parameter"),
        ("GET", "/api/v1/runs?limit=0", 400, "invalid-parameter"),
        ("GET", "/api/v1/runs?limit=x", 400, "invalid-parameter"),
        ("GET", "/api/v1/runs?state=happy", 400, "invalid-parameter"),
        ("GET", "/api/v1/runs?since=yesterday", 400, "invalid-parameter"),
        ("GET", "/api/v1/runs?cursor=zzz", 400, "invalid-parameter"),
        ("GET", "/api/v1/runs?limit=1&limit=2", 400, "invalid-parameter"),
        ("GET", "/api/v1/definitions?limitt=1", 400, "invalid-parameter"),
        ("GET", "/api/v1/definitions/none", 404, "not-found"),
        ("GET", "/api/v1/plugins/none", 404, "not-found"),
        ("DELETE", "/api/v1/plugins/none", 404, "not-found"),
        ("DELETE", "/api/v1/tokens/none", 404, "not-found"),
        ("POST", "/api/v1/definitions/none/runs", 404, "not-found"),
        ("POST", "/api/v1/definitions/d/runs?wait=soon", 400, "invalid-parameter"),
        ("POST", "/api/v1/runs", 415, "unsupported-media-type"),
        ("POST", "/api/v1/plugins", 415, "unsupported-media-type"),
        ("POST", "/api/v1/tokens", 415, "unsupported-media-type"),
        ("PUT", "/api/v1/definitions/d", 415, "unsupported-media-type"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        server.send(request).await.expect_problem(status, slug);
    }
    for path in ["", "/tasks", "/logs", "/logs/download", "/logs/stream"] {
        server.get(&format!("/api/v1/runs/{NO_RUN}{path}")).await.expect_problem(404, "not-found");
    }
    for command in ["cancel", "pause", "resume", "retry", "process-next"] {
        server.post(&format!("/api/v1/runs/{NO_RUN}/{command}"), "").await.expect_problem(404, "not-found");
    }
    server.get(&format!("/api/v1/tasks/{NO_TASK}")).await.expect_problem(404, "not-found");
    for order in ["retry", "skip", "cancel"] {
        server.post(&format!("/api/v1/tasks/{NO_TASK}/{order}"), "").await.expect_problem(404, "not-found");
    }
    server.delete(&format!("/api/v1/runs/{NO_RUN}")).await.expect_problem(404, "not-found");

    let problem = server.get("/api/v1/runs?stat=failed").await.expect_problem(400, "invalid-parameter");
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `state`?"), "{problem}");
    let allow = server.send(Request::put("/api/v1/runs").body(Body::empty()).unwrap()).await;
    assert_eq!(allow.header("allow"), "GET, POST");
}

#[tokio::test]
async fn a_body_that_is_not_what_it_should_be_is_a_problem() {
    let server = Server::start().await;
    server.define("d", "").await;
    let trigger = "/api/v1/definitions/d/runs";
    server.post(trigger, "{").await.expect_problem(400, "malformed-body");
    server.post(trigger, r#"{"parameter":{}}"#).await.expect_problem(400, "malformed-body");
    server.post(trigger, r#"{"parameters":[]}"#).await.expect_problem(422, "invalid-run-parameters");
    server.post("/api/v1/tokens", r#"{"name":"x","role":"king"}"#).await.expect_problem(400, "malformed-body");
    server.post("/api/v1/tokens", r#"{"name":"No Name","role":"admin"}"#).await.expect_problem(422, "invalid-token");
    let latin1 =
        Request::put("/api/v1/definitions/d").header("content-type", "text/toml").body(Body::from(&b"\xe9"[..])).unwrap();
    server.send(latin1).await.expect_problem(400, "malformed-body");
    let form = Request::post(trigger).header("content-type", "application/x-www-form-urlencoded").body("a=b".into()).unwrap();
    server.send(form).await.expect_problem(415, "unsupported-media-type");
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_next_request_is_answered() {
    let server = Server::start().await;
    let request = Request::post("/api/v1/plugins").header("content-type", "application/wasm").header("x-request-id", "my-id_1");
    let reply = server.send(request.body("panic".into()).unwrap()).await;
    assert_eq!(reply.header("x-request-id"), "my-id_1");
    reply.expect_problem(500, "internal");
    server.get("/health").await.expect(200);
}

#[tokio::test]
async fn a_store_that_can_not_answer_is_a_problem_that_says_when_to_try_again() {
    for (fault, what) in [(Fault::Refuse, "nothing was written"), (Fault::LoseAcknowledgement, "may have happened")] {
        let clock = ManualClock::new(Timestamp::from_micros(1));
        let faults = move |method: &'static str| (method == "create_run").then_some(fault);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::deterministic(clock, faults));
        let jobs = Jobs::new(store.clone(), Arc::new(Stub { gate: Arc::new(Semaphore::new(0)) }));
        jobs.upload(COMPONENT.into(), None, Default::default()).await.unwrap();
        jobs.put(definition("d", "").into(), None).await.unwrap();
        let load = Arc::new(|| Load { slots: 1, running: 0, memory: 0, reserved: 0, draining: false });
        let state = ApiState::new(store, jobs, load, ApiConfig { require_token: false, ..ApiConfig::default() });
        let request = Request::post("/api/v1/definitions/d/runs").header("host", "localhost").body(Body::empty()).unwrap();
        let response = router(state).oneshot(request).await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "1"));
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["type"], &problem["retry_after"]), (&"/problems/store-unavailable".into(), &1.into()));
        assert!(problem["detail"].as_str().unwrap().contains(what), "{problem}");
    }
}
