//! [`Hooks`]: who is told of runs and dead letters.

use bulkhead_core::hook::{Delivery, DeliveryState, Hook, HookCounts, HookName};
use bulkhead_core::name::Name;
use bulkhead_engine::store::{DeliveryRequest, HookRecord, Hooks, LeasedDeliveries, Settlement, Signal, StoreFuture};

use super::{Cost, KvStore};
use crate::read::{self, hooks};

/// What an operation without payload weighs.
const LIGHT: usize = 256;

impl<K: 'static> Hooks for KvStore<K> {
    fn put_hook(&self, name: Name, hook: Hook) -> StoreFuture<'_, HookRecord> {
        self.write("put_hook", LIGHT, move |txn| txn.put_hook(name, hook))
    }

    fn delete_hook(&self, name: Name) -> StoreFuture<'_, ()> {
        self.write("delete_hook", LIGHT, move |txn| txn.delete_hook(name))
    }

    fn hook(&self, name: HookName) -> StoreFuture<'_, HookRecord> {
        self.read(Cost::Point, move |kv| hooks::hook(kv, &name))
    }

    fn hooks(&self, after: Option<HookName>, limit: usize) -> StoreFuture<'_, Vec<HookRecord>> {
        self.read(Cost::Range, move |kv| hooks::hooks(kv, after.as_ref(), limit))
    }

    fn hook_counts(&self) -> StoreFuture<'_, HookCounts> {
        self.read(Cost::Point, |kv| Ok(read::totals(kv)?.hooks))
    }

    fn deliveries(
        &self,
        name: HookName,
        state: DeliveryState,
        before: Option<u64>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Delivery>> {
        self.read(Cost::Range, move |kv| hooks::deliveries(kv, &name, state, before, limit))
    }

    fn test_hook(&self, name: HookName) -> StoreFuture<'_, Delivery> {
        self.write("test_hook", LIGHT, move |txn| txn.test_hook(&name))
    }

    fn redeliver(&self, name: HookName, number: Option<u64>) -> StoreFuture<'_, u64> {
        self.write("redeliver", LIGHT, move |txn| txn.redeliver(&name, number))
    }

    fn lease_deliveries(&self, request: DeliveryRequest) -> StoreFuture<'_, LeasedDeliveries> {
        self.write("lease_deliveries", LIGHT, move |txn| txn.lease_deliveries(&request))
    }

    fn settle_delivery(&self, settlement: Settlement) -> StoreFuture<'_, ()> {
        self.write("settle_delivery", LIGHT, move |txn| txn.settle_delivery(settlement))
    }

    fn hook_signal(&self) -> Signal {
        self.signals.hooks()
    }

    fn delivery_signal(&self) -> Signal {
        self.signals.deliveries()
    }
}
