//! A crawler: each address a task, each link a task to come.
//!
//! `plan` spawns the start addresses and, if asked to, what their sitemaps list. `run` fetches one address, and if it is a page,
//! spawns what it links to under the canonical address as the deduplication key: so the host sees to it that each is fetched by
//! one task, and a crawl that was killed goes on with the tasks that have no result yet. A redirect is the result of its task,
//! and what it leads to has a task of its own. A broken link is a result, too; what may get better is a failure to be retried.
//!
//! What is enforced where. The host: which hosts may be reached, by name and address, for every hop; how many requests a host
//! gets at once and per second, across all tasks; the number of addresses (`max_pages`), memory and time. The plugin: robots.txt,
//! nofollow, scope, depth, sizes, and a pause before each request, which with `concurrency = n` makes at most n requests a pause.

mod address;
mod body;
mod charset;
mod config;
mod fetch;
mod limit;
mod net;
mod page;
mod plan;
mod record;
mod robots;
mod scope;
mod sitemap;
mod visit;

use bulkhead_plugin::prelude::*;

use address::Address;
use config::{Config, Settings};
use limit::Filled;
use record::Record;
use visit::Visit;

struct Crawler;

impl Plugin for Crawler {
    const NAME: &'static str = "crawler";
    const SUMMARY: &'static str = "Follows links from start addresses, one page a task";
    type Config = Config;
    type Input = Visit;
    type Output = Record;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        let settings = Settings::new(&step.config)?;
        let first = plan::plan(&settings, &net::Net::new(&settings))?;
        let filled = spawn_visits(&first)?;
        if filled.left_out > 0 {
            warn!("{left_out} start addresses are over max_pages", left_out = filled.left_out);
        }
        Ok(())
    }

    fn run(step: &Step<Config>, task: Task<Visit>) -> Result<Record, Error> {
        let settings = Settings::new(&step.config)?;
        let visited = visit::visit(&settings, &net::Net::new(&settings), &task.input)?;
        let mut record = visited.record;
        record.over_max_pages = spawn_visits(&visited.follow)?.left_out;
        Ok(record)
    }
}

/// Spawns as many of the visits as `max_pages` allows. Having enough pages is no failure.
fn spawn_visits(visits: &[(Address, Visit)]) -> Result<Filled, SpawnError> {
    limit::fill(visits, &mut |visits| spawn(visits.iter().map(|(address, visit)| (address.key(), visit))))
}

export_plugin!(Crawler);
