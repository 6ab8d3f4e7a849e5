//! Every way to go wrong that a plugin has, one task each: what a host must contain.
//!
//! The only plugin that may be unsafe, and the only one that reaches below the SDK's typed trait.

mod allocator;
mod clean_slate;
mod faults;
mod files;
mod floods;
mod mode;

use std::thread;
use std::time::Duration;

use bulkhead_plugin::bindings::bulkhead::plugin::types::{self, Description, Failure, StepContext};
use bulkhead_plugin::json::{Value, json};
use bulkhead_plugin::prelude::*;
use bulkhead_plugin::{bindings, guest};
use schemars::JsonSchema;
use serde::Deserialize;

use mode::{Mode, raw_output};

struct Misbehave;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// One way to go wrong.
    mode: Option<Mode>,
    /// Several of them, a task each.
    modes: Vec<Mode>,
    /// Tasks of each mode: the first is named after it, the others `MODE-2`, `MODE-3`, …
    #[schemars(range(min = 1, max = 100_000))]
    copies: u32,
    /// Lines that log-flood-suppressed writes.
    #[schemars(range(max = 10_000_000))]
    flood_lines: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config { mode: None, modes: Vec::new(), copies: 1, flood_lines: 100_000 }
    }
}

impl Plugin for Misbehave {
    const NAME: &'static str = "misbehave";
    const SUMMARY: &'static str = "Goes wrong in every way that a plugin can, one task each";
    type Config = Config;
    type Input = Mode;
    type Output = Value;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        let Config { mode, modes, copies, .. } = &step.config;
        if mode.is_none() && modes.is_empty() {
            return Err(Error::fatal("name a mode, or several in modes"));
        }
        for mode in mode.iter().chain(modes) {
            let name = json!(mode).as_str().expect("a mode's name is text").to_owned();
            spawn((1..=*copies).map(|copy| match copy {
                1 => (name.clone(), *mode),
                _ => (format!("{name}-{copy}"), *mode),
            }))?;
        }
        Ok(())
    }

    fn run(step: &Step<Config>, task: Task<Mode>) -> Result<Value, Error> {
        match task.input {
            Mode::Panic => panic!("the compartment is flooding\nand this is the second line"),
            Mode::ErrorRetryable => Err(Error::new("the pump is busy, try again")),
            Mode::ErrorFinal => Err(Error::fatal("there is no pump")),
            Mode::Unreachable => faults::unreachable(),
            Mode::OutOfBounds => faults::out_of_bounds(),
            Mode::DivideByZero => faults::divide_by_zero(),
            Mode::FloatToInteger => faults::float_to_integer(),
            Mode::NullFunction => faults::null_function(),
            Mode::WrongFunction => faults::wrong_function(),
            Mode::EndlessLoop => faults::endless_loop(),
            Mode::EndlessLoopInHostCall => faults::endless_loop_in_host_call(),
            Mode::HostCallFlood => floods::host_calls_for_ever(),
            Mode::MemoryHog => faults::memory_hog(),
            Mode::GiganticAllocation => faults::gigantic_allocation(),
            Mode::StackOverflow => faults::stack_overflow(),
            Mode::NativeStackOverflow => faults::native_stack_overflow(),
            Mode::TableGrowth => faults::table_growth(),
            Mode::Network => faults::network(),
            Mode::LogFlood => floods::log_for_ever(),
            Mode::LogFloodSuppressed => floods::log_lines(step.config.flood_lines),
            Mode::ArtifactFlood => floods::artifact_for_ever(),
            Mode::FileFlood => files::one_for_ever(),
            Mode::FilesFlood => files::many_for_ever(),
            Mode::Files => files::own_and_others(),
            Mode::StderrFlood => floods::stderr_for_ever(),
            Mode::GiganticLine => floods::line_of(64 << 20),
            Mode::LongLine => floods::line_of(200 << 10),
            Mode::HostileLines => floods::hostile_lines(),
            Mode::HostileError => Err(Error::fatal(floods::HOSTILE)),
            Mode::InvalidUtf8 => faults::invalid_utf8(),
            Mode::InvalidFields => faults::invalid_fields(),
            Mode::SpawnBomb => floods::spawn_bomb(&task.key),
            Mode::Nothing => Ok(Value::Null),
            Mode::BadCheckpoint => {
                checkpoint::save_bytes(&vec![7; 6 << 20])?;
                Ok(json!("the host took a checkpoint of 6 MiB"))
            }
            Mode::Exit => std::process::exit(3),
            Mode::SleepForEver => {
                thread::sleep(Duration::from_secs(365 * 24 * 60 * 60));
                Ok(json!("a year has passed"))
            }
            Mode::SleepPastCancellation => sleep_past_cancellation(),
            Mode::CleanSlate => clean_slate::inspect_and_soil(),
            mode @ (Mode::OutputTooLarge | Mode::DeepJson | Mode::InvalidJson) => {
                unreachable!("{mode:?} returns before the typed SDK is asked")
            }
        }
    }
}

fn sleep_past_cancellation() -> ! {
    let mut told = false;
    loop {
        thread::sleep(Duration::from_millis(100));
        if status::cancelled() && !told {
            warn!("told to stop, going on");
            told = true;
        }
    }
}

/// The contract itself, for the outputs that the typed trait cannot return.
struct Component;

impl bindings::Guest for Component {
    fn describe() -> Description {
        guest::describe::<Misbehave>(env!("CARGO_PKG_VERSION"))
    }

    fn plan(step: StepContext) -> Result<(), Failure> {
        guest::plan::<Misbehave>(step)
    }

    fn run(step: StepContext, task: types::Task) -> Result<types::Json, Failure> {
        let task = guest::decode_task::<Mode>(task)?;
        match raw_output(task.input) {
            Some(output) => Ok(output),
            None => {
                guest::deliver_panics();
                Ok(Misbehave::run(&guest::decode_step(step)?, task)?.to_string())
            }
        }
    }
}

bindings::export!(Component with_types_in bindings);
