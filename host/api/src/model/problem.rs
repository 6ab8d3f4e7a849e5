//! What every error looks like.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Diagnostic, Failure, InputProblem};

/// An error, as RFC 9457 describes it (`application/problem+json`).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which error: a stable URI reference below `/problems/`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The error's name for people; the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here, and what to do.
    pub detail: String,
    /// This occurrence: `urn:bulkhead:request:` and the request's id, which the server's log has, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Everything that is wrong with a definition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// Everything that is wrong with what a run was to be started with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputProblem>,
    /// How a plugin failed when it was inspected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Seconds after which to try again; the header `Retry-After` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}
