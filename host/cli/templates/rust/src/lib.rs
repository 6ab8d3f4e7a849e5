//! Greets everybody in a list, a task each.

use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Greet;

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

#[derive(Serialize, Deserialize)]
struct Guest {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    text: String,
}

impl Plugin for Greet {
    const NAME: &'static str = "{{name}}";
    const SUMMARY: &'static str = "Greets everybody in a list";
    type Config = Config;
    type Input = Guest;
    type Output = Greeting;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        spawn(step.config.names.iter().map(|name| (name.clone(), Guest { name: name.clone() })))?;
        Ok(())
    }

    fn run(step: &Step<Config>, task: Task<Guest>) -> Result<Greeting, Error> {
        let Guest { name } = task.input;
        if name.is_empty() {
            return Err(Error::fatal("nobody is there to be greeted"));
        }
        info!("greeting", who = name);
        Ok(Greeting { text: format!("{}, {name}!", step.config.greeting) })
    }
}

export_plugin!(Greet);
