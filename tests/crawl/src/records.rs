//! What a crawl recorded, as its server tells it.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_e2e::Api;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

/// Tasks that are asked for at once.
const AT_ONCE: usize = 16;

/// A crawl's results. Addresses are paths with their queries, decoded, as in [`Walk`](crate::Walk).
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The addresses of each kind of record: `page`, `redirect`, `broken`, `file`, `skipped`, `disallowed`; and `failed`.
    pub kinds: BTreeMap<String, BTreeSet<String>>,
    /// Addresses with nothing behind, each with the pages that link to it.
    pub broken: BTreeMap<String, BTreeSet<String>>,
    /// The records by address.
    pub outputs: BTreeMap<String, Value>,
    /// The tasks by address.
    pub tasks: BTreeMap<String, Value>,
}

impl Records {
    /// The addresses of a kind.
    pub fn of(&self, kind: &str) -> BTreeSet<String> {
        self.kinds.get(kind).cloned().unwrap_or_default()
    }
}

/// Reads what the step `crawl` of a run recorded of one site.
///
/// # Panics
/// Where two tasks have the same address.
pub async fn records(api: &Api, run: &str) -> Records {
    let tasks: Vec<_> = api.tasks(run).await.into_iter().filter(|task| task["step"] == "crawl" && task["index"] != 0).collect();
    let details = stream::iter(tasks).map(|task| async move {
        let id = task["id"].as_str().expect("a task has an id").to_owned();
        Ok::<_, std::convert::Infallible>(api.get(&format!("/tasks/{id}")).await.ok())
    });
    let details: Vec<Value> = details.buffer_unordered(AT_ONCE).try_collect().await.expect("it can't fail");
    let mut records = Records::default();
    let mut links = Vec::new();
    for task in details {
        let output = task["output"].clone();
        let key = task["key"].as_str().expect("a task has a key");
        let identity = output["identity"].as_str().or_else(|| output["url"].as_str()).unwrap_or(key);
        let address = address(identity);
        let kind = output["kind"].as_str().unwrap_or("failed").to_owned();
        records.kinds.entry(kind).or_default().insert(address.clone());
        for link in output["links"].as_array().into_iter().flatten() {
            links.push((address.clone(), self::address(link.as_str().expect("a link is a text"))));
        }
        records.outputs.insert(address.clone(), output);
        assert!(records.tasks.insert(address.clone(), task).is_none(), "{address} was crawled twice");
    }
    for address in records.of("broken") {
        records.broken.insert(address, BTreeSet::new());
    }
    for (page, link) in links {
        if let Some(pages) = records.broken.get_mut(&link) {
            pages.insert(page);
        }
    }
    records
}

/// An address as [`Walk`](crate::Walk) has it.
pub fn address(identity: &str) -> String {
    let site = Url::parse("http://site.test").expect("an address");
    let url = site.join(identity).unwrap_or(site);
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    match url.query() {
        Some(query) => format!("{}?{}", decoded(url.path()), decoded(query)),
        None => decoded(url.path()),
    }
}
