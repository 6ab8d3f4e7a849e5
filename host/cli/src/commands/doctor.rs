//! `bulkhead doctor`: everything in a data directory, counted again.

use serde_json::json;

use crate::args::DataDirArgs;
use crate::embedded::open_store;
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::{Output, format};

/// Recounts everything and compares.
pub(crate) async fn doctor(args: DataDirArgs, output: &Output) -> CliResult<u8> {
    if !args.data_dir.is_dir() {
        return Err(CliError::usage_help(
            format!("there is no data directory {}", args.data_dir.display()),
            "`--data-dir` or BULKHEAD_DATA_DIR says where it is",
        ));
    }
    let store = open_store(&args.data_dir)?;
    let differences = store.recount().await?;
    let statistics = store.statistics().await?;
    let (runs, tasks): (u64, u64) = (statistics.runs.iter().sum(), statistics.tasks.iter().sum());
    let found = json!({ "healthy": differences.is_empty(), "runs": runs, "tasks": tasks, "differences": differences });
    output.result(&found, |_| {
        let counted = format!("{} runs and {} tasks recounted: ", format::count(runs), format::count(tasks));
        match differences.as_slice() {
            [] => format!("{counted}all counters are right"),
            differences => format!("{counted}{} differences\n{}", differences.len(), differences.join("\n")),
        }
    })?;
    Ok(if differences.is_empty() { exit_codes::SUCCEEDED } else { exit_codes::FAILED })
}
