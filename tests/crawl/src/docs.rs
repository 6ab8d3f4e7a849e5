//! A large tree of HTML that is on this machine anyway.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A tree of documentation.
#[derive(Clone, Debug)]
pub struct Docs {
    /// Its folder.
    pub root: PathBuf,
    /// What it is.
    pub name: &'static str,
}

/// The documentation that ships with the Rust toolchain; where that is not installed, what `cargo doc` made of this project; none
/// where there is neither.
pub fn docs() -> Option<Docs> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout).ok()?.trim());
    let rust = Docs { root: sysroot.join("share/doc/rust/html"), name: "the documentation of the Rust toolchain" };
    let own = Docs { root: bulkhead_e2e::workspace().join("target/doc"), name: "the documentation of this project" };
    let has_pages = |root: &Path| root.is_dir() && std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    [rust, own].into_iter().find(|docs| has_pages(&docs.root))
}
