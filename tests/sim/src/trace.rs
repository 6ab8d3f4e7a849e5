//! What happened in a world, in order: a hash of all of it, and its last lines in words.

use std::collections::VecDeque;

use crate::rng;

/// The lines that a failure prints.
const KEPT: usize = 120;

/// A running record.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: u64,
    last: VecDeque<String>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: rng::hash(""), lines: 0, last: VecDeque::new() }
    }
}

impl Trace {
    /// Adds a line.
    pub(crate) fn add(&mut self, line: String) {
        self.hash = rng::fold(self.hash, &line);
        self.lines += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The hash of all lines so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there were.
    pub(crate) fn len(&self) -> u64 {
        self.lines
    }

    /// The last lines.
    pub(crate) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}
