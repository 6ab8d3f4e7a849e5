//! Definitions, plugins and tokens.

use std::sync::Arc;

use bulkhead_core::definition::Standing;
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_engine::store::{DefinitionRecord, MAX_MANIFESTS, MAX_OLD_VERSIONS, Papers, PluginRecord, StoreError, TokenRecord};
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
        let record = self.pin_plugin(plugin, component)?;
        self.put_record(&keys::plugin_name(record.name.as_str()), &record.digest)?;
        Ok(record)
    }

    /// Stores a plugin that no name means.
    pub(crate) fn pin_plugin(&mut self, plugin: PluginRecord, component: &Bytes) -> Tx<PluginRecord> {
        let version = keys::plugin_version(plugin.name.as_str(), plugin.digest);
        if let Some(known) = self.load(&version)? {
            return Ok(known);
        }
        self.put(&keys::component(plugin.digest), component)?;
        self.put_record(&version, &plugin)?;
        self.put(&keys::plugin_digest(plugin.digest, plugin.name.as_str()), &[])?;
        Ok(plugin)
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

    /// Removes a component that has no name any more.
    fn drop_component(&mut self, digest: Digest) -> Tx<()> {
        if kv::exists_in(self.kv, &keys::plugin_digests(digest).prefix())? {
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
