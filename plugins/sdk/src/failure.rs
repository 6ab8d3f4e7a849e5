//! How a plugin says that a task failed.

use std::error::Error as StdError;
use std::fmt;

use crate::artifacts::ArtifactError;
use crate::bindings::bulkhead::plugin::types::Failure;
use crate::checkpoint::CheckpointError;
use crate::outputs::OutputError;
use crate::{Cancelled, SpawnError};

/// Why a task failed, and whether another attempt may succeed.
///
/// Any [`std::error::Error`] becomes one through `?`, with the texts of its sources. **The default is retryable**: most errors
/// that nobody classified come from outside and may pass, and the definition bounds the attempts (`retry.attempts`). What no
/// attempt can change is final from the start: JSON that does not fit its type, text or a number that does not parse, a passed
/// quota, a checkpoint that is too large. Say otherwise with [`Error::retryable`], [`Error::fatal`] or [`ResultExt::or_fatal`].
///
/// It deliberately does not implement [`std::error::Error`], which is what lets it convert from all types that do.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    retryable: bool,
}

impl Error {
    /// A failure that another attempt may get past.
    pub fn new(message: impl fmt::Display) -> Self {
        Error { message: message.to_string(), retryable: true }
    }

    /// A failure that is final: no further attempt is made.
    pub fn fatal(message: impl fmt::Display) -> Self {
        Error { message: message.to_string(), retryable: false }
    }

    /// The same failure, worth another attempt.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The same failure, with what was being done in front of it.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Whether another attempt may succeed.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, if self.retryable { "retryable" } else { "fatal" })
    }
}

impl<E: StdError + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let retryable = !is_permanent(&error);
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Error { message, retryable }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { message: error.message, retryable: error.retryable }
    }
}

/// Whether no further attempt can end differently.
fn is_permanent(error: &(dyn StdError + 'static)) -> bool {
    match error.downcast_ref() {
        Some(SpawnError::Quota { .. } | SpawnError::Invalid(_) | SpawnError::Input(_)) => return true,
        Some(SpawnError::Cancelled | SpawnError::Unavailable(_)) => return false,
        None => {}
    }
    match error.downcast_ref() {
        Some(CheckpointError::TooLarge { .. } | CheckpointError::Json(_)) => return true,
        Some(CheckpointError::Cancelled | CheckpointError::Unavailable(_)) => return false,
        None => {}
    }
    if let Some(error) = error.downcast_ref::<ArtifactError>() {
        return error.is_permanent();
    }
    if let Some(error) = error.downcast_ref::<OutputError>() {
        return error.is_permanent();
    }
    // A reader or a writer says it through an error of its own kind.
    if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        return is_permanent(inner);
    }
    error.is::<serde_json::Error>()
        || error.is::<std::num::ParseIntError>()
        || error.is::<std::num::ParseFloatError>()
        || error.is::<std::num::TryFromIntError>()
        || error.is::<std::str::Utf8Error>()
        || error.is::<std::string::FromUtf8Error>()
        || error.is::<Cancelled>()
}

/// What a result gains on its way to an [`Error`].
pub trait ResultExt<T> {
    /// Puts what was being done in front of the failure.
    fn context(self, doing: impl fmt::Display) -> Result<T, Error>;

    /// Makes the failure final.
    fn or_fatal(self) -> Result<T, Error>;
}

impl<T, E: Into<Error>> ResultExt<T> for Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T, Error> {
        self.map_err(|error| error.into().context(doing))
    }

    fn or_fatal(self) -> Result<T, Error> {
        self.map_err(|error| Error { retryable: false, ..error.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<u32, Error> {
        Ok(text.parse::<u32>()?)
    }

    fn outage() -> std::io::Error {
        std::io::Error::other("connection reset")
    }

    #[test]
    fn unclassified_errors_are_retryable() {
        let error = Error::from(outage());
        assert!(error.is_retryable());
        assert_eq!(error.to_string(), "connection reset");
    }

    #[test]
    fn what_no_attempt_can_change_is_final() {
        assert!(!parse("twelve").unwrap_err().is_retryable());
        assert!(!Error::from(SpawnError::Quota { limit: 10 }).is_retryable());
        assert!(Error::from(SpawnError::Unavailable("busy".into())).is_retryable());
        assert!(!Error::from(CheckpointError::TooLarge { limit: 10 }).is_retryable());
    }

    #[test]
    fn context_and_finality_are_added_on_the_way() {
        let result: Result<(), Error> = Err(outage()).context("fetching /robots.txt").or_fatal();
        assert_eq!(format!("{:?}", result.unwrap_err()), "fetching /robots.txt: connection reset (fatal)");
        assert!(Error::fatal("no").retryable().is_retryable());
    }
}
