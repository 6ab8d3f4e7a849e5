//! Stores: redb in a file, and sorted maps in memory.
//!
//! The domain transactions are written once, over a small ordered key-value store with two backends; a conformance suite runs
//! on both. They call [`bulkhead_core::machine`] and decide nothing themselves: what they add is that records, indexes,
//! counters, history and log lines change together, durably, or not at all.
//!
//! From the outside in: `store` is the port; `writer` groups operations into transactions; `txn` holds the operations, `read`
//! the reads; `agenda` is the order of claiming; `record`, `keys`, `logs` and `events` say how things are stored; `kv` is the
//! key-value store; `migrate` is the history of the format; `content` keeps what is too large for a record.
//!
//! # Invariants
//! - Nothing is acknowledged, and no signal fires, before its commit is durable.
//! - Indexes hold live work only, so nothing grows slower with history.
//! - Whatever is counted is counted in the transaction that changes it; `recount` proves it.

mod agenda;
mod clock;
mod content;
mod events;
mod keys;
mod kv;
mod logs;
mod memory;
mod migrate;
mod read;
mod record;
mod redb;
mod signals;
mod store;
mod txn;
mod writer;

pub use self::clock::{Clock, ManualClock};
pub use self::kv::OpenDatabase;
pub use self::memory::{Fault, Memory, MemoryStore};
pub use self::migrate::MigrateError;
pub use self::redb::{FILE_NAME, OpenError, Redb, RedbOptions, RedbStore};
pub use self::store::KvStore;
