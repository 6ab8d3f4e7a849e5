//! Plugins that are checked in the background.

use axum::http::Request;
use serde_json::{Value, json};

use crate::support::{COMPONENT, HELD, Reply, Server, Watcher};

async fn upload(server: &Server, bytes: &'static [u8]) -> Reply {
    let request = Request::post("/api/v1/plugins").header("content-type", "application/wasm");
    server.send(request.header("prefer", "wait=5, respond-async").body(bytes.into()).unwrap()).await
}

/// The one upload with this digest, among what the stream tells.
fn find<'a>(told: &'a Value, digest: &Value) -> Option<&'a Value> {
    told["uploads"].as_array().unwrap().iter().find(|upload| upload["digest"] == *digest)
}

#[tokio::test]
async fn an_upload_is_taken_at_once_and_its_check_is_told_as_it_goes() {
    let server = Server::start().await;
    let mut watcher = Watcher::open(server.listen().await, &json!({ "plugin_uploads": true })).await;
    assert_eq!(watcher.until("plugin-uploads", |_| true).await["uploads"], json!([]));
    let reply = upload(&server, HELD).await.expect(202);
    let taken = reply.json();
    let digest = &taken["digest"];
    assert_eq!(reply.header("location"), format!("/api/v1/plugin-uploads/{}", digest.as_str().unwrap()));
    assert_eq!((&taken["size_bytes"], &taken["plugin"]), (&json!(HELD.len()), &Value::Null));

    let compiles = |told: &Value| find(told, digest).is_some_and(|upload| upload["functions"].is_object());
    let told = watcher.until("plugin-uploads", compiles).await;
    let checking = find(&told, digest).unwrap();
    assert_eq!((&checking["state"], &checking["functions"]), (&json!("checking"), &json!({ "done": 1, "total": 2 })));
    assert_eq!(upload(&server, HELD).await.expect(202).json()["received_at"], taken["received_at"], "it is under way");
    server.stub.gate.add_permits(1);
    let told =
        watcher.until("plugin-uploads", |told| find(told, digest).is_some_and(|upload| upload["ended_at"].is_string())).await;
    let accepted = find(&told, digest).unwrap();
    assert_eq!((&accepted["state"], &accepted["plugin"]), (&json!("accepted"), &json!("stub")));
    assert_eq!((&accepted["functions"], &accepted["failure"]), (&Value::Null, &Value::Null));
    assert_eq!(server.get(reply.header("location")).await.expect(200).json(), *accepted);
}

#[tokio::test]
async fn an_upload_that_is_no_plugin_says_why() {
    let server = Server::start().await;
    let mut watcher = Watcher::open(server.listen().await, &json!({ "plugin_uploads": true })).await;
    for (bytes, cause) in [(&b"nonsense"[..], "invalid-plugin"), (b"panic", "host-fault")] {
        let digest = upload(&server, bytes).await.expect(202).json()["digest"].clone();
        let told = watcher
            .until("plugin-uploads", |told| find(told, &digest).is_some_and(|upload| upload["ended_at"].is_string()))
            .await;
        let refused = find(&told, &digest).unwrap();
        assert_eq!((&refused["state"], &refused["failure"]["cause"]), (&json!("refused"), &json!(cause)));
        assert!(!refused["failure"]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(server.get("/api/v1/plugin-uploads").await.expect(200).json()["items"].as_array().unwrap().len(), 2);
    let unknown = format!("/api/v1/plugin-uploads/sha256:{}", "0".repeat(64));
    server.get(&unknown).await.expect_problem(404, "not-found");
    server.get("/api/v1/plugin-uploads/x").await.expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn a_plugin_says_what_it_is() {
    let server = Server::start().await;
    let analysis = &server.get("/api/v1/plugins/stub").await.expect(200).json()["analysis"];
    let expected = json!({
        "kind": "plugin", "form": "component", "contract": "0.1.0", "imports": ["wasi:io/poll@0.2.12"], "exports": ["run"],
        "compile_us": 1_500,
    });
    assert_eq!(*analysis, expected);
}

#[tokio::test]
async fn what_proves_a_component_goes_with_it_when_it_is_refused() {
    let server = Server::start().await;
    let mut watcher = Watcher::open(server.listen().await, &json!({ "plugin_uploads": true })).await;
    let digest = bulkhead_engine::registry::digest(b"nonsense");
    for (prefer, status) in [("wait=5", 422), ("respond-async", 202)] {
        let request = Request::post("/api/v1/plugins").header("content-type", "application/wasm");
        // `signed`, in base64.
        let request = request.header("bulkhead-signature", "c2lnbmVk").header("prefer", prefer);
        server.send(request.body("nonsense".into()).unwrap()).await.expect(status);
        if status == 202 {
            let text = json!(digest.to_string());
            let ended = |told: &Value| find(told, &text).is_some_and(|upload| upload["state"] == "refused");
            watcher.until("plugin-uploads", ended).await;
        }
        assert_eq!(server.store.papers(digest).await.unwrap().signature, None, "{prefer}");
    }
    let request =
        Request::post("/api/v1/plugins").header("content-type", "application/wasm").header("bulkhead-signature", "c2lnbmVk");
    server.send(request.body(COMPONENT.into()).unwrap()).await.expect(201);
    assert_eq!(
        server.store.papers(server.store.plugins().await.unwrap()[0].digest).await.unwrap().signature.as_deref(),
        Some("signed")
    );
}
