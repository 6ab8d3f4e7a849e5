//! What one attempt may use (`limits`) and what a plugin is given beyond the contract (`allow`).

use super::diagnostic::{Report, quote};
use super::reader::{Field, Reader};
use crate::host_pattern::HostPattern;
use crate::plan::{Grants, Limits, LogOverflow};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// More of any number than a host can count in a run of a month.
const MANY: u64 = 1_000_000_000_000;

/// The most environment variables, and the most host patterns.
const MAX_GRANTS: usize = 100;

/// Reads `limits`.
pub(super) fn read(field: &Field<'_>, report: &mut Report<'_>) -> Option<Limits> {
    let table = field.table(report, "`limits = { memory = \"64MiB\" }`")?;
    let mut reader = Reader::new(table, "`limits`", field.header(report));
    let default = Limits::default();
    let overflows = [("suppress", LogOverflow::Suppress), ("fail", LogOverflow::Fail)];
    let fuel = reader.optional("fuel").and_then(|field| field.integer(report, 1..=MANY * 1_000_000));
    // A page of WebAssembly memory has 64 KiB, and a 32-bit memory at most 4 GiB.
    let memory = reader.optional("memory").and_then(|field| field.size(report, 64 * KIB..=4 * GIB));
    // The stacks of all slots are mapped at once, so that no plugin asks for a huge one.
    let stack = reader.optional("stack").and_then(|field| field.size(report, 64 * KIB..=MIB));
    let log_lines = reader.optional("log_lines").and_then(|field| field.integer(report, 0..=MANY));
    let log_bytes = reader.optional("log_bytes").and_then(|field| field.size(report, 0..=1024 * GIB));
    // A line has to hold at least the note that it was cut; a store holds it in one record.
    let log_line_bytes = reader.optional("log_line_bytes").and_then(|field| field.size(report, 64..=MIB));
    let log_overflow = reader.optional("log_overflow").and_then(|field| field.choice(report, &overflows));
    // An output is one record of the store and one body of a response.
    let output_bytes = reader.optional("output_bytes").and_then(|field| field.size(report, 0..=64 * MIB));
    let spawned_tasks = reader.optional("spawned_tasks").and_then(|field| field.small_integer(report, 0..=1_000_000));
    let host_calls = reader.optional("host_calls").and_then(|field| field.integer(report, 1..=MANY));
    let http_requests = reader.optional("http_requests").and_then(|field| field.integer(report, 0..=MANY));
    let http_request_bytes = reader.optional("http_request_bytes").and_then(|field| field.size(report, 0..=1024 * GIB));
    let http_response_bytes = reader.optional("http_response_bytes").and_then(|field| field.size(report, 0..=1024 * GIB));
    reader.finish(report);
    Some(Limits {
        fuel: fuel.or(default.fuel),
        memory: memory.unwrap_or(default.memory),
        stack: stack.unwrap_or(default.stack),
        log_lines: log_lines.unwrap_or(default.log_lines),
        log_bytes: log_bytes.unwrap_or(default.log_bytes),
        log_line_bytes: log_line_bytes.unwrap_or(default.log_line_bytes),
        log_overflow: log_overflow.unwrap_or(default.log_overflow),
        output_bytes: output_bytes.unwrap_or(default.output_bytes),
        spawned_tasks: spawned_tasks.unwrap_or(default.spawned_tasks),
        host_calls: host_calls.unwrap_or(default.host_calls),
        http_requests: http_requests.unwrap_or(default.http_requests),
        http_request_bytes: http_request_bytes.unwrap_or(default.http_request_bytes),
        http_response_bytes: http_response_bytes.unwrap_or(default.http_response_bytes),
    })
}

/// Reads `allow`.
pub(super) fn read_grants(field: &Field<'_>, report: &mut Report<'_>) -> Option<Grants> {
    let table = field.table(report, "`allow = { http = [\"api.example.com\"] }`")?;
    let mut reader = Reader::new(table, "`allow`", field.header(report));
    let env = reader.optional("env").map(|field| grants(&field, report, variable)).unwrap_or_default();
    let http = reader.optional("http").map(|field| grants(&field, report, host_pattern)).unwrap_or_default();
    reader.finish(report);
    Some(Grants { env, http })
}

/// Reads a list of grants, each with `parse`, whose error is the help.
fn grants(field: &Field<'_>, report: &mut Report<'_>, parse: fn(&str) -> Result<String, String>) -> Vec<String> {
    let items = field.strings(report);
    if items.len() > MAX_GRANTS {
        let message = format!("{} has {} entries, but at most {MAX_GRANTS} are allowed", quote(field.key), items.len());
        report.add(field.span.clone(), message, "use patterns, or leave some out".to_owned());
        return Vec::new();
    }
    let mut kept = Vec::new();
    for (text, span) in items {
        match parse(text) {
            Ok(grant) if kept.contains(&grant) => {
                report.add(span, format!("{} is given twice", quote(text)), "leave one out".to_owned());
            }
            Ok(grant) => kept.push(grant),
            Err(help) => report.add(span, format!("{} can't be granted in {}", quote(text), quote(field.key)), help),
        }
    }
    kept
}

/// The name of an environment variable.
fn variable(text: &str) -> Result<String, String> {
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let valid = text.len() <= 255 && text.chars().all(plain) && text.starts_with(|char: char| !char.is_ascii_digit());
    if valid { Ok(text.to_owned()) } else { Err("name one variable, of A-Z, a-z, 0-9 and `_`".to_owned()) }
}

/// A host pattern, as it is compared: in lower case.
fn host_pattern(text: &str) -> Result<String, String> {
    text.parse::<HostPattern>().map(|pattern| pattern.to_string()).map_err(|error| error.0)
}
