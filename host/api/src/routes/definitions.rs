//! Definitions: check, store, list, read, remove.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::name::Name;
use bulkhead_engine::jobs::JobError;
use bulkhead_engine::store::{DefinitionRecord, Role, StoreError};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{entity_tag, json};
use crate::auth::Caller;
use crate::cursor::Cursor as _;
use crate::extract::{self, Path, PathParts, Query, TOML, header_text, invalid, limit};
use crate::model::{Definition, DefinitionSummary, DefinitionText, DefinitionVersion, Page, Validation};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// Which definitions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DefinitionsQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 500; 100 where absent.
    limit: Option<usize>,
}

/// List definitions
///
/// In the order of their ids.
#[utoipa::path(
    get, path = "/api/v1/definitions", tag = "definitions",
    params(DefinitionsQuery), responses((status = OK, body = Page<DefinitionSummary>))
)]
pub(crate) async fn list(State(state): State<ApiState>, Query(query): Query<DefinitionsQuery>) -> ApiResult<Response> {
    let limit = limit(query.limit, 100, 500)?;
    let after = Name::decode(query.cursor.as_deref())?;
    let records = state.store.definitions(after, limit + 1).await?;
    let page = super::page(records, limit, |record| record.id.encode(), Clone::clone);
    let mut items = Vec::with_capacity(page.items.len());
    for record in &page.items {
        items.push(described(&state, record).await?.summary);
    }
    Ok(json(&Page { items, next: page.next }))
}

/// Get a definition
///
/// As JSON, or with `Accept: application/toml` its text. The entity tag is its version.
#[utoipa::path(
    get, path = "/api/v1/definitions/{id}", tag = "definitions",
    params(("id" = String, Path, description = "The definition's id")),
    responses((status = OK, content((Definition = "application/json"), (String = "application/toml"))))
)]
pub(crate) async fn get(State(state): State<ApiState>, Path(id): Path<Name>, headers: HeaderMap) -> ApiResult<Response> {
    let record = state.store.definition(id).await?;
    let accept = header_text(&headers, header::ACCEPT)?.unwrap_or("");
    let mut response = match [TOML, "text/toml", "text/plain"].into_iter().any(|kind| accept.contains(kind)) {
        true => {
            let kind = HeaderValue::from_static(TOML);
            ([(header::CONTENT_TYPE, kind)], record.text.to_string()).into_response()
        }
        false => json(&described(&state, &record).await?),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(tagged(response, &record))
}

/// Store a definition
///
/// The body is its TOML, whose id must be the path's. With `If-Match` it must have that version, with `If-None-Match: *` there
/// must be none. Runs that were started before keep what they were started with.
#[utoipa::path(
    put, path = "/api/v1/definitions/{id}", tag = "definitions",
    params(("id" = String, Path, description = "The definition's id"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the version to replace"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none")),
    request_body(content = String, content_type = "application/toml"),
    responses((status = OK, body = Definition), (status = CREATED, body = Definition, description = "It is the first version"))
)]
pub(crate) async fn put(State(state): State<ApiState>, Path(id): Path<Name>, request: Request) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = extract::body(request, state.config.body_limit).await?;
    let text = extract::toml(&headers, &body)?;
    let definition = state.jobs.check_and_pull(&text).await?;
    if definition.id != id {
        let detail = format!("the text says `id = \"{}\"`, the path says `{id}`: make them the same", definition.id);
        return Err(ApiError::new(ProblemKind::DefinitionIdMismatch, detail));
    }
    let expected = expected_version(&state, &id, &headers).await?;
    let stored = state.store.put_definition(id, text.into(), expected).await;
    let record = stored.map_err(|error| match error {
        StoreError::Conflict(detail) if expected.is_some() => ApiError::new(ProblemKind::PreconditionFailed, detail),
        error => error.into(),
    })?;
    let mut response = json(&Definition::new(&record, Some(&definition), Vec::new()));
    if record.version == 1 {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(tagged(response, &record))
}

/// Check a definition
///
/// Stores nothing but the plugins that it refers to in registries: for an operator they are pulled, for a viewer they have to be
/// here. What is wrong is the answer, not an error.
#[utoipa::path(
    post, path = "/api/v1/definitions/validate", tag = "definitions",
    request_body(content = String, content_type = "application/toml"), responses((status = OK, body = Validation))
)]
pub(crate) async fn validate(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = extract::body(request, state.config.body_limit).await?;
    let text = extract::toml(&headers, &body)?;
    let checked = match caller.role {
        Role::Operator | Role::Admin => state.jobs.check_and_pull(&text).await,
        Role::Viewer => state.jobs.check(&text).await,
    };
    let validation = match checked {
        Ok(definition) => Validation { valid: true, id: Some(definition.id.to_string()), diagnostics: Vec::new() },
        Err(JobError::Invalid(diagnostics)) => {
            Validation { valid: false, id: None, diagnostics: diagnostics.0.iter().map(Into::into).collect() }
        }
        Err(error) => return Err(error.into()),
    };
    Ok(json(&validation))
}

/// List a definition's versions
///
/// The newest first: the one that it has, and the last 100 before.
#[utoipa::path(
    get, path = "/api/v1/definitions/{id}/versions", tag = "definitions",
    params(("id" = String, Path, description = "The definition's id"), DefinitionsQuery),
    responses((status = OK, body = Page<DefinitionVersion>))
)]
pub(crate) async fn versions(
    State(state): State<ApiState>,
    Path(id): Path<Name>,
    Query(query): Query<DefinitionsQuery>,
) -> ApiResult<Response> {
    let limit = limit(query.limit, 100, 500)?;
    let before = u64::decode(query.cursor.as_deref())?;
    let records = state.store.definition_versions(id, before, limit + 1).await?;
    Ok(json(&super::page(records, limit, |record| record.version.encode(), |record| DefinitionVersion::from(record))))
}

/// Get a version of a definition
#[utoipa::path(
    get, path = "/api/v1/definitions/{id}/versions/{version}", tag = "definitions",
    params(("id" = String, Path, description = "The definition's id"), ("version" = u64, Path, description = "The version")),
    responses((status = OK, body = DefinitionText))
)]
pub(crate) async fn version(State(state): State<ApiState>, parts: PathParts<2>) -> ApiResult<Response> {
    let PathParts([id, version]) = parts;
    let id = id.parse::<Name>().map_err(|error| invalid("id", error))?;
    let version = version.parse().map_err(|error| invalid("version", error))?;
    let record = state.store.definition_version(id, version).await?;
    Ok(json(&DefinitionText { version: (&record).into(), text: record.text.to_string() }))
}

/// Remove a definition
///
/// With its versions. Its runs stay.
#[utoipa::path(
    delete, path = "/api/v1/definitions/{id}", tag = "definitions",
    params(("id" = String, Path, description = "The definition's id")), responses((status = NO_CONTENT, description = "It is gone"))
)]
pub(crate) async fn delete(State(state): State<ApiState>, Path(id): Path<Name>) -> ApiResult<StatusCode> {
    state.store.delete_definition(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A definition with what its text says now.
async fn described(state: &ApiState, record: &DefinitionRecord) -> ApiResult<Definition> {
    let (checked, diagnostics) = match state.jobs.check(&record.text).await {
        Ok(definition) => (Some(definition), Vec::new()),
        Err(JobError::Invalid(diagnostics)) => (None, diagnostics.0.iter().map(Into::into).collect()),
        Err(error) => return Err(error.into()),
    };
    Ok(Definition::new(record, checked.as_deref(), diagnostics))
}

/// The version that a request wants to replace; 0 for none.
async fn expected_version(state: &ApiState, id: &Name, headers: &HeaderMap) -> ApiResult<Option<u64>> {
    if let Some(tag) = header_text(headers, header::IF_NONE_MATCH)? {
        return if tag == "*" { Ok(Some(0)) } else { Err(invalid("If-None-Match", "expected `*`")) };
    }
    match header_text(headers, header::IF_MATCH)? {
        None => Ok(None),
        Some("*") => match state.store.definition(id.clone()).await {
            Ok(record) => Ok(Some(record.version)),
            Err(StoreError::NotFound(_)) => {
                Err(ApiError::new(ProblemKind::PreconditionFailed, "there is no such definition yet"))
            }
            Err(error) => Err(error.into()),
        },
        Some(tag) => {
            let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
            version.map(Some).ok_or_else(|| invalid("If-Match", "expected the entity tag of a version, such as `\"3\"`"))
        }
    }
}

/// The same response with a definition's entity tag.
fn tagged(mut response: Response, record: &DefinitionRecord) -> Response {
    if let Some(tag) = entity_tag(record.version) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
