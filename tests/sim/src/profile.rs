//! What kind of world a seed makes: how many workers, how bad the weather.

use std::time::Duration;

use bulkhead_engine::store::Retention;

use crate::rng::Rng;
use crate::timetable::Timetable;
use crate::uploads;

/// What memory is dealt out in: as small as a definition's text can say, times ten.
pub(crate) const MEMORY_UNIT: u64 = 1 << 20;

/// The fixed choices of a world.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// Processes with a worker each. One is an embedded store; two share one, as machines do.
    pub(crate) workers: usize,
    /// Nothing fails: what must be quick can be timed.
    pub(crate) calm: bool,
    /// Attempts at once, per worker.
    pub(crate) slots: usize,
    /// Memory per worker, in bytes.
    pub(crate) memory: u64,
    /// The workers' leases.
    pub(crate) lease: Duration,
    /// Runs in all.
    pub(crate) runs: u64,
    /// How long faults go on.
    pub(crate) storm: Duration,
    /// Calls that take a while, of 1,000.
    pub(crate) slow_calls: u64,
    /// The longest such while, in milliseconds.
    pub(crate) slowest_call: u64,
    /// Calls that the store refuses, of 1,000.
    pub(crate) refused_calls: u64,
    /// Writes whose acknowledgement is lost, of 1,000.
    pub(crate) lost_acks: u64,
    /// Signals that are lost, of 1,000.
    pub(crate) lost_signals: u64,
    /// The longest pause between two disasters, in milliseconds; none happen where 0.
    pub(crate) disasters: u64,
    /// The longest pause between two commands, in milliseconds; none come where 0.
    pub(crate) commands: u64,
    /// How long ended runs are kept.
    pub(crate) retention: Retention,
    /// The definition that runs by itself.
    pub(crate) timetable: Option<Timetable>,
    /// Plugins that are uploaded and checked in the background.
    pub(crate) uploads: u64,
}

impl Profile {
    /// The profile of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::of(seed, &[1]);
        let calm = rng.permille(200);
        let workers = if rng.permille(500) { 1 } else { 2 };
        let lease = rng.millis(1_000, 5_000);
        let slots = rng.between(1, 6) as usize;
        Self {
            workers,
            calm,
            slots,
            memory: rng.between(100, 400) * MEMORY_UNIT,
            lease,
            runs: rng.between(1, 8),
            storm: rng.millis(5_000, 40_000),
            slow_calls: rng.pick(&[0, 50, 300]),
            slowest_call: rng.pick(&[2, 20, 200]),
            refused_calls: if calm { 0 } else { rng.pick(&[0, 0, 5, 30]) },
            lost_acks: if calm { 0 } else { rng.pick(&[0, 0, 5, 30]) },
            lost_signals: if calm { 0 } else { rng.pick(&[0, 0, 100, 1_000]) },
            disasters: if calm { 0 } else { rng.pick(&[0, 500, 2_000, 6_000, 15_000]) },
            commands: rng.pick(&[0, 300, 1_000, 5_000]),
            retention: Retention { age: None, count: rng.pick(&[None, None, None, Some(2)]) },
            timetable: Timetable::of(seed),
            // A process hears of what it took itself.
            uploads: if workers == 1 { uploads::count(seed) } else { 0 },
        }
    }
}
