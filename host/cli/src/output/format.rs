//! Numbers and times for people.

use std::time::Duration;

use bulkhead_api::model::Time;
use jiff::tz::TimeZone;
use serde::Serialize;

/// `12.3 KiB`; below 1 KiB, `n B`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (count as f64 / 1024.0, 0);
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `950 ms`, `12.3 s`, `4m 05s`, `3h 12m`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", (duration.as_millis() / 100) as f64 / 10.0),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `HH:MM:SS.mmm` in a time zone.
pub(crate) fn clock(at: Time, zone: &TimeZone) -> String {
    let zoned = at.0.to_zoned(zone.clone());
    format!("{:02}:{:02}:{:02}.{:03}", zoned.hour(), zoned.minute(), zoned.second(), zoned.millisecond())
}

/// `YYYY-MM-DD HH:MM:SS` in the machine's time zone.
pub(crate) fn date(at: Time) -> String {
    at.0.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The name that a state, a role or a trigger has on the wire.
pub(crate) fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_three_digits_or_so() {
        assert_eq!(
            [0, 1023, 1024, 1536, 1 << 20, (1 << 30) - 1].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 GiB"]
        );
    }

    #[test]
    fn durations_use_the_unit_that_fits() {
        let texts = [0, 950, 1_000, 59_999, 60_000, 3_599_000, 11_520_000].map(|millis| duration(Duration::from_millis(millis)));
        assert_eq!(texts, ["0 ms", "950 ms", "1.0 s", "59.9 s", "1m 00s", "59m 59s", "3h 12m"]);
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1_000, 60_200, 1_234_567].map(count), ["0", "999", "1,000", "60,200", "1,234,567"]);
    }

    #[test]
    fn clocks_show_milliseconds() {
        assert_eq!(clock("1970-01-01T01:01:01.002003Z".parse().unwrap(), &TimeZone::UTC), "01:01:01.002");
    }
}
