//! Hooks.

use axum::body::Body;
use axum::http::Request;
use bulkhead_api::ApiConfig;
use bulkhead_core::hook::Answer;
use bulkhead_engine::store::{DeliveryEnd, DeliveryRequest, Settlement};
use serde_json::{Value, json};

use crate::support::{Reply, Server};

async fn server() -> Server {
    let hook_secrets = ["ops".parse().unwrap()].into();
    Server::start_with(ApiConfig { require_token: false, hook_secrets, ..ApiConfig::default() }).await
}

async fn put(server: &Server, name: &str, body: Value) -> Reply {
    let request = Request::put(format!("/api/v1/hooks/{name}")).header("content-type", "application/json");
    server.send(request.body(Body::from(body.to_string())).unwrap()).await
}

/// Has everything that is due end so.
async fn settle(server: &Server, end: DeliveryEnd) {
    let lease = std::time::Duration::from_secs(60);
    let request = DeliveryRequest { after: None, busy: Default::default(), per_hook: 100, limit: 100, lease };
    for (hook, delivery) in server.store.lease_deliveries(request).await.unwrap().deliveries {
        let answer = Answer { at: server.store.now(), status: Some(503), text: "<b>later</b>".into() };
        let (number, id, attempt) = (delivery.number, delivery.id, delivery.attempts);
        server.store.settle_delivery(Settlement { hook: hook.name, number, id, attempt, answer, end }).await.unwrap();
    }
}

#[tokio::test]
async fn hooks_are_put_listed_tested_and_removed() {
    let server = server().await;
    let hook = put(&server, "all", json!({"url": "https://a.test/x", "secret": "ops"})).await.expect(200).json();
    assert_eq!(hook["events"], json!(["run.succeeded", "run.failed", "run.cancelled", "task.failed"]));
    assert_eq!((&hook["problem"], &hook["deliveries"]["waiting"]), (&Value::Null, &json!(0)));
    let body = json!({"url": "https://b.test/", "secret": "other", "events": ["run.failed"], "definitions": ["d"]});
    let hook = put(&server, "all", body).await.expect(200).json();
    assert!(hook["problem"].as_str().unwrap().contains("--hooks-secret other=FILE"), "{hook}");
    let stated =
        "id = \"d\"\n[[hooks]]\nname = \"mine\"\nurl = \"https://c.test/\"\nsecret = \"ops\"\n[step.work]\nplugin = \"stub\"\n";
    server.put("d", stated).await.expect(201);
    let page = server.get("/api/v1/hooks?limit=1").await.expect(200).json();
    assert_eq!(page["items"][0]["name"], "all");
    let next = page["next"].as_str().unwrap();
    let page = server.get(&format!("/api/v1/hooks?cursor={next}")).await.expect(200).json();
    assert_eq!((&page["items"][0]["name"], &page["items"][0]["stated_by"]), (&json!("d:mine"), &json!("d")));
    assert_eq!(server.get("/api/v1/hooks/d:mine").await.expect(200).json(), page["items"][0]);

    let delivery = server.post("/api/v1/hooks/all/test", "").await.expect(200).json();
    assert_eq!((&delivery["event"], &delivery["attempts"]), (&json!("hook.test"), &json!(0)));
    assert_eq!(server.get("/api/v1/hooks/all").await.json()["deliveries"]["waiting"], 1);
    server.delete("/api/v1/hooks/all").await.expect(204);
    server.get("/api/v1/hooks/all").await.expect_problem(404, "not-found");
    for path in ["/api/v1/hooks/d:mine", "/api/v1/hooks/d%3Amine"] {
        server.delete(path).await.expect_problem(409, "conflict");
    }
}

#[tokio::test]
async fn what_did_not_arrive_is_listed_and_sent_again() {
    let server = server().await;
    put(&server, "all", json!({"url": "https://a.test/", "secret": "ops", "events": ["run.succeeded"]})).await.expect(200);
    let run = server.run("d", "workers = 1").await;
    server.end(&run).await;
    server.post("/api/v1/hooks/all/test", "").await.expect(200);
    settle(&server, DeliveryEnd::Failed).await;
    let page = server.get("/api/v1/hooks/all/deliveries?limit=1").await.expect(200).json();
    let failed = &page["items"][0];
    assert_eq!(
        (&failed["event"], &failed["status"], &failed["answer"]),
        (&json!("hook.test"), &json!(503), &json!("<b>later</b>"))
    );
    let next = page["next"].as_str().unwrap();
    let page = server.get(&format!("/api/v1/hooks/all/deliveries?state=failed&cursor={next}")).await.expect(200).json();
    assert_eq!((&page["items"][0]["event"], &page["next"]), (&json!("run.succeeded"), &Value::Null));
    let number = page["items"][0]["number"].as_u64().unwrap();
    let again = server.post("/api/v1/hooks/all/redeliver", &json!({ "number": number }).to_string()).await.expect(200).json();
    assert_eq!(again["count"], 1);
    let again = server.post("/api/v1/hooks/all/redeliver", &json!({ "number": number }).to_string()).await;
    again.expect_problem(404, "not-found");
    assert_eq!(server.post("/api/v1/hooks/all/redeliver", "").await.expect(200).json()["count"], 1);
    let waiting = server.get("/api/v1/hooks/all/deliveries?state=waiting").await.expect(200).json();
    assert_eq!(waiting["items"].as_array().unwrap().len(), 2);
    assert!(waiting["items"][0]["next_at"].is_string());
    settle(&server, DeliveryEnd::Delivered).await;
    let delivered = server.get("/api/v1/hooks/all/deliveries?state=delivered").await.expect(200).json();
    assert_eq!(delivered["items"][0]["id"], waiting["items"][0]["id"], "the id stays");
    let metrics = server.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("bulkhead_hook_deliveries_total{outcome=\"delivered\"} 2"), "{metrics}");
}

#[tokio::test]
async fn wrong_hooks_are_refused() {
    let server = server().await;
    for (body, says) in [
        (json!({"url": "ftp://a.test/", "secret": "ops"}), "`url`: a hook's URL begins with https:// or http://"),
        (json!({"url": "https://me:pw@a.test/", "secret": "ops"}), "no user name or password"),
        (json!({"url": "https://a.test/", "secret": "Ops!"}), "`secret`: "),
        (json!({"url": "https://a.test/", "secret": "ops", "events": ["run.faild"]}), "did you mean `run.failed`?"),
        (json!({"url": "https://a.test/", "secret": "ops", "definitions": ["A b"]}), "`definitions`: "),
    ] {
        let problem = put(&server, "all", body).await.expect_problem(422, "invalid-hook");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    put(&server, "all", json!({"url": "https://a.test/"})).await.expect_problem(400, "malformed-body");
    put(&server, "a:b:c", json!({})).await.expect_problem(400, "invalid-parameter");
    put(&server, "d:mine", json!({"url": "https://a.test/", "secret": "ops"})).await.expect_problem(409, "conflict");
    server.get("/api/v1/hooks/all/deliveries").await.expect_problem(404, "not-found");
    put(&server, "all", json!({"url": "https://a.test/", "secret": "ops"})).await.expect(200);
    server.get("/api/v1/hooks/all/deliveries?state=lost").await.expect_problem(400, "invalid-parameter");
}
