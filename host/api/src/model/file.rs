//! Uploaded files, artifacts and outputs.

use bulkhead_core::id::RunId;
use bulkhead_core::plan::Plan;
use bulkhead_engine::files;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Failure, TaskStatus, Time};

/// An uploaded file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct File {
    /// The digest of its content: what `files` of a run names.
    #[schema(example = "sha256:…")]
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it is removed, unless it is uploaded again or used for a run before. A run keeps its own use of it.
    pub expires_at: Time,
}

/// A file that a run was started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunFile {
    /// What plugins call it.
    pub name: String,
    /// The digest of its content.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// What a task left beside its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Artifact {
    /// The step.
    pub step: String,
    /// The task's number in the step; 0 is its `plan`.
    pub task: u32,
    /// Its name, unique in its task.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: String,
    /// What its bytes are.
    pub content_type: String,
    /// When it was published: when its task succeeded.
    pub created_at: Time,
}

/// An artifact with the run that left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunArtifact {
    /// The run.
    pub run: String,
    /// The definition that it executes.
    pub definition: String,
    /// The definition's name for people, as it was then.
    pub run_name: String,
    /// The artifact.
    #[serde(flatten)]
    pub artifact: Artifact,
}

/// A task with what it came to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StepOutput {
    /// The task's number in the step, from 1.
    pub task: u32,
    /// Its key.
    pub key: String,
    /// Where it is.
    pub state: TaskStatus,
    /// Its output, where it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub output: Option<Box<RawValue>>,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl From<files::FileRecord> for File {
    fn from(record: files::FileRecord) -> Self {
        let files::FileRecord { digest, size, expires_at } = record;
        Self { digest: digest.to_string(), size, expires_at: expires_at.into() }
    }
}

impl From<files::RunFile> for RunFile {
    fn from(file: files::RunFile) -> Self {
        let files::RunFile { name, digest, size } = file;
        Self { name: name.into(), digest: digest.to_string(), size }
    }
}

impl Artifact {
    /// An artifact of a run of this plan.
    pub fn new(record: &files::ArtifactRecord, plan: &Plan) -> Self {
        let files::ArtifactRecord { step, task, name, digest, size, content_type, created_at } = record;
        Self {
            step: plan.step(*step).name.to_string(),
            task: *task,
            name: name.to_string(),
            size: *size,
            digest: digest.to_string(),
            content_type: content_type.to_string(),
            created_at: (*created_at).into(),
        }
    }
}

impl RunArtifact {
    /// An artifact of a run of this plan.
    pub fn new(run: RunId, record: &files::ArtifactRecord, plan: &Plan) -> Self {
        let artifact = Artifact::new(record, plan);
        Self { run: run.to_string(), definition: plan.definition.to_string(), run_name: plan.name.clone(), artifact }
    }
}

impl From<&files::OutputRecord> for StepOutput {
    fn from(record: &files::OutputRecord) -> Self {
        let files::OutputRecord { task, key, state, output } = record;
        let failure = match state {
            bulkhead_core::task::TaskState::Failed(failure) => Some(failure.into()),
            _ => None,
        };
        let output = output.as_deref().and_then(in_one_line);
        Self { task: *task, key: key.to_string(), state: state.status().into(), output, failure }
    }
}

/// JSON text as it is, except that it fits into one line.
fn in_one_line(text: &str) -> Option<Box<RawValue>> {
    if text.contains(['\n', '\r']) {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        return serde_json::value::to_raw_value(&value).ok();
    }
    RawValue::from_string(text.to_owned()).ok()
}
