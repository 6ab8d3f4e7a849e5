//! Schedules: when definitions run by themselves.

use bulkhead_core::id::RunId;
use bulkhead_core::name::Name;
use bulkhead_core::schedule::{FireCounts, FireRecord, ScheduleRecord};
use bulkhead_core::time::Timestamp;

use super::{CreatedRun, NewRun, Signal, StoreFuture};

/// The schedules of the stored definitions. They come, change and go with the definitions, in the same transactions.
pub trait Schedules: Send + Sync + 'static {
    /// A definition's schedule.
    fn schedule(&self, id: Name) -> StoreFuture<'_, ScheduleRecord>;

    /// Schedules in the order of their definitions' ids, after `after`.
    fn schedules(&self, after: Option<Name>, limit: usize) -> StoreFuture<'_, Vec<ScheduleRecord>>;

    /// The latest fires of a schedule, the newest first, before number `before`.
    fn fires(&self, id: Name, before: Option<u64>, limit: usize) -> StoreFuture<'_, Vec<FireRecord>>;

    /// The fires of all schedules that there ever were, counted.
    fn fire_counts(&self) -> StoreFuture<'_, FireCounts>;

    /// Which schedules are due, the longest first, and when the next one is.
    fn due_schedules(&self, limit: usize) -> StoreFuture<'_, DueSchedules>;

    /// Does the next thing that is due of a schedule, and records it, with the run that it starts, in one transaction. Nothing
    /// may be due: then nothing happens.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](super::StoreError::Conflict) where the definition has another version by now,
    /// [`StoreError::NotFound`](super::StoreError::NotFound) where it has no schedule any more.
    fn fire(&self, fire: Fire) -> StoreFuture<'_, Fired>;

    /// Starts a run because somebody asked for it, whatever else runs, and counts it as one of the schedule's.
    ///
    /// # Errors
    /// As [`Queue::create_run`](super::Queue::create_run).
    fn fire_now(&self, id: Name, run: NewRun) -> StoreFuture<'_, CreatedRun>;

    /// Pauses or resumes a schedule. One that is so already stays so.
    fn pause_schedule(&self, id: Name, paused: bool) -> StoreFuture<'_, ScheduleRecord>;

    /// A signal that a schedule may be due earlier than before. As [`Queue::work_signal`](super::Queue::work_signal) for the rest.
    fn schedule_signal(&self) -> Signal;
}

/// Something of a schedule to do.
#[derive(Clone, Debug)]
pub struct Fire {
    /// The definition.
    pub schedule: Name,
    /// The version of it that was read.
    pub version: u64,
    /// The run to start if a fire is due that starts one, its idempotency left out; or why that can't be.
    pub run: Result<NewRun, Box<str>>,
}

/// What [`Schedules::fire`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Something was due, and was done.
    pub acted: bool,
    /// The run that was started.
    pub run: Option<RunId>,
    /// There is more to do now.
    pub again: bool,
}

/// What [`Schedules::due_schedules`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueSchedules {
    /// The schedules that are due.
    pub due: Vec<Name>,
    /// When the next one falls due that is not.
    pub next: Option<Timestamp>,
}
