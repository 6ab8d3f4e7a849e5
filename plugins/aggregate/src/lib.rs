//! Aggregates a CSV: the rows of each group counted, their measures summed up. It reads the table once, whatever its size.

mod table;

use std::io::Read;

use bulkhead_plugin::artifacts::{self, Source};
use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::table::{Group, Question, aggregate};

/// The artifact that holds the groups.
const GROUPS: &str = "groups.csv";

struct Aggregate;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The table itself, with a header line.
    #[serde(default)]
    csv: Option<String>,
    /// The table as a file that the run was started with.
    #[serde(default)]
    file: Option<String>,
    /// The columns whose values make a group. All rows are one group where none is named.
    #[serde(default)]
    group_by: Vec<String>,
    /// The columns with numbers.
    #[schemars(length(min = 1))]
    measures: Vec<String>,
    /// The most groups; more fail the step, since each costs memory.
    #[serde(default = "most_groups")]
    #[schemars(range(min = 1, max = 1_000_000))]
    most_groups: usize,
}

fn most_groups() -> usize {
    10_000
}

/// What the task found.
#[derive(Serialize)]
struct Report {
    rows: u64,
    groups: Vec<Group>,
}

impl Plugin for Aggregate {
    const NAME: &'static str = "aggregate";
    const SUMMARY: &'static str = "Aggregates a CSV by groups";
    type Config = Config;
    type Input = ();
    type Output = Report;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        if step.config.csv.is_some() == step.config.file.is_some() {
            return Err(Error::fatal("give the table either as `csv` or as `file`"));
        }
        spawn([("table", ())])?;
        Ok(())
    }

    fn run(step: &Step<Config>, _task: Task<()>) -> Result<Report, Error> {
        let Config { csv, file, group_by, measures, most_groups } = &step.config;
        let table: Box<dyn Read + '_> = match (csv, file) {
            (Some(text), _) => Box::new(text.as_bytes()),
            (None, file) => Box::new(artifacts::open(Source::File, file.as_deref().unwrap_or_default())?),
        };
        let question = Question { group_by, measures, most_groups: *most_groups };
        let groups = aggregate(table, &question).or_fatal()?;
        let rows = groups.iter().map(|group| group.rows).sum();
        info!("{rows} rows in {} groups", groups.len());
        write_csv(&groups, &question)?;
        Ok(Report { rows, groups })
    }
}

fn write_csv(groups: &[Group], question: &Question<'_>) -> Result<(), Error> {
    let mut csv = csv::Writer::from_writer(artifacts::create(GROUPS)?);
    let measured = question.measures.iter().flat_map(|name| ["sum", "min", "max", "mean"].map(|what| format!("{name}_{what}")));
    csv.write_record(question.group_by.iter().cloned().chain(["rows".to_owned()]).chain(measured))?;
    for group in groups {
        let keys = question.group_by.iter().map(|name| group.keys[name].clone());
        let measures = question.measures.iter().flat_map(|name| {
            let measure = &group.measures[name];
            [measure.sum, measure.min, measure.max, measure.mean].map(|number| number.to_string())
        });
        csv.write_record(keys.chain([group.rows.to_string()]).chain(measures))?;
    }
    csv.into_inner().map_err(|error| Error::new(error.error()))?.finish()?;
    Ok(())
}

export_plugin!(Aggregate);
