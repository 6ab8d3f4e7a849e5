//! Acting on many runs at once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{RunStatus, Time};

/// Which runs. All criteria must hold; without any, all runs are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunSelection {
    /// In one of these states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<RunStatus>,
    /// Of this definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// With this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Failed of this cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "timed-out")]
    pub cause: Option<String>,
    /// With this text in the id, the name or the definition, in upper or lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Created at or after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Created before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// That took at least so long (`500ms`, `30s`, `5m`, `12h`, `7d`), from the start to the end, or to now. None that has not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "5m")]
    pub min_duration: Option<String>,
    /// That took at most so long, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<String>,
    /// With one of these ids, up to 500; then nothing else may be asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
}

/// What to do with each of many runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BulkAction {
    /// Cancel those that have not ended.
    Cancel,
    /// Queue what failed again, of those that have ended with failed tasks and were not cancelled.
    Retry,
    /// Delete those that have ended.
    Delete,
}

/// Something to do with many runs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    /// What.
    pub action: BulkAction,
    /// With which.
    pub filter: RunSelection,
    /// Only count them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// `next` of the answer before, to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What one request did of something that is to be done with many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkResult {
    /// How many were found that match.
    pub matched: u64,
    /// Those of them that something was done with, or, with `dry_run`, would be.
    pub acted: u64,
    /// Those that were left as they are, because there is nothing to do: they have ended already, or have not yet.
    pub left: u64,
    /// There is more: ask again with this as `cursor`. Absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl BulkResult {
    /// Adds what a later request did; it says whether there is more.
    pub fn add(&mut self, later: Self) {
        self.matched += later.matched;
        self.acted += later.acted;
        self.left += later.left;
        self.next = later.next;
    }
}
