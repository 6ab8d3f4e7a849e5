//! Points in time, as the store's clock tells them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch: before everything.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// This long later; stays at the last representable moment.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this moment; zero where the clock went backwards.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_neither_overflow_nor_go_below_the_epoch() {
        let now = Timestamp::from_micros(1_500);
        assert_eq!(now.after(Duration::from_micros(500)).as_micros(), 2_000);
        assert_eq!(now.after(Duration::MAX).as_micros(), u64::MAX);
        assert_eq!(now.since(Timestamp::from_micros(500)), Duration::from_millis(1));
        assert_eq!(Timestamp::EPOCH.since(now), Duration::ZERO);
        assert_eq!(now.as_millis(), 1);
    }
}
