//! Who may do what: every route with every role, and the life of a token.

use axum::body::Body;
use axum::http::Request;
use bulkhead_api::ApiConfig;
use bulkhead_api::auth::new_token;
use bulkhead_engine::store::Role;
use serde_json::json;

use crate::openapi::operations;
use crate::support::Server;

/// What a route should ask, written down a second time on purpose.
fn least(method: &str, path: &str) -> Option<Role> {
    match (method, path) {
        ("GET", "/health" | "/ready" | "/api/v1/openapi.json") => None,
        (_, path) if path.starts_with("/api/v1/tokens") => Some(Role::Admin),
        ("POST", "/api/v1/definitions/validate" | "/api/v1/watch") => Some(Role::Viewer),
        ("PUT" | "DELETE", "/api/v1/definitions/{id}") | ("POST", "/api/v1/plugins" | "/api/v1/runs") => Some(Role::Admin),
        ("DELETE", "/api/v1/plugins/{name}") => Some(Role::Admin),
        ("PUT" | "DELETE", "/api/v1/hooks/{name}") => Some(Role::Admin),
        ("GET", _) => Some(Role::Viewer),
        _ => Some(Role::Operator),
    }
}

async fn server_with_tokens() -> (Server, [(Option<Role>, String); 5]) {
    let server = Server::start_with(ApiConfig::default()).await;
    let mut callers = vec![(None, String::new()), (None, "bulkhead_unknown".to_owned())];
    for role in [Role::Viewer, Role::Operator, Role::Admin] {
        let (record, secret) = new_token(role.name().parse().unwrap(), role, server.store.now());
        server.store.put_token(record).await.unwrap();
        callers.push((Some(role), secret));
    }
    (server, callers.try_into().unwrap())
}

#[tokio::test]
async fn every_route_refuses_who_may_not_and_lets_in_who_may() {
    let (server, callers) = server_with_tokens().await;
    // Streams end at once.
    server.state.close();
    let mut routes = operations();
    // HEAD asks what GET asks.
    routes.extend(operations().into_iter().filter(|(method, _)| method == "GET").map(|(_, path)| ("HEAD".to_owned(), path)));
    for (method, path) in routes {
        let concrete = path.replace("{id}", "x").replace("{name}", "x").replace("{step}", "x").replace("{version}", "1");
        let least = least(if method == "HEAD" { "GET" } else { &method }, &path);
        for (role, secret) in &callers {
            let mut request = Request::builder().method(method.as_str()).uri(&concrete);
            if !secret.is_empty() {
                request = request.header("authorization", format!("Bearer {secret}"));
            }
            let reply = server.send(request.body(Body::empty()).unwrap()).await;
            let expected = match (least, role) {
                (Some(_), None) => Some((401, "unauthenticated")),
                (Some(least), Some(role)) if *role < least => Some((403, "forbidden")),
                _ => None,
            };
            let what = format!("{method} {path} as {role:?}: {}", reply.text());
            match expected {
                Some((status, _)) if method == "HEAD" => assert_eq!(reply.status, status, "{what}"),
                Some((status, slug)) => {
                    reply.expect_problem(status, slug);
                }
                None => {
                    let nothing = reply.status == 404 && (method == "HEAD" || reply.text().contains("no such"));
                    assert!(nothing || !matches!(reply.status.as_u16(), 401 | 403 | 404 | 405), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_in_no_table_is_refused_before_it_is_looked_for() {
    let (server, callers) = server_with_tokens().await;
    for (role, secret) in &callers {
        for (method, path, slug, status) in
            [("GET", "/nowhere", "unknown-route", 404), ("PATCH", "/api/v1/runs", "method-not-allowed", 405)]
        {
            let request = Request::builder().method(method).uri(path).header("authorization", format!("bearer {secret}"));
            let reply = server.send(request.body(Body::empty()).unwrap()).await;
            if role.is_some() {
                reply.expect_problem(status, slug)
            } else {
                reply.expect_problem(401, "unauthenticated")
            };
        }
    }
    let basic = Request::get("/api/v1/runs").header("authorization", "Basic eDp5").body(Body::empty()).unwrap();
    let reply = server.send(basic).await;
    assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"bulkhead\"");
    reply.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_first_token_closes_the_server_and_a_removed_one_is_refused_at_once() {
    let mut server = Server::start().await;
    server.post("/api/v1/tokens", r#"{"name":"ci","role":"operator"}"#).await.expect_problem(422, "invalid-token");
    let admin = server.post("/api/v1/tokens", r#"{"name":"me","role":"admin"}"#).await.expect(201).json();
    server.get("/api/v1/runs").await.expect_problem(401, "unauthenticated");

    server.token = Some(admin["secret"].as_str().unwrap().to_owned());
    assert_eq!(server.get("/api/v1/session").await.expect(200).json()["token"], "me");
    server.post("/api/v1/tokens", r#"{"name":"me","role":"viewer"}"#).await.expect_problem(409, "conflict");
    let ci = server.post("/api/v1/tokens", r#"{"name":"ci","role":"operator"}"#).await.expect(201).json();
    let listed = server.get("/api/v1/tokens").await.expect(200);
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 2);
    for secret in [&admin["secret"], &ci["secret"]] {
        assert!(!listed.text().contains(secret.as_str().unwrap()));
    }
    let as_ci = async || {
        let request = Request::get("/api/v1/runs").header("authorization", format!("Bearer {}", ci["secret"].as_str().unwrap()));
        server.send(request.body(Body::empty()).unwrap()).await
    };
    as_ci().await.expect(200);
    server.delete("/api/v1/tokens/ci").await.expect(204);
    as_ci().await.expect_problem(401, "unauthenticated");
    server.delete("/api/v1/tokens/me").await.expect_problem(422, "invalid-token");
    assert_eq!(server.store.tokens().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_open_server_answers_this_machine_only() {
    let server = Server::start().await;
    let rebound = Request::get("/api/v1/runs").header("host", "evil.example").body(Body::empty()).unwrap();
    server.send(rebound).await.expect_problem(403, "untrusted-host");
    let foreign =
        Request::post("/api/v1/definitions/x/runs").header("origin", "http://evil.example").body(Body::empty()).unwrap();
    server.send(foreign).await.expect_problem(403, "cross-origin");
    assert_eq!(server.get("/api/v1/session").await.expect(200).json()["token"], json!(null));
}
