//! The test job: every step, every task, every line.

use std::collections::BTreeMap;

use bulkhead_e2e::{job_definition, run_json};
use serde_json::Value;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The demo with its pauses shortened; whatever else it says is as its author wrote it.
fn demo() -> Vec<Value> {
    let delays = ["fast", "high_volume", "slow", "recursive"].map(|step| format!("{step}.log_delay_ms=1"));
    let args: Vec<_> = delays.iter().flat_map(|delay| ["--set", delay]).collect();
    let (code, records) = run_json(&job_definition("test_job_generator"), &args);
    assert_eq!(code, Some(0), "tolerated failures are no failure");
    records
}

#[test]
fn the_test_job_ends_with_exact_counts() {
    let records = demo();
    let lines: Vec<_> = records.iter().filter(|record| record["type"] == "log").map(|record| &record["line"]).collect();
    let summary = records.last().expect("a summary ends the output");
    assert_eq!(summary["type"], "summary");
    assert_eq!(summary["run"]["state"], "succeeded");

    // Step, workers, lines of the generator, failed workers.
    let expected = [("fast", 5, 250, 1), ("high_volume", 3, 3_600, 0), ("slow", 2, 600, 0), ("recursive", 15, 150, 2)];
    let steps = summary["run"]["steps"].as_array().expect("a run has steps");
    assert_eq!(steps.len(), expected.len());
    for (step, (name, workers, count, failed)) in steps.iter().zip(expected) {
        assert_eq!((step["name"].as_str(), step["state"].as_str()), (Some(name), Some("succeeded")));
        // The step's `plan` is a task, too.
        assert_eq!(number(&step["tasks"]["total"]), workers + 1, "{name}");
        assert_eq!(number(&step["tasks"]["failed"]), failed, "{name}");
        assert_eq!(number(&step["tasks"]["succeeded"]), workers + 1 - failed, "{name}");
        let of_plugin = lines.iter().filter(|line| line["step"] == name && line["source"] == "plugin").count();
        assert_eq!(of_plugin, count, "{name}");
        // What the host adds: why each failed task failed.
        let of_host = lines.iter().filter(|line| line["step"] == name && line["source"] == "host").count();
        assert_eq!(number(&step["lines"]["total"]), (of_plugin + of_host) as u64, "{name}");
        assert_eq!(of_host as u64, failed, "{name}");
    }
    let numbers: Vec<_> = lines.iter().map(|line| number(&line["seq"])).collect();
    assert_eq!(numbers, (1..=lines.len() as u64).collect::<Vec<_>>(), "numbered without gap or repeat");
    assert_eq!(number(&summary["run"]["last_line"]), lines.len() as u64);
}

#[test]
fn each_worker_says_what_is_stored_of_it() {
    let records = demo();
    let mut stored: BTreeMap<(String, u64), BTreeMap<String, u64>> = BTreeMap::new();
    let mut said = BTreeMap::new();
    for record in records.iter().filter(|record| record["type"] == "log") {
        let line = &record["line"];
        if line["source"] != "plugin" {
            continue;
        }
        let task = (line["step"].as_str().unwrap_or_default().to_owned(), number(&line["task"]));
        *stored.entry(task.clone()).or_default().entry(line["level"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        if line["fields"]["summary"] == true {
            assert!(said.insert(task, line["fields"].clone()).is_none(), "one closing line a worker");
        }
    }
    assert_eq!(said.len(), 5 + 3 + 2 + 15);
    for (task, fields) in said {
        let of = |level: &str| stored[&task].get(level).copied().unwrap_or(0);
        assert_eq!(number(&fields["lines"]), of("info") + of("warn") + of("error"), "{task:?}");
        for level in ["info", "warn", "error"] {
            assert_eq!(number(&fields[level]), of(level), "{level} of {task:?}");
        }
    }
}

#[test]
fn a_run_repeats_exactly() {
    let failed = |records: Vec<Value>| records.last().map(|summary| summary["failures"].clone());
    assert_eq!(failed(demo()), failed(demo()));
}
