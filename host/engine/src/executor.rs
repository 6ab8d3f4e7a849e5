//! The port to sandboxes.

use std::sync::Arc;

use bulkhead_core::failure::Failure;
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_core::plugin::Analysis;
use bulkhead_core::run::Usage;
use bytes::Bytes;
use futures::future::BoxFuture;

use crate::attempt::AttemptHost;

/// Does attempts at tasks, each in a sandbox of its own. Object-safe; share it as `Arc<dyn Executor>`.
pub trait Executor: Send + Sync + 'static {
    /// Does the attempt of a host. It never fails as a call: every way to end is an [`Execution`]. It ends within the executor's stated
    /// bound after the attempt's timeout, and after [`AttemptHost::cancelled`] fires, whatever the guest does. Dropping the
    /// future ends the attempt, too.
    fn execute(&self, host: AttemptHost) -> BoxFuture<'static, Execution>;

    /// Makes a component of what was uploaded, compiles it, checks it against the contract and asks it to describe itself. A WASI
    /// command can't: it goes by `name`, which nothing else does. `told` hears how far compiling it has come.
    ///
    /// # Errors
    /// What is wrong with it and how to mend it.
    fn inspect(
        &self,
        component: Bytes,
        name: Option<Name>,
        told: Option<CompileListener>,
    ) -> BoxFuture<'static, Result<Inspected, Failure>>;
}

/// How far compiling a component has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompileProgress {
    /// The functions that are compiled.
    pub done: u32,
    /// All of its functions.
    pub total: u32,
}

/// Is told of progress, some times a second at most.
pub type CompileListener = Arc<dyn Fn(CompileProgress) + Send + Sync>;

/// How an attempt ended, and what it used.
#[derive(Clone, Debug)]
pub struct Execution {
    /// How.
    pub end: ExecutionEnd,
    /// What it used.
    pub usage: Usage,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum ExecutionEnd {
    /// It returned an output: JSON text. `plan` returns `null`.
    Succeeded(Arc<str>),
    /// It failed. [`Cause::Cancelled`](bulkhead_core::failure::Cause::Cancelled) is never here.
    Failed(Failure),
    /// It was told to end.
    Cancelled,
}

/// What a component says of itself.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The digest of what was uploaded.
    pub digest: Digest,
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The JSON Schema of its configuration: a valid one.
    pub config_schema: String,
    /// What it is.
    pub analysis: Analysis,
}
