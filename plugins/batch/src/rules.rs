//! Rules: what a field has to look like. The first broken one rejects its record.

use regex_lite::Regex;
use serde_json::{Number, Value};

use crate::Record;
use crate::clean::is_date;
use crate::config::{Field, Kind};
use crate::reject::Reject;

/// The most of a value that a message shows, in characters.
const SHOWN: usize = 80;

/// A pattern, of which all of a text has to be.
pub(crate) fn pattern(text: &str) -> Result<Regex, regex_lite::Error> {
    Regex::new(&format!("^(?:{text})$"))
}

/// Checks a field, and gives it its type.
pub(crate) fn check(record: &mut Record, name: &str, field: &Field) -> Result<(), Reject> {
    let broken = |rule, reason: String| Err(Reject { rule, field: name.to_owned(), reason });
    let is_empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
    let Some(value) = record.get_mut(name).filter(|value| !is_empty(value)) else {
        return if field.required { broken("required", "it is missing".into()) } else { Ok(()) };
    };
    if let Some(kind) = field.kind {
        match typed(value, kind) {
            Some(typed) => *value = typed,
            None => return broken("type", format!("{} is no {}", show(value), expected(kind))),
        }
    }
    if field.min.is_some() || field.max.is_some() {
        let Some(number) = as_number(value) else { return broken("range", format!("{} is no number", show(value))) };
        if let Some(min) = field.min.filter(|min| number < *min) {
            return broken("range", format!("{} is less than {min}", show(value)));
        }
        if let Some(max) = field.max.filter(|max| number > *max) {
            return broken("range", format!("{} is greater than {max}", show(value)));
        }
    }
    let text = as_text(value);
    let length = text.chars().count();
    if let Some(min) = field.min_length.filter(|min| length < *min) {
        return broken("length", format!("it has {length} characters; {min} are the least"));
    }
    if let Some(max) = field.max_length.filter(|max| length > *max) {
        return broken("length", format!("it has {length} characters; {max} are the most"));
    }
    if let Some(wanted) = &field.pattern {
        // It was checked when the step was planned.
        let matches = pattern(wanted).is_ok_and(|pattern| pattern.is_match(&text));
        if !matches {
            return broken("pattern", format!("{} does not match {wanted}", show(value)));
        }
    }
    if !field.one_of.is_empty() && !field.one_of.contains(&text) {
        return broken("one-of", format!("{} is none of {}", show(value), field.one_of.join(", ")));
    }
    Ok(())
}

/// The value as what it has to be, if it is.
fn typed(value: &Value, kind: Kind) -> Option<Value> {
    let text = as_text(value);
    match kind {
        Kind::Text => (!value.is_array() && !value.is_object()).then(|| Value::String(text)),
        Kind::Integer => text.parse::<i64>().ok().map(Value::from),
        Kind::Number => number(&text).map(Value::Number),
        Kind::Boolean => match text.to_lowercase().as_str() {
            "true" | "yes" | "y" | "1" => Some(Value::Bool(true)),
            "false" | "no" | "n" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Date => is_date(&text).then(|| Value::String(text)),
        Kind::Email => is_email(&text).then(|| Value::String(text)),
        Kind::Phone => is_phone(&text).then(|| Value::String(text)),
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Integer => "whole number",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::Date => "date",
        Kind::Email => "e-mail address",
        Kind::Phone => "telephone number with its country",
    }
}

/// A finite number; a whole one stays whole.
fn number(text: &str) -> Option<Number> {
    match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => Number::from_f64(text.parse().ok()?),
    }
}

/// Enough of RFC 5321 to find what is certainly no address.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain = |char: char| !char.is_whitespace() && !char.is_control() && !matches!(char, '<' | '>' | ',' | ';' | '"' | '@');
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|char| char.is_alphanumeric() || char == '-')
    };
    (1..=64).contains(&local.len())
        && local.chars().all(plain)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.contains('.')
        && domain.len() <= 255
        && domain.split('.').all(label)
}

/// E.164: a plus and 7 to 15 digits.
fn is_phone(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
}

/// A value as text: a text as it is, anything else as JSON.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value as a number.
pub(crate) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// A value in a message.
pub(crate) fn show(value: &Value) -> String {
    let text = as_text(value);
    let cut: String = text.chars().take(SHOWN).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("`{cut}{more}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(value: Value, field: Field) -> Result<Value, String> {
        let mut record = Record::new();
        record.insert("x".into(), value);
        match check(&mut record, "x", &field) {
            Ok(()) => Ok(record["x"].clone()),
            Err(reject) => Err(format!("{}: {}", reject.rule, reject.reason)),
        }
    }

    #[test]
    fn types_are_given_and_what_is_none_is_rejected() {
        let kind = |kind| Field { kind: Some(kind), ..Field::default() };
        for (value, of, expected) in [
            (json!("42"), Kind::Integer, Ok(json!(42))),
            (json!("42.5"), Kind::Integer, Err("type: `42.5` is no whole number")),
            (json!("42.5"), Kind::Number, Ok(json!(42.5))),
            (json!("NaN"), Kind::Number, Err("type: `NaN` is no number")),
            (json!("Yes"), Kind::Boolean, Ok(json!(true))),
            (json!("2026-02-29"), Kind::Date, Err("type: `2026-02-29` is no date")),
            (json!("2024-02-29"), Kind::Date, Ok(json!("2024-02-29"))),
            (json!("a@b.example"), Kind::Email, Ok(json!("a@b.example"))),
            (json!("a@b"), Kind::Email, Err("type: `a@b` is no e-mail address")),
            (json!("a..b@c.de"), Kind::Email, Err("type: `a..b@c.de` is no e-mail address")),
            (json!("030 123"), Kind::Phone, Err("type: `030 123` is no telephone number with its country")),
            (json!(7), Kind::Text, Ok(json!("7"))),
            (json!([7]), Kind::Text, Err("type: `[7]` is no text")),
        ] {
            assert_eq!(judged(value.clone(), kind(of)), expected.map_err(str::to_owned), "{value} as {of:?}");
        }
    }

    #[test]
    fn every_rule_names_what_it_found() {
        let any = Field::default;
        for (value, field, expected) in [
            (json!(""), Field { required: true, ..any() }, Err("required: it is missing")),
            (json!(null), Field { required: true, ..any() }, Err("required: it is missing")),
            (json!(""), Field { kind: Some(Kind::Integer), ..any() }, Ok(json!(""))),
            (json!("-3"), Field { min: Some(0.0), ..any() }, Err("range: `-3` is less than 0")),
            (json!(11), Field { max: Some(10.5), ..any() }, Err("range: `11` is greater than 10.5")),
            (json!("x"), Field { max: Some(1.0), ..any() }, Err("range: `x` is no number")),
            (json!("äö"), Field { min_length: Some(3), ..any() }, Err("length: it has 2 characters; 3 are the least")),
            (json!("äö"), Field { max_length: Some(1), ..any() }, Err("length: it has 2 characters; 1 are the most")),
            (json!("ab"), Field { pattern: Some("a|b".into()), ..any() }, Err("pattern: `ab` does not match a|b")),
            (json!("b"), Field { pattern: Some("a|b".into()), ..any() }, Ok(json!("b"))),
            (json!("c"), Field { one_of: vec!["a".into(), "b".into()], ..any() }, Err("one-of: `c` is none of a, b")),
        ] {
            assert_eq!(judged(value, field), expected.map_err(str::to_owned));
        }
    }
}
