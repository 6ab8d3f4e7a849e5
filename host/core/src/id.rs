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
            // One text for one id: no signs and no leading zeros.
            let plain = |number: &str| number == "0" || !number.starts_with(['0', '+']);
            if parts.next().is_some() || !plain(step) || !plain(index) {
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
            // Also because reading a number takes a sign for granted.
            if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_123_456);

    #[test]
    fn ids_are_read_back_as_they_are_shown() {
        let run = RunId::new(NOW, u128::MAX);
        assert_eq!(run.to_string(), format!("{run:?}"));
        assert_eq!((run.to_string().len(), run.to_string().parse()), (30, Ok(run)));
        let worker = WorkerId::new(NOW, 7);
        assert_eq!(worker.to_string().parse(), Ok(worker));
        let task = TaskId::new(run, StepIndex(3), 41);
        assert!(task.to_string().ends_with("-3-41"));
        assert_eq!(task.to_string().parse(), Ok(task));
        assert_eq!(RunId::from_u128(run.as_u128()), run);
    }

    #[test]
    fn later_ids_are_greater() {
        let later = Timestamp::from_micros(NOW.as_micros() + 1_000);
        assert!(RunId::new(NOW, u128::MAX) < RunId::new(later, 0));
        assert!(RunId::new(NOW, 0).to_string() < RunId::new(later, 0).to_string());
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let run = RunId::new(NOW, 1).to_string();
        let worker = run.replace("run_", "worker_");
        for text in ["", "run_", "run_01", &worker, &run[4..], &format!("{run}0"), &run.replace("run_", "run-")] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
        let error = worker.parse::<RunId>().unwrap_err().to_string();
        assert_eq!(error, format!("`{worker}` is no run id: expected `run_` and 26 characters"));
    }

    #[test]
    fn a_task_id_has_exactly_its_parts() {
        let task = TaskId::new(RunId::new(NOW, 1), StepIndex(0), 0).to_string();
        let cut = task.rfind('-').unwrap();
        for text in [
            &task[..cut],
            &format!("{task}-1"),
            &task.replace("task_", "run_"),
            &format!("{}-x", &task[..cut]),
            &format!("{}-+0", &task[..cut]),
            &format!("{}-00", &task[..cut]),
        ] {
            assert!(text.parse::<TaskId>().is_err(), "{text}");
        }
        assert!(format!("{}-65536-0", &task[..task.find('-').unwrap()]).parse::<TaskId>().is_err());
    }

    #[test]
    fn digests_are_read_back_as_they_are_shown() {
        let digest = Digest::from_bytes(std::array::from_fn(|at| u8::try_from(at * 8).unwrap()));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.hex().len(), 64);
        let wrong = format!("sha256:{}+1", &digest.hex()[..62]);
        for text in ["sha256:", &digest.hex(), &format!("{digest}0"), &format!("sha256:{}", "ü".repeat(32)), &wrong] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
