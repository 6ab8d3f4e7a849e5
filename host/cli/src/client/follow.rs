//! Following over the network, whatever happens to the connection: a run's log, with never a line lost or repeated, and what becomes
//! of an upload.
//!
//! The stream's ids are the server's cursor. After a break the client asks again with the last id that it has; lines that it
//! printed already (a server may send some again) are recognised by their numbers.

use std::time::{Duration, Instant};

use bulkhead_api::model::{LogLine, PluginUpload, PluginUploadState, RunDetail, RunStatus, StreamEnd, WatchRequest, Watched};
use bulkhead_core::log::Level;
use futures::StreamExt as _;
use reqwest::{Method, Response};

use super::Client;
use super::sse::Parser;
use crate::error::{CliError, CliResult};

/// The first pause before a new connection; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause before a new connection.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a server may be away: a restart, an upgrade.
const GIVE_UP: Duration = Duration::from_secs(120);
/// The longest silence: several of the server's heartbeats. A connection that is silent for longer is dead.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// Which lines of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogFilter {
    /// With greater numbers.
    pub(crate) after: u64,
    /// Of at least this level.
    pub(crate) level: Option<Level>,
    /// Of this step.
    pub(crate) step: Option<String>,
}

impl LogFilter {
    /// The filter as a query.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![("after", self.after.to_string())];
        query.extend(self.level.map(|level| ("level", level.name().to_owned())));
        query.extend(self.step.clone().map(|step| ("step", step)));
        query
    }
}

/// `run` is the path of a run. Gives every line of it in order, as it comes, until the run has ended; then how it ended.
pub(crate) async fn follow_log(
    client: &Client,
    run: &str,
    mut filter: LogFilter,
    mut print: impl FnMut(Vec<LogLine>) -> CliResult<()>,
) -> CliResult<RunStatus> {
    let path = format!("{run}/logs/stream");
    let mut cursor = None;
    let mut pause = FIRST_PAUSE;
    let mut away_since: Option<Instant> = None;
    loop {
        let mut request = client.request(Method::GET, &path).query(&filter.query()).header("accept", "text/event-stream");
        if let Some(cursor) = &cursor {
            request = request.header("last-event-id", cursor);
        }
        let failed = match request.send().await {
            Ok(response) if response.status().is_success() => {
                (pause, away_since) = (FIRST_PAUSE, None);
                if let Some(end) = read(client, response, &mut filter.after, &mut cursor, &mut print).await? {
                    return Ok(end.state);
                }
                None
            }
            Ok(response) => {
                let refusal = client.refusal(response).await;
                if !refusal.is_passing() {
                    return Err(refusal.into_error(None));
                }
                Some(refusal.into_error(None))
            }
            Err(source) => Some(client.unreachable(source)),
        };
        if let Some(error) = failed {
            let since = *away_since.get_or_insert_with(Instant::now);
            // Before the first answer there is nothing to go on with.
            if cursor.is_none() && filter.after == 0 || since.elapsed() > GIVE_UP {
                return Err(error);
            }
        }
        tracing::debug!(run_id = run, after = filter.after, "the stream broke off; it is asked for again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Reads a stream until it ends or breaks; what the server said at its end, if it did.
async fn read(
    client: &Client,
    response: Response,
    after: &mut u64,
    cursor: &mut Option<String>,
    print: &mut impl FnMut(Vec<LogLine>) -> CliResult<()>,
) -> CliResult<Option<StreamEnd>> {
    let mut chunks = response.bytes_stream();
    let mut parser = Parser::default();
    loop {
        let chunk = match tokio::time::timeout(LONGEST_SILENCE, chunks.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(_)) | None) | Err(_) => return Ok(None),
        };
        let events = parser.feed(&chunk).map_err(|error| client.protocol(error.to_string()))?;
        let mut lines = Vec::new();
        let mut end = None;
        for event in events {
            let unreadable = |error: serde_json::Error| client.protocol(format!("event `{}`: {error}", event.name));
            match event.name.as_str() {
                "message" => {
                    let line: LogLine = serde_json::from_str(&event.data).map_err(unreadable)?;
                    if line.seq > *after {
                        *after = line.seq;
                        lines.push(line);
                    }
                }
                "end" => end = Some(serde_json::from_str(&event.data).map_err(unreadable)?),
                "deleted" => {
                    let message = "the run was deleted while its log was followed".to_owned();
                    return Err(CliError::Refused { message, help: None });
                }
                _ => {}
            }
        }
        if let Some(id) = parser.last_id() {
            *cursor = Some(id.to_owned());
        }
        if !lines.is_empty() {
            print(lines)?;
        }
        if end.is_some() {
            return Ok(end);
        }
    }
}

/// Waits until the run of this path has ended, through restarts of the server.
pub(crate) async fn wait_for_end(client: &Client, run: &str) -> CliResult<()> {
    let mut away_since: Option<Instant> = None;
    loop {
        let pause = match client.get::<RunDetail>(run, &[("wait", "60s")]).await {
            Ok(run) if run.run.state.is_terminal() => return Ok(()),
            Ok(_) => {
                away_since = None;
                // A server that closes answers before the time.
                FIRST_PAUSE
            }
            Err(error @ CliError::Unreachable { .. }) => {
                if away_since.get_or_insert_with(Instant::now).elapsed() > GIVE_UP {
                    return Err(error);
                }
                LONGEST_PAUSE / 5
            }
            Err(error) => return Err(error),
        };
        tokio::time::sleep(pause).await;
    }
}

/// Tells how far the check of an upload is, until it has ended, through restarts of the server; then how it ended.
pub(crate) async fn follow_upload(
    client: &Client,
    upload: PluginUpload,
    mut tell: impl FnMut(&PluginUpload),
) -> CliResult<PluginUpload> {
    let path = format!("/plugin-uploads/{}", upload.digest);
    let asked = WatchRequest { plugin_uploads: true, ..WatchRequest::default() };
    let mut away_since: Option<Instant> = None;
    loop {
        // What a stream that broke off did not say.
        let failed = match client.get::<PluginUpload>(&path, &()).await {
            Ok(upload) if has_ended(&upload) => return Ok(upload),
            Ok(_) => match client.request(Method::POST, "/watch").json(&asked).send().await {
                Ok(response) if response.status().is_success() => {
                    away_since = None;
                    if let Some(upload) = read_uploads(client, response, &upload.digest, &mut tell).await? {
                        return Ok(upload);
                    }
                    None
                }
                Ok(response) => Some(client.refusal(response).await),
                Err(_) => None,
            },
            Err(CliError::Unreachable { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(refusal) = failed
            && !refusal.is_passing()
        {
            return Err(refusal.into_error(None));
        }
        if away_since.get_or_insert_with(Instant::now).elapsed() > GIVE_UP {
            let message = "the server is away; it goes on with the upload when it is back".to_owned();
            return Err(CliError::Refused { message, help: None });
        }
        tokio::time::sleep(FIRST_PAUSE).await;
    }
}

/// Reads a stream of uploads until the one with this digest has ended, or the stream has.
async fn read_uploads(
    client: &Client,
    response: Response,
    digest: &str,
    tell: &mut impl FnMut(&PluginUpload),
) -> CliResult<Option<PluginUpload>> {
    let mut chunks = response.bytes_stream();
    let mut parser = Parser::default();
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(LONGEST_SILENCE, chunks.next()).await {
        for event in parser.feed(&chunk).map_err(|error| client.protocol(error.to_string()))? {
            let unreadable = |error: serde_json::Error| client.protocol(format!("event `{}`: {error}", event.name));
            if event.name != "plugin-uploads" {
                continue;
            }
            let Watched::PluginUploads(watched) = serde_json::from_str(&event.data).map_err(unreadable)? else { continue };
            let Some(upload) = watched.uploads.into_iter().find(|upload| upload.digest == digest) else { continue };
            if has_ended(&upload) {
                return Ok(Some(upload));
            }
            tell(&upload);
        }
    }
    Ok(None)
}

fn has_ended(upload: &PluginUpload) -> bool {
    matches!(upload.state, PluginUploadState::Accepted | PluginUploadState::Refused)
}
