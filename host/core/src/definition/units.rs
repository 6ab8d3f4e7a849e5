//! Durations and sizes: a number never stands without its unit.

use std::time::Duration;

/// What a duration looks like.
pub(super) const DURATION_HELP: &str = "write numbers with units (d, h, m, s, ms), like \"30s\" or \"1h30m\"";

/// What a size looks like.
pub(super) const SIZE_HELP: &str = "write a number with a unit (B, KiB, MiB, GiB, kB, MB, GB), like \"64MiB\"";

/// Units of time, the greatest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size in bytes; those that printing prefers come first, the greatest first.
const SIZE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads a duration: numbers with units, each unit at most once, the greatest first. The error says what is wrong with it.
pub(super) fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text.trim();
    let mut units = TIME_UNITS.as_slice();
    let mut millis: u64 = 0;
    if rest.is_empty() {
        return Err("it is empty");
    }
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let letters = after.len() - after.trim_start_matches(|char: char| char.is_alphabetic()).len();
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err("a number has no unit");
        }
        let Some(at) = units.iter().position(|(name, _)| *name == unit) else {
            let known = TIME_UNITS.iter().any(|(name, _)| *name == unit);
            return Err(if known { "its units are not in order, the greatest first" } else { "a unit is unknown" });
        };
        let part = number.checked_mul(units[at].1).and_then(|part| millis.checked_add(part));
        millis = part.ok_or("it is too long")?;
        units = &units[at + 1..];
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(millis))
}

/// Reads a size: a number with a unit. The error says what is wrong with it.
pub(super) fn parse_size(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty");
    }
    let (number, unit) = leading_number(text)?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err("it has no unit");
    }
    let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or("its unit is unknown")?;
    number.checked_mul(*bytes).ok_or("it is too large")
}

/// The whole number at the start of a text, and what comes after it.
fn leading_number(text: &str) -> Result<(u64, &str), &'static str> {
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    if number.is_empty() {
        return Err(if rest.starts_with('-') { "it is negative" } else { "it does not start with a number" });
    }
    if rest.starts_with(['.', ',']) {
        return Err("its numbers have to be whole");
    }
    Ok((number.parse().map_err(|_| "a number is too large")?, rest))
}

/// A duration as [`parse_duration`] reads it.
pub(super) fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, millis) in TIME_UNITS {
        if rest >= millis {
            text.push_str(&format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A size as [`parse_size`] reads it, in the greatest unit of which it is a multiple.
pub(super) fn show_size(bytes: u64) -> String {
    let (unit, size) = SIZE_UNITS.into_iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size)).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / size)
}
