//! Who is told of a definition's runs.

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Report, did_you_mean, list, quote};
use super::reader::{Field, Reader, a_type};
use crate::hook::{HookEvent, StatedHook, check_url};

/// The most hooks of a definition.
const MAX_STATED: usize = 10;
/// What a hook could look like.
const EXAMPLE: &str =
    "write `[[hooks]]` and below it `name = \"ops\"`, `url = \"https://example.org/hook\"` and `secret = \"ops\"`";

/// Reads the hooks of a text, and nothing else of it.
pub(super) fn alone(root: &DeTable<'_>, report: &mut Report<'_>) -> Vec<StatedHook> {
    root.get_key_value("hooks").and_then(|entry| read(&Field::new(entry), report)).unwrap_or_default()
}

/// Reads the hooks. They are absent only if something was reported.
pub(super) fn read(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<StatedHook>> {
    let Some(items) = field.value.as_array() else {
        field.wrong_type(report, "a list of tables", EXAMPLE.to_owned());
        return None;
    };
    if items.len() > MAX_STATED {
        let message = format!("there are {} hooks, but at most {MAX_STATED} are allowed", items.len());
        report.add(field.header(report), message, "let one receiver tell the others".to_owned());
        return None;
    }
    let mut hooks: Vec<StatedHook> = Vec::new();
    let mut complete = true;
    for item in items {
        let DeValue::Table(table) = item.get_ref() else {
            let message = format!("{} has to be a list of tables, but holds {}", quote(field.key), a_type(item.get_ref()));
            report.add(item.span(), message, EXAMPLE.to_owned());
            complete = false;
            continue;
        };
        match hook(Reader::new(table, "a hook", item.span()), report) {
            Some(hook) if hooks.iter().any(|known| known.name == hook.name) => {
                let message = format!("two hooks are called {}", quote(hook.name.as_str()));
                report.add(item.span(), message, "give each a name of its own".to_owned());
                complete = false;
            }
            Some(hook) => hooks.push(hook),
            None => complete = false,
        }
    }
    complete.then_some(hooks)
}

fn hook(mut reader: Reader<'_>, report: &mut Report<'_>) -> Option<StatedHook> {
    let name = reader.required("name", "`name = \"ops\"`").and_then(|field| field.name(report, "a hook"));
    let url = reader.required("url", "`url = \"https://example.org/hook\"`").and_then(|field| url(&field, report));
    let events = match reader.optional("events") {
        Some(field) => events(&field, report),
        None => Some(HookEvent::ASKED.to_vec()),
    };
    let secret = reader.required("secret", "`secret = \"NAME\"`, the name of a secret that `serve --hooks-secret` gives");
    let secret = secret.and_then(|field| field.name(report, "a secret"));
    reader.finish(report);
    Some(StatedHook { name: name?, url: url?, events: events?, secret: secret? })
}

fn url(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = field.string(report)?;
    match check_url(text) {
        Ok(()) => Some(text.to_owned()),
        Err(why) => {
            report.add(field.span.clone(), format!("{} can't be told: {why}", quote(text)), None);
            None
        }
    }
}

fn events(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<HookEvent>> {
    let names = || HookEvent::ASKED.into_iter().map(HookEvent::name);
    let asked = field.strings(report);
    let mut events = Vec::new();
    let mut complete = field.value.as_array().is_some_and(|items| items.len() == asked.len());
    for (text, span) in asked {
        match HookEvent::from_name(text) {
            Some(event) if events.contains(&event) => {}
            Some(event) => events.push(event),
            None => {
                let help = report.nearest(text, names()).map_or_else(|| format!("use {}", list(names(), "or")), did_you_mean);
                report.add(span, format!("there is no event {}", quote(text)), help);
                complete = false;
            }
        }
    }
    if complete && events.is_empty() {
        report.add(field.span.clone(), "a hook without events is told nothing", format!("use {}", list(names(), "or")));
        complete = false;
    }
    complete.then_some(events)
}
