//! Lines that are JSON objects: what structured loggers write.

use bulkhead_core::log::Level;
use serde_json::Map;
use serde_json::value::{RawValue, Value};

/// The members that hold the text, the first that is there.
const MESSAGE: [&str; 3] = ["message", "msg", "event"];
/// The members that hold the level.
const LEVEL: [&str; 3] = ["level", "severity", "lvl"];

/// A line, as its structure tells it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Structured {
    pub(super) level: Option<Level>,
    pub(super) message: String,
    /// The other members: a JSON object.
    pub(super) fields: Option<String>,
}

/// Takes a line apart that is a JSON object with a text; any other line is a text itself.
pub(super) fn parse(line: &str) -> Option<Structured> {
    if !line.trim_start().starts_with('{') {
        return None;
    }
    // Numbers of any size stay as they are written.
    let mut members: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(line).ok()?;
    let name = MESSAGE.into_iter().find(|name| members.contains_key(*name))?;
    let message = serde_json::from_str(members[name].get()).ok()?;
    members.remove(name);
    let mut level = None;
    for name in LEVEL {
        if level.is_none()
            && let Some(found) = members.get(name).and_then(|value| level_of(value.get()))
        {
            level = Some(found);
            members.remove(name);
        }
    }
    let fields = (!members.is_empty()).then(|| serde_json::to_string(&members).unwrap_or_default());
    // Deeper than the contract allows: a text then.
    if fields.as_deref().is_some_and(|fields| serde_json::from_str::<Map<String, Value>>(fields).is_err()) {
        return None;
    }
    Some(Structured { level, message, fields })
}

/// The level of a name in any of the usual spellings, or of a number as Bunyan and Pino write it.
fn level_of(value: &str) -> Option<Level> {
    let name: String = match serde_json::from_str(value).ok()? {
        Value::String(name) => name.to_ascii_lowercase(),
        Value::Number(number) => {
            return match number.as_u64()? {
                10 | 20 => Some(Level::Debug),
                30 => Some(Level::Info),
                40 => Some(Level::Warn),
                50 | 60 => Some(Level::Error),
                _ => None,
            };
        }
        _ => return None,
    };
    match name.as_str() {
        "trace" | "debug" => Some(Level::Debug),
        "info" | "notice" => Some(Level::Info),
        "warn" | "warning" => Some(Level::Warn),
        "error" | "err" | "critical" | "fatal" | "panic" => Some(Level::Error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structured(level: Option<Level>, message: &str, fields: Option<&str>) -> Option<Structured> {
        Some(Structured { level, message: message.to_owned(), fields: fields.map(str::to_owned) })
    }

    #[test]
    fn a_loggers_line_is_taken_apart() {
        let line = r#"{"time":"2026-01-01T00:00:00Z","level":"WARN","msg":"low water","boiler":3,"big":12345678901234567890123}"#;
        let fields = r#"{"big":12345678901234567890123,"boiler":3,"time":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(parse(line), structured(Some(Level::Warn), "low water", Some(fields)));
        assert_eq!(parse(r#"{"level":50,"msg":"x"}"#), structured(Some(Level::Error), "x", None));
        assert_eq!(parse(r#"{"message":"x"}"#), structured(None, "x", None));
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        for line in ["", "plain", "{broken", "[1]", r#"{"count":3}"#, r#"{"msg":{"not":"a text"}}"#] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_no_level_stays_a_field() {
        assert_eq!(parse(r#"{"level":"loud","msg":"x"}"#), structured(None, "x", Some(r#"{"level":"loud"}"#)));
    }

    #[test]
    fn fields_that_are_too_deep_are_a_text() {
        let line = format!(r#"{{"msg":"x","deep":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert_eq!(parse(&line), None);
    }
}
