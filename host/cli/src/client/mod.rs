//! A client of a server's REST API. The types of the wire are the server's own.

mod follow;
mod sse;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_api::model::{Page, PluginUpload, Problem};
use bulkhead_engine::jobs::GivenPapers;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use follow::{LogFilter, follow_log, follow_upload, wait_for_end};

use crate::args::ClientArgs;
use crate::error::{CliError, CliResult, InvalidDefinition};

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long an answer may take that is no stream.
const ANSWER_LIMIT: Duration = Duration::from_secs(180);

/// Bytes of a file that are read at once.
const UPLOAD_PIECE: usize = 256 << 10;

/// A server, and who asks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

impl Client {
    /// A client; it connects with the first request.
    pub(crate) fn new(args: &ClientArgs) -> CliResult<Self> {
        let server = args.server.trim_end_matches('/').to_owned();
        if !server.starts_with("http://") && !server.starts_with("https://") {
            return Err(CliError::usage_help(
                format!("`{server}` is no server's address"),
                "write it with its scheme: http://127.0.0.1:7070",
            ));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .user_agent(concat!("bulkhead/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| CliError::broken(format!("no HTTP client: {error}")))?;
        Ok(Self { http, server, token: args.token.clone().filter(|token| !token.is_empty()) })
    }

    /// A request below `/api/v1`.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.server));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request; an answer that is a problem becomes an error.
    async fn send(&self, request: RequestBuilder) -> CliResult<Response> {
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await.into_error(None))
    }

    /// What an answer that is no success says.
    async fn refusal(&self, response: Response) -> Refusal {
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        Refusal { status, problem: serde_json::from_str(&text).ok(), text }
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> CliResult<T> {
        let bytes = response.bytes().await.map_err(|source| self.unreachable(source))?;
        serde_json::from_slice(&bytes).map_err(|error| self.protocol(error.to_string()))
    }

    /// Asks for something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> CliResult<T> {
        let response = self.send(self.request(Method::GET, path).query(query).timeout(ANSWER_LIMIT)).await?;
        self.read(response).await
    }

    /// Has something done that needs no more words.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str) -> CliResult<T> {
        let response = self.send(self.request(Method::POST, path).timeout(ANSWER_LIMIT)).await?;
        self.read(response).await
    }

    /// Has something done that a query describes, once for a key where there is one.
    pub(crate) async fn post_with<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        key: Option<&str>,
    ) -> CliResult<T> {
        let mut request = self.request(Method::POST, path).query(query).timeout(ANSWER_LIMIT);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = self.send(request).await?;
        self.read(response).await
    }

    /// Has something done that JSON describes.
    pub(crate) async fn post_json<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> CliResult<T> {
        let response = self.send(self.request(Method::POST, path).json(body).timeout(ANSWER_LIMIT)).await?;
        self.read(response).await
    }

    /// Replaces something by JSON.
    pub(crate) async fn put_json<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> CliResult<T> {
        let response = self.send(self.request(Method::PUT, path).json(body).timeout(ANSWER_LIMIT)).await?;
        self.read(response).await
    }

    /// Has something made from JSON, once for each key.
    pub(crate) async fn create<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize, key: &str) -> CliResult<T> {
        let request = self.request(Method::POST, path).json(body).header("idempotency-key", key).timeout(ANSWER_LIMIT);
        let response = self.send(request).await?;
        self.read(response).await
    }

    /// Sends a definition's text; what is wrong with it is shown in it, under `name`.
    pub(crate) async fn send_definition<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        name: &str,
        text: &str,
    ) -> CliResult<T> {
        let request = self.request(method, path).header("content-type", "application/toml").body(text.to_owned());
        let response = request.timeout(ANSWER_LIMIT).send().await.map_err(|source| self.unreachable(source))?;
        if response.status().is_success() {
            return self.read(response).await;
        }
        Err(self.refusal(response).await.into_error(Some((name, text))))
    }

    /// Sends a component that the server is to check in the background, with what proves it.
    pub(crate) async fn submit(&self, path: &str, bytes: Vec<u8>, papers: &GivenPapers) -> CliResult<PluginUpload> {
        let mut request =
            self.request(Method::POST, path).header("content-type", "application/wasm").header("prefer", "respond-async");
        if let Some(signature) = &papers.signature {
            request = request.header("bulkhead-signature", STANDARD.encode(signature));
        }
        if let Some(manifest) = &papers.manifest {
            request = request.header("bulkhead-manifest", STANDARD.encode(manifest));
        }
        let response = self.send(request.body(bytes).timeout(ANSWER_LIMIT)).await?;
        self.read(response).await
    }

    /// Uploads a file, piece by piece: however large it is, and however long it takes.
    pub(crate) async fn upload_file<T: DeserializeOwned>(&self, path: &str, file: tokio::fs::File, size: u64) -> CliResult<T> {
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(file, UPLOAD_PIECE));
        let request = self.request(Method::POST, path).header("content-type", "application/octet-stream");
        let response = self.send(request.header("content-length", size).body(body)).await?;
        self.read(response).await
    }

    /// Downloads something into a writer, piece by piece.
    pub(crate) async fn download(
        &self,
        path: &str,
        query: &impl Serialize,
        mut write: impl AsyncFnMut(&[u8]) -> CliResult<()>,
    ) -> CliResult<()> {
        let mut response = self.send(self.request(Method::GET, path).query(query)).await?;
        while let Some(piece) = response.chunk().await.map_err(|source| self.unreachable(source))? {
            write(&piece).await?;
        }
        Ok(())
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &str) -> CliResult<()> {
        self.send(self.request(Method::DELETE, path).timeout(ANSWER_LIMIT)).await.map(drop)
    }

    /// All items of a paged list, at most `limit`.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: usize,
    ) -> CliResult<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", (limit - items.len()).min(100).to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() || items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
        }
    }

    fn unreachable(&self, source: reqwest::Error) -> CliError {
        CliError::Unreachable { server: self.server.clone(), source }
    }

    fn protocol(&self, reason: impl Into<String>) -> CliError {
        CliError::Protocol { server: self.server.clone(), reason: reason.into() }
    }
}

/// An answer that is no success.
struct Refusal {
    status: StatusCode,
    problem: Option<Problem>,
    text: String,
}

impl Refusal {
    /// Whether the same request may succeed a little later.
    fn is_passing(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }

    /// The error; what is wrong with a definition is shown in its text.
    fn into_error(self, definition: Option<(&str, &str)>) -> CliError {
        let Some(problem) = self.problem else {
            let text: String = self.text.chars().take(200).collect();
            return CliError::Refused { message: format!("the server answered {}: {text}", self.status), help: None };
        };
        if let Some((name, text)) = definition.filter(|_| !problem.diagnostics.is_empty()) {
            return InvalidDefinition::from_wire(name, text, problem.diagnostics).into();
        }
        let help = match self.status {
            StatusCode::UNAUTHORIZED => Some("give a token with `--token` or BULKHEAD_TOKEN".to_owned()),
            StatusCode::FORBIDDEN => Some("this needs a token with a stronger role".to_owned()),
            _ => problem.retry_after.map(|seconds| format!("try again in {seconds} s")),
        };
        let mut message = problem.detail;
        for found in &problem.diagnostics {
            message.push_str(&format!("\n{}:{}: {}", found.line, found.column, found.message));
        }
        if let Some(failure) = problem.failure.filter(|failure| !message.contains(&failure.message)) {
            message.push_str(&format!(": {}", failure.message));
        }
        CliError::Refused { message, help }
    }
}
