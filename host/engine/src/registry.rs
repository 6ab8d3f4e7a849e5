//! The port to registries: plugins as OCI artifacts, by the conventions of the ecosystem's tools (wkg, oci-wasm).
//!
//! An artifact is a manifest of one layer, the component. Whoever pins an artifact pins the digest of its manifest; the manifest
//! names the component by digest. So a manifest and a component prove themselves against a pin, wherever both come from: that is how
//! a plugin is used offline.

use std::collections::BTreeMap;

use bulkhead_core::id::Digest;
use bulkhead_core::oci::OciReference;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::egress::EgressError;

/// The media type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of the configuration of a WebAssembly artifact.
pub const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// The media type of a component or a core module.
pub const WASM_TYPE: &str = "application/wasm";
/// The annotation of a manifest that holds a detached signature of the component: the text of a `.minisig` file.
pub const SIGNATURE_ANNOTATION: &str = "bulkhead.minisign";
/// The annotation of a layer that says which file it is; general clients write no file without.
pub const TITLE_ANNOTATION: &str = "org.opencontainers.image.title";
/// The largest manifest that is read, in bytes.
pub const MAX_MANIFEST_LEN: usize = 64 << 10;

/// Fetches plugins from registries. Object-safe; share it as `Arc<dyn Registry>`.
pub trait Registry: Send + Sync + 'static {
    /// The artifact that a reference means: the one that it is pinned to, or else that its tag means now. What comes back is proven:
    /// the manifest is the pinned one and the component the manifest's.
    ///
    /// # Errors
    /// Why there is none; see [`RegistryError`].
    fn pull(&self, reference: OciReference) -> BoxFuture<'_, Result<Artifact, RegistryError>>;

    /// The digest of the manifest that a reference means now.
    ///
    /// # Errors
    /// As [`Self::pull`].
    fn resolve(&self, reference: OciReference) -> BoxFuture<'_, Result<Digest, RegistryError>>;
}

/// A plugin with the manifest that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The manifest, byte by byte.
    pub manifest: Bytes,
    /// The component or the core module.
    pub component: Bytes,
}

impl Artifact {
    /// What a reference is pinned to.
    pub fn digest(&self) -> Digest {
        digest(&self.manifest)
    }

    /// The manifest's signature of the component, where it has one.
    pub fn signature(&self) -> Option<String> {
        Manifest::read(&self.manifest).ok()?.annotations.remove(SIGNATURE_ANNOTATION)
    }

    /// Whether the manifest names this component.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn check(&self) -> Result<(), NotWasm> {
        let layer = Manifest::read(&self.manifest)?.layer()?;
        let found = digest(&self.component);
        if layer.digest != found || layer.size != self.component.len() as u64 {
            let Descriptor { digest: wanted, size, .. } = layer;
            let len = self.component.len();
            return Err(NotWasm(format!("its component is {wanted} with {size} bytes, and this is {found} with {len}")));
        }
        Ok(())
    }
}

/// The SHA-256 of some content.
pub fn digest(content: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(content).into())
}

/// An artifact is not WebAssembly as the ecosystem's tools push it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the manifest is not that of a plugin: {0}")]
pub struct NotWasm(pub String);

/// A manifest, as far as Bulkhead reads and writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// [`MANIFEST_TYPE`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What the artifact is; its type says that it is WebAssembly.
    pub config: Descriptor,
    /// One layer: the component.
    pub layers: Vec<Descriptor>,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Content that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its SHA-256.
    #[serde(with = "digest_text")]
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// The descriptor of some content, with no annotations.
    pub fn of(media_type: &str, content: &[u8]) -> Self {
        let annotations = BTreeMap::new();
        Self { media_type: media_type.to_owned(), digest: digest(content), size: content.len() as u64, annotations }
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// What it is instead.
    pub fn read(text: &[u8]) -> Result<Self, NotWasm> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            #[serde(default)]
            media_type: Option<String>,
            #[serde(default)]
            manifests: Option<serde::de::IgnoredAny>,
        }
        let kind: Kind = serde_json::from_slice(text).map_err(|error| NotWasm(format!("it can't be read: {error}")))?;
        if kind.manifests.is_some() || kind.media_type.as_deref().is_some_and(|kind| kind != MANIFEST_TYPE) {
            let kind = kind.media_type.unwrap_or_else(|| "an index".to_owned());
            return Err(NotWasm(format!("it is {kind}, expected {MANIFEST_TYPE}")));
        }
        serde_json::from_slice(text).map_err(|error| NotWasm(format!("it can't be read: {error}")))
    }

    /// The one layer: the component.
    ///
    /// # Errors
    /// What the artifact is instead.
    pub fn layer(self) -> Result<Descriptor, NotWasm> {
        if self.config.media_type != CONFIG_TYPE {
            return Err(NotWasm(format!("its configuration is {}, expected {CONFIG_TYPE}", self.config.media_type)));
        }
        match <[Descriptor; 1]>::try_from(self.layers) {
            Ok([layer]) if layer.media_type == WASM_TYPE => Ok(layer),
            Ok([layer]) => Err(NotWasm(format!("its layer is {}, expected {WASM_TYPE}", layer.media_type))),
            Err(layers) => Err(NotWasm(format!("it has {} layers, expected one of {WASM_TYPE}", layers.len()))),
        }
    }
}

/// A digest as a text, which is what it is in JSON.
mod digest_text {
    use bulkhead_core::id::Digest;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(digest)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Why a registry gave or took nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nobody allowed to ask it.
    #[error(
        "this server pulls nothing from {registry}/{repository}: `--registry {registry}` allows it, `--registry {registry}/{repository}` this repository only"
    )]
    NotAllowed {
        /// The registry.
        registry: Box<str>,
        /// The repository.
        repository: Box<str>,
    },
    /// It does not answer, or not as it should.
    #[error("the registry {registry} can't be asked: {error}")]
    Unreachable {
        /// The registry.
        registry: Box<str>,
        /// Why not.
        error: EgressError,
    },
    /// It sends on to a host that nobody allowed and that has no public name.
    #[error(
        "the registry {registry} sends on to {host}, which is no public name: `--registry {host}` allows to ask there, if it is yours"
    )]
    SentOn {
        /// The registry.
        registry: Box<str>,
        /// The host, with its port where it is not the usual one.
        host: Box<str>,
    },
    /// It does not know who asks, or does not let them.
    #[error(
        "the registry {registry} refuses access to {repository} ({status}): log in with `docker login {registry}` or name a file of credentials in REGISTRY_AUTH_FILE{said}"
    )]
    Unauthorized {
        /// The registry.
        registry: Box<str>,
        /// The repository.
        repository: Box<str>,
        /// Its answer's status.
        status: u16,
        /// What it said, with `: ` before it.
        said: String,
    },
    /// There are credentials, and they can't be used.
    #[error("the credentials for {registry} can't be used: {reason}")]
    Credentials {
        /// The registry.
        registry: Box<str>,
        /// Why not.
        reason: String,
    },
    /// It has no such artifact.
    #[error("the registry has no {0}")]
    NotFound(OciReference),
    /// It is an artifact of another kind.
    #[error(transparent)]
    NotWasm(#[from] NotWasm),
    /// It is larger than a plugin may be.
    #[error("{what} has more than {max} bytes")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// The bound.
        max: u64,
    },
    /// What came is not what was asked for.
    #[error("the registry {registry} gave something else than was asked for: {what} should be {wanted}, and is {found}")]
    Mismatch {
        /// The registry.
        registry: Box<str>,
        /// What it is about.
        what: &'static str,
        /// What was asked for.
        wanted: Digest,
        /// What came.
        found: Digest,
    },
    /// It took too long as a whole.
    #[error("the registry {registry} took more than {seconds} s")]
    TimedOut {
        /// The registry.
        registry: Box<str>,
        /// The bound.
        seconds: u64,
    },
    /// Any other answer.
    #[error("the registry {registry} answered {status} to {asked}{said}")]
    Refused {
        /// The registry.
        registry: Box<str>,
        /// What was asked of it.
        asked: &'static str,
        /// Its answer's status.
        status: u16,
        /// What it said, with `: ` before it.
        said: String,
    },
    /// What it says can't be followed.
    #[error("the registry {registry} does not speak as a registry: {reason}")]
    Protocol {
        /// The registry.
        registry: Box<str>,
        /// What it says.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What wkg and oci-wasm push.
    const WKG: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "config":{"mediaType":"application/vnd.wasm.config.v0+json",
            "digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":5},
        "layers":[{"mediaType":"application/wasm",
            "digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}],
        "annotations":{"org.opencontainers.image.version":"0.1.0"}}"#;

    fn artifact(manifest: &str) -> Artifact {
        Artifact { manifest: Bytes::copy_from_slice(manifest.as_bytes()), component: Bytes::new() }
    }

    #[test]
    fn a_manifest_names_its_component() {
        assert_eq!(artifact(WKG).check(), Ok(()));
        let other = Artifact { component: Bytes::from_static(b"x"), ..artifact(WKG) };
        assert!(other.check().unwrap_err().0.contains("and this is sha256:2d711642"), "{other:?}");
        let size = artifact(&WKG.replace("\"size\":0", "\"size\":1"));
        assert!(size.check().is_err());
    }

    #[test]
    fn other_artifacts_are_told_apart() {
        for (from, to, said) in [
            ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json", "image.index"),
            ("application/vnd.wasm.config.v0+json", "application/vnd.oci.image.config.v1+json", "its configuration is"),
            ("\"application/wasm\"", "\"application/vnd.oci.image.layer.v1.tar\"", "its layer is"),
            ("\"layers\":[{", "\"layers\":[],\"x\":[{", "0 layers"),
            ("sha256:e3", "sha512:e3", "can't be read"),
        ] {
            let error = artifact(&WKG.replace(from, to)).check().unwrap_err();
            assert!(error.0.contains(said), "{error}");
        }
    }

    #[test]
    fn the_signature_is_an_annotation() {
        assert_eq!(artifact(WKG).signature(), None);
        let signed = WKG.replace("org.opencontainers.image.version", SIGNATURE_ANNOTATION);
        assert_eq!(artifact(&signed).signature().as_deref(), Some("0.1.0"));
    }
}
