//! Reports a crawl's broken links: which addresses have nothing behind, and which pages link to those.
//!
//! It reads what the crawl's step came to twice, page by page: first to learn which addresses are broken, then for the links to
//! them, which it writes as it finds them. So it needs memory for what is broken, not for what was crawled.

mod report;

use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use report::{Links, Report, Seen, Summary};

/// Broken addresses that are told in the log; all are in the files.
const TOLD: usize = 100;
/// Addresses between two reports of progress.
const PROGRESS: u64 = 10_000;

struct CrawlReport;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The step that crawled. This step has to depend on it.
    crawl_step: String,
    /// Whether a broken link makes this step fail: for checks of a site. A step that failed leaves no files; the log tells.
    #[serde(default)]
    fail_on_broken: bool,
}

#[derive(Serialize, Deserialize)]
struct Nothing {}

impl Plugin for CrawlReport {
    const NAME: &'static str = "crawl-report";
    const SUMMARY: &'static str = "Reports a crawl's broken links, with the pages that have them";
    type Config = Config;
    type Input = Nothing;
    type Output = Summary;

    fn plan(_: &Step<Config>) -> Result<(), Error> {
        Ok(spawn([("report", Nothing {})]).map(drop)?)
    }

    fn run(step: &Step<Config>, _: Task<Nothing>) -> Result<Summary, Error> {
        let of = &step.config.crawl_step;
        let mut report = Report::default();
        let mut read = 0;
        for output in outputs::of::<Seen>(of) {
            report.count(output?);
            read += 1;
            if read % PROGRESS == 0 {
                status::progress(read, None);
            }
        }
        let total = 2 * read;
        let mut links = Links::begin(artifacts::create("links.csv")?)?;
        for output in outputs::of::<Seen>(of) {
            report.trace(&output?, &mut links)?;
            read += 1;
            if read % PROGRESS == 0 {
                status::progress(read, Some(total));
            }
        }
        let (broken, summary) = report.finish(&mut links)?;
        links.end()?;
        let mut lines = artifacts::create("broken.ndjson")?;
        for (number, broken) in broken.iter().enumerate() {
            serde_json::to_writer(&mut lines, broken)?;
            std::io::Write::write_all(&mut lines, b"\n")?;
            if number < TOLD {
                let from = broken.from.first().map_or("no page", String::as_str);
                let why = broken.why();
                warn!(
                    "{url} is broken ({why}), linked from {from}",
                    url = broken.url,
                    why = why,
                    from = from,
                    links = broken.links
                );
            }
        }
        lines.finish()?;
        artifacts::write("summary.json", format!("{}\n", serde_json::to_string_pretty(&summary)?).as_bytes())?;
        info!(
            "{broken} of {addresses} addresses are broken",
            broken = summary.broken,
            addresses = summary.addresses,
            links = summary.links
        );
        if step.config.fail_on_broken && summary.broken > 0 {
            return Err(Error::fatal(format_args!("{} addresses are broken: the log tells which", summary.broken)));
        }
        Ok(summary)
    }
}

export_plugin!(CrawlReport);
