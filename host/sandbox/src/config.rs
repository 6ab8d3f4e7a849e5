//! What a sandbox is configured with, and what it came to be.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// How a [`Sandbox`](crate::Sandbox) runs guests.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Attempts at once. Room for so many is reserved up front; more wait.
    pub slots: NonZeroUsize,
    /// Threads that guests run on; as many as there are cores where absent.
    pub threads: Option<NonZeroUsize>,
    /// How much lower the priority of those threads is (Unix `nice`, 0 to 19). With fsync-bound work beside them, a lower
    /// priority for guests nearly doubled the commits per second.
    pub nice: i32,
    /// How long a guest may go on after it was told to end, before it is ended.
    pub grace: Duration,
    /// Where compiled code is kept, in a directory that only this process's user may write. None is kept where absent.
    pub cache: Option<PathBuf>,
    /// Bytes of compiled code that are kept there; beyond that the least recently used goes.
    pub cache_bytes: u64,
    /// Where what is uploaded is read and compiled.
    pub compiling: Compiling,
    /// Threads that all compilations together use; as many as there are for guests where absent.
    pub compile_threads: Option<NonZeroUsize>,
    /// Bytes of memory that one compilation may take, where it has a process of its own (on Linux).
    pub compile_memory: u64,
    /// Components that stay loaded; beyond that the least recently used goes.
    pub loaded: NonZeroUsize,
    /// Reserve room for all slots and reuse it (wasmtime's pooling allocator): a third of the cost per attempt, for address
    /// space and [`Self::keep_resident`] of memory per slot. Where the machine can't reserve it, the sandbox does without.
    pub pooling: bool,
    /// A directory in which each attempt leaves a profile of where its guest spent its time: `TASK.ATTEMPT.json`, for the Firefox
    /// Profiler. Guests are interrupted more often then.
    pub profiles: Option<PathBuf>,
    /// Bytes of a slot's memory that stay resident between attempts. At or above a plugin's initial memory, an attempt costs
    /// no page faults. After a burst, this much times the slots that it used stays with the process.
    pub keep_resident: usize,
}

impl SandboxConfig {
    /// The defaults for a number of slots.
    pub const fn new(slots: NonZeroUsize) -> Self {
        Self {
            slots,
            threads: None,
            nice: 5,
            grace: Duration::from_secs(1),
            cache: None,
            cache_bytes: 2 << 30,
            compiling: Compiling::Here,
            compile_threads: None,
            compile_memory: 4 << 30,
            loaded: NonZeroUsize::new(64).expect("64 is not zero"),
            pooling: true,
            profiles: None,
            keep_resident: 512 << 10,
        }
    }
}

/// Where what is uploaded is read and compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiling {
    /// In this process, which keeps some of the memory that it took.
    Here,
    /// In a process of its own for each, which ends with it.
    Apart {
        /// A program that calls [`compile_apart`](crate::compile_apart), of the same build as this one.
        program: PathBuf,
        /// Its arguments, before those that [`CompileOrder::parse`](crate::CompileOrder::parse) takes.
        arguments: Vec<OsString>,
    },
}

/// How a sandbox came to run guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxInfo {
    /// Attempts at once.
    pub slots: usize,
    /// Threads that guests run on.
    pub threads: usize,
    /// Whether the room for guests is pooled.
    pub pooled: bool,
    /// Why not, where it was wanted and could not be had.
    pub unpooled_because: Option<String>,
    /// Whether compiled code is kept on disk.
    pub cached: bool,
}
