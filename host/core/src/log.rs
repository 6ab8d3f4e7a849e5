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

/// The most lines of an attempt's end that are found without reading its log.
pub const TAIL_LINES: u64 = 20;

/// Where an attempt's last lines are in its run's log: at most [`TAIL_LINES`] of them, as stretches of neighbours. Kept with the
/// attempt, so that showing its end costs a few look-ups however long the run's log is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail(Vec<(u64, u32)>);

impl Tail {
    /// The stretches, the oldest first: the number of the first line in the run, and how many follow each other.
    pub fn stretches(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|&(first, count)| (first, u64::from(count)))
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many lines.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|&(_, count)| u64::from(count)).sum()
    }

    /// Adds `count` lines, numbered from `first` in the run. Lines that are there already are left out.
    pub fn extend(&mut self, first: u64, count: u64) {
        let end = first + count;
        let known = self.0.last().map_or(0, |&(first, count)| first + u64::from(count));
        let first = first.max(known).max(end.saturating_sub(TAIL_LINES));
        if first >= end {
            return;
        }
        let added = u32::try_from(end - first).unwrap_or(u32::MAX);
        match self.0.last_mut() {
            Some((start, length)) if *start + u64::from(*length) == first => *length += added,
            _ => self.0.push((first, added)),
        }
        let mut surplus = self.len().saturating_sub(TAIL_LINES);
        while surplus > 0 {
            let Some((start, length)) = self.0.first_mut() else { break };
            let cut = surplus.min(u64::from(*length));
            *start += cut;
            *length -= cut as u32;
            surplus -= cut;
            if *length == 0 {
                self.0.remove(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(appends: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut tail = Tail::default();
        appends.iter().for_each(|&(first, count)| tail.extend(first, count));
        assert!(tail.len() <= TAIL_LINES);
        tail.stretches().collect()
    }

    #[test]
    fn a_tail_keeps_the_last_lines_where_they_are() {
        assert_eq!(tail(&[]), []);
        assert_eq!(tail(&[(5, 3), (8, 2)]), [(5, 5)], "neighbours are one stretch");
        assert_eq!(tail(&[(5, 3), (100, 2)]), [(5, 3), (100, 2)]);
        assert_eq!(tail(&[(1, 1_000_000)]), [(999_981, 20)]);
        assert_eq!(tail(&[(1, 15), (50, 15)]), [(11, 5), (50, 15)]);
        assert_eq!(tail(&[(1, 10), (50, 5), (70, 30)]), [(80, 20)]);
        assert_eq!(tail(&[(5, 3), (5, 3), (7, 2)]), [(5, 4)], "what is known is not added again");
    }
}
