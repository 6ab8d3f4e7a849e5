//! Dead letters of all runs: what failed for good, by what it failed of; and all of it again.

use std::cmp::Reverse;

use axum::extract::State;
use axum::response::Response;
use bulkhead_core::id::{Digest, RunId, TaskId};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{LetterGroup, StoreError, TaskFilter, TaskOrder};
use futures::future::try_join_all;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::json;
use super::runs::failure_filter;
use crate::cursor::Cursor as _;
use crate::extract::{List, Path, Query, limit};
use crate::model::{BulkResult, DeadLetterDetail, DeadLetterRun, DeadLetters, Run};
use crate::problem::ApiResult;
use crate::state::ApiState;

/// The tasks that one request acts on, and those at once.
const ACTED_ON: usize = 500;
const AT_ONCE: usize = 64;
/// The runs that are looked for at once.
const RUNS_PER_READ: usize = 50;

/// The order of groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// The one with the most tasks first.
    #[default]
    Tasks,
    /// The one that failed last first.
    Latest,
}

/// Which groups.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct LettersQuery {
    /// Failed for one of these causes, with commas between them.
    #[param(value_type = Option<String>, example = "panic,timed-out")]
    cause: List<String>,
    /// With this text in the latest failure's message, in upper or lower case.
    text: Option<String>,
    /// `tasks`: the one with the most tasks first; `latest`: the one that failed last.
    #[param(value_type = Option<String>, example = "latest")]
    order: Order,
    /// How many, 1 to 1,000; 100 where absent.
    limit: Option<usize>,
}

/// List dead letters
///
/// Tasks that failed for good, of all runs, in groups that failed of the same: for one cause, with one message except for numbers, ids and
/// quoted values. A task that is retried or skipped leaves its group, and a deleted run takes its tasks with it.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "tasks", params(LettersQuery), responses((status = OK, body = DeadLetters)))]
pub(crate) async fn list(State(state): State<ApiState>, Query(query): Query<LettersQuery>) -> ApiResult<Response> {
    let limit = limit(query.limit, 100, 1_000)?;
    let causes = failure_filter(&query.cause.0, None)?.causes;
    let text = query.text.map(|text| text.to_lowercase());
    let wanted = |group: &LetterGroup| {
        (causes.is_empty() || causes.contains(group.failure.cause))
            && text.as_ref().is_none_or(|text| group.failure.message.to_lowercase().contains(text))
    };
    let mut groups: Vec<_> = state.store.letter_groups().await?.into_iter().filter(wanted).collect();
    match query.order {
        Order::Tasks => groups.sort_by_key(|group| Reverse((group.tasks, group.last_at, group.id))),
        Order::Latest => groups.sort_by_key(|group| Reverse((group.last_at, group.id))),
    }
    let (count, tasks) = (groups.len() as u64, groups.iter().map(|group| group.tasks).sum());
    Ok(json(&DeadLetters { items: groups.iter().take(limit).map(Into::into).collect(), groups: count, tasks }))
}

/// Which runs of a group.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct LetterQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 500; 50 where absent.
    limit: Option<usize>,
}

/// Get a group of dead letters
///
/// With its runs, the newest first. A run's tasks of a group are found with `GET /api/v1/runs/{id}/tasks?letter=`.
#[utoipa::path(
    get, path = "/api/v1/dead-letters/{id}", tag = "tasks",
    params(("id" = String, Path, description = "The group's id"), LetterQuery), responses((status = OK, body = DeadLetterDetail))
)]
pub(crate) async fn get(
    State(state): State<ApiState>,
    Path(id): Path<Digest>,
    Query(query): Query<LetterQuery>,
) -> ApiResult<Response> {
    let limit = limit(query.limit, 50, 500)?;
    let before = RunId::decode(query.cursor.as_deref())?;
    let group = state.store.letter_group(id).await?;
    let mut found = state.store.letter_runs(id, before, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|of| of.run.encode());
    let mut items = Vec::with_capacity(found.len());
    for of in found {
        match state.store.run(of.run).await {
            Ok(view) => items.push(DeadLetterRun {
                run: Run::new(&view.run, &view.plan),
                tasks: of.tasks,
                last_at: of.last_at.into(),
                last_task: of.last.to_string(),
            }),
            // Deleted since it was found.
            Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(json(&DeadLetterDetail { group: (&group).into(), items, next }))
}

/// Which dead letters of a group to act on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReplayQuery {
    /// Those of this run only.
    run: Option<String>,
    /// Only say how many there are.
    dry_run: bool,
    /// `next` of the answer before, to go on.
    cursor: Option<String>,
}

/// Retry dead letters
///
/// Queues all tasks of a group again, or those of one run, up to 500 with each request: ask again with `next` as `cursor` until there is
/// none. A task that failed again of the same since the first request is left alone. Runs that have ended are opened again.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/{id}/retry", tag = "tasks",
    params(("id" = String, Path, description = "The group's id"), ReplayQuery), responses((status = OK, body = BulkResult))
)]
pub(crate) async fn retry(state: State<ApiState>, id: Path<Digest>, query: Query<ReplayQuery>) -> ApiResult<Response> {
    act(state, id, query, TaskOrder::Retry).await
}

/// Skip dead letters
///
/// As for retrying, but the tasks count as neither a success nor a failure then, and what depends on their steps goes on.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/{id}/skip", tag = "tasks",
    params(("id" = String, Path, description = "The group's id"), ReplayQuery), responses((status = OK, body = BulkResult))
)]
pub(crate) async fn skip(state: State<ApiState>, id: Path<Digest>, query: Query<ReplayQuery>) -> ApiResult<Response> {
    act(state, id, query, TaskOrder::Skip).await
}

async fn act(
    State(state): State<ApiState>,
    Path(id): Path<Digest>,
    Query(query): Query<ReplayQuery>,
    order: TaskOrder,
) -> ApiResult<Response> {
    let only = query.run.map(|run| run.parse::<RunId>().map_err(|error| crate::extract::invalid("run", error))).transpose()?;
    let place = <(Timestamp, TaskId)>::decode(query.cursor.as_deref())?;
    if query.dry_run {
        let tasks = match only {
            // The run's row, if there is one, is the first before the next id.
            Some(run) => {
                state.store.letter_runs(id, next_id(run), 1).await?.iter().filter(|of| of.run == run).map(|of| of.tasks).sum()
            }
            None => state.store.letter_group(id).await?.tasks,
        };
        return Ok(json(&BulkResult { matched: tasks, acted: tasks, left: 0, next: None }));
    }
    if place.is_none() && only.is_none() {
        state.store.letter_group(id).await?;
    }
    let began = place.map_or_else(|| state.store.now(), |(began, _)| began);
    let mut pass = Pass { state: &state, id, order, began, last: None, result: BulkResult::default() };
    pass.go(only, place.map(|(_, after)| after)).await?;
    Ok(json(&pass.result))
}

fn next_id(run: RunId) -> Option<RunId> {
    run.as_u128().checked_add(1).map(RunId::from_u128)
}

/// A pass through the tasks of a group.
struct Pass<'a> {
    state: &'a ApiState,
    id: Digest,
    order: TaskOrder,
    /// What failed since is left alone.
    began: Timestamp,
    /// The last task that was looked at.
    last: Option<TaskId>,
    result: BulkResult,
}

impl Pass<'_> {
    /// Goes on after a task: through its run, and then through the runs before it.
    async fn go(&mut self, only: Option<RunId>, mut after: Option<TaskId>) -> ApiResult<()> {
        let mut before = after.map_or_else(|| only.and_then(next_id), |after| next_id(after.run));
        loop {
            let runs = match only {
                Some(run) => vec![run],
                None => {
                    let found = self.state.store.letter_runs(self.id, before, RUNS_PER_READ).await?;
                    found.into_iter().map(|of| of.run).collect()
                }
            };
            for &run in &runs {
                self.run(run, after.take().filter(|after| after.run == run)).await?;
                if self.result.next.is_some() {
                    return Ok(());
                }
            }
            before = runs.last().copied();
            if only.is_some() || runs.len() < RUNS_PER_READ {
                return Ok(());
            }
        }
    }

    /// Goes through a run's tasks after one.
    async fn run(&mut self, run: RunId, mut after: Option<TaskId>) -> ApiResult<()> {
        let filter = TaskFilter { letter: Some(self.id), ..TaskFilter::default() };
        loop {
            let limit = ACTED_ON - usize::try_from(self.result.matched).unwrap_or(ACTED_ON).min(ACTED_ON);
            if limit == 0 {
                self.result.next = self.last.map(|last| (self.began, last).encode());
                return Ok(());
            }
            let tasks = match self.state.store.tasks(run, filter.clone(), after, limit).await {
                Ok(tasks) => tasks,
                Err(StoreError::NotFound(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            after = tasks.last().map(|task| task.id).or(after);
            self.last = after.or(self.last);
            let through = tasks.len() < limit;
            let old: Vec<_> = tasks.iter().filter(|task| task.ended_at.is_none_or(|ended| ended <= self.began)).collect();
            for some in old.chunks(AT_ONCE) {
                let done = try_join_all(some.iter().map(|task| self.act_on(task.id))).await?;
                self.result.acted += done.iter().filter(|done| **done).count() as u64;
            }
            self.result.matched += tasks.len() as u64;
            self.result.left = self.result.matched - self.result.acted;
            if through {
                return Ok(());
            }
        }
    }

    /// Does it with one task; whether it could be done.
    async fn act_on(&self, task: TaskId) -> ApiResult<bool> {
        match self.state.store.order_task(task, self.order.clone()).await {
            Ok(_) => Ok(true),
            // It changed since it was read, or its run's state gives this no meaning.
            Err(StoreError::NotFound(_) | StoreError::Rejected(_) | StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
