//! Dead letters: tasks that failed for good.

use bulkhead_engine::store as engine;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Failure, Run, Time};

/// Dead letters of all runs that failed of the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterGroup {
    /// Its id: the digest of what its failures have in common.
    #[schema(example = "sha256:…")]
    pub id: String,
    /// The latest failure.
    pub failure: Failure,
    /// It has what failed otherwise, for this cause, when there were too many groups already to tell it apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub others: bool,
    /// How many tasks.
    pub tasks: u64,
    /// How many runs they are of.
    pub runs: u64,
    /// When the first of them failed.
    pub first_at: Time,
    /// When the last one failed.
    pub last_at: Time,
    /// The id of the task that failed last. It may have been retried since.
    pub last_task: String,
}

/// The groups of dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetters {
    /// The groups that match, in the order that was asked for.
    pub items: Vec<DeadLetterGroup>,
    /// How many groups match, those that are not listed among them.
    pub groups: u64,
    /// How many tasks they have.
    pub tasks: u64,
}

/// A group of dead letters with its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterDetail {
    /// The group.
    pub group: DeadLetterGroup,
    /// A page of its runs, the newest first.
    pub items: Vec<DeadLetterRun>,
    /// Give this as `cursor` to get the next page. Absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a run has of a group of dead letters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterRun {
    /// The run.
    pub run: Run,
    /// How many tasks.
    pub tasks: u64,
    /// When the last one failed.
    pub last_at: Time,
    /// Its id. It may have been retried since.
    pub last_task: String,
}

impl From<&engine::LetterGroup> for DeadLetterGroup {
    fn from(group: &engine::LetterGroup) -> Self {
        let engine::LetterGroup { id, failure, others, tasks, runs, first_at, last_at, last } = group;
        Self {
            id: id.to_string(),
            failure: failure.into(),
            others: *others,
            tasks: *tasks,
            runs: *runs,
            first_at: (*first_at).into(),
            last_at: (*last_at).into(),
            last_task: last.to_string(),
        }
    }
}
