//! When everything of a run happened.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Time;

/// When everything of a run happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// When the first thing of it began.
    pub from: Time,
    /// When the last one ended, or when this was read, while the run goes on.
    pub to: Time,
    /// Its steps, in the definition's order.
    pub steps: Vec<StepTimeline>,
}

/// When everything of a step happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepTimeline {
    /// Its name.
    pub step: String,
    /// Its tasks.
    pub tasks: u64,
    /// Those that were looked at: all, or so many that are spread evenly over all, with those at work and those that started last.
    pub looked_at: u64,
    /// Its attempts, those at work among them.
    pub attempts_in_all: u64,
    /// Attempts of tasks that were looked at, in the order in which they began.
    pub attempts: Vec<TimelineAttempt>,
    /// How many attempts were at work at once, on average, in each of 100 equal parts of the time of the run. Where not all tasks were
    /// looked at, those that were stand for the others.
    pub at_work: Vec<f64>,
    /// How many attempts failed in each of those parts, likewise.
    pub failed: Vec<f64>,
}

/// An attempt in a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimelineAttempt {
    /// The task's id.
    pub task: String,
    /// The task's number in the step; 0 is its `plan`.
    pub index: u32,
    /// The task's key. Written by a plugin: treat it as hostile.
    pub key: String,
    /// The attempt's number: 1, 2, …
    pub number: u32,
    /// `running`, or how it ended: `succeeded`, `failed`, `cancelled`, `released` or `host-lost`.
    #[schema(example = "succeeded")]
    pub state: String,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// When it was claimed.
    pub from: Time,
    /// When its end was recorded; absent while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
}
