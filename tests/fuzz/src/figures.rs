//! What a campaign came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::binary::Kind;
use crate::watch::Seen;

/// What became of the binaries of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    /// Binaries.
    pub made: u64,
    /// Refused at upload.
    pub refused: u64,
    /// Taken, but the step that uses them was not valid for what they say of themselves.
    pub misdescribed: u64,
    /// Run.
    pub ran: u64,
    /// Runs that succeeded.
    pub succeeded: u64,
}

/// What a campaign came to.
#[derive(Debug, Default)]
pub struct Figures {
    /// The number of its first case.
    pub seed: u64,
    /// From its first case to its last.
    pub took: Duration,
    /// By kind, and whether the plugins were large.
    pub(crate) fates: BTreeMap<(Kind, bool), Fate>,
    /// Tasks by how they ended: `succeeded`, or their cause.
    pub tasks: BTreeMap<String, u64>,
    /// Refusals by their cause and the first words of what they say.
    pub refusals: BTreeMap<String, u64>,
    /// What was seen of the server meanwhile.
    pub seen: Seen,
}

impl Figures {
    /// All kinds together.
    pub fn total(&self) -> Fate {
        self.fates.values().fold(Fate::default(), |sum, fate| Fate {
            made: sum.made + fate.made,
            refused: sum.refused + fate.refused,
            misdescribed: sum.misdescribed + fate.misdescribed,
            ran: sum.ran + fate.ran,
            succeeded: sum.succeeded + fate.succeeded,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let Self { seed, took, fates, tasks, refusals, seen } = self;
        writeln!(f, "{} cases from seed {seed} in {:.0} s", total.made, took.as_secs_f64())?;
        writeln!(f, "{:34} {:>6} {:>8} {:>13} {:>6} {:>10}", "", "made", "refused", "misdescribed", "ran", "succeeded")?;
        let named = |(kind, large): (Kind, bool)| format!("{}{}", if large { "large " } else { "" }, kind.name());
        for (name, fate) in fates.iter().map(|(kind, fate)| (named(*kind), fate)).chain([("all".to_owned(), &total)]) {
            let Fate { made, refused, misdescribed, ran, succeeded } = fate;
            writeln!(f, "{name:34} {made:6} {refused:8} {misdescribed:13} {ran:6} {succeeded:10}")?;
        }
        writeln!(f, "tasks:")?;
        for (end, count) in tasks {
            writeln!(f, "{count:6} {end}")?;
        }
        writeln!(f, "refusals:")?;
        for (why, count) in refusals {
            writeln!(f, "{count:6} {why}")?;
        }
        write!(f, "{seen}")
    }
}
