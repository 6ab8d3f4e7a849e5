//! What people order of single tasks: retry, skip, cancel, edit; and the next one of a run.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bulkhead_core::id::{RunId, TaskId};
use bulkhead_core::task::{Attempt, AttemptEnd, Task};
use bulkhead_engine::store::{StoreError, Summoned, Summons, TaskOrder, TaskView};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::json;
use super::tasks::{detail, detail_of, step_named};
use super::trigger::{IDEMPOTENCY_REPLAYED, idempotency};
use crate::auth::Caller;
use crate::extract::{self, Path, Query, Wait};
use crate::model::{Processed, TaskDetail};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// The largest input that an edit may give a task, in bytes of JSON text.
const MAX_INPUT_LEN: usize = 1 << 20;
/// How long `process-next` waits for the end of the attempt where the request does not say.
const PROCESS_WAIT: Duration = Duration::from_secs(30);
/// The pause between two looks at the task: a run that logs much wakes its readers with each append.
const PAUSE: Duration = Duration::from_millis(5);

/// Retry a task
///
/// Queues a task again that failed, was cancelled or was skipped, and opens its run and its step again where they have ended, with
/// the steps that were skipped because of it. A task that waits or runs stays as it is.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/retry", tag = "tasks",
    params(("id" = String, Path, description = "The task's id")), responses((status = OK, body = TaskDetail))
)]
pub(crate) async fn retry(State(state): State<ApiState>, Path(id): Path<TaskId>) -> ApiResult<Response> {
    order(&state, id, TaskOrder::Retry).await
}

/// Skip a task
///
/// Of one that waits, failed or was cancelled. It counts as neither a success nor a failure, and what depends on its step goes on.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/skip", tag = "tasks",
    params(("id" = String, Path, description = "The task's id")), responses((status = OK, body = TaskDetail))
)]
pub(crate) async fn skip(State(state): State<ApiState>, Path(id): Path<TaskId>) -> ApiResult<Response> {
    order(&state, id, TaskOrder::Skip).await
}

/// Cancel a task
///
/// One that waits at once; the attempt of one that runs is told to end, and none follows. Its step fails in the end, unless it is
/// retried or skipped.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/cancel", tag = "tasks",
    params(("id" = String, Path, description = "The task's id")), responses((status = OK, body = TaskDetail))
)]
pub(crate) async fn cancel(State(state): State<ApiState>, Path(id): Path<TaskId>) -> ApiResult<Response> {
    order(&state, id, TaskOrder::Cancel).await
}

/// Edit a task's input
///
/// The body becomes the input of its next attempt: any JSON, up to 1 MiB. Not of a task that runs or has succeeded. The edit alone
/// queues nothing: retry the task then.
#[utoipa::path(
    put, path = "/api/v1/tasks/{id}/input", tag = "tasks",
    params(("id" = String, Path, description = "The task's id")), request_body = serde_json::Value,
    responses((status = OK, body = TaskDetail))
)]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    Path(id): Path<TaskId>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = extract::body(request, MAX_INPUT_LEN).await?;
    let input: Box<RawValue> = extract::required_json(&headers, &body)?;
    let by = caller.token.map(|(name, _)| name.as_str().into());
    order(&state, id, TaskOrder::Edit { input: input.get().into(), by }).await
}

async fn order(state: &ApiState, id: TaskId, order: TaskOrder) -> ApiResult<Response> {
    state.store.order_task(id, order).await?;
    Ok(json(&detail(state, id).await?))
}

/// Which task, and how long to wait for it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProcessQuery {
    /// Of the step with this name; of the first one with a waiting task where absent.
    step: Option<String>,
    /// Wait so long at most (`30s`, `500ms`, at most 60 s) for the end of the attempt; 30 s where absent.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<Wait>,
}

/// Process the next task
///
/// Runs exactly one waiting task now, whatever its due time and although the run is paused, and answers when its attempt has
/// ended. A step's `plan` is its first task. Each request takes another task; with `Idempotency-Key` a request that is repeated is
/// answered with the same one. The task is marked before anything runs: a server that dies in the middle goes on with it.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/process-next", tag = "tasks",
    params(("id" = String, Path, description = "The run's id"), ProcessQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "A text of the client's, up to 255 characters: one task is taken")),
    responses((status = OK, body = Processed),
        (status = ACCEPTED, body = Processed, description = "It takes longer: `Location` is where the task is"))
)]
pub(crate) async fn process_next(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<ProcessQuery>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let plan = state.store.run(id).await?.plan;
    let step = query.step.as_deref().map(|name| step_named(&plan, name)).transpose()?;
    let asked = query.step.unwrap_or_default();
    let idempotency = idempotency(&headers, &caller, &format!("process-next {id}"), asked.as_bytes())?;
    let longest = query.wait.map_or(PROCESS_WAIT, |Wait(longest)| longest);
    let summoned = state.store.summon(Summons { run: id, step, idempotency }).await.map_err(|error| match error {
        // Summoning conflicts with nothing else.
        StoreError::Conflict(detail) => {
            ApiError::new(ProblemKind::IdempotencyKeyReused, format!("{detail}: use a new key for a new request"))
        }
        error => error.into(),
    })?;
    let (view, ended) = wait_for_answer(&state, summoned, longest).await?;
    let task = detail_of(&state, &view).await?;
    let number = answer(&view.task, summoned.after).map(|attempt| attempt.number);
    let result = task.attempts.iter().find(|attempt| Some(attempt.attempt.number) == number).cloned();
    let mut response = json(&Processed { task, result });
    if !ended {
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/tasks/{}", summoned.task)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if summoned.existing {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The attempt that answers a summons: the first one after it that came to an end of its own, or the last one of a task that has
/// ended otherwise.
fn answer(task: &Task, after: u32) -> Option<&Attempt> {
    let mut later = task.history.iter().filter(|attempt| attempt.number > after);
    let own = |attempt: &&Attempt| matches!(attempt.end, AttemptEnd::Succeeded | AttemptEnd::Failed(_));
    later.clone().find(own).or_else(|| later.next_back().filter(|_| task.state.status().is_terminal()))
}

/// The task, when it has been processed or is not to be any more, when the time is over, or when the server closes; whether it has.
async fn wait_for_answer(state: &ApiState, summoned: Summoned, longest: Duration) -> ApiResult<(TaskView, bool)> {
    let Summoned { task, after, .. } = summoned;
    let deadline = Instant::now() + longest.min(state.config.longest_wait);
    // Made before the first read, so that nothing is missed between the two.
    let mut signal = state.store.run_signal(task.run);
    loop {
        let view = state.store.task(task).await?;
        let at_work = view.task.summoned || view.task.state.worker().is_some();
        if answer(&view.task, after).is_some() || !at_work {
            return Ok((view, true));
        }
        let woken = async {
            signal.wait().await;
            tokio::time::sleep(PAUSE).await;
        };
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep_until(deadline) => return Ok((view, false)),
            () = state.closing().cancelled() => return Ok((view, false)),
        }
    }
}
