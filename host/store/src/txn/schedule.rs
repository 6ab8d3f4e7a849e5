//! Schedules: they follow their definitions, fire once, and know when their runs end.

use bulkhead_core::event::Event;
use bulkhead_core::id::{Digest, RunId};
use bulkhead_core::machine::RunCommand;
use bulkhead_core::name::Name;
use bulkhead_core::run::Trigger;
use bulkhead_core::schedule::{Decision, FireOutcome, FireRecord, MAX_FIRES, Pending, Schedule, ScheduleRecord};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{CreatedRun, Fire, Fired, Idempotency, StoreError};

use super::{PreparedRun, Txn};
use crate::keys;
use crate::kv::{self, Tx};

/// A [`Fire`] with its run prepared outside the writer.
#[derive(Debug)]
pub(crate) struct PreparedFire {
    schedule: Name,
    version: u64,
    run: Result<PreparedRun, Box<str>>,
}

impl PreparedFire {
    pub(crate) fn new(fire: Fire) -> Tx<Self> {
        let Fire { schedule, version, run } = fire;
        let run = match run {
            Ok(run) => Ok(PreparedRun::new(run)?),
            Err(reason) => Err(reason),
        };
        Ok(Self { schedule, version, run })
    }
}

impl Txn<'_> {
    fn load_schedule(&self, id: &Name) -> Tx<ScheduleRecord> {
        Ok(self.load(&keys::schedule(id.as_str()))?.ok_or(StoreError::NotFound("schedule"))?)
    }

    /// Stores a schedule that was due at `due` before, and what became of some of its fires.
    fn store_schedule(&mut self, due: Option<Timestamp>, record: &ScheduleRecord, fires: &[FireRecord]) -> Tx<()> {
        let id = record.id.as_str();
        self.put_record(&keys::schedule(id), record)?;
        if due != record.due() {
            self.index_schedule(id, due, record.due())?;
        }
        for fire in fires {
            self.put_record(&keys::fire(id, fire.number), fire)?;
            if fire.number > MAX_FIRES {
                self.remove(&keys::fire(id, fire.number - MAX_FIRES))?;
            }
            let run = match fire.outcome {
                FireOutcome::Started { run } => Some(run),
                _ => None,
            };
            self.state.batch.events.push((run, Event::Fire { schedule: record.id.clone(), fire: Box::new(fire.clone()) }));
        }
        Ok(())
    }

    fn index_schedule(&mut self, id: &str, before: Option<Timestamp>, after: Option<Timestamp>) -> Tx<()> {
        if let Some(before) = before {
            self.remove(&keys::schedule_due(before, id))?;
        }
        if let Some(after) = after {
            self.put(&keys::schedule_due(after, id), &[])?;
        }
        self.state.batch.effects.schedules |= after.is_some_and(|after| before.is_none_or(|before| after < before));
        Ok(())
    }

    /// A definition has this schedule now, or none.
    pub(super) fn set_schedule(&mut self, id: &Name, version: u64, schedule: Option<(Schedule, bool)>) -> Tx<()> {
        let stored: Option<ScheduleRecord> = self.load(&keys::schedule(id.as_str()))?;
        match (stored, schedule) {
            (None, None) => Ok(()),
            (None, Some((schedule, enabled))) => {
                let record = ScheduleRecord::new(id.clone(), version, schedule, enabled, self.now);
                self.store_schedule(None, &record, &[])
            }
            (Some(mut record), Some((schedule, enabled))) => {
                let (due, counts) = (record.due(), record.counts);
                let fires = record.change(version, schedule, enabled, self.now);
                self.state.totals.fires = self.state.totals.fires.plus(&record.counts.since(&counts));
                self.store_schedule(due, &record, &fires)
            }
            (Some(record), None) => {
                self.index_schedule(id.as_str(), record.due(), None)?;
                for key in kv::keys_of(self.kv, &keys::fires(id.as_str()).prefix(), usize::MAX)? {
                    self.remove(&key)?;
                }
                self.remove(&keys::schedule(id.as_str()))
            }
        }
    }

    /// Does the next thing that is due of a schedule.
    pub(crate) fn fire(&mut self, fire: PreparedFire) -> Tx<Fired> {
        let PreparedFire { schedule: id, version, run } = fire;
        let record = self.load_schedule(&id)?;
        if record.version != version {
            let message = format!("definition `{id}` has version {}, not {version}", record.version);
            return Err(StoreError::Conflict(message).into());
        }
        let (fires, run) = match record.decide(self.now) {
            None => return Ok(Fired { acted: false, run: None, again: false }),
            Some(Decision::Start(pending)) => {
                let (outcome, run) = match run {
                    Err(reason) => (FireOutcome::Refused { reason }, None),
                    Ok(run) => {
                        let run = self.start(&id, pending, run)?;
                        (FireOutcome::Started { run }, Some(run))
                    }
                };
                (vec![pending.came_to(self.now, outcome)], run)
            }
            Some(Decision::Record { cancel, fires }) => {
                for run in cancel {
                    if self.found(run)? && !self.run(run)?.run.state.is_terminal() {
                        self.command_run(run, RunCommand::Cancel)?;
                    }
                }
                (fires, None)
            }
        };
        // What was done to runs may have changed the record.
        let mut record = self.load_schedule(&id)?;
        let (due, counts) = (record.due(), record.counts);
        let fires: Vec<_> = fires.into_iter().map(|fire| record.evolve(fire)).collect();
        if let Some(run) = run
            && self.run(run)?.run.state.is_terminal()
        {
            record.run_ended(run);
        }
        self.state.totals.fires = self.state.totals.fires.plus(&record.counts.since(&counts));
        self.store_schedule(due, &record, &fires)?;
        Ok(Fired { acted: true, run, again: record.due().is_some_and(|due| due <= self.now) })
    }

    /// Creates the run of a fire, or finds it: whatever becomes of the record, a time starts one run.
    fn start(&mut self, id: &Name, pending: Pending, run: PreparedRun) -> Tx<RunId> {
        // No token's name has a slash in it, so no client can use such a key.
        let key = format!("schedule/{id}/{}", pending.time.as_micros());
        let once = Idempotency { key, request: Digest::from_bytes([0; 32]) };
        Ok(self.create_run(run.once(once))?.run.id)
    }

    /// Starts a run that somebody asked for.
    pub(crate) fn fire_now(&mut self, id: &Name, run: PreparedRun) -> Tx<CreatedRun> {
        let mut record = self.load_schedule(id)?;
        let created = self.create_run(run)?;
        if !created.existing {
            let (due, counts) = (record.due(), record.counts);
            let fire = record.evolve(FireRecord::asked_for(created.run.id, self.now));
            self.state.totals.fires = self.state.totals.fires.plus(&record.counts.since(&counts));
            self.store_schedule(due, &record, &[fire])?;
        }
        Ok(created)
    }

    /// Pauses or resumes a schedule.
    pub(crate) fn pause_schedule(&mut self, id: &Name, paused: bool) -> Tx<ScheduleRecord> {
        let mut record = self.load_schedule(id)?;
        if record.paused != paused {
            let (due, counts) = (record.due(), record.counts);
            let skipped = record.set_paused(paused, self.now);
            self.state.totals.fires = self.state.totals.fires.plus(&record.counts.since(&counts));
            self.store_schedule(due, &record, skipped.as_slice())?;
        }
        Ok(record)
    }

    /// A run has ended: what waits for it may start.
    pub(super) fn run_of_schedule_ended(&mut self, run: RunId) -> Tx<()> {
        self.change_runs(run, |record| record.run_ended(run))
    }

    /// A run that had ended goes on.
    pub(super) fn run_of_schedule_opened(&mut self, run: RunId) -> Tx<()> {
        self.change_runs(run, |record| {
            record.run_opened(run);
            true
        })
    }

    /// Changes the record of the schedule that started a run, if one did and it is still there.
    fn change_runs(&mut self, run: RunId, change: impl FnOnce(&mut ScheduleRecord) -> bool) -> Tx<()> {
        let entry = &self.run(run)?.run;
        if entry.trigger != Trigger::Schedule {
            return Ok(());
        }
        let key = keys::schedule(entry.definition.as_str());
        if let Some(mut record) = self.load::<ScheduleRecord>(&key)? {
            let due = record.due();
            if change(&mut record) {
                self.store_schedule(due, &record, &[])?;
            }
        }
        Ok(())
    }
}
