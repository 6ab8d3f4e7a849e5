//! Load to order: workers that write a given number of log lines, fail at a given rate and spawn children.
//!
//! A run repeats exactly: what a task does depends on the seed, the step's name and the task's key alone, not on the attempt, the
//! clock or its neighbours. So a task that is to fail fails on every attempt, and its failure is final rather than retryable.

mod workload;

use std::time::Duration;

use bulkhead_plugin::prelude::*;
use bulkhead_plugin::rng::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use workload::{Level, Levels, Tally, Work};

struct Generator;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// How many workers the step starts with.
    #[schemars(range(max = 1_000_000))]
    worker_count: u32,
    /// Log lines that each worker writes, the closing summary among them. Children write half of their parent's.
    #[schemars(range(max = 10_000_000))]
    log_count: u32,
    /// Pause between two lines of a worker, in milliseconds.
    #[schemars(range(max = 3_600_000))]
    log_delay_ms: u32,
    /// The probability with which a worker, having written all its lines, fails for good.
    #[schemars(range(min = 0.0, max = 1.0))]
    failure_rate: f64,
    /// Children that each worker spawns while recursion_depth lasts. Children spawn half of their parent's.
    #[schemars(range(max = 10_000))]
    child_count: u32,
    /// Generations of children.
    #[schemars(range(max = 16))]
    recursion_depth: u32,
    /// Another seed, another run: it decides each line's level and which workers fail.
    seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            worker_count: 1,
            log_count: 10,
            log_delay_ms: 0,
            failure_rate: 0.0,
            child_count: 0,
            recursion_depth: 0,
            seed: 1912,
        }
    }
}

/// What a worker wrote and spawned.
#[derive(Serialize)]
struct Report {
    lines: u32,
    info: u32,
    warn: u32,
    error: u32,
    children: u32,
}

impl Plugin for Generator {
    const NAME: &'static str = "generator";
    const SUMMARY: &'static str = "Workers that write log lines, fail at a given rate and spawn children, repeatably";
    type Config = Config;
    type Input = Work;
    type Output = Report;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        let Config { worker_count, log_count, child_count, recursion_depth: depth, .. } = step.config;
        spawn((1..=worker_count).map(|worker| (format!("worker-{worker}"), Work { log_count, child_count, depth })))?;
        Ok(())
    }

    fn run(step: &Step<Config>, task: Task<Work>) -> Result<Report, Error> {
        let Task { key: worker, input: work, .. } = task;
        let children = work.children();
        spawn((1..=children.count).map(|child| (format!("{worker}/child-{child}"), children.work)))?;

        let seed = |purpose| Rng::for_names(step.config.seed, &[&step.name, &worker, purpose]);
        let tally = write_lines(&step.config, &worker, work.log_count, seed("levels"))?;
        if seed("failure").chance(step.config.failure_rate) {
            let rate = step.config.failure_rate;
            return Err(Error::fatal(format_args!("{worker} fails as ordered (failure_rate = {rate})")));
        }
        let Tally { info, warn, error } = tally;
        Ok(Report { lines: work.log_count, info, warn, error, children: children.count })
    }
}

/// Writes exactly `count` lines, the last of them the summary, and returns how many there are of each level.
fn write_lines(config: &Config, worker: &str, count: u32, rng: Rng) -> Result<Tally, Error> {
    let pause = Duration::from_millis(config.log_delay_ms.into());
    let mut tally = Tally::default();
    let Some(before_summary) = count.checked_sub(1) else {
        return Ok(tally);
    };
    for (line, level) in (1..=before_summary).zip(Levels::new(rng)) {
        tally.count(level);
        match level {
            Level::Info => info!("{worker} did item {line} of {count}", line = line),
            Level::Warn => warn!("{worker} was slow at item {line} of {count}", line = line),
            Level::Error => error!("{worker} could not do item {line} of {count}", line = line),
        }
        status::progress(line.into(), u64::from(count));
        sleep(pause)?;
    }
    tally.count(Level::Info);
    let Tally { info, warn, error } = tally;
    info!(
        "{worker} wrote {lines} lines: {info} info, {warn} warn, {error} error",
        lines = count,
        info = info,
        warn = warn,
        error = error,
        summary = true
    );
    status::progress(count.into(), u64::from(count));
    Ok(tally)
}

export_plugin!(Generator);
