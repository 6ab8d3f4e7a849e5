//! The server itself: health, readiness, metrics, statistics, session, and the description of this API.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bulkhead_engine::files::UPLOAD_KEPT;
use bulkhead_engine::store::StoreResult;

use super::json;
use crate::auth::Caller;
use crate::config::ApiConfig;
use crate::model::{Health, History, Readiness, Session, Settings, Statistics};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;
use crate::{history, metrics};

/// Seconds after which a client asks a server that is not ready again.
const READY_RETRY_SECONDS: u64 = 1;

/// Is the process alive?
///
/// Touches nothing but the process.
#[utoipa::path(get, path = "/health", tag = "system", responses((status = OK, body = Health)))]
pub(crate) async fn health(State(state): State<ApiState>) -> Response {
    json(&Health { status: "ok".to_owned(), version: state.config.version.clone() })
}

/// Does the server do its work?
///
/// It does when its store answers and its worker takes tasks.
#[utoipa::path(get, path = "/ready", tag = "system", responses((status = OK, body = Readiness)))]
pub(crate) async fn ready(State(state): State<ApiState>) -> ApiResult<Response> {
    state.store.last_event().await?;
    if state.load().draining || state.closing().is_cancelled() {
        let detail = "the server takes no more tasks, because it is about to end";
        return Err(ApiError::new(ProblemKind::NotReady, detail).retry_after(READY_RETRY_SECONDS));
    }
    Ok(json(&Readiness { ready: true }))
}

/// Get metrics
///
/// Prometheus text, under OpenTelemetry's names where it has some.
#[utoipa::path(get, path = "/metrics", tag = "system", responses((status = OK, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(state): State<ApiState>) -> ApiResult<Response> {
    let stored = metrics::Stored {
        statistics: state.store.statistics().await?,
        fires: state.store.fire_counts().await?,
        hooks: state.store.hook_counts().await?,
    };
    let (load, egress) = (state.load(), state.egress());
    let text = metrics::render(&stored, load, egress, state.store.now(), state.streams.total(), &state.metrics);
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"))], text).into_response())
}

/// Get statistics
///
/// The counters of the whole server, and what its worker is doing.
#[utoipa::path(get, path = "/api/v1/statistics", tag = "system", responses((status = OK, body = Statistics)))]
pub(crate) async fn statistics(State(state): State<ApiState>) -> ApiResult<Response> {
    Ok(json(&read_statistics(&state).await?))
}

/// Get the last hour
///
/// Counters every few seconds, as charts show them. They are kept in memory, so they begin with the server.
#[utoipa::path(get, path = "/api/v1/statistics/history", tag = "system", responses((status = OK, body = History)))]
pub(crate) async fn history(State(state): State<ApiState>) -> Response {
    let every_ms = u64::try_from(history::EVERY.as_millis()).unwrap_or(u64::MAX);
    json(&History { every_ms, samples: state.history.samples() })
}

/// The counters of now.
pub(crate) async fn read_statistics(state: &ApiState) -> StoreResult<Statistics> {
    let statistics = state.store.statistics().await?;
    Ok(Statistics::new(&statistics, state.load(), state.store.now().into()))
}

/// Who am I?
///
/// The caller's token and role, and the server's version.
#[utoipa::path(get, path = "/api/v1/session", tag = "system", responses((status = OK, body = Session)))]
pub(crate) async fn session(State(state): State<ApiState>, Extension(caller): Extension<Caller>) -> Response {
    let token = caller.token.map(|(name, _)| name.to_string());
    json(&Session { token, role: caller.role.into(), version: state.config.version.clone() })
}

/// Get settings
///
/// Limits, and how long things are kept: what whoever started the server decided.
#[utoipa::path(get, path = "/api/v1/settings", tag = "system", responses((status = OK, body = Settings)))]
pub(crate) async fn settings(State(state): State<ApiState>) -> Response {
    let ApiConfig { body_limit, upload_limit, file_limit, rate, connections, streams, retention, .. } = &state.config;
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    json(&Settings {
        body_bytes: *body_limit as u64,
        plugin_bytes: *upload_limit as u64,
        file_bytes: *file_limit,
        requests_per_second: rate.per_second,
        streams: *streams as u64,
        connections: *connections as u64,
        keep_ms: retention.age.map(millis),
        keep_runs: retention.count,
        keep_uploads_ms: millis(UPLOAD_KEPT),
    })
}

/// Get this description
///
/// OpenAPI, generated from the code that answers.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "system", responses((status = OK, body = serde_json::Value)))]
pub(crate) async fn openapi(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], state.openapi.clone()).into_response()
}
