//! Plugins.

use bulkhead_engine::store::{Papers, PluginRecord};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Time;

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
    /// The reference that it was pulled by, in the list of those that are pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A plugin with the schema of its configuration.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PluginDetail {
    /// The plugin.
    #[serde(flatten)]
    pub plugin: Plugin,
    /// The JSON Schema of a step's configuration.
    #[schema(value_type = Object)]
    pub config_schema: Box<RawValue>,
    /// Where it comes from, and who says so.
    #[serde(default)]
    pub provenance: Provenance,
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
            provenance: Provenance {
                source: papers.source.map(String::from),
                manifests: papers.manifests.iter().map(ToString::to_string).collect(),
                signed_by: papers.signed_by.map(String::from),
            },
        }
    }
}
