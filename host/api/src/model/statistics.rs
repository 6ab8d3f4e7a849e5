//! Counters of the whole server, and its health.

use bulkhead_engine::engine;
use bulkhead_engine::store;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Role, RunCounts, TaskCounts, Time};

/// The counters of the whole server. Counts by state are of what is stored now; totals only grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Statistics {
    /// When they were read.
    pub at: Time,
    /// Runs by state.
    pub runs: RunCounts,
    /// Tasks by state.
    pub tasks: TaskCounts,
    /// Attempts that ended.
    pub attempts: u64,
    /// Log lines stored.
    pub lines: u64,
    /// Units of fuel used.
    pub fuel: u64,
    /// Leases that ran out: one for each task taken from a worker.
    pub lost_leases: u64,
    /// Retries scheduled.
    pub retries: u64,
    /// Different contents of files and artifacts that are stored now.
    pub contents: u64,
    /// Their bytes.
    pub content_bytes: u64,
    /// When the oldest task fell due that waits and could be claimed now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_due: Option<Time>,
    /// What this server's worker is doing.
    pub load: Load,
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Load {
    /// Attempts at once, at most.
    pub slots: u64,
    /// Attempts now.
    pub running: u64,
    /// Bytes that the memory limits of the attempts at once may add up to.
    pub memory_bytes: u64,
    /// Bytes that they add up to now.
    pub reserved_bytes: u64,
    /// Whether the worker takes no more tasks.
    pub draining: bool,
}

/// Counters at a moment, for charts: the difference of two is what happened between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistorySample {
    /// When.
    pub at: Time,
    /// Attempts that had ended.
    pub attempts: u64,
    /// Tasks that were stored and had failed for good.
    pub failed: u64,
    /// Log lines that had been stored.
    pub lines: u64,
    /// Attempts that were going on.
    pub running: u64,
    /// Tasks that waited for their first claim.
    pub queued: u64,
}

/// The counters of the last hour, since the server started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Milliseconds between two samples.
    pub every_ms: u64,
    /// The samples, the oldest first.
    pub samples: Vec<HistorySample>,
}

impl From<&Statistics> for HistorySample {
    fn from(statistics: &Statistics) -> Self {
        let Statistics { at, attempts, lines, load, tasks, .. } = statistics;
        let (failed, queued) = (tasks.failed, tasks.queued);
        Self { at: *at, attempts: *attempts, failed, lines: *lines, running: load.running, queued }
    }
}

/// The process is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The server's version.
    pub version: String,
}

/// The server does its work: its store answers, and its worker takes tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Always true: where it does not, the answer is the problem `not-ready` or `store-unavailable`, and says why.
    pub ready: bool,
}

/// Who asks, and what the server lets them do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The token's name. Absent where the server needs no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What the caller may do.
    pub role: Role,
    /// The server's version.
    pub version: String,
}

/// What whoever started the server decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// The largest body of a request, in bytes.
    pub body_bytes: u64,
    /// The largest component that may be uploaded, in bytes.
    pub plugin_bytes: u64,
    /// The largest file that may be uploaded, in bytes.
    pub file_bytes: u64,
    /// Requests a second that one client may make for as long as it likes; 0 for no limit.
    pub requests_per_second: u32,
    /// The most streams that one client may have open.
    pub streams: u64,
    /// The most connections of all clients.
    pub connections: u64,
    /// How long ended runs are kept, in milliseconds. Absent where time removes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
    /// How many ended runs are kept. Absent where all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_runs: Option<u64>,
    /// How long an uploaded file is kept that no run was started with since, in milliseconds.
    pub keep_uploads_ms: u64,
}

impl Statistics {
    /// The counters of a store and of a worker.
    pub fn new(statistics: &store::Statistics, load: engine::Load, at: Time) -> Self {
        let store::Statistics { runs, tasks, attempts, lines, fuel, lost_leases, retries, contents, content_bytes, oldest_due } =
            *statistics;
        Self {
            at,
            runs: runs.into(),
            tasks: tasks.into(),
            attempts,
            lines,
            fuel,
            lost_leases,
            retries,
            contents,
            content_bytes,
            oldest_due: oldest_due.map(Into::into),
            load: load.into(),
        }
    }
}

impl From<engine::Load> for Load {
    fn from(load: engine::Load) -> Self {
        let engine::Load { slots, running, memory, reserved, draining } = load;
        Self { slots: slots as u64, running: running as u64, memory_bytes: memory, reserved_bytes: reserved, draining }
    }
}
