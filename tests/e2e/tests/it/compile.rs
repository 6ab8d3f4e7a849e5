//! Plugins are compiled in processes of their own, which this binary is, too.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use bulkhead_e2e::{Api, Server, ServerOptions, bulkhead, job_definition, json_lines, plugins};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::tempdir;

#[test]
fn a_plugin_that_takes_too_much_memory_to_compile_is_refused_with_the_bound() {
    let dir = tempdir().expect("a temporary directory");
    let mut command = bulkhead(&["run", "--compile-memory", "12MiB", "--plugins"]);
    command.arg(plugins()).arg("--compiled-dir").arg(dir.path().join("compiled")).arg(job_definition("hello"));
    let output = command.output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(2), "there is no such plugin then");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("more than the 12 MiB that a compilation may have"), "{text}");
}

/// The process that compiles, which waits for a component of so many bytes.
fn compiler(length: u64) -> std::process::Child {
    let mut command = bulkhead(&["compile-plugin", "compile", "0", "524288", "1", "0", "4294967296"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    child.stdin.as_mut().expect("a pipe").write_all(&length.to_le_bytes()).expect("it reads");
    child
}

#[test]
fn a_compiler_whose_host_is_gone_ends() {
    // While it reads, and while it compiles.
    let mut child = compiler(1_000);
    drop(child.stdin.take());
    assert!(!child.wait().expect("it ends").success());

    let component = std::fs::read(plugins().join("crawler.wasm")).expect("a plugin");
    let mut child = compiler(component.len() as u64);
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&component).expect("it reads");
    drop(stdin);
    let mut said = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut said).expect("it ends");
    assert!(!child.wait().expect("it ends").success());
    // It may have said how far it is: a mark, and two numbers.
    let (frames, rest) = said.as_chunks::<9>();
    assert!(rest.is_empty() && frames.iter().all(|frame| frame[0] == b'p'), "{} bytes", said.len());
}

/// The upload of a component, as the server tells it.
async fn upload_of(api: &Api, digest: &str) -> Value {
    api.get(&format!("/plugin-uploads/{digest}")).await.ok()
}

/// Reads the stream of uploads until the first one is as wished.
async fn watch_uploads(api: &Api, wished: impl Fn(&Value) -> bool) -> Value {
    let request = api.request(Method::POST, "/api/v1/watch").json(&json!({ "plugin_uploads": true }));
    let mut stream = api.stream(request).await;
    loop {
        let event = stream.next().await.expect("the stream goes on");
        let upload = &event.data["uploads"][0];
        if wished(upload) {
            return upload.clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_the_background_outlives_its_server() {
    let dir = tempdir().expect("a temporary directory");
    // What other tests have compiled is not there.
    let compiled = dir.path().join("compiled");
    let options = || {
        let options = ServerOptions { no_plugins: true, ..ServerOptions::default() }.data_dir(dir.path());
        options.args(&["--compiled-dir", compiled.to_str().expect("text")])
    };
    let server = Server::start_with(options());
    let api = server.api();
    let component = std::fs::read(plugins().join("crawler.wasm")).expect("a plugin");
    let request = api.request(Method::POST, "/api/v1/plugins").header("content-type", "application/wasm");
    let reply = api.send(request.header("prefer", "respond-async").body(component)).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    let taken = reply.ok();
    let digest = taken["digest"].as_str().expect("a digest");
    let compiling = watch_uploads(&api, |upload| upload["functions"]["done"].as_u64() > Some(0)).await;
    let functions = &compiling["functions"];
    assert!(functions["done"].as_u64() < functions["total"].as_u64(), "{functions}");
    server.kill();

    let server = Server::start_with(options());
    let api = server.api();
    let known = upload_of(&api, digest).await;
    assert_eq!((&known["received_at"], &known["size_bytes"]), (&taken["received_at"], &taken["size_bytes"]));
    let ended = watch_uploads(&api, |upload| upload["ended_at"].is_string()).await;
    assert_eq!((&ended["state"], &ended["plugin"]), (&json!("accepted"), &json!("crawler")));
    let plugin = api.get("/plugins/crawler").await.ok();
    assert_eq!(plugin["digest"], digest);
    let analysis = &plugin["analysis"];
    assert_eq!((&analysis["kind"], &analysis["form"]), (&json!("plugin"), &json!("component")));
    let names = |key: &str| analysis[key].as_array().expect("names").clone();
    assert!(names("imports").iter().any(|name| name.as_str().is_some_and(|name| name.starts_with("wasi:http/outgoing-handler"))));
    assert!(names("exports").contains(&json!("run")) && analysis["compile_us"].as_u64() > Some(0), "{analysis}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_waits_for_the_check_and_says_what_came_of_it() {
    let dir = tempdir().expect("a temporary directory");
    let server = Server::start_with(ServerOptions { no_plugins: true, ..ServerOptions::default() });
    let file = plugins().join("noop.wasm");
    let output = server.call(&["plugins", "upload", file.to_str().expect("text"), "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(json_lines(&output.stdout)[0][0]["name"], "noop");
    let broken = dir.path().join("broken.wasm");
    std::fs::write(&broken, b"\0asm\x0d\0\x01\0broken").expect("a file can be written");
    let output = server.call(&["plugins", "upload", broken.to_str().expect("text")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("it is no valid plugin"), "{said}");
}
