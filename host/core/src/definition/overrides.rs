//! Replacing values of a definition from outside, without touching the rest of its text.
//!
//! What is replaced is replaced in place and what is new gets a line of its own, so that comments stay and a diagnostic about the
//! result points to almost the same line as it would in the original.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::diagnostic::{Report, did_you_mean, list, quote};
use super::{Diagnostics, within_limit};

/// The keys of a definition's top level.
const TOP_LEVEL: [&str; 14] = [
    "id",
    "name",
    "description",
    "tags",
    "schedule",
    "timeout",
    "enabled",
    "auto_start",
    "priority",
    "error_tolerance",
    "hooks",
    "parameters",
    "files",
    "step",
];

/// The definition's text with values replaced: `("fast.worker_count", "7")` sets a key of step `fast`, `("timeout", "\"5m\"")` a
/// key of the definition. A value that is no TOML value is taken as a string. Dots in a path go deeper:
/// `slow.limits.memory`. What the values mean is for [`super::load`] to check.
///
/// # Errors
/// What is wrong with the text, a path or a value. A mistake in a path or a value has an empty span at the start of the text.
pub fn with_overrides(text: &str, overrides: &[(String, String)]) -> Result<String, Diagnostics> {
    let mut report = Report::new(text);
    if !within_limit(text, &mut report) {
        return report.finish(None);
    }
    if let (_, errors) = DeTable::parse_recoverable(text)
        && !errors.is_empty()
    {
        report.syntax(&errors);
        return report.finish(None);
    }
    let mut result = text.to_owned();
    for (path, value) in overrides {
        match set(&result, path, &value_text(value), &report) {
            Ok(changed) => result = changed,
            Err((message, help)) => report.add(0..0, message, help),
        }
    }
    report.finish(Some(result))
}

/// A message and a help.
type Refusal = (String, String);

/// The text of a TOML value: of the value that the text is, or else of the text as a string.
fn value_text(text: &str) -> String {
    let value = DeValue::parse(text.trim()).ok().and_then(|_| text.trim().parse::<Value>().ok());
    value.unwrap_or_else(|| Value::String(text.to_owned())).to_string()
}

/// The text with one value set.
fn set(text: &str, path: &str, value: &str, report: &Report<'_>) -> Result<String, Refusal> {
    let root = DeTable::parse(text).map_err(|error| unsettable(path, error.message()))?;
    let keys = resolve(root.get_ref(), path, report)?;
    // Not every text can be changed in every way: the first that leaves a readable text is right.
    let mut refusal = None;
    for edit in edits(root.get_ref(), text, &keys, path)? {
        let changed = apply(text, edit, value);
        match DeTable::parse(&changed) {
            Ok(_) => return Ok(changed),
            Err(error) => refusal = Some(unsettable(path, error.message())),
        }
    }
    Err(refusal.unwrap_or_else(|| unsettable(path, "there is no place for it")))
}

fn apply(text: &str, edit: Edit<'_>, value: &str) -> String {
    match edit {
        Edit::Replace(span) => splice(text, span, value),
        Edit::Insert { at, keys, end } => splice(text, at..at, &format!("{} = {value}{end}", dotted(keys))),
        Edit::Append { header, keys } => {
            let newline = if text.ends_with('\n') { "" } else { "\n" };
            format!("{text}{newline}\n[{}]\n{} = {value}\n", dotted(header), dotted(keys))
        }
    }
}

fn unsettable(path: &str, why: &str) -> Refusal {
    (format!("{} can't be set: {why}", quote(path)), "change it in the definition itself".to_owned())
}

/// The keys on the way from the top of the text to what a path means.
fn resolve(root: &DeTable<'_>, path: &str, report: &Report<'_>) -> Result<Vec<String>, Refusal> {
    let mut keys: Vec<String> = path.split('.').map(str::to_owned).collect();
    if keys.iter().any(String::is_empty) {
        let help = "write it like `timeout` or `fast.worker_count`".to_owned();
        return Err((format!("{} is no path of a value", quote(path)), help));
    }
    let steps: Vec<&str> = root
        .get("step")
        .and_then(|steps| steps.get_ref().as_table())
        .map_or_else(Vec::new, |steps| steps.keys().map(|name| name.get_ref().as_ref()).collect());
    let first = keys[0].as_str();
    if keys.len() > 1 && steps.contains(&first) {
        keys.insert(0, "step".to_owned());
        return Ok(keys);
    }
    let step = if first == "step" { keys.get(1).map(String::as_str) } else { None };
    let (unknown, what) = match step {
        Some(step) if steps.contains(&step) && keys.len() > 2 => return Ok(keys),
        Some(step) if !steps.contains(&step) => (step, "step"),
        None if steps.contains(&first) => (first, ""),
        None if first != "step" && TOP_LEVEL.contains(&first) => return Ok(keys),
        None if first != "step" => (first, if keys.len() > 1 { "step" } else { "key" }),
        _ => (first, ""),
    };
    if what.is_empty() {
        let help = "name a key of a step, like `fast.timeout`".to_owned();
        return Err((format!("{} is a step, not a value", quote(path)), help));
    }
    let names = || steps.iter().copied().chain(TOP_LEVEL.into_iter().filter(|key| step.is_none() && *key != "step"));
    let help = report.nearest(unknown, names()).map_or_else(|| format!("use {}", list(names(), "or")), did_you_mean);
    Err((format!("{} can't be set: there is no {what} {}", quote(path), quote(unknown)), help))
}

/// How the text changes.
enum Edit<'k> {
    /// A value is there already.
    Replace(Range<usize>),
    /// A key is added where this is said to be, with what has to follow its value.
    Insert { at: usize, keys: &'k [String], end: &'static str },
    /// A table is added at the end.
    Append { header: &'k [String], keys: &'k [String] },
}

/// The ways to set the value at the end of `keys`, the best first.
fn edits<'k>(root: &DeTable<'_>, text: &str, keys: &'k [String], path: &str) -> Result<Vec<Edit<'k>>, Refusal> {
    let mut edits = Vec::new();
    let mut table = root;
    for (depth, key) in keys.iter().enumerate() {
        let Some(value) = table.get(key.as_str()) else { break };
        let last = depth + 1 == keys.len();
        match value.get_ref() {
            DeValue::Table(_) if last => {
                return Err((format!("{} is a table, not a value", quote(path)), "name a key in it".to_owned()));
            }
            DeValue::Table(inner) => table = inner,
            _ if last => return Ok(vec![Edit::Replace(value.span())]),
            _ => {
                let help = "leave out what comes after it".to_owned();
                return Err((format!("{} can't be set: {} is no table", quote(path), quote(key)), help));
            }
        }
        if let Some((at, end)) = place_in(value, text) {
            edits.insert(0, Edit::Insert { at, keys: &keys[depth + 1..], end });
        }
    }
    if let ("step", 3..) = (keys[0].as_str(), keys.len()) {
        edits.push(Edit::Append { header: &keys[..2], keys: &keys[2..] });
    }
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    edits.push(Edit::Insert { at: start, keys, end: "\n" });
    Ok(edits)
}

/// Where a key of a table can be added, and what has to follow it; absent where the table is implied by others.
fn place_in(table: &Spanned<DeValue<'_>>, text: &str) -> Option<(usize, &'static str)> {
    let span = table.span();
    match text.as_bytes().get(span.start)? {
        // In braces, before the first key.
        b'{' => {
            let empty = table.get_ref().as_table().is_some_and(|table| table.is_empty());
            Some((span.start + 1, if empty { "" } else { ", " }))
        }
        // Below the header's line.
        b'[' => Some((text[span.end..].find('\n').map_or(text.len(), |at| span.end + at + 1), "\n")),
        _ => None,
    }
}

/// Replaces a part of a text. What comes on a line of its own at the very end gets one.
fn splice(text: &str, span: Range<usize>, with: &str) -> String {
    let (before, after) = (&text[..span.start], &text[span.end..]);
    let newline = if after.is_empty() && with.ends_with('\n') && !before.is_empty() && !before.ends_with(['\n', '\u{feff}']) {
        "\n"
    } else {
        ""
    };
    format!("{before}{newline}{with}{after}")
}

/// Keys as TOML writes them: bare where they may be.
fn dotted(keys: &[String]) -> String {
    let bare = |key: &String| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let shown: Vec<_> =
        keys.iter().map(|key| if bare(key) { key.clone() } else { Value::String(key.clone()).to_string() }).collect();
    shown.join(".")
}
