//! Cursors: where a list goes on, as opaque text. A letter says which list a cursor belongs to, the rest is the last item's key.

use bulkhead_core::hook::HookName;
use bulkhead_core::id::{RunId, StepIndex, TaskId};
use bulkhead_core::name::Name;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::files::ArtifactPlace;

use crate::problem::{ApiError, ApiResult, ProblemKind};

/// A key that a list goes on after.
pub(crate) trait Cursor: Sized {
    /// The list that the key belongs to.
    const LIST: u8;
    /// The key as bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// The key of bytes that [`Self::to_bytes`] gave.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    /// The cursor of this key.
    fn encode(&self) -> String {
        let mut bytes = vec![Self::LIST];
        bytes.extend(self.to_bytes());
        base64url(&bytes)
    }

    /// The key of a cursor, where a request has one.
    ///
    /// # Errors
    /// [`ProblemKind::InvalidParameter`] for what no list of this kind gave.
    fn decode(cursor: Option<&str>) -> ApiResult<Option<Self>> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let key = from_base64url(cursor).and_then(|bytes| match bytes.split_first() {
            Some((&list, key)) if list == Self::LIST => Self::from_bytes(key),
            _ => None,
        });
        let refuse = || ApiError::new(ProblemKind::InvalidParameter, "`cursor` is not one that this list gave: start without it");
        key.map(Some).ok_or_else(refuse)
    }
}

impl Cursor for RunId {
    const LIST: u8 = b'r';

    fn to_bytes(&self) -> Vec<u8> {
        self.as_u128().to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_u128(u128::from_be_bytes(bytes.try_into().ok()?)))
    }
}

impl Cursor for TaskId {
    const LIST: u8 = b't';

    fn to_bytes(&self) -> Vec<u8> {
        [&self.run.as_u128().to_be_bytes()[..], &self.step.0.to_be_bytes(), &self.index.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (run, rest) = bytes.split_at_checked(16)?;
        let (step, index) = rest.split_at_checked(2)?;
        let step = StepIndex(u16::from_be_bytes(step.try_into().ok()?));
        Some(Self::new(RunId::from_bytes(run)?, step, u32::from_be_bytes(index.try_into().ok()?)))
    }
}

impl Cursor for ArtifactPlace {
    const LIST: u8 = b'a';

    fn to_bytes(&self) -> Vec<u8> {
        [&self.step.0.to_be_bytes()[..], &self.task.to_be_bytes(), self.name.as_str().as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (step, rest) = bytes.split_first_chunk()?;
        let (task, name) = rest.split_first_chunk()?;
        let name = std::str::from_utf8(name).ok()?.parse().ok()?;
        Some(Self { step: StepIndex(u16::from_be_bytes(*step)), name, task: u32::from_be_bytes(*task) })
    }
}

/// Where a list of all runs' artifacts goes on.
impl Cursor for (RunId, ArtifactPlace) {
    const LIST: u8 = b'A';

    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_bytes(), self.1.to_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (run, place) = bytes.split_at_checked(16)?;
        Some((RunId::from_bytes(run)?, ArtifactPlace::from_bytes(place)?))
    }
}

/// Where a pass through runs goes on, and the moment at which it began.
impl Cursor for (Timestamp, RunId) {
    const LIST: u8 = b'b';

    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.as_micros().to_be_bytes()[..], &self.1.to_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (began, run) = bytes.split_first_chunk()?;
        Some((Timestamp::from_micros(u64::from_be_bytes(*began)), RunId::from_bytes(run)?))
    }
}

/// The same for a pass through tasks.
impl Cursor for (Timestamp, TaskId) {
    const LIST: u8 = b'B';

    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.as_micros().to_be_bytes()[..], &self.1.to_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (began, task) = bytes.split_first_chunk()?;
        Some((Timestamp::from_micros(u64::from_be_bytes(*began)), TaskId::from_bytes(task)?))
    }
}

/// A version of a definition, or whatever else is numbered.
impl Cursor for u64 {
    const LIST: u8 = b'n';

    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl Cursor for HookName {
    const LIST: u8 = b'h';

    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

impl Cursor for Name {
    const LIST: u8 = b'd';

    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648, section 5, without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0u32, |bits, (at, &byte)| bits | u32::from(byte) << (16 - 8 * at));
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}

/// The bytes of a text that [`base64url`] gave.
fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.as_bytes().chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut bits = 0u32;
        for (at, digit) in chunk.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == digit)?;
            bits |= u32::try_from(value).ok()? << (18 - 6 * at);
        }
        bytes.extend(&bits.to_be_bytes()[1..chunk.len()]);
    }
    // One text for each cursor: bits that mean nothing must be zero.
    (base64url(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_belongs_to_its_list() {
        let run = RunId::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        let task = TaskId::new(run, StepIndex(7), 301);
        let name: Name = "nightly".parse().unwrap();
        assert_eq!(RunId::decode(Some(&run.encode())).unwrap(), Some(run));
        assert_eq!(TaskId::decode(Some(&task.encode())).unwrap(), Some(task));
        assert_eq!(Name::decode(Some(&name.encode())).unwrap(), Some(name));
        for wrong in [task.encode(), run.encode() + "A", "?".to_owned(), String::new()] {
            assert!(RunId::decode(Some(&wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn base64url_is_the_one_of_the_rfc() {
        for (bytes, text) in [(&b""[..], ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (&[251, 255], "-_8")] {
            assert_eq!(base64url(bytes), text);
            assert_eq!(from_base64url(text).unwrap(), bytes);
        }
    }
}
