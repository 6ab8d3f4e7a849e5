//! Why a guest ended: tells every cause apart, from what wasmtime reports and from what was recorded on the way.
//!
//! A guest's panic, its abort and its failed allocation all arrive as the same `unreachable` trap. The last words on standard
//! error tell a panic, and the [`Meter`](crate::limits::Meter)'s record of a denial tells memory.

mod panic;
mod trace;

use bulkhead_core::failure::{Cause, Failure, Quota, TrapCode};
use bulkhead_engine::attempt::LogQuotaPassed;
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, PoolConcurrencyLimitError, Trap, WasmBacktrace, WasmtimeBug};
use wasmtime_wasi::I32Exit;

use crate::bindings;
use crate::http::HttpQuota;
use crate::limits::{Denial, MAX_IGNORED_REFUSALS};
use crate::state::State;

/// What wasmtime says when a call carries more than its allowance; the error's type is private.
const TOO_MUCH_DATA: &str = "fuel allocated for hostcalls has been exhausted";
/// How it begins a backtrace among an error's sources.
const BACKTRACE: &str = "error while executing at wasm backtrace";
/// What it says of a call for more random bytes than one may have.
const TOO_MUCH_RANDOM: &str = "requested len";

/// Why a host function ends an attempt.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The plugin called something that it is not given.
    #[error("it called `{function}`, which its definition does not grant")]
    Denied { function: String },
    /// It logged too much.
    #[error(transparent)]
    Log(#[from] LogQuotaPassed),
    /// It called the host too often.
    #[error("it used up its host calls (`limits.host_calls`)")]
    HostCalls,
    /// It went on spawning.
    #[error("it went on spawning tasks after {MAX_IGNORED_REFUSALS} refusals (`limits.spawned_tasks`)")]
    Spawns,
    /// Its artifacts grew too large.
    #[error("its artifacts passed {limit} bytes (`limits.artifact_bytes`)")]
    Artifacts { limit: u64 },
    /// The files that it was to find did not fit into its memory.
    #[error("{0}")]
    Files(String),
    /// The file with its output is too large.
    #[error("its output has {bytes} bytes; `limits.output_bytes` is {limit}")]
    Output { bytes: u64, limit: u64 },
    /// It passed a limit on HTTP.
    #[error(transparent)]
    Http(#[from] HttpQuota),
    /// The host could not do its part.
    #[error("{0}")]
    Host(String),
}

impl Stop {
    const fn cause(&self) -> Cause {
        match self {
            Self::Denied { .. } => Cause::Denied,
            Self::Log(_) => Cause::Limit(Quota::Log),
            Self::HostCalls => Cause::Limit(Quota::HostCall),
            Self::Spawns => Cause::Limit(Quota::Spawn),
            Self::Artifacts { .. } => Cause::Limit(Quota::Artifact),
            Self::Files(_) => Cause::OutOfMemory,
            Self::Output { .. } => Cause::Limit(Quota::Output),
            Self::Http(_) => Cause::Limit(Quota::Http),
            Self::Host(_) => Cause::HostFault,
        }
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::new(stop.cause(), stop.to_string())
    }
}

/// The failure that an error of wasmtime means.
pub(crate) fn classify(error: &Error, state: &State, fuel_limit: Option<u64>) -> Failure {
    let last_words = state.stdio().map(|stdio| stdio.last_words()).unwrap_or_default();
    let trace = error.downcast_ref::<WasmBacktrace>();
    let failure = if let Some(stop) = error.downcast_ref::<Stop>() {
        Failure::new(stop.cause(), stop.to_string())
    } else if let Some(&trap) = error.downcast_ref::<Trap>() {
        trapped(trap, error, state, &last_words, fuel_limit)
    } else if let Some(&I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        exited(status, state, &last_words)
    } else if error.is::<PoolConcurrencyLimitError>() || error.is::<WasmtimeBug>() {
        Failure::new(Cause::HostFault, format!("{error:#}"))
    } else {
        other(error, state)
    };
    failure.with_backtrace(trace.map(trace::text))
}

fn trapped(trap: Trap, error: &Error, state: &State, last_words: &str, fuel_limit: Option<u64>) -> Failure {
    let code = match trap {
        Trap::OutOfFuel => {
            let limit = fuel_limit.unwrap_or_default();
            return Failure::new(Cause::OutOfFuel, format!("it used up its {limit} units of fuel (`limits.fuel`)"));
        }
        Trap::StackOverflow => {
            return Failure::new(Cause::StackOverflow, "its calls nested deeper than its stack (`limits.stack`) allows");
        }
        Trap::MemoryOutOfBounds if trace::is_shadow_stack_overflow(error) => {
            return Failure::new(Cause::StackOverflow, "its calls nested deeper than the stack in its own memory allows");
        }
        // Data that crosses the boundary is not what the contract says.
        Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidChar
        | Trap::InvalidDiscriminant
        | Trap::UnalignedPointer
        | Trap::CannotEnterComponent
        | Trap::CannotLeaveComponent => {
            return Failure::new(Cause::InvalidPlugin, format!("it broke the contract: {trap}"));
        }
        Trap::Interrupt => return Failure::new(Cause::HostFault, "it was interrupted"),
        Trap::UnreachableCodeReached => TrapCode::Unreachable,
        Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
        Trap::IndirectCallToNull | Trap::BadSignature => TrapCode::IndirectCall,
        Trap::IntegerDivisionByZero => TrapCode::DivisionByZero,
        Trap::IntegerOverflow => TrapCode::IntegerOverflow,
        Trap::BadConversionToInteger => TrapCode::BadConversion,
        _ => TrapCode::Other,
    };
    // Only what a guest does when it gives up can be about memory; a division by zero is not.
    if matches!(code, TrapCode::Unreachable | TrapCode::MemoryOutOfBounds | TrapCode::TableOutOfBounds)
        && let Some(failure) = gave_up(state, last_words)
    {
        return failure;
    }
    let place = trace::fault(error).map(|fault| format!(": {fault}")).unwrap_or_default();
    Failure::new(Cause::Trap(code), format!("{trap}{place}{}", quote(last_words)))
}

fn exited(status: i32, state: &State, last_words: &str) -> Failure {
    gave_up(state, last_words).unwrap_or_else(|| {
        // WASI 0.2 tells success from failure and no more.
        let status = if status == 0 { "status 0" } else { "a status other than 0" };
        let message = format!("it called exit with {status} instead of returning{}", quote(last_words));
        Failure::new(Cause::Trap(TrapCode::Exit), message)
    })
}

/// The failure that a guest returned: its own, or a panic that its language caught.
pub(crate) fn reported(failure: bindings::Failure, state: &State) -> Failure {
    if panic::is_told(&failure.message) {
        return panicked(failure.message, state);
    }
    Failure::new(Cause::PluginError { retryable: failure.retryable }, failure.message)
}

/// A panic, or memory that was denied: how guests give up by themselves.
fn gave_up(state: &State, last_words: &str) -> Option<Failure> {
    match panic::message(last_words) {
        Some(panic) => Some(panicked(panic, state)),
        None => {
            let denial = state.meter.explain_denial()?;
            Some(Failure::new(Cause::OutOfMemory, format!("{denial}{}", quote(last_words))))
        }
    }
}

/// What a panic was about: memory that was denied, a stack that ended, or something else.
fn panicked(panic: String, state: &State) -> Failure {
    let is_denial = match state.meter.denied() {
        // A panic after a denial of memory may be about something else altogether; one of table space is rare enough.
        Some(Denial::Table { .. }) => true,
        Some(Denial::Files { .. }) if panic::is_about_files(&panic) => true,
        Some(Denial::Files { .. } | Denial::Memory { .. }) => panic::is_about_memory(&panic),
        None => false,
    };
    match state.meter.explain_denial() {
        Some(denial) if is_denial => Failure::new(Cause::OutOfMemory, format!("{panic}; {denial}")),
        _ if panic::is_about_the_stack(&panic) => Failure::new(Cause::StackOverflow, panic),
        _ => Failure::new(Cause::Panic, panic),
    }
}

fn other(error: &Error, state: &State) -> Failure {
    let text = format!("{:#}", Chain(error));
    if let (false, Some(denial)) = (state.instantiated, state.meter.explain_denial()) {
        let what = match state.meter.denied() {
            Some(Denial::Table { .. }) => "its tables",
            _ => "its memory",
        };
        return Failure::new(Cause::OutOfMemory, format!("{what} did not fit when it was started: {denial}"));
    }
    if text.contains(TOO_MUCH_DATA) {
        // What a guest passes to the host is lifted in the middle of its call; what it returns, after.
        return if error.is::<WasmBacktrace>() {
            Failure::new(Cause::Limit(Quota::HostCall), "it passed more data to the host than one call may carry")
        } else {
            Failure::new(Cause::Limit(Quota::Output), "it returned more data than `limits.output_bytes` allows")
        };
    }
    if text.contains(TOO_MUCH_RANDOM) || matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Failure::new(Cause::Limit(Quota::HostCall), format!("it asked the host for too much: {text}"));
    }
    Failure::new(Cause::InvalidPlugin, format!("it broke the contract: {text}"))
}

/// An error with its sources, without the backtrace.
struct Chain<'a>(&'a Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut first = true;
        for text in self.0.chain().map(ToString::to_string).filter(|text| !text.starts_with(BACKTRACE)) {
            f.write_str(if first { "" } else { ": " })?;
            f.write_str(&text)?;
            first = false;
        }
        Ok(())
    }
}

/// The last line that the guest wrote to standard error, if it wrote any.
fn quote(last_words: &str) -> String {
    // Rust's own hook ends with a note on backtraces, which says nothing of this failure.
    let line = last_words.lines().rev().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("note: "));
    line.map(|line| format!("; its last words: {line}")).unwrap_or_default()
}
