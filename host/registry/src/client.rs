//! The protocol: pulling and pushing artifacts of one layer.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::id::Digest;
use bulkhead_core::oci::OciReference;
use bulkhead_engine::egress::{Egress, EgressBody, EgressError, EgressGrant, EgressRequest, EgressTimeouts};
use bulkhead_engine::registry::{
    Artifact, CONFIG_TYPE, Descriptor, MANIFEST_TYPE, MAX_MANIFEST_LEN, Manifest, Registry, RegistryError, SIGNATURE_ANNOTATION,
    WASM_TYPE, digest,
};
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::access::{Challenge, Credentials, bearer};
use crate::allow::Allowed;

/// How long pulling one artifact may take as a whole, from a registry that keeps giving: whoever stores a definition waits for it. The
/// largest plugin takes as long at 2 Mbit/s.
const PULL_LIMIT: Duration = Duration::from_secs(300);
/// Artifacts pulled at once; each is held in memory until it is stored.
const PULLS_AT_ONCE: usize = 4;
/// What is asked for where a manifest is. An index is none of a plugin's; who has one should be told so, and not that there is nothing.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
/// Redirects that are followed to a blob.
const MAX_REDIRECTS: usize = 5;
/// The largest answer of a token service, in bytes.
const MAX_TOKEN_LEN: usize = 64 << 10;
/// How much is shown of what a registry says, in bytes.
const MAX_SAID_LEN: usize = 500;
/// The registry of Docker, which answers elsewhere than it is called.
const DOCKER: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// What a component is, for the configuration of its artifact.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// When the artifact was made, after RFC 3339.
    pub created: String,
    /// What a component exports and imports; absent for a core module.
    pub interfaces: Option<Interfaces>,
    /// A detached signature: the text of a `.minisig` file.
    pub signature: Option<String>,
}

/// The names of a component's world.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Interfaces {
    /// What it exports.
    pub exports: Vec<String>,
    /// What it imports.
    pub imports: Vec<String>,
}

/// The configuration of an artifact; the same that oci-wasm writes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    created: String,
    architecture: &'static str,
    os: &'static str,
    #[serde(serialize_with = "texts")]
    layer_digests: [Digest; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Interfaces>,
}

fn texts<S: serde::Serializer>(digests: &[Digest], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(digests.iter().map(ToString::to_string))
}

/// Pulls and pushes.
pub struct RegistryClient {
    egress: Arc<dyn Egress>,
    credentials: Credentials,
    allowed: Option<Vec<Allowed>>,
    max_component: u64,
    pulls: Semaphore,
}

impl std::fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryClient").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl RegistryClient {
    /// A client that may ask any registry; of components it takes those with up to `max_component` bytes.
    pub fn new(egress: Arc<dyn Egress>, credentials: Credentials, max_component: u64) -> Self {
        Self { egress, credentials, allowed: None, max_component, pulls: Semaphore::new(PULLS_AT_ONCE) }
    }

    /// The same client that asks these registries only.
    #[must_use]
    pub fn only(self, allowed: Vec<Allowed>) -> Self {
        Self { allowed: Some(allowed), ..self }
    }

    /// Pushes a component or a core module under a reference's tag (`latest` where it has none). The digest of its manifest.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn push(
        &self,
        reference: &OciReference,
        component: Bytes,
        description: Description,
    ) -> Result<Digest, RegistryError> {
        let Description { created, interfaces, signature } = description;
        let layer = Descriptor { media_type: WASM_TYPE.to_owned(), digest: digest(&component), size: component.len() as u64 };
        let config = Config {
            created,
            architecture: "wasm",
            os: if interfaces.is_some() { "wasip2" } else { "wasip1" },
            layer_digests: [layer.digest],
            component: interfaces,
        };
        let config: Bytes = json(&config).into();
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            config: Descriptor { media_type: CONFIG_TYPE.to_owned(), digest: digest(&config), size: config.len() as u64 },
            layers: vec![layer.clone()],
            annotations: signature.map(|text| (SIGNATURE_ANNOTATION.to_owned(), text)).into_iter().collect::<BTreeMap<_, _>>(),
        };
        let (config_digest, manifest) = (manifest.config.digest, Bytes::from(json(&manifest)));
        let session = self.session(reference, "pull,push").await?;
        session.push_blob(layer.digest, component).await?;
        session.push_blob(config_digest, config).await?;
        let url = session.url(&format!("manifests/{}", reference.tag.as_deref().unwrap_or("latest")))?;
        let request =
            Ask { method: Method::PUT, content: Some((MANIFEST_TYPE, manifest.clone())), ..Ask::get("a manifest", url) };
        session.success(request).await?;
        Ok(digest(&manifest))
    }

    /// A session about one repository, with the right to do `actions` there.
    async fn session<'a>(&'a self, reference: &'a OciReference, actions: &str) -> Result<Session<'a>, RegistryError> {
        if let Some(allowed) = &self.allowed
            && !allowed.iter().any(|allowed| allowed.covers(reference))
        {
            let OciReference { registry, repository, .. } = reference.clone();
            return Err(RegistryError::NotAllowed { registry, repository });
        }
        let host = if *reference.registry == *DOCKER.0 { DOCKER.1 } else { &reference.registry };
        let protocol = |reason: String| RegistryError::Protocol { registry: reference.registry.clone(), reason };
        let base = |scheme: &str| Url::parse(&format!("{scheme}://{host}/v2/")).map_err(|error| protocol(error.to_string()));
        let mut base_url = base("https")?;
        if is_this_machine(&base_url) {
            base_url = base("http")?;
        }
        let mut session = Session { client: self, reference, base: base_url, authorization: None };
        session.authorization = session.authorize(actions).await?;
        Ok(session)
    }

    async fn pull_now(&self, reference: &OciReference) -> Result<Artifact, RegistryError> {
        let session = self.session(reference, "pull").await?;
        let manifest = session.manifest().await?;
        let layer = Manifest::read(&manifest)?.layer()?;
        if layer.size > self.max_component {
            return Err(RegistryError::TooLarge { what: "the component", max: self.max_component });
        }
        // Read no more than the manifest says: its size was checked.
        let limit = usize::try_from(layer.size).unwrap_or(usize::MAX);
        let url = session.url(&format!("blobs/{}", layer.digest))?;
        let answer = session.follow(Ask::get("a blob", url)).await?;
        let answer = session.expect_success(answer, "a blob").await?;
        let component = session.read(answer.into_body(), limit, "the component").await?;
        session.expect_digest("the component", layer.digest, &component)?;
        Ok(Artifact { manifest, component })
    }

    /// Bounds a whole pull, and how many there are.
    async fn bounded<T>(
        &self,
        reference: &OciReference,
        pull: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let turn = async {
            let _turn = self.pulls.acquire().await;
            pull.await
        };
        tokio::time::timeout(PULL_LIMIT, turn).await.unwrap_or_else(|_| {
            Err(RegistryError::TimedOut { registry: reference.registry.clone(), seconds: PULL_LIMIT.as_secs() })
        })
    }
}

impl Registry for RegistryClient {
    fn pull(&self, reference: OciReference) -> BoxFuture<'_, Result<Artifact, RegistryError>> {
        Box::pin(async move { self.bounded(&reference, self.pull_now(&reference)).await })
    }

    fn resolve(&self, reference: OciReference) -> BoxFuture<'_, Result<Digest, RegistryError>> {
        Box::pin(async move {
            let manifest = async { self.session(&reference, "pull").await?.manifest().await };
            Ok(digest(&self.bounded(&reference, manifest).await?))
        })
    }
}

/// What is asked of a registry.
struct Ask {
    what: &'static str,
    method: Method,
    url: Url,
    accept: Option<&'static str>,
    content: Option<(&'static str, Bytes)>,
}

impl Ask {
    fn get(what: &'static str, url: Url) -> Self {
        Self { what, method: Method::GET, url, accept: None, content: None }
    }
}

/// What is done in one repository.
struct Session<'a> {
    client: &'a RegistryClient,
    reference: &'a OciReference,
    /// `https://registry/v2/`
    base: Url,
    authorization: Option<HeaderValue>,
}

impl Session<'_> {
    /// The URL of something in the repository.
    fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let path = format!("{}/{path}", self.repository());
        self.base.join(&path).map_err(|error| self.protocol(format!("`{path}` is no path: {error}")))
    }

    /// The repository as the registry calls it.
    fn repository(&self) -> String {
        let own = &self.reference.repository;
        // Docker's own images lie in a repository that nobody writes.
        if *self.reference.registry == *DOCKER.0 && !own.contains('/') { format!("library/{own}") } else { own.to_string() }
    }

    /// Finds out what the registry wants to know, and says it.
    async fn authorize(&self, actions: &str) -> Result<Option<HeaderValue>, RegistryError> {
        let answer = self.send(Ask::get("its version", self.base.clone()), None).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let challenge = Challenge::read(answer.headers().get_all(header::WWW_AUTHENTICATE).iter());
        let (credentials, registry) = (self.client.credentials.clone(), self.reference.registry.clone());
        let found = tokio::task::spawn_blocking(move || credentials(&registry)).await;
        let unusable = |reason| RegistryError::Credentials { registry: self.reference.registry.clone(), reason };
        let login = found.map_err(|error| unusable(error.to_string()))?.map_err(unusable)?;
        let basic = match &login {
            Some(login) => Some(login.basic().ok_or_else(|| unusable("they can't stand in a header".to_owned()))?),
            None => None,
        };
        match challenge {
            Some(Challenge::Basic) => Ok(basic),
            Some(Challenge::Bearer { realm, service }) => {
                let mut url = Url::parse(&realm).map_err(|error| self.protocol(format!("`{realm}` is no URL: {error}")))?;
                let scope = format!("repository:{}:{actions}", self.repository());
                url.query_pairs_mut()
                    .extend_pairs(service.iter().map(|service| ("service", service)))
                    .append_pair("scope", &scope);
                let answer = self.send(Ask::get("a token", url), basic.as_ref()).await?;
                let answer = self.expect_success(answer, "a token").await?;
                let text = self.read(answer.into_body(), MAX_TOKEN_LEN, "a token").await?;
                // Some services give it under one name, some under the other, some under both.
                let fields: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
                let token = ["token", "access_token"].iter().find_map(|name| fields[name].as_str());
                let token = token.and_then(bearer).ok_or_else(|| self.protocol("its token service gives no token".to_owned()))?;
                Ok(Some(token))
            }
            None => Err(self.protocol("it wants to know who asks, by no way that is known here".to_owned())),
        }
    }

    /// The manifest that the reference means, proven where it is pinned.
    async fn manifest(&self) -> Result<Bytes, RegistryError> {
        let name = match (&self.reference.digest, &self.reference.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_string(),
            (None, None) => "latest".to_owned(),
        };
        let ask = Ask { accept: Some(ACCEPTED), ..Ask::get("a manifest", self.url(&format!("manifests/{name}"))?) };
        let answer = self.follow(ask).await?;
        let answer = self.expect_success(answer, "a manifest").await?;
        let manifest = self.read(answer.into_body(), MAX_MANIFEST_LEN, "the manifest").await?;
        if let Some(wanted) = self.reference.digest {
            self.expect_digest("the manifest", wanted, &manifest)?;
        }
        Ok(manifest)
    }

    /// Uploads content that the repository lacks.
    async fn push_blob(&self, digest: Digest, content: Bytes) -> Result<(), RegistryError> {
        let head = Ask { method: Method::HEAD, ..Ask::get("a blob", self.url(&format!("blobs/{digest}"))?) };
        if self.send(head, self.authorization.as_ref()).await?.status().is_success() {
            return Ok(());
        }
        let begin = Ask {
            method: Method::POST,
            content: Some(("application/octet-stream", Bytes::new())),
            ..Ask::get("an upload", self.url("blobs/uploads/")?)
        };
        let answer = self.success(begin).await?;
        let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        let location = location.and_then(|location| self.base.join(location).ok());
        let mut url = location.ok_or_else(|| self.protocol("it does not say where to upload to".to_owned()))?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let content = Some(("application/octet-stream", content));
        self.success(Ask { method: Method::PUT, content, ..Ask::get("an upload", url) }).await.map(drop)
    }

    async fn success(&self, ask: Ask) -> Result<Response<EgressBody>, RegistryError> {
        let (what, own) = (ask.what, same_host(&ask.url, &self.base));
        let answer = self.send(ask, self.authorization.as_ref().filter(|_| own)).await?;
        self.expect_success(answer, what).await
    }

    /// Asks, and asks where the answer sends on to. Only the registry itself is told who asks.
    async fn follow(&self, ask: Ask) -> Result<Response<EgressBody>, RegistryError> {
        let mut url = ask.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let own = same_host(&url, &self.base);
            let next = Ask { url: url.clone(), accept: ask.accept, ..Ask::get(ask.what, url.clone()) };
            let answer = self.send(next, self.authorization.as_ref().filter(|_| own)).await?;
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
            url = location
                .and_then(|location| url.join(location).ok())
                .ok_or_else(|| self.protocol("it sends on to nowhere".to_owned()))?;
        }
        Err(self.protocol(format!("it sends on more than {MAX_REDIRECTS} times")))
    }

    /// One request and its answer.
    async fn send(&self, ask: Ask, authorization: Option<&HeaderValue>) -> Result<Response<EgressBody>, RegistryError> {
        let Ask { method, url, accept, content, .. } = ask;
        let own = same_host(&url, &self.base);
        if !own && url.scheme() != "https" {
            return Err(self.protocol(format!("it sends on to {url}, which is not https")));
        }
        let mut request = Request::builder().method(method).uri(url.as_str());
        request = request.header(header::USER_AGENT, concat!("bulkhead/", env!("CARGO_PKG_VERSION")));
        if let Some(accept) = accept {
            request = request.header(header::ACCEPT, accept);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let body = match content {
            Some((kind, content)) => {
                request = request.header(header::CONTENT_TYPE, kind).header(header::CONTENT_LENGTH, content.len());
                content
            }
            None => Bytes::new(),
        };
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        let request = request.body(body).map_err(|error| self.protocol(error.to_string()))?;
        let grant = Arc::new(EgressGrant { patterns: patterns(&url, own) });
        let timeouts = EgressTimeouts::default();
        self.client.egress.send(EgressRequest { request, grant, timeouts }).await.map_err(|error| self.unreachable(error))
    }

    /// An answer that is what was asked for, or what it is instead.
    async fn expect_success(
        &self,
        answer: Response<EgressBody>,
        asked: &'static str,
    ) -> Result<Response<EgressBody>, RegistryError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        if status == StatusCode::NOT_FOUND && asked != "an upload" {
            return Err(RegistryError::NotFound(self.reference.clone()));
        }
        let said = said(answer.into_body()).await;
        let OciReference { registry, repository, .. } = self.reference.clone();
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                RegistryError::Unauthorized { registry, repository, status: status.as_u16(), said }
            }
            _ => RegistryError::Refused { registry, asked, status: status.as_u16(), said },
        })
    }

    fn expect_digest(&self, what: &'static str, wanted: Digest, content: &[u8]) -> Result<(), RegistryError> {
        let found = digest(content);
        if found == wanted {
            return Ok(());
        }
        Err(RegistryError::Mismatch { registry: self.reference.registry.clone(), what, wanted, found })
    }

    /// Reads a body of at most `limit` bytes.
    async fn read(&self, mut body: EgressBody, limit: usize, what: &'static str) -> Result<Bytes, RegistryError> {
        let mut content = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.unreachable(error))?;
            let Ok(piece) = frame.into_data() else { continue };
            if content.len() + piece.len() > limit {
                return Err(RegistryError::TooLarge { what, max: limit as u64 });
            }
            content.extend_from_slice(&piece);
        }
        Ok(content.freeze())
    }

    fn unreachable(&self, error: EgressError) -> RegistryError {
        RegistryError::Unreachable { registry: self.reference.registry.clone(), error }
    }

    fn protocol(&self, reason: String) -> RegistryError {
        RegistryError::Protocol { registry: self.reference.registry.clone(), reason }
    }
}

/// Where a request may go: the registry wherever it is, anybody else at public addresses only.
fn patterns(url: &Url, own: bool) -> Vec<String> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let name = format!("{host}:{port}");
    match url.host() {
        _ if own => vec![name, format!("0.0.0.0/0:{port}"), format!("[::/0]:{port}")],
        Some(Host::Domain(_)) => vec![name],
        // A pattern of an address would grant it, whatever lies there.
        _ => Vec::new(),
    }
}

fn same_host(url: &Url, other: &Url) -> bool {
    url.scheme() == other.scheme() && url.host() == other.host() && url.port_or_known_default() == other.port_or_known_default()
}

/// Whether a URL's host is this machine by its name or its address.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => Ipv4Addr::is_loopback(&address),
        Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
        None => false,
    }
}

/// What a registry says of its refusal, on one line, with `: ` before it; empty where it says nothing.
async fn said(mut body: EgressBody) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_SAID_LEN
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    bytes.truncate(MAX_SAID_LEN);
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<_> =
        text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { String::new() } else { format!(": {}", words.join(" ")) }
}

/// JSON that can't fail to be written.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
