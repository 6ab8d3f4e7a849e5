//! The record of an exchange: a line of the attempt's log, from the host.
//!
//! It has the path and not the query, which is where secrets stand; nor does it have any header or a piece of a body.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bulkhead_core::log::Level;
use bulkhead_engine::egress::{EgressBody, EgressError};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use serde_json::json;

use super::traffic::Traffic;

/// Bytes of a path that are kept.
const MAX_PATH: usize = 1 << 10;

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Sent,
    Received,
}

/// A line for the log.
pub(super) struct Record {
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) fields: String,
}

/// A request and its answer. It is recorded once, when the first says that it ended.
#[derive(Clone)]
pub(super) struct Exchange(Arc<Inner>);

struct Inner {
    traffic: Arc<Traffic>,
    number: u64,
    start: Instant,
    method: Method,
    scheme: String,
    host: String,
    path: String,
    sent: AtomicU64,
    received: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    status: Option<StatusCode>,
    recorded: bool,
}

impl Exchange {
    pub(super) fn new<B>(traffic: &Arc<Traffic>, number: u64, request: &Request<B>) -> Self {
        let uri = request.uri();
        let path = uri.path();
        Self(Arc::new(Inner {
            traffic: Arc::clone(traffic),
            number,
            start: Instant::now(),
            method: request.method().clone(),
            scheme: uri.scheme_str().unwrap_or_default().to_owned(),
            host: uri.authority().map(ToString::to_string).unwrap_or_default(),
            path: path[..path.floor_char_boundary(MAX_PATH)].to_owned(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            state: Mutex::default(),
        }))
    }

    /// The host as the guest wrote it.
    pub(super) fn host(&self) -> &str {
        &self.0.host
    }

    /// The answer's head came.
    pub(super) fn answered(&self, status: StatusCode) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).status = Some(status);
    }

    /// It ended before its end.
    pub(super) fn failed(&self, error: &EgressError) {
        if matches!(error, EgressError::Denied { .. }) {
            self.0.traffic.denied(error);
            self.end(Level::Warn, Some(("denied", &error.to_string())));
        } else {
            self.end(Level::Info, Some(("failed", &error.to_string())));
        }
    }

    /// The guest ended, or let go of it, before its end.
    pub(super) fn abandoned(&self) {
        self.end(Level::Debug, Some(("abandoned", "the plugin did not wait for it, or read it to the end")));
    }

    fn end(&self, level: Level, problem: Option<(&str, &str)>) {
        let Inner { traffic, number, start, method, scheme, host, path, sent, received, state } = &*self.0;
        let status = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::replace(&mut state.recorded, true) {
                return;
            }
            state.status.map(|status| status.as_u16())
        };
        let (sent, received) = (sent.load(Ordering::Relaxed), received.load(Ordering::Relaxed));
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let outcome = match (status, problem) {
            (Some(status), None) => format!("{status}, {received} bytes in {ms} ms"),
            (Some(status), Some((_, why))) => format!("{status}, then {why}"),
            (None, Some((_, why))) => why.to_owned(),
            (None, None) => "no answer".to_owned(),
        };
        let message = format!("{method} {scheme}://{host}{path}: {outcome}");
        let mut fields = json!({
            "http": { "method": method.as_str(), "scheme": scheme, "host": host, "path": path, "sent": sent, "received": received, "ms": ms }
        });
        if let Some(status) = status {
            fields["http"]["status"] = status.into();
        }
        if let Some((end, why)) = problem {
            fields["http"]["end"] = end.into();
            fields["http"]["error"] = why.into();
        }
        traffic.end(*number, Record { level, message, fields: fields.to_string() });
    }

    /// A body that is counted as it goes by.
    pub(super) fn count<B>(&self, direction: Direction, body: B) -> EgressBody
    where
        B: Body<Data = Bytes, Error = EgressError> + Send + 'static,
    {
        if direction == Direction::Received && body.is_end_stream() {
            self.end(Level::Debug, None);
        }
        let expected = body.size_hint().exact();
        Counted { body: Box::pin(body), direction, expected, exchange: self.clone() }.boxed_unsync()
    }
}

/// A request without an answer yet: who lets go of it abandons it.
pub(super) struct Unanswered(pub(super) Exchange);

impl Drop for Unanswered {
    fn drop(&mut self) {
        let answered = self.0.0.state.lock().unwrap_or_else(PoisonError::into_inner).status.is_some();
        if !answered {
            self.0.abandoned();
        }
    }
}

struct Counted<B> {
    body: Pin<Box<B>>,
    direction: Direction,
    /// How many bytes it has, where that is known.
    expected: Option<u64>,
    exchange: Exchange,
}

impl<B: Body<Data = Bytes, Error = EgressError>> Body for Counted<B> {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let frame = ready!(self.body.as_mut().poll_frame(context));
        let (exchange, direction) = (&self.exchange, self.direction);
        let frame = match frame {
            Some(Ok(frame)) => exchange.pass(direction, frame),
            Some(Err(error)) => Err(error),
            None => {
                if direction == Direction::Received {
                    exchange.end(Level::Debug, None);
                }
                return Poll::Ready(None);
            }
        };
        if let (Direction::Received, Err(error)) = (direction, &frame) {
            exchange.failed(error);
        }
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Exchange {
    /// Counts a piece of a body, unless it is one too many.
    fn pass(&self, direction: Direction, frame: Frame<Bytes>) -> Result<Frame<Bytes>, EgressError> {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        let sum = match direction {
            Direction::Sent => &self.0.sent,
            Direction::Received => &self.0.received,
        };
        sum.fetch_add(bytes, Ordering::Relaxed);
        self.0.traffic.count(direction, bytes).map_err(|quota| EgressError::Limit(quota.to_string()))?;
        Ok(frame)
    }
}

impl<B> Drop for Counted<B> {
    fn drop(&mut self) {
        // Where there was an end it is recorded already. Who knows how much comes need not look for the end.
        if self.direction == Direction::Received {
            match self.expected {
                Some(expected) if self.exchange.0.received.load(Ordering::Relaxed) >= expected => {
                    self.exchange.end(Level::Debug, None)
                }
                _ => self.exchange.abandoned(),
            }
        }
    }
}
