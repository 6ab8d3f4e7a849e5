//! Work of many sizes, bound by the processor or by memory, that executes the same instructions every time.
//!
//! Sizes are drawn from the seed in `plan` and travel as the tasks' inputs. A task's instructions depend on its input alone: no
//! clock, no randomness of the machine's, no addresses, no hash maps. So a fuel limit fails the same tasks on every machine.

mod work;

use bulkhead_plugin::prelude::*;
use bulkhead_plugin::rng::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use work::Kind;

struct Stress;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// What the tasks use up.
    kind: Kind,
    /// How many tasks the step has.
    #[schemars(range(max = 1_000_000))]
    tasks: u32,
    /// The smallest task: thousands of rounds (cpu) or KiB of working set (memory).
    #[schemars(range(min = 1, max = 1_000_000))]
    min_size: u32,
    /// The largest task, in the same unit. Sizes between the two are equally likely.
    #[schemars(range(min = 1, max = 1_000_000))]
    max_size: u32,
    /// Another seed, other sizes.
    seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { kind: Kind::Cpu, tasks: 100, min_size: 100, max_size: 1_000, seed: 1912 }
    }
}

/// A task's input.
#[derive(Serialize, Deserialize)]
struct Load {
    kind: Kind,
    size: u32,
}

/// What a task computed: the same for the same load, always.
#[derive(Serialize)]
struct Report {
    size: u32,
    checksum: String,
}

impl Plugin for Stress {
    const NAME: &'static str = "stress";
    const SUMMARY: &'static str = "Burns processor time and memory in seeded amounts, with the same instructions every time";
    type Config = Config;
    type Input = Load;
    type Output = Report;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        let Config { kind, tasks, min_size, max_size, seed } = step.config;
        let Some(spread) = max_size.checked_sub(min_size) else {
            return Err(Error::fatal(format_args!("min_size ({min_size}) is above max_size ({max_size})")));
        };
        let mut rng = Rng::for_names(seed, &[&step.name]);
        spawn((1..=tasks).map(|task| {
            let size = min_size + rng.below(u64::from(spread) + 1) as u32;
            (format!("load-{task}"), Load { kind, size })
        }))?;
        Ok(())
    }

    fn run(_step: &Step<Config>, task: Task<Load>) -> Result<Report, Error> {
        let Load { kind, size } = task.input;
        let checksum = match kind {
            Kind::Cpu => work::compute(size),
            Kind::Memory => work::walk(size),
        };
        Ok(Report { size, checksum: format!("{checksum:016x}") })
    }
}

export_plugin!(Stress);
