//! The description is of what is served.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use crate::support::Server;

/// Every method and path of the description. The router is made from the same list of handlers.
pub(crate) fn operations() -> Vec<(String, String)> {
    let api = serde_json::to_value(bulkhead_api::openapi()).unwrap();
    let paths = api["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| {
        item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

#[tokio::test]
async fn the_description_is_served_and_every_route_of_it_is_there() {
    let server = Server::start().await;
    let served = server.get("/api/v1/openapi.json").await.expect(200).json();
    assert_eq!(served, serde_json::to_value(bulkhead_api::openapi()).unwrap());
    // Streams end at once.
    server.state.close();
    assert!(operations().len() >= 33, "{}", operations().len());
    for (method, path) in operations() {
        let concrete = path
            .replace("{id}", "x")
            .replace("{name}", "x")
            .replace("{step}", "x")
            .replace("{version}", "1")
            .replace("{digest}", "x");
        let reply = server.send(Request::builder().method(method.as_str()).uri(&concrete).body(Body::empty()).unwrap()).await;
        let refused = reply.status == 405 || (reply.status == 404 && reply.json()["type"] == "/problems/unknown-route");
        assert!(!refused, "{method} {path}");
        let operation = &served["paths"][&path][method.to_lowercase()];
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path} says nothing");
        assert!(operation["responses"]["default"]["content"]["application/problem+json"].is_object());
        let open = operation["description"].as_str().unwrap().contains("Needs no token.");
        let role = operation["description"].as_str().unwrap().contains("Needs the role `");
        assert!(open != role && role == operation["security"].is_array(), "{operation}");
    }
}

#[test]
fn what_is_referred_to_is_described() {
    let api = serde_json::to_value(bulkhead_api::openapi()).unwrap();
    let mut missing = Vec::new();
    walk(&api, &mut |reference| {
        let pointer = reference.strip_prefix('#').expect("a reference within the description");
        if api.pointer(pointer).is_none() {
            missing.push(reference.to_owned());
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
}

fn walk(value: &Value, reference: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| match value {
            Value::String(text) if key == "$ref" => reference(text),
            value => walk(value, reference),
        }),
        Value::Array(values) => values.iter().for_each(|value| walk(value, reference)),
        _ => {}
    }
}
