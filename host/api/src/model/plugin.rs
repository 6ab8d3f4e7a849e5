//! Plugins.

use bulkhead_core::plugin::{Analysis, Interfaces};
use bulkhead_engine::store::{Papers, PluginRecord, UploadState};
use bulkhead_engine::uploads::UploadView;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Failure, Time};

/// A plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plugin {
    /// The name that it calls itself, and that definitions use.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The digest of its component.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub digest: String,
    /// The component's size in bytes.
    pub size_bytes: u64,
    /// When it was uploaded.
    pub uploaded_at: Time,
    /// The reference that it was pulled by, where no name means it: what definitions use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A plugin with the schema of its configuration, and what the check at its upload found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PluginDetail {
    /// The plugin.
    #[serde(flatten)]
    pub plugin: Plugin,
    /// The JSON Schema of a step's configuration.
    #[schema(value_type = Object)]
    pub config_schema: Box<RawValue>,
    /// What it is; absent where it was uploaded before that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<PluginAnalysis>,
    /// Where it comes from, and who says so.
    #[serde(default)]
    pub provenance: Provenance,
}

/// What the check at upload found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginAnalysis {
    /// What it does for the host: `plugin`, or `command` for a WASI program.
    #[schema(example = "plugin")]
    pub kind: String,
    /// What was uploaded: `component`, `typed-module` (a core module with its component type) or `module`.
    #[schema(example = "component")]
    pub form: String,
    /// The version of the plugin contract that it was built against, where it imports any of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.1.0")]
    pub contract: Option<String>,
    /// The interfaces and functions that its component needs.
    #[schema(example = json!(["bulkhead:plugin/logging@0.1.0"]))]
    pub imports: Vec<String>,
    /// Those that it offers.
    #[schema(example = json!(["describe", "plan", "run"]))]
    pub exports: Vec<String>,
    /// How long compiling it took, in microseconds; absent where its code was there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compile_us: Option<u64>,
}

impl From<&Analysis> for PluginAnalysis {
    fn from(analysis: &Analysis) -> Self {
        let Analysis { kind, form, contract, interfaces: Interfaces { imports, exports }, compile_time } = analysis;
        Self {
            kind: kind.name().to_owned(),
            form: form.name().to_owned(),
            contract: contract.clone(),
            imports: imports.clone(),
            exports: exports.clone(),
            compile_us: compile_time.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        }
    }
}

/// A component that was uploaded to be checked in the background.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginUpload {
    /// The digest of what was uploaded.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub digest: String,
    /// The name that it was given: that of a WASI command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it came.
    pub received_at: Time,
    /// Where it is.
    pub state: PluginUploadState,
    /// How far compiling it is, while it is being compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<CompiledFunctions>,
    /// When it was accepted or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// The name of the plugin that it is, once it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Where an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PluginUploadState {
    /// It is taken, and others are checked before it.
    Waiting,
    /// It is being compiled, and asked to describe itself.
    Checking,
    /// It is a plugin.
    Accepted,
    /// It is none.
    Refused,
}

/// How far a compilation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompiledFunctions {
    /// The functions that are compiled.
    pub done: u32,
    /// All functions.
    pub total: u32,
}

impl From<&UploadView> for PluginUpload {
    fn from(UploadView { upload, checking }: &UploadView) -> Self {
        let (state, ended_at, plugin, failure) = match &upload.state {
            UploadState::Waiting if checking.is_some() => (PluginUploadState::Checking, None, None, None),
            UploadState::Waiting => (PluginUploadState::Waiting, None, None, None),
            UploadState::Accepted { at, plugin } => (PluginUploadState::Accepted, Some(*at), Some(plugin.to_string()), None),
            UploadState::Refused { at, failure } => (PluginUploadState::Refused, Some(*at), None, Some(failure.into())),
        };
        let functions = checking.filter(|progress| progress.total > 0);
        Self {
            digest: upload.digest.to_string(),
            name: upload.name.as_ref().map(ToString::to_string),
            size_bytes: upload.size,
            received_at: upload.received_at.into(),
            state,
            functions: functions.map(|progress| CompiledFunctions { done: progress.done, total: progress.total }),
            ended_at: ended_at.map(Into::into),
            plugin,
            failure,
        }
    }
}

/// Where a plugin comes from, and who says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Provenance {
    /// The reference that it was pulled by, where the server pulled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "oci://ghcr.io/acme/hello@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub source: Option<String>,
    /// The digests of its manifests in registries: what a definition may pin it to.
    pub manifests: Vec<String>,
    /// Whose key signed it, where it is signed and the server trusts keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

impl From<&PluginRecord> for Plugin {
    fn from(record: &PluginRecord) -> Self {
        Self {
            name: record.name.to_string(),
            version: record.version.clone(),
            summary: record.summary.clone(),
            digest: record.digest.to_string(),
            size_bytes: record.size,
            uploaded_at: record.uploaded_at.into(),
            source: None,
        }
    }
}

impl PluginDetail {
    /// From a plugin and what proves it.
    pub fn new(record: &PluginRecord, papers: Papers) -> Self {
        Self {
            plugin: record.into(),
            config_schema: super::task::raw_json(&record.config_schema),
            analysis: record.analysis.as_ref().map(Into::into),
            provenance: Provenance {
                source: papers.source.map(String::from),
                manifests: papers.manifests.iter().map(ToString::to_string).collect(),
                signed_by: papers.signed_by.map(String::from),
            },
        }
    }
}
