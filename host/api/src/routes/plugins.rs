//! Plugins: upload, list, describe, remove.

use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_core::id::Digest;
use bulkhead_core::name::{InvalidName, Name};
use bulkhead_engine::jobs::GivenPapers;
use bulkhead_engine::signature::MAX_SIGNATURE_LEN;
use bulkhead_engine::store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::json;
use crate::extract::{self, Path, Query};
use crate::model::{Page, Plugin, PluginDetail, PluginUpload};
use crate::problem::ApiResult;
use crate::state::ApiState;

/// The header of an upload with its signature, in base64.
const SIGNATURE: &str = "bulkhead-signature";
/// The header of an upload with its manifest in a registry, in base64.
const MANIFEST: &str = "bulkhead-manifest";
/// The largest manifest that comes in a header, in bytes: those of one layer have about 500, and annotations.
const MAX_MANIFEST_HEADER: usize = 16 << 10;

/// Which plugins. Clients that page through lists ask this one for pages, too, and get all at once.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PluginsQuery {
    /// Those that are pinned and that no name means.
    pinned: bool,
}

/// List plugins
///
/// What each name means now, in the order of the names; or with `pinned` those that were pulled from registries, which definitions refer
/// to by what they are pinned to.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", params(PluginsQuery), responses((status = OK, body = Page<Plugin>)))]
pub(crate) async fn list(State(state): State<ApiState>, Query(query): Query<PluginsQuery>) -> ApiResult<Response> {
    let items = if query.pinned {
        let pinned = state.store.pinned_plugins().await?;
        pinned
            .into_iter()
            .map(|(plugin, papers)| Plugin { source: papers.source.map(String::from), ..(&plugin).into() })
            .collect()
    } else {
        state.store.plugins().await?.iter().map(Plugin::from).collect()
    };
    Ok(json(&Page { items, next: None }))
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
/// With its manifest in a registry, definitions may refer to it by what it is pinned to there.
///
/// The answer comes when that is done; compiling a large plugin takes its time. With `prefer: respond-async` the answer is 202 as soon
/// as the upload is stored: it is checked in the background, through restarts of the server, and `location` says where its state is.
#[utoipa::path(
    post, path = "/api/v1/plugins", tag = "plugins",
    params(UploadQuery,
        ("prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the check"),
        ("Bulkhead-Signature" = Option<String>, Header, description = "Its signature: a .minisig file, in base64"),
        ("Bulkhead-Manifest" = Option<String>, Header, description = "The OCI manifest that names it, in base64")),
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
    let papers = given_papers(request.headers())?;
    let component = extract::body(request, state.config.upload_limit).await?;
    if background {
        let upload = PluginUpload::from(&state.jobs.submit(component, name, papers).await?);
        return Ok(made(StatusCode::ACCEPTED, &format!("/api/v1/plugin-uploads/{}", upload.digest), &upload));
    }
    let record = state.jobs.upload(component, name, papers).await?;
    let papers = state.store.papers(record.digest).await?;
    Ok(made(StatusCode::CREATED, &format!("/api/v1/plugins/{}", record.name), &PluginDetail::new(&record, papers)))
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

/// What comes with an upload and proves it.
fn given_papers(headers: &HeaderMap) -> ApiResult<GivenPapers> {
    let header = |name: &'static str, most: usize| {
        let Some(text) = headers.get(name) else { return Ok(None) };
        let decoded = STANDARD.decode(text).ok().filter(|decoded| decoded.len() <= most);
        decoded.map(Some).ok_or_else(|| extract::invalid(name, format!("expected base64 of at most {most} bytes")))
    };
    let signature = header(SIGNATURE, MAX_SIGNATURE_LEN)?;
    let signature = signature.map(String::from_utf8).transpose().map_err(|error| extract::invalid(SIGNATURE, error))?;
    Ok(GivenPapers { manifest: header(MANIFEST, MAX_MANIFEST_HEADER)?.map(Into::into), signature })
}

/// Which plugin.
#[derive(Debug)]
pub(crate) enum Wanted {
    Name(Name),
    Component(Digest),
}

impl FromStr for Wanted {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        text.parse().map(Self::Component).or_else(|_| text.parse().map(Self::Name))
    }
}

/// Describe a plugin
///
/// With the schema of its configuration. A name that means no plugin now describes the one that was pulled last of those that are called
/// so; `source` says then that definitions can't use the name.
#[utoipa::path(
    get, path = "/api/v1/plugins/{name}", tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name, or the digest of its component")),
    responses((status = OK, body = PluginDetail))
)]
pub(crate) async fn get(State(state): State<ApiState>, Path(wanted): Path<Wanted>) -> ApiResult<Response> {
    let named = match &wanted {
        Wanted::Name(name) => state.store.plugin(name.clone()).await,
        Wanted::Component(digest) => {
            let known = state.store.plugins().await?.into_iter().find(|plugin| plugin.digest == *digest);
            known.ok_or(StoreError::NotFound("plugin"))
        }
    };
    let detail = match named {
        Ok(plugin) => {
            let papers = state.store.papers(plugin.digest).await?;
            PluginDetail::new(&plugin, papers)
        }
        Err(StoreError::NotFound(what)) => {
            let pinned = state.store.pinned_plugins().await?.into_iter().filter(|(plugin, _)| match &wanted {
                Wanted::Name(name) => plugin.name == *name,
                Wanted::Component(digest) => plugin.digest == *digest,
            });
            let newest = pinned.max_by_key(|(plugin, _)| plugin.uploaded_at);
            let (plugin, papers) = newest.ok_or(StoreError::NotFound(what))?;
            let source = papers.source.as_deref().map(str::to_owned);
            let detail = PluginDetail::new(&plugin, papers);
            PluginDetail { plugin: Plugin { source, ..detail.plugin }, ..detail }
        }
        Err(error) => return Err(error.into()),
    };
    Ok(json(&detail))
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
