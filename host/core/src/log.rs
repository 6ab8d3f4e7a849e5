//! Log lines: what plugins say, and what the host says of their attempts.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// For whoever debugs the plugin.
    Debug,
    /// What happened.
    Info,
    /// What may need a look.
    Warn,
    /// What went wrong.
    Error,
}

impl Level {
    /// All levels, the least first.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The level's name on the wire and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The level of a name that [`Self::name`] gave.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The plugin's `log.write`.
    Plugin,
    /// The plugin's standard output.
    Stdout,
    /// The plugin's standard error.
    Stderr,
    /// The host, about the attempt: how it failed, what was suppressed.
    Host,
}

impl Source {
    /// The source's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Host => "host",
        }
    }
}

/// One line as it was written, before the store numbers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When the host received it.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// Where it comes from.
    pub source: Source,
    /// The text.
    pub message: Box<str>,
    /// A JSON object of structured fields.
    pub fields: Option<Box<str>>,
}

/// How many lines there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelCounts {
    /// Lines at [`Level::Debug`].
    pub debug: u64,
    /// Lines at [`Level::Info`].
    pub info: u64,
    /// Lines at [`Level::Warn`].
    pub warn: u64,
    /// Lines at [`Level::Error`].
    pub error: u64,
}

impl LevelCounts {
    /// Counts a line.
    pub fn add(&mut self, level: Level) {
        match level {
            Level::Debug => self.debug += 1,
            Level::Info => self.info += 1,
            Level::Warn => self.warn += 1,
            Level::Error => self.error += 1,
        }
    }

    /// All lines.
    pub const fn total(&self) -> u64 {
        self.debug + self.info + self.warn + self.error
    }
}
