//! [`Catalog`]: definitions, plugins and tokens.

use std::sync::Arc;

use bulkhead_core::definition::standing;
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_engine::store::{
    Catalog, DefinitionRecord, Papers, PluginRecord, PluginUpload, StoreFuture, TokenRecord, UploadEnd,
};
use bytes::Bytes;

use super::{Cost, KvStore};
use crate::read::catalog as read;

impl<K: 'static> Catalog for KvStore<K> {
    fn put_definition(&self, id: Name, text: Arc<str>, expected: Option<u64>) -> StoreFuture<'_, DefinitionRecord> {
        // Read here, not in the writer's time.
        let standing = standing(&text);
        self.write("put_definition", text.len(), move |txn| txn.put_definition(id, text, expected, standing))
    }

    fn definition(&self, id: Name) -> StoreFuture<'_, DefinitionRecord> {
        self.read(Cost::Point, move |kv| read::definition(kv, &id))
    }

    fn definitions(&self, after: Option<Name>, limit: usize) -> StoreFuture<'_, Vec<DefinitionRecord>> {
        self.read(Cost::Range, move |kv| read::definitions(kv, after.as_ref(), limit))
    }

    fn definition_versions(&self, id: Name, before: Option<u64>, limit: usize) -> StoreFuture<'_, Vec<DefinitionRecord>> {
        self.read(Cost::Range, move |kv| read::definition_versions(kv, &id, before, limit))
    }

    fn definition_version(&self, id: Name, version: u64) -> StoreFuture<'_, DefinitionRecord> {
        self.read(Cost::Point, move |kv| read::definition_version(kv, &id, version))
    }

    fn delete_definition(&self, id: Name) -> StoreFuture<'_, ()> {
        self.write("delete_definition", 0, move |txn| txn.delete_definition(&id))
    }

    fn put_plugin(&self, plugin: PluginRecord, component: Bytes) -> StoreFuture<'_, PluginRecord> {
        self.write("put_plugin", component.len(), move |txn| txn.put_plugin(plugin, &component))
    }

    fn plugin(&self, name: Name) -> StoreFuture<'_, PluginRecord> {
        self.read(Cost::Point, move |kv| read::plugin(kv, &name))
    }

    fn plugins(&self) -> StoreFuture<'_, Vec<PluginRecord>> {
        self.read(Cost::Range, read::plugins)
    }

    fn component(&self, digest: Digest) -> StoreFuture<'_, Bytes> {
        self.read(Cost::Range, move |kv| read::component(kv, digest))
    }

    fn pin_plugin(&self, plugin: PluginRecord, component: Bytes) -> StoreFuture<'_, PluginRecord> {
        self.write("pin_plugin", component.len(), move |txn| txn.pin_plugin(plugin, &component))
    }

    fn pinned_plugin(&self, manifest: Digest) -> StoreFuture<'_, PluginRecord> {
        self.read(Cost::Point, move |kv| read::pinned_plugin(kv, manifest))
    }

    fn pinned_plugins(&self) -> StoreFuture<'_, Vec<(PluginRecord, Papers)>> {
        self.read(Cost::Range, read::pinned_plugins)
    }

    fn put_papers(&self, component: Digest, papers: Papers) -> StoreFuture<'_, ()> {
        self.write("put_papers", 0, move |txn| txn.put_papers(component, papers))
    }

    fn papers(&self, component: Digest) -> StoreFuture<'_, Papers> {
        self.read(Cost::Point, move |kv| read::papers(kv, component))
    }

    fn delete_plugin(&self, name: Name) -> StoreFuture<'_, ()> {
        self.write("delete_plugin", 0, move |txn| txn.delete_plugin(&name))
    }

    fn submit_plugin(&self, digest: Digest, name: Option<Name>, component: Bytes) -> StoreFuture<'_, PluginUpload> {
        self.write("submit_plugin", component.len(), move |txn| txn.submit_plugin(digest, name, &component))
    }

    fn begin_upload(&self, digest: Digest, begun: u32) -> StoreFuture<'_, PluginUpload> {
        self.write("begin_upload", 0, move |txn| txn.begin_upload(digest, begun))
    }

    fn end_upload(&self, digest: Digest, end: UploadEnd) -> StoreFuture<'_, PluginUpload> {
        self.write("end_upload", 0, move |txn| txn.end_upload(digest, end))
    }

    fn plugin_upload(&self, digest: Digest) -> StoreFuture<'_, PluginUpload> {
        self.read(Cost::Point, move |kv| read::plugin_upload(kv, digest))
    }

    fn plugin_uploads(&self) -> StoreFuture<'_, Vec<PluginUpload>> {
        self.read(Cost::Range, read::plugin_uploads)
    }

    fn put_token(&self, token: TokenRecord) -> StoreFuture<'_, ()> {
        self.write("put_token", 0, move |txn| txn.put_token(&token))
    }

    fn token(&self, secret: Digest) -> StoreFuture<'_, TokenRecord> {
        self.read(Cost::Point, move |kv| read::token(kv, secret))
    }

    fn tokens(&self) -> StoreFuture<'_, Vec<TokenRecord>> {
        self.read(Cost::Range, read::tokens)
    }

    fn delete_token(&self, name: Name) -> StoreFuture<'_, ()> {
        self.write("delete_token", 0, move |txn| txn.delete_token(&name))
    }
}
