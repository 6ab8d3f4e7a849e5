//! Ids: a newtype for each entity, printed with a prefix, parsed strictly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::time::Timestamp;

/// A text is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind} id: expected {expected}")]
pub struct ParseIdError {
    text: String,
    kind: &'static str,
    expected: &'static str,
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(u128);

        impl $name {
            /// Makes an id from the moment of creation (its order) and 80 random bits.
            pub fn new(now: Timestamp, random: u128) -> Self {
                Self(Ulid::from_parts(now.as_millis(), random).0)
            }

            /// From the number that [`Self::as_u128`] gave.
            pub const fn from_u128(value: u128) -> Self {
                Self(value)
            }

            /// The id as a number; ids made later are greater, to the millisecond.
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; ulid::ULID_LEN];
                f.write_str($prefix)?;
                f.write_str(&Ulid(self.0).array_to_str(&mut text).to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix($prefix)
                    .and_then(|ulid| Ulid::from_string(ulid).ok())
                    .map(|ulid| Self(ulid.0))
                    .ok_or_else(|| ParseIdError {
                        text: text.to_owned(),
                        kind: $kind,
                        expected: concat!("`", $prefix, "` and 26 characters"),
                    })
            }
        }
    };
}

ulid_id!(
    /// One execution of a plan.
    RunId, "run", "run_"
);
ulid_id!(
    /// One life of a process that claims tasks: made anew at each start, so a restart never passes for its predecessor.
    WorkerId, "worker", "worker_"
);

/// A step's position in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepIndex(pub u16);

impl StepIndex {
    /// The position as an index into a plan's steps.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// A task, named by where it belongs: its run, its step and its number in the step, from 0. Number 0 is the step's `plan`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepIndex,
    /// The number in the step.
    pub index: u32,
}

impl TaskId {
    /// The task `index` of a step.
    pub const fn new(run: RunId, step: StepIndex, index: u32) -> Self {
        Self { run, step, index }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; ulid::ULID_LEN];
        let run = Ulid(self.run.as_u128()).array_to_str(&mut text).to_ascii_lowercase();
        write!(f, "task_{run}-{}-{}", self.step.0, self.index)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TaskId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let parse = || {
            let mut parts = text.strip_prefix("task_")?.split('-');
            let (run, step, index) = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() {
                return None;
            }
            let run = RunId::from_u128(Ulid::from_string(run).ok()?.0);
            Some(Self::new(run, StepIndex(step.parse().ok()?), index.parse().ok()?))
        };
        parse().ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            kind: "task",
            expected: "`task_`, the run's 26 characters, the step's and the task's number, joined by `-`",
        })
    }
}

/// The SHA-256 digest of some content: of a plugin's component, or of a plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// From the 32 bytes that SHA-256 gave.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits, without the algorithm's name.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let parse = || {
            let hex = text.strip_prefix("sha256:")?;
            if hex.len() != 64 || !hex.is_ascii() {
                return None;
            }
            let mut bytes = [0; 32];
            for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
                *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            }
            Some(Self(bytes))
        };
        parse().ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            kind: "digest",
            expected: "`sha256:` and 64 hexadecimal digits",
        })
    }
}
