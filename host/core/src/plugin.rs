//! What a plugin is, apart from what it says of itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a component does for the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PluginKind {
    /// It exports the contract's world: it describes itself, plans a step and runs tasks.
    Plugin,
    /// It exports `wasi:cli/run`: a program with arguments, environment, standard streams and an exit status.
    Command,
}

impl PluginKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Command => "command",
        }
    }
}

/// What was uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PluginForm {
    /// A component.
    Component,
    /// A core module with its component type in a custom section, as `wit-bindgen` leaves it.
    TypedModule,
    /// Any other core module.
    Module,
}

impl PluginForm {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::TypedModule => "typed-module",
            Self::Module => "module",
        }
    }
}

/// What a component needs and offers, by the names of its interfaces and functions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interfaces {
    /// What it needs, in its order.
    pub imports: Vec<String>,
    /// What it offers, in its order.
    pub exports: Vec<String>,
}

/// What the check at upload found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// What it does for the host.
    pub kind: PluginKind,
    /// What it was made from.
    pub form: PluginForm,
    /// The version of the contract that it was built against, where it imports any of it.
    pub contract: Option<String>,
    /// What it needs and offers.
    pub interfaces: Interfaces,
    /// How long compiling it took; absent where its code was there already.
    pub compile_time: Option<Duration>,
}
