//! What a definition says of a crawl.

use std::collections::BTreeMap;
use std::time::Duration;

use bulkhead_plugin::prelude::*;
use lol_html::Selector;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::address::{Address, Rules};
use crate::scope::Scope;

/// Parameters of addresses that name a campaign or a click, not a page.
const TRACKING_PARAMETERS: [&str; 14] = [
    "utm_*", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "yclid", "twclid", "igshid", "mc_cid",
    "mc_eid", "_hsenc",
];

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The addresses that the crawl starts from. They are fetched whatever the patterns say.
    #[schemars(length(min = 1, max = 10_000))]
    pub(crate) start_urls: Vec<String>,
    /// Which addresses are crawled, as whole addresses with `*` for any characters. None: the hosts of start_urls.
    #[serde(default)]
    pub(crate) include_patterns: Vec<String>,
    /// Which of those are left out all the same, likewise.
    #[serde(default)]
    pub(crate) exclude_patterns: Vec<String>,
    /// How many links away from a start address a page may be. Several tasks at once may come upon a page by a longer way first:
    /// with `concurrency = 1` this is exact. No limit where absent.
    #[serde(default)]
    #[schemars(range(max = 1_000))]
    pub(crate) max_depth: Option<u32>,
    /// How many addresses are fetched at most: pages, redirects, broken links and files together. Exact: the host counts.
    #[serde(default = "defaults::max_pages")]
    #[schemars(range(min = 1, max = 1_000_000), extend("x-bulkhead-limit" = "spawned_tasks"))]
    #[expect(dead_code, reason = "the host counts tasks; the plugin only learns that no more are taken")]
    max_pages: u32,
    /// Whether links are followed. Without, the start addresses are all there is.
    #[serde(default = "defaults::yes")]
    pub(crate) follow_links: bool,
    /// What the pages' outputs carry beside the usual: a name and a CSS selector each, whose elements' texts are taken.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    pub(crate) output_tags: BTreeMap<String, String>,
    /// What the crawler calls itself, in its requests and to robots.txt.
    #[serde(default = "defaults::user_agent")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[!-~][ -~]*$"))]
    pub(crate) user_agent: String,
    /// The pause before a request, in milliseconds, beside what the host enforces. A robots.txt may ask for a longer one.
    #[serde(default)]
    #[schemars(range(max = 60_000))]
    request_delay_ms: u32,
    /// The longest pause that a robots.txt can ask for, in milliseconds. A slot is held meanwhile.
    #[serde(default = "defaults::max_crawl_delay_ms")]
    #[schemars(range(max = 60_000))]
    max_crawl_delay_ms: u32,
    /// Parameters that are taken out of addresses; a `*` at the end stands for any characters.
    #[serde(default = "defaults::strip_parameters")]
    pub(crate) strip_parameters: Vec<String>,
    /// File names that mean their folder: with `index.html`, `/a/index.html` and `/a/` are one page.
    #[serde(default = "defaults::index_files")]
    pub(crate) index_files: Vec<String>,
    /// Whether robots.txt is obeyed.
    #[serde(default = "defaults::yes")]
    pub(crate) respect_robots: bool,
    /// Whether links are left alone that say `nofollow`, or whose page does.
    #[serde(default = "defaults::yes")]
    pub(crate) respect_nofollow: bool,
    /// Whether the sitemaps of the start addresses' hosts are start addresses, too.
    #[serde(default)]
    pub(crate) use_sitemap: bool,
    /// How many redirects in a row are followed.
    #[serde(default = "defaults::max_redirects")]
    #[schemars(range(max = 100))]
    pub(crate) max_redirects: u32,
    /// The largest page that is parsed, in bytes, as it comes and decompressed.
    #[serde(default = "defaults::max_page_bytes")]
    #[schemars(range(min = 1, max = 268_435_456))]
    pub(crate) max_page_bytes: u64,
    /// How long a page may take to arrive, in milliseconds.
    #[serde(default = "defaults::page_timeout_ms")]
    #[schemars(range(min = 1, max = 3_600_000))]
    page_timeout_ms: u32,
    /// How much of a page's text its output keeps, in bytes.
    #[serde(default = "defaults::text_bytes")]
    #[schemars(range(max = 1_048_576))]
    pub(crate) text_bytes: usize,
}

mod defaults {
    pub(super) fn yes() -> bool {
        true
    }
    pub(super) fn max_pages() -> u32 {
        10_000
    }
    pub(super) fn user_agent() -> String {
        concat!("bulkhead-crawler/", env!("CARGO_PKG_VERSION")).into()
    }
    pub(super) fn max_crawl_delay_ms() -> u32 {
        10_000
    }
    pub(super) fn strip_parameters() -> Vec<String> {
        super::TRACKING_PARAMETERS.map(str::to_owned).to_vec()
    }
    pub(super) fn index_files() -> Vec<String> {
        ["index.html", "index.htm"].map(str::to_owned).to_vec()
    }
    pub(super) fn max_redirects() -> u32 {
        10
    }
    pub(super) fn max_page_bytes() -> u64 {
        8 << 20
    }
    pub(super) fn page_timeout_ms() -> u32 {
        30_000
    }
    pub(super) fn text_bytes() -> usize {
        4_096
    }
}

/// A configuration, understood.
pub(crate) struct Settings<'a> {
    pub(crate) config: &'a Config,
    pub(crate) rules: Rules<'a>,
    pub(crate) scope: Scope,
    pub(crate) starts: Vec<Address>,
    /// Name and selector of each of `output_tags`.
    pub(crate) tags: Vec<(&'a str, Selector)>,
}

impl<'a> Settings<'a> {
    /// Understands a configuration, or says what is wrong with it: no attempt can change that.
    pub(crate) fn new(config: &'a Config) -> Result<Self, Error> {
        let rules = Rules::new(&config.strip_parameters, &config.index_files);
        let mut starts = Vec::with_capacity(config.start_urls.len());
        for text in &config.start_urls {
            let url = Url::parse(text).context(format_args!("start_urls: `{text}`")).or_fatal()?;
            let address =
                rules.address(url).ok_or_else(|| Error::fatal(format_args!("start_urls: `{text}` is not http or https")))?;
            starts.push(address);
        }
        let scope = Scope::new(&config.include_patterns, &config.exclude_patterns, &starts);
        let mut tags = Vec::with_capacity(config.output_tags.len());
        for (name, selector) in &config.output_tags {
            let selector =
                selector.parse().map_err(|error| Error::fatal(format_args!("output_tags.{name}: `{selector}`: {error}")))?;
            tags.push((name.as_str(), selector));
        }
        Ok(Settings { config, rules, scope, starts, tags })
    }

    /// The pause before a request to a host whose robots.txt asks for `crawl_delay`.
    pub(crate) fn delay(&self, crawl_delay: Option<Duration>) -> Duration {
        let longest = Duration::from_millis(self.config.max_crawl_delay_ms.into());
        Duration::from_millis(self.config.request_delay_ms.into()).max(crawl_delay.unwrap_or_default().min(longest))
    }

    /// How long a page may take to arrive.
    pub(crate) fn page_timeout(&self) -> Duration {
        Duration::from_millis(self.config.page_timeout_ms.into())
    }
}

#[cfg(test)]
pub(crate) fn config(json: serde_json::Value) -> Config {
    serde_json::from_value(json).expect("a configuration")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_no_attempt_can_change_is_said_at_once() {
        for (config_of, says) in [
            (json!({"start_urls": ["docs/"]}), "start_urls: `docs/`: relative URL without a base"),
            (json!({"start_urls": ["ftp://a/"]}), "start_urls: `ftp://a/` is not http or https"),
            (json!({"start_urls": ["http://a/"], "output_tags": {"x": "p:hover"}}), "output_tags.x: `p:hover`: "),
        ] {
            let config = config(config_of);
            let error = Settings::new(&config).err().expect("an error");
            assert!(error.to_string().starts_with(says), "{error}");
            assert!(!error.is_retryable());
        }
    }

    #[test]
    fn a_robots_txt_lengthens_the_pause_within_bounds() {
        let config = config(json!({"start_urls": ["http://a/"], "request_delay_ms": 500, "max_crawl_delay_ms": 3000}));
        let settings = Settings::new(&config).expect("settings");
        assert_eq!(settings.delay(None), Duration::from_millis(500));
        assert_eq!(settings.delay(Some(Duration::from_secs(2))), Duration::from_secs(2));
        assert_eq!(settings.delay(Some(Duration::from_secs(3600))), Duration::from_secs(3));
    }
}
