//! A JSON object a line.

use std::io::{BufRead, Seek, SeekFrom};

use bulkhead_plugin::Error;

use super::{BOM, MAX_ROW, Place, Row, Rows, record};

/// Rows that are lines.
pub(super) struct Lines<R> {
    file: R,
    line: Vec<u8>,
    place: Place,
}

impl<R: BufRead + Seek> Lines<R> {
    pub(super) fn open(mut file: R, place: Place) -> Result<Self, Error> {
        file.seek(SeekFrom::Start(place.offset))?;
        Ok(Self { file, line: Vec::new(), place })
    }

    /// Reads a line; whether there was one, and whether it was too long, and so left out.
    fn read_line(&mut self) -> Result<(bool, bool), Error> {
        self.line.clear();
        let (mut read, mut too_long) = (0, false);
        loop {
            let available = self.file.fill_buf()?;
            if available.is_empty() {
                break;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            too_long |= self.line.len() + taken > MAX_ROW + 2;
            if !too_long {
                self.line.extend_from_slice(&available[..taken]);
            }
            self.file.consume(taken);
            read += taken;
            if end.is_some() {
                break;
            }
        }
        self.place.offset += read as u64;
        self.place.lines += u64::from(read > 0);
        Ok((read > 0, too_long))
    }
}

impl<R: BufRead + Seek> Rows for Lines<R> {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        loop {
            let (some, too_long) = self.read_line()?;
            if !some {
                return Ok(None);
            }
            let line = self.place.lines;
            if too_long {
                self.place.rows += 1;
                return Ok(Some(Row { line, content: Err(format!("it has more than {MAX_ROW} bytes")) }));
            }
            let text = if line == 1 { self.line.strip_prefix(&BOM).unwrap_or(&self.line) } else { &self.line };
            let text = text.trim_ascii();
            if !text.is_empty() {
                self.place.rows += 1;
                return Ok(Some(Row { line, content: record(text) }));
            }
        }
    }

    fn place(&self) -> Place {
        self.place
    }
}
