//! What became of fires.

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::time::Timestamp;

/// The most fires that are counted one by one when many were passed over at once: a schedule of every second may have been away
/// for years.
pub const MAX_COUNTED: u32 = 10_000;

/// What became of a fire, or of several in a row that were passed over for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FireRecord {
    /// Its number in its schedule: 1, 2, … in the order in which they were first recorded; 0 before that.
    pub number: u64,
    /// The moment that the timetable names; of several, the first. Of a run that somebody asked for, the moment of asking.
    pub time: Timestamp,
    /// Of several, the last.
    pub last: Timestamp,
    /// How many; [`MAX_COUNTED`] says at least so many.
    pub count: u32,
    /// Somebody asked for it.
    pub manual: bool,
    /// When it came to this.
    pub decided_at: Timestamp,
    /// What became of it.
    pub outcome: FireOutcome,
}

impl FireRecord {
    /// One fire of the timetable, before it has a number.
    pub(crate) const fn one(time: Timestamp, decided_at: Timestamp, outcome: FireOutcome) -> Self {
        Self { number: 0, time, last: time, count: 1, manual: false, decided_at, outcome }
    }

    /// A run that somebody asked for.
    pub fn asked_for(run: RunId, now: Timestamp) -> Self {
        Self { manual: true, ..Self::one(now, now, FireOutcome::Started { run }) }
    }
}

/// What became of a fire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FireOutcome {
    /// It started a run.
    Started {
        /// The run.
        run: RunId,
    },
    /// It waits for the end of an earlier run.
    Waiting,
    /// It started nothing, as its schedule says.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
    /// Nobody was there when it fell due, and its schedule does not catch up on it.
    Missed,
    /// The definition can't run now.
    Refused {
        /// Why not.
        reason: Box<str>,
    },
}

/// Why a fire was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkipReason {
    /// A run of an earlier fire has not ended.
    Overlap {
        /// That run.
        run: RunId,
    },
    /// As many fires wait as may.
    QueueFull,
    /// A later fire took its place.
    Superseded,
    /// The schedule was paused.
    Paused,
    /// The definition was disabled.
    Disabled,
    /// The definition was given other times.
    Changed,
}

impl FireOutcome {
    /// The outcome's name on the wire and on screens.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Waiting => "waiting",
            Self::Skipped { .. } => "skipped",
            Self::Missed => "missed",
            Self::Refused { .. } => "refused",
        }
    }
}

impl SkipReason {
    /// The reason's name on the wire and on screens.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Overlap { .. } => "overlap",
            Self::QueueFull => "queue-full",
            Self::Superseded => "superseded",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::Changed => "changed",
        }
    }
}

/// How many fires came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FireCounts {
    /// Started a run.
    pub started: u64,
    /// Skipped.
    pub skipped: u64,
    /// Missed.
    pub missed: u64,
    /// Refused.
    pub refused: u64,
    /// The sum of the times from when fires fell due to when their runs were started, in microseconds; without those that
    /// somebody asked for.
    pub late_micros: u64,
}

impl FireCounts {
    /// Counts a fire whose run was started `late` microseconds after it fell due.
    pub(crate) fn add(&mut self, fire: &FireRecord, late: u64) {
        let count = u64::from(fire.count);
        match fire.outcome {
            FireOutcome::Started { .. } => {
                self.started += count;
                self.late_micros = self.late_micros.saturating_add(late);
            }
            FireOutcome::Waiting => {}
            FireOutcome::Skipped { .. } => self.skipped += count,
            FireOutcome::Missed => self.missed += count,
            FireOutcome::Refused { .. } => self.refused += count,
        }
    }

    /// What was added since `earlier`.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            started: self.started - earlier.started,
            skipped: self.skipped - earlier.skipped,
            missed: self.missed - earlier.missed,
            refused: self.refused - earlier.refused,
            late_micros: self.late_micros - earlier.late_micros,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            started: self.started + other.started,
            skipped: self.skipped + other.skipped,
            missed: self.missed + other.missed,
            refused: self.refused + other.refused,
            late_micros: self.late_micros.saturating_add(other.late_micros),
        }
    }
}
