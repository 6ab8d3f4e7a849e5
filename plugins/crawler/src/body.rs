//! A body, read and decompressed within limits.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::fetch::{Answer, Deadline};

/// What is read at once. The deadline is looked at before each piece.
const PIECE: usize = 32 * 1024;

/// Why there is no body.
#[derive(Debug, PartialEq)]
pub(crate) enum BodyError {
    /// It has more bytes than allowed, compressed or not.
    TooLarge,
    /// It did not arrive in time.
    TimedOut,
    /// The connection ended it; what happened.
    Broken(String),
    /// It came whole and makes no sense in the encoding that it claims to have.
    Garbled(String),
    /// It came in an encoding that was not asked for.
    UnknownEncoding(String),
}

/// Reads a body. `limit` is for what comes over the wire and for what it decompresses to, so a bomb bursts at the limit.
pub(crate) fn read(answer: Answer, limit: u64, deadline: Deadline) -> Result<Vec<u8>, BodyError> {
    if answer.header("content-length").and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let encodings: Vec<_> = answer.headers("content-encoding").flat_map(|value| value.split(',')).collect();
    let encodings: Vec<_> =
        encodings.iter().map(|name| name.trim().to_ascii_lowercase()).filter(|name| name != "identity").collect();
    let wire_end = Rc::new(Cell::new(End::None));
    let wire = Wire { inner: answer.body, left: limit, deadline, end: wire_end.clone() };
    let mut reader: Box<dyn Read> = match encodings.as_slice() {
        [] => Box::new(wire),
        [one] if one == "gzip" || one == "x-gzip" => Box::new(MultiGzDecoder::new(wire)),
        [one] if one == "deflate" => deflate(wire),
        _ => return Err(BodyError::UnknownEncoding(encodings.join(", "))),
    };
    let mut body: Vec<u8> = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(body),
            Ok(length) if (body.len() + length) as u64 > limit => return Err(BodyError::TooLarge),
            Ok(length) => {
                if body.capacity() - body.len() < length {
                    // By a quarter, not to the double: old and new stand side by side in a small memory.
                    body.reserve_exact(length.max(body.len() / 4));
                }
                body.extend_from_slice(&piece[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(match wire_end.replace(End::None) {
                    End::TooLarge => BodyError::TooLarge,
                    End::TimedOut => BodyError::TimedOut,
                    End::Broken(why) => BodyError::Broken(why),
                    End::None => BodyError::Garbled(error.to_string()),
                });
            }
        }
    }
}

/// `deflate` is zlib by the standard and bare by the habit of some servers: the first two bytes tell.
fn deflate(mut wire: Wire) -> Box<dyn Read> {
    let mut head = Vec::new();
    // An error here comes again at the next read.
    let _ = (&mut wire).take(2).read_to_end(&mut head);
    let is_zlib = matches!(head[..], [method, flags] if method & 0x0f == 8 && u16::from_be_bytes([method, flags]) % 31 == 0);
    let whole = io::Cursor::new(head).chain(wire);
    if is_zlib { Box::new(ZlibDecoder::new(whole)) } else { Box::new(DeflateDecoder::new(whole)) }
}

/// How the bytes from the wire ended, if not well.
enum End {
    None,
    TooLarge,
    TimedOut,
    Broken(String),
}

/// The bytes from the wire, counted and timed.
struct Wire {
    inner: Box<dyn Read>,
    left: u64,
    deadline: Deadline,
    end: Rc<Cell<End>>,
}

impl Wire {
    fn ends<T>(&self, end: End) -> io::Result<T> {
        self.end.set(end);
        Err(io::Error::other("the body ended early"))
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.deadline.left().is_zero() {
            return self.ends(End::TimedOut);
        }
        match self.inner.read(buffer) {
            Ok(length) if length as u64 > self.left => self.ends(End::TooLarge),
            Ok(length) => {
                self.left -= length as u64;
                Ok(length)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => self.ends(End::TimedOut),
            Err(error) => self.ends(End::Broken(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn answer(headers: &[(&str, &str)], body: impl Read + 'static) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status: 200, headers, body: Box::new(body) }
    }

    fn read_all(headers: &[(&str, &str)], body: Vec<u8>, limit: u64) -> Result<Vec<u8>, BodyError> {
        read(answer(headers, io::Cursor::new(body)), limit, Deadline::after(Duration::from_secs(60)))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bodies_are_decompressed() {
        let text = b"<p>text</p>".repeat(50);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(&text).unwrap();
        let two_members = [gzip(&text[..100]), gzip(&text[100..])].concat();
        for (encoding, body) in [
            ("identity", text.clone()),
            ("gzip", gzip(&text)),
            ("X-GZIP", two_members),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", bare.finish().unwrap()),
        ] {
            assert_eq!(read_all(&[("content-encoding", encoding)], body, 1000), Ok(text.clone()), "{encoding}");
        }
    }

    #[test]
    fn a_bomb_bursts_at_the_limit() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert_eq!(read_all(&[("content-encoding", "gzip")], bomb, 1 << 20), Err(BodyError::TooLarge));
    }

    #[test]
    fn limits_hold_to_the_byte_with_and_without_a_length() {
        assert_eq!(read_all(&[], vec![b'x'; 1000], 1000).map(|body| body.len()), Ok(1000));
        assert_eq!(read_all(&[], vec![b'x'; 1001], 1000), Err(BodyError::TooLarge));
        assert_eq!(read_all(&[("content-length", "1001")], vec![], 1000), Err(BodyError::TooLarge));
    }

    #[test]
    fn endless_and_late_bodies_end() {
        let endless = |deadline| read(answer(&[], io::repeat(b'x')), 1 << 20, Deadline::after(deadline));
        assert_eq!(endless(Duration::from_secs(60)), Err(BodyError::TooLarge));
        assert_eq!(endless(Duration::ZERO), Err(BodyError::TimedOut));
    }

    #[test]
    fn a_broken_connection_is_told_from_garbage() {
        struct Reset;
        impl Read for Reset {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::new(io::ErrorKind::ConnectionReset, "reset"))
            }
        }
        let half = gzip(&[b'x'; 1000])[..20].to_vec();
        let broken = answer(&[("content-encoding", "gzip")], io::Cursor::new(half.clone()).chain(Reset));
        let result = read(broken, 1000, Deadline::after(Duration::from_secs(60)));
        assert_eq!(result, Err(BodyError::Broken("reset".into())));
        for garbage in [half, b"not compressed".to_vec()] {
            assert!(matches!(read_all(&[("content-encoding", "gzip")], garbage, 1000), Err(BodyError::Garbled(_))));
        }
        let result = read_all(&[("content-encoding", "gzip, br")], vec![], 1000);
        assert_eq!(result, Err(BodyError::UnknownEncoding("gzip, br".into())));
    }
}
