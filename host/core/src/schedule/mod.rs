//! Schedules: when a definition runs by itself, and what becomes of each of its fires.
//!
//! A [`Schedule`] is what the definition says. A [`Timetable`] turns its cron expression and time zone into moments. A
//! [`ScheduleRecord`] is where a schedule stands: [`ScheduleRecord::decide`] says what is to happen now, and the caller records
//! what did with [`ScheduleRecord::evolve`].
//!
//! # Invariants
//! - A fire is decided once: the record's `cursor` is past it then, and the cursor never goes back, whatever the clock does.
//! - No fire goes without a word: each is started, waits, was skipped, was missed or was refused, and the history says which.
//! - Time zones come from the database in this program, so that every machine agrees and none needs one of its own.

mod fire;
mod record;
#[cfg(test)]
mod tests;
mod timetable;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use fire::{FireCounts, FireOutcome, FireRecord, MAX_COUNTED, SkipReason};
pub use record::{Decision, MAX_ACTIVE, MAX_FIRES, PUNCTUAL, Pending, ScheduleRecord};
pub use timetable::{Timetable, TimetableError, zone_names};

/// When a definition runs by itself, and what holds for these runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// A cron expression of five fields, or six with the seconds first.
    pub cron: String,
    /// The time zone that the expression is read in, by its IANA name.
    pub timezone: String,
    /// What happens to a fire while a run of an earlier one has not ended.
    pub overlap: Overlap,
    /// What happens to fires that fell due while nobody was there.
    pub catch_up: CatchUp,
    /// Each fire is late by a part of this, always the same part for the same fire.
    pub jitter: Duration,
    /// Whether the schedule begins paused.
    pub paused: bool,
    /// The parameters of its runs: a JSON object.
    pub parameters: String,
}

impl Schedule {
    /// A schedule with the policies that hold where a definition names none.
    pub fn new(cron: impl Into<String>) -> Self {
        Self {
            cron: cron.into(),
            timezone: "UTC".to_owned(),
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
            jitter: Duration::ZERO,
            paused: false,
            parameters: "{}".to_owned(),
        }
    }

    /// Whether both fire at the same moments.
    pub(crate) fn same_times(&self, other: &Self) -> bool {
        (&self.cron, &self.timezone, self.jitter) == (&other.cron, &other.timezone, other.jitter)
    }
}

/// What happens to a fire while a run of an earlier one has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overlap {
    /// It is skipped.
    #[default]
    Skip,
    /// It waits for the earlier ones, and is skipped where `most` wait already.
    Queue {
        /// The most fires that wait.
        most: u32,
    },
    /// The earlier run is cancelled, and the fire starts once that has ended. Of several that wait only the last one starts.
    Cancel,
}

impl Overlap {
    /// The policy's name in definitions and on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue { .. } => "queue",
            Self::Cancel => "cancel",
        }
    }
}

/// What happens to fires that are decided more than [`PUNCTUAL`] after they fell due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CatchUp {
    /// They are missed.
    #[default]
    None,
    /// The last one starts late, unless it is older than the window; the others are missed.
    Last {
        /// How late it may start.
        window: Duration,
    },
    /// They start late, one after the other as the overlap policy says; those older than the window, and all but the last `most`,
    /// are missed.
    All {
        /// The most fires that are caught up on.
        most: u32,
        /// How late they may start.
        window: Duration,
    },
}

impl CatchUp {
    /// The policy's name in definitions and on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Last { .. } => "last",
            Self::All { .. } => "all",
        }
    }
}
