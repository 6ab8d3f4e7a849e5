//! What a task says of its progress, and what it is told.

use std::fmt;
use std::time::{Duration, Instant};

use crate::bindings::bulkhead::plugin::status as host;

/// How long [`sleep`] goes on after the run was cancelled, at most.
const CANCELLATION_POLL: Duration = Duration::from_millis(50);

/// Says how far the task is: `done` of `total` units, where the total is known. Cheap; the host keeps the latest.
pub fn progress(done: u64, total: impl Into<Option<u64>>) {
    host::progress(done, total.into());
}

/// Says in a few words what the task is doing now. The host keeps the latest; at most 1 KiB.
pub fn message(text: impl fmt::Display) {
    host::message(&text.to_string());
}

/// Whether the run was cancelled or the attempt's time is up. A task that ends soon after may finish in order; one that does
/// not is ended from outside.
pub fn cancelled() -> bool {
    host::cancelled()
}

/// The run was cancelled, or the attempt's time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped because cancellation was asked for")
    }
}

impl std::error::Error for Cancelled {}

/// Sleeps, but wakes up early with [`Cancelled`] if the task is to end: `sleep(pause)?` is all that a polite plugin needs.
///
/// Zero costs no more than the question.
pub fn sleep(duration: Duration) -> Result<(), Cancelled> {
    if cancelled() {
        return Err(Cancelled);
    }
    if duration.is_zero() {
        return Ok(());
    }
    let start = Instant::now();
    loop {
        let left = duration.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(CANCELLATION_POLL));
        if cancelled() {
            return Err(Cancelled);
        }
    }
}
