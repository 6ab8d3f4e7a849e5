//! Collecting: what the tasks of a step came to, in their order, as files.

use std::collections::BTreeMap;
use std::io::Write;

use bulkhead_plugin::outputs::Outcome;
use bulkhead_plugin::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::Passed;
use crate::reject::{self, Parsed};
use crate::rules::as_text;

/// The most columns of results.csv.
const MAX_COLUMNS: usize = 1_000;
/// Tasks between two reports of progress.
const REPORT: u64 = 10_000;

/// What became of all records.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Summary {
    /// Records in all.
    records: u64,
    /// Those that passed.
    passed: u64,
    /// Those that broke a rule.
    rejected: u64,
    /// Rows that were no records.
    malformed: u64,
    /// Those that failed otherwise.
    failed: u64,
    /// Those that were cancelled.
    cancelled: u64,
    /// Broken rules, as `FIELD/RULE`.
    rejects_by_rule: BTreeMap<String, u64>,
    /// Other failures by their cause.
    failures_by_cause: BTreeMap<String, u64>,
}

impl Summary {
    /// Counts a failure.
    fn fail(&mut self, cause: &str, parsed: &Parsed<'_>) {
        match (parsed.rule, parsed.field) {
            (Some(rule), Some(field)) => {
                self.rejected += 1;
                *self.rejects_by_rule.entry(format!("{field}/{rule}")).or_default() += 1;
            }
            (Some(_), None) => self.malformed += 1,
            (None, _) => {
                self.failed += 1;
                *self.failures_by_cause.entry(cause.to_owned()).or_default() += 1;
            }
        }
    }
}

/// Writes what a step came to, and returns the summary.
pub(crate) fn collect(from: &str, columns: &[String]) -> Result<Value, Error> {
    let columns = if columns.is_empty() { columns_of(from)? } else { columns.to_vec() };
    let mut lines = artifacts::create("results.ndjson")?;
    let mut results = csv::WriterBuilder::new().from_writer(artifacts::create("results.csv")?);
    let mut rejects = csv::WriterBuilder::new().from_writer(artifacts::create("rejects.csv")?);
    if !columns.is_empty() {
        results.write_record(&columns)?;
    }
    rejects.write_record(["task", "key", "line", "cause", "rule", "field", "message"])?;
    let mut summary = Summary::default();
    for output in outputs::of::<Passed>(from) {
        let output = output?;
        summary.records += 1;
        match output.outcome {
            Outcome::Succeeded(Passed { record, .. }) => {
                summary.passed += 1;
                serde_json::to_writer(&mut lines, &record)?;
                lines.write_all(b"\n")?;
                if !columns.is_empty() {
                    results.write_record(columns.iter().map(|name| record.get(name).map(as_text).unwrap_or_default()))?;
                }
            }
            Outcome::Failed { cause, message } => {
                let parsed = reject::parse(&message);
                summary.fail(&cause, &parsed);
                let (task, line) = (output.task.to_string(), parsed.line.map(|line| line.to_string()).unwrap_or_default());
                let (rule, field) = (parsed.rule.unwrap_or_default(), parsed.field.unwrap_or_default());
                rejects.write_record([&*task, &output.key, &line, &cause, rule, field, parsed.reason])?;
            }
            Outcome::Cancelled => summary.cancelled += 1,
        }
        if summary.records.is_multiple_of(REPORT) {
            status::progress(summary.records, None);
        }
    }
    lines.finish()?;
    results.flush()?;
    rejects.flush()?;
    let summary = serde_json::to_value(&summary)?;
    artifacts::write("summary.json", format!("{}\n", serde_json::to_string_pretty(&summary)?).as_bytes())?;
    info!("collected", summary = summary.to_string());
    Ok(summary)
}

/// All fields of a step's records, in the order in which they occur first.
fn columns_of(from: &str) -> Result<Vec<String>, Error> {
    let mut columns: Vec<String> = Vec::new();
    for output in outputs::of::<Value>(from) {
        let Outcome::Succeeded(Value::Object(passed)) = output?.outcome else { continue };
        let Some(record) = passed.get("record").and_then(Value::as_object) else { continue };
        for name in record.keys() {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        if columns.len() > MAX_COLUMNS {
            return Err(Error::fatal(format!(
                "the records have more than {MAX_COLUMNS} fields: name those to write in `columns`"
            )));
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_what_they_are() {
        let mut summary = Summary::default();
        for (cause, message) in [
            ("plugin-error", "line 2: rule `type`, field `email`: `x` is no e-mail address"),
            ("plugin-error", "rule `type`, field `email`: `y` is no e-mail address"),
            ("plugin-error", "line 3: malformed: it is no UTF-8"),
            ("panic", "panicked at x"),
        ] {
            summary.fail(cause, &reject::parse(message));
        }
        assert_eq!((summary.rejected, summary.malformed, summary.failed), (2, 1, 1));
        assert_eq!(summary.rejects_by_rule, [("email/type".to_owned(), 2)].into());
        assert_eq!(summary.failures_by_cause, [("panic".to_owned(), 1)].into());
    }
}
