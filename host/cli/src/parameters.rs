//! A run's parameters, from the command line and a file.

use serde_json::{Map, Value};

use crate::args::ParameterArgs;
use crate::error::{CliError, CliResult};

/// The parameters as JSON text: those of the file, with those of the command line on top. None where neither is given.
pub(crate) fn collect(args: &ParameterArgs) -> CliResult<Option<Box<str>>> {
    let mut parameters = match &args.params {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(CliError::read(file))?;
            serde_json::from_str::<Map<String, Value>>(&text)
                .map_err(|error| CliError::usage(format!("{} is no JSON object: {error}", file.display())))?
        }
        None if args.param.is_empty() => return Ok(None),
        None => Map::new(),
    };
    for (key, value) in &args.param {
        parameters.insert(key.clone(), json_or_text(value));
    }
    Ok(Some(Value::Object(parameters).to_string().into()))
}

/// The JSON value that a text is, or else the text.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"a": 1, "b": "x"}"#).unwrap();
        let param = [("b", "true"), ("c", "a b"), ("d", "[1]")].map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let text = collect(&ParameterArgs { param, params: Some(file.path().to_owned()) }).unwrap().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, serde_json::json!({"a": 1, "b": true, "c": "a b", "d": [1]}));
    }

    #[test]
    fn no_parameters_are_none() {
        assert!(collect(&ParameterArgs { param: vec![], params: None }).unwrap().is_none());
    }
}
