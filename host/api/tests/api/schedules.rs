//! Schedules.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::{Server, Subscriber};

fn definition(schedule: &str) -> String {
    format!("id = \"d\"\n{schedule}\n[step.work]\nplugin = \"stub\"\nhold = true\nworkers = 1\n")
}

async fn put(server: &Server, text: &str) {
    let request = Request::put("/api/v1/definitions/d").header("content-type", "application/toml");
    let reply = server.send(request.body(text.to_owned().into()).unwrap()).await;
    assert!(reply.status.is_success(), "{}", reply.text());
}

async fn post(server: &Server, path: &str, key: &str) -> crate::support::Reply {
    let request = Request::post(path).header("idempotency-key", key);
    server.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_schedule_is_listed_paused_resumed_and_run() {
    let server = Server::start().await;
    let policies = "overlap = \"queue\"\nmax_waiting = 3\ncatch_up = \"all\"\ncatch_up_window = \"2h\"\njitter = \"1s\"\n";
    let text = format!("[schedule]\ncron = \"0 3 1 1 *\"\ntimezone = \"europe/berlin\"\n{policies}parameters = {{ n = 7 }}");
    put(&server, &definition(&text)).await;
    let listed = server.get("/api/v1/schedules").await.expect(200).json();
    let schedule = &listed["items"][0];
    for (key, expected) in [
        ("id", json!("d")),
        ("cron", json!("0 3 1 1 *")),
        ("timezone", json!("Europe/Berlin")),
        ("overlap", json!("queue")),
        ("max_waiting", json!(3)),
        ("catch_up", json!("all")),
        ("catch_up_limit", json!(100)),
        ("catch_up_window_ms", json!(7_200_000)),
        ("jitter_ms", json!(1_000)),
        ("paused", json!(false)),
    ] {
        assert_eq!(schedule[key], expected, "{key}");
    }
    assert!(schedule["next"].as_str().unwrap().contains("-01-01T02:00:0"), "{schedule}");

    let paused = post(&server, "/api/v1/schedules/d/pause", "a").await.expect(200).json();
    assert_eq!((&paused["paused"], &paused["next"]), (&json!(true), &json!(null)));
    let run = post(&server, "/api/v1/schedules/d/run-now", "once").await.expect(201).json();
    assert_eq!((&run["trigger"], &run["parameters"]), (&json!("schedule"), &json!({"n": 7})));
    let again = post(&server, "/api/v1/schedules/d/run-now", "once").await.expect(200);
    assert_eq!(again.json()["id"], run["id"]);
    let resumed = post(&server, "/api/v1/schedules/d/resume", "b").await.expect(200).json();
    assert_eq!(resumed["paused"], json!(false));

    let detail = server.get("/api/v1/schedules/d?upcoming=2&fires=10").await.expect(200).json();
    assert_eq!(detail["upcoming"].as_array().unwrap().len(), 2);
    let fire = &detail["fires"][0];
    assert_eq!((&fire["outcome"], &fire["manual"], &fire["run"]), (&json!("started"), &json!(true), &run["id"]));
    assert_eq!(detail["active"], json!([run["id"]]));
    assert_eq!(detail["counts"]["started"], 1);
    server.get("/api/v1/schedules/d?upcoming=0").await.expect_problem(400, "invalid-parameter");
    server.get("/api/v1/schedules/other").await.expect_problem(404, "not-found");
    let metrics = server.get("/metrics").await.expect(200);
    assert!(metrics.text().contains("bulkhead_schedule_fires_total{outcome=\"started\"} 1"));
}

#[tokio::test]
async fn a_cron_expression_is_previewed() {
    let server = Server::start().await;
    let path = "/api/v1/schedule-preview?cron=30%202%20*%20*%20*&timezone=Europe/Berlin&after=2024-03-30T00:00:00Z&count=3";
    let preview = server.get(path).await.expect(200).json();
    let expected = ["2024-03-30T01:30:00.000000Z", "2024-03-31T01:00:00.000000Z", "2024-04-01T00:30:00.000000Z"];
    assert_eq!(preview["upcoming"], json!(expected));
    for wrong in ["cron=x", "cron=0%203%20*%20*%20*&timezone=Nowhere", "cron=0%203%20*%20*%20*&count=101"] {
        server.get(&format!("/api/v1/schedule-preview?{wrong}")).await.expect_problem(400, "invalid-parameter");
    }
}

#[tokio::test]
async fn a_fire_is_an_event() {
    let server = Server::start().await;
    let address = server.listen().await;
    let mut events = Subscriber::open(address, "/api/v1/events?statistics=false&after=0", None).await;
    put(&server, &definition("schedule = \"* * * * * *\"")).await;
    loop {
        let event = events.next().await.expect("the stream goes on").json();
        if event["type"] == "schedule-fire" && event["fire"]["outcome"] == "started" {
            assert_eq!((&event["definition"], &event["run"]), (&json!("d"), &event["fire"]["run"]));
            break;
        }
    }
    loop {
        let event = events.next().await.expect("the stream goes on").json();
        if event["type"] == "schedule-fire" {
            assert_eq!((&event["fire"]["outcome"], &event["fire"]["reason"]), (&json!("skipped"), &json!("overlap")));
            assert!(event["run"].is_null());
            break;
        }
    }
    server.delete("/api/v1/definitions/d").await.expect(204);
}
