//! The counters of the last hour, for charts: a ring in memory, one sample every few seconds, gone with the process.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::model::HistorySample;
use crate::routes::system::read_statistics;
use crate::state::ApiState;

/// The time between two samples.
pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// The samples that are kept: an hour's.
const MOST: usize = 720;

/// The samples, the oldest first.
#[derive(Default)]
pub(crate) struct History(Mutex<VecDeque<HistorySample>>);

impl History {
    /// All samples.
    pub(crate) fn samples(&self) -> Vec<HistorySample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn push(&self, sample: HistorySample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == MOST {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

/// Takes samples until the API is closed.
pub(crate) async fn record(state: ApiState) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.closing().cancelled() => return,
            _ = every.tick() => {}
        }
        match read_statistics(&state).await {
            Ok(statistics) => state.history.push((&statistics).into()),
            Err(error) => tracing::debug!(%error, "a sample for the charts is missing"),
        }
    }
}
