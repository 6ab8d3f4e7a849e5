//! Definitions.

use bulkhead_core::definition as core;
use bulkhead_engine::store::DefinitionRecord;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Time;

/// A definition as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionSummary {
    /// Its id.
    pub id: String,
    /// How often its text changed: 1, 2, … Also its entity tag, in quotes.
    pub version: u64,
    /// When this version was stored.
    pub updated_at: Time,
    /// Whether it can run with the plugins that there are now. Where it can't, what follows is empty.
    pub valid: bool,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether it may be triggered.
    #[serde(default)]
    pub enabled: bool,
    /// When it runs by itself: a cron expression. `GET /api/v1/schedules/{id}` has the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Whether the server triggers it once when it starts.
    #[serde(default)]
    pub auto_start: bool,
    /// Its steps.
    #[serde(default)]
    pub steps: Vec<DefinitionStep>,
}

/// A step of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionStep {
    /// Its name.
    pub name: String,
    /// The plugin that does it.
    pub plugin: String,
    /// The names of the steps that it waits for.
    pub depends: Vec<String>,
}

/// A definition with its text.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Definition {
    /// The definition.
    #[serde(flatten)]
    pub summary: DefinitionSummary,
    /// Its text, in TOML.
    pub text: String,
    /// The JSON Schema of the parameters that it takes. Absent where it says nothing of them: then a run may have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Box<RawValue>>,
    /// The files that it takes. Absent where it says nothing of them: then a run may have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileInput>>,
    /// What is wrong with it now, for example because a plugin was removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

/// A file that a definition takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileInput {
    /// What its plugins call it.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether there is no run without it.
    pub required: bool,
}

/// A version of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionVersion {
    /// Its number: 1, 2, …
    pub version: u64,
    /// When it was stored.
    pub updated_at: Time,
    /// The size of its text in bytes.
    pub size_bytes: u64,
}

/// The text of a version of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionText {
    /// The version.
    #[serde(flatten)]
    pub version: DefinitionVersion,
    /// Its text, in TOML.
    pub text: String,
}

/// Something is wrong with what a run was to be started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputProblem {
    /// Which input: `parameters.NAME` or `files.NAME`.
    #[schema(example = "parameters.count")]
    pub input: String,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// What the check of a definition found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// Whether nothing is wrong.
    pub valid: bool,
    /// The definition's id, where it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Everything that is wrong, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostic {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The first byte of the text that is meant, from 0.
    pub start: usize,
    /// The byte after the last one that is meant.
    pub end: usize,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What to do: the nearest right name, the range that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl From<&core::InputError> for InputProblem {
    fn from(error: &core::InputError) -> Self {
        let core::InputError { input, message, help } = error;
        Self { input: input.clone(), message: message.clone(), help: help.clone() }
    }
}

impl From<&core::FileInput> for FileInput {
    fn from(file: &core::FileInput) -> Self {
        let core::FileInput { name, description, required } = file;
        Self { name: name.to_string(), description: description.clone(), required: *required }
    }
}

impl From<&DefinitionRecord> for DefinitionVersion {
    fn from(record: &DefinitionRecord) -> Self {
        Self { version: record.version, updated_at: record.updated_at.into(), size_bytes: record.text.len() as u64 }
    }
}

impl Definition {
    /// A stored definition, with what its text means where it is valid, and what is wrong with it where it is not.
    pub fn new(record: &DefinitionRecord, meaning: Option<&core::Definition>, diagnostics: Vec<Diagnostic>) -> Self {
        let inputs = meaning.map(|meaning| &meaning.inputs);
        Self {
            summary: DefinitionSummary::new(record, meaning),
            text: record.text.to_string(),
            parameters: inputs
                .and_then(|inputs| inputs.parameters.as_ref())
                .map(|parameters| super::task::raw_json(parameters.schema())),
            files: inputs.and_then(|inputs| inputs.files.as_ref()).map(|files| files.iter().map(Into::into).collect()),
            diagnostics,
        }
    }
}

impl From<&core::Diagnostic> for Diagnostic {
    fn from(diagnostic: &core::Diagnostic) -> Self {
        let core::Diagnostic { line, column, span, message, help } = diagnostic;
        let (message, help) = (message.clone(), help.clone());
        Self { line: *line, column: *column, start: span.start, end: span.end, message, help }
    }
}

impl DefinitionSummary {
    /// A stored definition; `checked` is what its text says, where it is valid.
    pub fn new(record: &DefinitionRecord, checked: Option<&core::Definition>) -> Self {
        let steps = checked.map_or(&[][..], |definition| &definition.plan.steps);
        let name_of = |at: usize| steps[at].name.to_string();
        Self {
            id: record.id.to_string(),
            version: record.version,
            updated_at: record.updated_at.into(),
            valid: checked.is_some(),
            name: checked.map(|definition| definition.plan.name.clone()).unwrap_or_default(),
            tags: checked.map(|definition| definition.plan.tags.clone()).unwrap_or_default(),
            enabled: checked.is_some_and(|definition| definition.enabled),
            schedule: checked.and_then(|definition| definition.schedule.as_ref().map(|schedule| schedule.cron.clone())),
            auto_start: checked.is_some_and(|definition| definition.auto_start),
            steps: steps
                .iter()
                .map(|step| DefinitionStep {
                    name: step.name.to_string(),
                    plugin: step.plugin.name.to_string(),
                    depends: step.depends.iter().map(|on| name_of(on.get())).collect(),
                })
                .collect(),
        }
    }
}
