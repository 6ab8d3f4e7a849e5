//! What the tasks of a step came to, streamed in their order.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::id::{RunId, StepIndex};
use bulkhead_engine::files::OutputRecord;
use bulkhead_engine::store::StoreError;
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::tasks::step_named;
use crate::extract::{PathParts, Query, invalid};
use crate::model::StepOutput;
use crate::problem::ApiResult;
use crate::state::ApiState;

/// Tasks that one read gives; the store bounds their bytes.
const TASKS_PER_READ: usize = 1_000;
/// The columns of CSV.
const COLUMNS: &[u8] = b"task,key,state,cause,message,output\r\n";

/// In which format.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct OutputsQuery {
    /// The format; `ndjson` where absent.
    #[param(inline)]
    format: Format,
    /// Tasks with greater numbers.
    after: Option<u32>,
}

/// A format of outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// One JSON object a line.
    #[default]
    Ndjson,
    /// RFC 4180: the output is a column of JSON text.
    Csv,
}

/// Download a step's outputs
///
/// Of all its tasks but its `plan`, in the order in which they were spawned: those that have not ended have their state only.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/steps/{step}/outputs", tag = "files",
    params(
        ("id" = String, Path, description = "The run's id"),
        ("step" = String, Path, description = "The step's name"),
        OutputsQuery
    ),
    responses((status = OK, content((StepOutput = "application/x-ndjson"), (String = "text/csv"))))
)]
pub(crate) async fn download(
    State(state): State<ApiState>,
    parts: PathParts<2>,
    Query(query): Query<OutputsQuery>,
) -> ApiResult<Response> {
    let PathParts([id, step]) = parts;
    let id: RunId = id.parse().map_err(|error| invalid("id", error))?;
    let plan = state.store.run(id).await?.plan;
    let index = step_named(&plan, &step)?;
    let (format, after) = (query.format, query.after.unwrap_or(0));
    let mut response = Body::from_stream(chunks(state, id, index, format, after)).into_response();
    let (media_type, ending) = match format {
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{id}-{}.{ending}\"", plan.step(index).name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

fn chunks(
    state: ApiState,
    run: RunId,
    step: StepIndex,
    format: Format,
    after: u32,
) -> impl futures::Stream<Item = Result<Bytes, StoreError>> + Send {
    let head = if format == Format::Csv { COLUMNS.to_vec() } else { Vec::new() };
    stream::try_unfold((after, Some(head)), move |(after, head)| {
        let state = state.clone();
        async move {
            let page = state.store.outputs(run, step, after, TASKS_PER_READ).await?;
            let is_first = head.as_ref().is_some_and(|head| !head.is_empty());
            let mut chunk = head.unwrap_or_default();
            let Some(last) = page.last().map(|record| record.task) else {
                return Ok(is_first.then(|| (Bytes::from(chunk), (after, None))));
            };
            for record in &page {
                match format {
                    Format::Ndjson => {
                        // Writing to memory does not fail, and what is written is JSON.
                        let _ = serde_json::to_writer(&mut chunk, &StepOutput::from(record));
                        chunk.push(b'\n');
                    }
                    Format::Csv => row(record, &mut chunk),
                }
            }
            Ok(Some((Bytes::from(chunk), (last, None))))
        }
    })
}

fn row(record: &OutputRecord, out: &mut Vec<u8>) {
    let failure = match &record.state {
        bulkhead_core::task::TaskState::Failed(failure) => Some(failure),
        _ => None,
    };
    out.extend_from_slice(record.task.to_string().as_bytes());
    let (cause, message) = failure.map_or(("", ""), |failure| (failure.cause.name(), &*failure.message));
    for field in [&*record.key, record.state.status().name(), cause, message, record.output.as_deref().unwrap_or_default()] {
        out.push(b',');
        self::field(field, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// A field of CSV, quoted where it must be.
fn field(text: &str, out: &mut Vec<u8>) {
    if !text.contains(['"', ',', '\n', '\r']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
