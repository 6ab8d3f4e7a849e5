//! robots.txt, after RFC 9309.
//!
//! Tasks share nothing, so a host's rules travel with the tasks: `plan` fetches them for the hosts of the start addresses, and a
//! task hands its own host's rules down to the tasks that it spawns for that host. A task that comes to a host from another one,
//! or whose rules are too large to travel, fetches them itself. So a site costs one request more, and each link from one site
//! to another one more, too.

use std::time::Duration;

use bulkhead_plugin::prelude::*;
use robotxt::Robots;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::body;
use crate::fetch::{Answer, Deadline, FetchError, Web};
use crate::page::product_of;

/// Rules that take more as text than this are fetched by each task, instead of being part of each task's input.
const MAX_TRAVELLING_BYTES: usize = 4 * 1024;
/// Redirects of a robots.txt that are followed, by the standard.
const MAX_REDIRECTS: u32 = 5;

/// A host's rules for this crawler.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rules {
    robots: Robots,
}

/// Rules as they travel in a task's input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Travelling {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    disallow: Vec<String>,
}

impl Rules {
    /// Fetches the rules of an address's host. Where there are none everything is allowed; where the host can't say, the failure
    /// is retryable, as the standard forbids to go on.
    pub(crate) fn fetch(web: &impl Web, of: &Url, user_agent: &str, deadline: Deadline) -> Result<Self, Error> {
        let mut url = robotxt::robots_url(of).or_fatal()?;
        for _ in 0..=MAX_REDIRECTS {
            let answer = match web.get(&url, deadline) {
                Ok(answer) => answer,
                Err(FetchError::Denied(why)) => return Err(Error::fatal(why)),
                Err(error) => return Err(Error::new(format_args!("{url}: {error}"))),
            };
            match answer.status {
                200..=299 => return Ok(Self { robots: parse(answer, &url, user_agent, deadline)? }),
                300..=399 => match answer.header("location").and_then(|to| url.join(to).ok()) {
                    Some(next) if matches!(next.scheme(), "http" | "https") => url = next,
                    _ => return Ok(Self::none()),
                },
                429 | 500.. => {
                    return Err(Error::new(format_args!("{url} answers {}: nothing may be fetched now", answer.status)));
                }
                _ => return Ok(Self::none()),
            }
        }
        Ok(Self::none())
    }

    /// Everything is allowed.
    pub(crate) fn none() -> Self {
        Rules { robots: Robots::allow_all() }
    }

    pub(crate) fn allows(&self, url: &Url) -> bool {
        self.robots.is_url_allowed(url)
    }

    pub(crate) fn crawl_delay(&self) -> Option<Duration> {
        self.robots.crawl_delay()
    }

    pub(crate) fn sitemaps(&self) -> &[Url] {
        self.robots.sitemaps()
    }

    /// The rules for a task's input; none where they are too large.
    pub(crate) fn travelling(&self) -> Option<Travelling> {
        let patterns = |allow: bool| {
            let rules = self.robots.rules().iter().filter(move |rule| rule.is_allow() == allow);
            rules.map(|rule| rule.pattern().to_owned()).collect::<Vec<_>>()
        };
        let (allow, disallow) = (patterns(true), patterns(false));
        let size: usize = allow.iter().chain(&disallow).map(|pattern| pattern.len() + 3).sum();
        let delay_ms = self.crawl_delay().map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        (size <= MAX_TRAVELLING_BYTES).then_some(Travelling { delay_ms, allow, disallow })
    }
}

impl TryFrom<&Travelling> for Rules {
    type Error = Error;

    fn try_from(rules: &Travelling) -> Result<Self, Error> {
        let rule = |allow: bool| move |pattern: &String| json!({ "pattern": pattern, "allow": allow });
        let delay = rules.delay_ms.map(Duration::from_millis);
        let all: Vec<_> = rules.allow.iter().map(rule(true)).chain(rules.disallow.iter().map(rule(false))).collect();
        let robots = json!({ "user_agent": "*", "rules": all, "crawl_delay": delay, "sitemaps": [] });
        Ok(Rules { robots: serde_json::from_value(robots).context("rules of a robots.txt")? })
    }
}

/// What is said; a text that is too large is read up to the standard's limit.
fn parse(answer: Answer, url: &Url, user_agent: &str, deadline: Deadline) -> Result<Robots, Error> {
    let limit = robotxt::BYTE_LIMIT as u64 * 4;
    match body::read(answer, limit, deadline) {
        Ok(text) => Ok(Robots::parse(&text, product_of(user_agent))),
        // Nobody writes such rules; what they would be is not known.
        Err(body::BodyError::TooLarge) => Ok(Robots::disallow_all()),
        Err(error) => Err(Error::new(format_args!("{url} can't be read: {error:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::tests::{Site, reply};

    fn fetch(site: &Site) -> Result<Rules, Error> {
        let page = Url::parse("http://a.org/deep/page?q").unwrap();
        Rules::fetch(site, &page, "bulkhead-crawler/1.0 (+http://x)", Deadline::after(Duration::from_secs(60)))
    }

    fn allows(rules: &Rules, path: &str) -> bool {
        rules.allows(&Url::parse("http://a.org/").unwrap().join(path).unwrap())
    }

    const TEXT: &str = "User-agent: *\nDisallow: /\n\nUser-agent: Bulkhead-Crawler\nDisallow: /private\nAllow: /private/open$\n\
                        Disallow: /*.pdf\nCrawl-delay: 2.5\nSitemap: http://a.org/map.xml\n";

    #[test]
    fn the_group_that_names_the_crawler_counts() {
        let site = Site::new([("http://a.org/robots.txt", reply(200, "text/plain", TEXT))]);
        let rules = fetch(&site).unwrap();
        for (path, allowed) in [
            ("/", true),
            ("/private/x", false),
            ("/private/open", true),
            ("/private/open2", false),
            ("/a/b.pdf?x", false),
            ("/robots.txt", true),
        ] {
            assert_eq!(allows(&rules, path), allowed, "{path}");
        }
        assert_eq!(rules.crawl_delay(), Some(Duration::from_millis(2500)));
        assert_eq!(rules.sitemaps()[0].as_str(), "http://a.org/map.xml");
    }

    #[test]
    fn rules_travel_as_json() {
        let site = Site::new([("http://a.org/robots.txt", reply(200, "text/plain", TEXT))]);
        let rules = fetch(&site).unwrap();
        let text = serde_json::to_string(&rules.travelling().unwrap()).unwrap();
        assert_eq!(text, r#"{"delay_ms":2500,"allow":["/private/open$"],"disallow":["/private","/*.pdf"]}"#);
        let arrived = Rules::try_from(&serde_json::from_str::<Travelling>(&text).unwrap()).unwrap();
        for path in ["/", "/private/x", "/private/open", "/private/open2", "/a/b.pdf?x"] {
            assert_eq!(allows(&arrived, path), allows(&rules, path), "{path}");
        }
        assert_eq!(arrived.crawl_delay(), rules.crawl_delay());
        assert_eq!(serde_json::to_string(&Rules::none().travelling()).unwrap(), "{}");
    }

    #[test]
    fn rules_that_are_too_large_stay_at_home() {
        let text = (0..1000).fold("User-agent: *\n".to_owned(), |text, number| format!("{text}Disallow: /{number}\n"));
        let site = Site::new([("http://a.org/robots.txt", reply(200, "text/plain", &text))]);
        let rules = fetch(&site).unwrap();
        assert!(!allows(&rules, "/77"));
        assert_eq!(rules.travelling(), None);
    }

    #[test]
    fn absent_rules_allow_and_unreachable_ones_forbid() {
        assert!(allows(&fetch(&Site::new([])).unwrap(), "/x"));
        for status in [401, 403, 410] {
            let site = Site::new([("http://a.org/robots.txt", reply(status, "text/plain", "User-agent: *\nDisallow: /"))]);
            assert!(allows(&fetch(&site).unwrap(), "/x"), "{status}");
        }
        for status in [429, 500, 503] {
            let site = Site::new([("http://a.org/robots.txt", reply(status, "text/plain", ""))]);
            assert!(fetch(&site).unwrap_err().is_retryable(), "{status}");
        }
    }

    #[test]
    fn redirects_are_followed_up_to_the_standards_five() {
        let hop = |to: &str| reply(302, "text/plain", "").with("location", to);
        let site = Site::new([
            ("http://a.org/robots.txt", hop("http://b.org/r")),
            ("http://b.org/r", reply(200, "text/plain", "User-agent: *\nDisallow: /x")),
        ]);
        assert!(!allows(&fetch(&site).unwrap(), "/x"));
        let circle = Site::new([("http://a.org/robots.txt", hop("/robots.txt"))]);
        assert!(allows(&fetch(&circle).unwrap(), "/x"));
        assert_eq!(circle.requests().len(), 6);
    }
}
