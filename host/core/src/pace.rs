//! How fast a step's tasks have come to an end lately.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Counts what happens, by when it did, for as long as [`Pace::WINDOW`]. It is stored with the step and changes with its tasks, so it
/// survives a restart, and reading it costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// The number of the latest interval since the epoch.
    latest: u64,
    /// What happened in the latest intervals, by their numbers modulo [`INTERVALS`].
    counts: [u32; INTERVALS as usize],
}

/// How long an interval is, in microseconds: 5 s.
const INTERVAL: u64 = 5_000_000;
/// How many intervals are kept.
const INTERVALS: u64 = 12;

impl Pace {
    /// What a rate is of: the last minute.
    pub const WINDOW: Duration = Duration::from_micros(INTERVAL * INTERVALS);

    /// Something happened.
    pub fn count(&mut self, now: Timestamp) {
        // A clock that goes back counts to the latest interval.
        let interval = (now.as_micros() / INTERVAL).max(self.latest);
        let passed = (interval - self.latest).min(INTERVALS);
        for new in interval + 1 - passed..=interval {
            self.counts[(new % INTERVALS) as usize] = 0;
        }
        self.latest = interval;
        let count = &mut self.counts[(interval % INTERVALS) as usize];
        *count = count.saturating_add(1);
    }

    /// How often it happened per second in the last [`Self::WINDOW`], or since `start` where that is shorter ago.
    pub fn per_second(&self, start: Timestamp, now: Timestamp) -> f64 {
        let interval = (now.as_micros() / INTERVAL).max(self.latest);
        let oldest = (interval + 1).saturating_sub(INTERVALS);
        let known = oldest.max((self.latest + 1).saturating_sub(INTERVALS))..=self.latest;
        let count: u64 = known.map(|interval| u64::from(self.counts[(interval % INTERVALS) as usize])).sum();
        let since = Timestamp::from_micros(oldest * INTERVAL).max(start);
        count as f64 / now.since(since).as_secs_f64().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + seconds * 1_000_000)
    }

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let mut pace = Pace::default();
        for second in 0..600 {
            pace.count(at(second));
            pace.count(at(second));
        }
        assert!((pace.per_second(at(0), at(599)) - 2.0).abs() < 0.1, "{}", pace.per_second(at(0), at(599)));
        // It fades when nothing happens any more, and is gone after a minute.
        assert!((0.8..1.2).contains(&pace.per_second(at(0), at(629))));
        assert_eq!(pace.per_second(at(0), at(700)), 0.0);
        pace.count(at(700));
        assert!(pace.per_second(at(0), at(700)) < 0.1);
    }

    #[test]
    fn what_began_a_moment_ago_is_not_averaged_over_a_minute() {
        let mut pace = Pace::default();
        (0..50).for_each(|_| pace.count(at(3)));
        assert_eq!(pace.per_second(at(1), at(6)), 10.0);
        assert_eq!(pace.per_second(at(6), at(6)), 50.0, "at least a second has passed");
        assert_eq!(Pace::default().per_second(at(1), at(6)), 0.0);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut pace = Pace::default();
        pace.count(at(100));
        pace.count(at(20));
        assert!(pace.per_second(at(99), at(101)) >= 1.0);
    }
}
