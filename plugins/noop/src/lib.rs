//! A plugin that does nothing, as fast as the SDK allows: what remains is the host's own cost per task.

use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

struct Noop;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// How many tasks the step has.
    #[schemars(range(max = 10_000_000))]
    tasks: u32,
    /// Log lines that each task writes.
    #[schemars(range(max = 1_000_000))]
    lines: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config { tasks: 1, lines: 0 }
    }
}

impl Plugin for Noop {
    const NAME: &'static str = "noop";
    const SUMMARY: &'static str = "Does nothing, for benchmarks";
    type Config = Config;
    type Input = ();
    type Output = ();

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        spawn((1..=step.config.tasks).map(|task| (task.to_string(), ())))?;
        Ok(())
    }

    fn run(step: &Step<Config>, _task: Task<()>) -> Result<(), Error> {
        for _ in 0..step.config.lines {
            info!("nothing happened");
        }
        Ok(())
    }
}

export_plugin!(Noop);
