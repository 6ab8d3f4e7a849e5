//! Moments on the wire.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bulkhead_core::time::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};

/// A moment: RFC 3339, UTC, with six digits of the second's fraction (`2026-03-01T08:15:30.000250Z`). Any RFC 3339 moment is
/// read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub jiff::Timestamp);

/// Microseconds always: moments then sort as text.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

impl Time {
    /// Microseconds since the Unix epoch; 0 for a moment before it.
    pub fn as_micros(self) -> u64 {
        u64::try_from(self.0.as_microsecond()).unwrap_or(0)
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        let micros = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        Self(jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX))
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        Self::from_micros(time.as_micros())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PRINTER.print_timestamp(&self.0, jiff::fmt::StdFmtWrite(f)).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("`{text}` is no RFC 3339 moment: {error}")))
    }
}

impl utoipa::PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC, with microseconds."))
            .examples([serde_json::json!("2026-03-01T08:15:30.000250Z")])
            .into()
    }
}

impl utoipa::ToSchema for Time {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_always_has_six_digits_and_comes_back() {
        for (micros, text) in [(0, "1970-01-01T00:00:00.000000Z"), (1_772_352_930_000_250, "2026-03-01T08:15:30.000250Z")] {
            let time = Time::from(Timestamp::from_micros(micros));
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse::<Time>().unwrap(), time);
            assert_eq!(Timestamp::from(time).as_micros(), micros);
        }
    }
}
