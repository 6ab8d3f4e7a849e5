//! Which steps have tasks to claim, in the order of claiming.
//!
//! Kept in memory by the writer and made anew from the `ready` rows when a store opens: it changes with nearly every
//! transaction, and holds one entry per claimable step, never one per task. A step that is paused, saturated, stopping or
//! empty has no entry, so a claim never looks at it.

use std::collections::{BTreeSet, HashMap};

use bulkhead_core::id::{RunId, StepIndex};
use bulkhead_core::plan::Priority;
use bulkhead_core::time::Timestamp;

/// A step's place: by priority, the highest first; then by the due time of its first waiting task; then by age of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    rank: u8,
    pub(crate) due: Timestamp,
    pub(crate) run: RunId,
    pub(crate) step: StepIndex,
}

/// The least place of a priority.
fn first_of_rank(rank: u8) -> Place {
    Place { rank, due: Timestamp::EPOCH, run: RunId::from_u128(0), step: StepIndex(0) }
}

/// What a change of a step's place means for those who wait for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The step can be claimed from earlier than before.
    Earlier,
    /// Nothing that anybody waits for.
    Later,
}

/// All claimable steps.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    places: BTreeSet<Place>,
    of_step: HashMap<(RunId, StepIndex), (u8, Timestamp)>,
}

impl Agenda {
    /// Gives a step its place, or none.
    pub(crate) fn set(&mut self, run: RunId, step: StepIndex, head: Option<(Priority, Timestamp)>) -> Change {
        let head = head.map(|(priority, due)| (u8::MAX - priority.0, due));
        let before = match head {
            Some(head) => self.of_step.insert((run, step), head),
            None => self.of_step.remove(&(run, step)),
        };
        if before == head {
            return Change::Later;
        }
        if let Some((rank, due)) = before {
            self.places.remove(&Place { rank, due, run, step });
        }
        match head {
            Some((rank, due)) => {
                self.places.insert(Place { rank, due, run, step });
                if before.is_none_or(|(_, before)| due < before) { Change::Earlier } else { Change::Later }
            }
            None => Change::Later,
        }
    }

    /// The first place at or after a priority's first, if any.
    pub(crate) fn first(&self, after: Option<Place>) -> Option<Place> {
        match after {
            None => self.places.first().copied(),
            // The next priority: no place of this one is later than this.
            Some(Place { rank, .. }) => self.places.range(first_of_rank(rank.checked_add(1)?)..).next().copied(),
        }
    }

    /// The first place of the same priority, or of a lower one.
    pub(crate) fn first_from(&self, rank_of: Place) -> Option<Place> {
        self.places.range(first_of_rank(rank_of.rank)..).next().copied()
    }

    /// The place after this one.
    pub(crate) fn after(&self, place: Place) -> Option<Place> {
        self.places.range((std::ops::Bound::Excluded(place), std::ops::Bound::Unbounded)).next().copied()
    }

    /// The due time of the place after this one, where it has the same priority.
    pub(crate) fn next_due(&self, place: Place) -> Option<Timestamp> {
        self.after(place).filter(|next| next.rank == place.rank).map(|next| next.due)
    }

    /// When the task falls due that falls due first.
    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        let mut earliest = None;
        let mut place = self.first(None);
        while let Some(first) = place {
            earliest = Some(earliest.map_or(first.due, |due: Timestamp| due.min(first.due)));
            place = self.first(Some(first));
        }
        earliest
    }

    /// All steps with their due times, in no particular order.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (RunId, StepIndex, Timestamp)> {
        self.places.iter().map(|place| (place.run, place.step, place.due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn higher_priorities_come_first_and_earlier_due_times_within_one() {
        let mut agenda = Agenda::default();
        let runs = [1, 2, 3].map(RunId::from_u128);
        agenda.set(runs[0], StepIndex(0), Some((Priority(1), at(1))));
        agenda.set(runs[1], StepIndex(0), Some((Priority(5), at(9))));
        agenda.set(runs[2], StepIndex(0), Some((Priority(5), at(7))));
        let first = agenda.first(None).unwrap();
        assert_eq!((first.run, agenda.next_due(first)), (runs[2], Some(at(9))));
        assert_eq!(agenda.first(Some(first)).unwrap().run, runs[0]);
        assert_eq!(agenda.earliest(), Some(at(1)));
        assert_eq!(agenda.set(runs[2], StepIndex(0), None), Change::Later);
        assert_eq!(agenda.first(None).unwrap().run, runs[1]);
    }
}
