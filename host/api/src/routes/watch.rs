//! Many things over one stream: a browser may open few connections, and all its tabs share this one.
//!
//! Each topic is a cursor into the store, as everywhere: it reads what there is, waits for its signal, and reads again, no more
//! often than its pace. What a slow reader misses of a run or of the counters is replaced by what they are later; of a log
//! nothing is missed.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use bulkhead_core::id::RunId;
use bulkhead_engine::store::{LogQuery, Signal, StoreError, StoreResult};
use futures::FutureExt as _;
use futures::future::{BoxFuture, select_all};
use serde::Serialize;
use tokio::time::Instant;

use super::logs::{Filter, write_lines};
use super::runs::{bare, detail};
use super::system::read_statistics;
use crate::encode::LineEncoder;
use crate::extract::{self, invalid};
use crate::limit::Client;
use crate::model::{
    PluginUpload, Run, Statistics, WatchLog, WatchRequest, Watched, WatchedGone, WatchedHooks, WatchedRuns, WatchedUploads,
};
use crate::problem::ApiResult;
use crate::sse::{self, Read};
use crate::state::ApiState;

/// The most runs, and the most logs, of one stream.
const MAX_TOPICS: usize = 16;
/// The longest name that a client gives a log, in bytes.
const MAX_KEY: usize = 64;
/// The lines that one read may give; the store bounds their bytes.
const LINES_PER_READ: usize = 2_000;
/// The events that one read looks through for runs that changed; where more are new, the list is stale.
const EVENTS_PER_READ: usize = 5_000;
/// The runs that one event tells of; where more changed, the list is stale.
const MAX_RUNS: usize = 100;
/// How often at most each kind of topic says something.
const STATISTICS_EVERY: Duration = Duration::from_millis(500);
const RUNS_EVERY: Duration = Duration::from_millis(250);
const HOOKS_EVERY: Duration = Duration::from_millis(500);
const RUN_EVERY: Duration = Duration::from_millis(200);
const UPLOADS_EVERY: Duration = Duration::from_millis(200);
const LINES_EVERY: Duration = Duration::from_millis(30);

/// Watch many things
///
/// Server-sent events for what the body names, over one stream: the counters, lists of runs, runs with their steps, uploads of
/// plugins, and logs. The
/// body changes nothing; a client that wants something else, or lost the stream, asks anew with the cursors that it has: `after`
/// of a list, `scanned` of a log. Each topic first says what there is.
#[utoipa::path(
    post, path = "/api/v1/watch", tag = "events",
    request_body(content = WatchRequest), responses((status = OK, body = Watched, content_type = "text/event-stream"))
)]
pub(crate) async fn follow(
    State(state): State<ApiState>,
    Extension(client): Extension<Client>,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = extract::body(request, state.config.body_limit).await?;
    let asked: WatchRequest = extract::required_json(&headers, &body)?;
    if asked.run.len() > MAX_TOPICS || asked.logs.len() > MAX_TOPICS {
        return Err(invalid("run, logs", format!("expected up to {MAX_TOPICS} of each")));
    }
    let slot = sse::slot(&state, client)?;
    let mut topics = Vec::new();
    let mut add = |signal: Option<Signal>, every: Duration, kind: Kind| {
        topics.push(Topic { kind, signal, every, stale: true, next: Instant::now() });
    };
    if asked.statistics {
        add(Some(state.store.event_signal()), STATISTICS_EVERY, Kind::Statistics { last: None });
    }
    if asked.hooks {
        add(Some(state.store.delivery_signal()), HOOKS_EVERY, Kind::Hooks);
    }
    if let Some(runs) = asked.runs {
        // Made before the first read, so that nothing is missed between the two.
        let signal = state.store.event_signal();
        let (after, told) = match runs.after {
            Some(after) => (after, true),
            None => (state.store.last_event().await?, false),
        };
        add(Some(signal), RUNS_EVERY, Kind::Runs { after, told });
    }
    if asked.plugin_uploads {
        add(Some(state.jobs.upload_signal()), UPLOADS_EVERY, Kind::Uploads { last: Vec::new() });
    }
    for id in asked.run {
        let id = id.parse::<RunId>().map_err(|error| invalid("run", error))?;
        add(Some(state.store.run_signal(id)), RUN_EVERY, Kind::Run { id, last: Vec::new() });
    }
    for log in asked.logs {
        let WatchLog { key, run, after, level, step, task, contains, cut } = log;
        if key.len() > MAX_KEY {
            return Err(invalid("key", format!("expected up to {MAX_KEY} bytes")));
        }
        let run = run.parse::<RunId>().map_err(|error| invalid("run", error))?;
        let signal = state.store.run_signal(run);
        let plan = match state.store.run(run).await {
            Ok(view) => view.plan,
            // Another tab's run may have been deleted: that is no reason to refuse the rest.
            Err(StoreError::NotFound(_)) => {
                add(None, LINES_EVERY, Kind::Missing { run });
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let query = Filter { after: Some(after), level, step, task, contains }.resolve(&plan, LINES_PER_READ)?;
        let encoder = LineEncoder::new(&plan).cut_after(cut);
        add(Some(signal), LINES_EVERY, Kind::Log(Box::new(Log { key, run, query, encoder, told: None })));
    }
    Ok(sse::respond(state.clone(), slot, Watch { state, ready: (0..topics.len()).collect(), topics }))
}

/// Everything that one client watches.
struct Watch {
    state: ApiState,
    topics: Vec<Topic>,
    /// The topics that may have something new.
    ready: Vec<usize>,
}

/// One thing that is watched.
struct Topic {
    kind: Kind,
    /// Absent where nothing can follow.
    signal: Option<Signal>,
    every: Duration,
    /// It may have something new.
    stale: bool,
    /// It is read no sooner.
    next: Instant,
}

enum Kind {
    Statistics { last: Option<Box<Statistics>> },
    Runs { after: u64, told: bool },
    Hooks,
    Run { id: RunId, last: Vec<u8> },
    Uploads { last: Vec<u8> },
    Log(Box<Log>),
    Missing { run: RunId },
}

struct Log {
    key: String,
    run: RunId,
    query: LogQuery,
    encoder: LineEncoder,
    /// What was said last of the last line, and of the run's end.
    told: Option<(u64, bool)>,
}

impl sse::Source for Watch {
    fn read(&mut self) -> BoxFuture<'_, Read> {
        async move {
            let mut out = Vec::new();
            for index in std::mem::take(&mut self.ready) {
                let Some(topic) = self.topics.get_mut(index) else { continue };
                topic.stale = false;
                topic.next = Instant::now() + topic.every;
                match topic.read(&self.state, &mut out).await {
                    Ok(()) => {}
                    Err(StoreError::Corrupt(reason)) => {
                        tracing::error!(reason, "a watching stream broke off");
                        return Read::Last(Vec::new());
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a watching stream waits for the store");
                        topic.stale = true;
                        topic.next = Instant::now() + sse::STORE_RETRY;
                    }
                }
            }
            if out.is_empty() { Read::Nothing } else { Read::Events(out) }
        }
        .boxed()
    }

    fn wait(&mut self) -> BoxFuture<'_, ()> {
        async move {
            if self.ready.is_empty() {
                if self.topics.is_empty() {
                    return std::future::pending().await;
                }
                // Polled in their order, so that a log that never ends holds up nothing before it.
                let ((), index, _) = select_all(self.topics.iter_mut().map(|topic| topic.wait().boxed())).await;
                self.ready.push(index);
            }
        }
        .boxed()
    }
}

impl Topic {
    /// Returns when it may have something new and may say it. Dropped in between, it forgets nothing.
    async fn wait(&mut self) {
        if !self.stale {
            match &mut self.signal {
                Some(signal) => signal.wait().await,
                None => std::future::pending().await,
            }
            self.stale = true;
        }
        tokio::time::sleep_until(self.next).await;
    }

    async fn read(&mut self, state: &ApiState, out: &mut Vec<u8>) -> StoreResult<()> {
        match &mut self.kind {
            Kind::Statistics { last } => {
                let now = read_statistics(state).await?;
                if last.as_ref().is_none_or(|last| Statistics { at: last.at, ..now.clone() } != **last) {
                    write(out, "statistics", &Watched::Statistics(now.clone()));
                    *last = Some(Box::new(now));
                }
            }
            Kind::Runs { after, told } => {
                let changed = changed_runs(state, *after).await?;
                let new = changed.stale || !changed.runs.is_empty() || !changed.gone.is_empty();
                // The cursor is told once in any case, so that a client can go on after it.
                if new || !*told {
                    *told = true;
                    *after = changed.after;
                    write(out, "runs", &Watched::Runs(changed));
                }
            }
            Kind::Hooks => {
                let deliveries = (&state.store.hook_counts().await?).into();
                write(out, "hooks", &Watched::Hooks(WatchedHooks { deliveries }));
            }
            Kind::Run { id, last } => match state.store.run(*id).await {
                Ok(view) => {
                    let mut event = Vec::new();
                    write(&mut event, "run", &Watched::Run(Box::new(bare(&view))));
                    if event != *last {
                        write(out, "run", &Watched::Run(Box::new(detail(state, &view).await?)));
                        *last = event;
                    }
                }
                Err(StoreError::NotFound(_)) => {
                    let id = *id;
                    self.gone(id, out);
                }
                Err(error) => return Err(error),
            },
            Kind::Uploads { last } => {
                let uploads = state.jobs.all_submitted().await?.iter().map(PluginUpload::from).collect();
                let mut event = Vec::new();
                write(&mut event, "plugin-uploads", &Watched::PluginUploads(WatchedUploads { uploads }));
                if event != *last {
                    out.extend_from_slice(&event);
                    *last = event;
                }
            }
            Kind::Log(log) => match log.read(state, out).await {
                Ok(true) => {
                    self.stale = true;
                    self.next = Instant::now();
                }
                Ok(false) => {}
                Err(StoreError::NotFound(_)) => {
                    let run = log.run;
                    self.gone(run, out);
                }
                Err(error) => return Err(error),
            },
            Kind::Missing { run } => {
                let run = *run;
                self.gone(run, out);
            }
        }
        Ok(())
    }

    fn gone(&mut self, run: RunId, out: &mut Vec<u8>) {
        write(out, "gone", &Watched::Gone(WatchedGone { run: run.to_string() }));
        self.signal = None;
    }
}

impl Log {
    /// Writes what follows; whether there is more already.
    async fn read(&mut self, state: &ApiState, out: &mut Vec<u8>) -> StoreResult<bool> {
        let page = state.store.log(self.run, self.query.clone()).await?;
        let behind = page.scanned < page.last;
        let told = (page.last, page.ended);
        if page.scanned > self.query.after || self.told != Some(told) {
            // What `Watched::Log` serialises to, without making one.
            out.extend_from_slice(b"event: log\ndata: {\"kind\":\"log\",\"key\":");
            let _ = serde_json::to_writer(&mut *out, &self.key);
            out.extend_from_slice(b",\"lines\":");
            write_lines(&page, &mut self.encoder, out);
            let rest = format!(r#","scanned":{},"last":{},"ended":{}}}"#, page.scanned, page.last, page.ended);
            out.extend_from_slice(rest.as_bytes());
            out.extend_from_slice(b"\n\n");
        }
        self.query.after = self.query.after.max(page.scanned);
        self.told = Some(told);
        Ok(behind)
    }
}

/// The runs that events after a number tell of, as they are now.
async fn changed_runs(state: &ApiState, after: u64) -> StoreResult<WatchedRuns> {
    let mut changed = WatchedRuns { after, runs: Vec::new(), gone: Vec::new(), stale: false };
    let records = state.store.events(after, EVENTS_PER_READ).await?;
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return Ok(changed);
    };
    let ids: BTreeSet<RunId> = records.iter().filter_map(|record| record.run).collect();
    changed.after = last.seq;
    if records.len() == EVENTS_PER_READ || first.seq > after + 1 || ids.len() > MAX_RUNS {
        changed.after = state.store.last_event().await?;
        changed.stale = true;
        return Ok(changed);
    }
    for id in ids {
        match state.store.run(id).await {
            Ok(view) => changed.runs.push(Run::new(&view.run, &view.plan)),
            Err(StoreError::NotFound(_)) => changed.gone.push(id.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(changed)
}

fn write(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    sse::write_event(out, Some(name), None, data);
}
