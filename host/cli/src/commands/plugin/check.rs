//! `bulkhead plugin check` and `inspect`: whether a server would take a file, and what it is.

use std::path::Path;
use std::time::{Duration, Instant};

use bulkhead_core::plugin::{Analysis, Interfaces};
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::{CheckArgs, InspectArgs, WorkerArgs};
use crate::embedded::plugins::{name_of_file, papers};
use crate::embedded::{Embedded, Places, user_cache};
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::table::{Cell, Table};
use crate::output::{Output, format};

/// What a file is.
#[derive(Debug, Serialize)]
struct Found {
    file: String,
    name: String,
    version: String,
    summary: String,
    /// `plugin` or `command`.
    kind: &'static str,
    /// `component`, `typed-module` or `module`.
    form: &'static str,
    /// The version of the contract that it imports.
    contract: Option<String>,
    digest: String,
    size_bytes: u64,
    /// From bytes to a plugin that has described itself, in microseconds.
    ready_us: u64,
    /// How long compiling it took, in microseconds; absent where its code was there already.
    compile_us: Option<u64>,
    imports: Vec<String>,
    exports: Vec<String>,
    /// The JSON Schema of its configuration.
    config_schema: Box<RawValue>,
}

/// Checks files as a server does with an upload. The exit code says whether it would take all of them.
pub(crate) async fn check(args: CheckArgs, output: &Output) -> CliResult<u8> {
    let mut found = Vec::new();
    let mut code = exit_codes::SUCCEEDED;
    for file in &args.files {
        match look(file, &args.worker).await {
            Ok(plugin) => found.push(plugin),
            Err(error) => {
                code = exit_codes::USAGE;
                output.error(error);
            }
        }
    }
    output.result(&found, |found| {
        let mut table = Table::new(&["file", "plugin", "version", "kind", ">size", ">ready"]);
        for plugin in found {
            table.row(vec![
                Cell::text(&plugin.file),
                Cell::text(&plugin.name),
                Cell::text(&plugin.version),
                Cell::text(plugin.kind),
                Cell::number(format::bytes(plugin.size_bytes)),
                Cell::number(format::duration(Duration::from_micros(plugin.ready_us))),
            ]);
        }
        if table.is_empty() { "no plugins".to_owned() } else { table.render(output.paint()) }
    })?;
    Ok(code)
}

/// Tells everything of one file.
pub(crate) async fn inspect(args: InspectArgs, output: &Output) -> CliResult<u8> {
    let found = look(&args.file, &args.worker).await?;
    output.result(&found, |found| {
        let schema: serde_json::Value = serde_json::from_str(found.config_schema.get()).unwrap_or_default();
        let list = |names: &[String]| names.iter().map(|name| format!("  {name}\n")).collect::<String>();
        format!(
            "{} {}: {}\n{}, from a {}, {}{}\n{}\n\nNeeds\n{}\nOffers\n{}\nConfiguration\n{schema:#}",
            found.name,
            found.version,
            found.summary,
            found.kind,
            found.form,
            format::bytes(found.size_bytes),
            found.contract.as_ref().map(|version| format!(", contract {version}")).unwrap_or_default(),
            found.digest,
            list(&found.imports),
            list(&found.exports),
        )
    })?;
    Ok(exit_codes::SUCCEEDED)
}

async fn look(file: &Path, worker: &WorkerArgs) -> CliResult<Found> {
    let bytes = Bytes::from(std::fs::read(file).map_err(CliError::read(file))?);
    let refused = |error: &dyn std::fmt::Display| CliError::usage(format!("{}: {error}", file.display()));
    let data = tempfile::Builder::new().prefix("bulkhead-plugin-").tempdir();
    let data = data.map_err(CliError::write(std::env::temp_dir()))?;
    let embedded = Embedded::open(data.path(), worker, Places { compiled: user_cache(), profiles: None })?;
    let papers = papers(file, None)?;
    let start = Instant::now();
    let plugin = embedded.jobs.upload(bytes, name_of_file(file), papers).await.map_err(|error| refused(&error))?;
    let ready = start.elapsed();
    let analysis = plugin.analysis.ok_or_else(|| CliError::broken("the check of a plugin recorded nothing of it"))?;
    let Analysis { kind, form, contract, interfaces: Interfaces { imports, exports }, compile_time } = analysis;
    Ok(Found {
        file: file.display().to_string(),
        name: plugin.name.to_string(),
        version: plugin.version,
        summary: plugin.summary,
        kind: kind.name(),
        form: form.name(),
        contract,
        digest: plugin.digest.to_string(),
        size_bytes: plugin.size,
        ready_us: micros(ready),
        compile_us: compile_time.map(micros),
        imports,
        exports,
        config_schema: RawValue::from_string(plugin.config_schema).map_err(|error| refused(&error))?,
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
