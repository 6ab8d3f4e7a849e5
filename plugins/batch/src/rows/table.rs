//! CSV with a header.

use std::collections::HashSet;
use std::io::{BufRead, Seek};

use bulkhead_plugin::prelude::*;
use csv::{ByteRecord, Position, Reader, ReaderBuilder, Terminator};
use serde_json::Value;

use super::{BOM, Place, Row, Rows};
use crate::Record;

/// Rows of a table.
pub(super) struct Table<R> {
    reader: Reader<R>,
    header: Vec<String>,
    row: ByteRecord,
    rows: u64,
    /// Bytes of the file that the reader has not seen: the mark at its beginning.
    skipped: u64,
}

impl<R: BufRead + Seek> Table<R> {
    pub(super) fn open(mut file: R, delimiter: u8, place: Place) -> Result<Self, Error> {
        let mut skipped = skip_mark(&mut file)?;
        // A row ends behind its line feed, so that lines are counted right and a place is the beginning of a line; what is left of
        // a carriage return is removed here.
        let mut reader = ReaderBuilder::new();
        let mut reader = reader.flexible(true).delimiter(delimiter).terminator(Terminator::Any(b'\n')).from_reader(file);
        let header: Vec<_> = reader.headers().or_fatal()?.iter().map(|name| name.trim().to_owned()).collect();
        let mut seen = HashSet::new();
        if let Some(twice) = header.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Error::fatal(format!("the header names the field `{twice}` twice")));
        }
        if place.rows > 0 {
            let mut position = Position::new();
            position.set_byte(place.offset).set_line(place.lines + 1).set_record(place.rows + 1);
            reader.seek(position)?;
            // From here on the reader counts from the file's beginning.
            skipped = 0;
        }
        Ok(Self { reader, header, row: ByteRecord::new(), rows: place.rows, skipped })
    }
}

/// Takes the mark that some programs begin UTF-8 with; its length. csv takes it, too, but not where it comes in pieces.
fn skip_mark(file: &mut (impl BufRead + Seek)) -> Result<u64, Error> {
    for (taken, byte) in BOM.iter().enumerate() {
        if file.fill_buf()?.first() != Some(byte) {
            if taken > 0 {
                file.rewind()?;
            }
            return Ok(0);
        }
        file.consume(1);
    }
    Ok(BOM.len() as u64)
}

impl<R: BufRead + Seek> Rows for Table<R> {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        let mut before;
        loop {
            before = self.reader.position().line();
            if !self.reader.read_byte_record(&mut self.row)? {
                return Ok(None);
            }
            // An empty line.
            if self.row.len() > 1 || self.row.get(0).is_some_and(|field| field != b"\r") {
                break;
            }
        }
        let last = self.row.len().saturating_sub(1);
        self.rows += 1;
        // Empty lines before the row were skipped, and the row may itself have several.
        let inside = self.row.iter().flatten().filter(|byte| **byte == b'\n').count() as u64;
        let line = before.max(self.reader.position().line().saturating_sub(1 + inside));
        let (fields, expected) = (self.row.len(), self.header.len());
        if fields != expected {
            return Ok(Some(Row { line, content: Err(format!("it has {fields} fields; the header has {expected}")) }));
        }
        let mut record = Record::new();
        for (number, (name, field)) in self.header.iter().zip(&self.row).enumerate() {
            let field = if number == last { field.strip_suffix(b"\r").unwrap_or(field) } else { field };
            let Ok(text) = std::str::from_utf8(field) else {
                return Ok(Some(Row { line, content: Err("it is no UTF-8".into()) }));
            };
            record.insert(name.clone(), Value::String(text.to_owned()));
        }
        Ok(Some(Row { line, content: Ok(record) }))
    }

    fn place(&self) -> Place {
        let position = self.reader.position();
        Place { offset: position.byte() + self.skipped, lines: position.line().saturating_sub(1), rows: self.rows }
    }
}
