//! The outermost layer, which every request passes: it knows the client, holds it to its limits, asks [`crate::auth`]
//! whether it may, survives a handler's panic, counts, and gives every error its final form.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;

use crate::auth::table::{self, Access};
use crate::auth::{self, guard};
use crate::limit::Client;
use crate::problem::{ApiError, ApiResult, PROBLEM_JSON, ProblemKind};
use crate::state::ApiState;

/// The longest request id that is taken over from a client.
const MAX_REQUEST_ID: usize = 64;
/// The most of a foreign error's text that is kept.
const MAX_FOREIGN_TEXT: usize = 4_096;
const REQUEST_ID: &str = "x-request-id";

/// Lets a request through to its handler, or not.
pub(crate) async fn gate(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id(&request);
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map(MatchedPath::as_str);
    let route = path.and_then(|path| table::find(request.method().as_str(), path));
    let admitted = AssertUnwindSafe(pass(&state, request, next, path, route.map(|(_, route)| route.access)));
    let response = match admitted.catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => error.into_response(),
        Err(_) => {
            tracing::error!(request_id = id, route = path, "a handler panicked");
            let detail = "the server failed while it answered; its log has more under this request's id";
            ApiError::new(ProblemKind::Internal, detail).into_response()
        }
    };
    let response = finish(response, &id).await;
    state.metrics.count(route.map(|(index, _)| index), response.status(), start.elapsed());
    response
}

/// Checks everything and asks the handler.
async fn pass(
    state: &ApiState,
    mut request: Request,
    next: Next,
    path: Option<&str>,
    access: Option<Access>,
) -> ApiResult<Response> {
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let mut client = address.map_or(Client::Others, Client::at);
    let (parts, body) = request.into_parts();
    if !state.authenticator.is_required() {
        guard::check(&parts)?;
    }
    if access == Some(Access::Open) {
        limited(state, client)?;
    } else {
        let caller = match state.authenticator.authenticate(&parts.headers).await {
            Ok(caller) => caller,
            Err(error) => {
                limited(state, client)?;
                return Err(error);
            }
        };
        if let Some((_, digest)) = &caller.token {
            client = Client::Token(*digest);
        }
        limited(state, client)?;
        match access {
            Some(Access::Role(least)) => auth::allow(&caller, least)?,
            Some(Access::Open) => {}
            None => return Err(refuse(parts.method.as_str(), parts.uri.path(), path)),
        }
        request = Request::from_parts(parts, body);
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(client);
        return Ok(next.run(request).await);
    }
    request = Request::from_parts(parts, body);
    request.extensions_mut().insert(client);
    Ok(next.run(request).await)
}

/// What the table does not have: no such method, or no such path.
fn refuse(method: &str, asked: &str, path: Option<&str>) -> ApiError {
    let methods = path.map(table::methods).unwrap_or_default();
    if methods.is_empty() {
        let detail = format!("there is nothing at `{asked}`: /api/v1/openapi.json names every path");
        return ApiError::new(ProblemKind::UnknownRoute, detail);
    }
    let detail = format!("`{asked}` has no method {method}, only {methods}");
    ApiError::new(ProblemKind::MethodNotAllowed, detail).allow(&methods)
}

fn limited(state: &ApiState, client: Client) -> ApiResult<()> {
    state.rate.take(client, Instant::now()).map_err(|wait| {
        let rate = state.config.rate;
        let detail =
            format!("a client may ask {} times a second, {} times at once: ask more slowly", rate.per_second, rate.burst);
        ApiError::new(ProblemKind::RateLimited, detail).retry_after(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    })
}

/// The client's id for the request where it has a plain one, or a new one.
fn request_id(request: &Request) -> String {
    let plain = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(plain);
    given.map_or_else(|| format!("{:016x}", rand::random::<u64>()), str::to_owned)
}

/// Gives an error its body, and every response its headers.
async fn finish(mut response: Response, id: &str) -> Response {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let error = match response.extensions_mut().remove::<ApiError>() {
            Some(error) => error,
            None => foreign(std::mem::take(response.body_mut()), status).await,
        };
        let problem = error.to_problem(id);
        if status.is_server_error() {
            tracing::warn!(request_id = id, status = status.as_u16(), detail = problem.detail, "a request failed");
        }
        *response.body_mut() = serde_json::to_vec(&problem).unwrap_or_default().into();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// An error that the web framework answered with.
async fn foreign(body: Body, status: StatusCode) -> ApiError {
    let text = to_bytes(body, MAX_FOREIGN_TEXT).await.unwrap_or_default();
    ApiError::of_status(status, String::from_utf8_lossy(&text).into_owned())
}
