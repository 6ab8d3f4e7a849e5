//! The contract's host functions, one interface a file. Each counts against `limits.host_calls`, and checks what it is given.

mod artifacts;
mod checkpoint;
mod log;
mod status;
mod tasks;

use bulkhead_core::machine::Rejected;
use bulkhead_engine::store::StoreError;

use crate::bindings::bulkhead::plugin::types;
use crate::outcome::Stop;
use crate::state::State;

impl types::Host for State {}

/// What a guest is told of a store that did not do what it asked.
enum Refusal {
    /// The attempt is over, or will be.
    Cancelled,
    /// Trying again is safe.
    Unavailable(String),
    /// The step's quota of tasks.
    SpawnQuota(u32),
}

fn refusal(error: StoreError) -> Result<Refusal, Stop> {
    match error {
        StoreError::Rejected(Rejected::SpawnQuota { limit }) => Ok(Refusal::SpawnQuota(limit)),
        StoreError::Rejected(_) | StoreError::NotFound(_) => Ok(Refusal::Cancelled),
        StoreError::Unavailable { reason, .. } => Ok(Refusal::Unavailable(reason)),
        error @ (StoreError::Conflict(_) | StoreError::Corrupt(_)) => Err(Stop::Host(error.to_string())),
    }
}
