//! Names and content types of files: what runs are started with, and the artifacts that tasks publish.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_FILE_NAME_LEN: usize = 128;
/// The longest content type, in bytes.
const MAX_CONTENT_TYPE_LEN: usize = 128;

/// A text can't be the name of a file or an artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` can't be the name of a file: use 1 to {MAX_FILE_NAME_LEN} letters (A-Z, a-z), digits, `.`, `-` and `_`, \
     the first no `.`"
)]
pub struct InvalidFileName {
    text: String,
}

/// The name of a file or an artifact: 1 to 128 ASCII letters, digits, `.`, `-` and `_`, the first no `.`. So it is a file's name
/// on every system, and never a path. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(Arc<str>);

impl FileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The content type that the name's extension tells; that of plain bytes where it tells none.
    pub fn content_type(&self) -> ContentType {
        let extension = self.0.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
        ContentType(Arc::from(match extension.as_str() {
            "ndjson" | "jsonl" => "application/x-ndjson",
            "json" => "application/json",
            "csv" => "text/csv; charset=utf-8",
            "tsv" => "text/tab-separated-values; charset=utf-8",
            "txt" | "log" => "text/plain; charset=utf-8",
            "md" => "text/markdown; charset=utf-8",
            "html" | "htm" => "text/html; charset=utf-8",
            "xml" => "application/xml",
            "toml" => "application/toml",
            "pdf" => "application/pdf",
            "png" => "image/png",
            "jpg" | "jpeg" => "image/jpeg",
            "svg" => "image/svg+xml",
            "gz" => "application/gzip",
            "zip" => "application/zip",
            "wasm" => "application/wasm",
            _ => "application/octet-stream",
        }))
    }
}

impl FromStr for FileName {
    type Err = InvalidFileName;

    fn from_str(text: &str) -> Result<Self, InvalidFileName> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let valid =
            (1..=MAX_FILE_NAME_LEN).contains(&text.len()) && text.bytes().all(|byte| plain(&byte)) && !text.starts_with('.');
        if valid { Ok(Self(text.into())) } else { Err(InvalidFileName { text: text.chars().take(80).collect() }) }
    }
}

impl TryFrom<String> for FileName {
    type Error = InvalidFileName;

    fn try_from(text: String) -> Result<Self, InvalidFileName> {
        text.parse()
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl Borrow<str> for FileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A text can't be a content type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` can't be a content type: write `type/subtype`, of at most {MAX_CONTENT_TYPE_LEN} printable ASCII characters")]
pub struct InvalidContentType {
    text: String,
}

/// What an artifact's bytes are: `type/subtype`, with parameters if it has some. Safe as a header's value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentType(Arc<str>);

impl ContentType {
    /// The content type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentType {
    type Err = InvalidContentType;

    fn from_str(text: &str) -> Result<Self, InvalidContentType> {
        let token = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
            !part.is_empty() && part.bytes().all(plain)
        };
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let valid = text.len() <= MAX_CONTENT_TYPE_LEN
            && essence.trim_end().split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
            && parameters.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if valid { Ok(Self(text.into())) } else { Err(InvalidContentType { text: text.chars().take(80).collect() }) }
    }
}

impl TryFrom<String> for ContentType {
    type Error = InvalidContentType;

    fn try_from(text: String) -> Result<Self, InvalidContentType> {
        text.parse()
    }
}

impl From<ContentType> for String {
    fn from(content_type: ContentType) -> Self {
        content_type.0.as_ref().to_owned()
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_never_a_path() {
        for text in ["results.csv", "A", "_x-1", &"x".repeat(MAX_FILE_NAME_LEN)] {
            assert_eq!(text.parse::<FileName>().unwrap().as_str(), text);
        }
        for text in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ä", "a\0", "a\n", &"x".repeat(MAX_FILE_NAME_LEN + 1)] {
            assert!(text.parse::<FileName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_extension_tells_the_content_type() {
        for (name, content_type) in [
            ("results.ndjson", "application/x-ndjson"),
            ("REPORT.CSV", "text/csv; charset=utf-8"),
            ("model.bin", "application/octet-stream"),
            ("README", "application/octet-stream"),
        ] {
            assert_eq!(name.parse::<FileName>().unwrap().content_type().as_str(), content_type);
        }
    }

    #[test]
    fn a_content_type_is_safe_in_a_header() {
        for text in ["text/csv", "text/plain; charset=utf-8", "application/vnd.api+json"] {
            assert_eq!(text.parse::<ContentType>().unwrap().as_str(), text);
        }
        for text in
            ["", "text", "text/", "/csv", "text/csv\r\nX: y", "text/csv; a=\u{e9}", "a b/c", &format!("a/{}", "x".repeat(200))]
        {
            assert!(text.parse::<ContentType>().is_err(), "{text:?}");
        }
    }
}
