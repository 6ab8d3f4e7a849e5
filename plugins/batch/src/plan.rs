//! From a source to tasks: chunk by chunk, with a checkpoint after each.

use bulkhead_plugin::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Config, OnMalformed};
use crate::rows::{self, Place, Row};
use crate::{Record, Work, reject};

/// Records that are spawned before the checkpoint moves.
const CHUNK: usize = 10_000;
/// Bytes of a file after which fewer are, too: in memory, records are several times as large.
const CHUNK_BYTES: u64 = 2 << 20;

/// How far the step's `plan` has come.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// In a file.
    place: Place,
    /// In an earlier step's outputs: the last task.
    task: u32,
}

/// Gathers records and spawns them.
struct Spawner<'a> {
    config: &'a Config,
    tasks: Vec<(String, Work)>,
    /// Records that were taken, spawned or not.
    taken: u64,
}

impl Spawner<'_> {
    /// Takes a row; whether a chunk is full.
    fn take(&mut self, line: u64, content: Result<Record, String>) -> Result<bool, Error> {
        self.taken += 1;
        let work = match content {
            Ok(record) => Work::Record { line, record },
            Err(reason) if self.config.on_malformed == OnMalformed::Fail => {
                return Err(Error::fatal(reject::malformed(line, &reason)));
            }
            Err(reason) => Work::Malformed { line, reason },
        };
        self.tasks.push((format!("row-{}", self.taken), work));
        Ok(self.tasks.len() >= CHUNK)
    }

    /// Spawns what was taken.
    fn flush(&mut self) -> Result<(), Error> {
        spawn(self.tasks.drain(..))?;
        Ok(())
    }
}

/// Spawns a task for each record of the step's source.
pub(crate) fn plan(step: &Step<Config>) -> Result<(), Error> {
    let source = &step.config.source;
    let mut spawner = Spawner { config: &step.config, tasks: Vec::new(), taken: 0 };
    if let Some(name) = &source.file
        && is_there(name, source.inline.is_some() || source.parameter.is_some() || source.outputs.is_some())?
    {
        from_file(step, name, &mut spawner)?;
    } else if let Some(value) = source.parameter.as_ref().and_then(|name| step.parameters.get(name)) {
        let Value::Array(values) = value else {
            let name = source.parameter.as_deref().unwrap_or_default();
            return Err(Error::fatal(format!("parameter `{name}`: expected an array of objects, found {}", rows::kind(value))));
        };
        from_values(values.iter().cloned(), &mut spawner)?;
    } else if let Some(from) = &source.outputs {
        from_outputs(from, &mut spawner)?;
    } else if let Some(records) = &source.inline {
        from_values(records.iter().cloned().map(Value::Object), &mut spawner)?;
    } else {
        return Err(Error::fatal(nothing(source.file.as_deref(), source.parameter.as_deref())));
    }
    spawner.flush()?;
    info!("{records} records", records = spawner.taken);
    Ok(())
}

/// Whether the run was started with a file of this name. It must have been where there is no `other` source.
fn is_there(name: &str, other: bool) -> Result<bool, Error> {
    match artifacts::find(&artifacts::Source::File, name) {
        Ok(_) => Ok(true),
        Err(artifacts::ArtifactError::NotFound(_)) if other => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn nothing(file: Option<&str>, parameter: Option<&str>) -> String {
    match (file, parameter) {
        (_, Some(parameter)) => format!("there are no records: give the run the parameter `{parameter}`"),
        _ => "there are no records: say where they come from in `source`".to_owned(),
    }
}

fn from_file(step: &Step<Config>, name: &str, spawner: &mut Spawner<'_>) -> Result<(), Error> {
    let source = &step.config.source;
    let file = artifacts::open(artifacts::Source::File, name)?;
    let size = file.size();
    let Progress { place, .. } = checkpoint::load()?.unwrap_or_default();
    spawner.taken = place.rows;
    let mut rows = rows::open(file, source.format, source.delimiter, place).context(format_args!("file `{name}`"))?;
    let mut flushed = place.offset;
    while let Some(Row { line, content }) = rows.next().context(format_args!("file `{name}`"))? {
        let (full, place) = (spawner.take(line, content)?, rows.place());
        if full || place.offset - flushed >= CHUNK_BYTES {
            spawner.flush()?;
            checkpoint::save(&Progress { place, task: 0 })?;
            status::progress(place.offset, size);
            flushed = place.offset;
        }
    }
    status::progress(size, size);
    Ok(())
}

fn from_values(values: impl Iterator<Item = Value>, spawner: &mut Spawner<'_>) -> Result<(), Error> {
    for value in values {
        let content = match value {
            Value::Object(record) => Ok(record),
            other => Err(format!("expected an object, found {}", rows::kind(&other))),
        };
        if spawner.take(0, content)? {
            spawner.flush()?;
        }
    }
    Ok(())
}

fn from_outputs(step: &str, spawner: &mut Spawner<'_>) -> Result<(), Error> {
    let Progress { place, task } = checkpoint::load()?.unwrap_or_default();
    spawner.taken = place.rows;
    for output in outputs::after::<Value>(step, task) {
        let output = output?;
        let outputs::Outcome::Succeeded(value) = output.outcome else { continue };
        // What this plugin puts out holds the record beside its line.
        let (line, value) = match value {
            Value::Object(mut passed) if passed.get("record").is_some_and(Value::is_object) => {
                (passed.get("line").and_then(Value::as_u64).unwrap_or(0), passed.remove("record").unwrap_or_default())
            }
            value => (0, value),
        };
        let content = match value {
            Value::Object(record) => Ok(record),
            other => Err(format!("task {}: expected an object, found {}", output.key, rows::kind(&other))),
        };
        if spawner.take(line, content)? {
            spawner.flush()?;
            let place = Place { rows: spawner.taken, ..Place::default() };
            checkpoint::save(&Progress { place, task: output.task })?;
        }
    }
    Ok(())
}
