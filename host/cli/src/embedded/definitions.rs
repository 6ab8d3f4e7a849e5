//! Storing definitions from a directory, and starting those that start by themselves.

use std::path::Path;

use bulkhead_core::run::Trigger;
use bulkhead_engine::jobs::{JobError, Jobs, RunRequest};
use bulkhead_engine::store::Store;

use super::plugins::with_extension;
use crate::error::{CliError, CliResult};

/// Definitions read at once.
const PAGE: usize = 100;

/// Stores every *.toml of a directory, whatever the store had under the same id. One that is wrong is no reason to leave out the
/// others; it is logged with all that is wrong. How many were stored and refused.
pub(crate) async fn put_all(jobs: &Jobs, dir: &Path) -> CliResult<(usize, usize)> {
    let (mut stored, mut refused) = (0, 0);
    for file in with_extension(dir, "toml")? {
        let text = std::fs::read_to_string(&file).map_err(CliError::read(&file))?;
        match jobs.put(text.into(), None).await {
            Ok(record) => {
                stored += 1;
                tracing::info!(definition = %record.id, version = record.version, "definition stored");
            }
            Err(JobError::Store(error)) => return Err(error.into()),
            Err(error) => {
                refused += 1;
                tracing::error!(file = %file.display(), %error, "definition refused");
            }
        }
    }
    Ok((stored, refused))
}

/// Starts a run of every enabled definition that says `auto_start = true`.
pub(crate) async fn auto_start(store: &dyn Store, jobs: &Jobs) -> CliResult<()> {
    let mut after = None;
    loop {
        let page = store.definitions(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.id.clone());
        for record in page {
            let Ok(definition) = jobs.check(&record.text).await else {
                tracing::warn!(definition = %record.id, "definition is no longer valid, so it is not started");
                continue;
            };
            if !(definition.auto_start && definition.enabled) {
                continue;
            }
            let request = RunRequest {
                parameters: None,
                files: Default::default(),
                trigger: Trigger::AutoStart,
                paused: false,
                idempotency: None,
                random: rand::random(),
            };
            match jobs.trigger(record.id.clone(), request).await {
                Ok(created) => tracing::info!(definition = %record.id, run_id = %created.run.id, "run started"),
                Err(JobError::Store(error)) => return Err(error.into()),
                Err(error) => tracing::warn!(definition = %record.id, %error, "run not started"),
            }
        }
    }
}
