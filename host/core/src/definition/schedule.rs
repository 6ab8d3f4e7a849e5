//! When a definition runs by itself.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::config::json_of;
use super::diagnostic::{Report, did_you_mean, quote};
use super::reader::{Field, Reader};
use crate::schedule::{CatchUp, Overlap, Schedule, Timetable, TimetableError, zone_names};

/// The longest cron expression in characters: every field with a list of all its values fits.
const MAX_CRON_LEN: usize = 1_000;
/// The longest name of a time zone, in characters.
const MAX_ZONE_LEN: usize = 100;
/// How many fires may wait: those that wait are part of one record.
const WAITING: RangeInclusive<u32> = 1..=100;
/// How many fires may be caught up on: each is a run.
const CAUGHT_UP: RangeInclusive<u32> = 1..=1_000;
const DEFAULT_CAUGHT_UP: u32 = 100;
/// How late a fire may be caught up on.
const WINDOWS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(366 * 86_400);
const DEFAULT_WINDOW: Duration = Duration::from_secs(86_400);
/// How far fires may be spread.
const JITTERS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);

const CRON_HELP: &str = "give minute, hour, day, month and weekday, and seconds before them if you like: \"0 3 * * MON-FRI\"";
const EXAMPLE: &str = "`schedule = \"0 3 * * *\"`, or `[schedule]` and below it `cron = \"0 3 * * *\"`";

/// The overlap policies by name, before their parameters are known.
#[derive(Clone, Copy, PartialEq)]
enum OverlapWord {
    Skip,
    Queue,
    Cancel,
}

/// The same for catching up.
#[derive(Clone, Copy, PartialEq)]
enum CatchUpWord {
    None,
    Last,
    All,
}

/// Reads the schedule of a text, and nothing else of it.
pub(super) fn alone(root: &DeTable<'_>, report: &mut Report<'_>) -> Option<(Schedule, bool)> {
    let enabled = root.get("enabled").is_none_or(|value| value.get_ref().as_bool() == Some(true));
    let field = root.get_key_value("schedule").map(Field::new)?;
    Some((read(&field, report)?, enabled))
}

/// Reads a schedule: a cron expression, or a table with one. It is absent only if something was reported.
pub(super) fn read(field: &Field<'_>, report: &mut Report<'_>) -> Option<Schedule> {
    match field.value {
        DeValue::String(_) => cron(field, report).map(Schedule::new),
        DeValue::Table(table) => read_table(field, table, report),
        _ => {
            field.wrong_type(report, "a string or a table", format!("write {EXAMPLE}"));
            None
        }
    }
}

fn read_table<'a>(field: &Field<'a>, table: &'a DeTable<'a>, report: &mut Report<'_>) -> Option<Schedule> {
    let mut reader = Reader::new(table, "`schedule`", field.header(report));
    let cron = reader.required("cron", "`cron = \"0 3 * * *\"`").map(|field| cron(&field, report));
    let timezone = reader.optional("timezone").map(|field| zone(&field, report));
    let overlap = overlap(&mut reader, report);
    let catch_up = catch_up(&mut reader, report);
    let jitter = reader.optional("jitter").map(|field| field.duration(report, JITTERS));
    let paused = reader.optional("paused").map(|field| field.boolean(report));
    let parameters = reader.optional("parameters").map(|field| parameters(&field, report));
    reader.finish(report);
    let default = Schedule::new(cron??);
    Some(Schedule {
        timezone: timezone.unwrap_or(Some(default.timezone))?,
        overlap: overlap?,
        catch_up: catch_up?,
        jitter: jitter.unwrap_or(Some(default.jitter))?,
        paused: paused.unwrap_or(Some(default.paused))?,
        parameters: parameters.unwrap_or(Some(default.parameters))?,
        cron: default.cron,
    })
}

fn cron(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = field.short_string(report, MAX_CRON_LEN)?;
    match Timetable::new(&text, "UTC") {
        Ok(_) => Some(text),
        Err(TimetableError::Cron { cron, why }) => {
            report.add(field.span.clone(), format!("{} is no schedule: {why}", quote(&cron)), CRON_HELP.to_owned());
            None
        }
        Err(error @ TimetableError::Zone(_)) => {
            report.add(field.span.clone(), error.to_string(), None);
            None
        }
    }
}

/// The name of a time zone, as the database writes it.
fn zone(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = field.short_string(report, MAX_ZONE_LEN)?;
    let names = zone_names();
    if let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(&text)) {
        return Some(name.clone());
    }
    // A city is often all that somebody writes, or all that is misspelt.
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let wanted = city(&text).replace(' ', "_");
    let named = names.iter().find(|name| city(name).eq_ignore_ascii_case(&wanted)).cloned();
    let nearest = named.or_else(|| report.nearest(&text, names.iter().map(String::as_str)).map(str::to_owned));
    let nearest = nearest.or_else(|| {
        let cities: Vec<_> = names.iter().map(|name| city(name)).collect();
        let nearest = report.nearest(&wanted, cities.iter().map(String::as_str))?;
        names.iter().find(|name| city(name) == nearest).cloned()
    });
    let help =
        nearest.map_or_else(|| "use an IANA name, such as `Europe/Berlin` or `UTC`".to_owned(), |name| did_you_mean(&name));
    report.add(field.span.clone(), format!("there is no time zone {}", quote(&text)), help);
    None
}

fn overlap(reader: &mut Reader<'_>, report: &mut Report<'_>) -> Option<Overlap> {
    let words = [("skip", OverlapWord::Skip), ("queue", OverlapWord::Queue), ("cancel", OverlapWord::Cancel)];
    let word = reader.optional("overlap").map_or(Some(OverlapWord::Skip), |field| field.choice(report, &words));
    let most = reader.optional("max_waiting");
    if let (Some(field), Some(OverlapWord::Skip | OverlapWord::Cancel)) = (&most, word) {
        return idle(field, report, "with `overlap = \"queue\"`");
    }
    let most = most.map_or(Some(*WAITING.start()), |field| field.small_integer(report, WAITING));
    Some(match word? {
        OverlapWord::Skip => Overlap::Skip,
        OverlapWord::Queue => Overlap::Queue { most: most? },
        OverlapWord::Cancel => Overlap::Cancel,
    })
}

fn catch_up(reader: &mut Reader<'_>, report: &mut Report<'_>) -> Option<CatchUp> {
    let words = [("none", CatchUpWord::None), ("last", CatchUpWord::Last), ("all", CatchUpWord::All)];
    let word = reader.optional("catch_up").map_or(Some(CatchUpWord::None), |field| field.choice(report, &words));
    let (most, window) = (reader.optional("catch_up_limit"), reader.optional("catch_up_window"));
    if let (Some(field), Some(CatchUpWord::None | CatchUpWord::Last)) = (&most, word) {
        return idle(field, report, "with `catch_up = \"all\"`");
    }
    if let (Some(field), Some(CatchUpWord::None)) = (&window, word) {
        return idle(field, report, "with `catch_up = \"last\"` or `\"all\"`");
    }
    let most = most.map_or(Some(DEFAULT_CAUGHT_UP), |field| field.small_integer(report, CAUGHT_UP));
    let window = window.map_or(Some(DEFAULT_WINDOW), |field| field.duration(report, WINDOWS));
    Some(match word? {
        CatchUpWord::None => CatchUp::None,
        CatchUpWord::Last => CatchUp::Last { window: window? },
        CatchUpWord::All => CatchUp::All { most: most?, window: window? },
    })
}

/// A key that says nothing where it is.
fn idle<T>(field: &Field<'_>, report: &mut Report<'_>, unless: &str) -> Option<T> {
    let message = format!("{} means something only {unless}", quote(field.key));
    report.add(field.key_span.clone(), message, "leave it out, or choose that policy".to_owned());
    None
}

fn parameters(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    field.table(report, "`[schedule.parameters]` and below it `key = \"value\"`")?;
    json_of(field, report).map(|value| value.to_string())
}
