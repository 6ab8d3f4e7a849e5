//! Hooks: who is told of runs and dead letters, and what is still to be told.

use std::collections::BTreeMap;
use std::time::Duration;

use bulkhead_core::hook::{Answer, Delivery, DeliveryState, Hook, HookCounts, HookName};
use bulkhead_core::name::Name;
use bulkhead_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Signal, StoreFuture};

/// The deliveries of one hook that may wait. What happens while so many do is not told, and counted as dropped.
pub const MAX_WAITING: u64 = 20_000;
/// The failed deliveries of one hook that are kept. Of more, the oldest are dropped.
pub const MAX_FAILED: u64 = 1_000;
/// The deliveries of one hook that arrived and are kept, the latest.
pub const DELIVERED_KEPT: u64 = 100;

/// Hooks and their outbox. What is to be told is recorded in the transaction that causes it. The hooks that a definition states come,
/// change and go with it, in the same transactions.
pub trait Hooks: Send + Sync + 'static {
    /// Stores a hook of the server under its name, or changes the one that has it: what it is still to be told stays.
    fn put_hook(&self, name: Name, hook: Hook) -> StoreFuture<'_, HookRecord>;

    /// Removes a hook of the server, and what it was still to be told.
    fn delete_hook(&self, name: Name) -> StoreFuture<'_, ()>;

    /// A hook.
    fn hook(&self, name: HookName) -> StoreFuture<'_, HookRecord>;

    /// Hooks in the order of their names, after `after`.
    fn hooks(&self, after: Option<HookName>, limit: usize) -> StoreFuture<'_, Vec<HookRecord>>;

    /// The deliveries of all hooks that there ever were, counted.
    fn hook_counts(&self) -> StoreFuture<'_, HookCounts>;

    /// The latest deliveries of a hook in a state, the newest first, before number `before`.
    fn deliveries(
        &self,
        name: HookName,
        state: DeliveryState,
        before: Option<u64>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Delivery>>;

    /// Records a delivery that tests a hook.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](super::StoreError::Conflict) where [`MAX_WAITING`] deliveries wait.
    fn test_hook(&self, name: HookName) -> StoreFuture<'_, Delivery>;

    /// Has failed deliveries sent again, under their ids: the one with this number, or all. How many.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) where the one did not fail, or is not kept any more.
    fn redeliver(&self, name: HookName, number: Option<u64>) -> StoreFuture<'_, u64>;

    /// Hands out what is due, as one more attempt at each. What is not settled within the lease is due again.
    fn lease_deliveries(&self, request: DeliveryRequest) -> StoreFuture<'_, LeasedDeliveries>;

    /// Records what came of an attempt. One that is not the last changes nothing.
    fn settle_delivery(&self, settlement: Settlement) -> StoreFuture<'_, ()>;

    /// A signal that a delivery may be due earlier than before. As [`Queue::work_signal`](super::Queue::work_signal) for the rest.
    fn hook_signal(&self) -> Signal;

    /// A signal that a hook was changed, or that something became of a delivery. As
    /// [`Queue::work_signal`](super::Queue::work_signal) for the rest.
    fn delivery_signal(&self) -> Signal;
}

/// A hook as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRecord {
    /// Its name.
    pub name: HookName,
    /// Who is told of what.
    pub hook: Hook,
    /// When it was made.
    pub created_at: Timestamp,
    /// What became of its deliveries. They are numbered from 1 to the total, those left out that were dropped at once.
    pub counts: HookCounts,
}

/// What can be sent now.
#[derive(Clone, Debug)]
pub struct DeliveryRequest {
    /// Begin with the hook after this one: the one that was served last. So every hook gets its turn.
    pub after: Option<HookName>,
    /// How many places of its room each hook uses already.
    pub busy: BTreeMap<HookName, usize>,
    /// The most at once to one hook.
    pub per_hook: usize,
    /// The most that are given.
    pub limit: usize,
    /// How long an attempt may take.
    pub lease: Duration,
}

/// What [`Hooks::lease_deliveries`] gave.
#[derive(Clone, Debug, Default)]
pub struct LeasedDeliveries {
    /// What to send, with whom to send it to.
    pub deliveries: Vec<(HookRecord, Delivery)>,
    /// When the next one falls due of the hooks that have room left.
    pub next: Option<Timestamp>,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The hook.
    pub hook: HookName,
    /// The delivery's number.
    pub number: u64,
    /// The delivery's id: a hook that was made anew has the same numbers.
    pub id: Box<str>,
    /// The attempt.
    pub attempt: u32,
    /// What the receiver said.
    pub answer: Answer,
    /// What becomes of the delivery.
    pub end: DeliveryEnd,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// It arrived.
    Delivered,
    /// It is tried again.
    Retry {
        /// Not before so much time has passed.
        wait: Duration,
    },
    /// It failed for good.
    Failed,
}
