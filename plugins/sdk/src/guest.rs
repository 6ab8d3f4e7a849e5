//! Between the contract and a [`Plugin`]: what [`export_plugin!`](crate::export_plugin) expands to.
//!
//! A plugin that needs something which the typed trait cannot say implements [`bindings::Guest`](crate::bindings::Guest) itself
//! and calls these functions for the rest.

use std::io::Write;
use std::panic::PanicHookInfo;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;

use crate::bindings::bulkhead::plugin::types::{self, Description, Failure, StepContext};
use crate::{Error, Plugin, ResultExt, Step, Task};

/// What of a panic's message is delivered, in bytes: about what the host keeps of it.
const PANIC_MESSAGE_BYTES: usize = 4 * 1024;

/// Exports a [`Plugin`] as this crate's component: call it once, in a crate of type `cdylib`.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        const _: () = {
            struct Component;

            impl $crate::bindings::Guest for Component {
                fn describe() -> $crate::bindings::bulkhead::plugin::types::Description {
                    $crate::guest::describe::<$plugin>(::std::env!("CARGO_PKG_VERSION"))
                }

                fn plan(
                    step: $crate::bindings::bulkhead::plugin::types::StepContext,
                ) -> ::std::result::Result<(), $crate::bindings::bulkhead::plugin::types::Failure> {
                    $crate::guest::plan::<$plugin>(step)
                }

                fn run(
                    step: $crate::bindings::bulkhead::plugin::types::StepContext,
                    task: $crate::bindings::bulkhead::plugin::types::Task,
                ) -> ::std::result::Result<::std::string::String, $crate::bindings::bulkhead::plugin::types::Failure> {
                    $crate::guest::run::<$plugin>(step, task)
                }
            }

            $crate::bindings::export! { Component with_types_in $crate::bindings }
        };
    };
}

/// The contract's `describe`.
pub fn describe<P: Plugin>(version: &str) -> Description {
    deliver_panics();
    Description {
        name: P::NAME.into(),
        version: version.into(),
        summary: P::SUMMARY.into(),
        config_schema: config_schema::<P::Config>(),
    }
}

/// The contract's `plan`.
pub fn plan<P: Plugin>(step: StepContext) -> Result<(), Failure> {
    deliver_panics();
    P::plan(&decode_step(step)?)?;
    Ok(())
}

/// The contract's `run`.
pub fn run<P: Plugin>(step: StepContext, task: types::Task) -> Result<types::Json, Failure> {
    deliver_panics();
    let (step, task) = (decode_step(step)?, decode_task(task)?);
    let output = P::run(&step, task)?;
    Ok(serde_json::to_string(&output).map_err(Error::from).context("the output is no JSON")?)
}

/// The typed form of a step.
pub fn decode_step<C: DeserializeOwned>(step: StepContext) -> Result<Step<C>, Error> {
    Ok(Step {
        config: serde_json::from_str(&step.config).context(format_args!("the configuration of step {}", step.step))?,
        parameters: serde_json::from_str(&step.parameters).context("the run's parameters")?,
        run: step.run,
        name: step.step,
        attempt: step.attempt,
    })
}

/// The typed form of a task.
pub fn decode_task<I: DeserializeOwned>(task: types::Task) -> Result<Task<I>, Error> {
    Ok(Task {
        input: serde_json::from_str(&task.input).context(format_args!("the input of task {}", task.key))?,
        id: task.id,
        key: task.key,
    })
}

/// The JSON Schema (2020-12) of a configuration type, as text.
pub fn config_schema<C: JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<C>();
    serde_json::to_string(&schema).expect("a schema is JSON")
}

/// Makes a panic write one line, `panicked at FILE:LINE:COLUMN: MESSAGE`, to standard error before it traps: the host sees the
/// trap only, and takes the last line there for its message.
pub fn deliver_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // One write, so that nothing comes between its parts. Nobody is left to tell of an error.
        let _ = std::io::stderr().write_all(panic_line(panic).as_bytes());
    }));
}

fn panic_line(panic: &PanicHookInfo<'_>) -> String {
    let message = one_line(panic.payload_as_str().unwrap_or("a value that is no text"));
    match panic.location() {
        Some(place) => format!("panicked at {place}: {message}\n"),
        None => format!("panicked: {message}\n"),
    }
}

/// The text with its lines, trimmed, joined by `; `, cut at [`PANIC_MESSAGE_BYTES`].
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push_str("; ");
        }
        line.push_str(part);
        if line.len() > PANIC_MESSAGE_BYTES {
            line.truncate(line.floor_char_boundary(PANIC_MESSAGE_BYTES));
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoConfig;

    /// Its keys.
    #[derive(Debug, serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        /// How many.
        #[schemars(range(min = 1, max = 9))]
        count: u32,
        seed: Option<u64>,
    }

    impl Default for Config {
        fn default() -> Self {
            Config { count: 3, seed: None }
        }
    }

    #[test]
    fn the_schema_says_what_the_type_says() {
        let schema: serde_json::Value = serde_json::from_str(&config_schema::<Config>()).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["count"]["description"], "How many.");
        assert_eq!(schema["properties"]["count"]["minimum"], 1);
        assert_eq!(schema["properties"]["count"]["maximum"], 9);
        assert_eq!(schema["properties"]["count"]["default"], 3);
        let none: serde_json::Value = serde_json::from_str(&config_schema::<NoConfig>()).unwrap();
        assert_eq!(none["additionalProperties"], false);
    }

    #[test]
    fn a_configuration_that_does_not_fit_is_final_and_names_the_step() {
        let step = StepContext {
            run: "run_1".into(),
            step: "fast".into(),
            attempt: 1,
            config: r#"{"cuont": 1}"#.into(),
            parameters: "{}".into(),
        };
        let error = decode_step::<Config>(step).unwrap_err();
        assert!(!error.is_retryable());
        assert!(error.to_string().starts_with("the configuration of step fast: unknown field `cuont`"), "{error}");
    }

    #[test]
    fn a_panic_message_becomes_one_line() {
        assert_eq!(one_line("assertion failed\n  left: 1\n right: 2\n"), "assertion failed; left: 1; right: 2");
        assert_eq!(one_line(&"é".repeat(10_000)).len(), PANIC_MESSAGE_BYTES + '…'.len_utf8());
    }
}
