//! Log lines as bytes, fast: what [`LogLine`](crate::model::LogLine) serialises to, without making one.

use std::io::Write as _;

use bulkhead_core::log::Level;
use bulkhead_core::plan::Plan;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::LogRecord;

use crate::model::Time;

/// Writes the lines of one run.
pub(crate) struct LineEncoder {
    /// The steps' names. A name needs no escape in JSON.
    steps: Vec<String>,
    /// Bytes after which messages are cut and fields left out.
    cut: usize,
    /// The second that was written last, and its text up to the full second: neighbours mostly share it.
    second: u64,
    prefix: String,
}

impl LineEncoder {
    /// For lines of a run with this plan.
    pub(crate) fn new(plan: &Plan) -> Self {
        let steps = plan.steps.iter().map(|step| step.name.to_string()).collect();
        Self { steps, cut: usize::MAX, second: u64::MAX, prefix: String::new() }
    }

    /// The same, with messages cut and fields left out that have more bytes than these.
    pub(crate) fn cut_after(self, bytes: Option<u32>) -> Self {
        Self { cut: bytes.map_or(usize::MAX, |bytes| bytes as usize), ..self }
    }

    fn step(&self, line: &LogRecord) -> &str {
        self.steps.get(line.step.get()).map_or("", String::as_str)
    }

    /// A line as a JSON object.
    pub(crate) fn json(&mut self, line: &LogRecord, out: &mut Vec<u8>) {
        let LogRecord { seq, step_seq, task, attempt, .. } = *line;
        let step = self.step(line);
        let _ = write!(out, r#"{{"seq":{seq},"step":"{step}","step_seq":{step_seq},"task":{task},"attempt":{attempt},"at":""#);
        self.moment(line.at, out);
        let _ = write!(out, r#"","level":"{}","source":"{}","message":"#, line.level.name(), line.source.name());
        let fields = line.fields.as_deref().unwrap_or_default();
        let _ = serde_json::to_writer(&mut *out, &line.message[..line.message.floor_char_boundary(self.cut)]);
        if !fields.is_empty() && fields.len() <= self.cut {
            out.extend_from_slice(b",\"fields\":");
            fields_in_one_line(fields, out);
        }
        if line.message.len() > self.cut || fields.len() > self.cut {
            let _ = write!(out, r#","full_bytes":{}"#, line.message.len() + fields.len());
        }
        out.push(b'}');
    }

    /// A line as a person reads it. A line break in the message stays one line.
    pub(crate) fn text(&mut self, line: &LogRecord, out: &mut Vec<u8>) {
        self.moment(line.at, out);
        let level = match line.level {
            Level::Debug => "DEBUG",
            Level::Info => "INFO ",
            Level::Warn => "WARN ",
            Level::Error => "ERROR",
        };
        let _ = write!(out, " {level} {}/{} ", self.step(line), line.task);
        for (index, part) in line.message.split(['\n', '\r']).enumerate() {
            if index > 0 {
                out.extend_from_slice("⏎".as_bytes());
            }
            out.extend_from_slice(part.as_bytes());
        }
        if let Some(fields) = line.fields.as_deref() {
            out.push(b' ');
            fields_in_one_line(fields, out);
        }
        out.push(b'\n');
    }

    /// A line as a server-sent event of the default type.
    pub(crate) fn event(&mut self, line: &LogRecord, out: &mut Vec<u8>) {
        let _ = write!(out, "id: {}\ndata: ", line.seq);
        self.json(line, out);
        out.extend_from_slice(b"\n\n");
    }

    /// A moment as [`Time`] writes it.
    fn moment(&mut self, at: Timestamp, out: &mut Vec<u8>) {
        let (second, micros) = (at.as_micros() / 1_000_000, at.as_micros() % 1_000_000);
        if second != self.second {
            let text = Time::from(Timestamp::from_micros(second.saturating_mul(1_000_000))).to_string();
            self.prefix.clear();
            self.prefix.push_str(text.trim_end_matches("000000Z"));
            self.second = second;
        }
        out.extend_from_slice(self.prefix.as_bytes());
        let mut digits = *b"000000Z";
        let mut rest = micros;
        for digit in digits[..6].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits);
    }
}

/// JSON text as it is. A line break between its parts would end the line that it goes into, so then it is written anew.
fn fields_in_one_line(fields: &str, out: &mut Vec<u8>) {
    if !fields.contains(['\n', '\r']) {
        out.extend_from_slice(fields.as_bytes());
        return;
    }
    let parsed: serde_json::Value = serde_json::from_str(fields).unwrap_or_else(|_| fields.into());
    let _ = serde_json::to_writer(&mut *out, &parsed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LogLine;
    use bulkhead_core::id::{Digest, StepIndex};
    use bulkhead_core::log::Source;
    use bulkhead_core::plan::{ErrorTolerance, Grants, Limits, OnError, PluginRef, Priority, RetryPolicy, StepPlan};
    use std::time::Duration;

    fn plan() -> Plan {
        let name = |text: &str| text.parse().unwrap();
        let step = StepPlan {
            name: name("fast"),
            description: String::new(),
            plugin: PluginRef { name: name("noop"), digest: Digest::from_bytes([0; 32]) },
            depends: vec![],
            on_error: OnError::Fail,
            concurrency: None,
            timeout: Duration::from_secs(1),
            retry: RetryPolicy::default(),
            limits: Limits::default(),
            allow: Grants::default(),
            config: "{}".to_owned(),
        };
        Plan {
            definition: name("x"),
            name: String::new(),
            tags: vec![],
            priority: Priority::default(),
            timeout: None,
            tolerance: ErrorTolerance::default(),
            steps: vec![step],
        }
    }

    fn record(seq: u64, micros: u64, message: &str, fields: Option<&str>) -> LogRecord {
        LogRecord {
            seq,
            step_seq: seq,
            step: StepIndex(0),
            task: 3,
            attempt: 1,
            attempt_line: 0,
            at: Timestamp::from_micros(micros),
            level: Level::Warn,
            source: Source::Stderr,
            message: message.into(),
            fields: fields.map(Into::into),
        }
    }

    #[test]
    fn a_line_is_encoded_as_the_model_serialises_it() {
        let plan = plan();
        let mut encoder = LineEncoder::new(&plan);
        let hostile = "a \"quote\"\n\r\u{1b}[31m <b> \u{2028} \u{202e} ✓ \0";
        for line in [
            record(1, 1_772_352_930_000_250, "plain", None),
            record(2, 1_772_352_930_999_999, hostile, Some(r#"{"a":1}"#)),
            record(3, 5, "", Some(r#"{"text":"\n"}"#)),
        ] {
            let mut bytes = Vec::new();
            encoder.json(&line, &mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), serde_json::to_string(&LogLine::new(&line, &plan)).unwrap());
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_says_so() {
        let mut encoder = LineEncoder::new(&plan()).cut_after(Some(4));
        let mut encoded = |message: &str, fields| {
            let mut bytes = Vec::new();
            encoder.json(&record(1, 5, message, fields), &mut bytes);
            let line: LogLine = serde_json::from_slice(&bytes).unwrap();
            (line.message, line.fields.is_some(), line.full_bytes)
        };
        assert_eq!(encoded("four", None), ("four".to_owned(), false, None));
        assert_eq!(encoded("aaaé", Some("{}")), ("aaa".to_owned(), true, Some(7)));
        assert_eq!(encoded("a", Some(r#"{"b":1}"#)), ("a".to_owned(), false, Some(8)));
    }

    #[test]
    fn one_line_stays_one_line() {
        let mut encoder = LineEncoder::new(&plan());
        let line = record(7, 1_772_352_930_000_250, "two\nlines", Some("{\n \"a\": 1\r\n}"));
        let (mut json, mut text, mut event) = (Vec::new(), Vec::new(), Vec::new());
        encoder.json(&line, &mut json);
        encoder.text(&line, &mut text);
        encoder.event(&line, &mut event);
        assert!(!json.contains(&b'\n') && !json.contains(&b'\r'));
        assert_eq!(String::from_utf8(text).unwrap(), "2026-03-01T08:15:30.000250Z WARN  fast/3 two⏎lines {\"a\":1}\n");
        let event = String::from_utf8(event).unwrap();
        assert!(event.starts_with("id: 7\ndata: {\"seq\":7,") && event.ends_with("}\n\n") && event.matches('\n').count() == 3);
    }
}
