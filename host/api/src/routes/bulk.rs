//! Cancel, retry or delete many runs: those that a filter matches, a bounded number with each request.

use axum::extract::{Request, State};
use axum::response::Response;
use bulkhead_core::id::RunId;
use bulkhead_core::machine::RunCommand;
use bulkhead_core::run::{Run, RunStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::StoreError;
use futures::future::try_join_all;

use super::json;
use super::selection::{Found, Selection};
use crate::cursor::Cursor as _;
use crate::extract;
use crate::model::{BulkAction, BulkRequest, BulkResult};
use crate::problem::ApiResult;
use crate::state::ApiState;

/// The runs that one request counts, and those that it acts on.
const COUNTED: usize = 5_000;
const ACTED_ON: usize = 200;
/// The runs that are acted on at once: the store puts them into few commits.
const AT_ONCE: usize = 32;

/// Act on many runs
///
/// On those that the filter matches, the newest first, up to 200 with each request: ask again with `next` as `cursor` until there is
/// none. Each run is looked at when its turn comes. So one that does not match any more by then is left alone; one that begins to match after
/// its turn is, too; and none that was created after the first request is touched. The same request again does no harm: what is
/// done already is counted as `left`. With `dry_run` nothing changes, and up to 5,000 are counted.
#[utoipa::path(
    post, path = "/api/v1/runs/bulk", tag = "runs",
    request_body(content = BulkRequest), responses((status = OK, body = BulkResult))
)]
pub(crate) async fn act(State(state): State<ApiState>, request: Request) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = extract::body(request, state.config.body_limit).await?;
    let BulkRequest { action, filter, dry_run, cursor } = extract::required_json(&headers, &body)?;
    let mut selection = Selection::new(filter)?;
    let place = <(Timestamp, RunId)>::decode(cursor.as_deref())?;
    let began = place.map_or_else(|| state.store.now(), |(began, _)| began);
    selection.filter.until = Some(selection.filter.until.map_or(began, |until| until.min(began)));
    let limit = if dry_run { COUNTED } else { ACTED_ON };
    let Found { runs, next } = selection.find(&state, place.map(|(_, before)| before), limit).await?;
    let next = next.map(|run| (began, run).encode());
    let mut result = BulkResult { matched: runs.len() as u64, next, ..BulkResult::default() };
    for some in runs.chunks(AT_ONCE) {
        let done = try_join_all(some.iter().map(|(run, _)| act_on(&state, run, action, dry_run))).await?;
        result.acted += done.iter().filter(|done| **done).count() as u64;
    }
    result.left = result.matched - result.acted;
    Ok(json(&result))
}

/// Does it with one run; whether there was something to do.
async fn act_on(state: &ApiState, run: &Run, action: BulkAction, dry_run: bool) -> ApiResult<bool> {
    if !applies(run, action) {
        return Ok(false);
    }
    if dry_run {
        return Ok(true);
    }
    let done = match action {
        BulkAction::Cancel => state.store.command_run(run.id, RunCommand::Cancel).await.map(drop),
        BulkAction::Retry => state.store.command_run(run.id, RunCommand::RetryFailed).await.map(drop),
        BulkAction::Delete => state.store.delete_run(run.id).await,
    };
    match done {
        Ok(()) => Ok(true),
        // It changed since it was read.
        Err(StoreError::NotFound(_) | StoreError::Rejected(_) | StoreError::Conflict(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether there is something to do.
fn applies(run: &Run, action: BulkAction) -> bool {
    let status = run.state.status();
    match action {
        BulkAction::Cancel => !status.is_terminal() && run.stop.is_none(),
        BulkAction::Retry => {
            let tasks = run.tasks();
            matches!(status, RunStatus::Failed | RunStatus::Succeeded) && tasks.failed + tasks.cancelled > 0
        }
        BulkAction::Delete => status.is_terminal(),
    }
}
