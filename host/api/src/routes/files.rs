//! Files and artifacts: upload, list, download. Content goes through piece by piece, whatever its size.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::artifact::{ContentType, FileName};
use bulkhead_core::id::{Digest, RunId};
use bulkhead_engine::files::{ArtifactPlace, ArtifactRecord};
use bulkhead_engine::store::StoreError;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use utoipa::IntoParams;

use super::tasks::step_named;
use super::{entity_tag, json};
use crate::cursor::Cursor as _;
use crate::extract::{Path, PathParts, Query, header_text, invalid, limit};
use crate::limit::Client;
use crate::model::{Artifact, File, Page, RunArtifact, RunFile};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::sse;
use crate::state::ApiState;

/// Bytes that gather before they are written, and that a download reads at once.
const PIECE: usize = 256 << 10;

/// Upload a file
///
/// Of any kind, up to the server's limit. Name its digest in `files` when a run is started. It is kept for a day after it was
/// uploaded or last used to start a run; the same content again is kept for another day.
#[utoipa::path(
    post, path = "/api/v1/files", tag = "files",
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The content, of any media type"),
    responses((status = CREATED, body = File))
)]
pub(crate) async fn upload(
    State(state): State<ApiState>,
    Extension(client): Extension<Client>,
    request: Request,
) -> ApiResult<Response> {
    // An upload lasts as long as its client likes, as a stream does.
    let _slot = sse::slot(&state, client)?;
    let most = state.config.file_limit;
    let too_large = || {
        let detail = format!("a file may have {most} bytes: split it, or raise the server's `--file-limit`");
        ApiError::new(ProblemKind::BodyTooLarge, detail)
    };
    let length = header_text(request.headers(), header::CONTENT_LENGTH)?.and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut writer = state.store.begin_content().await?;
    let (mut body, mut size, mut gathered) = (request.into_body().into_data_stream(), 0u64, BytesMut::new());
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| ApiError::new(ProblemKind::MalformedBody, format!("the body broke off: {error}")))?;
        size += piece.len() as u64;
        if size > most {
            return Err(too_large());
        }
        gathered.extend_from_slice(&piece);
        while gathered.len() >= PIECE {
            writer.append(gathered.split_to(PIECE).freeze()).await?;
        }
    }
    writer.append(gathered.freeze()).await?;
    let file = state.store.put_file(writer.finish().await?).await?;
    let mut response = json(&File::from(file));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// List a run's files
///
/// Those that it was started with, by name.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/files", tag = "files",
    params(("id" = String, Path, description = "The run's id")), responses((status = OK, body = Page<RunFile>))
)]
pub(crate) async fn of_run(State(state): State<ApiState>, Path(id): Path<RunId>) -> ApiResult<Response> {
    let files = state.store.run_files(id).await?;
    Ok(json(&Page { items: files.into_iter().map(RunFile::from).collect(), next: None }))
}

/// Which artifacts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ArtifactsQuery {
    /// Of the step with this name.
    step: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 1,000; 100 where absent.
    limit: Option<usize>,
}

/// List a run's artifacts
///
/// Step by step, by name and then by task.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/artifacts", tag = "files",
    params(("id" = String, Path, description = "The run's id"), ArtifactsQuery),
    responses((status = OK, body = Page<Artifact>))
)]
pub(crate) async fn artifacts(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<ArtifactsQuery>,
) -> ApiResult<Response> {
    let limit = limit(query.limit, 100, 1_000)?;
    let after = ArtifactPlace::decode(query.cursor.as_deref())?;
    let plan = state.store.run(id).await?.plan;
    let step = query.step.map(|name| step_named(&plan, &name)).transpose()?;
    let found = state.store.artifacts(id, step, after, limit + 1).await?;
    let place = |found: &ArtifactRecord| ArtifactPlace { step: found.step, name: found.name.clone(), task: found.task };
    Ok(json(&super::page(found, limit, |found| place(found).encode(), |found| Artifact::new(found, &plan))))
}

/// Which artifacts of all.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct LatestQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 1,000; 100 where absent.
    limit: Option<usize>,
}

/// List all artifacts
///
/// Of all runs, those of the newest run first.
#[utoipa::path(
    get, path = "/api/v1/artifacts", tag = "files",
    params(LatestQuery), responses((status = OK, body = Page<RunArtifact>))
)]
pub(crate) async fn latest(State(state): State<ApiState>, Query(query): Query<LatestQuery>) -> ApiResult<Response> {
    let limit = limit(query.limit, 100, 1_000)?;
    let before = <(RunId, ArtifactPlace)>::decode(query.cursor.as_deref())?;
    let mut found = state.store.latest_artifacts(before, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let place = |(run, found): &(RunId, ArtifactRecord)| {
        (*run, ArtifactPlace { step: found.step, name: found.name.clone(), task: found.task }).encode()
    };
    let next = found.last().filter(|_| more).map(place);
    let mut items = Vec::with_capacity(found.len());
    for (run, found) in &found {
        // Absent where the run is being removed.
        if let Some(plan) = state.plan_of_id(*run).await? {
            items.push(RunArtifact::new(*run, found, &plan));
        }
    }
    Ok(json(&Page { items, next }))
}

/// Which of several artifacts with the same name.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DownloadQuery {
    /// Of the task with this number; of the first that has one where absent.
    task: Option<u32>,
}

/// Download an artifact
///
/// Or a part of it: one range of bytes (`Range`, `If-Range`). Its entity tag is its digest.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/artifacts/{step}/{name}", tag = "files",
    params(
        ("id" = String, Path, description = "The run's id"),
        ("step" = String, Path, description = "The step's name"),
        ("name" = String, Path, description = "The artifact's name"),
        DownloadQuery,
        ("Range" = Option<String>, Header, description = "`bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LENGTH`"),
        ("If-Range" = Option<String>, Header, description = "The entity tag that the range is of; all is sent if it is another"),
        ("If-None-Match" = Option<String>, Header, description = "The entity tag that the client has"),
    ),
    responses(
        (status = OK, content((Vec<u8> = "application/octet-stream")), description = "All of it, with its own content type"),
        (status = PARTIAL_CONTENT, content((Vec<u8> = "application/octet-stream")), description = "The range"),
        (status = NOT_MODIFIED, description = "The client has it")
    )
)]
pub(crate) async fn download(
    State(state): State<ApiState>,
    parts: PathParts<3>,
    Query(query): Query<DownloadQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let PathParts([id, step, name]) = parts;
    let id: RunId = id.parse().map_err(|error| invalid("id", error))?;
    let name: FileName = name.parse().map_err(|error| invalid("name", error))?;
    let plan = state.store.run(id).await?.plan;
    let step = step_named(&plan, &step)?;
    let found = state.store.artifact(id, step, name, query.task).await?;
    send(state, &found.name, found.digest, found.size, &found.content_type, &headers)
}

/// Download a file that a run was started with
///
/// Or a part of it, as for artifacts.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/files/{name}", tag = "files",
    params(
        ("id" = String, Path, description = "The run's id"),
        ("name" = String, Path, description = "The file's name"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
    ),
    responses(
        (status = OK, content((Vec<u8> = "application/octet-stream")), description = "The content"),
        (status = PARTIAL_CONTENT, content((Vec<u8> = "application/octet-stream")), description = "The range"),
        (status = NOT_MODIFIED, description = "The client has it")
    )
)]
pub(crate) async fn download_file(State(state): State<ApiState>, parts: PathParts<2>, headers: HeaderMap) -> ApiResult<Response> {
    let PathParts([id, name]) = parts;
    let id: RunId = id.parse().map_err(|error| invalid("id", error))?;
    let name: FileName = name.parse().map_err(|error| invalid("name", error))?;
    let found = state.store.run_files(id).await?.into_iter().find(|file| file.name == name);
    let found = found.ok_or(StoreError::NotFound("file"))?;
    let content_type = name.content_type();
    send(state, &name, found.digest, found.size, &content_type, &headers)
}

/// Content, or the part of it that is asked for.
fn send(
    state: ApiState,
    name: &FileName,
    digest: Digest,
    size: u64,
    content_type: &ContentType,
    headers: &HeaderMap,
) -> ApiResult<Response> {
    let tag = entity_tag(digest.hex());
    let is_tag = |text: &str| tag.as_ref().and_then(|tag| tag.to_str().ok()) == Some(text.trim());
    if header_text(headers, header::IF_NONE_MATCH)?.is_some_and(|tags| tags.trim() == "*" || tags.split(',').any(is_tag)) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        tag.map(|tag| response.headers_mut().insert(header::ETAG, tag));
        return Ok(response);
    }
    let wanted = header_text(headers, header::RANGE)?;
    let same = header_text(headers, header::IF_RANGE)?.is_none_or(is_tag);
    let range = match wanted.filter(|_| same).map_or(Wanted::All, |range| range_of(range, size)) {
        Wanted::All => None,
        Wanted::Part(first, last) => Some((first, last)),
        Wanted::Nothing => {
            let detail = format!("the artifact has {} bytes, and none of the range `{}`", size, wanted.unwrap_or_default());
            let mut response = ApiError::new(ProblemKind::RangeNotSatisfiable, detail).into_response();
            if let Ok(range) = HeaderValue::from_str(&format!("bytes */{}", size)) {
                response.headers_mut().insert(header::CONTENT_RANGE, range);
            }
            return Ok(response);
        }
    };
    let (first, length) = range.map_or((0, size), |(first, last)| (first, last + 1 - first));
    let mut response = Body::from_stream(pieces(state, digest, first, length)).into_response();
    let out = response.headers_mut();
    // What a plugin wrote is never shown as a page of this server.
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::CONTENT_LENGTH, length.into());
    let text = |text: String| HeaderValue::from_str(&text).ok();
    let disposition = text(format!("attachment; filename=\"{}\"", name));
    disposition.map(|disposition| out.insert(header::CONTENT_DISPOSITION, disposition));
    text(content_type.to_string()).map(|content_type| out.insert(header::CONTENT_TYPE, content_type));
    tag.map(|tag| out.insert(header::ETAG, tag));
    if let Some((first, last)) = range {
        text(format!("bytes {first}-{last}/{}", size)).map(|range| out.insert(header::CONTENT_RANGE, range));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// A part of content, piece by piece.
fn pieces(
    state: ApiState,
    digest: Digest,
    first: u64,
    length: u64,
) -> impl futures::Stream<Item = Result<Bytes, StoreError>> + Send {
    stream::try_unfold((first, length), move |(offset, left)| {
        let state = state.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            let max = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let piece = state.store.read_content(digest, offset, max).await?;
            // An error breaks the connection off, so that nobody takes a part for the whole.
            if piece.is_empty() {
                return Err(StoreError::Corrupt(format!("content {digest} is shorter than its record says")));
            }
            let length = piece.len() as u64;
            Ok(Some((piece, (offset + length, left - length))))
        }
    })
}

/// What a header `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// Everything: there is no range, or one that is not understood.
    All,
    /// From the first to the last byte, both included.
    Part(u64, u64),
    /// Bytes that are not there.
    Nothing,
}

/// RFC 9110, section 14: one range. Several are answered with everything, as one may.
fn range_of(text: &str, size: u64) -> Wanted {
    let Some((first, last)) = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok().filter(|_| !text.trim().starts_with('+'));
    match (first.trim().is_empty(), last.trim().is_empty()) {
        (true, false) => match number(last) {
            Some(0) => Wanted::Nothing,
            Some(_) if size == 0 => Wanted::Nothing,
            Some(length) => Wanted::Part(size.saturating_sub(length), size - 1),
            None => Wanted::All,
        },
        (false, open) => match (number(first), if open { Some(u64::MAX) } else { number(last) }) {
            (Some(first), Some(last)) if last < first => Wanted::All,
            (Some(first), Some(_)) if first >= size => Wanted::Nothing,
            (Some(first), Some(last)) => Wanted::Part(first, last.min(size - 1)),
            _ => Wanted::All,
        },
        (true, true) => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        for (text, size, expected) in [
            ("bytes=0-4", 10, Wanted::Part(0, 4)),
            ("bytes=5-", 10, Wanted::Part(5, 9)),
            ("bytes=-3", 10, Wanted::Part(7, 9)),
            ("bytes=-30", 10, Wanted::Part(0, 9)),
            ("bytes=8-100", 10, Wanted::Part(8, 9)),
            ("bytes=10-", 10, Wanted::Nothing),
            ("bytes=-0", 10, Wanted::Nothing),
            ("bytes=0-0", 0, Wanted::Nothing),
            ("bytes=-1", 0, Wanted::Nothing),
            ("bytes=4-2", 10, Wanted::All),
            ("bytes=0-1,3-4", 10, Wanted::All),
            ("lines=0-1", 10, Wanted::All),
            ("bytes=a-b", 10, Wanted::All),
            ("bytes=-", 10, Wanted::All),
        ] {
            assert_eq!(range_of(text, size), expected, "{text} of {size}");
        }
    }
}
