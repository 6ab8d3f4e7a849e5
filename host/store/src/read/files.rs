//! Uploaded files, runs' files, artifacts and outputs.

use std::ops::ControlFlow;

use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId};
use bulkhead_core::task::{Task, TaskState};
use bulkhead_engine::files::{ArtifactPlace, ArtifactRecord, FileRecord, OutputRecord, RunFile};
use bulkhead_engine::store::StoreError;

use super::{MOST_PER_PAGE, page};
use crate::keys::{self, Fields};
use crate::kv::{self, Direction, Fault, KvRead, Tree, Tx};
use crate::record::{self, ArtifactRow, ContentRow, UploadRow};
use crate::txn::{NO_OUTPUT, text};

/// Bytes of outputs after which a page ends.
const OUTPUTS_BYTES: usize = 1 << 20;

fn require_run(kv: &dyn KvRead, run: RunId) -> Tx<()> {
    if kv::exists(kv, &keys::run(run))? { Ok(()) } else { Err(StoreError::NotFound("run").into()) }
}

/// An uploaded file.
pub(crate) fn upload(kv: &dyn KvRead, digest: Digest) -> Tx<FileRecord> {
    let row: UploadRow = record::load(kv, &keys::upload(digest))?.ok_or(StoreError::NotFound("file"))?;
    Ok(FileRecord { digest, size: row.size, expires_at: row.expires })
}

/// The files that a run was started with.
pub(crate) fn run_files(kv: &dyn KvRead, run: RunId) -> Tx<Vec<RunFile>> {
    require_run(kv, run)?;
    let mut files = Vec::new();
    kv.scan(&keys::run_files(run).prefix(), Direction::Forward, &mut |key, value| {
        let ContentRow { digest, size } = record::decode(value)?;
        let name = name(Fields::of(key, 1 + 16).text()?)?;
        files.push(RunFile { name, digest, size });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(files)
}

/// An artifact of a step: of one task, or of the first that has one of this name.
pub(crate) fn artifact(kv: &dyn KvRead, run: RunId, step: StepIndex, name: &str, task: Option<u32>) -> Tx<ArtifactRecord> {
    require_run(kv, run)?;
    let range = match task {
        Some(task) => keys::artifact(TaskId::new(run, step, task), name).prefix(),
        None => keys::artifacts_named(run, step, name).prefix(),
    };
    let mut found = None;
    kv.scan(&range, Direction::Forward, &mut |key, value| {
        found = Some(artifact_of(key, value)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found.ok_or(StoreError::NotFound("artifact"))?)
}

/// Artifacts of a run or of a step, by step, name and task.
pub(crate) fn artifacts(
    kv: &dyn KvRead,
    run: RunId,
    step: Option<StepIndex>,
    after: Option<&ArtifactPlace>,
    limit: usize,
) -> Tx<Vec<ArtifactRecord>> {
    require_run(kv, run)?;
    let all = step.map_or_else(|| keys::artifacts_of(run), |step| keys::artifacts_of_step(run, step));
    let after = after.map(|place| keys::artifact(TaskId::new(run, place.step, place.task), place.name.as_str()));
    let range = match after {
        Some(after) if after.bytes() >= all.bytes() => after.after_within(&all),
        _ => all.prefix(),
    };
    let mut found = Vec::new();
    page(kv, &range, Direction::Forward, limit, &mut |key, value| {
        found.push(artifact_of(key, value)?);
        Ok(ControlFlow::Continue(true))
    })?;
    Ok(found)
}

/// Artifacts of all runs, the last first.
pub(crate) fn latest_artifacts(
    kv: &dyn KvRead,
    before: Option<&(RunId, ArtifactPlace)>,
    limit: usize,
) -> Tx<Vec<(RunId, ArtifactRecord)>> {
    let all = keys::all_artifacts();
    let before = before.map(|(run, place)| keys::artifact(TaskId::new(*run, place.step, place.task), place.name.as_str()));
    let range = before.map_or_else(|| all.prefix(), |before| before.before_within(&all));
    let mut found = Vec::new();
    page(kv, &range, Direction::Backward, limit, &mut |key, value| {
        found.push((Fields::of(key, 1).run()?, artifact_of(key, value)?));
        Ok(ControlFlow::Continue(true))
    })?;
    Ok(found)
}

fn artifact_of(key: &[u8], value: &[u8]) -> Tx<ArtifactRecord> {
    let mut fields = Fields::of(key, 1 + 16);
    let step = fields.step()?;
    let (text, task) = fields.artifact()?;
    let ArtifactRow { content: ContentRow { digest, size }, content_type, created_at } = record::decode(value)?;
    Ok(ArtifactRecord { step, task, name: name(text)?, digest, size, content_type, created_at })
}

fn name(text: &str) -> Tx<bulkhead_core::artifact::FileName> {
    text.parse().map_err(|error| Fault::Corrupt(format!("a stored name is none: {error}")))
}

/// The tasks of a step after one, without its `plan`, each with its output.
pub(crate) fn outputs(kv: &dyn KvRead, run: RunId, step: StepIndex, after: u32, limit: usize) -> Tx<Vec<OutputRecord>> {
    require_run(kv, run)?;
    let range = keys::task(TaskId::new(run, step, after)).after_within(&keys::of_step(Tree::Tasks, run, step));
    let (limit, mut bytes, mut found) = (limit.min(MOST_PER_PAGE), 0, Vec::new());
    if limit == 0 {
        return Ok(found);
    }
    kv.scan(&range, Direction::Forward, &mut |_, value| {
        let task: Task = record::decode(value)?;
        let output = match &task.state {
            TaskState::Succeeded => Some(match kv::bytes(kv, &keys::output(task.id))? {
                Some(bytes) => text(bytes)?,
                None => NO_OUTPUT.into(),
            }),
            _ => None,
        };
        bytes += task.key.len() + output.as_deref().map_or(0, str::len);
        found.push(OutputRecord { task: task.id.index, key: task.key, state: task.state, output });
        Ok(if found.len() < limit && bytes < OUTPUTS_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(found)
}
