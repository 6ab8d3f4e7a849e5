//! Schedules and their fires.

use bulkhead_core::schedule::{self as core, CatchUp, FireOutcome, Overlap, ScheduleRecord, SkipReason};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Time;

/// When a definition runs by itself, and where that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// The definition.
    pub id: String,
    /// The definition's version that says so.
    pub version: u64,
    /// The cron expression: five fields, or six with the seconds first.
    #[schema(example = "0 3 * * MON-FRI")]
    pub cron: String,
    /// The time zone that it is read in, by its IANA name.
    #[schema(example = "Europe/Berlin")]
    pub timezone: String,
    /// What happens to a fire while a run of an earlier one has not ended: `skip`, `queue` or `cancel`.
    #[schema(example = "skip")]
    pub overlap: String,
    /// The most fires that wait, with `queue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_waiting: Option<u32>,
    /// What happens to fires that fell due while nobody was there: `none`, `last` or `all`.
    #[schema(example = "none")]
    pub catch_up: String,
    /// The most fires that are caught up on, with `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up_limit: Option<u32>,
    /// How late a fire may be caught up on, in milliseconds, with `last` and `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up_window_ms: Option<u64>,
    /// Each fire is late by a part of this, always the same part for the same fire; in milliseconds.
    pub jitter_ms: u64,
    /// Whether the definition may run.
    pub enabled: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// When the next fire falls due. Absent while none will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
    /// Fires that wait for the end of earlier runs.
    pub waiting: usize,
    /// Its runs that have not ended.
    pub active: Vec<String>,
    /// The last fire that started a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Fire>,
    /// How many fires came to what.
    pub counts: FireCounts,
}

/// A schedule with its next and its last fires.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScheduleDetail {
    /// The schedule.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// The parameters of its runs: a JSON object.
    #[schema(value_type = Object)]
    pub parameters: Box<RawValue>,
    /// The next moments of its timetable, whether or not it is paused.
    pub upcoming: Vec<Time>,
    /// What became of the last fires, the newest first.
    pub fires: Vec<Fire>,
}

/// The next fires of a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SchedulePreview {
    /// The expression.
    pub cron: String,
    /// The time zone.
    pub timezone: String,
    /// The next fires.
    pub upcoming: Vec<Time>,
}

/// What became of a fire, or of several in a row that were passed over for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fire {
    /// Its number in its schedule.
    pub number: u64,
    /// The moment that the timetable names; of several, the first.
    pub time: Time,
    /// Of several, the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// How many; 10,000 says at least so many.
    pub count: u32,
    /// Somebody asked for it.
    pub manual: bool,
    /// When it came to this.
    pub decided_at: Time,
    /// What became of it: `started`, `waiting`, `skipped`, `missed` or `refused`.
    #[schema(example = "started")]
    pub outcome: String,
    /// The run that it started, or that was in its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why it was skipped (`overlap`, `queue-full`, `superseded`, `paused`, `disabled`, `changed`), or why the definition can't
    /// run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How many fires came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FireCounts {
    /// Started a run.
    pub started: u64,
    /// Skipped.
    pub skipped: u64,
    /// Missed.
    pub missed: u64,
    /// Refused.
    pub refused: u64,
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&ScheduleRecord> for Schedule {
    fn from(record: &ScheduleRecord) -> Self {
        let says = &record.schedule;
        let (catch_up_limit, window) = match says.catch_up {
            CatchUp::None => (None, None),
            CatchUp::Last { window } => (None, Some(window)),
            CatchUp::All { most, window } => (Some(most), Some(window)),
        };
        Self {
            id: record.id.to_string(),
            version: record.version,
            cron: says.cron.clone(),
            timezone: says.timezone.clone(),
            overlap: says.overlap.name().to_owned(),
            max_waiting: match says.overlap {
                Overlap::Queue { most } => Some(most),
                Overlap::Skip | Overlap::Cancel => None,
            },
            catch_up: says.catch_up.name().to_owned(),
            catch_up_limit,
            catch_up_window_ms: window.map(millis),
            jitter_ms: millis(says.jitter),
            enabled: record.enabled,
            paused: record.paused,
            next: record.next.filter(|_| record.enabled && !record.paused).map(|next| record.due_of(next).into()),
            waiting: record.waiting.len(),
            active: record.active.iter().map(ToString::to_string).collect(),
            last: record.last_started.as_ref().map(Into::into),
            counts: FireCounts {
                started: record.counts.started,
                skipped: record.counts.skipped,
                missed: record.counts.missed,
                refused: record.counts.refused,
            },
        }
    }
}

impl From<&core::FireRecord> for Fire {
    fn from(fire: &core::FireRecord) -> Self {
        let (run, reason) = match &fire.outcome {
            FireOutcome::Started { run } => (Some(run), None),
            FireOutcome::Skipped { reason: reason @ SkipReason::Overlap { run } } => (Some(run), Some(reason.name().to_owned())),
            FireOutcome::Skipped { reason } => (None, Some(reason.name().to_owned())),
            FireOutcome::Refused { reason } => (None, Some(reason.to_string())),
            FireOutcome::Waiting | FireOutcome::Missed => (None, None),
        };
        Self {
            number: fire.number,
            time: fire.time.into(),
            last: (fire.count > 1).then(|| fire.last.into()),
            count: fire.count,
            manual: fire.manual,
            decided_at: fire.decided_at.into(),
            outcome: fire.outcome.name().to_owned(),
            run: run.map(ToString::to_string),
            reason,
        }
    }
}
