//! What can run and who may ask for it: definitions, plugins with their uploads and papers, tokens.

use std::sync::Arc;

use bulkhead_core::failure::Failure;
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_core::plugin::Analysis;
use bulkhead_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::StoreFuture;

/// The versions of a definition that are kept beside the one that it has.
pub const MAX_OLD_VERSIONS: u64 = 100;

/// Definitions, plugins and tokens.
pub trait Catalog: Send + Sync + 'static {
    /// Stores a definition under its id and returns its version: 1, or one more than before. The same text keeps its version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](super::StoreError::Conflict) where `expected` is given and is not the stored version (0: there is none).
    fn put_definition(&self, id: Name, text: Arc<str>, expected: Option<u64>) -> StoreFuture<'_, DefinitionRecord>;
    /// A definition.
    fn definition(&self, id: Name) -> StoreFuture<'_, DefinitionRecord>;
    /// Definitions in the order of their ids, after `after`.
    fn definitions(&self, after: Option<Name>, limit: usize) -> StoreFuture<'_, Vec<DefinitionRecord>>;
    /// The versions of a definition, the newest first, before `before`: the one that it has, and the last
    /// [`MAX_OLD_VERSIONS`] before.
    fn definition_versions(&self, id: Name, before: Option<u64>, limit: usize) -> StoreFuture<'_, Vec<DefinitionRecord>>;
    /// One version of a definition.
    fn definition_version(&self, id: Name, version: u64) -> StoreFuture<'_, DefinitionRecord>;
    /// Removes a definition with its versions. Its runs stay.
    fn delete_definition(&self, id: Name) -> StoreFuture<'_, ()>;

    /// Stores a plugin under its name. Uploading the same component again changes nothing; another one under the same name
    /// becomes the one that new plans use, and earlier ones stay for the runs that are pinned to them.
    fn put_plugin(&self, plugin: PluginRecord, component: Bytes) -> StoreFuture<'_, PluginRecord>;
    /// The plugin that a name means now.
    fn plugin(&self, name: Name) -> StoreFuture<'_, PluginRecord>;
    /// The plugins that names mean now, in the order of their names.
    fn plugins(&self) -> StoreFuture<'_, Vec<PluginRecord>>;
    /// The component with this digest.
    fn component(&self, digest: Digest) -> StoreFuture<'_, Bytes>;
    /// Stores a plugin that no name means: it is found by what it is pinned to. Storing it again changes nothing.
    fn pin_plugin(&self, plugin: PluginRecord, component: Bytes) -> StoreFuture<'_, PluginRecord>;
    /// The plugin whose manifest in a registry has this digest, wherever it came from.
    fn pinned_plugin(&self, manifest: Digest) -> StoreFuture<'_, PluginRecord>;
    /// The plugins that are pinned and that no name means, in the order of their names, each with its papers.
    fn pinned_plugins(&self) -> StoreFuture<'_, Vec<(PluginRecord, Papers)>>;
    /// Stores what proves a component, beside what is known of that. The component need not be there yet: papers say something of
    /// bytes, and not who has them. They go with the component.
    fn put_papers(&self, component: Digest, papers: Papers) -> StoreFuture<'_, ()>;
    /// What proves a component; nothing where nothing does.
    fn papers(&self, component: Digest) -> StoreFuture<'_, Papers>;
    /// Removes a plugin.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](super::StoreError::Conflict) where a run that has not ended uses it.
    fn delete_plugin(&self, name: Name) -> StoreFuture<'_, ()>;

    /// Takes a component that is to be checked later, under its digest. One that waits already, under the same name, stays as it
    /// is; one that was checked before is checked anew.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](super::StoreError::Conflict) where [`MAX_WAITING_UPLOADS`] wait, or this one waits under another name.
    fn submit_plugin(&self, digest: Digest, name: Option<Name>, component: Bytes) -> StoreFuture<'_, PluginUpload>;
    /// Records that an upload that waits is checked now, and returns it as it is then: refused, where
    /// [`MAX_UPLOAD_ATTEMPTS`] checks of it never came to an end. `begun` is what the caller read of it before, so that asking
    /// again, after an answer that was lost, counts once.
    fn begin_upload(&self, digest: Digest, begun: u32) -> StoreFuture<'_, PluginUpload>;
    /// Records what came of it. One that does not wait any more stays as it is.
    fn end_upload(&self, digest: Digest, end: UploadEnd) -> StoreFuture<'_, PluginUpload>;
    /// The upload of the component with this digest.
    fn plugin_upload(&self, digest: Digest) -> StoreFuture<'_, PluginUpload>;
    /// All uploads that are known, those that came first at the front: what waits, and the last [`MAX_ENDED_UPLOADS`] others.
    fn plugin_uploads(&self) -> StoreFuture<'_, Vec<PluginUpload>>;

    /// Stores a token under the digest of its secret.
    fn put_token(&self, token: TokenRecord) -> StoreFuture<'_, ()>;
    /// The token with this digest of its secret.
    fn token(&self, secret: Digest) -> StoreFuture<'_, TokenRecord>;
    /// All tokens.
    fn tokens(&self) -> StoreFuture<'_, Vec<TokenRecord>>;
    /// Removes the token with this name.
    fn delete_token(&self, name: Name) -> StoreFuture<'_, ()>;
}

/// A definition as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionRecord {
    /// Its id.
    pub id: Name,
    /// How often its text changed: 1, 2, …
    pub version: u64,
    /// When this version was stored.
    pub updated_at: Timestamp,
    /// Its text, in TOML.
    pub text: Arc<str>,
}

/// A plugin as it is stored, without its component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// The name that it calls itself.
    pub name: Name,
    /// Its own version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The JSON Schema of its configuration.
    pub config_schema: String,
    /// The digest of its component.
    pub digest: Digest,
    /// The component's size in bytes.
    pub size: u64,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
    /// What the check at upload found; absent where it was uploaded before that was recorded.
    pub analysis: Option<Analysis>,
}

/// The uploads that may wait at once.
pub const MAX_WAITING_UPLOADS: usize = 100;
/// The uploads that are remembered when they have ended.
pub const MAX_ENDED_UPLOADS: usize = 100;
/// How often a check of an upload may begin and never end, before it is to blame.
pub const MAX_UPLOAD_ATTEMPTS: u32 = 3;

/// A component that was uploaded to be checked in the background.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginUpload {
    /// The digest of what was uploaded.
    pub digest: Digest,
    /// The name that it was given: that of a command.
    pub name: Option<Name>,
    /// Its size in bytes.
    pub size: u64,
    /// When it came.
    pub received_at: Timestamp,
    /// Checks of it that began and have not ended.
    pub begun: u32,
    /// Where it is.
    pub state: UploadState,
}

/// Where an upload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadState {
    /// It is to be checked, or is being checked.
    Waiting,
    /// It is a plugin.
    Accepted {
        /// Since when.
        at: Timestamp,
        /// Its name.
        plugin: Name,
    },
    /// It is none.
    Refused {
        /// Since when.
        at: Timestamp,
        /// Why.
        failure: Failure,
    },
}

/// What came of the check of an upload.
#[derive(Clone, Debug)]
pub enum UploadEnd {
    /// It is this plugin.
    Accepted(Box<PluginRecord>),
    /// It is none.
    Refused(Failure),
    /// The check was broken off and is to begin again; it did nothing wrong.
    Released,
}

/// What proves a component: a fact about its bytes, each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    /// The manifests in registries that name it, at most [`MAX_MANIFESTS`]: what it may be pinned to.
    pub manifests: Vec<Digest>,
    /// The reference that it was pulled by, pinned, where it was pulled last.
    pub source: Option<Box<str>>,
    /// Its detached signature: the text of a `.minisig` file.
    pub signature: Option<Box<str>>,
    /// Whose key that was when it came, where keys are trusted.
    pub signed_by: Option<Box<str>>,
}

/// The manifests that are remembered of one component; those that were told first go.
pub const MAX_MANIFESTS: usize = 100;

/// A token as it is stored: its secret only as a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// What people call it.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// The SHA-256 of its secret, which has 256 random bits: a slow hash would protect nothing more.
    pub secret: Digest,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a token may do. Each role may do all that the one before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Read.
    Viewer,
    /// Start and command runs and their tasks.
    Operator,
    /// Change definitions, plugins and tokens.
    Admin,
}

impl Role {
    /// The role's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of a name that [`Self::name`] gave.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin].into_iter().find(|role| role.name() == name)
    }
}
