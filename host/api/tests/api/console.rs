//! The console's files, and what only it asks: everything over one stream, logs backwards and by text.

use bulkhead_api::ApiConfig;
use bulkhead_core::hook::{Answer, Hook, HookEvent};
use bulkhead_core::name::Name;
use bulkhead_engine::store::{DeliveryEnd, DeliveryRequest, Settlement};
use serde_json::{Value, json};

use crate::support::{Server, Watcher};

const PAGES: [&str; 15] = [
    "/",
    "/runs",
    "/runs/run_1",
    "/definitions",
    "/definitions/x",
    "/plugins",
    "/plugins/x",
    "/schedules",
    "/schedules/x",
    "/dead-letters",
    "/dead-letters/x",
    "/hooks",
    "/hooks/x:y",
    "/artifacts",
    "/settings",
];

#[tokio::test]
async fn every_address_of_the_console_is_its_page_for_everybody() {
    let server = Server::start_with(ApiConfig::default()).await;
    let mut named = std::collections::BTreeSet::new();
    for path in PAGES {
        let reply = server.get(path).await.expect(200);
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{path}");
        let text = reply.text();
        named.extend(text.split(['"', '\'']).filter(|part| part.starts_with("/console/")).map(str::to_owned));
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!((reply.header("x-content-type-options"), reply.header("referrer-policy")), ("nosniff", "no-referrer"));
        let policy = reply.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self' 'sha256-", "style-src 'self' 'sha256-", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    // What the page names is there, with its type, and is not sent twice.
    assert!(named.len() > 50, "{named:?}");
    for file in &named {
        let reply = server.get(file).await.expect(200);
        let media_type = reply.header("content-type");
        let expected = match file.rsplit_once('.').unwrap().1 {
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        assert_eq!(media_type, expected, "{file}");
        assert!(reply.header("cache-control").contains("immutable"), "{file}");
        let again = axum::http::Request::get(file).header("if-none-match", reply.header("etag"));
        server.send(again.body(axum::body::Body::empty()).unwrap()).await.expect(304);
        // What another edition's page asks for is answered, and not kept as if it were that edition's.
        let (_, path) = file.split_once("/~").and_then(|(_, rest)| rest.split_once('/')).unwrap();
        for other in [format!("/console/{path}"), format!("/console/~older/{path}")] {
            let other = server.get(&other).await.expect(200);
            assert_eq!((other.header("cache-control"), &other.body), ("no-cache", &reply.body), "{file}");
        }
    }
}

#[tokio::test]
async fn the_console_has_its_own_files_and_no_others() {
    let server = Server::start().await;
    for path in ["/console/", "/console/nothing.js", "/console/../Cargo.toml", "/console/%2e%2e/Cargo.toml", "/console/style"] {
        server.get(path).await.expect_problem(404, "unknown-route");
    }
}

#[tokio::test]
async fn a_log_is_read_backwards_by_text_and_cut() {
    let server = Server::start().await;
    let run = server.run("lines", "workers = 3\nlines = 1000").await;
    server.end(&run).await;
    let read = async |query: &str| server.get(&format!("/api/v1/runs/{run}/logs?{query}")).await.expect(200).json();
    let numbers = |page: &Value| -> Vec<u64> {
        page["lines"].as_array().unwrap().iter().map(|line| line["seq"].as_u64().unwrap()).collect()
    };
    let newest = read("before=9007199254740991&limit=100").await;
    assert_eq!((numbers(&newest), &newest["scanned"]), ((2901..=3000).collect(), &json!(2901)));
    let earlier = read("before=2901&limit=100").await;
    assert_eq!(numbers(&earlier), (2801..=2900).collect::<Vec<_>>());
    let found = read("contains=LINE%2017%20of&limit=100").await;
    assert_eq!((numbers(&found).len(), &found["scanned"]), (3, &json!(3000)));
    assert!(found["lines"][0]["full_bytes"].is_null());
    let cut = read("limit=1&cut=4").await;
    let line = &cut["lines"][0];
    assert_eq!((&line["message"], &line["fields"]), (&json!("line"), &Value::Null));
    assert!(line["full_bytes"].as_u64().unwrap() > 4);
    let long = format!("/api/v1/runs/{run}/logs?contains={}", "x".repeat(300));
    server.get(&long).await.expect_problem(400, "invalid-parameter");
    let text =
        server.get(&format!("/api/v1/runs/{run}/logs/download?format=text&contains=line%2017%20")).await.expect(200).text();
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[tokio::test]
async fn runs_are_found_by_tag_cause_and_text() {
    let server = Server::start().await;
    let good = server.run("good", "workers = 1").await;
    let bad = server.run("bad", "workers = 1\nfail = true").await;
    server.end(&good).await;
    server.end(&bad).await;
    let find = async |query: &str| -> Vec<String> {
        let page = server.get(&format!("/api/v1/runs?{query}")).await.expect(200).json();
        page["items"].as_array().unwrap().iter().map(|run| run["definition"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(find("text=GOO").await, ["good"]);
    assert_eq!(find("cause=panic").await, ["bad"]);
    assert_eq!(find("tag=none").await, [""; 0]);
    let first = server.get("/api/v1/runs?text=o&limit=1").await.expect(200).json();
    assert_eq!((first["items"].as_array().unwrap().len(), &first["next"]), (1, &Value::Null));
    let all = server.get("/api/v1/runs?limit=1").await.expect(200).json();
    let next = all["next"].as_str().unwrap();
    let second = server.get(&format!("/api/v1/runs?limit=1&cursor={next}")).await.expect(200).json();
    assert_eq!((&second["items"][0]["definition"], &second["next"]), (&json!("good"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stream_tells_everything_and_goes_on_where_another_ended() {
    let server = Server::start().await;
    let address = server.listen().await;
    let run = server.run("held", "workers = 2\nlines = 500\nhold = true").await;
    let missing = "run_00000000000000000000000001";
    let all = json!({
        "statistics": true, "runs": {}, "run": [run, missing],
        "logs": [{"key": "a", "run": run, "after": 100, "cut": 6}, {"key": "b", "run": run, "level": "warn"}, {"key": "c", "run": missing}],
    });
    let mut watcher = Watcher::open(address, &all).await;
    let told = watcher.until("runs", |_| true).await;
    assert!(told["after"].as_u64().unwrap() > 0 && told["stale"] == false);
    let mut lines = Vec::new();
    while lines.last() != Some(&1_000) {
        let log = watcher.until("log", |log| log["key"] == "a").await;
        lines.extend(log["lines"].as_array().unwrap().iter().map(|line| line["seq"].as_u64().unwrap()));
        assert!(
            log["lines"]
                .as_array()
                .unwrap()
                .iter()
                .all(|line| line["message"] == "line 0" || line["message"].as_str().unwrap().len() == 6)
        );
    }
    assert_eq!(lines, (101..=1_000).collect::<Vec<_>>());

    server.stub.gate.add_permits(2);
    server.end(&run).await;
    let mut again = Watcher::open(
        address,
        &json!({
            "statistics": true, "runs": {"after": told["after"]}, "run": [run], "logs": [{"key": "a", "run": run, "after": 990}],
        }),
    )
    .await;
    let changed = again.until("runs", |runs| runs["runs"][0]["state"] == "succeeded").await;
    assert_eq!(changed["runs"][0]["id"], run);
    let ended = again.until("log", |log| log["ended"] == true).await;
    assert_eq!((ended["scanned"].clone(), ended["last"].clone()), (json!(1_000), json!(1_000)));
    let mut third = Watcher::open(address, &json!({"run": [run, missing]})).await;
    let detail = third.until("run", |run| run["state"] == "succeeded").await;
    assert_eq!(detail["steps"][0]["tasks"]["succeeded"], 3);
    assert_eq!(third.until("gone", |_| true).await["run"], missing);
    let mut fourth = Watcher::open(address, &json!({"statistics": true})).await;
    assert_eq!(fourth.until("statistics", |_| true).await["lines"], 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_tells_what_becomes_of_hooks() {
    let server = Server::start().await;
    let mut watcher = Watcher::open(server.listen().await, &json!({"hooks": true})).await;
    assert_eq!(watcher.until("hooks", |_| true).await["deliveries"]["waiting"], 0);
    let name: Name = "ops".parse().unwrap();
    let (events, secret) = (vec![HookEvent::RunFailed], name.clone());
    let hook = Hook { url: "https://a.test/".into(), events, definitions: Vec::new(), secret };
    server.store.put_hook(name.clone(), hook).await.unwrap();
    watcher.until("hooks", |hooks| hooks["deliveries"]["waiting"] == 0).await;
    server.post("/api/v1/hooks/ops/test", "").await.expect(200);
    watcher.until("hooks", |hooks| hooks["deliveries"]["waiting"] == 1).await;
    let (after, busy, lease) = (None, Default::default(), std::time::Duration::from_secs(60));
    let request = DeliveryRequest { after, busy, per_hook: 1, limit: 1, lease };
    let leased = server.store.lease_deliveries(request).await.unwrap().deliveries;
    // An attempt begins: the counters are as before, and yet something is new.
    watcher.until("hooks", |hooks| hooks["deliveries"]["waiting"] == 1).await;
    let [(hook, delivery)] = <[_; 1]>::try_from(leased).unwrap();
    let (number, id, attempt) = (delivery.number, delivery.id, delivery.attempts);
    let answer = Answer { at: server.store.now(), status: Some(503), text: "later".into() };
    let end = DeliveryEnd::Failed;
    server.store.settle_delivery(Settlement { hook: hook.name, number, id, attempt, answer, end }).await.unwrap();
    watcher.until("hooks", |hooks| hooks["deliveries"]["failed"] == 1).await;
    server.delete("/api/v1/hooks/ops").await.expect(204);
    watcher.until("hooks", |hooks| hooks["deliveries"]["failed"] == 0).await;
}

#[tokio::test]
async fn a_stream_that_asks_too_much_is_refused() {
    let server = Server::start().await;
    let many: Vec<_> = (0..17).map(|_| "run_00000000000000000000000001").collect();
    server.post("/api/v1/watch", &json!({ "run": many }).to_string()).await.expect_problem(400, "invalid-parameter");
    server.post("/api/v1/watch", r#"{"runz": true}"#).await.expect_problem(400, "malformed-body");
    server.post("/api/v1/watch", "").await.expect_problem(400, "malformed-body");
    server.post("/api/v1/watch", r#"{"run": ["x"]}"#).await.expect_problem(400, "invalid-parameter");
}
