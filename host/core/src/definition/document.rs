//! The top level of a definition.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use super::config::Plugins;
use super::diagnostic::{Report, quote};
use super::inputs::{self, Inputs};
use super::reader::{Field, Reader};
use super::{Definition, MAX_STEPS, graph, hooks, schedule, step};
use crate::plan::{ErrorTolerance, FailureAction, Plan, Priority, StepPlan};

/// How long a run, or one attempt, may be allowed to take: from what a timer can tell apart to a month.
pub(super) const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(30 * 86_400);

/// The longest `name`, in characters: it stands in lists.
const MAX_TITLE_LEN: usize = 200;

/// The longest `description`, in characters.
pub(super) const MAX_DESCRIPTION_LEN: usize = 10_000;

/// The most tags, and the longest one in characters: they are filters, not texts.
const MAX_TAGS: usize = 50;
const MAX_TAG_LEN: usize = 64;

/// Reads a definition. It is absent only if something was reported.
pub(super) fn read<'a>(root: &'a DeTable<'a>, plugins: Plugins<'_>, report: &mut Report<'_>) -> Option<Definition> {
    let mut top = Reader::new(root, "the definition", 0..0);
    let id = top.required("id", "`id = \"my-job\"`").and_then(|field| field.name(report, "a definition"));
    let name = top.optional("name").and_then(|field| field.short_string(report, MAX_TITLE_LEN));
    // A plan has no place for the definition's description; it is checked, and stays in the text.
    top.optional("description").and_then(|field| field.short_string(report, MAX_DESCRIPTION_LEN));
    let tags = top.optional("tags").map(|field| tags(&field, report)).unwrap_or_default();
    let at = top.optional("schedule");
    let schedule = at.as_ref().and_then(|field| schedule::read(field, report));
    let hooks = top.optional("hooks").and_then(|field| hooks::read(&field, report)).unwrap_or_default();
    let timeout = top.optional("timeout").and_then(|field| field.duration(report, TIMEOUTS));
    let enabled = top.optional("enabled").and_then(|field| field.boolean(report)).unwrap_or(true);
    let starts = top.optional("auto_start");
    let auto_start = starts.as_ref().and_then(|field| field.boolean(report)).unwrap_or(false);
    let priority = top.optional("priority").and_then(|field| priority(&field, report)).unwrap_or_default();
    let tolerance = top.optional("error_tolerance").and_then(|field| tolerance(&field, report)).unwrap_or_default();
    let inputs = inputs(&mut top, report);
    if let (Some(field), Some(schedule), Some(inputs)) = (&at, &schedule, &inputs) {
        let span = field.value.get("parameters").map_or_else(|| field.header(report), |value| value.span());
        inputs::check_unattended(inputs, "the schedule", Some(&schedule.parameters), span, report);
    }
    if let (Some(field), true, Some(inputs)) = (&starts, auto_start, &inputs) {
        inputs::check_unattended(inputs, "`auto_start`", None, field.key_span.clone(), report);
    }
    let steps = top.required("step", "at least one step, like `[step.first]`").map(|field| steps(&field, plugins, report));
    top.finish(report);

    let (id, inputs, steps) = (id?, inputs?, steps??);
    let name = name.unwrap_or_else(|| id.to_string());
    let plan = Plan { definition: id.clone(), name, tags, priority, timeout, tolerance, steps };
    Some(Definition { id, schedule, hooks, enabled, auto_start, inputs, plan: Arc::new(plan) })
}

/// What runs are started with. It is absent only if something was reported.
fn inputs(top: &mut Reader<'_>, report: &mut Report<'_>) -> Option<Inputs> {
    let parameters = top.optional("parameters").map(|field| inputs::parameters(&field, report));
    let files = top.optional("files").map(|field| inputs::files(&field, report));
    let parameters = match parameters {
        Some(parameters) => Some(parameters?),
        None => None,
    };
    let files = match files {
        Some(files) => Some(files?),
        None => None,
    };
    Some(Inputs { parameters, files })
}

fn tags(field: &Field<'_>, report: &mut Report<'_>) -> Vec<String> {
    let tags = field.strings(report);
    if tags.len() > MAX_TAGS {
        let message = format!("there are {} tags, but at most {MAX_TAGS} are allowed", tags.len());
        report.add(field.span.clone(), message, "leave some out".to_owned());
        return Vec::new();
    }
    let mut kept: Vec<String> = Vec::new();
    for (tag, span) in tags {
        if tag.trim().is_empty() || tag.chars().count() > MAX_TAG_LEN {
            report.add(span, format!("{} can't be a tag", quote(tag)), format!("use 1 to {MAX_TAG_LEN} characters"));
        } else if kept.iter().any(|kept| kept == tag) {
            report.add(span, format!("the tag {} is given twice", quote(tag)), "leave one out".to_owned());
        } else {
            kept.push(tag.to_owned());
        }
    }
    kept
}

fn priority(field: &Field<'_>, report: &mut Report<'_>) -> Option<Priority> {
    let value = field.integer(report, 0..=u64::from(Priority::MAX.0))?;
    u8::try_from(value).ok().map(Priority)
}

fn tolerance(field: &Field<'_>, report: &mut Report<'_>) -> Option<ErrorTolerance> {
    let table = field.table(report, "`[error_tolerance]` and below it `max_child_failures = 1`")?;
    let mut reader = Reader::new(table, "`error_tolerance`", field.header(report));
    let default = ErrorTolerance::default();
    let max_child_failures = reader.optional("max_child_failures").and_then(|field| field.small_integer(report, 0..=1_000_000));
    let rate = reader.optional("max_child_failure_rate").and_then(|field| field.share(report));
    let from = reader.optional("rate_from").and_then(|field| field.small_integer(report, 1..=1_000_000));
    let actions = [("continue", FailureAction::Continue), ("stop", FailureAction::Stop)];
    let failure_action = reader.optional("failure_action").and_then(|field| field.choice(report, &actions));
    reader.finish(report);
    Some(ErrorTolerance {
        // Who gives a rate alone does not want it cut by a number.
        max_child_failures: max_child_failures.unwrap_or(if rate.is_some() { u32::MAX } else { default.max_child_failures }),
        max_child_failure_rate: rate,
        rate_from: from.unwrap_or(default.rate_from),
        failure_action: failure_action.unwrap_or(default.failure_action),
    })
}

/// Reads all steps. They are absent only if something was reported.
fn steps(field: &Field<'_>, mut plugins: Plugins<'_>, report: &mut Report<'_>) -> Option<Vec<StepPlan>> {
    let table = field.table(report, "each step as a table of its own, like `[step.first]`")?;
    if table.is_empty() {
        let header: Range<usize> = field.header(report);
        report.add_absence(header, "the definition has no step", "add one, like `[step.first]`".to_owned());
        return None;
    }
    if let Some(first_too_many) = table.iter().map(Field::new).nth(MAX_STEPS) {
        let message = format!("there are {} steps, but at most {MAX_STEPS} are allowed", table.len());
        report.add(first_too_many.header(report), message, "let one step do more tasks, or split the definition".to_owned());
        return None;
    }
    let drafts: Vec<_> = table.iter().map(|entry| step::read(&Field::new(entry), &mut plugins, report)).collect();
    let depends = graph::resolve(&drafts, report);
    let plan = |(draft, depends): (step::Draft<'_>, _)| Some(StepPlan { depends, ..draft.plan? });
    drafts.into_iter().zip(depends).map(plan).collect()
}
