//! Log lines.

use bulkhead_core::log as core;
use bulkhead_core::plan::Plan;
use bulkhead_engine::store::LogRecord;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{RunStatus, Time};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For whoever debugs the plugin.
    Debug,
    /// What happened.
    Info,
    /// What may need a look.
    Warn,
    /// What went wrong.
    Error,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The plugin's log.
    Plugin,
    /// The plugin's standard output.
    Stdout,
    /// The plugin's standard error.
    Stderr,
    /// The host, about the attempt.
    Host,
}

/// A log line.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Its number in the run: 1, 2, … without a gap.
    pub seq: u64,
    /// The name of its step.
    pub step: String,
    /// Its number in the step, likewise.
    pub step_seq: u64,
    /// The number of its task in the step.
    pub task: u32,
    /// The number of the attempt.
    pub attempt: u32,
    /// When the host received it.
    pub at: Time,
    /// How much it matters.
    pub level: Level,
    /// Where it comes from.
    pub source: Source,
    /// The text. Written by a plugin: treat it as hostile.
    pub message: String,
    /// Structured fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub fields: Option<Box<RawValue>>,
    /// Bytes of the message and the fields in full, where the request said `cut` and they are more: then the message is cut, and
    /// longer fields are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_bytes: Option<u64>,
}

/// Lines of a run, and how far the search for them got.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    /// The lines that match, in order.
    pub lines: Vec<LogLine>,
    /// Every line up to this number was looked at: go on with it as `after`. With `before`, every line from this number on was: go
    /// on with it as `before`; 1 is the first line.
    pub scanned: u64,
    /// The number of the run's last line.
    pub last: u64,
    /// Whether the run had ended. With `scanned` = `last`, no line will follow unless the run is retried.
    pub ended: bool,
}

/// The data of a log stream's `end` event: the run ended and all its lines were sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StreamEnd {
    /// How the run ended.
    pub state: RunStatus,
    /// The number of the run's last line.
    pub last: u64,
}

impl From<core::Level> for Level {
    fn from(level: core::Level) -> Self {
        match level {
            core::Level::Debug => Self::Debug,
            core::Level::Info => Self::Info,
            core::Level::Warn => Self::Warn,
            core::Level::Error => Self::Error,
        }
    }
}

impl From<Level> for core::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

impl From<core::Source> for Source {
    fn from(source: core::Source) -> Self {
        match source {
            core::Source::Plugin => Self::Plugin,
            core::Source::Stdout => Self::Stdout,
            core::Source::Stderr => Self::Stderr,
            core::Source::Host => Self::Host,
        }
    }
}

impl LogLine {
    /// A line as it is stored; the run's plan gives its step the name.
    pub fn new(record: &LogRecord, plan: &Plan) -> Self {
        Self {
            full_bytes: None,
            seq: record.seq,
            step: plan.step(record.step).name.to_string(),
            step_seq: record.step_seq,
            task: record.task,
            attempt: record.attempt,
            at: record.at.into(),
            level: record.level.into(),
            source: record.source.into(),
            message: record.message.to_string(),
            fields: record.fields.as_deref().map(super::task::raw_json),
        }
    }
}
