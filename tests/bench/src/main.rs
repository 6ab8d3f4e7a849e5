//! Benchmarks of Bulkhead: each figure beside the raw cost of its parts in the same run, because machines are shared and noisy.
//!
//! `make bench` runs them all; `bulkhead-bench drain rest` runs two. Nothing here asserts a time.

mod http;
mod raw;
mod report;
mod scenarios;
mod server;
mod setup;

use std::path::PathBuf;

use clap::Parser;

/// What to measure, and how much of it.
#[derive(Parser)]
struct Options {
    /// Scenarios to run; all where none is named.
    scenarios: Vec<String>,
    /// The components to run.
    #[arg(long, env = "BULKHEAD_PLUGINS", default_value = "target/plugins")]
    plugins: PathBuf,
    /// The server to measure.
    #[arg(long, default_value = "target/release/bulkhead")]
    binary: PathBuf,
    /// Tasks to drain.
    #[arg(long, default_value_t = 200_000)]
    tasks: u32,
    /// Finished tasks in the store for what is measured with history.
    #[arg(long, default_value_t = 1_000_000)]
    history: u32,
    /// Rows of the batch.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// Seconds that each load lasts.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

fn main() {
    let options = Options::parse();
    let wanted = |name: &str| options.scenarios.is_empty() || options.scenarios.iter().any(|scenario| scenario == name);
    let mut report = report::Report::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if wanted("raw") {
            raw::measure(&options, &mut report);
        }
        for (name, scenario) in scenarios::ALL {
            if wanted(name) {
                scenario(&options, &mut report).await;
            }
        }
    });
    report.print();
}
