//! Cleaning: each way gives a normal form, or leaves a text as it is.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

use crate::Record;
use crate::config::Clean;

/// Cleans a field of a record, if it is a text.
pub(crate) fn clean(record: &mut Record, name: &str, ways: &[Clean]) {
    if let Some(Value::String(text)) = record.get_mut(name) {
        for way in ways {
            *text = cleaned(text, *way);
        }
    }
}

fn cleaned(text: &str, way: Clean) -> String {
    match way {
        Clean::Trim => text.trim().to_owned(),
        Clean::Squeeze => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Clean::Lower => text.to_lowercase(),
        Clean::Upper => text.to_uppercase(),
        Clean::Title => title(text),
        Clean::Nfc => text.nfc().collect(),
        Clean::Nfkc => text.nfkc().collect(),
        Clean::Date => date(text.trim()).unwrap_or_else(|| text.to_owned()),
        Clean::Number => number(text).unwrap_or_else(|| text.to_owned()),
        Clean::Email => email(text),
        Clean::Phone => phone(text).unwrap_or_else(|| text.to_owned()),
    }
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for char in text.chars() {
        if inside {
            out.extend(char.to_lowercase())
        } else {
            out.extend(char.to_uppercase())
        }
        inside = char.is_alphanumeric() || char == '\'' || char == '’';
    }
    out
}

/// The date in the order of ISO 8601, if it is one of the calendar.
fn date(text: &str) -> Option<String> {
    let parts = |separator: char| {
        let mut parts = text.split(separator).map(|part| part.trim().parse::<u32>().ok());
        let three = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(three)
    };
    let (year, month, day) = if let Some((year, month, day)) = parts('-') {
        (year, month, day)
    } else if let Some((day, month, year)) = parts('.') {
        (year, month, day)
    } else {
        let (month, day, year) = parts('/')?;
        (year, month, day)
    };
    let iso = format!("{year:04}-{month:02}-{day:02}");
    is_date(&iso).then_some(iso)
}

/// Whether a text is a date as 2026-03-31 that the Gregorian calendar has.
pub(crate) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
    if !shaped {
        return false;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u32>().unwrap_or(0);
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

/// The number with a decimal point and nothing else.
fn number(text: &str) -> Option<String> {
    let kept: String =
        text.chars().filter(|char| !char.is_whitespace() && !matches!(char, '€' | '$' | '£' | '\'' | '_')).collect();
    let (sign, digits) = match kept.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", kept.strip_prefix('+').unwrap_or(&kept)),
    };
    let (points, commas) = (digits.matches('.').count(), digits.matches(',').count());
    // The last of two different separators is the decimal one. One of a kind that stands before three digits groups thousands
    // where it is a comma; several of a kind always do.
    let decimal = match (points, commas) {
        (0, 0) => None,
        (_, 0) => (points == 1).then_some('.'),
        (0, _) => (commas == 1 && digits.rsplit(',').next().map(str::len) != Some(3)).then_some(','),
        _ => digits.rfind(['.', ',']).and_then(|at| digits[at..].chars().next()),
    };
    let (whole, fraction) = match decimal {
        Some(decimal) => digits.rsplit_once(decimal)?,
        None => (digits, ""),
    };
    let whole: String = whole.chars().filter(|char| !matches!(char, '.' | ',')).collect();
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(&whole) || !plain(fraction) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if whole == "0" && fraction.is_empty() { "" } else { sign };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn email(text: &str) -> String {
    let text = text.trim();
    let inner = text.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or(text);
    inner.strip_prefix("mailto:").unwrap_or(inner).trim().to_lowercase()
}

fn phone(text: &str) -> Option<String> {
    let separator = |char: &char| char.is_whitespace() || matches!(char, '-' | '/' | '.' | '(' | ')');
    let kept: String = text.chars().filter(|char| !separator(char)).collect();
    let digits =
        kept.strip_prefix('+').or_else(|| kept.strip_prefix("00")).map_or_else(|| kept.clone(), |rest| format!("+{rest}"));
    digits.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_gives_a_normal_form_or_leaves_the_text() {
        for (way, text, expected) in [
            (Clean::Trim, " a b\t", "a b"),
            (Clean::Squeeze, "  a \n b ", "a b"),
            (Clean::Title, "anna-lena O'NEIL müller", "Anna-Lena O'neil Müller"),
            (Clean::Nfc, "Cafe\u{301}", "Café"),
            (Clean::Nfkc, "Ｆｏｏ ﬁ", "Foo fi"),
            (Clean::Date, "31.3.2026", "2026-03-31"),
            (Clean::Date, "2/29/2024", "2024-02-29"),
            (Clean::Date, "2026-2-3", "2026-02-03"),
            (Clean::Date, "2/30/2024", "2/30/2024"),
            (Clean::Date, "soon", "soon"),
            (Clean::Number, "€ 1.234,50", "1234.5"),
            (Clean::Number, "-1,234.50", "-1234.5"),
            (Clean::Number, "1,234", "1234"),
            (Clean::Number, "1,5", "1.5"),
            (Clean::Number, "1.234.567", "1234567"),
            (Clean::Number, "007", "7"),
            (Clean::Number, "-0.0", "0"),
            (Clean::Number, "1e5", "1e5"),
            (Clean::Number, ".", "."),
            (Clean::Email, " Ada <ADA@Example.ORG> ", "ada@example.org"),
            (Clean::Phone, "0049 (30) 123-4567", "+49301234567"),
            (Clean::Phone, "+49 30/1234567", "+49301234567"),
            (Clean::Phone, "call me", "call me"),
        ] {
            assert_eq!(cleaned(text, way), expected, "{way:?} of {text:?}");
            assert_eq!(cleaned(expected, way), expected, "{way:?} is not stable for {expected:?}");
        }
    }
}
