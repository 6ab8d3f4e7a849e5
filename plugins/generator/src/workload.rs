//! The generator's arithmetic: who spawns what, and which line has which level. No host calls.

use bulkhead_plugin::rng::Rng;
use serde::{Deserialize, Serialize};

/// What one worker is to do: a task's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Lines to write.
    pub(crate) log_count: u32,
    /// Children to spawn, if any generation is left.
    pub(crate) child_count: u32,
    /// Generations left below this worker.
    pub(crate) depth: u32,
}

/// A worker's children, all alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Children {
    pub(crate) count: u32,
    pub(crate) work: Work,
}

impl Work {
    /// The children that this worker spawns: none where the recursion ends. Each does half of its parent's work.
    pub(crate) fn children(self) -> Children {
        Children {
            count: if self.depth == 0 { 0 } else { self.child_count },
            work: Work { log_count: self.log_count / 2, child_count: self.child_count / 2, depth: self.depth.saturating_sub(1) },
        }
    }
}

/// How much a generated line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

/// An endless row of levels: 80 % info, 15 % warn, 5 % error.
pub(crate) struct Levels {
    rng: Rng,
}

impl Levels {
    pub(crate) fn new(rng: Rng) -> Self {
        Levels { rng }
    }
}

impl Iterator for Levels {
    type Item = Level;

    fn next(&mut self) -> Option<Level> {
        Some(match self.rng.below(100) {
            0..80 => Level::Info,
            80..95 => Level::Warn,
            _ => Level::Error,
        })
    }
}

/// Lines by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) info: u32,
    pub(crate) warn: u32,
    pub(crate) error: u32,
}

impl Tally {
    pub(crate) fn count(&mut self, level: Level) {
        match level {
            Level::Info => self.info += 1,
            Level::Warn => self.warn += 1,
            Level::Error => self.error += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tasks and lines of a worker and everything below it.
    fn total(work: Work) -> (u32, u32) {
        let children = work.children();
        let (tasks, lines) = if children.count == 0 { (0, 0) } else { total(children.work) };
        (1 + children.count * tasks, work.log_count + children.count * lines)
    }

    #[test]
    fn children_halve_lines_and_children() {
        let work = Work { log_count: 20, child_count: 2, depth: 2 };
        let children = Children { count: 2, work: Work { log_count: 10, child_count: 1, depth: 1 } };
        assert_eq!(work.children(), children);
        assert_eq!(children.work.children().work, Work { log_count: 5, child_count: 0, depth: 0 });
        assert_eq!(children.work.children().work.children().count, 0);
        // What each of the test job's three recursive workers comes to.
        assert_eq!(total(work), (5, 50));
    }

    #[test]
    fn no_depth_no_children() {
        assert_eq!(Work { log_count: 8, child_count: 4, depth: 0 }.children().count, 0);
    }

    #[test]
    fn levels_are_repeatable_and_about_80_15_5() {
        let levels = || Levels::new(Rng::for_names(1912, &["fast", "worker-1", "levels"])).take(10_000);
        assert!(levels().eq(levels()));
        let mut tally = Tally::default();
        levels().for_each(|level| tally.count(level));
        assert_eq!(tally.info + tally.warn + tally.error, 10_000);
        assert!((7_850..8_150).contains(&tally.info), "{tally:?}");
        assert!((1_350..1_650).contains(&tally.warn), "{tally:?}");
        assert!((400..600).contains(&tally.error), "{tally:?}");
    }
}
