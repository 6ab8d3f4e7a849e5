//! Definitions: the TOML that people write, checked as a whole and turned into a [`Plan`].
//!
//! # Invariants
//! - All mistakes of a text are reported at once, in the order of the text, each once: what follows from a mistake alone is not
//!   reported beside it.
//! - Every span lies within the text, on boundaries of characters.
//! - Nothing is fetched: a plugin's schema may refer to itself only.
//!
//! The parts: `document` reads the top level, `schedule` when it runs by itself, `inputs` what its runs are started with, `step`
//! one step, `graph` what steps depend on, `config` what is left for the plugin; all read tables with a `reader::Reader` and report to a `diagnostic::Report`.

mod config;
mod diagnostic;
mod document;
mod graph;
mod hooks;
mod inputs;
mod limits;
mod overrides;
mod reader;
mod references;
mod schedule;
mod schema;
mod step;
#[cfg(test)]
mod tests;
mod units;

pub use diagnostic::{Diagnostic, Diagnostics, MAX_DIAGNOSTICS};
pub use inputs::{FileInput, InputError, Inputs, Parameters};
pub use overrides::with_overrides;
pub use references::references;

use std::sync::Arc;

use toml::de::DeTable;

use crate::hook::StatedHook;
use crate::id::Digest;
use crate::name::Name;
use crate::oci::OciReference;
use crate::plan::Plan;
use crate::schedule::Schedule;
use config::Plugins;
use diagnostic::Report;

/// The longest text of a definition, in bytes: a thousand steps with a page each.
pub const MAX_TEXT_LEN: usize = 1024 * 1024;

/// The most steps of a definition.
pub const MAX_STEPS: usize = 1_000;

/// A definition whose every name, value and step is valid, with its plan.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its id, unique in a server.
    pub id: Name,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// Who is told of its runs, beside the server's hooks.
    pub hooks: Vec<StatedHook>,
    /// Whether it may be triggered.
    pub enabled: bool,
    /// Whether a server triggers it once when it starts.
    pub auto_start: bool,
    /// What a run of it is started with.
    pub inputs: Inputs,
    /// What a run of it executes.
    pub plan: Arc<Plan>,
}

/// What a definition needs to know of a plugin that it names.
#[derive(Clone, Debug)]
pub struct KnownPlugin {
    /// The plugin's name.
    pub name: Name,
    /// The component that the name means now.
    pub digest: Digest,
    /// The JSON Schema of a step's configuration.
    pub config_schema: String,
}

/// A plugin that a definition refers to in a registry.
#[derive(Clone, Debug)]
pub struct RegistryPlugin {
    /// How it refers to it.
    pub reference: OciReference,
    /// The plugin, where the reference is pinned and the plugin is here; else why not, and what to do.
    pub found: Result<KnownPlugin, String>,
}

/// Reads a definition and checks all of it against the plugins that there are: by their names, and those of its [`references()`].
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(text: &str, plugins: &[KnownPlugin], referred: &[RegistryPlugin]) -> Result<Definition, Diagnostics> {
    let mut report = Report::new(text);
    if !within_limit(text, &mut report) {
        return report.finish(None);
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    report.syntax(&errors);
    let definition = document::read(root.get_ref(), Plugins::new(plugins, referred), &mut report);
    report.finish(definition)
}

/// What a definition's text asks of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When it runs by itself, and whether it may.
    pub schedule: Option<(Schedule, bool)>,
    /// Who is told of its runs.
    pub hooks: Vec<StatedHook>,
}

/// What a definition's text asks of the store. Nothing else of the text is looked at, so no plugin is needed for that; what can't
/// be read is absent.
pub fn standing(text: &str) -> Standing {
    let mut report = Report::new(text);
    if !within_limit(text, &mut report) {
        return Standing::default();
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Standing::default();
    }
    let root = root.get_ref();
    Standing { schedule: schedule::alone(root, &mut report), hooks: hooks::alone(root, &mut report) }
}

/// Whether a text is short enough to be parsed.
fn within_limit(text: &str, report: &mut Report<'_>) -> bool {
    let fits = text.len() <= MAX_TEXT_LEN;
    if !fits {
        let message = format!("the text has {} bytes, but at most {MAX_TEXT_LEN} are allowed", text.len());
        report.add(0..0, message, "split the definition into several".to_owned());
    }
    fits
}
