//! What a plugin's author implements and receives.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A plugin: how a step becomes tasks, and how one task is done.
///
/// Its version is that of the crate which calls [`export_plugin!`](crate::export_plugin).
pub trait Plugin {
    /// The name that definitions use: lower-case letters, digits, `-` and `_`, at most 64 characters.
    const NAME: &'static str;
    /// One sentence for lists.
    const SUMMARY: &'static str;

    /// A step's configuration. Its JSON Schema is derived from the type: doc comments become descriptions,
    /// `#[schemars(range(min = 1, max = 10))]` limits, `#[serde(default)]` defaults, and `#[serde(deny_unknown_fields)]` makes
    /// the host refuse a mistyped key in a definition. It must be a struct with named fields, or [`NoConfig`].
    ///
    /// `#[schemars(extend("x-bulkhead-limit" = "spawned_tasks"))]` on one field of whole numbers makes its value, or its default,
    /// the most that the step may spawn, unless the definition's own limit is lower. The host counts exactly and refuses what is
    /// beyond with [`SpawnError::Quota`](crate::SpawnError::Quota).
    type Config: DeserializeOwned + JsonSchema;
    /// What a task is spawned with.
    type Input: DeserializeOwned;
    /// What a task results in.
    type Output: Serialize;

    /// Expands the step into tasks by [spawning](crate::spawn) them. It is a task itself: limited, and retried when it fails.
    fn plan(step: &Step<Self::Config>) -> Result<(), Error>;

    /// Does one task.
    fn run(step: &Step<Self::Config>, task: Task<Self::Input>) -> Result<Self::Output, Error>;
}

/// The step that a call works for.
#[derive(Clone, Debug)]
pub struct Step<C> {
    /// The run, as `run_…`.
    pub run: String,
    /// The step's name in its definition.
    pub name: String,
    /// Which attempt at this task this is: 1, 2, …
    pub attempt: u32,
    /// The step's configuration.
    pub config: C,
    /// The run's parameters.
    pub parameters: serde_json::Map<String, serde_json::Value>,
}

/// One task, as [`Plugin::run`] is to do it.
#[derive(Clone, Debug)]
pub struct Task<I> {
    /// The task, as `task_…`.
    pub id: String,
    /// The deduplication key that it was spawned under, unique in its step.
    pub key: String,
    /// The input that it was spawned with.
    pub input: I,
}

/// The configuration of a plugin that takes none: every key is refused.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}
