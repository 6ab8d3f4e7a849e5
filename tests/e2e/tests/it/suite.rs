//! The job suite: every job ends as it must, and computes what it must.

use bulkhead_e2e::suite::{Job, SUITE, Verdict, run_job};
use serde_json::{Value, json};

async fn ends_as_it_must(definition: &str) -> Verdict {
    let job: &Job = SUITE.iter().find(|job| job.definition == definition).expect("a job of the suite");
    let verdict = run_job(*job).await;
    assert!(verdict.wrong.is_empty(), "{verdict}");
    verdict
}

/// The output of each task of a step, without its plan, in the order of the tasks.
fn outputs(verdict: &Verdict, step: &str) -> Vec<Value> {
    let of_step = verdict.tasks.iter().filter(|task| task["step"] == step && !task["output"].is_null());
    of_step.map(|task| task["output"].clone()).collect()
}

#[tokio::test]
async fn hello_greets_everybody() {
    let verdict = ends_as_it_must("hello").await;
    let expected = ["Ada", "Grace", "Edsger"].map(|name| json!(format!("Welcome aboard, {name}!")));
    assert_eq!(outputs(&verdict, "greet"), expected);
}

#[tokio::test]
async fn cpu_counts_the_primes() {
    let verdict = ends_as_it_must("cpu").await;
    let found = outputs(&verdict, "primes");
    assert_eq!(found.iter().filter_map(|output| output["primes"].as_u64()).sum::<u64>(), 78_498);
    assert_eq!(found.last().map(|output| &output["largest"]), Some(&json!(999_983)));
}

#[tokio::test]
async fn memory_is_used_up_to_the_limit() {
    let verdict = ends_as_it_must("memory").await;
    let peaks: Vec<_> = verdict.tasks.iter().filter_map(|task| task["usage"]["peak_memory_bytes"].as_u64()).collect();
    let walked = peaks.iter().filter(|&&peak| (14 << 20..=16 << 20).contains(&peak)).count();
    assert_eq!(walked, 4, "{peaks:?}");
}

#[tokio::test]
async fn data_is_aggregated() {
    let verdict = ends_as_it_must("data").await;
    let output = &outputs(&verdict, "aggregate")[0];
    let north = json!({
        "keys": { "region": "north", "year": "2024" },
        "rows": 2,
        "measures": {
            "amount": { "sum": 1325.6, "min": 75.1, "max": 1250.5, "mean": 662.8 },
            "units": { "sum": 26.0, "min": 1.0, "max": 25.0, "mean": 13.0 },
        },
    });
    assert_eq!(output["groups"].as_array().map(Vec::len), Some(5));
    assert_eq!(output["groups"][1], north);
}

#[tokio::test]
async fn a_build_passes_its_artifacts_on() {
    let verdict = ends_as_it_must("build").await;
    assert_eq!(outputs(&verdict, "run"), [json!({ "values": { "area": 35, "height": 11, "margin": 4, "width": 7 } })]);
}

#[tokio::test]
async fn a_model_is_trained_and_evaluated() {
    let verdict = ends_as_it_must("ml").await;
    let evaluated = &outputs(&verdict, "evaluate")[0];
    assert!(evaluated["accuracy"].as_f64() >= Some(0.95), "{evaluated}");
}

#[tokio::test]
async fn errors_are_named() {
    let verdict = ends_as_it_must("error_bad_input").await;
    let message = verdict.run["failure"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("line 3: `4l0.25` in column `amount` is no number"), "{message}");
    for definition in ["error_timeout", "error_crash", "error_exhaustion"] {
        ends_as_it_must(definition).await;
    }
}

#[tokio::test]
async fn the_death_of_the_host_is_survived() {
    ends_as_it_must("error_host_death").await;
}

#[test]
fn every_shipped_definition_of_the_suite_is_in_it() {
    let dir = bulkhead_e2e::workspace().join("job-definitions");
    for entry in std::fs::read_dir(dir).expect("the definitions are there") {
        let path = entry.expect("the directory can be read").path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let id = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let listed = SUITE.iter().any(|job| job.definition == id);
        assert_eq!(text.contains("tags = [\"suite\""), listed, "{id}");
    }
}
