//! Rows of a file, read as they come: no more of it is in memory than one row and a buffer.
//!
//! A row knows its line, and the reader its [`Place`] after each row, from which another reader goes on. What is no record is a
//! row with a reason; only what makes the rest unreadable is an error.

mod json;
mod table;
mod text;

use std::io::{BufRead, Seek};

use bulkhead_plugin::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Record;
use crate::config::Format;

/// The longest row of JSON, in bytes: what an item's input may be, about.
pub(crate) const MAX_ROW: usize = 1 << 20;

/// A row of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    /// The line that it begins in.
    pub(crate) line: u64,
    /// The record, or what is wrong.
    pub(crate) content: Result<Record, String>,
}

/// Where a reader is in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The next byte.
    pub(crate) offset: u64,
    /// The lines before it.
    pub(crate) lines: u64,
    /// The rows before it.
    pub(crate) rows: u64,
}

/// Rows, one after the other.
pub(crate) trait Rows {
    /// The next row; none at the end.
    fn next(&mut self) -> Result<Option<Row>, Error>;
    /// Where the row after the last one begins.
    fn place(&self) -> Place;
}

/// Reads a file's rows from a place on.
pub(crate) fn open<'a, R: BufRead + Seek + 'a>(
    mut file: R,
    format: Option<Format>,
    delimiter: Option<char>,
    place: Place,
) -> Result<Box<dyn Rows + 'a>, Error> {
    let format = match format {
        Some(format) => format,
        None => {
            let format = told(&mut file)?;
            file.rewind()?;
            format
        }
    };
    Ok(match format {
        Format::Csv => Box::new(table::Table::open(file, delimiter.map_or(b',', |delimiter| delimiter as u8), place)?),
        Format::Json => Box::new(json::Array::open(file, place)?),
        Format::Ndjson => Box::new(text::Lines::open(file, place)?),
    })
}

/// The format that a file's first character tells.
fn told(file: &mut impl BufRead) -> Result<Format, Error> {
    loop {
        let available = file.fill_buf()?;
        if available.is_empty() {
            return Ok(Format::Csv);
        }
        let skipped = available.iter().take_while(|byte| byte.is_ascii_whitespace() || BOM.contains(byte)).count();
        if let Some(first) = available.get(skipped) {
            return Ok(match first {
                b'[' => Format::Json,
                b'{' => Format::Ndjson,
                _ => Format::Csv,
            });
        }
        file.consume(skipped);
    }
}

/// The mark that some programs begin UTF-8 with.
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The record that a text of JSON is.
fn record(json: &[u8]) -> Result<Record, String> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(record)) => Ok(record),
        Ok(other) => Err(format!("expected a JSON object, found {}", kind(&other))),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Read, SeekFrom};

    /// A file that gives `piece` bytes at a time.
    struct Pieces<'a> {
        bytes: &'a [u8],
        at: usize,
        piece: usize,
        given: usize,
    }

    impl<'a> Pieces<'a> {
        fn new(text: &'a [u8], piece: usize) -> Self {
            Self { bytes: text, at: 0, piece, given: piece }
        }
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let available = self.fill_buf()?;
            let taken = available.len().min(buffer.len());
            buffer[..taken].copy_from_slice(&available[..taken]);
            self.consume(taken);
            Ok(taken)
        }
    }

    impl BufRead for Pieces<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            Ok(&self.bytes[self.at..self.bytes.len().min(self.at + self.given)])
        }

        fn consume(&mut self, amount: usize) {
            self.at += amount;
            self.given = if amount == self.given { self.piece } else { self.given - amount };
        }
    }

    impl Seek for Pieces<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            let SeekFrom::Start(at) = to else { return Err(io::ErrorKind::Unsupported.into()) };
            (self.at, self.given) = (usize::try_from(at).unwrap(), self.piece);
            Ok(at)
        }
    }

    fn all(rows: &mut dyn Rows) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match rows.next() {
                Ok(Some(Row { line, content: Ok(record) })) => {
                    seen.push(format!("{line} {}", serde_json::to_string(&record).unwrap()));
                }
                Ok(Some(Row { line, content: Err(reason) })) => seen.push(format!("{line} ! {reason}")),
                Ok(None) => return seen,
                Err(error) => {
                    seen.push(format!("error: {error}"));
                    return seen;
                }
            }
        }
    }

    /// Reads a file in pieces of every size, and from every place where a reader may have stopped: always the same rows.
    fn rows(text: &[u8], format: Option<Format>) -> Vec<String> {
        let whole = all(&mut *open(Pieces::new(text, text.len().max(1)), format, None, Place::default()).unwrap());
        for piece in 1..=text.len() {
            let again = all(&mut *open(Pieces::new(text, piece), format, None, Place::default()).unwrap());
            assert_eq!(again, whole, "in pieces of {piece}");
        }
        let mut first = open(Pieces::new(text, 3), format, None, Place::default()).unwrap();
        let mut read = 0;
        while let Ok(Some(_)) = first.next() {
            read += 1;
            assert_eq!(first.place().rows, read as u64);
            let rest = all(&mut *open(Pieces::new(text, 5), format, None, first.place()).unwrap());
            assert_eq!(rest, whole[read..], "after {read} rows");
        }
        whole
    }

    #[test]
    fn a_table_gives_a_record_for_each_row() {
        let text =
            "\u{feff}name,city\r\nAda,London\r\n\"Grace \"\"G.\"\" H.\",\"New\nYork\"\r\n\r\nBen,Bonn,extra\r\nEve\r\nÄnne,Köln";
        assert_eq!(
            rows(text.as_bytes(), None),
            [
                r#"2 {"name":"Ada","city":"London"}"#,
                r#"3 {"name":"Grace \"G.\" H.","city":"New\nYork"}"#,
                "6 ! it has 3 fields; the header has 2",
                "7 ! it has 1 fields; the header has 2",
                r#"8 {"name":"Änne","city":"Köln"}"#,
            ]
        );
        assert_eq!(rows(b"a,b\n1,\xff\n2,3\n", Some(Format::Csv)), ["2 ! it is no UTF-8", r#"3 {"a":"2","b":"3"}"#]);
        assert!(rows(b"a,b\n", Some(Format::Csv)).is_empty());
        assert!(rows(b"", Some(Format::Csv)).is_empty());
    }

    #[test]
    fn a_header_must_tell_its_fields_apart() {
        let error = open(Pieces::new(b"a,b,a\n1,2,3\n", 4), Some(Format::Csv), None, Place::default()).err().unwrap();
        assert_eq!(error.to_string(), "the header names the field `a` twice");
    }

    #[test]
    fn lines_give_a_record_each() {
        let text = "{\"a\":1}\n\n  \n{\"b\":\"x\\ny\"}\r\n[1]\n{\"a\":\nnull\n{\"é\":\"ü\"}";
        let seen = rows(text.as_bytes(), None);
        assert_eq!(seen.len(), 6);
        assert_eq!(seen[..3], [r#"1 {"a":1}"#, r#"4 {"b":"x\ny"}"#, "5 ! expected a JSON object, found an array"]);
        assert!(seen[3].starts_with("6 ! it is no JSON: EOF"), "{}", seen[3]);
        assert_eq!(seen[4..], ["7 ! expected a JSON object, found null", r#"8 {"é":"ü"}"#]);
    }

    #[test]
    fn an_array_gives_a_record_for_each_element() {
        let text = " [ {\"a\": 1, \"b\": [1, {\"c\": \"],}{\\\"\\\\\"}]},\n7 ,\n {\"a\": }, \"x,]\", {\"é\" :\"[\"}\n ] \n";
        let seen = rows(text.as_bytes(), None);
        assert_eq!(seen.len(), 5);
        assert_eq!(seen[0], r#"1 {"a":1,"b":[1,{"c":"],}{\"\\"}]}"#);
        assert_eq!(seen[1], "2 ! expected a JSON object, found a number");
        assert!(seen[2].starts_with("3 ! it is no JSON: expected value"), "{}", seen[2]);
        assert_eq!(seen[3..], ["3 ! expected a JSON object, found a text", r#"3 {"é":"["}"#]);
        assert!(rows(b"[]", None).is_empty());
        assert!(rows(b"[\n ]\n", None).is_empty());
        assert_eq!(rows(b"[{},{}]", None), ["1 {}", "1 {}"]);
    }

    #[test]
    fn an_array_that_breaks_off_is_an_error_after_its_last_element() {
        for (text, error) in [
            (&b"[{},{\"a\":"[..], "error: line 1: the array breaks off"),
            (b"[{},", "error: line 1: the array breaks off"),
            (b"[{}", "error: line 1: the array breaks off"),
            (b"[{}] x", "error: line 1: something follows the array"),
            (b"[{},]", "error: line 1: an element is missing"),
            (b"[,{}]", "error: line 1: an element is missing"),
        ] {
            let seen = rows(text, Some(Format::Json));
            assert_eq!(seen.last().map(String::as_str), Some(error), "{}", String::from_utf8_lossy(text));
        }
        assert!(open(Pieces::new(b"{}", 1), Some(Format::Json), None, Place::default()).is_err());
        assert!(open(Pieces::new(b"", 1), Some(Format::Json), None, Place::default()).is_err());
    }

    #[test]
    fn a_row_that_is_too_long_is_left_out_and_the_next_one_is_read() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_ROW));
        for (text, format) in
            [(format!("{long}\n{{\"b\":1}}\n"), Format::Ndjson), (format!("[{long},\n{{\"b\":1}}]"), Format::Json)]
        {
            let seen = all(&mut *open(Pieces::new(text.as_bytes(), 4096), Some(format), None, Place::default()).unwrap());
            assert_eq!(seen, ["1 ! it has more than 1048576 bytes", r#"2 {"b":1}"#]);
        }
    }
}
