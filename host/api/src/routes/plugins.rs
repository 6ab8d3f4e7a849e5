//! Plugins: upload, list, describe, remove.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bulkhead_core::name::Name;
use serde::Deserialize;
use utoipa::IntoParams;

use super::json;
use crate::extract::{self, Path, Query};
use crate::model::{Page, Plugin, PluginDetail};
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
#[utoipa::path(
    post, path = "/api/v1/plugins", tag = "plugins", params(UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = CREATED, body = PluginDetail))
)]
pub(crate) async fn upload(
    State(state): State<ApiState>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> ApiResult<Response> {
    let name = query.name.map(|name| name.parse::<Name>().map_err(|error| extract::invalid("name", error))).transpose()?;
    extract::expect_media_type(request.headers(), &["application/octet-stream", "application/wasm"])?;
    let component = extract::body(request, state.config.upload_limit).await?;
    let record = state.jobs.upload(component, name).await?;
    let mut response = json(&PluginDetail::from(&record));
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/plugins/{}", record.name)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
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
