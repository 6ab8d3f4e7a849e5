//! From bytes to text, as browsers do it: a byte order mark, the header, the document's own word, and then a guess.

use std::borrow::Cow;
use std::cell::Cell;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use lol_html::html_content::Element;
use lol_html::{HtmlRewriter, Settings, element};

/// How much of a document is searched for its own word.
const PRESCAN: usize = 1024;

/// The text of a document and the name of its encoding. What is invalid in it becomes U+FFFD.
pub(crate) fn decode<'a>(bytes: &'a [u8], header: Option<&str>) -> (Cow<'a, str>, &'static str) {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return (encoding.decode_without_bom_handling(&bytes[mark..]).0, encoding.name());
    }
    let named = header.and_then(|label| Encoding::for_label(label.as_bytes())).or_else(|| in_document(bytes));
    let encoding = named.unwrap_or_else(|| if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { WINDOWS_1252 });
    (encoding.decode_without_bom_handling(bytes).0, encoding.name())
}

/// What a document says of itself in a `meta` element near its start.
fn in_document(bytes: &[u8]) -> Option<&'static Encoding> {
    let found = Cell::new(None);
    let settings = Settings::new().append_element_content_handler(element!("meta", |meta: &mut Element| {
        let label = meta.get_attribute("charset").or_else(|| {
            let kind = meta.get_attribute("http-equiv")?;
            kind.eq_ignore_ascii_case("content-type").then(|| charset_of(&meta.get_attribute("content")?)).flatten()
        });
        if found.get().is_none() {
            found.set(label.and_then(|label| Encoding::for_label(label.as_bytes())));
        }
        Ok(())
    }));
    let mut parser = HtmlRewriter::new(settings, |_: &[u8]| {});
    // What cannot be parsed says nothing.
    let _ = parser.write(&bytes[..bytes.len().min(PRESCAN)]);
    drop(parser);
    // Whoever can be read so far is in no encoding of 16 bits.
    found.into_inner().map(|encoding| if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

/// The `charset` of a content type's parameters, also where the rest of it is wrong.
pub(crate) fn charset_of(content_type: &str) -> Option<String> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let value = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset")).map(|(_, value)| value).next()?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_word_counts() {
        let meta = "<!doctype html><meta charset=windows-1251><title>\u{fffd}</title>";
        let with = |byte: &[u8]| {
            let (head, rest) = meta.split_once('\u{fffd}').unwrap();
            [head.as_bytes(), byte, rest.as_bytes()].concat()
        };
        let mark = |bytes: &[u8]| [b"\xef\xbb\xbf", bytes].concat();
        for (bytes, header, encoding, shows) in [
            (mark(&with("ж".as_bytes())), Some("koi8-r"), "UTF-8", "ж"),
            (with(b"\xd6"), Some("koi8-r"), "KOI8-R", "ж"),
            (with(b"\xe6"), None, "windows-1251", "ж"),
            (with(b"\xe6"), Some("no-such"), "windows-1251", "ж"),
            ("<p>ж".as_bytes().to_vec(), None, "UTF-8", "ж"),
            (b"<p>\x80 caf\xe9".to_vec(), None, "windows-1252", "€ café"),
            (b"<p>\x93\xfa\x96\x7b".to_vec(), Some("shift_jis"), "Shift_JIS", "日本"),
            (b"\xff\xfe<\0p\0>\0a\0".to_vec(), None, "UTF-16LE", "<p>a"),
            (b"<p>\xff".to_vec(), Some("utf-8"), "UTF-8", "\u{fffd}"),
            (b"<meta http-equiv=Content-Type content='text/html; Charset=\"gbk\"'>\xd6\xd0".to_vec(), None, "GBK", "中"),
            (b"<meta charset=utf-16>\xc3\xa4".to_vec(), None, "UTF-8", "ä"),
        ] {
            let (text, name) = decode(&bytes, header);
            assert_eq!(name, encoding);
            assert!(text.contains(shows), "{text}");
        }
    }

    #[test]
    fn parameters_are_found_in_any_form() {
        for content_type in ["text/html;charset=utf-8", "text/html; CHARSET = \"utf-8\"", "x; a=b; charset='utf-8'; c"] {
            assert_eq!(charset_of(content_type).as_deref(), Some("utf-8"), "{content_type}");
        }
        assert_eq!(charset_of("text/html; charset"), None);
    }
}
