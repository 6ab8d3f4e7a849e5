//! Runs: list, read, wait for, command, delete.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::failure::{CAUSE_NAMES, CauseSet, FailureFilter};
use bulkhead_core::id::RunId;
use bulkhead_core::machine::RunCommand;
use bulkhead_core::run::RunStatus as CoreRunStatus;
use bulkhead_engine::store::{RunView, StoreError, StoreResult, TaskFilter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::json;
use super::selection::{Found, Selection};
use super::tasks::step_named;
use super::wait::{Answer, Until, wait};
use crate::cursor::Cursor as _;
use crate::extract::{List, Path, Query, Wait, header_text, invalid, limit, nearest};
use crate::model::{Moment, Retried, RunDetail, RunPage, RunSelection, RunStatus, Time};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// Which runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    /// In one of these states, with commas between them.
    #[param(value_type = Option<String>, example = "queued,running")]
    state: List<RunStatus>,
    /// Of this definition.
    definition: Option<String>,
    /// With this tag.
    tag: Option<String>,
    /// Failed of this cause.
    cause: Option<String>,
    /// With this text in the id, the name or the definition, in upper or lower case.
    text: Option<String>,
    /// Created at or after.
    since: Option<Time>,
    /// Created before.
    until: Option<Time>,
    /// That took at least so long (`500ms`, `30s`, `5m`, `12h`, `7d`), from the start to the end, or to now. None that has not started.
    #[param(example = "5m")]
    min_duration: Option<String>,
    /// That took at most so long, likewise.
    max_duration: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 500; 50 where absent.
    limit: Option<usize>,
}

/// List runs
///
/// The newest first, with the number of all runs by state. For `tag`, `cause`, `text` and durations the server looks through some
/// 5,000 runs at most: then a page may be short, or empty, and have a `next` all the same.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(RunsQuery), responses((status = OK, body = RunPage)))]
pub(crate) async fn list(State(state): State<ApiState>, Query(query): Query<RunsQuery>) -> ApiResult<Response> {
    let limit = limit(query.limit, 50, 500)?;
    let before = RunId::decode(query.cursor.as_deref())?;
    let RunsQuery { state: List(states), definition, tag, cause, text, since, until, min_duration, max_duration, .. } = query;
    let selection = Selection::new(RunSelection {
        state: states,
        definition,
        tag,
        cause,
        text,
        since,
        until,
        min_duration,
        max_duration,
        ids: Vec::new(),
    })?;
    let Found { runs, next } = selection.find(&state, before, limit).await?;
    let items = runs.into_iter().map(|(_, run)| run).collect();
    let next = next.as_ref().map(RunId::encode);
    let counts = state.store.statistics().await?.runs.into();
    Ok(json(&RunPage { items, next, counts }))
}

/// How to read a run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunQuery {
    /// Wait so long at most (`30s`, `500ms`, at most 60 s) for the run's end; with `If-None-Match`, for any change of it.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<Wait>,
}

/// Get a run
///
/// With its steps and counters. The answer has an entity tag; with `If-None-Match` the status is 304 where it is still the same.
/// When the time of `wait` is over, the run is answered as it is then.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = String, Path, description = "The run's id"), RunQuery,
        ("If-None-Match" = Option<String>, Header, description = "The entity tag of the answer that the client has")),
    responses((status = OK, body = RunDetail), (status = NOT_MODIFIED, description = "It is still the same"))
)]
pub(crate) async fn get(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<RunQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let known = header_text(&headers, header::IF_NONE_MATCH)?;
    let view = match query.wait {
        None => state.store.run(id).await?,
        Some(Wait(longest)) => wait(&state, id, known.map_or(Until::Ended, Until::Changed), longest).await?,
    };
    let answer = Answer::new(&bare(&view)).map_err(unwritable)?;
    let same = known == Some(answer.tag.as_str());
    let tag = HeaderValue::from_str(&answer.tag).map_err(unwritable)?;
    if same {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let mut response = json(&detail(&state, &view).await?);
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// How to command a run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct CommandQuery {
    /// Wait so long at most (`30s`, `500ms`, at most 60 s) for the run's end.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<Wait>,
}

/// Cancel a run
///
/// Waiting tasks are cancelled, running attempts are told to end. A run that is ending stays so.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/cancel", tag = "runs",
    params(("id" = String, Path, description = "The run's id"), CommandQuery), responses((status = OK, body = RunDetail))
)]
pub(crate) async fn cancel(state: State<ApiState>, id: Path<RunId>, query: Query<CommandQuery>) -> ApiResult<Response> {
    command(state, id, query, RunCommand::Cancel).await
}

/// Pause a run
///
/// Running tasks end, none starts. A paused run stays so.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/pause", tag = "runs",
    params(("id" = String, Path, description = "The run's id"), CommandQuery), responses((status = OK, body = RunDetail))
)]
pub(crate) async fn pause(state: State<ApiState>, id: Path<RunId>, query: Query<CommandQuery>) -> ApiResult<Response> {
    command(state, id, query, RunCommand::Pause).await
}

/// Resume a run
///
/// A run that is not paused stays as it is.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/resume", tag = "runs",
    params(("id" = String, Path, description = "The run's id"), CommandQuery), responses((status = OK, body = RunDetail))
)]
pub(crate) async fn resume(state: State<ApiState>, id: Path<RunId>, query: Query<CommandQuery>) -> ApiResult<Response> {
    command(state, id, query, RunCommand::Resume).await
}

/// Retry what failed
///
/// Queues the failed and cancelled tasks of every step again, or those that match, and the steps that were skipped because of
/// them. It is answered at once; a million tasks take a while. With `dry_run` nothing changes, and `matching` says how many tasks
/// there are.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/retry", tag = "runs",
    params(("id" = String, Path, description = "The run's id"), RetryQuery), responses((status = OK, body = Retried))
)]
pub(crate) async fn retry(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<RetryQuery>,
) -> ApiResult<Response> {
    let view = state.store.run(id).await?;
    let step = query.step.map(|name| step_named(&view.plan, &name)).transpose()?;
    let filter = failure_filter(&query.cause.0, query.text)?;
    let tasks = TaskFilter { step, failure: Some(filter.clone()), ..TaskFilter::default() };
    if query.dry_run {
        let matching = Some(state.store.count_tasks(id, tasks).await?);
        return Ok(json(&Retried { run: detail(&state, &view).await?, matching }));
    }
    if step.is_none() && filter.is_all() {
        state.store.command_run(id, RunCommand::RetryFailed).await?;
    } else if view.run.state.status() == CoreRunStatus::Cancelled || !state.store.tasks(id, tasks, None, 1).await?.is_empty() {
        // A run is not opened again for nothing.
        state.store.command_run(id, RunCommand::RetryMatching { step, filter }).await?;
    }
    let view = match query.wait {
        None => state.store.run(id).await?,
        Some(Wait(longest)) => wait(&state, id, Until::Ended, longest).await?,
    };
    Ok(json(&Retried { run: detail(&state, &view).await?, matching: None }))
}

/// What to retry.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct RetryQuery {
    /// Of the step with this name.
    step: Option<String>,
    /// Failed for one of these causes, with commas between them.
    #[param(value_type = Option<String>, example = "panic,timed-out")]
    cause: List<String>,
    /// With this text in the failure's message.
    text: Option<String>,
    /// Only say how many tasks there are.
    dry_run: bool,
    /// Wait so long at most (`30s`, `500ms`, at most 60 s) for the run's end.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<Wait>,
}

/// Which failures are meant.
pub(crate) fn failure_filter(causes: &[String], text: Option<String>) -> ApiResult<FailureFilter> {
    let causes = CauseSet::from_names(causes.iter().map(String::as_str)).map_err(|unknown| {
        let help = match nearest(unknown, CAUSE_NAMES.into_iter()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", CAUSE_NAMES.join(", ")),
        };
        invalid("cause", format!("there is no cause `{unknown}`: {help}"))
    })?;
    Ok(FailureFilter { causes, text: text.map(Into::into) })
}

async fn command(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<CommandQuery>,
    command: RunCommand,
) -> ApiResult<Response> {
    state.store.command_run(id, command).await?;
    let view = match query.wait {
        None => state.store.run(id).await?,
        Some(Wait(longest)) => wait(&state, id, Until::Ended, longest).await?,
    };
    Ok(json(&detail(&state, &view).await?))
}

/// Delete a run
///
/// With its tasks and its log. It must have ended.
#[utoipa::path(
    delete, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = String, Path, description = "The run's id")), responses((status = NO_CONTENT, description = "It is gone"))
)]
pub(crate) async fn delete(State(state): State<ApiState>, Path(id): Path<RunId>) -> ApiResult<StatusCode> {
    state.store.delete_run(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A run as it is answered.
pub(crate) async fn detail(state: &ApiState, view: &RunView) -> StoreResult<RunDetail> {
    let shown = bare(view);
    if view.run.state.is_terminal() {
        return Ok(shown);
    }
    let next_due = match state.store.next_due(view.run.id).await {
        Ok(next_due) => next_due,
        // Deleted since it was read.
        Err(StoreError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let moment = Moment { now: state.store.now(), next_due, load: state.load() };
    Ok(shown.at(&view.run, &view.plan, &moment))
}

/// A run as its record is, without what depends on the moment: what its entity tag is of.
pub(crate) fn bare(view: &RunView) -> RunDetail {
    RunDetail::new(&view.run, &view.plan, &view.parameters)
}

fn unwritable(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(ProblemKind::Internal, format!("the answer can't be written: {error}"))
}
