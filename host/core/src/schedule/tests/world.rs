//! A schedule with a clock, its runs and its history.

use std::collections::BTreeMap;

use crate::id::RunId;
use crate::schedule::{Decision, FireOutcome, FireRecord, Schedule, ScheduleRecord};
use crate::time::Timestamp;

/// When every world begins: 2026-01-01T00:00:00Z, a whole hour in every zone that the tests use.
const BEGINNING: u64 = 1_767_225_600;

/// So many seconds after the beginning.
pub(super) fn at(second: u64) -> Timestamp {
    Timestamp::from_micros((BEGINNING + second) * 1_000_000)
}

/// When runs end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ends {
    AtOnce,
    Never,
}

pub(super) struct World {
    pub(super) record: ScheduleRecord,
    pub(super) history: BTreeMap<u64, FireRecord>,
    pub(super) cancelled: Vec<RunId>,
    ends: Ends,
    runs: u128,
}

impl World {
    pub(super) fn new(schedule: Schedule, ends: Ends) -> Self {
        let record = ScheduleRecord::new("job".parse().unwrap(), 1, schedule, true, at(0));
        Self { record, history: BTreeMap::new(), cancelled: Vec::new(), ends, runs: 0 }
    }

    /// Does what is to be done at a moment.
    pub(super) fn look(&mut self, now: Timestamp) {
        for _ in 0..10_000 {
            match self.record.decide(now) {
                None => return,
                Some(Decision::Start(pending)) => {
                    self.runs += 1;
                    let run = RunId::from_u128(self.runs);
                    let fire = self.record.evolve(pending.came_to(now, FireOutcome::Started { run }));
                    self.tell(fire);
                    if self.ends == Ends::AtOnce {
                        assert!(self.record.run_ended(run));
                    }
                }
                Some(Decision::Record { cancel, fires }) => {
                    self.cancelled.extend(cancel);
                    for fire in fires {
                        let fire = self.record.evolve(fire);
                        self.tell(fire);
                    }
                }
            }
        }
        panic!("there is no end to what is to be done at {now:?}: {:?}", self.record);
    }

    fn tell(&mut self, fire: FireRecord) {
        // What is told anew was forgotten before.
        self.history.retain(|_, told| told.outcome != FireOutcome::Waiting || told.time != fire.time);
        self.history.insert(fire.number, fire);
    }

    pub(super) fn end_runs(&mut self) {
        for run in self.record.active.clone() {
            self.record.run_ended(run);
        }
    }

    pub(super) fn pause(&mut self, paused: bool, now: Timestamp) {
        let fire = self.record.set_paused(paused, now);
        fire.into_iter().for_each(|fire| self.tell(fire));
    }

    pub(super) fn change(&mut self, schedule: Schedule, enabled: bool, now: Timestamp) {
        let fires = self.record.change(self.record.version + 1, schedule, enabled, now);
        fires.into_iter().for_each(|fire| self.tell(fire));
    }

    /// The history in words: seconds after the beginning, the outcome, and how many.
    pub(super) fn told(&self) -> Vec<String> {
        let second = |moment: Timestamp| moment.as_micros() / 1_000_000 - BEGINNING;
        let tell = |fire: &FireRecord| {
            let last = if fire.last > fire.time { format!("-{}", second(fire.last)) } else { String::new() };
            let reason = match &fire.outcome {
                FireOutcome::Skipped { reason } => format!(" {}", reason.name()),
                _ => String::new(),
            };
            let count = if fire.count > 1 { format!(" {}", fire.count) } else { String::new() };
            format!("{}{last} {}{reason}{count}", second(fire.time), fire.outcome.name())
        };
        self.history.values().map(tell).collect()
    }
}
