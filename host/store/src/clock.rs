//! Time, as leases and due times see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bulkhead_core::time::Timestamp;

/// Where a store takes the time from.
pub(crate) trait TimeSource: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// Which clock a store goes by.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    System,
    /// One that moves when it is told to.
    Manual(ManualClock),
}

impl TimeSource for Clock {
    fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::EPOCH.after(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// A clock that moves only when it is told to. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(now.as_micros())))
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    /// Makes it show another time, an earlier one too: a store stays at the latest that it saw.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves it on.
    pub fn advance(&self, by: std::time::Duration) {
        self.set(self.now().after(by));
    }
}

impl TimeSource for ManualClock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}

/// A clock that never goes back, whatever its source does.
pub(crate) struct MonotonicClock {
    source: Box<dyn TimeSource>,
    latest: AtomicU64,
}

impl MonotonicClock {
    pub(crate) fn new(source: impl TimeSource) -> Self {
        Self { source: Box::new(source), latest: AtomicU64::new(0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let now = self.source.now().as_micros();
        Timestamp::from_micros(self.latest.fetch_max(now, Ordering::AcqRel).max(now))
    }
}
