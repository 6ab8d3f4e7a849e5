//! The real binary, used as a user uses it: helpers for tests and benchmarks that start it, talk to it and kill it.
//!
//! Nothing here links the host: what is known of it is its command line, its API and its files. `make host-test` builds the binary
//! and the plugins first; a test that does not find them says so.

mod api;
pub mod authority;
mod receiver;
pub mod registry;
mod server;
mod stream;
pub mod suite;
pub mod token_service;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub use api::{Api, Reply};
pub use receiver::{Answer, Received, Receiver};
pub use server::{Server, ServerOptions};
pub use stream::{EventStream, StreamEvent};

/// The repository.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/e2e lies two folders below the repository").to_owned()
}

/// The binary of the same profile as the test that asks, or the one that BULKHEAD_BIN names.
///
/// # Panics
/// Where it was not built.
pub fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("BULKHEAD_BIN") {
        return binary.into();
    }
    // target/PROFILE/deps/TEST-HASH and target/PROFILE/bulkhead.
    let test = std::env::current_exe().expect("a test knows its own path");
    let beside = test.ancestors().skip(1).take(2).map(|dir| dir.join("bulkhead")).find(|path| path.is_file());
    beside.unwrap_or_else(|| panic!("{} has no `bulkhead` beside it: run `make build`, or set BULKHEAD_BIN", test.display()))
}

/// The directory with the built plugins, or the one that BULKHEAD_PLUGINS names.
///
/// # Panics
/// Where they were not built.
pub fn plugins() -> PathBuf {
    let dir = std::env::var_os("BULKHEAD_PLUGINS").map_or_else(|| workspace().join("target/plugins"), PathBuf::from);
    for plugin in [
        "aggregate",
        "batch",
        "build",
        "crawl_report",
        "crawler",
        "generator",
        "hello",
        "misbehave",
        "ml",
        "noop",
        "primes",
        "stress",
    ] {
        let file = dir.join(plugin).with_extension("wasm");
        assert!(file.is_file(), "{} is missing: run `make plugins`, or set BULKHEAD_PLUGINS", file.display());
    }
    dir
}

/// A file of `job-definitions`.
pub fn job_definition(name: &str) -> PathBuf {
    workspace().join("job-definitions").join(name).with_extension("toml")
}

/// A call of the binary with what every test wants: no colours, no settings of whoever runs the tests, and compiled plugins that are
/// compiled once for all tests.
pub fn bulkhead(args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.env("BULKHEAD_COMPILED_DIR", workspace().join("target/compiled"));
    for name in [
        "BULKHEAD_SERVER",
        "BULKHEAD_TOKEN",
        "BULKHEAD_DATA_DIR",
        "BULKHEAD_LISTEN",
        "BULKHEAD_PLUGINS",
        "BULKHEAD_LOG",
        "BULKHEAD_REGISTRY",
        "BULKHEAD_PLUGIN_KEYS",
        "BULKHEAD_EGRESS_CA",
        "REGISTRY_AUTH_FILE",
    ] {
        command.env_remove(name);
    }
    command.args(args).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Calls the binary and waits for its end.
///
/// # Panics
/// Where it can't be started.
pub fn call(args: &[&str]) -> Output {
    bulkhead(args).output().expect("the binary starts")
}

/// Runs a definition once with the built plugins and gives what `--json` printed, each line parsed.
///
/// # Panics
/// Where a line is no JSON.
pub fn run_json(definition: &Path, args: &[&str]) -> (Option<i32>, Vec<serde_json::Value>) {
    let mut command = bulkhead(&["run", "--json"]);
    let output = command.arg("--plugins").arg(plugins()).args(args).arg(definition).output().expect("the binary starts");
    let records = json_lines(&output.stdout);
    if records.is_empty() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    (output.status.code(), records)
}

/// The lines of an output, each parsed as JSON.
///
/// # Panics
/// Where a line is no JSON.
pub fn json_lines(output: &[u8]) -> Vec<serde_json::Value> {
    let text = std::str::from_utf8(output).expect("the output is UTF-8");
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("`{line}` is no JSON: {error}"));
    text.lines().map(parse).collect()
}
