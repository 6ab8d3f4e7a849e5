//! A JSON array of objects, element by element: what is between two commas of the array is looked at as a whole, the array never.

use std::io::{BufRead, Seek, SeekFrom};

use bulkhead_plugin::Error;

use super::{BOM, MAX_ROW, Place, Row, Rows, record};

/// Rows that are elements of an array.
pub(super) struct Array<R> {
    file: R,
    element: Vec<u8>,
    place: Place,
    /// The array has ended.
    ended: bool,
}

/// What ended an element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Comma,
    Bracket,
    File,
}

/// An element that was read: where it begins, whether it has anything but white space, and whether it was too long.
struct Element {
    line: u64,
    is_blank: bool,
    too_long: bool,
    end: End,
}

impl<R: BufRead + Seek> Array<R> {
    /// Opens an array at its bracket, or behind the comma after the last element that was read.
    pub(super) fn open(mut file: R, place: Place) -> Result<Self, Error> {
        file.seek(SeekFrom::Start(place.offset))?;
        let mut array = Self { file, element: Vec::new(), place, ended: false };
        if place.offset == 0 {
            array.skip(|byte| byte.is_ascii_whitespace() || BOM.contains(&byte))?;
            if array.file.fill_buf()?.first() != Some(&b'[') {
                return Err(Error::fatal(format!("line {}: expected a JSON array", array.place.lines + 1)));
            }
            array.take(1);
        } else if place.rows > 0 {
            // The last element may have been the array's last.
            array.ended = array.behind_end(place)?;
        }
        Ok(array)
    }

    /// Whether a place lies behind the array's closing bracket rather than behind a comma.
    fn behind_end(&mut self, place: Place) -> Result<bool, Error> {
        self.file.seek(SeekFrom::Start(place.offset - 1))?;
        let ended = self.file.fill_buf()?.first() == Some(&b']');
        self.file.consume(1);
        Ok(ended)
    }

    /// Takes bytes that were looked at.
    fn take(&mut self, count: usize) {
        self.file.consume(count);
        self.place.offset += count as u64;
    }

    /// Skips bytes.
    fn skip(&mut self, skipped: impl Fn(u8) -> bool) -> Result<(), Error> {
        loop {
            let available = self.file.fill_buf()?;
            let count = available.iter().take_while(|byte| skipped(**byte)).count();
            let lines = available[..count].iter().filter(|byte| **byte == b'\n').count();
            let more = count > 0 && count == available.len();
            self.place.lines += lines as u64;
            self.take(count);
            if !more {
                return Ok(());
            }
        }
    }

    /// Reads up to the comma or the bracket that ends an element, and takes it, too.
    fn read(&mut self) -> Result<Element, Error> {
        self.skip(|byte| byte.is_ascii_whitespace())?;
        self.element.clear();
        let line = self.place.lines + 1;
        let (mut depth, mut in_text, mut escaped, mut is_blank, mut too_long) = (0u32, false, false, true, false);
        loop {
            let available = self.file.fill_buf()?;
            if available.is_empty() {
                return Ok(Element { line, is_blank, too_long, end: End::File });
            }
            let (mut taken, mut lines, mut end) = (0, 0, None);
            for &byte in available {
                taken += 1;
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_text => escaped = true,
                    b'"' => in_text = !in_text,
                    // A text with a line break in it is no JSON; its lines count all the same.
                    b'\n' => lines += 1,
                    _ if in_text => {}
                    b'[' | b'{' => depth += 1,
                    b',' if depth == 0 => end = Some(End::Comma),
                    b']' if depth == 0 => end = Some(End::Bracket),
                    b']' | b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if end.is_some() {
                    break;
                }
                is_blank &= byte.is_ascii_whitespace();
            }
            let kept = taken - usize::from(end.is_some());
            too_long |= self.element.len() + kept > MAX_ROW;
            if !too_long {
                self.element.extend_from_slice(&available[..kept]);
            }
            self.take(taken);
            self.place.lines += lines;
            if let Some(end) = end {
                return Ok(Element { line, is_blank, too_long, end });
            }
        }
    }

    fn broken(&self, what: &str) -> Error {
        Error::fatal(format!("line {}: {what}", self.place.lines + 1))
    }
}

impl<R: BufRead + Seek> Rows for Array<R> {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        if self.ended {
            self.skip(|byte| byte.is_ascii_whitespace())?;
            return if self.file.fill_buf()?.is_empty() { Ok(None) } else { Err(self.broken("something follows the array")) };
        }
        let Element { line, is_blank, too_long, end } = self.read()?;
        match (end, is_blank) {
            (End::File, _) => return Err(self.broken("the array breaks off")),
            (End::Bracket, true) if self.place.rows == 0 => {
                self.ended = true;
                return self.next();
            }
            (_, true) => return Err(self.broken("an element is missing")),
            (End::Comma | End::Bracket, false) => {}
        }
        self.ended = end == End::Bracket;
        self.place.rows += 1;
        let content = if too_long { Err(format!("it has more than {MAX_ROW} bytes")) } else { record(self.element.trim_ascii()) };
        Ok(Some(Row { line, content }))
    }

    fn place(&self) -> Place {
        self.place
    }
}
