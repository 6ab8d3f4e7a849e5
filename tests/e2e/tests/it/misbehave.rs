//! Every way to go wrong: each task fails by itself, with its cause, and the service goes on.

use std::collections::BTreeMap;
use std::fs;

use bulkhead_e2e::{Server, job_definition};
use serde_json::Value;

/// Step, mode and cause, as the definition's comments promise them. A cause with a detail: `trap (unreachable)`.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("faults", "panic", "panic"),
    ("faults", "error-final", "plugin-error"),
    ("faults", "hostile-error", "plugin-error"),
    ("faults", "unreachable", "trap (unreachable)"),
    ("faults", "out-of-bounds", "trap (memory-out-of-bounds)"),
    ("faults", "divide-by-zero", "trap (division-by-zero)"),
    ("faults", "float-to-integer", "trap (bad-conversion)"),
    ("faults", "null-function", "trap (indirect-call)"),
    ("faults", "wrong-function", "trap (indirect-call)"),
    ("faults", "memory-hog", "out-of-memory"),
    ("faults", "gigantic-allocation", "out-of-memory"),
    ("faults", "stack-overflow", "stack-overflow"),
    ("faults", "native-stack-overflow", "stack-overflow"),
    ("faults", "table-growth", "out-of-memory"),
    ("faults", "file-flood", "out-of-memory"),
    ("faults", "files-flood", "out-of-memory"),
    ("faults", "exit", "trap (exit)"),
    ("faults", "bad-checkpoint", "plugin-error"),
    ("faults", "output-too-large", "limit (output)"),
    ("faults", "deep-json", "invalid-plugin"),
    ("faults", "invalid-json", "invalid-plugin"),
    ("faults", "invalid-utf8", "invalid-plugin"),
    ("retried", "error-retryable", "plugin-error"),
    ("endless", "endless-loop", "timed-out"),
    ("endless", "endless-loop-in-host-call", "timed-out"),
    ("endless", "sleep-for-ever", "timed-out"),
    ("endless", "sleep-past-cancellation", "timed-out"),
    ("floods", "log-flood", "limit (log)"),
    ("floods", "stderr-flood", "limit (log)"),
    ("floods", "artifact-flood", "limit (artifact)"),
    ("floods", "host-call-flood", "limit (host-call)"),
];

fn cause(task: &Value) -> String {
    let failure = &task["failure"];
    let cause = failure["cause"].as_str().unwrap_or("none");
    failure["detail"].as_str().map_or_else(|| cause.to_owned(), |detail| format!("{cause} ({detail})"))
}

#[tokio::test]
async fn every_misbehaviour_is_contained_and_named() {
    let server = Server::start();
    let api = server.api();
    let text = fs::read_to_string(job_definition("misbehave")).expect("the definition is there");
    api.put_definition("misbehave", &text).await.ok();
    let run = api.trigger("misbehave").await;
    let run = api.wait_for_end(&run).await;
    assert_eq!(run["state"], "succeeded", "only the steps that behave count: {run:#}");

    let tasks = api.tasks(run["id"].as_str().expect("a run has an id")).await;
    let by_mode = |step: &str, mode: &str| {
        let found =
            tasks.iter().find(|task| task["step"] == step && task["key"].as_str().is_some_and(|key| key.starts_with(mode)));
        found.unwrap_or_else(|| panic!("no task of {step} is called {mode}"))
    };
    let wrong: BTreeMap<_, _> = EXPECTED
        .iter()
        .map(|&(step, mode, expected)| {
            (mode, expected, cause(exactly(&tasks, step, mode).unwrap_or_else(|| by_mode(step, mode))))
        })
        .filter(|(_, expected, found)| expected != found)
        .map(|(mode, expected, found)| (mode, format!("expected {expected}, found {found}")))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(by_mode("retried", "error-retryable")["attempt"], 3);

    let failed = |step: &str| tasks.iter().filter(|task| task["step"] == step && task["state"] == "failed").count();
    assert_eq!(failed("bomb"), 1, "what the bomb spawned before its end succeeds");
    assert_eq!((failed("overflow"), failed("hostile"), failed("files"), failed("clean_slate")), (0, 0, 0, 0));
    let clean = tasks.iter().filter(|task| task["step"] == "clean_slate" && task["state"] == "succeeded").count();
    assert_eq!(clean, 200 + 1);

    // The service goes on: the same process runs what comes next, well.
    let text = fs::read_to_string(job_definition("test_job_generator")).expect("the definition is there");
    let text = text.replace("log_delay_ms = 500", "log_delay_ms = 1").replace("log_delay_ms = 50", "log_delay_ms = 1");
    api.put_definition("test_job_generator", &text).await.ok();
    let next = api.trigger("test_job_generator").await;
    assert_eq!(api.wait_for_end(&next).await["state"], "succeeded");
}

fn exactly<'a>(tasks: &'a [Value], step: &str, key: &str) -> Option<&'a Value> {
    tasks.iter().find(|task| task["step"] == step && task["key"] == key)
}
