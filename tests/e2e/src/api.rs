//! A client of the REST API that knows JSON and nothing of the host's types.

use std::sync::Once;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::EventStream;

/// How long a test waits for a run to end, or for anything else that is sure to come.
const WAIT_LIMIT: Duration = Duration::from_secs(180);
/// The pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A server as a client sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its `content-type`.
    pub content_type: String,
    /// Its body: JSON, or a string where it is none.
    pub body: Value,
}

impl Reply {
    /// The body of a success.
    ///
    /// # Panics
    /// Where it is none.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {:#}", self.status, self.body);
        self.body
    }
}

impl Api {
    /// A client of the server at a URL.
    ///
    /// # Panics
    /// Where no client can be made.
    pub fn new(url: &str, token: Option<&str>) -> Self {
        static PROVIDER: Once = Once::new();
        // Fails where another part of the test did it already.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = reqwest::Client::builder().build().expect("an HTTP client can be made");
        Self { http, url: url.to_owned(), token: token.map(str::to_owned) }
    }

    /// A request for a path below the server's root.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request.
    ///
    /// # Panics
    /// Where no answer comes.
    pub async fn send(&self, request: RequestBuilder) -> Reply {
        let response = request.send().await.expect("the server answers");
        let status = response.status();
        let header = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let content_type = header.unwrap_or_default().to_owned();
        let text = response.text().await.expect("the answer can be read");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Reply { status, content_type, body }
    }

    /// Asks for a path below `/api/v1`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, &format!("/api/v1{path}"))).await
    }

    /// Posts JSON to a path below `/api/v1`.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, &format!("/api/v1{path}")).json(body)).await
    }

    /// Posts JSON under an idempotency key.
    pub async fn post_once(&self, path: &str, body: &Value, key: &str) -> Reply {
        let request = self.request(Method::POST, &format!("/api/v1{path}")).json(body);
        self.send(request.header("idempotency-key", key)).await
    }

    /// Checks and stores a definition under an id.
    pub async fn put_definition(&self, id: &str, text: &str) -> Reply {
        let path = format!("/api/v1/definitions/{id}");
        let request = self.request(Method::PUT, &path).header("content-type", "application/toml");
        self.send(request.body(text.to_owned())).await
    }

    /// Starts a run of a stored definition; its id.
    pub async fn trigger(&self, definition: &str) -> String {
        let run = self.post(&format!("/definitions/{definition}/runs"), &json!({})).await.ok();
        run["id"].as_str().expect("a run has an id").to_owned()
    }

    /// A run with its steps.
    pub async fn run(&self, id: &str) -> Value {
        self.get(&format!("/runs/{id}")).await.ok()
    }

    /// Does something to a run: `cancel`, `pause`, `resume`, `retry`.
    pub async fn command(&self, id: &str, command: &str) -> Reply {
        self.send(self.request(Method::POST, &format!("/api/v1/runs/{id}/{command}"))).await
    }

    /// Does something to a schedule: `pause`, `resume`, `run-now`.
    pub async fn command_schedule(&self, id: &str, command: &str) -> Reply {
        self.send(self.request(Method::POST, &format!("/api/v1/schedules/{id}/{command}"))).await
    }

    /// Waits until a run is as wanted, and gives it.
    ///
    /// # Panics
    /// Where it does not come to that within three minutes.
    pub async fn wait_for(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let run = self.run(id).await;
            if is_so(&run) {
                return run;
            }
            assert!(started.elapsed() < WAIT_LIMIT, "the run did not come to be {what}: {run:#}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until a run has ended, and gives it.
    pub async fn wait_for_end(&self, id: &str) -> Value {
        let ended = ["succeeded", "failed", "cancelled"];
        self.wait_for(id, "ended", |run| ended.iter().any(|state| run["state"] == *state)).await
    }

    /// All tasks of a run.
    pub async fn tasks(&self, id: &str) -> Vec<Value> {
        let mut tasks = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/runs/{id}/tasks?limit=100{cursor}")).await.ok();
            tasks.extend(page["items"].as_array().expect("a page has items").iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return tasks,
            }
        }
    }

    /// All lines of a run that are stored.
    pub async fn lines(&self, id: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        let mut after = 0;
        loop {
            let page = self.get(&format!("/runs/{id}/logs?limit=1000&after={after}")).await.ok();
            lines.extend(page["lines"].as_array().expect("a page has lines").iter().cloned());
            let (scanned, last) = (page["scanned"].as_u64(), page["last"].as_u64());
            if scanned == last {
                return lines;
            }
            assert!(scanned > Some(after), "the log does not come to its end: {scanned:?} of {last:?}");
            after = scanned.unwrap_or(after);
        }
    }

    /// Follows a run's log from its first line; with `last_event_id`, from where an earlier stream broke off.
    pub async fn follow(&self, id: &str, last_event_id: Option<&str>) -> EventStream {
        let request = self.request(Method::GET, &format!("/api/v1/runs/{id}/logs/stream")).header("accept", "text/event-stream");
        let request = match last_event_id {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        self.stream(request).await
    }

    /// Opens the stream of events that a request asks for.
    ///
    /// # Panics
    /// Where the server gives none.
    pub async fn stream(&self, request: RequestBuilder) -> EventStream {
        let response = request.send().await.expect("the server answers");
        assert!(response.status().is_success(), "{}", response.status());
        EventStream::new(response)
    }
}
