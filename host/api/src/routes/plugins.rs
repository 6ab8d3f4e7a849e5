//! Plugins: upload, list, describe, remove.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::json;
use crate::extract::{self, Path, Query};
use crate::model::{Page, Plugin, PluginDetail, PluginUpload};
use crate::problem::ApiResult;
use crate::state::ApiState;

/// List plugins
///
/// What each name means now, in the order of the names.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses((status = OK, body = Page<Plugin>)))]
pub(crate) async fn list(State(state): State<ApiState>) -> ApiResult<Response> {
    let plugins = state.store.plugins().await?;
    Ok(json(&Page { items: plugins.iter().map(Plugin::from).collect(), next: None }))
}

/// What an upload is called.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// The name of a WASI command. Any other plugin has the name that it describes itself by.
    #[param(example = "cowsay")]
    name: Option<String>,
}

/// Upload a plugin
///
/// A component, or a core module, which is adapted. It is compiled, checked against the contract and asked to describe itself.
/// A WASI command, which knows nothing of the contract, becomes one under the name given here. Another component under the same
/// name becomes the one that new runs use; the same one again changes nothing.
///
/// The answer comes when that is done; compiling a large plugin takes its time. With `prefer: respond-async` the answer is 202 as soon
/// as the upload is stored: it is checked in the background, through restarts of the server, and `location` says where its state is.
#[utoipa::path(
    post, path = "/api/v1/plugins", tag = "plugins", params(UploadQuery, ("prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the check")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = CREATED, body = PluginDetail), (status = ACCEPTED, body = PluginUpload))
)]
pub(crate) async fn upload(
    State(state): State<ApiState>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> ApiResult<Response> {
    let name = query.name.map(|name| name.parse::<Name>().map_err(|error| extract::invalid("name", error))).transpose()?;
    extract::expect_media_type(request.headers(), &["application/octet-stream", "application/wasm"])?;
    let background = prefers_async(request.headers());
    let component = extract::body(request, state.config.upload_limit).await?;
    if background {
        let upload = PluginUpload::from(&state.jobs.submit(component, name).await?);
        return Ok(made(StatusCode::ACCEPTED, &format!("/api/v1/plugin-uploads/{}", upload.digest), &upload));
    }
    let record = state.jobs.upload(component, name).await?;
    Ok(made(StatusCode::CREATED, &format!("/api/v1/plugins/{}", record.name), &PluginDetail::from(&record)))
}

/// Whether the client asks for an answer before the work is done (RFC 7240, 4.1).
fn prefers_async(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|value| value.split([',', ';'])).any(|one| one.trim().eq_ignore_ascii_case("respond-async"))
}

/// An answer that says what was made, and where it is.
fn made(status: StatusCode, location: &str, what: &impl Serialize) -> Response {
    let mut response = json(what);
    *response.status_mut() = status;
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// List uploads
///
/// Components that were uploaded to be checked in the background, those that came first at the front: all that wait, and the last 100
/// that were accepted or refused.
#[utoipa::path(get, path = "/api/v1/plugin-uploads", tag = "plugins", responses((status = OK, body = Page<PluginUpload>)))]
pub(crate) async fn uploads(State(state): State<ApiState>) -> ApiResult<Response> {
    let uploads = state.jobs.all_submitted().await?;
    Ok(json(&Page { items: uploads.iter().map(PluginUpload::from).collect(), next: None }))
}

/// Describe an upload
///
/// Where it is, and how far. `/api/v1/watch` tells it as it changes.
#[utoipa::path(
    get, path = "/api/v1/plugin-uploads/{digest}", tag = "plugins",
    params(("digest" = String, Path, description = "The digest of what was uploaded")), responses((status = OK, body = PluginUpload))
)]
pub(crate) async fn upload_state(State(state): State<ApiState>, Path(digest): Path<Digest>) -> ApiResult<Response> {
    Ok(json(&PluginUpload::from(&state.jobs.submitted(digest).await?)))
}

/// Describe a plugin
///
/// With the schema of its configuration.
#[utoipa::path(
    get, path = "/api/v1/plugins/{name}", tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name")), responses((status = OK, body = PluginDetail))
)]
pub(crate) async fn get(State(state): State<ApiState>, Path(name): Path<Name>) -> ApiResult<Response> {
    Ok(json(&PluginDetail::from(&state.store.plugin(name).await?)))
}

/// Remove a plugin
///
/// No run that has not ended may use it. Definitions that name it stay, and are not valid until it is there again.
#[utoipa::path(
    delete, path = "/api/v1/plugins/{name}", tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name")), responses((status = NO_CONTENT, description = "It is gone"))
)]
pub(crate) async fn delete(State(state): State<ApiState>, Path(name): Path<Name>) -> ApiResult<StatusCode> {
    state.store.delete_plugin(name).await?;
    Ok(StatusCode::NO_CONTENT)
}
