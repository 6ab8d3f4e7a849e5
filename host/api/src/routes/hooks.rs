//! Hooks: list, put, remove, test, and what became of their deliveries.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use bulkhead_core::hook::{self as core, DeliveryState, HookEvent, HookName};
use bulkhead_core::name::Name;
use serde::Deserialize;
use utoipa::IntoParams;

use super::json;
use crate::cursor::Cursor as _;
use crate::extract::{self, Path, Query, invalid, limit, nearest};
use crate::model::{Delivery, Hook, Page, PutHook, RedeliverRequest, Redelivered};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// Which hooks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct HooksQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 500; 100 where absent.
    limit: Option<usize>,
}

/// List hooks
///
/// Those of the server and those that definitions state, in the order of their names, with what became of their deliveries.
#[utoipa::path(
    get, path = "/api/v1/hooks", tag = "hooks",
    params(HooksQuery), responses((status = OK, body = Page<Hook>))
)]
pub(crate) async fn list(State(state): State<ApiState>, Query(query): Query<HooksQuery>) -> ApiResult<Response> {
    let limit = limit(query.limit, 100, 500)?;
    let after = HookName::decode(query.cursor.as_deref())?;
    let records = state.store.hooks(after, limit + 1).await?;
    let hook = |record: &_| Hook::new(record, &state.config.hook_secrets);
    Ok(json(&super::page(records, limit, |record| record.name.encode(), hook)))
}

/// Get a hook
#[utoipa::path(
    get, path = "/api/v1/hooks/{name}", tag = "hooks",
    params(("name" = String, Path, description = "The hook's name")), responses((status = OK, body = Hook))
)]
pub(crate) async fn get(State(state): State<ApiState>, Path(name): Path<HookName>) -> ApiResult<Response> {
    let record = state.store.hook(name).await?;
    Ok(json(&Hook::new(&record, &state.config.hook_secrets)))
}

/// Put a hook
///
/// Makes a hook of the server, or changes the one with this name: what it is still to be told goes to the new address. Hooks that
/// definitions state change with these.
///
/// Deliveries are JSON with `type`, `timestamp` and `data`, signed as Standard Webhooks 1.0 says: `webhook-signature` has `v1,` and
/// base64 of HMAC-SHA256 over `webhook-id`, `webhook-timestamp` and the body, with dots between them. Each arrives at least once,
/// under the same id, in no particular order; an answer of 2xx within the time-out takes it.
#[utoipa::path(
    put, path = "/api/v1/hooks/{name}", tag = "hooks",
    params(("name" = String, Path, description = "Its name")),
    request_body = PutHook, responses((status = OK, body = Hook))
)]
pub(crate) async fn put(State(state): State<ApiState>, Path(name): Path<HookName>, request: Request) -> ApiResult<Response> {
    let name = of_server(&name)?;
    let headers = request.headers().clone();
    let body = extract::body(request, state.config.body_limit).await?;
    let PutHook { url, events, definitions, secret } = extract::required_json(&headers, &body)?;
    core::check_url(&url).map_err(|error| refuse(format!("`url`: {error}")))?;
    let mut definitions = definitions
        .iter()
        .map(|id| id.parse().map_err(|error| refuse(format!("`definitions`: {error}"))))
        .collect::<ApiResult<Vec<Name>>>()?;
    definitions.sort_unstable();
    definitions.dedup();
    let secret = secret.parse().map_err(|error| refuse(format!("`secret`: {error}")))?;
    let hook = core::Hook { url, events: asked(&events)?, definitions, secret };
    let record = state.store.put_hook(name, hook).await?;
    Ok(json(&Hook::new(&record, &state.config.hook_secrets)))
}

/// The events of these names; all where there is none.
fn asked(names: &[String]) -> ApiResult<Vec<HookEvent>> {
    if names.is_empty() {
        return Ok(HookEvent::ASKED.to_vec());
    }
    let mut events = Vec::new();
    for name in names {
        let known = || HookEvent::ASKED.into_iter().map(HookEvent::name);
        let event = HookEvent::from_name(name).ok_or_else(|| {
            let help = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use {}", known().collect::<Vec<_>>().join(", ")),
            };
            refuse(format!("there is no event `{name}`: {help}"))
        })?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    Ok(events)
}

/// The name of a hook that no definition states.
fn of_server(name: &HookName) -> ApiResult<Name> {
    match name.definition() {
        Some(definition) => {
            let detail = format!("definition `{definition}` states the hook `{name}`: change the definition");
            Err(ApiError::new(ProblemKind::Conflict, detail))
        }
        None => name.as_str().parse().map_err(|error| invalid("name", error)),
    }
}

fn refuse(detail: impl Into<String>) -> ApiError {
    ApiError::new(ProblemKind::InvalidHook, detail)
}

/// Remove a hook
///
/// With all that it was still to be told. Hooks that definitions state go with these.
#[utoipa::path(
    delete, path = "/api/v1/hooks/{name}", tag = "hooks",
    params(("name" = String, Path, description = "The hook's name")), responses((status = NO_CONTENT, description = "It is gone"))
)]
pub(crate) async fn delete(State(state): State<ApiState>, Path(name): Path<HookName>) -> ApiResult<StatusCode> {
    state.store.delete_hook(of_server(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a hook
///
/// Queues a delivery of the type `hook.test`.
#[utoipa::path(
    post, path = "/api/v1/hooks/{name}/test", tag = "hooks",
    params(("name" = String, Path, description = "The hook's name")), responses((status = OK, body = Delivery))
)]
pub(crate) async fn test(State(state): State<ApiState>, Path(name): Path<HookName>) -> ApiResult<Response> {
    let delivery = state.store.test_hook(name).await?;
    Ok(json(&Delivery::new(&delivery, DeliveryState::Waiting)))
}

/// Which deliveries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesQuery {
    /// `waiting`, `delivered` or `failed`; `failed` where absent. Of those that arrived, the last 100 are kept, of those that failed
    /// 1,000.
    state: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 500; 100 where absent.
    limit: Option<usize>,
}

/// List deliveries
///
/// Of one hook, the newest first, each with the receiver's last answer.
#[utoipa::path(
    get, path = "/api/v1/hooks/{name}/deliveries", tag = "hooks",
    params(("name" = String, Path, description = "The hook's name"), DeliveriesQuery), responses((status = OK, body = Page<Delivery>))
)]
pub(crate) async fn deliveries(
    State(state): State<ApiState>,
    Path(name): Path<HookName>,
    Query(query): Query<DeliveriesQuery>,
) -> ApiResult<Response> {
    let limit = limit(query.limit, 100, 500)?;
    let before = u64::decode(query.cursor.as_deref())?;
    let wanted = match query.state.as_deref() {
        None => DeliveryState::Failed,
        Some(text) => DeliveryState::from_name(text)
            .ok_or_else(|| invalid("state", format!("`{text}` is none of waiting, delivered and failed")))?,
    };
    let found = state.store.deliveries(name, wanted, before, limit + 1).await?;
    let delivery = |delivery: &_| Delivery::new(delivery, wanted);
    Ok(json(&super::page(found, limit, |delivery| delivery.number.encode(), delivery)))
}

/// Redeliver
///
/// Has failed deliveries sent again, under the ids that they had: one, or as many of all as may wait.
#[utoipa::path(
    post, path = "/api/v1/hooks/{name}/redeliver", tag = "hooks",
    params(("name" = String, Path, description = "The hook's name")),
    request_body(content = RedeliverRequest, description = "May be left out"), responses((status = OK, body = Redelivered))
)]
pub(crate) async fn redeliver(
    State(state): State<ApiState>,
    Path(name): Path<HookName>,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = extract::body(request, state.config.body_limit).await?;
    let RedeliverRequest { number } = extract::json(&headers, &body)?;
    Ok(json(&Redelivered { count: state.store.redeliver(name, number).await? }))
}
