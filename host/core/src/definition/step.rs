//! One step of a definition.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::config::Plugins;
use super::diagnostic::{Report, did_you_mean, list, quote};
use super::document::{MAX_DESCRIPTION_LEN, TIMEOUTS};
use super::reader::{Field, Reader, parse_name};
use super::{KnownPlugin, limits};
use crate::failure::{CAUSE_NAMES, CauseSet};
use crate::oci::{OciReference, SCHEME};
use crate::plan::{OnError, PluginRef, RetryPolicy, StepPlan};

/// How long one attempt may take where the step does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// How long the wait before a further attempt may be.
const BACKOFFS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);

/// A step whose dependencies are still names.
pub(super) struct Draft<'a> {
    /// Its name as the text has it.
    pub(super) name: &'a str,
    /// The names that it depends on, each with its place.
    pub(super) depends: Vec<(&'a str, Range<usize>)>,
    /// The rest of it, without dependencies; absent only if something was reported.
    pub(super) plan: Option<StepPlan>,
}

/// Reads a step.
pub(super) fn read<'a>(field: &Field<'a>, plugins: &mut Plugins<'_>, report: &mut Report<'_>) -> Draft<'a> {
    let mut draft = Draft { name: field.key, depends: Vec::new(), plan: None };
    let name = parse_name(field.key, field.key_span.clone(), "a step", report);
    let Some(table) = field.table(report, "`[step.first]` and below it `plugin = \"…\"`") else { return draft };
    let mut step = Reader::new(table, format!("step {}", quote(field.key)), field.header(report));
    let plugin = plugin_field(&mut step, report);
    let named = plugin.is_some();
    let plugin = plugin.and_then(|field| known_plugin(&field, plugins, report));
    let description = step.optional("description").and_then(|field| field.short_string(report, MAX_DESCRIPTION_LEN));
    draft.depends = step.optional("depends").map(|field| depends(&field, report)).unwrap_or_default();
    let reactions = [("fail", OnError::Fail), ("continue", OnError::Continue)];
    let on_error = step.optional("on_error").and_then(|field| field.choice(report, &reactions));
    let concurrency = step.optional("concurrency").and_then(|field| field.small_integer(report, 1..=1_000_000));
    let timeout = step.optional("timeout").and_then(|field| field.duration(report, TIMEOUTS));
    let retry = step.optional("retry").and_then(|field| retry(&field, report));
    let limits = step.optional("limits").and_then(|field| limits::read(&field, report));
    let allow = step.optional("allow").and_then(|field| limits::read_grants(&field, report));

    let header = field.header(report);
    let config = match plugin {
        Some(plugin) => plugins.check(plugin, &step, header, report),
        None => {
            if !named {
                lacks_plugin(&step, header, field.key, report);
            }
            None
        }
    };
    let (Some(name), Some(plugin), Some(config)) = (name, plugin, config) else { return draft };
    let mut limits = limits.unwrap_or_default();
    limits.spawned_tasks = config.spawned_tasks.map_or(limits.spawned_tasks, |most| most.min(limits.spawned_tasks));
    draft.plan = Some(StepPlan {
        name,
        description: description.unwrap_or_default(),
        plugin: PluginRef { name: plugin.name.clone(), digest: plugin.digest },
        depends: Vec::new(),
        on_error: on_error.unwrap_or_default(),
        concurrency,
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        retry: retry.unwrap_or_default(),
        limits,
        allow: allow.unwrap_or_default(),
        config: config.json,
    });
    draft
}

/// The field that names the plugin: `plugin`, or `type`, which means the same.
fn plugin_field<'a>(step: &mut Reader<'a>, report: &mut Report<'_>) -> Option<Field<'a>> {
    let (plugin, kind) = (step.optional("plugin"), step.optional("type"));
    if let (Some(_), Some(kind)) = (&plugin, &kind) {
        let message = "`plugin` and `type` mean the same, and this step has both";
        report.add(kind.key_span.clone(), message, "leave one out".to_owned());
    }
    plugin.or(kind)
}

/// No plugin is named, unless a key is a misspelt one.
fn lacks_plugin(step: &Reader<'_>, header: Range<usize>, name: &str, report: &mut Report<'_>) {
    for Field { key, key_span, .. } in step.rest() {
        if let Some(nearest) = report.nearest(key, ["plugin", "type"]) {
            report.add(key_span, format!("step {} has no key {}", quote(name), quote(key)), did_you_mean(nearest));
            return;
        }
    }
    report.add_absence(header, format!("step {} lacks `plugin`", quote(name)), "add `plugin = \"…\"`".to_owned());
}

/// The plugin that a field names.
fn known_plugin<'p>(field: &Field<'_>, plugins: &Plugins<'p>, report: &mut Report<'_>) -> Option<&'p KnownPlugin> {
    let name = field.string(report)?;
    if name.starts_with(SCHEME) {
        return registry_plugin(field, name, plugins, report);
    }
    let plugins = plugins.all();
    let names = || plugins.iter().map(|plugin| plugin.name.as_str());
    let plugin = plugins.iter().find(|plugin| plugin.name.as_str() == name);
    if plugin.is_none() {
        let help = match report.nearest(name, names()) {
            Some(nearest) => did_you_mean(nearest),
            None if plugins.is_empty() => "upload it first: there are no plugins yet".to_owned(),
            None => format!("upload it first, or use {}", list(names(), "or")),
        };
        report.add(field.span.clone(), format!("there is no plugin {}", quote(name)), help);
    }
    plugin
}

/// The plugin in a registry that a field refers to.
fn registry_plugin<'p>(field: &Field<'_>, text: &str, plugins: &Plugins<'p>, report: &mut Report<'_>) -> Option<&'p KnownPlugin> {
    let reference = match text.parse::<OciReference>() {
        Ok(reference) => reference,
        Err(error) => {
            let help = "write it like `oci://registry.example/team/hello@sha256:…`";
            report.add(field.span.clone(), format!("{} is no reference: {}", quote(text), error.reason()), help.to_owned());
            return None;
        }
    };
    let why = match plugins.referred(&reference) {
        Some(Ok(plugin)) if reference.digest.is_some() => return Some(plugin),
        Some(Err(why)) => Some(why.clone()),
        Some(Ok(_)) | None => None,
    };
    let (message, help) = if reference.digest.is_some() {
        let help = why.unwrap_or_else(|| "pull it, and upload what `plugin pull` leaves".to_owned());
        ("the plugin of this reference is not here", help)
    } else {
        let help = why.unwrap_or_else(|| format!("`bulkhead plugin pull {reference}` tells what it is pinned to now"));
        ("a plugin in a registry has to be pinned to its digest: a tag may mean another one tomorrow", help)
    };
    report.add(field.span.clone(), message, help);
    None
}

/// The names of the steps that a step depends on: one string or a list of them.
fn depends<'a>(field: &Field<'a>, report: &mut Report<'_>) -> Vec<(&'a str, Range<usize>)> {
    match field.value.as_str() {
        Some(name) => vec![(name, field.span.clone())],
        None => field.strings(report),
    }
}

fn retry(field: &Field<'_>, report: &mut Report<'_>) -> Option<RetryPolicy> {
    let table = field.table(report, "`retry = { attempts = 3, backoff = \"1s\" }`")?;
    let mut reader = Reader::new(table, "`retry`", field.header(report));
    let default = RetryPolicy::default();
    let attempts = reader.optional("attempts").and_then(|field| field.small_integer(report, 1..=100));
    let backoff = reader.optional("backoff").and_then(|field| field.duration(report, BACKOFFS)).unwrap_or(default.backoff);
    let longest = reader.optional("max_backoff");
    let max_backoff = longest.as_ref().and_then(|field| field.duration(report, BACKOFFS));
    let jitter = reader.optional("jitter").and_then(|field| field.share(report));
    let on = reader.optional("on").map(|field| causes(&field, report)).unwrap_or_default();
    let except = reader.optional("except").map(|field| causes(&field, report)).unwrap_or_default();
    reader.finish(report);
    if let (Some(field), Some(max_backoff)) = (longest, max_backoff)
        && max_backoff < backoff
    {
        let help = "raise `max_backoff` or lower `backoff`, which is 1s by default";
        report.add(field.span, "`max_backoff` is shorter than `backoff`", help.to_owned());
    }
    Some(RetryPolicy {
        attempts: attempts.unwrap_or(default.attempts),
        backoff,
        // Who asks for a long first wait does not want it cut to a default.
        max_backoff: max_backoff.unwrap_or(default.max_backoff.max(backoff)),
        jitter: jitter.unwrap_or(default.jitter),
        on,
        except,
    })
}

/// A list of causes that can be tried again.
fn causes(field: &Field<'_>, report: &mut Report<'_>) -> CauseSet {
    // A cancelled task is to end, and a lost host is tried again outside of the policy, until the quarantine.
    let known = || CAUSE_NAMES.into_iter().filter(|name| !matches!(*name, "cancelled" | "host-lost"));
    let mut names = Vec::new();
    for (name, span) in field.strings(report) {
        if let Some(known) = known().find(|known| *known == name) {
            names.push(known);
            continue;
        }
        if CAUSE_NAMES.contains(&name) {
            let message = format!("{} is not for a step to try again or not", quote(name));
            let help = "leave it out: what was cancelled is to end, and a lost host is tried again until the quarantine";
            report.add(span, message, help.to_owned());
            continue;
        }
        let message = format!("there is no cause {}", quote(name));
        let help = report.nearest(name, known()).map_or_else(|| format!("use {}", list(known(), "or")), did_you_mean);
        report.add(span, message, help);
    }
    CauseSet::from_names(names).unwrap_or_default()
}
