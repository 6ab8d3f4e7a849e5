//! A run's log: a page, a download, a stream. All three are a cursor that reads on through the store.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::id::{RunId, TaskId};
use bulkhead_core::plan::Plan;
use bulkhead_engine::store::{LogPage as StoredPage, LogQuery, Signal, StoreError};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, stream};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::tasks::step_named;
use crate::encode::LineEncoder;
use crate::extract::{Path, Query, invalid, limit};
use crate::limit::Client;
use crate::model::{Level, LogLine, LogPage, StreamEnd};
use crate::problem::ApiResult;
use crate::sse::{self, Read};
use crate::state::ApiState;

/// The lines that one read for a stream or a download may give; the store bounds their bytes.
const LINES_PER_READ: usize = 2_000;
/// The longest text to search for, in bytes.
const MAX_CONTAINS: usize = 256;

/// Which lines, and how many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogsQuery {
    /// Lines with greater numbers.
    after: Option<u64>,
    /// Lines with smaller numbers, and of those that match the last ones instead of the first. A number beyond the last line's
    /// gives the newest lines.
    before: Option<u64>,
    /// At least this level.
    level: Option<Level>,
    /// Of the step with this name.
    step: Option<String>,
    /// Of the task with this id.
    task: Option<String>,
    /// With this text in the message or the fields, in upper or lower case; up to 256 bytes.
    contains: Option<String>,
    /// Cut messages after so many bytes, and leave longer fields out; `full_bytes` says where.
    cut: Option<u32>,
    /// How many, 1 to 10,000; 1,000 where absent.
    limit: Option<usize>,
}

/// How to download.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DownloadQuery {
    /// The format; `ndjson` where absent.
    #[param(inline)]
    format: Format,
    /// Lines with greater numbers.
    after: Option<u64>,
    /// At least this level.
    level: Option<Level>,
    /// Of the step with this name.
    step: Option<String>,
    /// Of the task with this id.
    task: Option<String>,
    /// With this text in the message or the fields, in upper or lower case; up to 256 bytes.
    contains: Option<String>,
}

/// A format of downloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// One JSON object a line.
    #[default]
    Ndjson,
    /// One readable line each.
    Text,
}

/// Which lines to stream.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Lines with greater numbers; all where absent. `Last-Event-ID` goes before it.
    after: Option<u64>,
    /// At least this level.
    level: Option<Level>,
    /// Of the step with this name.
    step: Option<String>,
    /// Of the task with this id.
    task: Option<String>,
    /// With this text in the message or the fields, in upper or lower case; up to 256 bytes.
    contains: Option<String>,
}

/// Read lines
///
/// Lines that match, from a number on. Where `scanned` is less than `last`, go on with it as `after`: a page may end early. With
/// `before`, lines that match up to a number; where `scanned` is more than 1, go on with it as `before`.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/logs", tag = "logs",
    params(("id" = String, Path, description = "The run's id"), LogsQuery), responses((status = OK, body = LogPage))
)]
pub(crate) async fn page(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<LogsQuery>,
) -> ApiResult<Response> {
    let limit = limit(query.limit, 1_000, 10_000)?;
    let plan = state.store.run(id).await?.plan;
    let LogsQuery { after, before, level, step, task, contains, cut, .. } = query;
    let filter = Filter { after, level, step, task, contains }.resolve(&plan, limit)?;
    let page = state.store.log(id, LogQuery { before, ..filter }).await?;
    let mut out = Vec::new();
    write_page(&page, &mut LineEncoder::new(&plan).cut_after(cut), &mut out);
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind)], out).into_response())
}

/// Writes what a [`LogPage`] serialises to.
fn write_page(page: &StoredPage, encoder: &mut LineEncoder, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"lines\":");
    write_lines(page, encoder, out);
    let rest = format!(r#","scanned":{},"last":{},"ended":{}}}"#, page.scanned, page.last, page.ended);
    out.extend_from_slice(rest.as_bytes());
}

/// Writes the lines of a page as an array.
pub(crate) fn write_lines(page: &StoredPage, encoder: &mut LineEncoder, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, line) in page.lines.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encoder.json(line, out);
    }
    out.push(b']');
}

/// Download lines
///
/// All lines that match and are stored when the download starts.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/logs/download", tag = "logs",
    params(("id" = String, Path, description = "The run's id"), DownloadQuery),
    responses((status = OK, content((LogLine = "application/x-ndjson"), (String = "text/plain"))))
)]
pub(crate) async fn download(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<DownloadQuery>,
) -> ApiResult<Response> {
    let view = state.store.run(id).await?;
    let DownloadQuery { format, after, level, step, task, contains } = query;
    let filter = Filter { after, level, step, task, contains }.resolve(&view.plan, LINES_PER_READ)?;
    let (last, encoder) = (view.run.last_line, LineEncoder::new(&view.plan));
    let chunks = stream::try_unfold((state, filter, encoder), move |(state, mut filter, mut encoder)| async move {
        while filter.after < last {
            let page = state.store.log(id, filter.clone()).await?;
            filter.after = page.scanned;
            let mut chunk = Vec::new();
            for line in page.lines.iter().filter(|line| line.seq <= last) {
                match format {
                    Format::Ndjson => {
                        encoder.json(line, &mut chunk);
                        chunk.push(b'\n');
                    }
                    Format::Text => encoder.text(line, &mut chunk),
                }
            }
            if !chunk.is_empty() {
                return Ok(Some((Bytes::from(chunk), (state, filter, encoder))));
            }
        }
        // An error here breaks the connection off, so that nobody takes a part for the whole.
        Ok::<_, StoreError>(None)
    });
    let mut response = Body::from_stream(chunks).into_response();
    let (media_type, ending) = match format {
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
        Format::Text => ("text/plain; charset=utf-8", "log"),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{id}.{ending}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// Follow lines
///
/// Server-sent events: each line is an event of the default type whose `id:` is the line's number. All stored lines that match
/// come first, then each one as it is stored. When the run has ended and everything was sent, an event `end` ([`StreamEnd`])
/// is the last; `deleted` is the last where the run was deleted. A client that reconnects with `Last-Event-ID` goes on exactly
/// there. An `id:` without data moves the cursor past lines that do not match.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/logs/stream", tag = "logs",
    params(("id" = String, Path, description = "The run's id"), StreamQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The number of the last line that the client has")),
    responses((status = OK, content((LogLine = "text/event-stream"), (StreamEnd = "text/event-stream; event=end"))))
)]
pub(crate) async fn follow(
    State(state): State<ApiState>,
    Path(id): Path<RunId>,
    Query(query): Query<StreamQuery>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let after = sse::cursor(&headers, query.after)?;
    let slot = sse::slot(&state, client)?;
    // Made before the first read, so that nothing is missed between the two.
    let signal = state.store.run_signal(id);
    let plan = state.store.run(id).await?.plan;
    let StreamQuery { level, step, task, contains, .. } = query;
    let query = Filter { after, level, step, task, contains }.resolve(&plan, LINES_PER_READ)?;
    let lines = Lines { state: state.clone(), run: id, query, encoder: LineEncoder::new(&plan), signal, retry: false };
    Ok(sse::respond(state, slot, lines))
}

/// A subscriber to a run's log.
struct Lines {
    state: ApiState,
    run: RunId,
    query: LogQuery,
    encoder: LineEncoder,
    signal: Signal,
    /// The store could not answer: ask again soon.
    retry: bool,
}

impl Lines {
    async fn next(&mut self) -> Result<Read, StoreError> {
        let page = self.state.store.log(self.run, self.query.clone()).await?;
        let size = |fields: Option<&str>| fields.map_or(0, str::len);
        let bytes = page.lines.iter().map(|line| 160 + line.message.len() + size(line.fields.as_deref())).sum();
        let mut out = Vec::with_capacity(bytes);
        for line in &page.lines {
            self.encoder.event(line, &mut out);
        }
        let sent = page.lines.last().map_or(self.query.after, |line| line.seq);
        if page.scanned > sent {
            sse::write_cursor(&mut out, page.scanned);
        }
        self.query.after = self.query.after.max(page.scanned);
        if page.ended && page.scanned >= page.last {
            let run = self.state.store.run(self.run).await?.run;
            // Between the two reads the run may have been retried.
            if run.state.is_terminal() && run.last_line == page.last {
                let end = StreamEnd { state: run.state.status().into(), last: page.last };
                sse::write_event(&mut out, Some("end"), None, &end);
                return Ok(Read::Last(out));
            }
        }
        Ok(if out.is_empty() { Read::Nothing } else { Read::Events(out) })
    }
}

impl sse::Source for Lines {
    fn read(&mut self) -> BoxFuture<'_, Read> {
        async move {
            self.retry = false;
            match self.next().await {
                Ok(read) => read,
                Err(StoreError::NotFound(_)) => {
                    let mut out = Vec::new();
                    sse::write_event(&mut out, Some("deleted"), None, &());
                    Read::Last(out)
                }
                Err(StoreError::Unavailable { reason, .. }) => {
                    tracing::warn!(run_id = %self.run, reason, "a log stream waits for the store");
                    self.retry = true;
                    Read::Nothing
                }
                Err(error) => {
                    tracing::error!(run_id = %self.run, %error, "a log stream broke off");
                    Read::Last(Vec::new())
                }
            }
        }
        .boxed()
    }

    fn wait(&mut self) -> BoxFuture<'_, ()> {
        async move {
            if self.retry {
                tokio::time::sleep(sse::STORE_RETRY).await;
            } else {
                self.signal.wait().await;
            }
        }
        .boxed()
    }
}

/// What a request asks of lines.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) after: Option<u64>,
    pub(crate) level: Option<Level>,
    pub(crate) step: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) contains: Option<String>,
}

impl Filter {
    /// The store's query for it.
    pub(crate) fn resolve(self, plan: &Plan, limit: usize) -> ApiResult<LogQuery> {
        let contains = self.contains.filter(|text| !text.is_empty());
        if contains.as_ref().is_some_and(|text| text.len() > MAX_CONTAINS) {
            return Err(invalid("contains", format!("expected up to {MAX_CONTAINS} bytes")));
        }
        Ok(LogQuery {
            after: self.after.unwrap_or(0),
            before: None,
            level: self.level.map(Into::into),
            step: self.step.map(|name| step_named(plan, &name)).transpose()?,
            task: self.task.map(|id| id.parse::<TaskId>().map_err(|error| invalid("task", error))).transpose()?,
            contains: contains.map(Into::into),
            limit,
        })
    }
}
