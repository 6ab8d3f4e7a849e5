//! Plugins of every released version of the contract work on this host, and those of versions that it does not know are refused.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bulkhead_e2e::{Api, Reply, Server, ServerOptions, plugins, workspace};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What the plugin of a version is taken through. It checks what it sees itself, and fails where that is not as it should be.
const DEFINITION: &str = r#"
id = "contract"
[error_tolerance]
max_child_failures = 1

[step.write]
plugin = "PLUGIN"
part = "write"
retry = { attempts = 2, backoff = "1ms" }

[step.read]
plugin = "PLUGIN"
part = "read"
depends = "write"
"#;

/// The versions of the contract, by their folders.
fn versions() -> Vec<String> {
    let entries = fs::read_dir(workspace().join("wit")).expect("the contract");
    let folders = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let mut versions: Vec<_> =
        folders.map(|path| path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned()).collect();
    versions.sort();
    assert!(!versions.is_empty(), "the contract has no version");
    versions
}

/// The plugin that was built against a version.
fn plugin_of(version: &str) -> Vec<u8> {
    let file: PathBuf = plugins().join(format!("contract/{version}.wasm"));
    fs::read(&file).unwrap_or_else(|error| {
        panic!(
            "{}: {error}: each version of wit/ has a plugin in plugins/contract, built against it: copy the one before and call \
             what is new, then run `make plugins`",
            file.display()
        )
    })
}

async fn upload(server: &Server, component: Vec<u8>) -> Reply {
    let api = server.api();
    let request = api.request(Method::POST, "/api/v1/plugins").header("content-type", "application/wasm");
    api.send(request.body(component)).await
}

fn server() -> Server {
    Server::start_with(ServerOptions { no_plugins: true, ..ServerOptions::default() })
}

#[test]
fn a_released_version_never_changes() {
    let listed = fs::read_to_string(workspace().join("wit/released.sha256")).expect("the check sums");
    for version in versions() {
        let file = format!("{version}/plugin.wit");
        let text = fs::read(workspace().join("wit").join(&file)).expect("a version of the contract");
        let sum: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!("{sum}  {file}");
        assert!(
            listed.lines().any(|found| found == line),
            "wit/released.sha256 has no line `{line}`. A released contract never changes, not even in its comments: take the change \
             back, and make it in a new version's directory. Only a new version adds a line."
        );
    }
}

#[tokio::test]
async fn a_plugin_of_each_version_works_in_all_its_parts() {
    let server = server();
    let api = server.api();
    for version in versions() {
        let plugin = upload(&server, plugin_of(&version)).await.ok();
        let name = format!("contract-{}", version.replace('.', "-"));
        assert_eq!((&plugin["name"], &plugin["version"]), (&json!(name), &json!(version)), "it describes itself");
        assert_eq!(plugin["config_schema"]["properties"]["part"]["enum"], json!(["write", "read", "wait"]));

        api.put_definition("contract", &DEFINITION.replace("PLUGIN", &name)).await.ok();
        let file = api.request(Method::POST, "/api/v1/files").body("what the run was started with");
        let file = api.send(file).await.ok();
        let start = json!({ "parameters": { "ship": "Ada" }, "files": { "file": file["digest"] } });
        let run = api.post("/definitions/contract/runs", &start).await.ok();
        let run = run["id"].as_str().expect("a run has an id");
        let ended = api.wait_for_end(run).await;
        let tasks = api.tasks(run).await;
        assert_eq!(ended["state"], "succeeded", "{version}: {:#}", Value::from(tasks));

        let task = async |key: &str| {
            let task = tasks.iter().find(|task| task["key"] == key).unwrap_or_else(|| panic!("{version}: no task `{key}`"));
            api.get(&format!("/tasks/{}", task["id"].as_str().expect("a task has an id"))).await.ok()
        };
        assert_eq!(task("read").await["output"], "all as the contract says");
        assert_eq!(task("leave").await["output"], json!({ "left": 2 }));
        let retried = task("retry").await;
        assert_eq!((&retried["attempt"], &retried["output"]), (&json!(2), &json!(2)), "{retried:#}");
        let failure = &task("fail").await["failure"];
        assert_eq!((&failure["cause"], &failure["message"]), (&json!("plugin-error"), &json!("as it should")));
        let lines = api.lines(run).await;
        for (level, message) in [("debug", "one"), ("info", "two"), ("warn", "three"), ("error", "four")] {
            let line = lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("no line `{message}`"));
            assert_eq!(line["level"], level, "{line:#}");
            assert_eq!(line["fields"]["number"] == 2, message == "two", "{line:#}");
        }
        waits_until_it_is_told(&api, &name).await;
    }
}

/// Progress and messages arrive, and so does the other way round that the run is cancelled.
async fn waits_until_it_is_told(api: &Api, plugin: &str) {
    let definition = format!("id = \"wait\"\n[step.wait]\nplugin = \"{plugin}\"\npart = \"wait\"\n");
    api.put_definition("wait", &definition).await.ok();
    let run = api.post("/definitions/wait/runs", &json!({ "parameters": { "ship": "Ada" } })).await.ok();
    let run = run["id"].as_str().expect("a run has an id");
    api.wait_for(run, "at work", |run| run["tasks"]["running"] == 1 && run["tasks"]["succeeded"] == 1).await;
    // They are kept when the lease is renewed.
    let started = Instant::now();
    loop {
        let tasks = api.tasks(run).await;
        let progress = tasks.iter().find(|task| task["key"] == "wait").map(|task| task["progress"].clone()).unwrap_or_default();
        if progress["done"] == 3 {
            assert_eq!((&progress["total"], &progress["message"]), (&json!(4), &json!("waiting to be told")), "{progress:#}");
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "its progress never arrives");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    api.command(run, "cancel").await.ok();
    assert_eq!(api.wait_for_end(run).await["state"], "cancelled");
    let lines = api.lines(run).await;
    assert!(lines.iter().any(|line| line["message"] == "told to end"), "it was not told: {lines:#?}");
}

#[tokio::test]
async fn a_plugin_of_a_version_that_the_host_does_not_know_is_refused_with_those_that_it_knows() {
    let server = server();
    let known = versions().pop().expect("a version");
    let component = plugin_of(&known);
    for unknown in ["0.9.0", "1.0.0"] {
        let reply = upload(&server, built_against(&component, &known, unknown)).await;
        assert_eq!(reply.status, 422, "{:#}", reply.body);
        let message = reply.body["failure"]["message"].as_str().unwrap_or_default();
        for said in [&format!("bulkhead:plugin@{unknown}"), &format!("knows {known}"), "build it against", "run a host"] {
            assert!(message.contains(said), "`{said}` is missing: {message}");
        }
        assert_eq!(reply.body["failure"]["cause"], "invalid-plugin");
    }
    // A later patch of a known series is asked for what it imports, and works as long as the host has that.
    let (series, _) = known.rsplit_once('.').expect("three numbers");
    upload(&server, built_against(&component, &known, &format!("{series}.7"))).await.ok();
}

/// A plugin as if it were built against another version: one whose name is as long.
fn built_against(component: &[u8], version: &str, other: &str) -> Vec<u8> {
    assert_eq!(version.len(), other.len());
    let (from, to) = (format!("@{version}"), format!("@{other}"));
    let mut component = component.to_vec();
    for at in 0..=component.len() - from.len() {
        if component[at..].starts_with(from.as_bytes()) {
            component[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    component
}
