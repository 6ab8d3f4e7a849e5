//! Durations and sizes.

use std::time::Duration;

use proptest::prelude::*;

use crate::definition::units::{parse_duration, parse_size, show_duration, show_size};

#[test]
fn durations_are_numbers_with_units() {
    let rows = [
        ("500ms", 500),
        ("30s", 30_000),
        ("2m", 120_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        (" 1h 5ms ", 3_600_005),
        ("0s", 0),
    ];
    for (text, millis) in rows {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    let refused = [
        ("", "it is empty"),
        ("5", "a number has no unit"),
        ("s", "it does not start with a number"),
        ("-5s", "it is negative"),
        ("1.5s", "its numbers have to be whole"),
        ("5w", "a unit is unknown"),
        ("5m1h", "its units are not in order, the greatest first"),
        ("5m5m", "its units are not in order, the greatest first"),
        ("99999999999999999999s", "a number is too large"),
        ("999999999999999999d", "it is too long"),
    ];
    for (text, why) in refused {
        assert_eq!(parse_duration(text), Err(why), "{text}");
    }
}

#[test]
fn sizes_are_a_number_with_a_unit() {
    let rows = [("64MiB", 64 << 20), ("1GiB", 1 << 30), ("512KiB", 512 << 10), ("10MB", 10_000_000), ("7 kB", 7_000), ("1B", 1)];
    for (text, bytes) in rows {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    let refused = [
        ("", "it is empty"),
        ("64", "it has no unit"),
        ("64M", "its unit is unknown"),
        ("1.5GiB", "its numbers have to be whole"),
        ("99999999999GiB", "it is too large"),
    ];
    for (text, why) in refused {
        assert_eq!(parse_size(text), Err(why), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(number in 0..u64::MAX / 2) {
        prop_assert_eq!(parse_size(&show_size(number)), Ok(number));
        let duration = Duration::from_millis(number);
        prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
    }

    #[test]
    fn no_text_does_harm(text in ".{0,40}") {
        let _ = (parse_size(&text), parse_duration(&text));
    }
}
