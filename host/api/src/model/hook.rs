//! Hooks and their deliveries.

use std::collections::BTreeSet;

use bulkhead_core::hook as core;
use bulkhead_core::name::Name;
use bulkhead_engine::store::HookRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Time;

/// Who is told of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hook {
    /// Its name; of one that a definition states, the definition's id, a colon and the name.
    pub name: String,
    /// Where deliveries are posted.
    #[schema(example = "https://example.org/hook")]
    pub url: String,
    /// Of what: `run.succeeded`, `run.failed`, `run.cancelled`, `task.failed`.
    pub events: Vec<String>,
    /// Of the runs of these definitions; of all where there is none.
    #[serde(default)]
    pub definitions: Vec<String>,
    /// The name of the server's secret that signs for it.
    pub secret: String,
    /// The definition that states it: with that it comes, changes and goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_by: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// Why nothing can be sent, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What became of its deliveries.
    pub deliveries: DeliveryCounts,
}

/// What became of deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryCounts {
    /// They wait for an attempt, or for its answer.
    pub waiting: u64,
    /// They arrived.
    pub delivered: u64,
    /// They did not, after all attempts, and can be sent again.
    pub failed: u64,
    /// They were given up and forgotten, because too many waited or had failed.
    pub dropped: u64,
}

/// A hook to make, or to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutHook {
    /// Where deliveries are posted: `https` or `http`, without a user name. Viewers see it.
    #[schema(example = "https://example.org/hook")]
    pub url: String,
    /// Of what; of everything where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Of the runs of these definitions; of all where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub definitions: Vec<String>,
    /// The name of the server's secret that signs for it: one that `serve --hooks-secret` gives.
    #[schema(example = "ops")]
    pub secret: String,
}

/// Something that a hook is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Its number in its hook.
    pub number: u64,
    /// What it is called in every attempt: the header `webhook-id`.
    pub id: String,
    /// What happened: an event, or `hook.test`.
    pub event: String,
    /// When.
    pub at: Time,
    /// Attempts so far.
    pub attempts: u32,
    /// Of one that waits: when the next attempt is due, or when the one at work is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// When the last attempt was answered, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Time>,
    /// The status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The beginning of the last answer, or what went wrong. Written by the receiver, perhaps: treat it as hostile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// What to send again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeliverRequest {
    /// The delivery's number; all failed ones where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// What will be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Redelivered {
    /// How many deliveries.
    pub count: u64,
}

impl Hook {
    /// A hook as its record says, on a server that has these secrets.
    pub fn new(record: &HookRecord, secrets: &BTreeSet<Name>) -> Self {
        let HookRecord { name, hook, created_at, counts } = record;
        let core::Hook { url, events, definitions, secret } = hook;
        let problem = || format!("the server has no secret `{secret}`: start it with `serve --hooks-secret {secret}=FILE`");
        Self {
            name: name.to_string(),
            url: url.clone(),
            events: events.iter().map(|event| event.name().to_owned()).collect(),
            definitions: definitions.iter().map(ToString::to_string).collect(),
            secret: secret.to_string(),
            stated_by: name.definition().map(str::to_owned),
            created_at: (*created_at).into(),
            problem: (!secrets.contains(secret)).then(problem),
            deliveries: counts.into(),
        }
    }
}

impl From<&core::HookCounts> for DeliveryCounts {
    fn from(counts: &core::HookCounts) -> Self {
        let core::HookCounts { waiting, delivered, failed, dropped } = *counts;
        Self { waiting, delivered, failed, dropped }
    }
}

impl Delivery {
    /// A delivery in a state.
    pub fn new(delivery: &core::Delivery, state: core::DeliveryState) -> Self {
        let last = delivery.last.as_ref();
        Self {
            number: delivery.number,
            id: delivery.id.to_string(),
            event: delivery.event.name().to_owned(),
            at: delivery.at.into(),
            attempts: delivery.attempts,
            next_at: (state == core::DeliveryState::Waiting).then(|| delivery.due.into()),
            answered_at: last.map(|answer| answer.at.into()),
            status: last.and_then(|answer| answer.status),
            answer: last.map(|answer| answer.text.to_string()),
        }
    }
}
