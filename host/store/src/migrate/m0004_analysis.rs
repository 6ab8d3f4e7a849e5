//! Format 4: a plugin's record says what it is, and uploads wait for their check.
//!
//! What was uploaded before is known by its digest only: the next upload of it says the rest.

use std::ops::ControlFlow;

use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store;
use serde::Deserialize;

use crate::keys::{self, Key};
use crate::kv::{Direction, Fault, KvWrite, Tx};
use crate::record;

pub(super) fn migrate(kv: &mut dyn KvWrite) -> Tx<()> {
    let range = keys::all_plugin_versions().prefix();
    let mut plugins = Vec::new();
    kv.scan(&range, Direction::Forward, &mut |key, value| {
        let fault = |error| Fault::Corrupt(format!("a plugin of format 3 can't be decoded: {error}"));
        let plugin: PluginRecord = postcard::from_bytes(value.get(1..).unwrap_or_default()).map_err(fault)?;
        plugins.push((Key::from_bytes(range.tree, key), plugin));
        Ok(ControlFlow::Continue(()))
    })?;
    let mut buffer = Vec::new();
    for (key, plugin) in plugins {
        record::encode(&store::PluginRecord::from(plugin), &mut buffer)?;
        kv.put(&key, &buffer)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct PluginRecord {
    name: Name,
    version: String,
    summary: String,
    config_schema: String,
    digest: Digest,
    size: u64,
    uploaded_at: Timestamp,
}

impl From<PluginRecord> for store::PluginRecord {
    fn from(plugin: PluginRecord) -> Self {
        let PluginRecord { name, version, summary, config_schema, digest, size, uploaded_at } = plugin;
        Self { name, version, summary, config_schema, digest, size, uploaded_at, analysis: None }
    }
}
