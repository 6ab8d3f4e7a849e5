//! Counts the primes below a limit: `plan` cuts the numbers into segments, each task sieves one of them.

mod sieve;

use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Primes;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Primes below this number are counted.
    #[schemars(range(min = 1, max = 100_000_000_000_u64))]
    limit: u64,
    /// Numbers per task.
    #[schemars(range(min = 1_000, max = 10_000_000))]
    #[serde(default = "segment")]
    segment: u64,
}

fn segment() -> u64 {
    100_000
}

/// A task's input: the numbers from `first` to `end` - 1.
#[derive(Serialize, Deserialize)]
struct Segment {
    first: u64,
    end: u64,
}

/// What a task found.
#[derive(Serialize)]
struct Found {
    first: u64,
    end: u64,
    primes: u64,
    largest: Option<u64>,
}

impl Plugin for Primes {
    const NAME: &'static str = "primes";
    const SUMMARY: &'static str = "Counts the primes below a limit, a segment a task";
    type Config = Config;
    type Input = Segment;
    type Output = Found;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        let Config { limit, segment } = step.config;
        spawn((0..limit.div_ceil(segment)).map(|number| {
            let first = number * segment;
            (first.to_string(), Segment { first, end: limit.min(first + segment) })
        }))?;
        Ok(())
    }

    fn run(_step: &Step<Config>, task: Task<Segment>) -> Result<Found, Error> {
        let Segment { first, end } = task.input;
        let (primes, largest) = sieve::primes(first, end).fold((0, None), |(count, _), prime| (count + 1, Some(prime)));
        info!("{primes} primes from {first} to {end}", primes = primes);
        Ok(Found { first, end, primes, largest })
    }
}

export_plugin!(Primes);
