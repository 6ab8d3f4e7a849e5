//! What is done in one repository, request by request.

use std::sync::Arc;

use bulkhead_core::id::Digest;
use bulkhead_core::oci::OciReference;
use bulkhead_engine::egress::{EgressBody, EgressError, EgressRequest, EgressTimeouts};
use bulkhead_engine::registry::{MAX_MANIFEST_LEN, RegistryError, digest};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::access::{Challenge, Login, basic, bearer};
use crate::allow::same_origin;
use crate::client::RegistryClient;
use crate::place;

/// What is asked for where a manifest is. An index is none of a plugin's; who has one should be told so, and not that there is nothing.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
/// Redirects that are followed to a blob.
const MAX_REDIRECTS: usize = 5;
/// The largest answer of a token service, in bytes.
const MAX_TOKEN_LEN: usize = 64 << 10;
/// How much is shown of what a registry says, in bytes.
const MAX_SAID_LEN: usize = 500;
/// Who asks for a token, for the service's records.
const CLIENT_ID: &str = "bulkhead";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Version,
    Token,
    Manifest,
    Blob,
    Upload,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Version => "its version",
            Self::Token => "a token",
            Self::Manifest => "a manifest",
            Self::Blob => "a blob",
            Self::Upload => "an upload",
        }
    }
}

/// A request.
#[derive(Clone)]
pub(crate) struct Ask {
    what: What,
    method: Method,
    url: Url,
    accept: Option<&'static str>,
    content: Option<(&'static str, Bytes)>,
}

impl Ask {
    fn get(what: What, url: Url) -> Self {
        Self { what, method: Method::GET, url, accept: None, content: None }
    }

    fn send(what: What, method: Method, url: Url, kind: &'static str, content: Bytes) -> Self {
        Self { what, method, url, accept: None, content: Some((kind, content)) }
    }
}

/// What is done in one repository.
pub(crate) struct Session<'a> {
    client: &'a RegistryClient,
    reference: &'a OciReference,
    /// What is to be done there, as scopes of tokens have it: `pull`, or `pull,push`.
    actions: &'static str,
    /// `https://registry/v2/`
    root: Url,
    authorization: Option<HeaderValue>,
}

impl<'a> Session<'a> {
    /// Finds the registry, and introduces itself where that is wanted.
    pub(crate) async fn open(
        client: &'a RegistryClient,
        reference: &'a OciReference,
        actions: &'static str,
    ) -> Result<Self, RegistryError> {
        let root = place::root(&reference.registry)
            .map_err(|error| RegistryError::Protocol { registry: reference.registry.clone(), reason: error.to_string() })?;
        let mut session = Self { client, reference, actions, root, authorization: None };
        let answer = match (session.send(Ask::get(What::Version, session.root.clone()), None).await, place::plain(&session.root))
        {
            // A certificate that is refused is one that somebody made for this registry.
            (Err(RegistryError::Unreachable { error, .. }), Some(plain)) if !is_about_certificate(&error) => {
                session.root = plain;
                session.send(Ask::get(What::Version, session.root.clone()), None).await?
            }
            (answer, _) => answer?,
        };
        if answer.status() == StatusCode::UNAUTHORIZED {
            let challenge = challenge(&answer)
                .ok_or_else(|| session.protocol("it wants to know who asks, by no way that is known here".to_owned()))?;
            session.authorization = session.authorize(challenge).await?;
        }
        Ok(session)
    }

    /// The URL of something in the repository.
    fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let path = format!("{}/{path}", self.reference.repository);
        self.root.join(&path).map_err(|error| self.protocol(format!("`{path}` is no path: {error}")))
    }

    /// What to say of who asks; nothing where that is nobody in particular.
    async fn authorize(&self, challenge: Challenge) -> Result<Option<HeaderValue>, RegistryError> {
        let (credentials, registry) = (self.client.credentials.clone(), self.reference.registry.clone());
        let found = tokio::task::spawn_blocking(move || credentials(&registry)).await;
        let unusable = |reason: String| RegistryError::Credentials { registry: self.reference.registry.clone(), reason };
        let login = found.map_err(|error| unusable(error.to_string()))?.map_err(unusable)?;
        let basic = match &login {
            Some(Login::Password { user, password }) => {
                Some(basic(user, password).ok_or_else(|| unusable("they can't stand in a header".to_owned()))?)
            }
            Some(Login::IdentityToken(_)) | None => None,
        };
        let Challenge::Bearer { realm, service } = challenge else {
            return match login {
                Some(Login::IdentityToken(_)) => {
                    Err(unusable("they are an identity token, and the registry wants a user and a password".to_owned()))
                }
                _ => Ok(basic),
            };
        };
        let url = Url::parse(&realm).map_err(|error| self.protocol(format!("`{realm}` is no URL: {error}")))?;
        let scope = format!("repository:{}:{}", self.reference.repository, self.actions);
        let mut wanted: Vec<_> = service.iter().map(|service| ("service", service.as_str())).collect();
        wanted.push(("scope", &scope));
        let ask = match &login {
            Some(Login::IdentityToken(token)) => {
                wanted.extend([("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", CLIENT_ID)]);
                let form = Serializer::new(String::new()).extend_pairs(wanted).finish();
                Ask::send(What::Token, Method::POST, url, "application/x-www-form-urlencoded", form.into())
            }
            Some(Login::Password { .. }) | None => {
                let mut url = url;
                url.query_pairs_mut().extend_pairs(wanted);
                Ask::get(What::Token, url)
            }
        };
        let answer = self.send(ask, basic.as_ref()).await?;
        let answer = self.expect_success(answer, What::Token).await?;
        let text = self.read(answer.into_body(), MAX_TOKEN_LEN, "a token").await?;
        // Some services give it under one name, some under the other, some under both.
        let fields: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let token = ["token", "access_token"].iter().find_map(|name| fields[name].as_str());
        let token = token.and_then(bearer).ok_or_else(|| self.protocol("its token service gives no token".to_owned()))?;
        Ok(Some(token))
    }

    /// The manifest that the reference means, proven where it is pinned.
    pub(crate) async fn manifest(&mut self) -> Result<Bytes, RegistryError> {
        let name = match (&self.reference.digest, &self.reference.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_string(),
            (None, None) => "latest".to_owned(),
        };
        let ask = Ask { accept: Some(ACCEPTED), ..Ask::get(What::Manifest, self.url(&format!("manifests/{name}"))?) };
        let answer = self.follow(ask).await?;
        let manifest = self.read(answer.into_body(), MAX_MANIFEST_LEN, "the manifest").await?;
        if let Some(wanted) = self.reference.digest {
            self.expect_digest("the manifest", wanted, &manifest)?;
        }
        Ok(manifest)
    }

    /// Content with this digest and at most `limit` bytes; `what` it is to people.
    pub(crate) async fn blob(&mut self, digest: Digest, limit: usize, what: &'static str) -> Result<Bytes, RegistryError> {
        let answer = self.follow(Ask::get(What::Blob, self.url(&format!("blobs/{digest}"))?)).await?;
        let content = self.read(answer.into_body(), limit, what).await?;
        self.expect_digest(what, digest, &content)?;
        Ok(content)
    }

    /// Uploads content that the repository lacks.
    pub(crate) async fn push_blob(&mut self, digest: Digest, content: Bytes) -> Result<(), RegistryError> {
        const KIND: &str = "application/octet-stream";
        let head = Ask { method: Method::HEAD, ..Ask::get(What::Blob, self.url(&format!("blobs/{digest}"))?) };
        if self.ask(&head).await?.status().is_success() {
            return Ok(());
        }
        let begin = Ask::send(What::Upload, Method::POST, self.url("blobs/uploads/")?, KIND, Bytes::new());
        let answer = self.success(&begin).await?;
        let location = location(&answer).and_then(|location| self.root.join(location).ok());
        let mut url = location.ok_or_else(|| self.protocol("it does not say where to upload to".to_owned()))?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        self.success(&Ask::send(What::Upload, Method::PUT, url, KIND, content)).await.map(drop)
    }

    /// Stores a manifest under a tag.
    pub(crate) async fn push_manifest(&mut self, tag: &str, kind: &'static str, manifest: Bytes) -> Result<(), RegistryError> {
        let url = self.url(&format!("manifests/{tag}"))?;
        self.success(&Ask::send(What::Manifest, Method::PUT, url, kind, manifest)).await.map(drop)
    }

    async fn success(&mut self, ask: &Ask) -> Result<Response<EgressBody>, RegistryError> {
        let answer = self.ask(ask).await?;
        self.expect_success(answer, ask.what).await
    }

    /// Asks, and asks where the answer sends on to, until it is what was asked for.
    async fn follow(&mut self, mut ask: Ask) -> Result<Response<EgressBody>, RegistryError> {
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.ask(&ask).await?;
            if !answer.status().is_redirection() {
                return self.expect_success(answer, ask.what).await;
            }
            let next = location(&answer).and_then(|location| ask.url.join(location).ok());
            ask.url = next.ok_or_else(|| self.protocol("it sends on to nowhere".to_owned()))?;
        }
        Err(self.protocol(format!("it sends on more than {MAX_REDIRECTS} times")))
    }

    /// One request and its answer. Only the registry itself is told who asks; where it wants to know (again), because it asks here
    /// only, or because a token has expired, it is told and asked once more.
    async fn ask(&mut self, ask: &Ask) -> Result<Response<EgressBody>, RegistryError> {
        if !same_origin(&ask.url, &self.root) {
            return self.send(ask.clone(), None).await;
        }
        let answer = self.send(ask.clone(), self.authorization.as_ref()).await?;
        let challenge = challenge(&answer).filter(|_| answer.status() == StatusCode::UNAUTHORIZED);
        let Some(challenge) = challenge else { return Ok(answer) };
        let authorization = self.authorize(challenge).await?;
        if authorization == self.authorization {
            return Ok(answer);
        }
        self.authorization = authorization;
        self.send(ask.clone(), self.authorization.as_ref()).await
    }

    async fn send(&self, ask: Ask, authorization: Option<&HeaderValue>) -> Result<Response<EgressBody>, RegistryError> {
        let Ask { method, url, accept, content, .. } = ask;
        let own = same_origin(&url, &self.root);
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
        let grant = Arc::new(place::grant(&url, own || self.client.is_trusted(&url)));
        let timeouts = EgressTimeouts::default();
        let registry = || self.reference.registry.clone();
        match self.client.egress.send(EgressRequest { request, grant, timeouts }).await {
            Ok(answer) => Ok(answer),
            Err(EgressError::Denied { .. }) if !own => Err(RegistryError::SentOn {
                registry: registry(),
                host: url[url::Position::BeforeHost..url::Position::AfterPort].into(),
            }),
            Err(error) => Err(self.unreachable(error)),
        }
    }

    /// An answer that is what was asked for, or what it is instead.
    async fn expect_success(&self, answer: Response<EgressBody>, asked: What) -> Result<Response<EgressBody>, RegistryError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        if status == StatusCode::NOT_FOUND && matches!(asked, What::Manifest | What::Blob) {
            return Err(RegistryError::NotFound(self.reference.clone()));
        }
        let said = said(answer.into_body()).await;
        let OciReference { registry, repository, .. } = self.reference.clone();
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                RegistryError::Unauthorized { registry, repository, status: status.as_u16(), said }
            }
            _ => RegistryError::Refused { registry, asked: asked.name(), status: status.as_u16(), said },
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

/// Whether the other end showed a certificate, which was refused.
fn is_about_certificate(error: &EgressError) -> bool {
    matches!(error, EgressError::Tls { certificate: true, .. })
}

fn challenge(answer: &Response<EgressBody>) -> Option<Challenge> {
    Challenge::read(answer.headers().get_all(header::WWW_AUTHENTICATE).iter())
}

fn location(answer: &Response<EgressBody>) -> Option<&str> {
    answer.headers().get(header::LOCATION)?.to_str().ok()
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
