//! The commands for who writes plugins, on real plugins and without a server.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use bulkhead_e2e::{bulkhead, json_lines, plugins};
use tempfile::tempdir;

fn plugin(name: &str) -> PathBuf {
    plugins().join(format!("{name}.wasm"))
}

fn author(command: &str, plugin: &Path, args: &[&str]) -> Output {
    let mut call = bulkhead(&["--json", "plugin", command]);
    call.arg(plugin).args(args).output().expect("the binary starts")
}

#[test]
fn one_task_is_tested_with_its_log_its_result_and_what_it_took() {
    let output = author("test", &plugin("primes"), &["--set", "limit=100", "--input", r#"{"first": 0, "end": 100}"#]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let records = json_lines(&output.stdout);
    let results: Vec<_> = records.iter().filter(|record| record["type"] == "result").collect();
    let [result] = &results[..] else { panic!("one result: {records:#?}") };
    assert_eq!(result["key"], "1");
    assert_eq!(result["output"]["primes"], 25, "{result}");
    let summary = records.last().expect("a summary");
    let usage = &summary["run"]["usage"];
    assert!(usage["fuel"].as_u64() > Some(0) && usage["peak_memory_bytes"].as_u64() > Some(0), "{summary:#}");
}

#[test]
fn a_whole_step_is_tested_with_its_plan() {
    let output = author("test", &plugin("generator"), &["--set", "worker_count=3", "--set", "log_count=4"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let records = json_lines(&output.stdout);
    assert_eq!(records.iter().filter(|record| record["type"] == "result").count(), 3);
    assert_eq!(records.iter().filter(|record| record["type"] == "log").count(), 12);
}

#[test]
fn the_limits_are_those_of_a_server() {
    let output = author("test", &plugin("misbehave"), &["--set", "mode=endless-loop", "--set", "timeout=1s"]);
    assert_eq!(output.status.code(), Some(1));
    let records = json_lines(&output.stdout);
    let summary = records.last().expect("a summary");
    assert_eq!(summary["failures"]["groups"][0]["cause"], "timed-out", "{summary:#}");
}

#[test]
fn mistakes_say_what_to_do() {
    let dir = tempdir().expect("a temporary directory");
    let text = dir.path().join("text.wasm");
    std::fs::write(&text, "no plugin").expect("a file");
    for (plugin, args, said) in [
        (text, &[][..], "no WebAssembly"),
        (plugin("primes"), &["--set", "limit=100", "--input", "text"], "in quotes"),
        (plugin("generator"), &["--set", "worker_cuont=3"], "worker_count"),
        (dir.path().join("missing.wasm"), &[], "missing.wasm"),
    ] {
        let output = author("test", &plugin, args);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(said), "`{said}` is missing: {error}");
    }
}

#[test]
fn a_file_is_checked_and_inspected() {
    let output = author("inspect", &plugin("hello"), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [found] = &json_lines(&output.stdout)[..] else { panic!("one result") };
    assert_eq!(
        (&found["name"], &found["kind"], &found["form"]),
        (&"hello".into(), &"plugin".into(), &"component".into()),
        "{found}"
    );
    assert_eq!(found["contract"], "0.1.0");
    let names = |of: &str| found[of].as_array().expect("names").iter().filter_map(|name| name.as_str()).collect::<Vec<_>>();
    assert!(names("imports").contains(&"bulkhead:plugin/tasks@0.1.0"), "{found}");
    assert_eq!(names("exports"), ["describe", "plan", "run"]);
    assert!(found["config_schema"]["properties"]["names"].is_object(), "{found}");

    // One that is none does not keep the others from being checked.
    let dir = tempdir().expect("a temporary directory");
    let text = dir.path().join("text.wasm");
    std::fs::write(&text, "no plugin").expect("a file");
    let output = author("check", &text, &[plugin("noop").to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no WebAssembly"));
    let [found] = &json_lines(&output.stdout)[..] else { panic!("one list") };
    assert_eq!((found[0]["name"].as_str(), found.as_array().map(Vec::len)), (Some("noop"), Some(1)), "{found}");
}

#[test]
fn a_plugin_is_measured() {
    let output = author("bench", &plugin("noop"), &["--input", "null", "-n", "50"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [figures] = &json_lines(&output.stdout)[..] else { panic!("one result") };
    assert_eq!((figures["tasks"].as_u64(), figures["failed"].as_u64()), (Some(50), Some(0)), "{figures}");
    for figure in ["size_bytes", "cold_us", "warm_us", "elapsed_us", "peak_memory_bytes"] {
        assert!(figures[figure].as_u64() > Some(0), "{figure}: {figures}");
    }
}

#[test]
fn a_profile_names_the_functions_that_took_the_time() {
    let dir = tempdir().expect("a temporary directory");
    let file = dir.path().join("primes.profile.json");
    let output = author(
        "profile",
        &plugin("primes"),
        &[
            "--set",
            "limit=100",
            "--input",
            r#"{"first": 0, "end": 3000000}"#,
            "--output",
            file.to_str().expect("UTF-8"),
            "--set",
            "limits.fuel=1000000000000",
        ],
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let profile: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("a profile")).expect("JSON");
    assert!(profile["meta"]["preprocessedProfileVersion"].is_u64(), "{}", profile["meta"]);
    let thread = &profile["threads"][0];
    assert!(thread["samples"]["length"].as_u64() > Some(0), "no samples");
    let strings = thread["stringArray"].as_array().or_else(|| profile["shared"]["stringArray"].as_array()).expect("names");
    assert!(strings.iter().any(|name| name.as_str().is_some_and(|name| name.contains("primes"))), "{strings:?}");
}

#[test]
fn a_change_of_the_source_builds_and_tests_again() {
    let dir = tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name);
    let source = |text: &str| std::fs::write(path("source"), text).expect("a file");
    let hello = plugin("hello");
    source(hello.to_str().expect("UTF-8"));
    let mut command =
        bulkhead(&["--json", "plugin", "dev", "--set", "names=[\"Ada\"]", "--build", "cp \"$(cat source)\" built.wasm"]);
    command.arg("--watch").arg(dir.path()).arg(path("built.wasm")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let lines = |stream: Box<dyn std::io::Read + Send>| BufReader::new(stream).lines();
    let mut said = lines(Box::new(child.stderr.take().expect("a pipe")));
    let mut shown = lines(Box::new(child.stdout.take().expect("a pipe")));
    let mut wait_for = move |text: &str| while !said.next().expect("more on stderr").expect("UTF-8").contains(text) {};
    let mut state_at_the_end = move || loop {
        let line = shown.next().expect("more on stdout").expect("UTF-8");
        let record: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if record["type"] == "summary" {
            return record["run"]["state"].as_str().expect("a state").to_owned();
        }
    };
    assert_eq!(state_at_the_end(), "succeeded");
    wait_for("waiting for changes");
    // What does not build is told, and mended by the next change.
    source("no-such-file");
    wait_for("source changed");
    wait_for("ended with exit status");
    wait_for("waiting for changes");
    source(hello.to_str().expect("UTF-8"));
    assert_eq!(state_at_the_end(), "succeeded");
    wait_for("waiting for changes");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).expect("it runs");
    assert!(child.wait().expect("it ends").success());
}
