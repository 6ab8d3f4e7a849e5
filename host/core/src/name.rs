//! Names that people give: of definitions, steps and plugins.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_NAME_LEN: usize = 64;

/// A text can't be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` can't be a name: use 1 to {MAX_NAME_LEN} characters of a-z, 0-9, `-` and `_`, the first a letter or a digit")]
pub struct InvalidName {
    text: String,
}

/// A definition's id, a step's name or a plugin's name: 1 to 64 characters of `a-z`, `0-9`, `-` and `_`, the first a letter or
/// a digit. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let valid = (1..=MAX_NAME_LEN).contains(&bytes.len())
            && plain(bytes[0])
            && bytes.iter().all(|&byte| plain(byte) || byte == b'-' || byte == b'_');
        if valid { Ok(Self(text.into())) } else { Err(InvalidName { text: text.chars().take(80).collect() }) }
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_they_are_shown() {
        for text in ["a", "0", "fast-step_2", &"x".repeat(MAX_NAME_LEN)] {
            let name: Name = text.parse().unwrap();
            assert_eq!((name.to_string().as_str(), name.as_str()), (text, text));
        }
    }

    #[test]
    fn other_texts_are_no_names() {
        for text in ["", "-a", "_a", "A", "a b", "a.b", "ä", "a\n", &"x".repeat(MAX_NAME_LEN + 1)] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_stored_name_is_checked_when_it_is_read() {
        assert_eq!(serde_json::from_str::<Name>("\"ok\"").unwrap().as_str(), "ok");
        assert!(serde_json::from_str::<Name>("\"Not ok\"").is_err());
    }

    #[test]
    fn an_error_shows_a_part_of_a_long_text() {
        let error = "Ä".repeat(1_000).parse::<Name>().unwrap_err().to_string();
        assert!(error.len() < 400, "{error}");
    }
}
