//! How a call fails: one type, with the exit code and what to do next.

use std::path::PathBuf;

use bulkhead_api::model;
use bulkhead_core::definition::Diagnostics;
use bulkhead_engine::jobs::JobError;
use bulkhead_engine::store::StoreError;
use miette::Diagnostic;

use crate::exit_codes;

/// What the CLI's functions return.
pub(crate) type CliResult<T> = Result<T, CliError>;

/// Why a call ends without what it was asked for.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum CliError {
    /// The call makes no sense.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// A definition is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Definition(Box<InvalidDefinition>),
    /// A file can't be read or written.
    #[error("{} {}", .what, .path.display())]
    File {
        /// What was tried: `cannot read`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The server can't be reached.
    #[error("cannot reach {server}")]
    #[diagnostic(help("is `bulkhead serve` running there? `--server` or BULKHEAD_SERVER says where it is"))]
    Unreachable {
        /// Where it should be.
        server: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// The server, or the store, refused.
    #[error("{message}")]
    Refused {
        /// What it said.
        message: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// The server answered what this client can't read.
    #[error("{server} answered what this client does not understand: {reason}")]
    #[diagnostic(help("client and server should have the same version"))]
    Protocol {
        /// Who.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Bulkhead itself can't go on.
    #[error("{message}")]
    Broken {
        /// What does not work.
        message: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// Standard output can't be written.
    #[error("cannot write to standard output")]
    Stdout(#[source] std::io::Error),
}

impl CliError {
    /// A wrong call.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: None }
    }

    /// A wrong call, and how to mend it.
    pub(crate) fn usage_help(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: Some(help.into()) }
    }

    /// Bulkhead can't go on.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self::Broken { message: message.into(), help: None }
    }

    /// A file can't be read.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what: "cannot read", path, source }
    }

    /// A file can't be written.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what: "cannot write", path, source }
    }

    /// The exit code.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Definition(_) | Self::File { .. } => exit_codes::USAGE,
            Self::Unreachable { .. } => exit_codes::UNREACHABLE,
            Self::Refused { .. } => exit_codes::REFUSED,
            Self::Protocol { .. } | Self::Broken { .. } | Self::Stdout(_) => exit_codes::BROKEN,
        }
    }

    /// The error for a script.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({ "message": chain(self), "exit_code": self.exit_code() });
        if let Some(help) = self.help() {
            json["help"] = help.to_string().into();
        }
        if let Self::Definition(invalid) = self {
            json["diagnostics"] = serde_json::to_value(&invalid.diagnostics).unwrap_or_default();
        }
        json
    }

    /// Whether the reader of stdout went away, which is nobody's fault.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Stdout(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// What the engine said about a definition that was read from `name`.
    pub(crate) fn from_job(error: JobError, name: &str, text: &str) -> Self {
        match error {
            JobError::Invalid(diagnostics) => InvalidDefinition::new(name, text, diagnostics).into(),
            JobError::Store(error) => error.into(),
            error @ (JobError::Disabled(_)
            | JobError::File { .. }
            | JobError::Files(_)
            | JobError::Inputs(_)
            | JobError::Parameters(_)
            | JobError::Plugin(_)
            | JobError::Signature(_)
            | JobError::Manifest(_)
            | JobError::Registry(_)
            | JobError::MemoryBudget { .. }) => Self::usage(error.to_string()),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) | StoreError::Conflict(_) | StoreError::Rejected(_) => {
                Self::Refused { message: error.to_string(), help: None }
            }
            StoreError::Unavailable { .. } | StoreError::Corrupt(_) => Self::broken(error.to_string()),
        }
    }
}

/// A definition with all that is wrong with it, shown in its text.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{name} is not a valid definition: {}", plural(related.len()))]
pub(crate) struct InvalidDefinition {
    name: String,
    #[source_code]
    text: miette::NamedSource<String>,
    #[related]
    related: Vec<Mistake>,
    /// The same for scripts.
    diagnostics: Vec<model::Diagnostic>,
}

impl From<InvalidDefinition> for CliError {
    fn from(invalid: InvalidDefinition) -> Self {
        Self::Definition(Box::new(invalid))
    }
}

/// One thing that is wrong with a definition.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
struct Mistake {
    message: String,
    #[label("here")]
    span: miette::SourceSpan,
    #[help]
    help: Option<String>,
}

impl InvalidDefinition {
    /// What the core found in a text that was read from `name`.
    pub(crate) fn new(name: &str, text: &str, Diagnostics(found): Diagnostics) -> Self {
        Self::from_wire(name, text, found.iter().map(Into::into).collect())
    }

    /// What a server found.
    pub(crate) fn from_wire(name: &str, text: &str, diagnostics: Vec<model::Diagnostic>) -> Self {
        let mistake = |found: &model::Diagnostic| {
            // A span past the text would hide the message.
            let (start, end) = (found.start.min(text.len()), found.end.min(text.len()));
            let span = (start..end.max(start)).into();
            Mistake { message: found.message.clone(), span, help: found.help.clone() }
        };
        let text_of = miette::NamedSource::new(name, text.to_owned());
        Self { name: name.to_owned(), text: text_of, related: diagnostics.iter().map(mistake).collect(), diagnostics }
    }
}

/// An error and why it came about, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

fn plural(count: usize) -> String {
    if count == 1 { "1 mistake".to_owned() } else { format!("{count} mistakes") }
}
