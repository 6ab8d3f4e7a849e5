//! The last JSON document of what a program wrote.

use serde_json::value::RawValue;

use crate::json;

/// The last JSON document of a text: of the text as a whole, if it is nothing but documents, however they are laid out; otherwise
/// the last line that is a document by itself. A text that was cut at its start has its lines only.
pub(super) fn last(text: &str, cut: bool) -> Option<String> {
    let whole = || {
        let mut documents = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        let last = documents.try_fold(None, |_, document| document.map(Some)).ok()??;
        Some(last.get()).filter(|document| json::check(document).is_ok())
    };
    let line = || text.lines().rev().map(str::trim).find(|line| json::check(line).is_ok());
    if cut { line() } else { whole().or_else(line) }.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_may_have_any_layout() {
        assert_eq!(last("{\n  \"a\": 1\n}\n", false).unwrap(), "{\n  \"a\": 1\n}");
        assert_eq!(last("[1]\n{\n}\n[\n2]", false).unwrap(), "[\n2]");
        assert_eq!(last("2\n", false).unwrap(), "2");
    }

    #[test]
    fn among_other_lines_a_document_is_a_line() {
        assert_eq!(last("starting\n{\"a\":1}\ndone\n", false).unwrap(), "{\"a\":1}");
        assert_eq!(last("{\"a\":\n1}\n{\"b\":2}", true).unwrap(), "{\"b\":2}");
    }

    #[test]
    fn there_may_be_none() {
        assert_eq!(last("", false), None);
        assert_eq!(last("no JSON here\n", false), None);
        assert_eq!(last(&"[".repeat(100_000), false), None);
    }
}
