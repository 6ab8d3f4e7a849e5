//! Content that is too large for an output: files that the run was started with, what earlier steps left, and what this task
//! leaves.
//!
//! ```no_run
//! # use std::io::{BufRead, Write};
//! # use bulkhead_plugin::{artifacts, Error};
//! # fn run() -> Result<(), Error> {
//! let rows = artifacts::open(artifacts::Source::File, "rows")?;
//! let mut lengths = artifacts::create("lengths.txt")?;
//! for line in rows.lines() {
//!     writeln!(lengths, "{}", line?.len())?;
//! }
//! lengths.finish()?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use crate::bindings::bulkhead::plugin::artifacts as host;
pub use crate::bindings::bulkhead::plugin::artifacts::Info;

/// Bytes that gather before they are written, and that are read at once: few calls, and little of a small plugin's memory.
const BUFFER: usize = 256 * 1024;
/// The entries of one page of a list.
const PAGE: u32 = 1_000;

/// Where content comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file that the run was started with.
    File,
    /// What the tasks of a step published that this one depends on. Of several with the same name, the first task's.
    Step(String),
    /// Likewise what one task of it published.
    Task {
        /// The step's name.
        step: String,
        /// The task's number in it: 0 is its `plan`.
        task: u32,
    },
}

impl Source {
    /// What a step's tasks published.
    pub fn step(name: impl Into<String>) -> Self {
        Source::Step(name.into())
    }

    fn to_host(&self) -> host::Source {
        match self {
            Source::File => host::Source::File,
            Source::Step(step) => host::Source::Step(step.clone()),
            Source::Task { step, task } => host::Source::Task(host::StepTask { step: step.clone(), task: *task }),
        }
    }
}

/// Why nothing was written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactError {
    /// There is no such file, artifact or step; which.
    NotFound(String),
    /// This task's step does not depend on that one; its name.
    NotADependency(String),
    /// A name or a content type is not acceptable; which and why.
    Invalid(String),
    /// More than the host takes; the limit, in bytes or in artifacts.
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The run is ending, or this attempt no longer holds its task.
    Cancelled,
    /// The host could not answer now. Trying again is safe.
    Unavailable(String),
}

impl fmt::Display for ArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArtifactError::NotFound(what) => write!(f, "there is no {what}"),
            ArtifactError::NotADependency(step) => write!(f, "this step does not depend on `{step}`: add it to `depends`"),
            ArtifactError::Invalid(why) => f.write_str(why),
            ArtifactError::TooLarge { limit } => write!(f, "that is more than the host takes: {limit} at most"),
            ArtifactError::Cancelled => f.write_str("nothing is written or read any more: the run is ending"),
            ArtifactError::Unavailable(reason) => write!(f, "the host could not answer now: {reason}"),
        }
    }
}

impl std::error::Error for ArtifactError {}

impl ArtifactError {
    /// Whether no further attempt can end differently.
    pub(crate) fn is_permanent(&self) -> bool {
        !matches!(self, ArtifactError::Cancelled | ArtifactError::Unavailable(_))
    }
}

impl From<host::ArtifactError> for ArtifactError {
    fn from(error: host::ArtifactError) -> Self {
        match error {
            host::ArtifactError::NotFound(what) => ArtifactError::NotFound(what),
            host::ArtifactError::NotADependency(step) => ArtifactError::NotADependency(step),
            host::ArtifactError::Invalid(why) => ArtifactError::Invalid(why),
            host::ArtifactError::TooLarge(limit) => ArtifactError::TooLarge { limit },
            host::ArtifactError::Cancelled => ArtifactError::Cancelled,
            host::ArtifactError::Unavailable(reason) => ArtifactError::Unavailable(reason),
        }
    }
}

impl From<ArtifactError> for io::Error {
    fn from(error: ArtifactError) -> Self {
        let kind = match &error {
            ArtifactError::NotFound(_) => io::ErrorKind::NotFound,
            ArtifactError::NotADependency(_) => io::ErrorKind::PermissionDenied,
            ArtifactError::Invalid(_) => io::ErrorKind::InvalidInput,
            ArtifactError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            ArtifactError::Cancelled | ArtifactError::Unavailable(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// Begins an artifact of this task, whose content type its name's extension tells. A name has 1 to 128 ASCII letters, digits,
/// `.`, `-` and `_`, the first no `.`.
///
/// It is published when the task succeeds; an attempt that ends otherwise leaves nothing.
pub fn create(name: impl Into<String>) -> Result<Writer, ArtifactError> {
    let name = name.into();
    // An artifact without bytes is one, too.
    host::write(&name, &[])?;
    Ok(Writer { name, buffer: Vec::new() })
}

/// Likewise, with a content type that the name does not tell.
pub fn create_as(name: impl Into<String>, content_type: &str) -> Result<Writer, ArtifactError> {
    let name = name.into();
    host::create(&name, content_type)?;
    Ok(Writer { name, buffer: Vec::new() })
}

/// Writes a whole artifact.
pub fn write(name: impl Into<String>, bytes: &[u8]) -> Result<(), ArtifactError> {
    let name = name.into();
    host::write(&name, &[])?;
    bytes.chunks(BUFFER).try_for_each(|piece| Ok(host::write(&name, piece)?))
}

/// Writes an artifact, gathering what it is given. Call [`Writer::finish`] at the end: what still waits when it is dropped is
/// written then, too, but a failure goes unheard and the artifact lacks its end.
#[derive(Debug)]
pub struct Writer {
    name: String,
    buffer: Vec<u8>,
}

impl Writer {
    /// Writes what still waits.
    pub fn finish(mut self) -> Result<(), ArtifactError> {
        self.send()
    }

    fn send(&mut self) -> Result<(), ArtifactError> {
        if !self.buffer.is_empty() {
            host::write(&self.name, &self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BUFFER - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == BUFFER {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.send()?)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.send();
    }
}

/// What is known of a file or an artifact.
pub fn find(source: &Source, name: &str) -> Result<Info, ArtifactError> {
    Ok(host::find(&source.to_host(), name)?)
}

/// Opens a file or an artifact to read.
pub fn open(source: Source, name: impl Into<String>) -> Result<Reader, ArtifactError> {
    let (source, name) = (source.to_host(), name.into());
    let Info { size, .. } = host::find(&source, &name)?;
    Ok(Reader { source, name, size, position: 0, buffer: Vec::new(), start: 0 })
}

/// Reads a file or an artifact, a piece at a time. Nothing of it lasts but a number, the [position](Reader::position): a retry
/// [seeks](Seek) there and reads on.
#[derive(Debug)]
pub struct Reader {
    source: host::Source,
    name: String,
    size: u64,
    /// Where the next byte is read from.
    position: u64,
    buffer: Vec<u8>,
    /// How much of `buffer` was read.
    start: usize,
}

impl Reader {
    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the next byte is read from.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl Read for Reader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let taken = available.len().min(bytes.len());
        bytes[..taken].copy_from_slice(&available[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.buffer.len() && self.position < self.size {
            let read = host::read(&self.source, &self.name, self.position, BUFFER as u32);
            self.buffer = read.map_err(ArtifactError::from)?;
            self.start = 0;
            if self.buffer.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&self.buffer[self.start..])
    }

    fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.buffer.len() - self.start);
        self.start += amount;
        self.position += amount as u64;
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        (self.buffer, self.start) = (Vec::new(), 0);
        Ok(self.position)
    }
}

/// What a source has, by name and then by task, read page by page.
pub fn list(source: &Source) -> impl Iterator<Item = Result<Info, ArtifactError>> + use<> {
    let source = source.to_host();
    let mut page = Vec::new().into_iter();
    let mut after: Option<host::Place> = None;
    let mut ended = false;
    std::iter::from_fn(move || {
        if page.len() == 0 && !ended {
            match host::entries(&source, after.as_ref(), PAGE) {
                Ok(found) => {
                    ended = found.is_empty();
                    page = found.into_iter();
                }
                Err(error) => {
                    ended = true;
                    return Some(Err(error.into()));
                }
            }
        }
        let info = page.next()?;
        after = Some(host::Place { name: info.name.clone(), task: info.task });
        Some(Ok(info))
    })
}
