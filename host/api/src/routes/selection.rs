//! Which runs a list shows, and which ones an action on many of them means: the same filter for both.

use bulkhead_core::id::RunId;
use bulkhead_core::name::Name;
use bulkhead_core::run::{Run as CoreRun, RunStatus as CoreRunStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{RunFilter, StoreError, StoreResult};

use super::runs::failure_filter;
use crate::extract::{Wait, invalid};
use crate::model::{Run, RunSelection, RunStatus};
use crate::problem::ApiResult;
use crate::state::ApiState;

/// The runs of one read where the store can't tell which are wanted, and of all reads for one page.
const RUNS_PER_READ: usize = 500;
const MAX_RUNS_LOOKED_AT: usize = 5_000;
/// The most runs that are named by their ids.
const MAX_IDS: usize = 500;

/// A checked filter.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// What the store decides.
    pub(crate) filter: RunFilter,
    tag: Option<String>,
    cause: Option<String>,
    /// In lower case.
    text: Option<String>,
    min: Option<Wait>,
    max: Option<Wait>,
    /// The newest first; absent where runs are not named.
    ids: Option<Vec<RunId>>,
}

/// Runs that match, as they are stored and as they are answered.
pub(crate) struct Found {
    pub(crate) runs: Vec<(CoreRun, Run)>,
    /// The run before which to look on. Absent at the end.
    pub(crate) next: Option<RunId>,
}

impl Selection {
    /// Checks a filter.
    pub(crate) fn new(asked: RunSelection) -> ApiResult<Self> {
        let others = RunSelection { ids: Vec::new(), ..asked.clone() } != RunSelection::default();
        let RunSelection { state, definition, tag, cause, text, since, until, min_duration, max_duration, ids } = asked;
        if !ids.is_empty() && others {
            return Err(invalid("ids", "runs are named by their ids or by what else they have in common, not by both"));
        }
        if ids.len() > MAX_IDS {
            return Err(invalid("ids", format!("{} ids; up to {MAX_IDS} are allowed", ids.len())));
        }
        let parsed = ids.iter().map(|id| id.parse().map_err(|error| invalid("ids", error)));
        let mut parsed = parsed.collect::<ApiResult<Vec<RunId>>>()?;
        parsed.sort_unstable_by(|a, b| b.cmp(a));
        parsed.dedup();
        if let Some(cause) = &cause {
            failure_filter(std::slice::from_ref(cause), None)?;
        }
        let span = |name: &str, text: Option<String>| {
            text.map(|text| text.parse::<Wait>().map_err(|error| invalid(name, error))).transpose()
        };
        Ok(Self {
            filter: RunFilter {
                statuses: state.into_iter().map(core_status).collect(),
                definition: definition
                    .map(|name| name.parse::<Name>().map_err(|error| invalid("definition", error)))
                    .transpose()?,
                since: since.map(Into::into),
                until: until.map(Into::into),
            },
            tag,
            cause,
            text: text.map(|text| text.to_lowercase()),
            min: span("min_duration", min_duration)?,
            max: span("max_duration", max_duration)?,
            ids: (!ids.is_empty()).then_some(parsed),
        })
    }

    /// Whether the store can't tell which runs are wanted.
    fn narrow(&self) -> bool {
        self.tag.is_some() || self.cause.is_some() || self.text.is_some() || self.min.is_some() || self.max.is_some()
    }

    fn wants(&self, stored: &CoreRun, run: &Run, now: Timestamp) -> bool {
        let took = || {
            let started = stored.started_at?;
            Some(stored.ended_at.unwrap_or(now).since(started))
        };
        self.tag.as_ref().is_none_or(|tag| run.tags.contains(tag))
            && self.cause.as_ref().is_none_or(|cause| run.failure.as_ref().is_some_and(|failure| failure.cause == *cause))
            && self
                .text
                .as_ref()
                .is_none_or(|text| [&run.id, &run.name, &run.definition].iter().any(|part| part.to_lowercase().contains(text)))
            && self.min.is_none_or(|Wait(min)| took().is_some_and(|took| took >= min))
            && self.max.is_none_or(|Wait(max)| took().is_some_and(|took| took <= max))
    }

    /// Runs that match, the newest first, before a run. It looks through a bounded number of runs: then there may be few, or none, and
    /// more all the same.
    pub(crate) async fn find(&self, state: &ApiState, mut before: Option<RunId>, limit: usize) -> StoreResult<Found> {
        let now = state.store.now();
        let (mut runs, mut looked) = (Vec::with_capacity(limit.min(RUNS_PER_READ)), 0);
        loop {
            let read = if self.narrow() { RUNS_PER_READ } else { (limit - runs.len()).min(RUNS_PER_READ) };
            let (stored, more) = self.read(state, before, read).await?;
            let last = stored.len();
            looked += last;
            for (at, stored) in stored.into_iter().enumerate() {
                let id = stored.id;
                match state.plan_of(&stored).await {
                    Ok(plan) => {
                        let run = Run::new(&stored, &plan);
                        if self.wants(&stored, &run, now) {
                            runs.push((stored, run));
                        }
                    }
                    // Deleted since the list was read.
                    Err(StoreError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
                before = Some(id);
                if runs.len() == limit {
                    return Ok(Found { runs, next: Some(id).filter(|_| more || at + 1 < last) });
                }
            }
            if !more {
                return Ok(Found { runs, next: None });
            }
            if looked >= MAX_RUNS_LOOKED_AT {
                return Ok(Found { runs, next: before });
            }
        }
    }

    /// Runs as the store finds them, and whether there are more.
    async fn read(&self, state: &ApiState, before: Option<RunId>, limit: usize) -> StoreResult<(Vec<CoreRun>, bool)> {
        let Some(ids) = &self.ids else {
            let mut runs = state.store.runs(self.filter.clone(), before, limit + 1).await?;
            let more = runs.len() > limit;
            runs.truncate(limit);
            return Ok((runs, more));
        };
        let mut runs = Vec::new();
        let mut left = ids.iter().filter(|id| before.is_none_or(|before| **id < before));
        for id in left.by_ref().take(limit) {
            match state.store.run(*id).await {
                Ok(view) if self.filter.until.is_none_or(|until| view.run.created_at < until) => runs.push(view.run),
                Ok(_) | Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((runs, left.next().is_some()))
    }
}

fn core_status(status: RunStatus) -> CoreRunStatus {
    match status {
        RunStatus::Queued => CoreRunStatus::Queued,
        RunStatus::Running => CoreRunStatus::Running,
        RunStatus::Paused => CoreRunStatus::Paused,
        RunStatus::Succeeded => CoreRunStatus::Succeeded,
        RunStatus::Failed => CoreRunStatus::Failed,
        RunStatus::Cancelled => CoreRunStatus::Cancelled,
    }
}
