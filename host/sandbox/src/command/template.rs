//! Placeholders in a command's arguments: `${input.name}` and the like.

use serde_json::Value;

/// A step's configuration can't be used; what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Mistake(String);

impl Mistake {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }
}

/// What placeholders stand for.
pub(super) struct Scope<'a> {
    /// The task's input; absent while the step is planned.
    pub(super) input: Option<&'a Value>,
    pub(super) parameters: &'a Value,
    /// Names that stand for a text.
    pub(super) words: Vec<(&'static str, &'a str)>,
}

impl<'a> Scope<'a> {
    /// What there is before any task.
    pub(super) const fn of_plan(parameters: &'a Value) -> Self {
        Self { input: None, parameters, words: Vec::new() }
    }

    /// A text with its placeholders replaced: a string by itself, `null` by nothing, anything else by its JSON.
    pub(super) fn text(&self, template: &str) -> Result<String, Mistake> {
        let (mut text, mut rest) = (String::new(), template);
        while let Some(start) = rest.find("${") {
            if let Some(before) = rest[..start].strip_suffix('$') {
                text.push_str(before);
                text.push_str("${");
                rest = &rest[start + 2..];
                continue;
            }
            text.push_str(&rest[..start]);
            let end = rest[start..].find('}').ok_or_else(|| Mistake(format!("`{template}`: a `${{` without its `}}`")))?;
            match self.find(&rest[start + 2..start + end])? {
                Value::String(value) => text.push_str(&value),
                Value::Null => {}
                value => text.push_str(&value.to_string()),
            }
            rest = &rest[start + end + 1..];
        }
        text.push_str(rest);
        Ok(text)
    }

    /// The value of a text that is one placeholder and nothing else.
    pub(super) fn value(&self, template: &str) -> Result<Value, Mistake> {
        let path = template.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        self.find(path.ok_or_else(|| Mistake(format!("`{template}` is no placeholder, as `${{parameters.names}}`")))?)
    }

    fn find(&self, path: &str) -> Result<Value, Mistake> {
        let mut parts = path.split('.');
        let root = parts.next().unwrap_or_default();
        let mut value = match root {
            "input" => self.input.ok_or_else(|| Mistake(format!("`${{{path}}}`: a step that is planned has no input")))?,
            "parameters" => self.parameters,
            _ => {
                let word = self.words.iter().find(|(name, _)| *name == path).map(|(_, text)| Value::from(*text));
                return word.ok_or_else(|| {
                    Mistake(format!("`${{{path}}}` is unknown: use input, parameters, key, attempt, run or step, or `$${{`"))
                });
            }
        };
        for part in parts {
            let member = match value {
                Value::Array(items) => part.parse().ok().and_then(|index: usize| items.get(index)),
                value => value.get(part),
            };
            value = member.ok_or_else(|| Mistake(format!("`${{{path}}}`: there is no `{part}`")))?;
        }
        Ok(value.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(template: &str) -> Result<String, String> {
        let (input, parameters) = (json!({ "name": "Ada", "ages": [36, null] }), json!({ "deep": { "er": true } }));
        let scope = Scope { input: Some(&input), parameters: &parameters, words: vec![("key", "item-1")] };
        scope.text(template).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn placeholders_are_replaced_by_what_they_name() {
        assert_eq!(text("plain").unwrap(), "plain");
        assert_eq!(text("--name=${input.name}!").unwrap(), "--name=Ada!");
        assert_eq!(text("${input.ages.0}${input.ages.1}").unwrap(), "36");
        assert_eq!(text("${input.ages} ${parameters.deep.er} ${key}").unwrap(), "[36,null] true item-1");
    }

    #[test]
    fn what_is_escaped_or_unfinished_is_told_apart() {
        assert_eq!(text("$${input} $5 {x}").unwrap(), "${input} $5 {x}");
        assert!(text("a ${input").unwrap_err().contains("without its"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(text("${input.other}").unwrap_err().contains("no `other`"));
        assert!(text("${input.name.x}").unwrap_err().contains("no `x`"));
        assert!(text("${inptu}").unwrap_err().contains("unknown"));
    }

    #[test]
    fn a_step_that_is_planned_has_no_input() {
        let parameters = json!({ "names": ["a"] });
        let scope = Scope::of_plan(&parameters);
        assert_eq!(scope.value("${parameters.names}").unwrap(), json!(["a"]));
        assert!(scope.value("${input}").is_err());
        assert!(scope.value("names").is_err());
    }
}
