//! How a step configures a command.

use bulkhead_core::name::Name;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::template::{Mistake, Scope};

/// The JSON Schema of a command's configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// A step's configuration, valid against [`SCHEMA`].
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) args: Vec<String>,
    pub(super) env: Map<String, Value>,
    input: Option<Value>,
    items: Option<Value>,
    pub(super) stdin: Stdin,
    pub(super) stdout: Stdout,
    pub(super) output: Output,
    /// The exit statuses that mean success.
    pub(super) success: Vec<i32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            env: Map::new(),
            input: None,
            items: None,
            stdin: Stdin::Input(InputAs::Text),
            stdout: Stdout::Log,
            output: Output::Json,
            success: vec![0],
        }
    }
}

/// What standard input gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Stdin {
    Input(InputAs),
    File { file: String },
    Artifact { step: Name, artifact: String },
}

/// How the task's input is written to standard input.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum InputAs {
    /// A text as it is, anything else as JSON with a line break; `null` is nothing.
    Text,
    /// As JSON with a line break.
    Json,
    /// Not at all.
    None,
}

/// Where standard output goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Stdout {
    #[serde(skip)]
    Log,
    Artifact {
        artifact: String,
    },
    /// The word `log`, the only one that the schema allows.
    Word(#[expect(dead_code, reason = "it is read to be told from an artifact")] String),
}

/// What of standard output is the task's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Output {
    /// Its last JSON document; `null` where there is none.
    Json,
    /// All of it, as a text.
    Text,
    /// Nothing: `null`.
    None,
}

impl Config {
    /// Reads a step's configuration.
    pub(super) fn of(config: &str) -> Result<Self, Mistake> {
        serde_json::from_str(config).map_err(|error| Mistake::new(format!("its configuration: {error}")))
    }

    /// The inputs of the step's tasks.
    pub(super) fn inputs(&self, scope: &Scope<'_>) -> Result<Vec<Value>, Mistake> {
        match (&self.items, &self.input) {
            (Some(_), Some(_)) => Err(Mistake::new("`items` and `input` exclude each other: leave one out".to_owned())),
            (Some(Value::Array(items)), None) => Ok(items.clone()),
            (Some(Value::String(place)), None) => match scope.value(place)? {
                Value::Array(items) => Ok(items),
                other => Err(Mistake::new(format!("`items`: `{place}` is no list: {other}"))),
            },
            (Some(other), None) => Err(Mistake::new(format!("`items` is neither a list nor the place of one: {other}"))),
            (None, Some(input)) => Ok(vec![input.clone()]),
            (None, None) => Ok(vec![Value::Null]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(config: &str) -> Result<Vec<Value>, Mistake> {
        let parameters = serde_json::json!({ "names": ["a", "b"] });
        Config::of(config).unwrap().inputs(&Scope::of_plan(&parameters))
    }

    #[test]
    fn the_schema_is_an_object() {
        crate::json::check_object(SCHEMA).expect("a JSON object");
    }

    #[test]
    fn a_step_has_a_task_per_item_or_one() {
        assert_eq!(inputs("{}").unwrap(), [Value::Null]);
        assert_eq!(inputs(r#"{"input":{"a":1}}"#).unwrap(), [serde_json::json!({ "a": 1 })]);
        assert_eq!(inputs(r#"{"items":[1,"x"]}"#).unwrap().len(), 2);
        assert_eq!(inputs(r#"{"items":"${parameters.names}"}"#).unwrap(), ["a", "b"]);
        assert!(inputs(r#"{"items":[1],"input":2}"#).is_err());
        assert!(inputs(r#"{"items":"${parameters.other}"}"#).is_err());
    }

    #[test]
    fn streams_go_where_the_configuration_says() {
        let config = Config::of(r#"{"stdin":{"file":"rows"},"stdout":{"artifact":"out.csv"},"output":"none"}"#).unwrap();
        assert!(matches!(config.stdin, Stdin::File { file } if file == "rows"));
        assert!(matches!(config.stdout, Stdout::Artifact { artifact } if artifact == "out.csv"));
        assert_eq!(config.output, Output::None);
        let config = Config::of(r#"{"stdin":"json","stdout":"log"}"#).unwrap();
        assert!(matches!(config.stdin, Stdin::Input(InputAs::Json)) && matches!(config.stdout, Stdout::Word(_)));
    }
}
