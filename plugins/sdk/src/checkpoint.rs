//! What outlives an attempt, so that a retry goes on where the last attempt stopped.
//!
//! ```no_run
//! # use bulkhead_plugin::{checkpoint, Error};
//! # fn index(page: u64) {}
//! # fn run() -> Result<(), Error> {
//! let mut next: u64 = checkpoint::load()?.unwrap_or(0);
//! while next < 1_000 {
//!     index(next);
//!     next += 1;
//!     checkpoint::save(&next)?;
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::bulkhead::plugin::checkpoint as host;

/// Why nothing was saved or loaded.
#[derive(Debug)]
pub enum CheckpointError {
    /// It is larger than what the host keeps for a task.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The value cannot be written as JSON, or what was saved does not fit the type.
    Json(serde_json::Error),
    /// This attempt no longer holds its task.
    Cancelled,
    /// The store could not answer now. Trying again is safe.
    Unavailable(String),
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointError::TooLarge { limit } => write!(f, "the checkpoint is larger than {limit} bytes"),
            CheckpointError::Json(_) => f.write_str("the checkpoint does not fit its type"),
            CheckpointError::Cancelled => f.write_str("no checkpoint: this attempt no longer holds its task"),
            CheckpointError::Unavailable(reason) => write!(f, "no checkpoint now: {reason}"),
        }
    }
}

impl std::error::Error for CheckpointError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CheckpointError::Json(source) => Some(source),
            _ => None,
        }
    }
}

impl From<host::CheckpointError> for CheckpointError {
    fn from(error: host::CheckpointError) -> Self {
        match error {
            host::CheckpointError::TooLarge(limit) => CheckpointError::TooLarge { limit },
            host::CheckpointError::Cancelled => CheckpointError::Cancelled,
            host::CheckpointError::Unavailable(reason) => CheckpointError::Unavailable(reason),
        }
    }
}

/// Replaces the task's checkpoint by a value, kept as JSON. When it returns, the checkpoint is durable.
pub fn save<T: Serialize + ?Sized>(value: &T) -> Result<(), CheckpointError> {
    save_bytes(&serde_json::to_vec(value).map_err(CheckpointError::Json)?)
}

/// The value that this attempt or an earlier one saved last.
pub fn load<T: DeserializeOwned>() -> Result<Option<T>, CheckpointError> {
    load_bytes()?.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(CheckpointError::Json)
}

/// Replaces the task's checkpoint by bytes of the plugin's own format.
pub fn save_bytes(bytes: &[u8]) -> Result<(), CheckpointError> {
    Ok(host::save(bytes)?)
}

/// The bytes that this attempt or an earlier one saved last.
pub fn load_bytes() -> Result<Option<Vec<u8>>, CheckpointError> {
    Ok(host::load()?)
}
