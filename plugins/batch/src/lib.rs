//! A step over many records: each is a task with its own state, attempts, output and failure.
//!
//! `plan` streams records from a file of the run, from its parameters, from an earlier step or from the definition, spawns a task
//! for each, and notes how far it came, so that a retry goes on there. `run` cleans a record, checks it against the rules and
//! adds what can be derived; a record that breaks a rule fails for good, with the rule and the field in its message. A step with
//! `collect` reads what another one came to and leaves it as files. The same records give the same results.

mod clean;
mod collect;
mod config;
mod enrich;
mod plan;
mod reject;
mod rows;
mod rules;

use bulkhead_plugin::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::reject::Reject;

/// One record.
pub(crate) type Record = Map<String, Value>;

struct Batch;

/// What a task is to do.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// A record, with the line that it stands in: 0 where it stands in none.
    Record {
        /// The line.
        line: u64,
        /// The record.
        record: Record,
    },
    /// A row that is no record.
    Malformed {
        /// The line.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// To collect what another step came to.
    Collect,
}

/// A record that passed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Passed {
    /// The line that it stood in; 0 where it stood in none.
    pub(crate) line: u64,
    /// What became of it.
    pub(crate) record: Record,
}

impl Plugin for Batch {
    const NAME: &'static str = "batch";
    const SUMMARY: &'static str = "Cleans, checks and enriches many records, a task each, and collects the results";
    type Config = Config;
    type Input = Work;
    type Output = Value;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        step.config.check()?;
        match &step.config.collect {
            Some(_) => Ok(spawn([("collect", Work::Collect)]).map(drop)?),
            None => plan::plan(step),
        }
    }

    fn run(step: &Step<Config>, task: Task<Work>) -> Result<Value, Error> {
        match task.input {
            Work::Record { line, record } => {
                let record = process(&step.config, record).map_err(|reject| match reject {
                    Stop::Reject(reject) => Error::fatal(reject.at(line)),
                    Stop::Error(error) => error,
                })?;
                Ok(serde_json::to_value(Passed { line, record })?)
            }
            Work::Malformed { line, reason } => Err(Error::fatal(reject::malformed(line, &reason))),
            Work::Collect => {
                let from = step.config.collect.as_deref().ok_or_else(|| Error::fatal("this step collects nothing"))?;
                collect::collect(from, &step.config.columns)
            }
        }
    }
}

/// Why a record does not pass.
enum Stop {
    /// A rule is broken.
    Reject(Reject),
    /// Something else went wrong.
    Error(Error),
}

fn process(config: &Config, mut record: Record) -> Result<Record, Stop> {
    for (name, field) in &config.fields {
        clean::clean(&mut record, name, &field.clean);
    }
    for (name, field) in &config.fields {
        rules::check(&mut record, name, field).map_err(Stop::Reject)?;
    }
    for lookup in &config.lookup {
        enrich::look_up(&mut record, lookup, enrich::in_file).map_err(Stop::Error)?.map_err(Stop::Reject)?;
    }
    for derive in &config.derive {
        enrich::derive(&mut record, derive).map_err(Stop::Reject)?;
    }
    Ok(record)
}

export_plugin!(Batch);
