//! One address: fetched, understood, and the addresses that follow from it. Decides everything and does nothing: the network is
//! a [`Web`], and who calls spawns the tasks.

use std::collections::HashSet;

use bulkhead_plugin::prelude::*;
use mime::Mime;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::address::Address;
use crate::body::{self, BodyError};
use crate::charset;
use crate::config::Settings;
use crate::fetch::{Answer, Deadline, FetchError, Web};
use crate::page::{self, Page, Wanted};
use crate::record::{PageRecord, Record, What};
use crate::robots::{Rules, Travelling};
use crate::scope::host_of;

/// Addresses outside of the crawl that a page's output lists; the others are counted.
const MAX_EXTERNAL: usize = 100;

/// A task's input: an address to visit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(crate) url: Url,
    /// Links between it and a start address, on the way on which it was found.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) depth: u32,
    /// Redirects in a row that led here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) redirects: u32,
    /// The rules of its host, where whoever spawned it knew them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) robots: Option<Travelling>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What a visit came to.
#[derive(Debug)]
pub(crate) struct Visited {
    pub(crate) record: Record,
    /// What is to be visited because of it.
    pub(crate) follow: Vec<(Address, Visit)>,
}

/// Visits one address. An error is a failure of the task; what can't get better is none but a record: a broken link, a page that
/// is too large, one that robots.txt forbids.
pub(crate) fn visit(settings: &Settings<'_>, web: &impl Web, visit: &Visit) -> Result<Visited, Error> {
    let config = settings.config;
    let address = settings.rules.address(visit.url.clone()).ok_or_else(|| Error::fatal("the input is no address"))?;
    let rules = match &visit.robots {
        _ if !config.respect_robots => Rules::none(),
        Some(rules) => Rules::try_from(rules)?,
        None => Rules::fetch(web, &address.url, &config.user_agent, Deadline::after(settings.page_timeout()))?,
    };
    let mut visitor = Visitor { settings, travelling: rules.travelling(), rules, visit, address, follow: Vec::new() };
    let (status, what) = if visitor.rules.allows(&visit.url) { visitor.fetch(web)? } else { (None, What::Disallowed) };
    let Visitor { address, follow, .. } = visitor;
    let identity = Some(address.identity).filter(|identity| identity != address.url.as_str());
    let record = Record { url: address.url.into(), identity, depth: visit.depth, status, what, over_max_pages: 0 };
    Ok(Visited { record, follow })
}

struct Visitor<'a> {
    settings: &'a Settings<'a>,
    visit: &'a Visit,
    address: Address,
    rules: Rules,
    travelling: Option<Travelling>,
    follow: Vec<(Address, Visit)>,
}

impl Visitor<'_> {
    fn fetch(&mut self, web: &impl Web) -> Result<(Option<u16>, What), Error> {
        web.pause(self.settings.delay(self.rules.crawl_delay()))?;
        let deadline = Deadline::after(self.settings.page_timeout());
        let answer = match web.get(&self.address.url, deadline) {
            Ok(answer) => answer,
            Err(FetchError::Denied(why)) => return Err(Error::fatal(why)),
            Err(FetchError::Failed(why)) => return Err(Error::new(format_args!("{}: {why}", self.address.url))),
        };
        let status = answer.status;
        let what = match status {
            200..=299 => self.content(answer, deadline)?,
            300..=399 => match answer.header("location") {
                Some(location) => self.redirect(location),
                None => What::Skipped { reason: "a redirect to nowhere".into() },
            },
            408 | 425 | 429 | 500.. => return Err(self.busy(&answer)),
            _ => What::Broken,
        };
        Ok((Some(status), what))
    }

    /// The failure of an answer that another attempt may improve.
    fn busy(&self, answer: &Answer) -> Error {
        let wish = answer.header("retry-after").map(|when| format!(" and asks to come back after {when}")).unwrap_or_default();
        Error::new(format_args!("{} answers {}{wish}", self.address.url, answer.status))
    }

    /// Where an address redirects to is an address of its own, with its own task: so it is fetched once, whoever leads there.
    fn redirect(&mut self, location: &str) -> What {
        let Some(target) = self.settings.rules.link(&self.address.url, location) else {
            return What::Skipped { reason: format!("a redirect to no page: {location}") };
        };
        let to = target.identity.clone();
        let reason = if !self.settings.scope.admits(&target.url) {
            Some("out of scope")
        } else if self.visit.redirects >= self.settings.config.max_redirects {
            Some("too many redirects in a row")
        } else if !self.may_visit(&target) {
            Some("robots.txt")
        } else {
            None
        };
        if reason.is_none() {
            self.spawn(target, self.visit.depth, self.visit.redirects + 1);
        }
        What::Redirect { to, not_followed: reason.map(str::to_owned) }
    }

    fn content(&mut self, answer: Answer, deadline: Deadline) -> Result<What, Error> {
        let content_type = answer.header("content-type").unwrap_or_default().to_owned();
        let mime: Option<Mime> = content_type.split(';').next().and_then(|essence| essence.trim().parse().ok());
        let essence = mime.as_ref().map(|mime| mime.essence_str().to_ascii_lowercase());
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        match essence.as_deref() {
            Some("text/html" | "application/xhtml+xml") | None => {}
            Some(other) => return Ok(What::File { content_type: Some(other.to_owned()), bytes: length }),
        }
        let directives: Vec<_> = answer.headers("x-robots-tag").map(str::to_owned).collect();
        let limit = self.settings.config.max_page_bytes;
        let bytes = match body::read(answer, limit, deadline) {
            Ok(bytes) => bytes,
            Err(BodyError::TooLarge) => return Ok(What::Skipped { reason: format!("more than {limit} bytes (max_page_bytes)") }),
            Err(BodyError::Garbled(why)) => return Ok(What::Skipped { reason: format!("garbled content: {why}") }),
            Err(BodyError::UnknownEncoding(name)) => {
                return Ok(What::Skipped { reason: format!("content in an encoding that was not asked for: {name}") });
            }
            Err(BodyError::TimedOut) => {
                let limit = deadline.limit().as_millis();
                return Err(Error::new(format_args!("{} did not arrive within {limit} ms (page_timeout_ms)", self.address.url)));
            }
            Err(BodyError::Broken(why)) => return Err(Error::new(format_args!("{} broke off: {why}", self.address.url))),
        };
        let (text, charset) = charset::decode(&bytes, charset::charset_of(&content_type).as_deref());
        if essence.is_none() && !looks_like_html(&text) {
            return Ok(What::File { content_type: None, bytes: Some(bytes.len() as u64) });
        }
        let config = self.settings.config;
        let wanted = Wanted { tags: &self.settings.tags, text_bytes: config.text_bytes, user_agent: &config.user_agent };
        let mut page = match page::parse(&text, &wanted) {
            Ok(page) => page,
            Err(why) => return Ok(What::Skipped { reason: format!("a page that can't be parsed: {why}") }),
        };
        directives.iter().for_each(|directives| page.directives(directives));
        let mut record = PageRecord::new(charset, bytes.len());
        self.links(&page, &mut record);
        record.take(page);
        Ok(What::Page(Box::new(record)))
    }

    /// Sorts a page's links: what is visited, what is only noted.
    fn links(&mut self, page: &Page, record: &mut PageRecord) {
        let (settings, own) = (self.settings, self.address.url.clone());
        let base = page.base.as_deref().and_then(|base| own.join(base).ok()).unwrap_or_else(|| own.clone());
        record.canonical = page.canonical.as_deref().and_then(|href| settings.rules.link(&base, href)).map(|to| to.identity);
        record.refresh = page.refresh.as_deref().and_then(|href| settings.rules.link(&base, href)).map(|to| to.identity);
        let more = page.refresh.iter().chain(&page.canonical).map(|href| (href, false));
        let mut seen = HashSet::from([self.address.identity.clone()]);
        for (href, nofollow) in page.links.iter().map(|link| (&link.href, link.nofollow)).chain(more) {
            let Some(target) = settings.rules.link(&base, href) else { continue };
            if !seen.insert(target.identity.clone()) {
                continue;
            }
            if !settings.scope.admits(&target.url) {
                record.external_count += 1;
                if record.external.len() < MAX_EXTERNAL {
                    record.external.push(target.identity);
                }
                continue;
            }
            if settings.config.respect_nofollow && (nofollow || page.nofollow) {
                record.nofollow_count += 1;
                continue;
            }
            record.links.push(target.seen_from(&own).to_owned());
            let depth = self.visit.depth + 1;
            if !settings.config.follow_links || settings.config.max_depth.is_some_and(|most| depth > most) {
                continue;
            }
            if self.may_visit(&target) {
                self.spawn(target, depth, 0);
            } else {
                record.disallowed_count += 1;
            }
        }
    }

    /// Whether robots.txt allows an address, as far as its rules are known here: those of another host are its task's affair.
    fn may_visit(&self, target: &Address) -> bool {
        host_of(&target.url) != host_of(&self.address.url) || self.rules.allows(&target.url)
    }

    fn spawn(&mut self, target: Address, depth: u32, redirects: u32) {
        let same_host = target.url.origin() == self.address.url.origin();
        let robots = self.travelling.clone().filter(|_| same_host && self.settings.config.respect_robots);
        let visit = Visit { url: target.url.clone(), depth, redirects, robots };
        self.follow.push((target, visit));
    }
}

/// Whether a document without a content type is HTML, by how it begins.
fn looks_like_html(text: &str) -> bool {
    let start = text.trim_start().get(..14).unwrap_or(text.trim_start()).to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head")
}

#[cfg(test)]
#[path = "visit_tests.rs"]
mod tests;
