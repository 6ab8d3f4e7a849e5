//! Definitions, plugins and tokens.

use std::sync::Arc;

use bulkhead_core::definition::Standing;
use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_engine::store::{
    DefinitionRecord, MAX_ENDED_UPLOADS, MAX_MANIFESTS, MAX_OLD_VERSIONS, MAX_UPLOAD_ATTEMPTS, MAX_WAITING_UPLOADS, Papers,
    PluginRecord, PluginUpload, StoreError, TokenRecord, UploadEnd, UploadState,
};
use bytes::Bytes;

use super::Txn;
use crate::keys::{self, UseKind};
use crate::kv::{self, Tx};
use crate::read;

impl Txn<'_> {
    /// Stores a definition; `standing` is what its text says to the store.
    pub(crate) fn put_definition(
        &mut self,
        id: Name,
        text: Arc<str>,
        expected: Option<u64>,
        standing: Standing,
    ) -> Tx<DefinitionRecord> {
        let key = keys::definition(id.as_str());
        let stored: Option<DefinitionRecord> = self.load(&key)?;
        let version = stored.as_ref().map_or(0, |stored| stored.version);
        if expected.is_some_and(|expected| expected != version) {
            return Err(StoreError::Conflict(format!("definition `{id}` has version {version}, not the one you changed")).into());
        }
        if let Some(stored) = &stored
            && stored.text == text
        {
            return Ok(stored.clone());
        }
        let record = DefinitionRecord { id, version: version + 1, updated_at: self.now, text };
        if let Some(stored) = stored {
            self.put_record(&keys::definition_version(stored.id.as_str(), version), &stored)?;
            if version > MAX_OLD_VERSIONS {
                self.remove(&keys::definition_version(stored.id.as_str(), version - MAX_OLD_VERSIONS))?;
            }
        }
        self.put_record(&key, &record)?;
        self.set_schedule(&record.id, record.version, standing.schedule)?;
        self.set_hooks(&record.id, standing.hooks)?;
        Ok(record)
    }

    /// Removes a definition with its versions.
    pub(crate) fn delete_definition(&mut self, id: &Name) -> Tx<()> {
        let key = keys::definition(id.as_str());
        if !kv::exists(self.kv, &key)? {
            return Err(StoreError::NotFound("definition").into());
        }
        self.remove(&key)?;
        for version in kv::keys_of(self.kv, &keys::definition_versions(id.as_str()).prefix(), usize::MAX)? {
            self.remove(&version)?;
        }
        self.set_schedule(id, 0, None)?;
        self.set_hooks(id, Vec::new())
    }

    /// Stores a plugin and makes its name mean it.
    pub(crate) fn put_plugin(&mut self, plugin: PluginRecord, component: &Bytes) -> Tx<PluginRecord> {
        self.put_component(plugin.digest, component)?;
        self.name_plugin(plugin)
    }

    /// Stores a plugin that no name means.
    pub(crate) fn pin_plugin(&mut self, plugin: PluginRecord, component: &Bytes) -> Tx<PluginRecord> {
        self.put_component(plugin.digest, component)?;
        self.record_plugin(plugin)
    }

    /// Stores a component, unless it is there.
    fn put_component(&mut self, digest: Digest, component: &Bytes) -> Tx<()> {
        let key = keys::component(digest);
        if kv::exists(self.kv, &key)? { Ok(()) } else { self.put(&key, component) }
    }

    /// Makes a plugin of a component that is stored.
    fn record_plugin(&mut self, plugin: PluginRecord) -> Tx<PluginRecord> {
        let version = keys::plugin_version(plugin.name.as_str(), plugin.digest);
        match self.load::<PluginRecord>(&version)? {
            Some(known) if known.analysis.is_some() || plugin.analysis.is_none() => Ok(known),
            known => {
                let uploaded_at = known.map_or(plugin.uploaded_at, |known| known.uploaded_at);
                let plugin = PluginRecord { uploaded_at, ..plugin };
                self.put_record(&version, &plugin)?;
                self.put(&keys::plugin_digest(plugin.digest, plugin.name.as_str()), &[])?;
                Ok(plugin)
            }
        }
    }

    /// Makes a plugin of a component that is stored, and its name mean it.
    fn name_plugin(&mut self, plugin: PluginRecord) -> Tx<PluginRecord> {
        let record = self.record_plugin(plugin)?;
        self.put_record(&keys::plugin_name(record.name.as_str()), &record.digest)?;
        Ok(record)
    }

    /// Takes a component that is to be checked later.
    pub(crate) fn submit_plugin(&mut self, digest: Digest, name: Option<Name>, component: &Bytes) -> Tx<PluginUpload> {
        let uploads = read::catalog::plugin_uploads(self.kv)?;
        let waiting = || uploads.iter().filter(|upload| upload.state == UploadState::Waiting);
        if let Some(known) = waiting().find(|upload| upload.digest == digest) {
            if known.name == name {
                return Ok(known.clone());
            }
            let called = known.name.as_ref().map_or("no name".to_owned(), |name| format!("the name `{name}`"));
            let message = format!("this component waits to be checked under {called}: try again when it has been");
            return Err(StoreError::Conflict(message).into());
        }
        if waiting().count() >= MAX_WAITING_UPLOADS {
            let message = format!("{MAX_WAITING_UPLOADS} uploads wait to be checked: try again when some have been");
            return Err(StoreError::Conflict(message).into());
        }
        let (size, received_at) = (component.len() as u64, self.now);
        let upload = PluginUpload { digest, name, size, received_at, begun: 0, state: UploadState::Waiting };
        self.put_component(digest, component)?;
        self.put_record(&keys::plugin_upload(digest), &upload)?;
        Ok(upload)
    }

    /// Records that the check of an upload begins.
    pub(crate) fn begin_upload(&mut self, digest: Digest, begun: u32) -> Tx<PluginUpload> {
        let upload = read::catalog::plugin_upload(self.kv, digest)?;
        if upload.state != UploadState::Waiting {
            return Ok(upload);
        }
        if begun >= MAX_UPLOAD_ATTEMPTS {
            let message = format!("the server ended {MAX_UPLOAD_ATTEMPTS} times while it checked this");
            return self.end_upload(digest, UploadEnd::Refused(Failure::new(Cause::HostLost, message)));
        }
        let upload = PluginUpload { begun: upload.begun.max(begun + 1), ..upload };
        self.put_record(&keys::plugin_upload(digest), &upload)?;
        Ok(upload)
    }

    /// Records what came of the check of an upload.
    pub(crate) fn end_upload(&mut self, digest: Digest, end: UploadEnd) -> Tx<PluginUpload> {
        let upload = read::catalog::plugin_upload(self.kv, digest)?;
        if upload.state != UploadState::Waiting {
            return Ok(upload);
        }
        let at = self.now;
        let state = match end {
            UploadEnd::Released => UploadState::Waiting,
            UploadEnd::Accepted(plugin) => UploadState::Accepted { at, plugin: self.name_plugin(*plugin)?.name },
            UploadEnd::Refused(failure) => UploadState::Refused { at, failure },
        };
        let upload = PluginUpload { begun: 0, state, ..upload };
        self.put_record(&keys::plugin_upload(digest), &upload)?;
        if upload.state != UploadState::Waiting {
            self.drop_component(digest)?;
            self.forget_uploads()?;
        }
        Ok(upload)
    }

    /// Removes the uploads that ended first, where more are known than may be.
    fn forget_uploads(&mut self) -> Tx<()> {
        let mut ended: Vec<_> = read::catalog::plugin_uploads(self.kv)?
            .into_iter()
            .filter_map(|upload| match upload.state {
                UploadState::Waiting => None,
                UploadState::Accepted { at, .. } | UploadState::Refused { at, .. } => Some((at, upload.digest)),
            })
            .collect();
        ended.sort_unstable();
        for (_, digest) in ended.iter().take(ended.len().saturating_sub(MAX_ENDED_UPLOADS)) {
            self.remove(&keys::plugin_upload(*digest))?;
        }
        Ok(())
    }

    /// Adds to what proves a component.
    pub(crate) fn put_papers(&mut self, component: Digest, papers: Papers) -> Tx<()> {
        let mut known = read::catalog::papers(self.kv, component)?;
        for manifest in papers.manifests {
            if !known.manifests.contains(&manifest) {
                known.manifests.push(manifest);
                self.put_record(&keys::plugin_pin(manifest), &component)?;
            }
        }
        let too_many = known.manifests.len().saturating_sub(MAX_MANIFESTS);
        for manifest in known.manifests.drain(..too_many) {
            self.remove(&keys::plugin_pin(manifest))?;
        }
        known.source = papers.source.or(known.source);
        if papers.signature.is_some() {
            (known.signature, known.signed_by) = (papers.signature, papers.signed_by);
        }
        self.put_record(&keys::plugin_papers(component), &known)
    }

    /// Removes a plugin with all components that its name ever meant, unless a run that has not ended uses one of them.
    pub(crate) fn delete_plugin(&mut self, name: &Name) -> Tx<()> {
        // The name need not mean any of them: what is pinned has none.
        let versions = kv::keys_of(self.kv, &keys::plugin_versions(name.as_str()).prefix(), usize::MAX)?;
        if versions.is_empty() {
            return Err(StoreError::NotFound("plugin").into());
        }
        let digest = |key: &keys::Key| keys::Fields::of(key.bytes(), 2 + name.as_str().len()).digest();
        for version in &versions {
            let runs = self.uses(UseKind::Plugin, digest(version)?)?;
            if runs > 0 {
                let message = format!("plugin `{name}` is used by {runs} runs that have not ended");
                return Err(StoreError::Conflict(message).into());
            }
        }
        for version in &versions {
            let digest = digest(version)?;
            self.remove(version)?;
            self.remove(&keys::plugin_digest(digest, name.as_str()))?;
            self.drop_component(digest)?;
        }
        self.remove(&keys::plugin_name(name.as_str()))
    }

    /// Removes a component that has no name any more and does not wait for one.
    fn drop_component(&mut self, digest: Digest) -> Tx<()> {
        let waits = self.load::<PluginUpload>(&keys::plugin_upload(digest))?.is_some_and(|up| up.state == UploadState::Waiting);
        if waits || kv::exists_in(self.kv, &keys::plugin_digests(digest).prefix())? {
            return Ok(());
        }
        for manifest in read::catalog::papers(self.kv, digest)?.manifests {
            self.remove(&keys::plugin_pin(manifest))?;
        }
        self.remove(&keys::plugin_papers(digest))?;
        self.remove(&keys::component(digest))
    }

    /// Stores a token.
    pub(crate) fn put_token(&mut self, token: &TokenRecord) -> Tx<()> {
        let tokens = read::catalog::tokens(self.kv)?;
        if tokens.iter().any(|known| known.name == token.name && known.secret != token.secret) {
            return Err(StoreError::Conflict(format!("a token `{}` exists", token.name)).into());
        }
        self.put_record(&keys::token(token.secret), token)
    }

    /// Removes the token with this name.
    pub(crate) fn delete_token(&mut self, name: &Name) -> Tx<()> {
        let tokens = read::catalog::tokens(self.kv)?;
        let token = tokens.iter().find(|token| token.name == *name).ok_or(StoreError::NotFound("token"))?;
        self.remove(&keys::token(token.secret))
    }
}
