//! The beginning of a crawl: the start addresses and what the sitemaps of their hosts list.

use std::collections::{HashMap, HashSet};

use bulkhead_plugin::prelude::*;
use url::Origin;

use crate::address::Address;
use crate::config::Settings;
use crate::fetch::{Deadline, Web};
use crate::robots::Rules;
use crate::sitemap;
use crate::visit::Visit;

/// What is visited first, in order, each address once.
pub(crate) fn plan(settings: &Settings<'_>, web: &impl Web) -> Result<Vec<(Address, Visit)>, Error> {
    let config = settings.config;
    let deadline = || Deadline::after(settings.page_timeout());
    let mut hosts: HashMap<Origin, Rules> = HashMap::new();
    let mut order = Vec::new();
    for start in &settings.starts {
        let origin = start.url.origin();
        if hosts.contains_key(&origin) {
            continue;
        }
        let rules = match config.respect_robots || config.use_sitemap {
            true => Rules::fetch(web, &start.url, &config.user_agent, deadline())?,
            false => Rules::none(),
        };
        hosts.insert(origin, rules);
        order.push(&start.url);
    }
    let mut first = First { settings, seen: HashSet::new(), visits: Vec::new(), disallowed: 0 };
    for start in &settings.starts {
        first.add(start.clone(), hosts.get(&start.url.origin()));
    }
    if config.use_sitemap {
        for host in order {
            let rules = hosts.get(&host.origin());
            sitemap::read(web, host, rules.map_or(&[], Rules::sitemaps), deadline, |url| {
                if let Some(address) = settings.rules.address(url)
                    && settings.scope.admits(&address.url)
                {
                    let rules = hosts.get(&address.url.origin());
                    first.add(address, rules);
                }
                Ok(())
            })?;
        }
    }
    if first.visits.is_empty() {
        return Err(Error::fatal("robots.txt forbids every start address (respect_robots = false ignores it)"));
    }
    if first.disallowed > 0 {
        web.warn(format_args!("robots.txt forbids {} of the addresses to start from", first.disallowed));
    }
    Ok(first.visits)
}

struct First<'a> {
    settings: &'a Settings<'a>,
    seen: HashSet<String>,
    visits: Vec<(Address, Visit)>,
    disallowed: usize,
}

impl First<'_> {
    fn add(&mut self, address: Address, rules: Option<&Rules>) {
        let respected = rules.filter(|_| self.settings.config.respect_robots);
        if respected.is_some_and(|rules| !rules.allows(&address.url)) {
            self.disallowed += 1;
        } else if self.seen.insert(address.identity.clone()) {
            let robots = respected.and_then(Rules::travelling);
            let visit = Visit { url: address.url.clone(), depth: 0, redirects: 0, robots };
            self.visits.push((address, visit));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::config;
    use crate::fetch::tests::{Site, reply};

    fn planned(config_of: serde_json::Value, site: &Site) -> Result<Vec<String>, Error> {
        let config = config(config_of);
        let settings = Settings::new(&config)?;
        Ok(plan(&settings, site)?.into_iter().map(|(address, _)| address.identity).collect())
    }

    #[test]
    fn each_start_address_is_visited_once_and_each_host_asked_once() {
        let site = Site::new([("http://a.org/robots.txt", reply(200, "text/plain", "User-agent: *\nDisallow: /b"))]);
        let starts = ["http://a.org/", "http://a.org/index.html#x", "http://a.org/b", "http://c.org/"];
        assert_eq!(planned(json!({ "start_urls": starts }), &site).unwrap(), ["http://a.org/", "http://c.org/"]);
        assert_eq!(site.requests(), ["http://a.org/robots.txt", "http://c.org/robots.txt"]);
        let error = planned(json!({ "start_urls": ["http://a.org/b"] }), &site).unwrap_err();
        assert!(error.to_string().starts_with("robots.txt forbids every start address") && !error.is_retryable());
        let all = planned(json!({ "start_urls": ["http://a.org/b"], "respect_robots": false }), &Site::new([])).unwrap();
        assert_eq!(all, ["http://a.org/b"]);
    }

    #[test]
    fn sitemaps_add_what_is_in_scope() {
        let site = Site::new([
            ("http://a.org/robots.txt", reply(200, "text/plain", "Sitemap: http://a.org/map.txt\nUser-agent: *\nDisallow: /no")),
            ("http://a.org/map.txt", reply(200, "text/plain", "http://a.org/\nhttp://a.org/x\nhttp://b.org/y\nhttp://a.org/no")),
        ]);
        let found = planned(json!({ "start_urls": ["http://a.org/"], "use_sitemap": true }), &site).unwrap();
        assert_eq!(found, ["http://a.org/", "http://a.org/x"]);
    }
}
