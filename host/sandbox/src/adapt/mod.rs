//! What is uploaded becomes a component.
//!
//! | uploaded | becomes |
//! |---|---|
//! | a component that exports the contract's world | itself |
//! | a component that exports `wasi:cli/run` | itself, run as a [command](crate::command) |
//! | a core module that exports `describe`, `plan` and `run`, with its component type embedded or without | a plugin |
//! | a core module that exports `_start` | a command |
//!
//! A core module may import `wasi_snapshot_preview1` and the contract's interfaces; `wit/0.1.0/abi.md` tells how their types look
//! to it. It is wrapped with wasmtime's own adapter, which implements that older WASI with WASI 0.2.
//!
//! What is stored and named by its digest is always what was uploaded. The component is derived from it when it is compiled, the
//! same way each time; where a change here gives another component for the same bytes, [`VERSION`] changes, too.

mod advice;
mod component;
mod module;

use bulkhead_core::plugin::{Interfaces, PluginForm, PluginKind};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::advice::AdaptError;
pub(crate) use self::component::RUN;

/// The way that components are derived. Compiled code is kept under it.
pub(crate) const VERSION: u32 = 1;

/// The contract that this host knows, and how a component names its interfaces.
pub(crate) const CONTRACT: &str = "bulkhead:plugin";
/// The version of [`CONTRACT`].
pub(crate) const CONTRACT_VERSION: &str = "0.1.0";

/// A component, ready to be compiled.
#[derive(Clone, Debug)]
pub struct Adapted {
    /// The component in the binary format.
    pub component: Bytes,
    /// What it does for the host.
    pub kind: PluginKind,
    /// What it was made from.
    pub form: PluginForm,
    /// The version of the contract that it was built against, where it imports any of it.
    pub contract: Option<String>,
    /// What it says of its version and purpose, in the custom sections that packaging tools write.
    pub labels: Labels,
}

impl Adapted {
    /// What the component needs and offers.
    ///
    /// # Errors
    /// [`AdaptError::Damaged`]: it cannot be read.
    pub fn interfaces(&self) -> Result<Interfaces, AdaptError> {
        component::interfaces(&self.component)
    }
}

/// What there is to know of an upload without its component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Findings {
    pub(crate) kind: PluginKind,
    pub(crate) form: PluginForm,
    pub(crate) contract: Option<String>,
    pub(crate) labels: Labels,
    pub(crate) interfaces: Interfaces,
}

impl Findings {
    /// Adapts what was uploaded, to know what it is.
    pub(crate) fn of(bytes: &Bytes) -> Result<Self, AdaptError> {
        let adapted = adapt(bytes)?;
        let interfaces = adapted.interfaces()?;
        let Adapted { kind, form, contract, labels, .. } = adapted;
        Ok(Self { kind, form, contract, labels, interfaces })
    }
}

/// What a binary says of itself in its custom sections `version` and `description`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// Its version.
    pub version: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

impl Labels {
    /// Reads a custom section, if it is one of these.
    fn read(&mut self, name: &str, data: &[u8]) {
        let place = match name {
            "version" => &mut self.version,
            "description" => &mut self.description,
            _ => return,
        };
        if let Ok(text) = std::str::from_utf8(data) {
            *place = Some(text.trim().to_owned());
        }
    }
}

/// Makes a component of what was uploaded. Takes some milliseconds, and a multiple of the bytes in memory.
///
/// # Errors
/// What is wrong with it, and how to build it so that it is not.
pub fn adapt(bytes: &Bytes) -> Result<Adapted, AdaptError> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => component::adapt(bytes),
        Some(b"\0asm\x01\0\0\0") => module::adapt(bytes),
        Some([b'\0', b'a', b's', b'm', ..]) => Err(AdaptError::Format),
        _ => Err(AdaptError::NotWasm),
    }
}

/// What a name among a binary's imports says of the contract: its version, where it is one of its interfaces.
fn contract_version(import: &str) -> Option<&str> {
    import.strip_prefix(CONTRACT)?.strip_prefix('/')?.split_once('@').map(|(_, version)| version)
}

/// Refuses a version of the contract that this host does not know. A minor version only adds, so `0.1.7` is asked for what it
/// imports, and nothing else.
fn check_contract(version: &str) -> Result<(), AdaptError> {
    let series = |version: &str| version.rsplit_once('.').map(|(series, _)| series.to_owned());
    if series(version) == series(CONTRACT_VERSION) {
        return Ok(());
    }
    Err(AdaptError::Contract { found: version.to_owned() })
}

/// The kind of what exports these names.
fn kind_of<'a>(exports: impl Iterator<Item = &'a str> + Clone, program: impl Fn(&str) -> bool) -> Result<PluginKind, AdaptError> {
    let missing: Vec<_> =
        ["describe", "plan", "run"].into_iter().filter(|wanted| !exports.clone().any(|name| name == *wanted)).collect();
    match missing.len() {
        0 => Ok(PluginKind::Plugin),
        1 | 2 => Err(AdaptError::Incomplete { missing }),
        _ if exports.clone().any(program) => Ok(PluginKind::Command),
        _ => Err(AdaptError::NoEntry { exports: exports.map(str::to_owned).collect() }),
    }
}
