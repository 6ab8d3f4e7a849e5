//! The scheduler: starts the runs of schedules when they fall due, and waits until then.
//!
//! What is due, and what becomes of it, the store says; this only brings it the run to start. So any number of schedulers may
//! work on one store, and one that dies in between has done a thing whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::name::Name;
use bulkhead_core::time::Timestamp;

use crate::dispatcher::{Sequence, until};
use crate::engine::Shared;
use crate::jobs::{JobError, Jobs};
use crate::store::{DueSchedules, Fire, SERVICE_RETRY, Signal, StoreError, StoreResult};

/// Schedules that one look at the store gives.
const SCHEDULES_PER_LOOK: usize = 64;
/// Things that are done for one schedule before the others get their turn: it may have a thousand fires to catch up on.
const FIRES_PER_TURN: usize = 16;
/// The longest time for which the clock is not looked at: timers stand still while the machine sleeps, and nobody tells them that
/// somebody has set the clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// The longest wait between two looks at the store: it bounds what a lost signal costs.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Sets the ids of scheduled runs apart from the other numbers that the worker draws from its seed.
const STREAM: u64 = 0x5c4e_d01e_5c4e_d01e;

/// Fires what falls due.
pub(crate) async fn schedule(shared: Arc<Shared>) {
    let jobs = Jobs::new(shared.store.clone(), shared.executor.clone()).with_memory_budget(shared.config.memory);
    let mut random = Sequence(shared.config.seed ^ STREAM);
    let mut signal = shared.store.schedule_signal();
    loop {
        match shared.store.due_schedules(SCHEDULES_PER_LOOK).await {
            Ok(DueSchedules { due, next }) if due.is_empty() => wait(&shared, &mut signal, next).await,
            Ok(DueSchedules { due, .. }) => {
                let mut stuck = false;
                for id in due {
                    match fire(&shared, &jobs, &id, &mut random).await {
                        Ok(acted) => stuck |= !acted,
                        Err(error) => {
                            tracing::warn!(schedule = %id, %error, "a schedule waits for the store");
                            stuck = true;
                        }
                    }
                }
                // What is due and can't be done now is not asked for without end.
                if stuck {
                    tokio::time::sleep(SERVICE_RETRY).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what is due by schedule can't be read");
                tokio::time::sleep(SERVICE_RETRY).await;
            }
        }
    }
}

/// Waits until the clock shows `next`, or something changes.
async fn wait(shared: &Shared, signal: &mut Signal, next: Option<Timestamp>) {
    let look_again = tokio::time::Instant::now() + LONGEST_WAIT;
    while tokio::time::Instant::now() < look_again {
        let left = next.map_or(LONGEST_WAIT, |next| until(next, shared.store.now()));
        if left.is_zero() {
            return;
        }
        tokio::select! {
            biased;
            () = signal.wait() => return,
            () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
        }
    }
}

/// Does what is due of one schedule, up to a bound; whether anything was done.
async fn fire(shared: &Shared, jobs: &Jobs, id: &Name, random: &mut Sequence) -> StoreResult<bool> {
    let mut acted = false;
    for _ in 0..FIRES_PER_TURN {
        let definition = match shared.store.definition(id.clone()).await {
            Ok(definition) => definition,
            Err(StoreError::NotFound(_)) => return Ok(acted),
            Err(error) => return Err(error),
        };
        let run = match jobs.scheduled(&definition.text, random.wide()).await {
            Ok(run) => Ok(run),
            // It has none any more.
            Err(JobError::Store(StoreError::NotFound(_))) => return Ok(acted),
            Err(JobError::Store(error)) => return Err(error),
            Err(error) => Err(error.to_string().into_boxed_str()),
        };
        match shared.store.fire(Fire { schedule: id.clone(), version: definition.version, run }).await {
            Ok(fired) => {
                acted |= fired.acted;
                if !fired.again {
                    return Ok(acted);
                }
            }
            // The definition was changed or removed in between: the next look sees it as it is.
            Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => return Ok(acted),
            Err(error) => return Err(error),
        }
    }
    Ok(acted)
}
