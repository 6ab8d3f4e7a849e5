//! The moments of a cron expression in a time zone.
//!
//! An expression is matched against the wall clock of its zone. Where that clock is put forward or back, what holds depends on
//! the expression, as in Vixie's cron:
//!
//! - A **fixed time** has no `*` in its seconds, minutes and hours: `30 2 * * *`, `0 9-17 * * MON-FRI`. Each such time happens
//!   once a day. One that the clock leaves out fires at the first moment after the gap; one that the clock shows twice fires the
//!   first time. Several times that one gap leaves out are one fire.
//! - An **interval** has one: `*/15 * * * *`, `0 * * * *`. It fires whenever the clock shows a time that matches: not at all
//!   during a gap, and both times where the clock shows a time twice, so that the same real time passes between two fires.
//!
//! A day that a zone leaves out as a whole (Apia, 30 December 2011) is a gap like any other.

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::time::Timestamp;

/// How many changes of an offset the search for an interval's next fire goes past: more than any zone has in the years that the
/// search looks ahead, so this stops nothing but an endless loop.
const MOST_TRANSITIONS: usize = 10_000;
/// How many times of the wall clock the search for a fixed time's next fire looks at: more than a day has seconds, which a clock
/// that is put back shows at most.
const MOST_LOOKS: usize = 100_000;

/// A cron expression in a time zone, ready to be asked.
#[derive(Clone, Debug)]
pub struct Timetable {
    cron: Cron,
    zone: TimeZone,
    /// It has a `*` in its seconds, minutes or hours.
    interval: bool,
}

/// What is wrong with a timetable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimetableError {
    /// The expression is none.
    #[error("`{cron}` is no cron expression: {why}")]
    Cron {
        /// The expression.
        cron: String,
        /// What is wrong.
        why: String,
    },
    /// There is no such time zone.
    #[error("there is no time zone `{0}`: use an IANA name, such as Europe/Berlin")]
    Zone(String),
}

/// The IANA names of all time zones, sorted.
pub fn zone_names() -> Vec<String> {
    let mut names: Vec<_> = TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect();
    names.sort_unstable();
    names
}

/// A time zone by its IANA name, whatever the case of its letters.
fn zone(name: &str) -> Result<TimeZone, TimetableError> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| TimetableError::Zone(name.to_owned()))
}

/// A cron expression, if it ever comes due.
fn cron(text: &str) -> Result<Cron, TimetableError> {
    let refuse = |why: String| TimetableError::Cron { cron: text.to_owned(), why };
    let cron = CronParser::builder().year(Year::Disallowed).build().parse(text).map_err(|error| refuse(explain(&error)))?;
    // Any moment will do: the calendar repeats every 400 years, and the search looks further ahead.
    match cron.find_next_occurrence(&DateTime::constant(1970, 1, 1, 0, 0, 0, 0), true) {
        Ok(_) => Ok(cron),
        Err(_) => Err(refuse("it never comes due".to_owned())),
    }
}

/// The library's reason in the style of our messages: without its own prefixes, its full stop and its capital letter.
fn explain(error: &CronError) -> String {
    use CronError::{ComponentError, IllegalCharacters, InvalidPattern};
    let text = match error {
        InvalidPattern(text) | IllegalCharacters(text) | ComponentError(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.trim_end_matches('.').replace("CronPattern contains", "contains");
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

impl Timetable {
    /// A cron expression of five fields, or six with the seconds first, in a time zone.
    ///
    /// # Errors
    /// [`TimetableError`]; the expression is looked at first.
    pub fn new(expression: &str, timezone: &str) -> Result<Self, TimetableError> {
        let cron = cron(expression)?;
        // Day of month, month and weekday are the last three fields; nicknames were replaced by what they mean.
        let fields: Vec<_> = cron.pattern.as_str().split_whitespace().collect();
        let interval = fields[..fields.len().saturating_sub(3)].iter().any(|field| field.contains('*'));
        Ok(Self { cron, zone: zone(timezone)?, interval })
    }

    /// The first fire after a moment; absent where none is left before the year 5000.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment = jiff::Timestamp::from_microsecond(i64::try_from(moment.as_micros()).ok()?).ok()?;
        let next = if self.interval { self.next_interval(moment) } else { self.next_fixed(moment) }?;
        u64::try_from(next.as_microsecond()).ok().map(Timestamp::from_micros)
    }

    /// The fires after `from` up to and including `until`, in order.
    pub fn between(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        let within = move |fire: &Timestamp| *fire <= until;
        std::iter::successors(self.next_after(from).filter(within), move |fire| self.next_after(*fire).filter(within))
    }

    /// The last fires after `from` up to and including `until`, at most `most`, in order.
    pub(crate) fn last(&self, from: Timestamp, until: Timestamp, most: usize) -> Vec<Timestamp> {
        // The latest second after which there are still so many, by bisection: counting stops at `most`, so that a fire every
        // second for years costs no more than one a day.
        let has_most = |from: Timestamp| self.between(from, until).take(most).count() == most;
        let (mut low, mut high) = (from.as_micros(), until.as_micros());
        if most > 0 && has_most(from) {
            while high - low > 1_000_000 {
                let middle = low + (high - low) / 2;
                if has_most(Timestamp::from_micros(middle)) { low = middle } else { high = middle }
            }
        }
        // Fires are at whole seconds, so at most one more than `most` is left.
        let mut fires: Vec<_> = self.between(Timestamp::from_micros(low), until).take(most + 1).collect();
        fires.drain(..fires.len().saturating_sub(most));
        fires
    }

    fn next_fixed(&self, moment: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut civil = self.zone.to_datetime(moment);
        for _ in 0..MOST_LOOKS {
            civil = self.cron.find_next_occurrence(&civil, false).ok()?;
            let fire = match self.zone.to_ambiguous_timestamp(civil).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok()?,
                AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok()?,
                AmbiguousOffset::Gap { before, .. } => self.end_of_gap(before.to_timestamp(civil).ok()?),
            };
            if fire > moment {
                return Some(fire);
            }
        }
        None
    }

    /// When the gap ends that leaves out a time, which the offset before it makes this moment.
    fn end_of_gap(&self, within: jiff::Timestamp) -> jiff::Timestamp {
        // The clock jumps at one moment, so the gap's end is its beginning; `preceding` looks strictly before.
        let after = within.checked_add(jiff::SignedDuration::from_secs(1)).unwrap_or(within);
        self.zone.preceding(after).next().map_or(within, |transition| transition.timestamp())
    }

    fn next_interval(&self, moment: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let (mut from, mut inclusive) = (moment, false);
        for _ in 0..MOST_TRANSITIONS {
            let offset = self.zone.to_offset(from);
            let civil = self.cron.find_next_occurrence(&offset.to_datetime(from), inclusive).ok()?;
            let fire = offset.to_timestamp(civil).ok()?;
            match self.zone.following(from).next() {
                // The clock is changed before it shows that time.
                Some(change) if change.timestamp() <= fire => (from, inclusive) = (change.timestamp(), true),
                _ => return Some(fire),
            }
        }
        None
    }
}
