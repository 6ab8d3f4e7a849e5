//! Events: what changes, as it changes.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bulkhead_core::event::{Event as CoreEvent, EventRecord};
use bulkhead_core::id::RunId;
use bulkhead_engine::store::{Signal, StoreError, StoreResult};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::system::read_statistics;
use crate::extract::{Query, invalid};
use crate::limit::Client;
use crate::model::{Event, EventGap, Statistics};
use crate::problem::ApiResult;
use crate::sse::{self, Read};
use crate::state::ApiState;

/// The events that one read may give.
const EVENTS_PER_READ: usize = 500;
/// Statistics are sent no more often than this.
const STATISTICS_EVERY: Duration = Duration::from_millis(500);

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Of this run only.
    run: Option<String>,
    /// Whether changes of single tasks are sent, too. Where absent, they are if `run` is given: of all runs they may be 100,000 a
    /// second.
    tasks: Option<bool>,
    /// Whether statistics are sent; they are where absent.
    statistics: Option<bool>,
    /// Events with greater numbers; those from now on where absent. `Last-Event-ID` goes before it.
    after: Option<u64>,
}

/// Follow what changes
///
/// Server-sent events: each change is an event of the default type whose `id:` is its number. An event `statistics`
/// ([`Statistics`]) comes first, and again when something changed, at most twice a second. An event `gap` ([`EventGap`]) says
/// that events that should have followed are no longer kept. A client that reconnects with `Last-Event-ID` goes on exactly
/// there. An `id:` without data moves the cursor past events that do not match.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(EventsQuery, ("Last-Event-ID" = Option<u64>, Header, description = "The number of the last event that the client has")),
    responses((status = OK, content(
        (Event = "text/event-stream"), (Statistics = "text/event-stream; event=statistics"), (EventGap = "text/event-stream; event=gap")
    )))
)]
pub(crate) async fn follow(
    State(state): State<ApiState>,
    Query(query): Query<EventsQuery>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let run = query.run.map(|id| id.parse::<RunId>().map_err(|error| invalid("run", error))).transpose()?;
    let slot = sse::slot(&state, client)?;
    // Made before the first read, so that nothing is missed between the two.
    let signal = state.store.event_signal();
    let after = match sse::cursor(&headers, query.after)? {
        Some(after) => after,
        None => state.store.last_event().await?,
    };
    let events = Events {
        state: state.clone(),
        run,
        tasks: query.tasks.unwrap_or(run.is_some()),
        after,
        told: None,
        signal,
        statistics: query.statistics.unwrap_or(true).then(|| Sent { last: None, next: Instant::now() }),
        stale: true,
        retry: false,
    };
    Ok(sse::respond(state, slot, events))
}

/// A subscriber to events.
struct Events {
    state: ApiState,
    run: Option<RunId>,
    tasks: bool,
    /// The number of the last event that was looked at.
    after: u64,
    /// The number that the client's cursor stands at.
    told: Option<u64>,
    signal: Signal,
    statistics: Option<Sent>,
    /// Something happened since statistics were sent.
    stale: bool,
    /// The store could not answer: ask again soon.
    retry: bool,
}

/// The statistics that were sent last.
struct Sent {
    last: Option<Statistics>,
    /// The next are sent no sooner.
    next: Instant,
}

impl Events {
    fn matches(&self, record: &EventRecord) -> bool {
        self.run.is_none_or(|run| Some(run) == record.run)
            && (self.tasks || !matches!(record.event, CoreEvent::Task { .. } | CoreEvent::TasksCreated { .. }))
    }

    async fn next(&mut self) -> StoreResult<Read> {
        let records = self.state.store.events(self.after, EVENTS_PER_READ).await?;
        let mut out = Vec::new();
        if let Some(first) = records.first() {
            self.stale = true;
            if first.seq > self.after + 1 {
                sse::write_event(&mut out, Some("gap"), None, &EventGap { after: self.after, next: first.seq });
            }
        }
        for record in &records {
            if !self.matches(record) {
                continue;
            }
            let plan = match record.run {
                Some(run) => self.state.plan_of_id(run).await?,
                None => None,
            };
            sse::write_event(&mut out, None, Some(record.seq), &Event::new(record, plan.as_deref()));
            self.told = Some(record.seq);
        }
        self.after = records.last().map_or(self.after, |record| record.seq);
        let caught_up = records.len() < EVENTS_PER_READ;
        if caught_up {
            self.statistics(&mut out).await?;
        }
        if self.told.is_none_or(|told| told < self.after) && !(out.is_empty() && caught_up && self.told.is_some()) {
            sse::write_cursor(&mut out, self.after);
            self.told = Some(self.after);
        }
        Ok(if out.is_empty() { Read::Nothing } else { Read::Events(out) })
    }

    /// Writes statistics where they are due and say something new.
    async fn statistics(&mut self, out: &mut Vec<u8>) -> StoreResult<()> {
        let Some(sent) = self.statistics.as_mut() else {
            return Ok(());
        };
        if !self.stale || Instant::now() < sent.next {
            return Ok(());
        }
        let now = read_statistics(&self.state).await?;
        let changed = sent.last.as_ref().is_none_or(|last| Statistics { at: last.at, ..now.clone() } != *last);
        if changed {
            sse::write_event(out, Some("statistics"), None, &now);
        }
        *sent = Sent { last: Some(now), next: Instant::now() + STATISTICS_EVERY };
        self.stale = false;
        Ok(())
    }
}

impl sse::Source for Events {
    fn read(&mut self) -> BoxFuture<'_, Read> {
        async move {
            self.retry = false;
            match self.next().await {
                Ok(read) => read,
                Err(StoreError::Corrupt(reason)) => {
                    tracing::error!(reason, "an event stream broke off");
                    Read::Last(Vec::new())
                }
                Err(error) => {
                    tracing::warn!(%error, "an event stream waits for the store");
                    self.retry = true;
                    Read::Nothing
                }
            }
        }
        .boxed()
    }

    fn wait(&mut self) -> BoxFuture<'_, ()> {
        async move {
            let due = self.statistics.as_ref().filter(|_| self.stale).map(|sent| sent.next);
            let due = if self.retry { Some(Instant::now() + sse::STORE_RETRY) } else { due };
            tokio::select! {
                () = self.signal.wait() => {}
                () = async { tokio::time::sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {}
            }
        }
        .boxed()
    }
}
