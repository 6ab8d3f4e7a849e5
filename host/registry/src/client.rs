//! Pulling and pushing artifacts of one layer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::id::Digest;
use bulkhead_core::oci::OciReference;
use bulkhead_core::plugin::Interfaces;
use bulkhead_engine::egress::Egress;
use bulkhead_engine::registry::{
    Artifact, CONFIG_TYPE, Descriptor, MANIFEST_TYPE, Manifest, Registry, RegistryError, SIGNATURE_ANNOTATION, TITLE_ANNOTATION,
    WASM_TYPE, digest,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Serialize;
use tokio::sync::Semaphore;
use url::Url;

use crate::access::Credentials;
use crate::allow::Allowed;
use crate::session::Session;

/// How long pulling one artifact may take as a whole, from a registry that keeps giving: whoever stores a definition waits for it. The
/// largest plugin takes as long at 2 Mbit/s.
const PULL_LIMIT: Duration = Duration::from_secs(300);
/// Artifacts pulled at once; each is held in memory until it is stored.
const PULLS_AT_ONCE: usize = 4;

/// What a component is, for the configuration of its artifact.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// The name of its file, for who writes it into one again.
    pub title: String,
    /// When the artifact was made, after RFC 3339.
    pub created: String,
    /// What a component exports and imports; absent for a core module.
    pub interfaces: Option<Interfaces>,
    /// A detached signature: the text of a `.minisig` file.
    pub signature: Option<String>,
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
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) credentials: Credentials,
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
        let Description { title, created, interfaces, signature } = description;
        let layer =
            Descriptor { annotations: [(TITLE_ANNOTATION.to_owned(), title)].into(), ..Descriptor::of(WASM_TYPE, &component) };
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
            config: Descriptor::of(CONFIG_TYPE, &config),
            layers: vec![layer.clone()],
            annotations: signature.map(|text| (SIGNATURE_ANNOTATION.to_owned(), text)).into_iter().collect::<BTreeMap<_, _>>(),
        };
        let (config_digest, manifest) = (manifest.config.digest, Bytes::from(json(&manifest)));
        let mut session = self.session(reference, "pull,push").await?;
        session.push_blob(layer.digest, component).await?;
        session.push_blob(config_digest, config).await?;
        session.push_manifest(reference.tag.as_deref().unwrap_or("latest"), MANIFEST_TYPE, manifest.clone()).await?;
        Ok(digest(&manifest))
    }

    /// Whether a host is asked at whatever address: where the client may ask everybody, whoever uses it answers for that.
    pub(crate) fn is_trusted(&self, url: &Url) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|allowed| allowed.is_at(url)))
    }

    /// A session about one repository, with the right to do `actions` there.
    async fn session<'a>(&'a self, reference: &'a OciReference, actions: &'static str) -> Result<Session<'a>, RegistryError> {
        if let Some(allowed) = &self.allowed
            && !allowed.iter().any(|allowed| allowed.covers(reference))
        {
            let OciReference { registry, repository, .. } = reference.clone();
            return Err(RegistryError::NotAllowed { registry, repository });
        }
        Session::open(self, reference, actions).await
    }

    async fn pull_now(&self, reference: &OciReference) -> Result<Artifact, RegistryError> {
        let mut session = self.session(reference, "pull").await?;
        let manifest = session.manifest().await?;
        let layer = Manifest::read(&manifest)?.layer()?;
        if layer.size > self.max_component {
            return Err(RegistryError::TooLarge { what: "the component", max: self.max_component });
        }
        // Read no more than the manifest says: its size was checked.
        let limit = usize::try_from(layer.size).unwrap_or(usize::MAX);
        let component = session.blob(layer.digest, limit, "the component").await?;
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

/// JSON that can't fail to be written.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
