//! How a log line looks.

use std::fmt::{self, Write as _};

use bulkhead_api::model::{Level, LogLine, Source};
use jiff::tz::TimeZone;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Paint, Style, format};
use crate::args::LineFormat;

/// Renders lines, always in the same time zone.
#[derive(Clone, Debug)]
pub(crate) struct LineRenderer {
    zone: TimeZone,
    paint: Paint,
    format: LineFormat,
}

impl LineRenderer {
    /// A renderer in this machine's time zone.
    pub(crate) fn new(format: LineFormat, paint: Paint) -> Self {
        Self { zone: TimeZone::system(), paint, format }
    }

    /// The line without its newline. Control characters of the guest are shown, not obeyed: a plugin can't drive the terminal.
    pub(crate) fn render(&self, line: &LogLine) -> String {
        let message = visible(&line.message);
        if self.format == LineFormat::Message {
            return message;
        }
        let mut out = String::with_capacity(64 + message.len());
        if self.format == LineFormat::Numbered {
            let _ = write!(out, "{:>7} ", line.seq);
        }
        out.push_str(&self.paint.paint(Style::Dim, &format::clock(line.at, &self.zone)));
        let (level, style) = match line.level {
            Level::Debug => ("DEBUG", Style::Dim),
            Level::Info => ("INFO ", Style::Green),
            Level::Warn => ("WARN ", Style::Yellow),
            Level::Error => ("ERROR", Style::Red),
        };
        out.extend([" ", &self.paint.paint(style, level), " "]);
        let attempt = if line.attempt > 1 { format!("#{}", line.attempt) } else { String::new() };
        out.push_str(&self.paint.paint(Style::Cyan, &format!("{}/{}{attempt}", line.step, line.task)));
        let source = match line.source {
            Source::Plugin => "",
            Source::Stdout => " [stdout]",
            Source::Stderr => " [stderr]",
            Source::Host => " [host]",
        };
        out.push_str(&self.paint.paint(Style::Dim, source));
        out.extend([" ", &message]);
        if let Some(fields) = &line.fields {
            out.push_str(&self.paint.paint(Style::Dim, &flat(fields.get())));
        }
        out
    }
}

/// ` key=value` for each field of a JSON object, in its order; the text itself where it is none.
fn flat(fields: &str) -> String {
    let Ok(Fields(pairs)) = serde_json::from_str(fields) else {
        return format!(" {}", visible(fields));
    };
    pairs.iter().fold(String::new(), |mut out, (key, value)| {
        let _ = match value {
            Value::String(text) if !text.is_empty() && !text.contains(char::is_whitespace) => {
                write!(out, " {}={}", visible(key), visible(text))
            }
            value => write!(out, " {}={value}", visible(key)),
        };
        out
    })
}

/// A JSON object's members as they were written: a map would sort them.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Fields(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The text with its control characters escaped, except tabs.
fn visible(text: &str) -> String {
    if !text.contains(|letter: char| letter.is_control() && letter != '\t') {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut out, letter| {
        if letter.is_control() && letter != '\t' {
            out.extend(letter.escape_default())
        } else {
            out.push(letter)
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> LogLine {
        let text = r#"{"seq":7,"step":"fast","step_seq":5,"task":3,"attempt":1,"at":"1970-01-01T01:01:01.002003Z","level":"warn",
            "source":"plugin","message":"worker-3 was slow","fields":{"line":4,"host":"a b","file":"x.rs"}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn renderer(format: LineFormat) -> LineRenderer {
        LineRenderer { zone: TimeZone::UTC, paint: Paint::PLAIN, format }
    }

    #[test]
    fn a_line_has_time_level_task_message_and_fields() {
        let text = r#"01:01:01.002 WARN  fast/3 worker-3 was slow line=4 host="a b" file=x.rs"#;
        assert_eq!(renderer(LineFormat::Text).render(&line()), text);
        assert_eq!(renderer(LineFormat::Numbered).render(&line()), format!("      7 {text}"));
        assert_eq!(renderer(LineFormat::Message).render(&line()), "worker-3 was slow");
    }

    #[test]
    fn a_later_attempt_and_another_source_are_named() {
        let line = LogLine { attempt: 2, source: Source::Stderr, fields: None, ..line() };
        assert_eq!(renderer(LineFormat::Text).render(&line), "01:01:01.002 WARN  fast/3#2 [stderr] worker-3 was slow");
    }

    #[test]
    fn a_guest_cannot_drive_the_terminal() {
        let line = LogLine { message: "\x1b[2Jgone\nnext\ttab".into(), ..line() };
        assert_eq!(renderer(LineFormat::Message).render(&line), "\\u{1b}[2Jgone\\nnext\ttab");
    }
}
