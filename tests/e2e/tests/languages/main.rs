//! Plugins in every language keep the same contract: one definition, one behaviour. `make languages` builds them.
//!
//! Each of `plugins/{LANGUAGE}` counts words, and goes wrong on request (`drill`). One test per language, which takes its plugin
//! through everything; and programs that others wrote, as steps.

mod commands;
mod conformance;
mod new;
mod scenarios;
mod text;

/// The component of a language, or why its test is left out: outside CI, not every compiler is there.
fn component(language: &str) -> Option<std::path::PathBuf> {
    built(if language == "rust" { "" } else { "languages" }, language)
}

/// A file below `target/plugins` that `make languages` leaves.
fn built(folder: &str, name: &str) -> Option<std::path::PathBuf> {
    let file = bulkhead_e2e::workspace().join("target/plugins").join(folder).join(name).with_extension("wasm");
    if file.is_file() {
        return Some(file);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing: run `make languages`", file.display());
    eprintln!("SKIPPED: {} is missing: run `make languages`", file.display());
    None
}
