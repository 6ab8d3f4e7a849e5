//! Watching many things over one stream.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeliveryCounts, Level, LogLine, PluginUpload, Run, RunDetail, Statistics};

/// What to watch. What is left out is not watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WatchRequest {
    /// The counters of the whole server.
    pub statistics: bool,
    /// All runs, as lists show them.
    pub runs: Option<WatchRuns>,
    /// What becomes of hooks and their deliveries.
    pub hooks: bool,
    /// Runs with their steps: their ids, 16 at most.
    pub run: Vec<String>,
    /// Plugins that are checked in the background.
    pub plugin_uploads: bool,
    /// Logs, 16 at most.
    pub logs: Vec<WatchLog>,
}

/// Where to begin with all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WatchRuns {
    /// `after` of the last event that the client has; from now on where absent.
    pub after: Option<u64>,
}

/// A log to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WatchLog {
    /// The client's name for it; its events carry it.
    pub key: String,
    /// The run's id.
    pub run: String,
    /// Lines with greater numbers.
    pub after: u64,
    /// At least this level.
    pub level: Option<Level>,
    /// Of the step with this name.
    pub step: Option<String>,
    /// Of the task with this id.
    pub task: Option<String>,
    /// With this text, in upper or lower case; up to 256 bytes.
    pub contains: Option<String>,
    /// Cut messages after so many bytes, and leave longer fields out.
    pub cut: Option<u32>,
}

/// One thing of what is watched, as it is now. The name of the stream's event is `kind`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Watched {
    /// The counters of the whole server, at most twice a second.
    Statistics(Statistics),
    /// Runs that changed, at most four times a second.
    Runs(WatchedRuns),
    /// A hook was changed or removed, or something became of a delivery: at most twice a second.
    Hooks(WatchedHooks),
    /// A run that is watched, at most five times a second.
    Run(Box<RunDetail>),
    /// A run that is watched is no longer there, or never was. Nothing more of it follows.
    Gone(WatchedGone),
    /// The uploads of plugins, at most five times a second.
    PluginUploads(WatchedUploads),
    /// Lines of a log.
    Log(WatchedLines),
}

/// Runs that changed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WatchedRuns {
    /// Where to go on after.
    pub after: u64,
    /// The runs as they are now.
    pub runs: Vec<Run>,
    /// The ids of runs that are no longer there.
    pub gone: Vec<String>,
    /// More changed than is told here: read the list anew.
    pub stale: bool,
}

/// All uploads of plugins that are known.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WatchedUploads {
    /// Those that came first at the front.
    pub uploads: Vec<PluginUpload>,
}

/// What became of hooks and their deliveries: read of them anew what is shown.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct WatchedHooks {
    /// What became of the deliveries of all hooks that there ever were.
    pub deliveries: DeliveryCounts,
}

/// A run that is no longer there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WatchedGone {
    /// Its id.
    pub run: String,
}

/// Lines of a log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WatchedLines {
    /// The client's name for the log.
    pub key: String,
    /// The lines that match, in order.
    pub lines: Vec<LogLine>,
    /// Every line up to this number was looked at: go on after it.
    pub scanned: u64,
    /// The number of the run's last line.
    pub last: u64,
    /// Whether the run has ended. With `scanned` = `last`, no line will follow unless the run is retried.
    pub ended: bool,
}
