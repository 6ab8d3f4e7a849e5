//! The ways to go wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One way to go wrong. `job-definitions/misbehave.toml` says what each of them must end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Panics, with a message of two lines.
    Panic,
    /// Reports an error that another attempt may get past.
    ErrorRetryable,
    /// Reports an error that is final.
    ErrorFinal,
    /// Executes the instruction `unreachable`, without a word.
    Unreachable,
    /// Reads behind the end of its memory.
    OutOfBounds,
    /// Divides by zero, with no check of Rust's in front.
    DivideByZero,
    /// Converts a number to an integer that cannot hold it, unchecked.
    FloatToInteger,
    /// Calls through a function pointer that is null.
    NullFunction,
    /// Calls a function through a pointer of another type.
    WrongFunction,
    /// Computes for ever.
    EndlessLoop,
    /// Loops for ever in the allocator while the host is handing it the result of a host call.
    EndlessLoopInHostCall,
    /// Calls the cheapest host function for ever.
    HostCallFlood,
    /// Takes memory and writes to it until it gets no more.
    MemoryHog,
    /// Asks for a gigabyte at once.
    GiganticAllocation,
    /// Recurses until its shadow stack, in its own memory, is used up.
    StackOverflow,
    /// Recurses with nothing but the stack that the host runs it on.
    NativeStackOverflow,
    /// Grows its function table until it gets no more.
    TableGrowth,
    /// Connects to a network address.
    Network,
    /// Writes log lines for ever.
    LogFlood,
    /// Writes `flood_lines` log lines, then succeeds.
    LogFloodSuppressed,
    /// Writes an artifact for ever.
    ArtifactFlood,
    /// Writes a file for ever.
    FileFlood,
    /// Creates files and directories for ever.
    FilesFlood,
    /// Tries to reach files of others, uses its own in every way, and fails if anything of that is not as it should be.
    Files,
    /// Writes lines to standard error for ever.
    StderrFlood,
    /// Writes one log line of 64 MiB.
    GiganticLine,
    /// Writes one log line of 200 KiB, then succeeds.
    LongLine,
    /// Writes lines that mean harm to whoever shows them (markup, escapes of terminals, characters that reorder text, 1 MiB in
    /// one line), then succeeds with such an output.
    HostileLines,
    /// Fails with a message of that kind.
    HostileError,
    /// Writes a log line that is not UTF-8.
    InvalidUtf8,
    /// Writes a log line whose fields are no JSON, then succeeds.
    InvalidFields,
    /// Spawns tasks for ever, whatever the host answers.
    SpawnBomb,
    /// Does nothing and succeeds: what the bomb's fragments do.
    Nothing,
    /// Saves a checkpoint of 6 MiB.
    BadCheckpoint,
    /// Returns 4 MiB.
    OutputTooLarge,
    /// Returns JSON nested 100,000 levels deep.
    DeepJson,
    /// Returns text that is no JSON.
    InvalidJson,
    /// Exits with status 3.
    Exit,
    /// Sleeps for a year in one host call.
    SleepForEver,
    /// Sleeps in small portions, sees that it is to stop, and goes on.
    SleepPastCancellation,
    /// Leaves dirt in its statics and its memory, and fails if it finds any.
    CleanSlate,
}

/// Where the typed SDK would not let the fault through, what the task returns instead of its output.
pub(crate) fn raw_output(mode: Mode) -> Option<String> {
    match mode {
        Mode::OutputTooLarge => Some(format!("\"{}\"", "x".repeat(4 << 20))),
        Mode::DeepJson => Some("[".repeat(100_000) + &"]".repeat(100_000)),
        Mode::InvalidJson => Some(r#"{"pages": 17, "next": }"#.into()),
        _ => None,
    }
}
