//! The command line: results for people and for scripts, mistakes, exit codes.

use std::fs;
use std::path::PathBuf;

use bulkhead_e2e::{Server, bulkhead, call, json_lines, plugins, run_json};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

const SMALL: &str = "id = \"small\"\nname = \"Small\"\n[step.all]\nplugin = \"generator\"\nworker_count = 2\nlog_count = 5\n";

fn file(dir: &TempDir, text: &str) -> PathBuf {
    let path = dir.path().join("job.toml");
    fs::write(&path, text).expect("a file can be written");
    path
}

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the output is UTF-8")
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = call(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        assert!(stdout(&output).contains("bulkhead"), "{shell}");
    }
}

#[test]
fn a_wrong_definition_is_refused_with_all_that_is_wrong() {
    let dir = tempdir().expect("a temporary directory");
    let path = file(
        &dir,
        "id = \"wrong\"\nname = \"Wrong\"\nshedule = \"x\"\n\n[step.a]\nplugin = \"generatr\"\n\n[step.b]\nplugin = \"generator\"\ndepends = \"aa\"\nworker_cuont = 3\n",
    );
    let mut command = bulkhead(&["run"]);
    let output = command.arg("--plugins").arg(plugins()).arg(&path).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    for part in ["shedule", "generatr", "`generator`", "worker_cuont", "worker_count", "aa", "4 mistakes"] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
    let (code, records) = run_json(&path, &[]);
    assert_eq!((code, records.len()), (Some(2), 0), "a mistake is no result");
}

#[test]
fn values_are_replaced_from_the_command_line() {
    let dir = tempdir().expect("a temporary directory");
    let (code, records) = run_json(&file(&dir, SMALL), &["--set", "all.worker_count=3", "--set", "all.log_count=7"]);
    assert_eq!(code, Some(0));
    assert_eq!(records.iter().filter(|record| record["type"] == "log").count(), 21);
    let (code, _) = run_json(&file(&dir, SMALL), &["--set", "all.worker_cuont=3"]);
    assert_eq!(code, Some(2));
}

#[test]
fn the_exit_code_of_a_run_is_its_result() {
    let dir = tempdir().expect("a temporary directory");
    let (code, records) = run_json(&file(&dir, SMALL), &["--set", "all.failure_rate=1.0"]);
    assert_eq!(code, Some(1));
    let summary = records.last().expect("a summary ends the output");
    assert_eq!(summary["run"]["state"], "failed");
    assert_eq!(
        (&summary["failures"]["groups"][0]["cause"], &summary["failures"]["groups"][0]["tasks"]),
        (&"plugin-error".into(), &2.into())
    );
    assert_eq!(call(&["run", "/no/such/file.toml"]).status.code(), Some(2));
    assert_eq!(call(&["runs", "--server", "http://127.0.0.1:9"]).status.code(), Some(4));
    assert_eq!(call(&["no-such-command"]).status.code(), Some(2));
}

#[test]
fn ctrl_c_cancels_a_run_and_sums_it_up() {
    let dir = tempdir().expect("a temporary directory");
    let path = file(&dir, &SMALL.replace("log_count = 5", "log_count = 10000\nlog_delay_ms = 10"));
    let mut command = bulkhead(&["run"]);
    let child = command.arg("--plugins").arg(plugins()).arg(&path).stdout(std::process::Stdio::piped()).spawn();
    let mut child = child.expect("the binary starts");
    // The first line says that the guests are at work.
    use std::io::{BufRead as _, Read as _};
    let mut reader = std::io::BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut text = String::new();
    reader.read_line(&mut text).expect("stdout can be read");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).expect("it is alive");
    reader.read_to_string(&mut text).expect("stdout can be read");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
    assert!(text.contains("cancelled after"), "{text}");
}

#[test]
fn a_pipe_gets_no_colours_and_no_progress() {
    let dir = tempdir().expect("a temporary directory");
    let mut command = bulkhead(&["run"]);
    let output = command
        .env_remove("NO_COLOR")
        .arg("--plugins")
        .arg(plugins())
        .arg(file(&dir, SMALL))
        .output()
        .expect("the binary starts");
    let text = stdout(&output);
    assert!(output.status.success() && text.contains("small succeeded after"), "{text}");
    assert!(!text.contains('\u{1b}') && output.stderr.is_empty(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().filter(|line| line.contains(" all/")).count(), 10);
}

#[tokio::test]
async fn every_client_command_speaks_json() {
    let server = Server::start();
    let dir = tempdir().expect("a temporary directory");
    let path = file(&dir, SMALL);
    let path = path.to_str().expect("a path in UTF-8");
    let json = |args: &[&str]| -> Vec<Value> {
        let mut all = args.to_vec();
        all.push("--json");
        let output = server.call(&all);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        json_lines(&output.stdout)
    };
    assert_eq!(json(&["definitions", "validate", path])[0][0]["valid"], true);
    assert_eq!(json(&["definitions", "put", path])[0][0]["id"], "small");
    assert_eq!(json(&["definitions"])[0][0]["id"], "small");
    assert_eq!(json(&["definitions", "show", "small"])[0]["text"], SMALL);
    assert!(json(&["plugins"])[0].as_array().is_some_and(|plugins| plugins.iter().any(|plugin| plugin["name"] == "generator")));
    assert_eq!(json(&["plugins", "show", "generator"])[0]["config_schema"]["type"], "object");
    let waited = json(&["trigger", "small", "--wait", "--param", "a=1"]);
    assert_eq!(waited[0]["run"]["state"], "succeeded");
    let id = waited[0]["run"]["id"].as_str().expect("a run has an id");
    assert_eq!(json(&["runs"])[0][0]["id"], id);
    assert_eq!(json(&["runs", "show", id])[0]["run"]["lines"]["total"], 10);
    assert_eq!(json(&["tasks", id])[0].as_array().map(Vec::len), Some(3));
    assert_eq!(json(&["logs", id]).len(), 10);
    assert_eq!(json(&["logs", id, "--follow", "--after", "4"]).len(), 6);
    assert_eq!(json(&["logs", id, "--step", "all", "--level", "info"]).iter().filter(|line| line["level"] == "debug").count(), 0);
    assert_eq!(json(&["stats"])[0]["runs"]["succeeded"], 1);
    let triggered = json(&["trigger", "small"]);
    let id = triggered[0]["id"].as_str().expect("a run has an id");
    assert_eq!(json(&["runs", "wait", id])[0]["run"]["state"], "succeeded");
    json(&["runs", "delete", id]);
    json(&["definitions", "delete", "small"]);
    json(&["plugins", "remove", "noop"]);

    // What fails is JSON, too, on stderr, and the exit code says what it was.
    let missing = server.call(&["runs", "show", "run_00000000000000000000000000", "--json"]);
    assert_eq!(missing.status.code(), Some(5));
    assert_eq!(json_lines(&missing.stderr)[0]["error"]["exit_code"], 5);
}

#[tokio::test]
async fn a_followed_run_shows_its_log_and_its_result() {
    let server = Server::start();
    server.api().put_definition("small", SMALL).await.ok();
    let output = server.call(&["trigger", "small", "--follow"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text.lines().filter(|line| line.contains(" all/")).count(), 10, "{text}");
    assert!(text.contains("of small succeeded after"), "{text}");
}
