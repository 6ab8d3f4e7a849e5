//! Tokens: list, make, remove.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use bulkhead_core::name::Name;
use bulkhead_engine::store::Role;

use super::json;
use crate::auth::new_token;
use crate::extract::{self, Path};
use crate::model::{NewToken, NewTokenRequest, Page, Token};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// List tokens
///
/// Without their secrets, which the server does not have.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", responses((status = OK, body = Page<Token>)))]
pub(crate) async fn list(State(state): State<ApiState>) -> ApiResult<Response> {
    let tokens = state.store.tokens().await?;
    Ok(json(&Page { items: tokens.iter().map(Token::from).collect(), next: None }))
}

/// Make a token
///
/// The answer has its secret, this once. The first token must be an admin's; from then on the server needs a token.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens",
    request_body = NewTokenRequest, responses((status = CREATED, body = NewToken))
)]
pub(crate) async fn create(State(state): State<ApiState>, request: Request) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = extract::body(request, state.config.body_limit).await?;
    let NewTokenRequest { name, role } = extract::required_json(&headers, &body)?;
    let name: Name = name.parse().map_err(|error| ApiError::new(ProblemKind::InvalidToken, format!("`name`: {error}")))?;
    let role = Role::from(role);
    if role != Role::Admin && !state.store.tokens().await?.iter().any(|token| token.role == Role::Admin) {
        let detail = "make an admin's token first: from the first token on, nobody without one could make another";
        return Err(ApiError::new(ProblemKind::InvalidToken, detail));
    }
    let (record, secret) = new_token(name, role, state.store.now());
    state.store.put_token(record.clone()).await?;
    state.authenticator.require();
    let mut response = json(&NewToken { token: (&record).into(), secret });
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Remove a token
///
/// It is refused from then on. The last token of an admin stays, because nobody could make another.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{name}", tag = "tokens",
    params(("name" = String, Path, description = "The token's name")), responses((status = NO_CONTENT, description = "It is gone"))
)]
pub(crate) async fn delete(State(state): State<ApiState>, Path(name): Path<Name>) -> ApiResult<StatusCode> {
    let tokens = state.store.tokens().await?;
    let is_admin = |name: &Name| tokens.iter().any(|token| token.name == *name && token.role == Role::Admin);
    if is_admin(&name) && tokens.iter().filter(|token| token.role == Role::Admin).count() == 1 {
        let detail = "this is the last token of an admin: make another one first, or remove it on the server";
        return Err(ApiError::new(ProblemKind::InvalidToken, detail));
    }
    state.store.delete_token(name).await?;
    state.authenticator.forget();
    Ok(StatusCode::NO_CONTENT)
}
