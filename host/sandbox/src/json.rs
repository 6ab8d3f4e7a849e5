//! Checks JSON text that a guest hands over: its syntax and its depth, without building it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Checks that a text is JSON, at most 128 levels deep (serde_json's limit, with the scalars as the last level).
pub(crate) fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Checked>(text).map(drop)
}

/// Checks likewise that a text is a JSON object.
pub(crate) fn check_object(text: &str) -> Result<(), serde_json::Error> {
    match serde_json::from_str::<Checked>(text)? {
        Checked::Object => Ok(()),
        Checked::Other => Err(serde_json::Error::custom("not an object")),
    }
}

/// A value that was read and let go. Unlike [`IgnoredAny`] it recurses, so that serde_json counts the depth.
enum Checked {
    Object,
    Other,
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CheckedVisitor)
    }
}

struct CheckedVisitor;

impl<'de> Visitor<'de> for CheckedVisitor {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked::Other)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked::Other)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked::Other)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked::Other)
    }
    fn visit_str<E>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked::Other)
    }
    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked::Other)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Checked, A::Error> {
        while seq.next_element::<Checked>()?.is_some() {}
        Ok(Checked::Other)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Checked, A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value::<Checked>()?;
        }
        Ok(Checked::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_every_kind_passes() {
        for text in ["null", "true", "-1", "1.5e3", "\"\\u00e9\\n\"", "[]", "[1,[2,{\"a\":null}]]", " {\"a\":{\"b\":[]}} "] {
            check(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "nul", "{\"a\":}", "[1,]", "{} {}", "\"\u{1}\"", "\"\\ud800\"", "{1:2}", "NaN"] {
            check(text).expect_err(text);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        check(&nested(127)).expect("127 arrays");
        check(&nested(128)).expect_err("128 arrays");
        check(&nested(1_000_000)).expect_err("a million arrays");
    }

    #[test]
    fn an_object_is_told_from_other_json() {
        check_object("{\"a\":[1]}").expect("an object");
        check_object("[{}]").expect_err("an array");
        check_object("").expect_err("nothing");
    }
}
