//! Where a schedule stands, and what is to happen next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CatchUp, FireCounts, FireOutcome, FireRecord, MAX_COUNTED, Overlap, Schedule, SkipReason, Timetable};
use crate::id::RunId;
use crate::name::Name;
use crate::time::Timestamp;

/// The latest fires that a schedule's history keeps.
pub const MAX_FIRES: u64 = 200;
/// The most runs of one schedule that later fires look at: overlap policies allow one, the others somebody asked for.
pub const MAX_ACTIVE: usize = 100;
/// A fire that is decided no later than this after it fell due is on time, however short the pauses between fires.
pub const PUNCTUAL: Duration = Duration::from_secs(10);

/// A definition's schedule and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// The definition.
    pub id: Name,
    /// The definition's version that says so.
    pub version: u64,
    /// What the definition says.
    pub schedule: Schedule,
    /// Whether the definition may run.
    pub enabled: bool,
    /// Whether somebody paused it, or it began so.
    pub paused: bool,
    /// Every fire up to this moment is decided.
    pub cursor: Timestamp,
    /// The first fire after it.
    pub next: Option<Timestamp>,
    /// Fires that wait for the end of earlier runs, the oldest first.
    pub waiting: Vec<Pending>,
    /// Its runs that have not ended.
    pub active: Vec<RunId>,
    /// How many fires were recorded: the number of the last one.
    pub fires: u64,
    /// The last fire that started a run.
    pub last_started: Option<FireRecord>,
    /// How many fires came to what.
    pub counts: FireCounts,
}

/// A fire that is to start a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its number, if it has one already because it waited; else 0.
    pub number: u64,
    /// The moment that the timetable names.
    pub time: Timestamp,
}

impl Pending {
    /// What became of it.
    pub fn came_to(&self, now: Timestamp, outcome: FireOutcome) -> FireRecord {
        FireRecord { number: self.number, ..FireRecord::one(self.time, now, outcome) }
    }
}

/// What is to happen to a schedule now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Start a run, and record that with the outcome; or record why that can't be.
    Start(Pending),
    /// Cancel these runs, and record these fires.
    Record {
        /// The runs to cancel.
        cancel: Vec<RunId>,
        /// The fires.
        fires: Vec<FireRecord>,
    },
}

impl ScheduleRecord {
    /// A definition's new schedule: its fires begin after `now`.
    pub fn new(id: Name, version: u64, schedule: Schedule, enabled: bool, now: Timestamp) -> Self {
        let mut record = Self {
            id,
            version,
            enabled,
            paused: schedule.paused,
            cursor: now,
            next: None,
            waiting: Vec::new(),
            active: Vec::new(),
            fires: 0,
            last_started: None,
            counts: FireCounts::default(),
            schedule,
        };
        record.pass(now);
        record
    }

    /// The times that the schedule names. Definitions are checked before they are stored, so it is absent only where this
    /// program knows a zone or an expression no more that an earlier one knew; then nothing fires.
    pub fn timetable(&self) -> Option<Timetable> {
        Timetable::new(&self.schedule.cron, &self.schedule.timezone).ok()
    }

    /// When a fire falls due: its time, and a part of the jitter that follows from the schedule's id and the time.
    pub fn due_of(&self, time: Timestamp) -> Timestamp {
        let most = u64::try_from(self.schedule.jitter.as_micros()).unwrap_or(u64::MAX);
        if most == 0 {
            return time;
        }
        // FNV-1a over the id, then SplitMix64's finalizer over both: enough to spread fires, and the same everywhere.
        let id = self.id.as_str().bytes();
        let id = id.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut mixed = id ^ time.as_micros();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        time.after(Duration::from_micros((mixed ^ (mixed >> 31)) % most.saturating_add(1)))
    }

    /// When [`Self::decide`] has something to say next; absent where only a change, or the end of a run, can bring that about.
    pub fn due(&self) -> Option<Timestamp> {
        if !self.enabled || self.paused {
            return None;
        }
        if !self.waiting.is_empty() && self.active.is_empty() {
            return Some(Timestamp::EPOCH);
        }
        self.next.map(|next| self.due_of(next))
    }

    /// What is to happen now, if anything. Record it with [`Self::evolve`], then ask again.
    pub fn decide(&self, now: Timestamp) -> Option<Decision> {
        if self.due()? > now {
            return None;
        }
        if let (Some(first), true) = (self.waiting.first(), self.active.is_empty()) {
            return Some(Decision::Start(*first));
        }
        let next = self.next?;
        if let Some(missed) = self.missed(next, now) {
            return Some(Decision::Record { cancel: Vec::new(), fires: vec![missed] });
        }
        let Some(&running) = self.active.first() else {
            return Some(Decision::Start(Pending { number: 0, time: next }));
        };
        let fire = |outcome| FireRecord::one(next, now, outcome);
        let skipped = |reason| fire(FireOutcome::Skipped { reason });
        let (cancel, fires) = match self.schedule.overlap {
            Overlap::Skip => (Vec::new(), vec![skipped(SkipReason::Overlap { run: running })]),
            Overlap::Queue { most } if self.waiting.len() >= most as usize => (Vec::new(), vec![skipped(SkipReason::QueueFull)]),
            Overlap::Queue { .. } => (Vec::new(), vec![fire(FireOutcome::Waiting)]),
            Overlap::Cancel => {
                let mut fires = self.dropped(SkipReason::Superseded, now);
                fires.push(fire(FireOutcome::Waiting));
                (self.active.clone(), fires)
            }
        };
        Some(Decision::Record { cancel, fires })
    }

    /// The fires from `next` on that are too late for the catch-up policy, as one record.
    fn missed(&self, next: Timestamp, now: Timestamp) -> Option<FireRecord> {
        if now.since(self.due_of(next)) <= PUNCTUAL {
            return None;
        }
        let earlier = |moment: Timestamp, by: Duration| {
            Timestamp::from_micros(moment.as_micros().saturating_sub(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
        };
        // Up to here fires are due, whatever their part of the jitter.
        let until = earlier(now, self.schedule.jitter);
        let (most, window) = match self.schedule.catch_up {
            CatchUp::None => (1, PUNCTUAL),
            CatchUp::Last { window } => (1, window),
            CatchUp::All { most, window } => (most as usize, window),
        };
        let table = self.timetable()?;
        let oldest = earlier(until, window.max(PUNCTUAL).saturating_add(Duration::from_micros(1)));
        let kept = if next > until { Some(next) } else { table.last(oldest.max(self.cursor), until, most).first().copied() };
        // Where the jitter hides whether a fire is late, that of the fire itself says so.
        if kept.is_some_and(|kept| kept <= next) {
            return None;
        }
        let before = kept.map_or(until.max(next), |kept| earlier(kept, Duration::from_micros(1)));
        self.passed(&table, before, FireOutcome::Missed, now)
    }

    /// The fires after the cursor up to `until`, as one record; absent where there is none.
    fn passed(&self, table: &Timetable, until: Timestamp, outcome: FireOutcome, now: Timestamp) -> Option<FireRecord> {
        let mut fires = table.between(self.cursor, until);
        let time = fires.next()?;
        let (mut last, mut count) = (time, 1);
        for fire in fires.take(MAX_COUNTED as usize - 1) {
            (last, count) = (fire, count + 1);
        }
        if count == MAX_COUNTED {
            last = table.last(last, until, 1).first().copied().unwrap_or(last);
        }
        Some(FireRecord { last, count, ..FireRecord::one(time, now, outcome) })
    }

    /// The waiting fires, given up.
    fn dropped(&self, reason: SkipReason, now: Timestamp) -> Vec<FireRecord> {
        self.waiting.iter().map(|waiting| waiting.came_to(now, FireOutcome::Skipped { reason })).collect()
    }

    /// Moves the cursor on, and never back.
    fn pass(&mut self, until: Timestamp) {
        self.cursor = self.cursor.max(until);
        self.next = self.timetable().and_then(|table| table.next_after(self.cursor));
    }

    /// Applies what became of a fire, and returns the record as it belongs into the history, under its number.
    pub fn evolve(&mut self, mut fire: FireRecord) -> FireRecord {
        // A fire that waited for so long that the history has forgotten it is told anew.
        if fire.number == 0 || fire.number + MAX_FIRES <= self.fires {
            self.fires += 1;
            fire.number = self.fires;
        }
        let late = if fire.manual { Duration::ZERO } else { fire.decided_at.since(self.due_of(fire.time)) };
        self.counts.add(&fire, u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
        if !fire.manual {
            self.waiting.retain(|waiting| waiting.time != fire.time);
        }
        match fire.outcome {
            FireOutcome::Started { run } => {
                self.run_opened(run);
                self.last_started = Some(fire.clone());
            }
            FireOutcome::Waiting => self.waiting.push(Pending { number: fire.number, time: fire.time }),
            FireOutcome::Skipped { .. } | FireOutcome::Missed | FireOutcome::Refused { .. } => {}
        }
        if !fire.manual && fire.last > self.cursor {
            self.pass(fire.last);
        }
        fire
    }

    /// The definition has another version. Returns the fires that come to nothing by that, for the history.
    pub fn change(&mut self, version: u64, schedule: Schedule, enabled: bool, now: Timestamp) -> Vec<FireRecord> {
        let same_times = self.schedule.same_times(&schedule);
        let mut fires = Vec::new();
        if !(same_times && self.enabled) {
            let reason = if self.enabled { SkipReason::Changed } else { SkipReason::Disabled };
            let table = self.timetable();
            fires.extend(table.and_then(|table| self.passed(&table, now, FireOutcome::Skipped { reason }, now)));
        }
        if !enabled {
            fires.extend(self.dropped(SkipReason::Disabled, now));
        }
        let fires = fires.into_iter().map(|fire| self.evolve(fire)).collect();
        if schedule.paused != self.schedule.paused {
            self.paused = schedule.paused;
        }
        (self.version, self.schedule) = (version, schedule);
        if !(same_times && self.enabled) {
            self.pass(now);
        }
        self.enabled = enabled;
        fires
    }

    /// Pauses or resumes. Returns what fell due during a pause and was skipped, for the history.
    pub fn set_paused(&mut self, paused: bool, now: Timestamp) -> Option<FireRecord> {
        if self.paused == paused {
            return None;
        }
        self.paused = paused;
        let outcome = FireOutcome::Skipped { reason: SkipReason::Paused };
        let skipped = (!paused).then(|| self.timetable()).flatten().and_then(|table| self.passed(&table, now, outcome, now));
        let skipped = skipped.map(|fire| self.evolve(fire));
        if !paused {
            self.pass(now);
        }
        skipped
    }

    /// One of its runs has ended; whether that was known to be one.
    pub fn run_ended(&mut self, run: RunId) -> bool {
        let before = self.active.len();
        self.active.retain(|active| *active != run);
        self.active.len() < before
    }

    /// One of its runs was started, or opened again by a retry.
    pub fn run_opened(&mut self, run: RunId) {
        if self.active.len() < MAX_ACTIVE && !self.active.contains(&run) {
            self.active.push(run);
        }
    }
}
