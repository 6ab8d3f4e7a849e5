//! Starting runs: of a stored definition, or of a text.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::artifact::FileName;
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_core::run::Trigger;
use bulkhead_engine::jobs::{JobError, RunRequest, Started};
use bulkhead_engine::store::{Idempotency, RunView, StoreError};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use utoipa::IntoParams;

use super::json;
use super::runs::detail;
use super::wait::{Until, wait};
use crate::auth::Caller;
use crate::extract::{self, Path, Query, Wait, header_text, invalid};
use crate::model::{RunDetail, TriggerRequest};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// The longest idempotency key, in characters.
const MAX_KEY_LEN: usize = 255;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How to start a run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct TriggerQuery {
    /// Wait so long at most (`30s`, `500ms`, at most 60 s) for the run's end, and answer with the run as it is then.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<Wait>,
}

/// How to start a run of a text.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct TextQuery {
    /// Start it paused: none of its tasks starts before it is resumed, but those that `process-next` takes.
    paused: bool,
    /// Wait so long at most (`30s`, `500ms`, at most 60 s) for the run's end, and answer with the run as it is then.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<Wait>,
}

/// Start a run
///
/// Of a stored definition, with the plugins that its names mean now. With `Idempotency-Key` a request that is repeated starts one
/// run only: the repetition is answered with the first run, the status 200 and `Idempotency-Replayed: true`.
#[utoipa::path(
    post, path = "/api/v1/definitions/{id}/runs", tag = "runs",
    params(("id" = String, Path, description = "The definition's id"), TriggerQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "A text of the client's, up to 255 characters: the run is started once")),
    request_body(content = TriggerRequest, description = "May be left out"),
    responses((status = CREATED, body = RunDetail), (status = OK, body = RunDetail, description = "It was started before"))
)]
pub(crate) async fn stored(
    State(state): State<ApiState>,
    Path(id): Path<Name>,
    Query(query): Query<TriggerQuery>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = extract::body(request, state.config.body_limit).await?;
    let TriggerRequest { parameters, files, paused } = extract::json(&headers, &body)?;
    let idempotency = idempotency(&headers, &caller, id.as_str(), &body)?;
    let parameters = parameters.map(|parameters| parameters.get().into());
    let files = named_files(files)?;
    let request = RunRequest { parameters, files, trigger: Trigger::Api, paused, idempotency, random: rand::random() };
    answer(&state, state.jobs.trigger(id, request).await, query).await
}

/// Start a run of a text
///
/// Of a definition that is not stored: the body is its TOML. As the text decides what its plugins are granted, this needs the
/// role that storing it needs.
#[utoipa::path(
    post, path = "/api/v1/runs", tag = "runs",
    params(TextQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "A text of the client's, up to 255 characters: the run is started once")),
    request_body(content = String, content_type = "application/toml"),
    responses((status = CREATED, body = RunDetail), (status = OK, body = RunDetail, description = "It was started before"))
)]
pub(crate) async fn text(
    State(state): State<ApiState>,
    Query(query): Query<TextQuery>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = extract::body(request, state.config.body_limit).await?;
    let text = extract::toml(&headers, &body)?;
    let what = if query.paused { "paused" } else { "" };
    let idempotency = idempotency(&headers, &caller, what, &body)?;
    let request = RunRequest {
        parameters: None,
        files: Default::default(),
        trigger: Trigger::Api,
        paused: query.paused,
        idempotency,
        random: rand::random(),
    };
    answer(&state, state.jobs.run(&text, request).await, TriggerQuery { wait: query.wait }).await
}

/// A run's files, checked.
fn named_files(files: BTreeMap<String, String>) -> ApiResult<BTreeMap<FileName, Digest>> {
    let bad = |error: String| ApiError::new(ProblemKind::InvalidRunFiles, format!("`files`: {error}"));
    let named = files.into_iter().map(|(name, digest)| {
        let name: FileName = name.parse().map_err(|error| bad(format!("{error}")))?;
        Ok((name, digest.parse().map_err(|error| bad(format!("{error}")))?))
    });
    named.collect()
}

/// The answer to a run that was started, or was not.
pub(super) async fn answer(state: &ApiState, started: Result<Started, JobError>, query: TriggerQuery) -> ApiResult<Response> {
    let Started { run, plan, parameters, existing } = started.map_err(|error| match error {
        // Creating a run conflicts with nothing else.
        JobError::Store(StoreError::Conflict(detail)) => {
            ApiError::new(ProblemKind::IdempotencyKeyReused, format!("{detail}: use a new key for a new request"))
        }
        error => error.into(),
    })?;
    let view = match query.wait {
        Some(Wait(longest)) if !run.state.is_terminal() => wait(state, run.id, Until::Ended, longest).await?,
        _ => RunView { run, plan, parameters },
    };
    let mut response = json(&detail(state, &view).await?);
    *response.status_mut() = if existing { StatusCode::OK } else { StatusCode::CREATED };
    if existing {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/runs/{}", view.run.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response.into_response())
}

/// The key under which this happens once. It is unique among the requests with the same token; `what` and `body` say which request.
pub(crate) fn idempotency(headers: &HeaderMap, caller: &Caller, what: &str, body: &[u8]) -> ApiResult<Option<Idempotency>> {
    let Some(key) = header_text(headers, IDEMPOTENCY_KEY)? else {
        return Ok(None);
    };
    if !(1..=MAX_KEY_LEN).contains(&key.len()) {
        return Err(invalid("Idempotency-Key", format!("expected 1 to {MAX_KEY_LEN} characters")));
    }
    let scope = caller.token.as_ref().map_or("", |(name, _)| name.as_str());
    // No name has a line break in it, so different requests never look the same.
    let digest = Sha256::new().chain_update(what).chain_update("\n").chain_update(body).finalize();
    Ok(Some(Idempotency { key: format!("{scope}:{key}"), request: Digest::from_bytes(digest.into()) }))
}
