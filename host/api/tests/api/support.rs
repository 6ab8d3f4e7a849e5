//! A server in this process, its stub of an executor, and clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use bulkhead_api::{ApiConfig, ApiState, router};
use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::{Digest, WorkerId};
use bulkhead_core::log::{Level, Source};
use bulkhead_core::name::Name;
use bulkhead_core::plugin::{Analysis, Interfaces, PluginForm, PluginKind};
use bulkhead_core::run::Usage;
use bulkhead_engine::attempt::AttemptHost;
use bulkhead_engine::engine::{Engine, EngineConfig, Load};
use bulkhead_engine::executor::{CompileListener, CompileProgress, Execution, ExecutionEnd, Executor, Inspected};
use bulkhead_engine::jobs::Jobs;
use bulkhead_engine::store::{Retention, Store, TaskSpec};
use bulkhead_engine::uploads::Uploads;
use bulkhead_store::MemoryStore;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

/// A component that the stub takes.
pub(crate) const COMPONENT: &[u8] = b"\0asm stub";
/// A component whose check waits for the gate.
pub(crate) const HELD: &[u8] = b"a component that is held";

const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
    "workers":{"type":"integer","minimum":0},"lines":{"type":"integer","minimum":0},
    "fail":{"type":"boolean"},"reason":{"type":"string"},"hold":{"type":"boolean"}}}"#;

/// What a step asks of the stub.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    /// Tasks.
    workers: u32,
    /// Lines of each task; every tenth is a warning.
    lines: u32,
    /// Each task fails in the end.
    fail: bool,
    /// And says this, with its number.
    reason: Option<String>,
    /// Each task waits, after its lines, until the test lets it go on.
    hold: bool,
}

/// An executor without a sandbox.
#[derive(Clone)]
pub(crate) struct Stub {
    /// Lets tasks that hold go on, one for each permit.
    pub(crate) gate: Arc<Semaphore>,
}

impl Stub {
    async fn run(&self, host: &AttemptHost) -> ExecutionEnd {
        let config: Config = serde_json::from_str(&host.step().config).expect("a valid configuration");
        if host.claimed().task.index == 0 {
            let spec =
                |index: u32| TaskSpec { key: format!("worker-{index}").into(), input: format!("{{\"index\":{index}}}").into() };
            host.spawn((0..config.workers).map(spec).collect()).await.expect("a spawn");
            return ExecutionEnd::Succeeded("null".into());
        }
        for line in 0..config.lines {
            let level = if line % 10 == 9 { Level::Warn } else { Level::Info };
            let text = format!("line {line} of task {}", host.claimed().task.index);
            host.log(level, Source::Plugin, &text, Some("{\"a\":1}")).await.expect("within the quota");
        }
        if config.hold {
            tokio::select! {
                permit = self.gate.acquire() => permit.expect("an open gate").forget(),
                () = host.cancelled().cancelled() => return ExecutionEnd::Cancelled,
            }
        }
        if config.fail {
            let reason = config.reason.map(|reason| format!("{reason} {}", host.claimed().task.index));
            let reason = reason.unwrap_or_else(|| "told to fail".to_owned());
            let failure = Failure::new(Cause::Panic, reason).with_backtrace(Some("0: stub!run".to_owned()));
            return ExecutionEnd::Failed(failure);
        }
        ExecutionEnd::Succeeded("{\"done\":true}".into())
    }
}

/// What the check of the stub finds.
fn analysis() -> Analysis {
    let interfaces = Interfaces { imports: vec!["wasi:io/poll@0.2.12".to_owned()], exports: vec!["run".to_owned()] };
    let (kind, form) = (PluginKind::Plugin, PluginForm::Component);
    Analysis { kind, form, contract: Some("0.1.0".to_owned()), interfaces, compile_time: Some(Duration::from_micros(1_500)) }
}

impl Executor for Stub {
    fn execute(&self, host: AttemptHost) -> BoxFuture<'static, Execution> {
        let stub = self.clone();
        Box::pin(async move {
            Execution {
                end: stub.run(&host).await,
                usage: Usage { fuel: 7, peak_memory: 1_000, cpu_micros: 5, http_requests: 2, http_sent: 30, http_received: 400 },
            }
        })
    }

    fn inspect(
        &self,
        component: Bytes,
        _name: Option<Name>,
        told: Option<CompileListener>,
    ) -> BoxFuture<'static, Result<Inspected, Failure>> {
        let gate = self.gate.clone();
        Box::pin(async move {
            assert!(component != b"panic"[..], "told to panic");
            if component == HELD {
                told.iter().for_each(|told| told(CompileProgress { done: 1, total: 2 }));
                gate.acquire().await.unwrap().forget();
            } else if component != COMPONENT {
                return Err(Failure::new(Cause::InvalidPlugin, "this is no component"));
            }
            Ok(Inspected {
                digest: Digest::from_bytes([7; 32]),
                name: "stub".parse().unwrap(),
                version: "1.0.0".to_owned(),
                summary: "Does what the test says".to_owned(),
                config_schema: SCHEMA.to_owned(),
                analysis: analysis(),
            })
        })
    }
}

/// A server.
pub(crate) struct Server {
    pub(crate) state: ApiState,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) stub: Stub,
    /// Who sends what [`Server::send`] sends.
    pub(crate) token: Option<String>,
    _engine: Engine,
    _uploads: Uploads,
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Fails the test unless the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// Fails the test unless this is the problem with this slug, whole and consistent.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, slug: &str) -> Value {
        let reply = self.expect(status);
        assert_eq!(reply.header("content-type"), "application/problem+json", "{}", reply.text());
        let problem = reply.json();
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert!(!problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty());
        assert_eq!(problem["instance"], format!("urn:bulkhead:request:{}", reply.header("x-request-id")));
        problem
    }
}

impl Server {
    /// A server that needs no token, on a new memory store, with the stub's plugin.
    pub(crate) async fn start() -> Self {
        Self::start_with(ApiConfig { require_token: false, ..ApiConfig::default() }).await
    }

    pub(crate) async fn start_with(config: ApiConfig) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new().unwrap());
        let stub = Stub { gate: Arc::new(Semaphore::new(0)) };
        let executor: Arc<dyn Executor> = Arc::new(stub.clone());
        let jobs = Jobs::new(store.clone(), executor.clone());
        jobs.upload(COMPONENT.into(), None, Default::default()).await.unwrap();
        let engine_config = EngineConfig {
            worker: WorkerId::from_u128(1),
            slots: 8,
            memory: u64::MAX,
            lease: Duration::from_secs(10),
            exclusive: true,
            retention: Retention::default(),
            seed: 1,
        };
        let engine = Engine::start(store.clone(), executor, engine_config).await.unwrap();
        let load = Load { slots: 8, running: 0, memory: 1 << 30, reserved: 0, draining: false };
        let uploads = Uploads::start(jobs.clone());
        let state = ApiState::new(store.clone(), jobs, Arc::new(move || load), config);
        Self { state, store, stub, token: None, _engine: engine, _uploads: uploads }
    }

    /// Sends a request to the router.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let mut request = request;
        request.headers_mut().entry("host").or_insert("localhost".parse().unwrap());
        if let Some(token) = &self.token {
            request.headers_mut().entry("authorization").or_insert(format!("Bearer {token}").parse().unwrap());
        }
        let response = router(self.state.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Reply { status: parts.status, headers: parts.headers, body: to_bytes(body, usize::MAX).await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Request::delete(path).body(Body::empty()).unwrap()).await
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, path: &str, json: &str) -> Reply {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(json.to_owned().into()).unwrap()).await
    }

    /// Puts a definition.
    pub(crate) async fn put(&self, id: &str, toml: &str) -> Reply {
        let request = Request::put(format!("/api/v1/definitions/{id}")).header("content-type", "application/toml");
        self.send(request.body(toml.to_owned().into()).unwrap()).await
    }

    /// Stores a definition of one step, `work`, with this configuration.
    pub(crate) async fn define(&self, id: &str, config: &str) {
        assert!(self.put(id, &definition(id, config)).await.status.is_success());
    }

    /// Stores a definition of one step and starts a run of it; the run's id.
    pub(crate) async fn run(&self, id: &str, config: &str) -> String {
        self.define(id, config).await;
        let run = self.post(&format!("/api/v1/definitions/{id}/runs"), "").await.expect(201).json();
        run["id"].as_str().unwrap().to_owned()
    }

    /// The run at its end.
    pub(crate) async fn end(&self, run: &str) -> Value {
        let run = self.get(&format!("/api/v1/runs/{run}?wait=60s")).await.expect(200).json();
        assert!(run["ended_at"].is_string(), "{run}");
        run
    }

    /// A listener of its own.
    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(bulkhead_api::serve(listener, self.state.clone()));
        address
    }
}

/// A definition of one step, `work`.
pub(crate) fn definition(id: &str, config: &str) -> String {
    format!("id = \"{id}\"\n[step.work]\nplugin = \"stub\"\n{config}\n")
}

/// A server-sent event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}

/// A client of a stream. It speaks HTTP 1.0, so that the body is what follows the head.
pub(crate) struct Subscriber {
    reader: BufReader<TcpStream>,
    /// Where the client's cursor stands.
    pub(crate) last_id: Option<u64>,
    /// Comments so far.
    pub(crate) comments: usize,
}

impl Subscriber {
    /// Opens a stream; a small buffer makes the server feel how slowly it is read.
    pub(crate) async fn open(address: SocketAddr, path: &str, last_event_id: Option<u64>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let last = last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n{last}\r\n").as_bytes()).await.unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while reader.read_line(&mut head).await.unwrap() > 2 {}
        assert!(head.starts_with("HTTP/1.0 200") && head.contains("text/event-stream"), "{head}");
        Self { reader, last_id: None, comments: 0 }
    }

    /// The next event with data; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).await.unwrap() == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ").unwrap_or((line.trim_end(), "")) {
                ("", _) if line == "\n" => {
                    self.last_id = event.id.or(self.last_id);
                    if !event.data.is_empty() {
                        return Some(event);
                    }
                    event = Event::default();
                }
                ("event", kind) => event.kind = kind.to_owned(),
                ("id", id) => event.id = Some(id.parse().unwrap()),
                ("data", data) => event.data = data.to_owned(),
                (":", _) => self.comments += 1,
                ("retry", _) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The events up to the last one, `end`.
    pub(crate) async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// A client of the one stream.
pub(crate) struct Watcher(BufReader<TcpStream>);

impl Watcher {
    pub(crate) async fn open(address: SocketAddr, body: &Value) -> Self {
        let body = body.to_string();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /api/v1/watch HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while reader.read_line(&mut head).await.unwrap() > 2 {}
        assert!(head.starts_with("HTTP/1.0 200") && head.contains("text/event-stream"), "{head}");
        Self(reader)
    }

    /// The next message of a kind that is as wished.
    pub(crate) async fn until(&mut self, kind: &str, wished: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).await.unwrap() > 0, "the stream ended");
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let message: Value = serde_json::from_str(data).unwrap();
            if message["kind"] == kind && wished(&message) {
                return message;
            }
        }
    }
}
