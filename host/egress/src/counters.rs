//! What passed so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bulkhead_engine::egress::EgressStatistics;

/// Counted where it happens. Each number stands for itself, so no order between them matters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) answered: Counter,
    pub(crate) denied: Counter,
    pub(crate) failed: Counter,
    pub(crate) in_flight: Counter,
    pub(crate) waiting: Counter,
    pub(crate) connections_made: Counter,
    pub(crate) connections_open: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) bytes_received: Counter,
}

impl Counters {
    pub(crate) fn read(&self) -> EgressStatistics {
        EgressStatistics {
            answered: self.answered.get(),
            denied: self.denied.get(),
            failed: self.failed.get(),
            in_flight: self.in_flight.get(),
            waiting: self.waiting.get(),
            connections_made: self.connections_made.get(),
            connections_open: self.connections_open.get(),
            bytes_sent: self.bytes_sent.get(),
            bytes_received: self.bytes_received.get(),
        }
    }
}

/// One number, shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts one for as long as the value lives.
    pub(crate) fn hold(&self) -> Held {
        self.add(1);
        Held(self.clone())
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of what a counter counts.
#[derive(Debug)]
pub(crate) struct Held(Counter);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
