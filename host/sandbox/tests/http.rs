//! What plugins send over HTTP goes where their definition says, is recorded, and ends with the attempt: the plugin `fetch` against
//! servers on real sockets.

mod support;
#[path = "../../egress/tests/support/mod.rs"]
mod world;

use std::sync::Arc;

use bulkhead_core::failure::{Cause, Failure, Quota};
use bulkhead_core::log::{Level, Source};
use bulkhead_egress::{EgressConfig, HttpEgress, Resolve};
use bulkhead_engine::executor::{ExecutionEnd, Inspected};
use serde_json::{Value, json};
use support::{Attempt, HANG, Lab, plugin, succeeded};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use world::{Names, Server, answer};

async fn lab(names: Arc<dyn Resolve>) -> (Lab, Inspected) {
    let config = EgressConfig { native_roots: false, ..EgressConfig::default() };
    let egress = HttpEgress::new(config, names, Handle::current()).expect("a way out");
    let lab = Lab::networked(Arc::new(egress)).await;
    let fetch = lab.upload(plugin("fetch")).await.expect("fetch is a plugin");
    (lab, fetch)
}

fn no_names() -> Arc<Names> {
    Names::of(&[])
}

/// A task that sends `order`, under these patterns. `keys` are further keys of the step.
async fn task(lab: &Lab, fetch: &Inspected, patterns: &[&str], keys: &str, order: &Value) -> Attempt {
    let keys = format!("requests = [{{ url = \"http://unused\" }}]\nallow.http = {patterns:?}\n{keys}");
    lab.task(fetch, &keys, &order.to_string()).await
}

/// What `fetch` says of an order, under these patterns.
async fn fetched(names: Arc<dyn Resolve>, patterns: &[&str], order: &Value) -> Value {
    let (lab, fetch) = lab(names).await;
    let attempt = task(&lab, &fetch, patterns, "", order).await;
    let execution = lab.execute(&attempt).await;
    serde_json::from_str(succeeded(&execution)).expect("JSON")
}

/// How an attempt at an order fails, under these patterns.
async fn refused(names: Arc<dyn Resolve>, patterns: &[&str], keys: &str, order: &Value) -> Failure {
    let (lab, fetch) = lab(names).await;
    let attempt = task(&lab, &fetch, patterns, keys, order).await;
    lab.failure(&attempt).await
}

async fn greeter() -> Server {
    Server::answering(|asked| answer("200 OK", "x-greeting: yes\r\n", format!("hello {}", asked.path()).as_bytes())).await
}

#[tokio::test]
async fn what_is_granted_is_fetched() {
    let server = greeter().await;
    let (pattern, url) = (server.address.to_string(), server.url("/page?q=1"));
    let said = fetched(no_names(), &[&pattern], &json!({ "url": url })).await;
    assert_eq!((&said["status"], &said["text"]), (&json!(200), &json!("hello /page?q=1")));
}

#[tokio::test]
async fn what_is_not_granted_is_denied_with_its_rule() {
    let server = greeter().await;
    let url = server.url("/");
    for (patterns, rule) in [(&[][..], "no host is granted"), (&["a.test"], "no pattern of `allow.http` covers it")] {
        let failure = refused(no_names(), patterns, "", &json!({ "url": url })).await;
        assert_eq!(failure.cause, Cause::Denied, "{failure}");
        for part in [&server.address.to_string(), rule, "the plugin says: the request was denied"] {
            assert!(failure.message.contains(part), "{failure}");
        }
    }
    assert_eq!(server.counts.connections(), 0);
}

#[tokio::test]
async fn a_redirect_is_checked_like_any_request() {
    for target in ["http://127.0.0.2:1/", "http://inner.test/", "http://169.254.169.254/latest/meta-data"] {
        let server = Server::answering(move |_| answer("302 Found", &format!("location: {target}\r\n"), b"")).await;
        let pattern = server.address.to_string();
        let names = Names::of(&[("inner.test", &["127.0.0.1"])]);
        let failure = refused(names, &[&pattern], "", &json!({ "url": server.url("/"), "follow": 3 })).await;
        let host = target.trim_start_matches("http://").split('/').next().unwrap();
        assert_eq!(failure.cause, Cause::Denied, "{failure}");
        assert!(failure.message.contains(host), "{failure}");
        assert_eq!(server.counts.requests(), 1);
    }
}

#[tokio::test]
async fn who_does_without_what_was_denied_succeeds() {
    let said = fetched(no_names(), &[], &json!({ "url": "http://a.test/", "forgive": true })).await;
    assert_eq!(said, json!({ "error": "the request was denied" }));
}

#[tokio::test]
async fn an_attempt_sends_and_receives_within_its_limits() {
    let server =
        Server::answering(|asked| answer("200 OK", "", &vec![b'x'; if asked.path() == "/large" { 100_000 } else { 1 }])).await;
    let (pattern, endless) = (server.address.to_string(), endless().await);
    for (limit, order) in [
        ("http_requests = 2", json!({ "url": server.url("/"), "times": 5 })),
        (
            "http_request_bytes = 99999",
            json!({ "url": server.url("/"), "method": "POST", "body": "x".repeat(1_000), "body_times": 100 }),
        ),
        ("http_response_bytes = 199999", json!({ "url": server.url("/large"), "times": 2 })),
        ("http_response_bytes = 1000000", json!({ "url": endless.url("/"), "forgive": true })),
    ] {
        let patterns = [&*pattern, &endless.address.to_string()];
        let failure = refused(no_names(), &patterns, &format!("limits.{limit}"), &order).await;
        assert_eq!(failure.cause, Cause::Limit(Quota::Http), "{failure}");
        assert!(failure.message.contains(limit.split(' ').next().unwrap()), "{failure}");
    }
}

/// Answers with a body that has no end.
async fn endless() -> Server {
    Server::start(|mut peer| async move {
        peer.read().await?;
        peer.write(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        loop {
            peer.write(&[b'x'; 64 << 10]).await?;
        }
    })
    .await
}

/// Takes a request, says so, and never answers; says, too, when the other end has gone.
async fn hanging() -> (Server, Arc<Notify>, Arc<Notify>) {
    let (asked, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signals = (Arc::clone(&asked), Arc::clone(&gone));
    let server = Server::start(move |mut peer| {
        let (asked, gone) = signals.clone();
        async move {
            peer.read().await?;
            asked.notify_one();
            peer.gone().await;
            gone.notify_one();
            Ok(())
        }
    })
    .await;
    (server, asked, gone)
}

#[tokio::test]
async fn cancelling_ends_a_request_in_its_middle() {
    let (server, asked, gone) = hanging().await;
    let (lab, fetch) = lab(no_names()).await;
    let attempt = task(&lab, &fetch, &[&server.address.to_string()], "", &json!({ "url": server.url("/") })).await;
    let (execution, ()) = tokio::join!(lab.execute(&attempt), async {
        asked.notified().await;
        attempt.cancel.cancel();
    });
    assert!(matches!(execution.end, ExecutionEnd::Cancelled), "{:?}", execution.end);
    tokio::time::timeout(HANG, gone.notified()).await.expect("the connection ends with the attempt");
}

#[tokio::test]
async fn the_attempts_time_ends_a_request_in_its_middle() {
    let (server, _, gone) = hanging().await;
    let order = json!({ "url": server.url("/") });
    let failure = refused(no_names(), &[&server.address.to_string()], "timeout = \"2s\"", &order).await;
    assert_eq!(failure.cause, Cause::TimedOut, "{failure}");
    tokio::time::timeout(HANG, gone.notified()).await.expect("the connection ends with the attempt");
}

#[tokio::test]
async fn each_request_is_a_line_of_the_log() {
    let server = greeter().await;
    let (lab, fetch) = lab(no_names()).await;
    let order = json!({ "url": server.url("/page?token=secret"), "method": "POST", "body": "four", "follow": 1 });
    let attempt = task(&lab, &fetch, &[&server.address.to_string()], "", &order).await;
    succeeded(&lab.execute(&attempt).await);
    let lines = lab.lines(&attempt).await;
    let line = lines.iter().find(|line| line.source == Source::Host).expect("a line from the host");
    assert_eq!(line.level, Level::Debug);
    assert!(line.message.starts_with(&format!("POST {}: 200, 24 bytes in ", server.url("/page"))), "{}", line.message);
    let mut fields: Value = serde_json::from_str(line.fields.as_deref().expect("fields")).unwrap();
    assert!(fields["http"]["ms"].take().is_u64());
    let expected = json!({ "http": {
        "method": "POST", "scheme": "http", "host": server.address.to_string(), "path": "/page", "status": 200,
        "sent": 4, "received": 24, "ms": null
    } });
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn what_was_denied_is_a_line_of_the_log() {
    let (lab, fetch) = lab(no_names()).await;
    let attempt = task(&lab, &fetch, &["a.test"], "", &json!({ "url": "http://b.test/x" })).await;
    lab.failure(&attempt).await;
    let lines = lab.lines(&attempt).await;
    let line = lines.iter().find(|line| line.source == Source::Host).expect("a line from the host");
    assert_eq!(line.level, Level::Warn);
    assert!(line.message.contains("http://b.test/x") && line.message.contains("`b.test` does"), "{}", line.message);
}
