//! What the tasks of earlier steps came to.
//!
//! ```no_run
//! # use bulkhead_plugin::{outputs, Error};
//! # fn run() -> Result<(), Error> {
//! let mut sum = 0;
//! for task in outputs::of::<u64>("numbers") {
//!     let task = task?;
//!     match task.outcome {
//!         outputs::Outcome::Succeeded(number) => sum += number,
//!         outputs::Outcome::Failed { message, .. } => bulkhead_plugin::warn!("{} failed: {message}", task.key),
//!         outputs::Outcome::Cancelled => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::bindings::bulkhead::plugin::outputs as host;

/// Tasks that one call asks for; the host gives fewer where their outputs are large.
const PAGE: u32 = 1_000;

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It succeeded; its output.
    Succeeded(T),
    /// It failed for good.
    Failed {
        /// One of the causes that Bulkhead knows, as `plugin-error`.
        cause: String,
        /// What went wrong.
        message: String,
    },
    /// It was cancelled, or left out by an operator.
    Cancelled,
}

/// One task of an earlier step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<T> {
    /// Its number in the step, from 1.
    pub task: u32,
    /// Its deduplication key.
    pub key: String,
    /// How it ended.
    pub outcome: Outcome<T>,
}

/// Why nothing was read.
#[derive(Debug)]
pub enum OutputError {
    /// There is no such step; its name.
    NotFound(String),
    /// This task's step does not depend on that one; its name.
    NotADependency(String),
    /// A task's output does not fit the type; its key.
    Json(String, serde_json::Error),
    /// The run is ending, or this attempt no longer holds its task.
    Cancelled,
    /// The host could not answer now. Trying again is safe.
    Unavailable(String),
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputError::NotFound(what) => write!(f, "there is no {what}"),
            OutputError::NotADependency(step) => write!(f, "this step does not depend on `{step}`: add it to `depends`"),
            OutputError::Json(key, _) => write!(f, "the output of task {key} is not what was expected"),
            OutputError::Cancelled => f.write_str("no outputs are read any more: the run is ending"),
            OutputError::Unavailable(reason) => write!(f, "the host could not read outputs now: {reason}"),
        }
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OutputError::Json(_, source) => Some(source),
            _ => None,
        }
    }
}

impl OutputError {
    /// Whether no further attempt can end differently.
    pub(crate) fn is_permanent(&self) -> bool {
        !matches!(self, OutputError::Cancelled | OutputError::Unavailable(_))
    }
}

/// All tasks of a step that this one depends on, in the order in which they were spawned, page by page. Use
/// `serde_json::Value` for outputs of any form.
pub fn of<T: DeserializeOwned>(step: impl Into<String>) -> Outputs<T> {
    after(step, 0)
}

/// Those with numbers greater than `task`: a retry goes on where its checkpoint says.
pub fn after<T: DeserializeOwned>(step: impl Into<String>, task: u32) -> Outputs<T> {
    Outputs { step: step.into(), after: task, page: Vec::new().into_iter(), ended: false, output: PhantomData }
}

/// See [`of`].
#[derive(Debug)]
pub struct Outputs<T> {
    step: String,
    after: u32,
    page: std::vec::IntoIter<host::Output>,
    ended: bool,
    output: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Iterator for Outputs<T> {
    type Item = Result<Output<T>, OutputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.ended {
            match host::read(&self.step, Some(self.after), PAGE) {
                Ok(page) => {
                    self.ended = page.is_empty();
                    self.page = page.into_iter();
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(match error {
                        host::OutputError::NotFound(what) => OutputError::NotFound(what),
                        host::OutputError::NotADependency(step) => OutputError::NotADependency(step),
                        host::OutputError::Cancelled => OutputError::Cancelled,
                        host::OutputError::Unavailable(reason) => OutputError::Unavailable(reason),
                    }));
                }
            }
        }
        let host::Output { task, key, outcome } = self.page.next()?;
        self.after = task;
        let outcome = match outcome {
            host::Outcome::Succeeded(json) => match serde_json::from_str(&json) {
                Ok(output) => Outcome::Succeeded(output),
                Err(error) => return Some(Err(OutputError::Json(key, error))),
            },
            host::Outcome::Failed(host::TaskFailure { cause, message }) => Outcome::Failed { cause, message },
            host::Outcome::Cancelled => Outcome::Cancelled,
        };
        Some(Ok(Output { task, key, outcome }))
    }
}
