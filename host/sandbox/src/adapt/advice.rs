//! Why something can't be a plugin, and how to build it so that it can.

use std::fmt::Write as _;

use super::CONTRACT_VERSION;

/// The names of exports that an error shows.
const SHOWN_EXPORTS: usize = 8;

/// Why something that was uploaded is no plugin. Each text ends with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdaptError {
    /// It is something else altogether.
    #[error("it is no WebAssembly: a plugin is a component or a core module in the binary format, which starts with `\\0asm`")]
    NotWasm,
    /// It is WebAssembly of another version.
    #[error("it is neither a core module nor a component of a version that this host knows: build it with a current toolchain")]
    Format,
    /// It can't be read to its end.
    #[error("it is damaged: {0}; upload the file as the compiler wrote it")]
    Damaged(String),
    /// It has neither the contract's exports nor a program's.
    #[error(
        "it exports neither `describe`, `plan`, `run` nor a program's start ({}): a plugin exports the world `plugin` of \
         `bulkhead:plugin@{CONTRACT_VERSION}` (wit/{CONTRACT_VERSION}/plugin.wit), a WASI command `_start` or `wasi:cli/run`",
        listed(exports)
    )]
    NoEntry {
        /// What it exports.
        exports: Vec<String>,
    },
    /// It has some of the contract's exports.
    #[error(
        "it does not export {}: a plugin exports the whole world `plugin` of `bulkhead:plugin@{CONTRACT_VERSION}` \
         (wit/{CONTRACT_VERSION}/plugin.wit)",
        quoted(missing)
    )]
    Incomplete {
        /// What is missing.
        missing: Vec<&'static str>,
    },
    /// A core module keeps its memory to itself.
    #[error("it exports no `memory`, so nothing can be handed to it: export its linear memory under that name")]
    NoMemory,
    /// It was built against a contract that this host does not know.
    #[error(
        "it is built against `bulkhead:plugin@{found}`, and this host knows {CONTRACT_VERSION}: build it against \
         wit/{CONTRACT_VERSION}, or run a host that knows its contract"
    )]
    Contract {
        /// The version that it names.
        found: String,
    },
    /// A core module imports what no plugin gets.
    #[error("it imports `{name}` from `{module}`, which is not offered: {}", advice(module))]
    Import {
        /// The module of the import.
        module: String,
        /// The import's name in it.
        name: String,
    },
    /// A core module does not fit what it claims to be.
    #[error(
        "it can't be made a component: {0}; its functions and memory must look as wit/{CONTRACT_VERSION}/abi.md tells, or come \
         from a binding generator"
    )]
    Module(String),
}

/// What to do about an import of a core module.
fn advice(module: &str) -> &'static str {
    match module {
        "wasi_unstable" => "that is WASI as it was before 2020: build it with a current SDK",
        "wasi" => "threads are not: build it without them",
        "gojs" | "go" => "that is Go for browsers: build it with `GOOS=wasip1 GOARCH=wasm`",
        "env" | "a" => {
            "symbols that no library defines come from there, and Emscripten's runtime: build it for WASI \
             (`zig cc -target wasm32-wasi`, wasi-sdk), and link what defines them"
        }
        _ if module.starts_with("wasix") => "WASIX is one runtime's own: build it for WASI",
        _ if module == "wbg" || module.starts_with("__wbindgen") || module.starts_with("./") => {
            "that is wasm-bindgen's, for browsers: build it for `wasm32-wasip2`"
        }
        _ if module.starts_with("bulkhead:plugin/") => "the contract has no such interface: see wit/ for those that it has",
        _ => "a core module may import `wasi_snapshot_preview1` and the contract's interfaces (`bulkhead:plugin/…`)",
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn listed(exports: &[String]) -> String {
    if exports.is_empty() {
        return "it exports nothing".to_owned();
    }
    let mut text = "its exports are ".to_owned();
    for (number, name) in exports.iter().take(SHOWN_EXPORTS).enumerate() {
        let _ = write!(text, "{}`{name}`", if number == 0 { "" } else { ", " });
    }
    if exports.len() > SHOWN_EXPORTS {
        let _ = write!(text, " and {} more", exports.len() - SHOWN_EXPORTS);
    }
    text
}
