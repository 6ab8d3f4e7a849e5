//! Runs plugins in wasmtime, each attempt in an instance of its own: the adapter behind [`bulkhead_engine::executor::Executor`].
//!
//! What is always true:
//! - An attempt gets a fresh store, memory and table space; it sees nothing of another attempt.
//! - Guests run on a runtime of their own, on threads of lower priority. A guest that loops holds such a thread for one epoch
//!   tick at most, so it delays neither the API nor the committer, and other guests by a bounded time only.
//! - Deadlines and cancellation act from outside those threads, and in the middle of a host call, by dropping the call.
//! - No host function blocks its thread.
//! - Whatever a guest can make the host hold, copy or count has a bound with a name.
//! - Every way to end has a [cause](bulkhead_core::failure::Cause); [`outcome`] is where they are told apart.
//!
//! Where to look: [`sandbox`] is the port; [`adapt`] makes components of what is uploaded; [`attempt`] one attempt; [`command`] programs
//! that know nothing of the contract; [`engine`] wasmtime's configuration and the epochs; [`components`] what is ready to run;
//! [`compiler`] how it is compiled and kept; [`link`] what a plugin may import; [`host`] the contract's host functions; [`http`]
//! requests; [`limits`] memory and quotas; [`stdio`], [`files`] and [`random`] what WASI is given; [`inspect`] the check at upload; [`profile`]
//! where a guest spends its time.
//!
//! Deliberately absent: the host's file system (a guest's files are in its memory), sockets, WASI 0.3, and any knowledge of how tasks are
//! stored or claimed.

pub mod adapt;
mod attempt;
mod bindings;
mod command;
mod compiler;
mod components;
mod config;
mod engine;
mod files;
mod guests;
mod host;
mod http;
mod inspect;
mod json;
mod limits;
mod link;
mod measure;
mod outcome;
mod profile;
mod random;
mod sandbox;
mod stack;
mod state;
mod stdio;
mod ticker;

pub use compiler::apart::{CompileOrder, compile_apart};
pub use config::{Compiling, SandboxConfig, SandboxInfo};
pub use measure::Parts;
pub use sandbox::{Sandbox, SandboxError};
