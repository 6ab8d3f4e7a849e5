//! What plugins send over HTTP goes where their definition says, is recorded, and ends with the attempt: the plugin `fetch` against
//! servers on real sockets.

mod support;
#[path = "../../egress/tests/support/mod.rs"]
mod world;

use std::sync::Arc;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_egress::{EgressConfig, HttpEgress, Resolve};
use bulkhead_engine::executor::Inspected;
use serde_json::{Value, json};
use support::{Attempt, Lab, plugin, succeeded};
use tokio::runtime::Handle;
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
