//! Definitions and plugins.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::{COMPONENT, Server, definition};

#[tokio::test]
async fn a_definition_has_versions_and_preconditions() {
    let server = Server::start().await;
    let put = async |text: &str, header: &str, value: &str| {
        let request = Request::put("/api/v1/definitions/d").header("content-type", "text/toml").header(header, value);
        server.send(request.body(text.to_owned().into()).unwrap()).await
    };
    let (one, two) = (definition("d", "workers = 1"), definition("d", "workers = 2"));
    put(&one, "if-match", "*").await.expect_problem(412, "precondition-failed");
    let first = put(&one, "if-none-match", "*").await.expect(201);
    assert_eq!((first.header("etag"), &first.json()["valid"]), ("\"1\"", &json!(true)));
    put(&two, "if-none-match", "*").await.expect_problem(412, "precondition-failed");
    assert_eq!(put(&two, "if-match", "\"1\"").await.expect(200).header("etag"), "\"2\"");
    put(&one, "if-match", "\"1\"").await.expect_problem(412, "precondition-failed");
    put(&one, "if-match", "1").await.expect_problem(400, "invalid-parameter");
    assert_eq!(put(&two, "if-match", "*").await.expect(200).json()["version"], 2);

    let stored = server.get("/api/v1/definitions/d").await.expect(200);
    assert_eq!((stored.header("etag"), &stored.json()["text"]), ("\"2\"", &json!(two)));
    assert_eq!(stored.json()["steps"], json!([{"name": "work", "plugin": "stub", "depends": []}]));
    let text = Request::get("/api/v1/definitions/d").header("accept", "text/toml").body(Body::empty()).unwrap();
    assert_eq!(server.send(text).await.expect(200).text(), two);

    let listed = server.get("/api/v1/definitions").await.expect(200).json();
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["enabled"]), (&json!("d"), &json!(true)));
    server.delete("/api/v1/definitions/d").await.expect(204);
    server.delete("/api/v1/definitions/d").await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_definition_is_told_with_its_place() {
    let server = Server::start().await;
    let wrong = definition("d", "workrs = 1\ntimeout = 5");
    let problem = server.put("d", &wrong).await.expect_problem(422, "invalid-definition");
    let diagnostics = problem["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), 2, "{problem}");
    let typo = diagnostics.iter().find(|found| found["line"] == 4).unwrap();
    assert_eq!((&typo["column"], &wrong[typo["start"].as_u64().unwrap() as usize..][..6]), (&json!(1), "workrs"));

    let validate = async |text: &str| {
        let request = Request::post("/api/v1/definitions/validate").header("content-type", "text/plain");
        server.send(request.body(text.to_owned().into()).unwrap()).await.expect(200).json()
    };
    let found = validate(&wrong).await;
    assert_eq!((&found["valid"], &found["diagnostics"]), (&json!(false), &problem["diagnostics"]));
    assert_eq!(validate(&definition("d", "")).await, json!({"valid": true, "id": "d", "diagnostics": []}));
    server.put("other", &definition("d", "")).await.expect_problem(422, "definition-id-mismatch");
    server.put("d", &definition("d", "").replace("[step", "enabled = false\n[step")).await.expect(201);
    server.post("/api/v1/definitions/d/runs", "").await.expect_problem(409, "definition-disabled");
}

#[tokio::test]
async fn plugins_are_uploaded_described_and_removed() {
    let server = Server::start().await;
    let upload = async |bytes: &'static [u8]| {
        let request = Request::post("/api/v1/plugins").header("content-type", "application/octet-stream");
        server.send(request.body(bytes.into()).unwrap()).await
    };
    let reply = upload(COMPONENT).await.expect(201);
    assert_eq!((reply.header("location"), &reply.json()["size_bytes"]), ("/api/v1/plugins/stub", &json!(COMPONENT.len())));
    let problem = upload(b"nonsense").await.expect_problem(422, "invalid-plugin");
    assert_eq!(problem["failure"]["cause"], "invalid-plugin");
    let plugin = server.get("/api/v1/plugins/stub").await.expect(200).json();
    assert_eq!(plugin["config_schema"]["type"], "object");
    assert_eq!(server.get("/api/v1/plugins").await.expect(200).json()["items"][0]["name"], "stub");

    let run = server.run("held", "workers = 1\nhold = true").await;
    server.delete("/api/v1/plugins/stub").await.expect_problem(409, "conflict");
    server.stub.gate.add_permits(1);
    server.end(&run).await;
    server.delete("/api/v1/plugins/stub").await.expect(204);
    server.get("/api/v1/plugins/stub").await.expect_problem(404, "not-found");
    // What was checked before is checked anew.
    server.post("/api/v1/definitions/held/runs", "").await.expect_problem(422, "invalid-definition");
    let stored = server.get("/api/v1/definitions/held").await.expect(200).json();
    assert_eq!((&stored["valid"], stored["diagnostics"].as_array().unwrap().len()), (&json!(false), 1));
}

const TAKES: &str = "[parameters.count]\ntype = \"integer\"\ndefault = 3\nmaximum = 9\n\
                     [parameters.mode]\nenum = [\"fast\", \"slow\"]\nrequired = true\n\
                     [files.rows]\ndescription = \"A table\"\nrequired = true\n";

#[tokio::test]
async fn a_run_is_started_with_what_its_definition_takes() {
    let server = Server::start().await;
    let text = format!("{}{TAKES}", definition("takes", "workers = 1"));
    let stored = server.put("takes", &text).await.expect(201).json();
    assert_eq!(stored["parameters"]["properties"]["count"], json!({"type": "integer", "default": 3, "maximum": 9}));
    assert_eq!(stored["parameters"]["required"], json!(["mode"]));
    assert_eq!(stored["files"], json!([{"name": "rows", "description": "A table", "required": true}]));
    let start = async |body: serde_json::Value| server.post("/api/v1/definitions/takes/runs", &body.to_string()).await;

    let problem = start(json!({"parameters": {"count": 10, "mdoe": "x"}})).await.expect_problem(422, "invalid-run-parameters");
    assert_eq!(
        problem["inputs"],
        json!([
            {"input": "parameters.count", "message": "`count` is 10, but at most 9 is allowed", "help": "use an integer of at most 9"},
            {"input": "parameters.mdoe", "message": "the definition takes no parameter `mdoe`", "help": "did you mean `mode`?"},
            {"input": "parameters.mode", "message": "`mode` is required", "help": "give it one of \"fast\" or \"slow\""},
        ])
    );
    let problem = start(json!({"parameters": {"mode": "fast"}})).await.expect_problem(422, "invalid-run-files");
    assert_eq!(problem["inputs"], json!([{"input": "files.rows", "message": "the file `rows` is required", "help": "A table"}]));

    let upload = Request::post("/api/v1/files").header("content-type", "text/csv").body("a,b\n1,2\n".into()).unwrap();
    let file = server.send(upload).await.expect(201).json();
    let run = start(json!({"parameters": {"mode": "fast"}, "files": {"rows": file["digest"]}})).await.expect(201).json();
    assert_eq!(run["parameters"], json!({"mode": "fast", "count": 3}));
    let file = server.get(&format!("/api/v1/runs/{}/files/rows", run["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((file.text(), file.header("content-disposition")), ("a,b\n1,2\n".to_owned(), "attachment; filename=\"rows\""));
    server.get(&format!("/api/v1/runs/{}/files/row", run["id"].as_str().unwrap())).await.expect_problem(404, "not-found");

    let any = server.put("any", &definition("any", "workers = 1")).await.expect(201).json();
    assert_eq!((&any["parameters"], &any["files"]), (&json!(null), &json!(null)));
    let run = server.post("/api/v1/definitions/any/runs", r#"{"parameters":{"x":[1.50]}}"#).await.expect(201);
    assert!(run.text().contains(r#""parameters":{"x":[1.50]}"#), "{}", run.text());
}

#[tokio::test]
async fn versions_of_a_definition_are_listed_and_read() {
    let server = Server::start().await;
    for workers in 1..=3 {
        server.define("d", &format!("workers = {workers}")).await;
    }
    let path = "/api/v1/definitions/d/versions";
    let page = server.get(&format!("{path}?limit=2")).await.expect(200).json();
    let numbers = |page: &serde_json::Value| -> Vec<u64> {
        page["items"].as_array().unwrap().iter().map(|version| version["version"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers(&page), [3, 2]);
    let rest = server.get(&format!("{path}?limit=2&cursor={}", page["next"].as_str().unwrap())).await.expect(200).json();
    assert_eq!((numbers(&rest), &rest["next"]), (vec![1], &json!(null)));
    let first = server.get(&format!("{path}/1")).await.expect(200).json();
    let text = definition("d", "workers = 1");
    assert_eq!((&first["text"], &first["size_bytes"]), (&json!(text), &json!(text.len())));
    server.get(&format!("{path}/4")).await.expect_problem(404, "not-found");
    server.get(&format!("{path}/x")).await.expect_problem(400, "invalid-parameter");
    server.get("/api/v1/definitions/e/versions").await.expect_problem(404, "not-found");
}
