//! Server-sent events. A subscriber is a cursor into the store: it reads what follows, waits for a signal, and reads again. So a
//! slow reader loses nothing and costs no memory, and a late one replays from the first line.
//!
//! A chunk of the body carries as many events as one read gave. Every stream begins with the pause before a reconnection, sends
//! a comment when it was silent for [`ApiConfig::heartbeat`](crate::ApiConfig::heartbeat), and ends when the server closes.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use serde::Serialize;

use crate::extract::{header_text, invalid};
use crate::limit::{Client, StreamSlot};
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// The first bytes of each stream: they open it at the client, and set its pause before it reconnects, in milliseconds.
const HELLO: &[u8] = b"retry: 1000\n\n";
/// A comment.
const HEARTBEAT: &[u8] = b":\n\n";
/// Seconds after which a client that has too many streams tries again.
const SLOT_RETRY_SECONDS: u64 = 5;

/// The pause before a stream asks a store again that can't answer.
pub(crate) const STORE_RETRY: Duration = Duration::from_secs(1);

/// Where events come from.
pub(crate) trait Source: Send + 'static {
    /// What there is now: encoded events, and whether the stream goes on after them. Nothing where there is nothing new.
    fn read(&mut self) -> BoxFuture<'_, Read>;
    /// Returns when there may be something new, or earlier.
    fn wait(&mut self) -> BoxFuture<'_, ()>;
}

/// What a [`Source`] read.
pub(crate) enum Read {
    /// Events; perhaps more at once.
    Events(Vec<u8>),
    /// Nothing new: wait.
    Nothing,
    /// The last events.
    Last(Vec<u8>),
}

/// The stream of a source as a response.
pub(crate) fn respond(state: ApiState, slot: StreamSlot, source: impl Source) -> Response {
    let chunks = stream::unfold(Some((state, slot, source, false)), |stream| async move {
        let (state, slot, mut source, greeted) = stream?;
        if state.closing().is_cancelled() {
            return None;
        }
        if !greeted {
            return Some((Ok::<_, Infallible>(Bytes::from_static(HELLO)), Some((state, slot, source, true))));
        }
        let beat = tokio::time::sleep(state.config.heartbeat);
        tokio::pin!(beat);
        loop {
            match source.read().await {
                Read::Events(events) => return Some((Ok(events.into()), Some((state, slot, source, true)))),
                Read::Last(events) => return Some((Ok(events.into()), None)),
                Read::Nothing => {}
            }
            tokio::select! {
                biased;
                () = state.closing().cancelled() => return None,
                () = source.wait() => {}
                () = &mut beat => return Some((Ok(Bytes::from_static(HEARTBEAT)), Some((state, slot, source, true)))),
            }
        }
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Proxies that buffer answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A place for one more stream of a client.
pub(crate) fn slot(state: &ApiState, client: Client) -> ApiResult<StreamSlot> {
    state.streams.take(client).ok_or_else(|| {
        let detail = format!("a client may have {} streams open at once: close one", state.config.streams);
        ApiError::new(ProblemKind::TooManyStreams, detail).retry_after(SLOT_RETRY_SECONDS)
    })
}

/// The number of the last event that a client has: `Last-Event-ID`, which a client that reconnects sends, before `after`.
pub(crate) fn cursor(headers: &axum::http::HeaderMap, after: Option<u64>) -> ApiResult<Option<u64>> {
    match header_text(headers, axum::http::HeaderName::from_static("last-event-id"))? {
        Some(id) => id.parse().map(Some).map_err(|_| invalid("Last-Event-ID", "expected the number of an event of this stream")),
        None => Ok(after),
    }
}

/// Writes an event of a type; `id` where it is one that a client may go on after.
pub(crate) fn write_event(out: &mut Vec<u8>, kind: Option<&str>, id: Option<u64>, data: &impl Serialize) {
    let mut head = String::new();
    if let Some(kind) = kind {
        let _ = writeln!(head, "event: {kind}");
    }
    if let Some(id) = id {
        let _ = writeln!(head, "id: {id}");
    }
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(b"data: ");
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"\n\n");
}

/// Moves a client's cursor and gives it nothing: what was passed over did not match.
pub(crate) fn write_cursor(out: &mut Vec<u8>, id: u64) {
    out.extend_from_slice(format!("id: {id}\n\n").as_bytes());
}
