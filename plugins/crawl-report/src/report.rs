//! The report in the making: pure, so that it is tested on this machine.

use std::collections::BTreeMap;
use std::io::Write;

use bulkhead_plugin::outputs::{Outcome, Output};
use serde::{Deserialize, Serialize};

/// Broken addresses whose links are looked for. More are counted; a site with so many has one cause for all of them.
const MAX_TRACED: usize = 100_000;
/// Pages that are named of those that link to one address. links.csv has all of them.
const MAX_FROM: usize = 20;

/// What the report needs of the crawler's record of an address.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seen {
    url: String,
    #[serde(default)]
    identity: Option<String>,
    kind: String,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    links: Vec<String>,
}

/// An address with nothing behind, or one that could not be fetched.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Broken {
    pub(crate) url: String,
    /// What the server answered; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why it could not be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// How many pages link to it.
    pub(crate) links: u64,
    /// The first of them. None for a start address, or where a redirect leads.
    pub(crate) from: Vec<String>,
}

impl Broken {
    /// What is wrong with it, in short.
    pub(crate) fn why(&self) -> String {
        match (self.status, &self.failure) {
            (Some(status), _) => status.to_string(),
            (None, Some(failure)) => failure.clone(),
            (None, None) => "no answer".to_owned(),
        }
    }
}

/// What a crawl came to.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// Addresses that were crawled.
    pub(crate) addresses: u64,
    /// How many of them are what: `page`, `redirect`, `broken`, `file`, `skipped`, `disallowed`, `failed`, `cancelled`.
    kinds: BTreeMap<String, u64>,
    /// Those that are broken or could not be fetched.
    pub(crate) broken: u64,
    /// Of those, the ones whose links were not looked for, because there are too many.
    untraced: u64,
    /// Links to them, each page's once.
    pub(crate) links: u64,
}

/// The table of links to broken addresses, written as they are found.
pub(crate) struct Links<W: Write>(csv::Writer<W>);

impl<W: Write> Links<W> {
    pub(crate) fn begin(output: W) -> csv::Result<Self> {
        let mut table = csv::Writer::from_writer(output);
        table.write_record(["broken", "why", "page"])?;
        Ok(Self(table))
    }

    fn row(&mut self, broken: &Broken, page: &str) -> csv::Result<()> {
        self.0.write_record([&*broken.url, &*broken.why(), page])
    }

    pub(crate) fn end(mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// The report in the making.
#[derive(Debug, Default)]
pub(crate) struct Report {
    summary: Summary,
    broken: Vec<Broken>,
    /// Where each broken address stands.
    targets: BTreeMap<String, usize>,
}

impl Report {
    /// The first pass: what an address is.
    pub(crate) fn count(&mut self, output: Output<Seen>) {
        self.summary.addresses += 1;
        let kind = match output.outcome {
            Outcome::Succeeded(Seen { url, identity, kind, status, .. }) => {
                if kind == "broken" {
                    self.note(identity.unwrap_or_else(|| url.clone()), url, status, None);
                }
                kind
            }
            Outcome::Failed { cause, message } => {
                self.note(output.key.clone(), output.key, None, Some(format!("{cause}: {message}")));
                "failed".to_owned()
            }
            Outcome::Cancelled => "cancelled".to_owned(),
        };
        *self.summary.kinds.entry(kind).or_default() += 1;
    }

    fn note(&mut self, identity: String, url: String, status: Option<u16>, failure: Option<String>) {
        self.summary.broken += 1;
        if self.broken.len() >= MAX_TRACED {
            self.summary.untraced += 1;
            return;
        }
        self.targets.insert(identity, self.broken.len());
        self.broken.push(Broken { url, status, failure, links: 0, from: Vec::new() });
    }

    /// The second pass: what an address links to.
    pub(crate) fn trace<W: Write>(&mut self, output: &Output<Seen>, links: &mut Links<W>) -> csv::Result<()> {
        let Outcome::Succeeded(seen) = &output.outcome else { return Ok(()) };
        for link in &seen.links {
            // A link on the page's own host is written from its path on.
            let found = match link.strip_prefix('/') {
                Some(_) => self.targets.get(&format!("{}{link}", origin(&seen.url))),
                None => self.targets.get(link),
            };
            let Some(broken) = found.and_then(|at| self.broken.get_mut(*at)) else { continue };
            broken.links += 1;
            self.summary.links += 1;
            if broken.from.len() < MAX_FROM {
                broken.from.push(seen.url.clone());
            }
            links.row(broken, &seen.url)?;
        }
        Ok(())
    }

    /// What is broken, what most pages link to first, and the summary. What no page links to is a row, too.
    pub(crate) fn finish<W: Write>(mut self, links: &mut Links<W>) -> csv::Result<(Vec<Broken>, Summary)> {
        self.broken.sort_by(|a, b| b.links.cmp(&a.links).then_with(|| a.url.cmp(&b.url)));
        self.broken.iter().filter(|broken| broken.links == 0).try_for_each(|broken| links.row(broken, ""))?;
        Ok((self.broken, self.summary))
    }
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn output(task: u32, record: Value) -> Output<Seen> {
        let seen: Seen = serde_json::from_value(record).unwrap();
        Output { task, key: seen.url.clone(), outcome: Outcome::Succeeded(seen) }
    }

    fn report(outputs: &[Output<Seen>]) -> (Vec<Broken>, Summary, String) {
        let mut report = Report::default();
        let mut written = Vec::new();
        let mut links = Links::begin(&mut written).unwrap();
        outputs.iter().cloned().for_each(|output| report.count(output));
        outputs.iter().for_each(|output| report.trace(output, &mut links).unwrap());
        let (broken, summary) = report.finish(&mut links).unwrap();
        links.end().unwrap();
        (broken, summary, String::from_utf8(written).unwrap())
    }

    #[test]
    fn broken_links_are_told_with_the_pages_that_have_them() {
        let page = |task, url: &str, links: Value| {
            output(task, json!({ "url": url, "kind": "page", "status": 200, "title": "x", "links": links }))
        };
        let failed = Outcome::Failed { cause: "plugin-error".into(), message: "503".into() };
        let (broken, summary, links) = report(&[
            page(1, "http://a:81/", json!(["/x", "/lost", "/down", "http://b/gone/"])),
            page(2, "http://a:81/x", json!(["/lost", "/"])),
            output(3, json!({ "url": "http://a:81/lost", "kind": "broken", "status": 404 })),
            output(
                4,
                json!({ "url": "http://b/gone/index.html", "identity": "http://b/gone/", "kind": "broken", "status": 410 }),
            ),
            output(5, json!({ "url": "http://a:81/nobody", "kind": "broken", "status": 404 })),
            Output { task: 6, key: "http://a:81/down".into(), outcome: failed },
            Output { task: 7, key: "http://a:81/left".into(), outcome: Outcome::Cancelled },
        ]);
        assert_eq!(
            serde_json::to_value(&broken).unwrap(),
            json!([
                { "url": "http://a:81/lost", "status": 404, "links": 2, "from": ["http://a:81/", "http://a:81/x"] },
                { "url": "http://a:81/down", "failure": "plugin-error: 503", "links": 1, "from": ["http://a:81/"] },
                { "url": "http://b/gone/index.html", "status": 410, "links": 1, "from": ["http://a:81/"] },
                { "url": "http://a:81/nobody", "status": 404, "links": 0, "from": [] },
            ])
        );
        assert_eq!(
            serde_json::to_value(&summary).unwrap(),
            json!({ "addresses": 7, "kinds": { "page": 2, "broken": 3, "failed": 1, "cancelled": 1 },
                "broken": 4, "untraced": 0, "links": 4 })
        );
        assert_eq!(
            links,
            "broken,why,page\n\
             http://a:81/lost,404,http://a:81/\n\
             http://a:81/down,plugin-error: 503,http://a:81/\n\
             http://b/gone/index.html,410,http://a:81/\n\
             http://a:81/lost,404,http://a:81/x\n\
             http://a:81/nobody,404,\n"
        );
    }

    #[test]
    fn what_is_kept_is_bounded_and_counts_are_not() {
        let mut outputs: Vec<_> = (0..MAX_TRACED + 5)
            .map(|number| output(1, json!({ "url": format!("http://a/{number}"), "kind": "broken", "status": 404 })))
            .collect();
        outputs.extend((0..MAX_FROM + 5).map(|_| output(2, json!({ "url": "http://a/", "kind": "page", "links": ["/7"] }))));
        let (broken, summary, links) = report(&outputs);
        assert_eq!((summary.broken, summary.untraced, broken.len()), (MAX_TRACED as u64 + 5, 5, MAX_TRACED));
        assert_eq!((broken[0].links, broken[0].from.len()), (MAX_FROM as u64 + 5, MAX_FROM));
        assert_eq!(links.lines().count(), 1 + MAX_FROM + 5 + MAX_TRACED - 1, "the table has every link");
    }

    #[test]
    fn a_page_without_a_path_has_an_origin() {
        assert_eq!((origin("http://a:81/x/y"), origin("https://a")), ("http://a:81", "https://a"));
    }
}
