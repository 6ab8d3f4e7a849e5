//! How a step configures a command.

use std::collections::BTreeMap;

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
    /// What files it finds, by path.
    pub(super) files: BTreeMap<String, Content>,
    /// The files that it leaves as artifacts, by path.
    pub(super) artifacts: Vec<String>,
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
            files: BTreeMap::new(),
            artifacts: Vec::new(),
            output: Output::Of(OutputAs::Json),
            success: vec![0],
        }
    }
}

/// What standard input gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Stdin {
    Input(InputAs),
    Of(Of),
}

/// What is in a file that a program finds.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    /// This text, with placeholders.
    Text(String),
    Of(Of),
}

/// A file of the run, or an artifact of a step that this one depends on.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Of {
    Run { file: String },
    Step { step: Name, artifact: String },
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

/// What is the task's output.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Output {
    /// Of standard output.
    Of(OutputAs),
    /// The last JSON document of a file.
    File { file: String },
}

/// What of standard output is the task's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OutputAs {
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
        assert!(matches!(config.stdin, Stdin::Of(Of::Run { file }) if file == "rows"));
        assert!(matches!(config.stdout, Stdout::Artifact { artifact } if artifact == "out.csv"));
        assert!(matches!(config.output, Output::Of(OutputAs::None)));
        let config = Config::of(r#"{"stdin":"json","stdout":"log"}"#).unwrap();
        assert!(matches!(config.stdin, Stdin::Input(InputAs::Json)) && matches!(config.stdout, Stdout::Word(_)));
    }

    #[test]
    fn files_come_and_go_as_the_configuration_says() {
        let config = r#"{"files":{"a":"text","b":{"file":"rows"},"c":{"step":"s","artifact":"x"}},"output":{"file":"out.json"}}"#;
        let config = Config::of(config).unwrap();
        assert!(matches!(&config.files["a"], Content::Text(text) if text == "text"));
        assert!(matches!(&config.files["b"], Content::Of(Of::Run { file }) if file == "rows"));
        assert!(matches!(&config.files["c"], Content::Of(Of::Step { artifact, .. }) if artifact == "x"));
        assert!(matches!(config.output, Output::File { file } if file == "out.json"));
    }
}
