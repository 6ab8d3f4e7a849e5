//! More work for the same step.

use std::fmt;

use serde::Serialize;

use crate::bindings::bulkhead::plugin::tasks as host;

/// Tasks that one host call takes, by the contract.
const CHUNK_TASKS: usize = 10_000;

/// Bytes of keys and inputs after which a chunk is sent although it holds fewer tasks, so that neither side buffers much.
const CHUNK_BYTES: usize = 256 * 1024;

/// What was spawned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spawned {
    /// Tasks that are new.
    pub created: u64,
    /// Tasks that the step already had under the same key.
    pub existing: u64,
}

/// Why not everything was spawned. Tasks of chunks that the host took before stay; spawning all of them again is safe.
#[derive(Debug)]
pub enum SpawnError {
    /// The step's `limits.spawned_tasks` would be passed.
    Quota {
        /// The limit.
        limit: u32,
    },
    /// The host does not accept a key or an input.
    Invalid(String),
    /// An input cannot be written as JSON.
    Input(serde_json::Error),
    /// The run is ending, or this attempt no longer holds its task.
    Cancelled,
    /// The store could not take the tasks now. Trying again is safe.
    Unavailable(String),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::Quota { limit } => write!(f, "the step may spawn no more than {limit} tasks (limits.spawned_tasks)"),
            SpawnError::Invalid(reason) => write!(f, "the host refused to spawn: {reason}"),
            SpawnError::Input(_) => f.write_str("a task's input is no JSON"),
            SpawnError::Cancelled => f.write_str("nothing more is spawned: the run is ending"),
            SpawnError::Unavailable(reason) => write!(f, "the host could not spawn now: {reason}"),
        }
    }
}

impl std::error::Error for SpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SpawnError::Input(source) => Some(source),
            _ => None,
        }
    }
}

/// Creates tasks in this task's step, each with its deduplication key (at most 512 bytes, unique in the step) and its input.
///
/// When it returns, they are durable. A key that the step already has creates nothing, so a retried call spawns nothing twice.
/// The tasks are taken from the iterator in chunks of at most 10,000: a million of them need little memory.
pub fn spawn<K, I>(tasks: impl IntoIterator<Item = (K, I)>) -> Result<Spawned, SpawnError>
where
    K: Into<String>,
    I: Serialize,
{
    let mut total = Spawned::default();
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for (key, input) in tasks {
        let task = host::TaskSpec { key: key.into(), input: serde_json::to_string(&input).map_err(SpawnError::Input)? };
        bytes += task.key.len() + task.input.len();
        chunk.push(task);
        if chunk.len() == CHUNK_TASKS || bytes >= CHUNK_BYTES {
            send(&mut total, &chunk)?;
            chunk.clear();
            bytes = 0;
        }
    }
    if !chunk.is_empty() {
        send(&mut total, &chunk)?;
    }
    Ok(total)
}

fn send(total: &mut Spawned, chunk: &[host::TaskSpec]) -> Result<(), SpawnError> {
    let spawned = host::spawn(chunk).map_err(|error| match error {
        host::SpawnError::Quota(limit) => SpawnError::Quota { limit },
        host::SpawnError::Invalid(reason) => SpawnError::Invalid(reason),
        host::SpawnError::Cancelled => SpawnError::Cancelled,
        host::SpawnError::Unavailable(reason) => SpawnError::Unavailable(reason),
    })?;
    total.created += u64::from(spawned.created);
    total.existing += u64::from(spawned.existing);
    Ok(())
}
