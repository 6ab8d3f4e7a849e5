//! [`Schedules`]: when definitions run by themselves.

use bulkhead_core::name::Name;
use bulkhead_core::schedule::{FireCounts, FireRecord, ScheduleRecord};
use bulkhead_engine::store::{CreatedRun, DueSchedules, Fire, Fired, NewRun, Schedules, Signal, StoreFuture};

use super::{Cost, KvStore};
use crate::read::{self, schedule};
use crate::txn::{PreparedFire, PreparedRun};

/// What an operation without payload weighs.
const LIGHT: usize = 256;

impl<K: 'static> Schedules for KvStore<K> {
    fn schedule(&self, id: Name) -> StoreFuture<'_, ScheduleRecord> {
        self.read(Cost::Point, move |kv| schedule::schedule(kv, &id))
    }

    fn schedules(&self, after: Option<Name>, limit: usize) -> StoreFuture<'_, Vec<ScheduleRecord>> {
        self.read(Cost::Range, move |kv| schedule::schedules(kv, after.as_ref(), limit))
    }

    fn fires(&self, id: Name, before: Option<u64>, limit: usize) -> StoreFuture<'_, Vec<FireRecord>> {
        self.read(Cost::Range, move |kv| schedule::fires(kv, &id, before, limit))
    }

    fn fire_counts(&self) -> StoreFuture<'_, FireCounts> {
        self.read(Cost::Point, |kv| Ok(read::totals(kv)?.fires))
    }

    fn due_schedules(&self, limit: usize) -> StoreFuture<'_, DueSchedules> {
        let now = self.clock.now();
        self.read(Cost::Range, move |kv| schedule::due(kv, now, limit))
    }

    fn fire(&self, fire: Fire) -> StoreFuture<'_, Fired> {
        match PreparedFire::new(fire) {
            Ok(fire) => self.write("fire", LIGHT, |txn| txn.fire(fire)),
            Err(fault) => Box::pin(async { Err(fault.into()) }),
        }
    }

    fn fire_now(&self, id: Name, run: NewRun) -> StoreFuture<'_, CreatedRun> {
        match PreparedRun::new(run) {
            Ok(run) => self.write("fire_now", LIGHT, move |txn| txn.fire_now(&id, run)),
            Err(fault) => Box::pin(async { Err(fault.into()) }),
        }
    }

    fn pause_schedule(&self, id: Name, paused: bool) -> StoreFuture<'_, ScheduleRecord> {
        self.write("pause_schedule", LIGHT, move |txn| txn.pause_schedule(&id, paused))
    }

    fn schedule_signal(&self) -> Signal {
        self.signals.schedules()
    }
}
