//! Schedules: list, read, pause, resume, run now, preview.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bulkhead_core::name::Name;
use bulkhead_core::schedule::{MAX_FIRES, ScheduleRecord, Timetable, TimetableError};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::IntoParams;

use super::json;
use super::trigger::{TriggerQuery, answer, idempotency};
use crate::auth::Caller;
use crate::cursor::Cursor as _;
use crate::extract::{Path, Query, invalid, limit};
use crate::model::{Fire, Page, RunDetail, Schedule, ScheduleDetail, SchedulePreview, Time};
use crate::problem::ApiResult;
use crate::state::ApiState;

/// The most moments of a timetable that one request may ask for.
const MOST_UPCOMING: usize = 100;
/// Moments where the request says nothing.
const UPCOMING: usize = 10;

/// Which schedules.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct SchedulesQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 500; 100 where absent.
    limit: Option<usize>,
}

/// List schedules
///
/// Of all definitions that have one, in the order of their ids: when each fires next, and what became of its fires.
#[utoipa::path(
    get, path = "/api/v1/schedules", tag = "schedules",
    params(SchedulesQuery), responses((status = OK, body = Page<Schedule>))
)]
pub(crate) async fn list(State(state): State<ApiState>, Query(query): Query<SchedulesQuery>) -> ApiResult<Response> {
    let limit = limit(query.limit, 100, 500)?;
    let after = Name::decode(query.cursor.as_deref())?;
    let records = state.store.schedules(after, limit + 1).await?;
    Ok(json(&super::page(records, limit, |record| record.id.encode(), |record| Schedule::from(record))))
}

/// How to read a schedule.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScheduleQuery {
    /// How many of the next moments of its timetable, 1 to 100; 10 where absent.
    upcoming: Option<usize>,
    /// How many of its last fires, 1 to 200; 50 where absent. No more are kept.
    fires: Option<usize>,
}

/// Get a schedule
///
/// With the next moments of its timetable, and what became of its last fires.
#[utoipa::path(
    get, path = "/api/v1/schedules/{id}", tag = "schedules",
    params(("id" = String, Path, description = "The definition's id"), ScheduleQuery), responses((status = OK, body = ScheduleDetail))
)]
pub(crate) async fn get(
    State(state): State<ApiState>,
    Path(id): Path<Name>,
    Query(query): Query<ScheduleQuery>,
) -> ApiResult<Response> {
    let record = state.store.schedule(id).await?;
    detail(&state, record, query).await
}

/// Pause a schedule
///
/// It starts nothing until it is resumed; what falls due meanwhile is skipped. Runs that have started go on. A paused schedule
/// stays so, also when its definition is changed, unless that says another `paused` than before.
#[utoipa::path(
    post, path = "/api/v1/schedules/{id}/pause", tag = "schedules",
    params(("id" = String, Path, description = "The definition's id")), responses((status = OK, body = ScheduleDetail))
)]
pub(crate) async fn pause(State(state): State<ApiState>, Path(id): Path<Name>) -> ApiResult<Response> {
    let record = state.store.pause_schedule(id, true).await?;
    detail(&state, record, ScheduleQuery::default()).await
}

/// Resume a schedule
///
/// It fires again from now on. A schedule that is not paused stays as it is.
#[utoipa::path(
    post, path = "/api/v1/schedules/{id}/resume", tag = "schedules",
    params(("id" = String, Path, description = "The definition's id")), responses((status = OK, body = ScheduleDetail))
)]
pub(crate) async fn resume(State(state): State<ApiState>, Path(id): Path<Name>) -> ApiResult<Response> {
    let record = state.store.pause_schedule(id, false).await?;
    detail(&state, record, ScheduleQuery::default()).await
}

/// Run a schedule now
///
/// Starts a run with the schedule's parameters, whatever else of it runs, and also while it is paused. Later fires treat it like
/// any other run of the schedule. `Idempotency-Key` as for starting a run.
#[utoipa::path(
    post, path = "/api/v1/schedules/{id}/run-now", tag = "schedules",
    params(("id" = String, Path, description = "The definition's id"), TriggerQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "A text of the client's, up to 255 characters: the run is started once")),
    responses((status = CREATED, body = RunDetail), (status = OK, body = RunDetail, description = "It was started before"))
)]
pub(crate) async fn run_now(
    State(state): State<ApiState>,
    Path(id): Path<Name>,
    Query(query): Query<TriggerQuery>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let once = idempotency(&headers, &caller, id.as_str(), b"run-now")?;
    answer(&state, state.jobs.run_now(id, once, rand::random()).await, query).await
}

/// Which timetable.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PreviewQuery {
    /// A cron expression: five fields, or six with the seconds first.
    #[param(required, example = "0 3 * * MON-FRI")]
    cron: String,
    /// A time zone by its IANA name; UTC where absent.
    #[param(example = "Europe/Berlin")]
    timezone: Option<String>,
    /// Fires after this moment; after now where absent.
    after: Option<Time>,
    /// How many, 1 to 100; 10 where absent.
    count: Option<usize>,
}

/// Preview a schedule
///
/// The next fires of a cron expression in a time zone, for whoever writes one. Nothing is stored.
#[utoipa::path(
    get, path = "/api/v1/schedule-preview", tag = "schedules",
    params(PreviewQuery), responses((status = OK, body = SchedulePreview))
)]
pub(crate) async fn preview(State(state): State<ApiState>, Query(query): Query<PreviewQuery>) -> ApiResult<Response> {
    let count = upcoming_count("count", query.count)?;
    let timezone = query.timezone.unwrap_or_else(|| "UTC".to_owned());
    let table = Timetable::new(&query.cron, &timezone).map_err(|error| match error {
        TimetableError::Cron { .. } => invalid("cron", error),
        TimetableError::Zone(_) => invalid("timezone", error),
    })?;
    let after = query.after.map_or_else(|| state.store.now(), Into::into);
    let upcoming = std::iter::successors(table.next_after(after), |fire| table.next_after(*fire)).take(count).map(Time::from);
    Ok(json(&SchedulePreview { cron: query.cron, timezone, upcoming: upcoming.collect() }))
}

fn upcoming_count(name: &str, asked: Option<usize>) -> ApiResult<usize> {
    match asked.unwrap_or(UPCOMING) {
        count if (1..=MOST_UPCOMING).contains(&count) => Ok(count),
        count => Err(invalid(name, format!("{count} is not from 1 to {MOST_UPCOMING}"))),
    }
}

async fn detail(state: &ApiState, record: ScheduleRecord, query: ScheduleQuery) -> ApiResult<Response> {
    let upcoming = upcoming_count("upcoming", query.upcoming)?;
    let most = usize::try_from(MAX_FIRES).unwrap_or(usize::MAX);
    let fires = match query.fires.unwrap_or(50) {
        count if (1..=most).contains(&count) => count,
        count => return Err(invalid("fires", format!("{count} is not from 1 to {most}"))),
    };
    let fires = state.store.fires(record.id.clone(), None, fires).await?;
    let table = record.timetable();
    let next = |after| table.as_ref().and_then(|table| table.next_after(after));
    let upcoming = std::iter::successors(next(record.cursor.max(state.store.now())), |fire| next(*fire)).take(upcoming);
    Ok(json(&ScheduleDetail {
        schedule: Schedule::from(&record),
        parameters: RawValue::from_string(record.schedule.parameters.clone()).unwrap_or_default(),
        upcoming: upcoming.map(Time::from).collect(),
        fires: fires.iter().map(Fire::from).collect(),
    }))
}
