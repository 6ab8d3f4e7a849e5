//! Writes a Bulkhead plugin as a page of safe Rust.
//!
//! A plugin is a type that implements [`Plugin`], exported with [`export_plugin!`]. The host calls `plan` once per step, which
//! [spawns](spawn) the step's tasks, and `run` once per attempt at each task. Every call gets a fresh instance: a static that
//! one call wrote is untouched at the next, so whatever must outlive an attempt goes into a [checkpoint].
//!
//! ```no_run
//! use bulkhead_plugin::prelude::*;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// Greets everybody in a list.
//! struct Greeter;
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// Who is greeted.
//!     #[schemars(length(min = 1))]
//!     names: Vec<String>,
//! }
//!
//! #[derive(Deserialize, Serialize)]
//! struct Guest {
//!     name: String,
//! }
//!
//! impl Plugin for Greeter {
//!     const NAME: &'static str = "greeter";
//!     const SUMMARY: &'static str = "Greets everybody in a list";
//!     type Config = Config;
//!     type Input = Guest;
//!     type Output = usize;
//!
//!     fn plan(step: &Step<Config>) -> Result<(), Error> {
//!         spawn(step.config.names.iter().map(|name| (name.clone(), Guest { name: name.clone() })))?;
//!         Ok(())
//!     }
//!
//!     fn run(_step: &Step<Config>, task: Task<Guest>) -> Result<usize, Error> {
//!         let name = task.input.name;
//!         info!("hello {name}", length = name.len());
//!         Ok(name.len())
//!     }
//! }
//!
//! export_plugin!(Greeter);
//! ```
//!
//! The crate builds on the host, too, so that a plugin's pure parts can be tested there; calling the host's functions outside
//! a guest panics.

pub mod artifacts;
pub mod checkpoint;
mod failure;
pub mod guest;
pub mod log;
pub mod outputs;
mod plugin;
pub mod rng;
pub mod status;
mod tasks;

/// The contract as wit-bindgen binds it: below the typed SDK, for what it cannot say.
#[rustfmt::skip]
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated")]
pub mod bindings;

pub use failure::{Error, ResultExt};
pub use plugin::{NoConfig, Plugin, Step, Task};
pub use serde_json as json;
pub use status::{Cancelled, sleep};
pub use tasks::{SpawnError, Spawned, spawn};

/// Everything that a plugin usually needs.
pub mod prelude {
    pub use crate::{Cancelled, Error, NoConfig, Plugin, ResultExt, SpawnError, Spawned, Step, Task};
    pub use crate::{artifacts, checkpoint, debug, error, export_plugin, info, outputs, sleep, spawn, status, warn};
}
