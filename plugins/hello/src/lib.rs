//! The smallest plugin that does something: greets everybody in a list, one task each.

use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Hello;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Who is greeted.
    #[schemars(length(min = 1))]
    names: Vec<String>,
    /// What stands in front of each name.
    #[serde(default = "hello")]
    greeting: String,
}

fn hello() -> String {
    "Hello".into()
}

/// A task's input.
#[derive(Serialize, Deserialize)]
struct Guest {
    name: String,
}

impl Plugin for Hello {
    const NAME: &'static str = "hello";
    const SUMMARY: &'static str = "Greets everybody in a list";
    type Config = Config;
    type Input = Guest;
    type Output = String;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        spawn(step.config.names.iter().map(|name| (name.clone(), Guest { name: name.clone() })))?;
        Ok(())
    }

    fn run(step: &Step<Config>, task: Task<Guest>) -> Result<String, Error> {
        let greeting = format!("{}, {}!", step.config.greeting, task.input.name);
        info!("{greeting}", length = greeting.chars().count());
        Ok(greeting)
    }
}

export_plugin!(Hello);
