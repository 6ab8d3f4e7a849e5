//! Definitions, plugins and tokens.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_engine::store::{DefinitionRecord, Papers, PluginRecord, PluginUpload, StoreError, TokenRecord};
use bytes::Bytes;

use super::{list, page, table};
use crate::keys;
use crate::kv::{self, Direction, Fault, KvRead, Tx};
use crate::record;

pub(crate) fn definition(kv: &dyn KvRead, id: &Name) -> Tx<DefinitionRecord> {
    Ok(record::load(kv, &keys::definition(id.as_str()))?.ok_or(StoreError::NotFound("definition"))?)
}

pub(crate) fn definitions(kv: &dyn KvRead, after: Option<&Name>, limit: usize) -> Tx<Vec<DefinitionRecord>> {
    list(kv, &keys::definitions(), after.map(|after| keys::definition(after.as_str())), limit)
}

/// The versions of a definition, the newest first.
pub(crate) fn definition_versions(kv: &dyn KvRead, id: &Name, before: Option<u64>, limit: usize) -> Tx<Vec<DefinitionRecord>> {
    let now = definition(kv, id)?;
    let before = before.unwrap_or(u64::MAX);
    let mut found = Vec::new();
    if now.version < before && limit > 0 {
        found.push(now);
    }
    let all = keys::definition_versions(id.as_str());
    let range = keys::definition_version(id.as_str(), before).before_within(&all);
    page(kv, &range, Direction::Backward, limit - found.len(), &mut |_, value| {
        found.push(record::decode(value)?);
        Ok(ControlFlow::Continue(true))
    })?;
    Ok(found)
}

pub(crate) fn definition_version(kv: &dyn KvRead, id: &Name, version: u64) -> Tx<DefinitionRecord> {
    let now = definition(kv, id)?;
    if now.version == version {
        return Ok(now);
    }
    let old = record::load(kv, &keys::definition_version(id.as_str(), version))?;
    Ok(old.ok_or(StoreError::NotFound("version of the definition"))?)
}

fn plugin_of(kv: &dyn KvRead, name: &str, digest: Digest) -> Tx<PluginRecord> {
    record::load(kv, &keys::plugin_version(name, digest))?.ok_or_else(|| Fault::Corrupt(format!("plugin `{name}` has no record")))
}

pub(crate) fn plugin(kv: &dyn KvRead, name: &Name) -> Tx<PluginRecord> {
    let digest = record::load(kv, &keys::plugin_name(name.as_str()))?.ok_or(StoreError::NotFound("plugin"))?;
    plugin_of(kv, name.as_str(), digest)
}

pub(crate) fn plugins(kv: &dyn KvRead) -> Tx<Vec<PluginRecord>> {
    let mut found = Vec::new();
    kv.scan(&keys::plugin_names().prefix(), Direction::Forward, &mut |key, value| {
        found.push(plugin_of(kv, keys::Fields::of(key, 1).text()?, record::decode(value)?)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

pub(crate) fn plugin_upload(kv: &dyn KvRead, digest: Digest) -> Tx<PluginUpload> {
    Ok(record::load(kv, &keys::plugin_upload(digest))?.ok_or(StoreError::NotFound("upload"))?)
}

/// All uploads, those that came first at the front.
pub(crate) fn plugin_uploads(kv: &dyn KvRead) -> Tx<Vec<PluginUpload>> {
    let mut uploads: Vec<PluginUpload> = table(kv, &keys::plugin_uploads())?;
    uploads.sort_by_key(|upload| (upload.received_at, upload.digest));
    Ok(uploads)
}

/// The plugin that a manifest names: the first of those that its component is.
pub(crate) fn pinned_plugin(kv: &dyn KvRead, manifest: Digest) -> Tx<PluginRecord> {
    let component: Digest = record::load(kv, &keys::plugin_pin(manifest))?.ok_or(StoreError::NotFound("plugin"))?;
    let key = kv::keys_of(kv, &keys::plugin_digests(component).prefix(), 1)?.pop().ok_or(StoreError::NotFound("plugin"))?;
    plugin_of(kv, keys::Fields::of(key.bytes(), 33).text()?, component)
}

/// The plugins that are pinned and that no name means, in the order of their names.
pub(crate) fn pinned_plugins(kv: &dyn KvRead) -> Tx<Vec<(PluginRecord, Papers)>> {
    let mut components = BTreeSet::new();
    kv.scan(&keys::plugin_pins().prefix(), Direction::Forward, &mut |_, value| {
        components.insert(record::decode::<Digest>(value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut found = Vec::new();
    for component in components {
        for key in kv::keys_of(kv, &keys::plugin_digests(component).prefix(), usize::MAX)? {
            let name = keys::Fields::of(key.bytes(), 33).text()?;
            if record::load(kv, &keys::plugin_name(name))? != Some(component) {
                found.push((plugin_of(kv, name, component)?, papers(kv, component)?));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| (&a.name, a.digest).cmp(&(&b.name, b.digest)));
    Ok(found)
}

pub(crate) fn papers(kv: &dyn KvRead, component: Digest) -> Tx<Papers> {
    Ok(record::load(kv, &keys::plugin_papers(component))?.unwrap_or_default())
}

pub(crate) fn component(kv: &dyn KvRead, digest: Digest) -> Tx<Bytes> {
    Ok(kv::bytes(kv, &keys::component(digest))?.map(Bytes::from).ok_or(StoreError::NotFound("component"))?)
}

pub(crate) fn token(kv: &dyn KvRead, secret: Digest) -> Tx<TokenRecord> {
    Ok(record::load(kv, &keys::token(secret))?.ok_or(StoreError::NotFound("token"))?)
}

pub(crate) fn tokens(kv: &dyn KvRead) -> Tx<Vec<TokenRecord>> {
    table(kv, &keys::tokens())
}
