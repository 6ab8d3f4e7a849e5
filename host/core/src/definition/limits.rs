//! What one attempt may use (`limits`) and what a plugin is given beyond the contract (`allow`).

use super::diagnostic::{Report, did_you_mean, quote};
use super::reader::{Field, Reader};
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
    let artifact_bytes = reader.optional("artifact_bytes").and_then(|field| field.size(report, 0..=1024 * GIB));
    let spawned_tasks = reader.optional("spawned_tasks").and_then(|field| field.small_integer(report, 0..=1_000_000));
    let host_calls = reader.optional("host_calls").and_then(|field| field.integer(report, 1..=MANY));
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
        artifact_bytes: artifact_bytes.unwrap_or(default.artifact_bytes),
        spawned_tasks: spawned_tasks.unwrap_or(default.spawned_tasks),
        host_calls: host_calls.unwrap_or(default.host_calls),
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

/// A host pattern: `name`, `*.name`, each with an optional `:port`. Hosts are compared in lower case.
fn host_pattern(text: &str) -> Result<String, String> {
    let help = || "name a host, like `api.example.com`, `*.example.com` or `localhost:8080`".to_owned();
    let pattern = text.to_lowercase();
    if let Some((_, rest)) = pattern.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        return Err(host_pattern(host).map_or_else(|_| help(), |host| did_you_mean(&host)));
    }
    let (host, port) = match pattern.rsplit_once(':') {
        // An IPv6 address stands in brackets, and its colons are its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (pattern.as_str(), None),
    };
    if let Some(port) = port
        && !(port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0))
    {
        return Err("a port is a number from 1 to 65535".to_owned());
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid = address.map_or_else(|| is_host(name), |address| address.parse::<std::net::Ipv6Addr>().is_ok());
    if valid { Ok(pattern) } else { Err(help()) }
}

/// Whether a text is a host's name: labels of letters, digits and inner hyphens.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
