//! A plugin's JSON Schema, and its errors in the words and the places of the definition.

use std::collections::HashSet;
use std::ops::Range;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{JsonType, PatternOptions, ValidationError, Validator};
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Report, did_you_mean, list, quote};
use super::reader::{Field, a_type};

/// The most errors of one step that are looked at.
const MAX_ERRORS: usize = 100;

/// How often a pattern may go back and try otherwise, on one value: a plugin's pattern must not hold the host up.
const MAX_BACKTRACKS: usize = 100_000;

/// The keyword by which a property sets one of the step's limits, and the only limit that it may name.
const LIMIT_KEYWORD: &str = "x-bulkhead-limit";
const SPAWNED_TASKS: &str = "spawned_tasks";

/// The longest piece of a schema's own text that a message carries, in characters.
const MAX_QUOTED: usize = 200;

/// A plugin's schema, compiled.
pub(super) struct Schema {
    value: Value,
    validator: Validator,
    /// The key whose value bounds the tasks that the step may spawn.
    spawned_tasks: Option<String>,
}

/// Where a configuration stands in the text.
pub(super) struct Place<'a> {
    /// What it belongs to: the step, by name.
    pub(super) noun: &'a str,
    /// The step's own keys, which may be meant by a misspelt one.
    pub(super) own_keys: &'a [&'static str],
    /// The configuration's fields.
    pub(super) fields: &'a [Field<'a>],
    /// Where the step is named, for what it lacks.
    pub(super) header: Range<usize>,
    /// Values that were refused already; nothing more is said of them.
    pub(super) refused: Vec<Range<usize>>,
}

/// A piece of a configuration: the whole of it where there is no path.
struct Piece<'a> {
    /// The way to it, like `child.counts[2]`.
    path: String,
    span: Range<usize>,
    /// Where it is named.
    header: Range<usize>,
    value: Option<&'a DeValue<'a>>,
}

/// A mistake, before it is known whether another explains it.
struct Problem {
    span: Range<usize>,
    message: String,
    help: Option<String>,
    kind: ProblemKind,
}

#[derive(PartialEq)]
enum ProblemKind {
    /// An unknown key of the table with this path; the name is the one that is proposed for it.
    Unknown(String, Option<String>),
    /// A key that lacks in the table with this path.
    Lacking(String, String),
    /// A wrong value.
    Value,
}

/// The property that sets `limits.spawned_tasks`, if one does. The error says what is wrong with the keyword.
fn limit_key(schema: &Value) -> Result<Option<String>, String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut found = None;
    for (key, property) in properties.into_iter().flatten() {
        let Some(limit) = property.get(LIMIT_KEYWORD) else { continue };
        if limit.as_str() != Some(SPAWNED_TASKS) {
            return Err(format!("`{LIMIT_KEYWORD}` of {} is {}; it can be \"{SPAWNED_TASKS}\" only", quote(key), show(limit)));
        }
        if found.replace(key.clone()).is_some() {
            return Err(format!("several keys have `{LIMIT_KEYWORD}`; one may"));
        }
    }
    Ok(found)
}

impl Schema {
    /// Compiles a schema. The error says why that can't be done.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let patterns = PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS);
        let options = Validator::options().offline().with_pattern_options(patterns);
        let validator = options.build(&value).map_err(|error| shorten(&error.to_string()))?;
        let spawned_tasks = limit_key(&value)?;
        Ok(Self { value, validator, spawned_tasks })
    }

    /// How many tasks the step may spawn by a valid configuration, or by the default of the key that says so.
    pub(super) fn spawned_tasks(&self, config: &Value) -> Option<u32> {
        let key = self.spawned_tasks.as_deref()?;
        let value = config.get(key).or_else(|| self.value.get("properties")?.get(key)?.get("default"))?;
        value.as_u64().map(|most| u32::try_from(most).unwrap_or(u32::MAX))
    }

    /// Reports what is wrong with a configuration.
    pub(super) fn check(&self, config: &Value, place: &Place<'_>, report: &mut Report<'_>) {
        let mut problems = Vec::new();
        for error in self.validator.iter_errors(config).take(MAX_ERRORS) {
            self.explain(&error, place, report, &mut problems);
        }
        let proposed = problems.iter().filter_map(|problem| match &problem.kind {
            ProblemKind::Unknown(table, Some(key)) => Some((table.clone(), key.clone())),
            _ => None,
        });
        let proposed: HashSet<_> = proposed.collect();
        let mut seen = HashSet::new();
        for Problem { span, message, help, kind } in problems {
            let refused = place.refused.iter().any(|refused| span.start <= refused.start && refused.end <= span.end);
            match kind {
                ProblemKind::Lacking(table, key) if proposed.contains(&(table.clone(), key.clone())) => {}
                ProblemKind::Lacking(..) => report.add_absence(span, message, help),
                // A value that breaks several rules is one mistake.
                ProblemKind::Value if refused || !seen.insert((span.start, span.end)) => {}
                ProblemKind::Value | ProblemKind::Unknown(..) => report.add(span, message, help),
            }
        }
    }

    /// What is wrong with values that stand in no text: of each one the property, what is wrong and what to do. `noun` takes
    /// the properties, each of them a `kind`.
    pub(super) fn refusals(&self, given: &Value, noun: &str, kind: &str) -> Vec<(String, String, Option<String>)> {
        let report = Report::new("");
        let place = Place { noun, own_keys: &[], fields: &[], header: 0..0, refused: Vec::new() };
        let properties = self.value.get("properties").and_then(Value::as_object);
        let names = || properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str);
        let mut found: Vec<(String, String, Option<String>)> = Vec::new();
        for error in self.validator.iter_errors(given).take(MAX_ERRORS) {
            let mut way = error.instance_path().segments().map(|segment| segment.to_string());
            match (way.next(), error.kind()) {
                (None, Kind::AdditionalProperties { unexpected }) => found.extend(unexpected.iter().map(|key| {
                    let help = match report.nearest(key, names()) {
                        Some(nearest) => did_you_mean(nearest),
                        None if names().next().is_none() => "it takes none".to_owned(),
                        None => format!("it takes {}", list(names(), "and")),
                    };
                    (key.clone(), format!("{noun} takes no {kind} {}", quote(key)), Some(help))
                })),
                (None, Kind::Required { property }) => {
                    let key = property.as_str().unwrap_or_default();
                    let wanted = properties.and_then(|properties| self.describe(properties.get(key)?));
                    found.push((
                        key.to_owned(),
                        format!("{} is required", quote(key)),
                        wanted.map(|noun| format!("give it {noun}")),
                    ));
                }
                // A value that breaks several rules is one mistake.
                (Some(name), _) if found.iter().any(|(known, ..)| *known == name) => {}
                (name, _) => {
                    let name = name.unwrap_or_default();
                    let path = way.fold(name.clone(), |path, part| format!("{path}.{part}"));
                    let piece = Piece { path, span: 0..0, header: 0..0, value: None };
                    let (message, help) = self.value_problem(&error, &piece, &place, &report);
                    found.push((name, message, help));
                }
            }
        }
        found
    }

    /// What an error says, in our words.
    fn explain(&self, error: &ValidationError<'_>, place: &Place<'_>, report: &Report<'_>, problems: &mut Vec<Problem>) {
        let piece = place.find(error.instance_path());
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                problems.extend(unexpected.iter().map(|key| self.unknown(key, error, &piece, place, report)));
            }
            Kind::Required { property } => problems.push(self.lacking(property, error, &piece, place)),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match meant(context, error.instance_path()) {
                Some(branch) => branch.iter().for_each(|error| self.explain(error, place, report, problems)),
                None => problems.push(one_of_several(context, error, place, report)),
            },
            _ => {
                let (message, help) = self.value_problem(error, &piece, place, report);
                problems.push(Problem { span: piece.span, message, help, kind: ProblemKind::Value });
            }
        }
    }

    fn unknown(
        &self,
        key: &str,
        error: &ValidationError<'_>,
        piece: &Piece<'_>,
        place: &Place<'_>,
        report: &Report<'_>,
    ) -> Problem {
        let (span, given) = place.key(key, piece);
        let schema = self.parent(error);
        let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        let names = || properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str);
        let own = place.own_keys.iter().copied().filter(|_| piece.path.is_empty());
        let free = names().chain(own).filter(|name| !given.contains(name));
        let nearest = report.nearest(key, free).or_else(|| report.nearest(key, names()));
        let help = match nearest {
            Some(nearest) => did_you_mean(nearest),
            None if names().next().is_none() => "leave it out: there is nothing to configure".to_owned(),
            None => format!("the plugin knows {}", list(names(), "and")),
        };
        let kind = ProblemKind::Unknown(piece.path.clone(), nearest.map(str::to_owned));
        Problem { span, message: format!("{} has no key {}", piece.noun(place), quote(key)), help: Some(help), kind }
    }

    fn lacking(&self, property: &Value, error: &ValidationError<'_>, piece: &Piece<'_>, place: &Place<'_>) -> Problem {
        let key = property.as_str().unwrap_or_default().to_owned();
        let schema = self.parent(error).and_then(|schema| schema.get("properties")).and_then(|properties| properties.get(&key));
        let noun = schema.and_then(|schema| self.describe(schema)).map_or_else(String::new, |noun| format!(": {noun}"));
        let message = format!("{} lacks {}", piece.noun(place), quote(&key));
        let help = Some(format!("add `{key} = …`{noun}"));
        Problem { span: piece.header.clone(), message, help, kind: ProblemKind::Lacking(piece.path.clone(), key) }
    }

    /// What is wrong with a value, and what to do.
    fn value_problem(
        &self,
        error: &ValidationError<'_>,
        piece: &Piece<'_>,
        place: &Place<'_>,
        report: &Report<'_>,
    ) -> (String, Option<String>) {
        let noun = piece.noun(place);
        let value = show(error.instance());
        let wanted = self.parent(error).and_then(|schema| self.describe(schema));
        let bound = |bound: String| {
            // Only a range says more than the bound that was passed.
            let help =
                wanted.as_ref().filter(|wanted| wanted.contains(' ') && wanted.ends_with(|end: char| end.is_ascii_digit()));
            (format!("{noun} is {value}, but {bound}"), help.map(|wanted| format!("use {wanted}")))
        };
        let size = |least: bool, limit: u64| {
            let has = size(error.instance());
            let (bound, help) = if least { ("needs at least", "add some") } else { ("may have at most", "leave some out") };
            (format!("{noun} has {has}, but {bound} {limit}"), Some(help.to_owned()))
        };
        match error.kind() {
            Kind::Type { kind } => {
                let wanted = wanted.unwrap_or_else(|| type_name(kind));
                let given = piece.value.map_or_else(|| type_of(error.instance()), a_type);
                (format!("{noun} has to be {wanted}, not {given}"), None)
            }
            Kind::Minimum { limit } => bound(format!("at least {} is allowed", show(limit))),
            Kind::Maximum { limit } => bound(format!("at most {} is allowed", show(limit))),
            Kind::ExclusiveMinimum { limit } => bound(format!("it has to be more than {}", show(limit))),
            Kind::ExclusiveMaximum { limit } => bound(format!("it has to be less than {}", show(limit))),
            Kind::MultipleOf { multiple_of } => bound(format!("it has to be a multiple of {multiple_of}")),
            Kind::MinLength { limit } | Kind::MinItems { limit } | Kind::MinProperties { limit } => size(true, *limit),
            Kind::MaxLength { limit } | Kind::MaxItems { limit } | Kind::MaxProperties { limit } => size(false, *limit),
            Kind::AdditionalItems { limit } => size(false, *limit as u64),
            Kind::UniqueItems => (format!("{noun} holds an entry twice"), Some("leave one out".to_owned())),
            Kind::Enum { options } => {
                let options = options.as_array().map_or(&[][..], Vec::as_slice);
                (format!("{noun} can't be {value}"), Some(propose(error.instance(), options.iter(), report)))
            }
            Kind::Constant { expected_value } => (format!("{noun} has to be {}", show(expected_value)), None),
            Kind::Pattern { pattern } => (format!("{noun} is {value}, which does not match {}", quote(pattern)), None),
            Kind::Format { format } => (format!("{noun} is {value}, which is no {format}"), None),
            Kind::FalseSchema => (format!("{noun} is not allowed here"), Some("leave it out".to_owned())),
            _ => (format!("{noun} is not what the plugin allows: {}", shorten(&error.masked().to_string())), None),
        }
    }

    /// The schema that holds the keyword which an error is about.
    fn parent(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.value.pointer(parent)
    }

    /// What a schema allows, as a noun with its article, where that can be said in a few words.
    fn describe(&self, schema: &Value) -> Option<String> {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        let schema = reference.and_then(|pointer| self.value.pointer(pointer)).unwrap_or(schema);
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            return Some(format!("one of {}", listed(options.iter())));
        }
        let types = match schema.get("type")? {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => vec![one.as_str()?],
        };
        // TOML has no null: a value that may be null may be left out.
        let nouns: Vec<_> = types.into_iter().filter(|kind| *kind != "null").map(|kind| noun_of_type(kind, schema)).collect();
        (!nouns.is_empty()).then(|| nouns.join(" or "))
    }
}

impl Place<'_> {
    /// The piece that a path leads to, or as much of the way as there is.
    fn find(&self, path: &Location) -> Piece<'_> {
        let mut piece = Piece { path: String::new(), span: self.header.clone(), header: self.header.clone(), value: None };
        for segment in path.segments() {
            let key = segment.to_string();
            match piece.value {
                Some(DeValue::Array(items)) => {
                    let LocationSegment::Index(index) = segment else { return piece };
                    let Some(item) = items.get(index) else { return piece };
                    let path = format!("{}[{index}]", piece.path);
                    piece = Piece { path, span: item.span(), header: item.span(), value: Some(item.get_ref()) };
                }
                Some(DeValue::Table(table)) => {
                    let Some(field) = table.get_key_value(key.as_str()).map(Field::new) else { return piece };
                    piece = Piece::of(&field, format!("{}.{key}", piece.path));
                }
                Some(_) => return piece,
                None => {
                    let Some(field) = self.fields.iter().find(|field| field.key == key) else { return piece };
                    piece = Piece::of(field, key);
                }
            }
        }
        piece
    }

    /// Where a key of a piece is, and all keys beside it.
    fn key<'a>(&'a self, key: &str, piece: &Piece<'a>) -> (Range<usize>, Vec<&'a str>) {
        let table: Option<&DeTable<'_>> = piece.value.and_then(DeValue::as_table);
        let fields: Vec<Field<'_>> = table.map_or_else(|| self.fields.to_vec(), |table| table.iter().map(Field::new).collect());
        let span = fields.iter().find(|field| field.key == key).map_or(piece.span.clone(), |field| field.key_span.clone());
        (span, fields.into_iter().map(|field| field.key).collect())
    }
}

impl<'a> Piece<'a> {
    fn of(field: &Field<'a>, path: String) -> Self {
        // A table's header is named where it stands; a table in braces is named by its key.
        Self { path, span: field.span.clone(), header: field.key_span.clone(), value: Some(field.value) }
    }

    fn noun(&self, place: &Place<'_>) -> String {
        if self.path.is_empty() { place.noun.to_owned() } else { quote(&self.path) }
    }
}

/// The alternative that was meant, if that is clear: the only one whose errors are not about its very kind.
fn meant<'e>(branches: &'e [Vec<ValidationError<'static>>], at: &Location) -> Option<&'e [ValidationError<'static>]> {
    let only = |candidates: Vec<&'e Vec<_>>| match candidates.as_slice() {
        [one] => Some(one.as_slice()),
        _ => None,
    };
    let is_null = |error: &ValidationError<'_>| {
        matches!(error.kind(), Kind::Type { kind: TypeKind::Single(JsonType::Null) }) && error.instance_path() == at
    };
    let depth = at.segments().count();
    let of_another_kind = |error: &ValidationError<'_>| match error.kind() {
        Kind::Type { .. } => error.instance_path() == at,
        // The tag of a tagged alternative is a constant one level below.
        Kind::Constant { .. } | Kind::Enum { .. } => error.instance_path().segments().count() <= depth + 1,
        _ => false,
    };
    let not_null = || branches.iter().filter(|branch| !branch.iter().any(is_null));
    only(not_null().collect()).or_else(|| only(not_null().filter(|branch| !branch.iter().any(of_another_kind)).collect()))
}

/// A value that fits none of several alternatives.
fn one_of_several(
    branches: &[Vec<ValidationError<'static>>],
    error: &ValidationError<'_>,
    place: &Place<'_>,
    report: &Report<'_>,
) -> Problem {
    let is_constant = |error: &&ValidationError<'_>| matches!(error.kind(), Kind::Constant { .. } | Kind::Enum { .. });
    let constants: Vec<_> = branches.iter().filter_map(|branch| branch.iter().find(is_constant)).collect();
    // Where each alternative wants another constant in the same place, that is what is wrong.
    let tag = constants.first().filter(|first| {
        constants.len() == branches.len() && constants.iter().all(|error| error.instance_path() == first.instance_path())
    });
    let (message, help, span) = match tag {
        Some(tag) => {
            let piece = place.find(tag.instance_path());
            let options = constants.iter().flat_map(|error| match error.kind() {
                Kind::Constant { expected_value } => vec![&**expected_value],
                Kind::Enum { options } => options.as_array().map_or_else(Vec::new, |options| options.iter().collect()),
                _ => Vec::new(),
            });
            let given = tag.instance();
            (format!("{} can't be {}", piece.noun(place), show(given)), propose(given, options, report), piece.span)
        }
        None => {
            let piece = place.find(error.instance_path());
            let help = "see the plugin's schema for the forms that it allows".to_owned();
            (format!("{} has none of the forms that the plugin allows", piece.noun(place)), help, piece.span)
        }
    };
    Problem { span, message, help: Some(help), kind: ProblemKind::Value }
}

/// The help for a value that has to be one of several.
fn propose<'v>(given: &Value, options: impl Iterator<Item = &'v Value> + Clone, report: &Report<'_>) -> String {
    let nearest = given.as_str().and_then(|given| report.nearest(given, options.clone().filter_map(Value::as_str)));
    nearest.map_or_else(|| format!("use {}", listed(options)), |nearest| format!("did you mean {}?", show(&nearest.into())))
}

/// Values one after the other.
fn listed<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    let shown: Vec<_> = values.filter(|value| !value.is_null()).map(show).collect();
    list(shown.iter().map(String::as_str), "or").replace('`', "")
}

/// A type with the range that the schema sets, as a noun with its article.
fn noun_of_type(kind: &str, schema: &Value) -> String {
    let bound = |key| schema.get(key).filter(|bound| bound.is_number()).map(show);
    let range = match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    };
    match kind {
        "integer" => format!("an integer{range}"),
        "number" => format!("a number{range}"),
        "string" => "a string".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "a table".to_owned(),
        other => other.to_owned(),
    }
}

/// The types that a keyword allows, where the schema itself can't be asked.
fn type_name(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => noun_of_type(kind.as_str(), &Value::Null),
        TypeKind::Multiple(kinds) => {
            let nouns: Vec<_> = kinds.iter().map(|kind| noun_of_type(kind.as_str(), &Value::Null)).collect();
            nouns.join(" or ")
        }
    }
}

/// What a value is, with its article, in the words of a definition.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a float",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// How many characters, entries or keys a value has.
fn size(value: &Value) -> String {
    let (count, what) = match value {
        Value::String(text) => (text.chars().count(), ("character", "characters")),
        Value::Array(items) => (items.len(), ("entry", "entries")),
        Value::Object(object) => (object.len(), ("key", "keys")),
        _ => (0, ("part", "parts")),
    };
    format!("{count} {}", if count == 1 { what.0 } else { what.1 })
}

/// A value as JSON; whole numbers without a fraction, because schemas often hold them as floats.
fn show(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        _ => shorten(&value.to_string()),
    }
}

fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_QUOTED).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        shown.push('…');
    }
    shown
}
