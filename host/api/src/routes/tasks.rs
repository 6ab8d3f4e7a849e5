//! Tasks: list those of a run, read one with its attempts.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use bulkhead_core::id::{RunId, StepIndex, TaskId};
use bulkhead_core::plan::Plan;
use bulkhead_core::task::TaskStatus as CoreTaskStatus;
use bulkhead_engine::store::{TaskFilter, TaskView};
use serde::Deserialize;
use utoipa::IntoParams;

use super::json;
use super::runs::failure_filter;
use crate::cursor::Cursor as _;
use crate::extract::{List, Path, Query, invalid, limit, nearest};
use crate::model::{LogLine, Task, TaskDetail, TaskPage, TaskStatus};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// Which tasks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct TasksQuery {
    /// In one of these states, with commas between them.
    #[param(value_type = Option<String>, example = "failed,retrying")]
    state: List<TaskStatus>,
    /// Of the step with this name.
    step: Option<String>,
    /// Failed for one of these causes, with commas between them.
    #[param(value_type = Option<String>, example = "panic,timed-out")]
    cause: List<String>,
    /// With this text in the failure's message.
    text: Option<String>,
    /// Dead letters of the group with this id.
    letter: Option<String>,
    /// From this number of the step's tasks on; with `step`, and without `cursor`.
    from: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 1,000; 100 where absent.
    limit: Option<usize>,
}

/// List a run's tasks
///
/// Step by step, in the order in which they were spawned, with the number of tasks by state.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/tasks", tag = "tasks",
    params(("id" = String, Path, description = "The run's id"), TasksQuery), responses((status = OK, body = TaskPage))
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<TasksQuery>,
) -> ApiResult<Response> {
    let limit = limit(query.limit, 100, 1_000)?;
    let after = TaskId::decode(query.cursor.as_deref())?;
    let view = state.store.run(id).await?;
    let step = query.step.map(|name| step_named(&view.plan, &name)).transpose()?;
    let after = match (query.from, step, after) {
        (None, _, after) => after,
        (Some(from), Some(step), None) => from.checked_sub(1).map(|before| TaskId::new(id, step, before)),
        (Some(_), _, _) => return Err(invalid("from", "it counts the tasks of a step: give `step` with it, and no `cursor`")),
    };
    let letter = query.letter.map(|letter| letter.parse().map_err(|error| invalid("letter", error))).transpose()?;
    let failure = failure_filter(&query.cause.0, query.text)?;
    let failure = (!failure.is_all()).then_some(failure);
    let filter = TaskFilter { statuses: query.state.0.into_iter().map(core_status).collect(), step, failure, letter };
    let tasks = state.store.tasks(id, filter, after, limit + 1).await?;
    let page = super::page(tasks, limit, |task| task.id.encode(), |task| Task::new(task, &view.plan));
    let counts = step.map_or_else(|| view.run.tasks(), |step| view.run.step(step).tasks);
    Ok(json(&TaskPage { items: page.items, next: page.next, counts: counts.into() }))
}

/// Get a task
///
/// With its input, its output, and its attempts with their causes, their backtraces and the last lines of their logs.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "The task's id")), responses((status = OK, body = TaskDetail))
)]
pub(crate) async fn get(State(state): State<ApiState>, Path(id): Path<TaskId>) -> ApiResult<Response> {
    Ok(json(&detail(&state, id).await?))
}

/// A task as it is answered.
pub(crate) async fn detail(state: &ApiState, id: TaskId) -> ApiResult<TaskDetail> {
    let view = state.store.task(id).await?;
    detail_of(state, &view).await
}

/// The same of a task that was just read.
pub(crate) async fn detail_of(state: &ApiState, view: &TaskView) -> ApiResult<TaskDetail> {
    let task = &view.task;
    let plan =
        state.plan_of_id(task.id.run).await?.ok_or_else(|| ApiError::new(ProblemKind::NotFound, "there is no such run"))?;
    let mut tails = HashMap::new();
    let running = task.state.worker().map(|_| (task.attempt, &task.tail));
    for (attempt, tail) in task.history.iter().map(|attempt| (attempt.number, &attempt.tail)).chain(running) {
        if !tail.is_empty() {
            let lines = state.store.log_tail(task.id, tail.clone()).await?;
            tails.insert(attempt, lines.iter().map(|line| LogLine::new(line, &plan)).collect::<Vec<_>>());
        }
    }
    Ok(TaskDetail::new(task, &plan, &view.input, view.output.as_deref(), |attempt| tails.remove(&attempt).unwrap_or_default()))
}

/// The step of a plan that has this name.
pub(crate) fn step_named(plan: &Plan, name: &str) -> ApiResult<StepIndex> {
    plan.step_named(name).ok_or_else(|| {
        let names = plan.steps.iter().map(|step| step.name.as_str());
        let help = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its steps are {}", names.collect::<Vec<_>>().join(", ")),
        };
        invalid("step", format!("the run has no step `{name}`: {help}"))
    })
}

fn core_status(status: TaskStatus) -> CoreTaskStatus {
    match status {
        TaskStatus::Queued => CoreTaskStatus::Queued,
        TaskStatus::Running => CoreTaskStatus::Running,
        TaskStatus::Retrying => CoreTaskStatus::Retrying,
        TaskStatus::Succeeded => CoreTaskStatus::Succeeded,
        TaskStatus::Failed => CoreTaskStatus::Failed,
        TaskStatus::Cancelled => CoreTaskStatus::Cancelled,
        TaskStatus::Skipped => CoreTaskStatus::Skipped,
    }
}
