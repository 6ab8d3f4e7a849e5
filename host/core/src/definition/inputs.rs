//! What a definition takes: the parameters and the files that a run of it is started with.
//!
//! # Invariants
//! - Where a definition declares parameters, a run has those and no others, each of its type, with the defaults filled in. Where it
//!   declares none, a run may have any.
//! - A default is as valid as a value that somebody gives. The same holds for files.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::config::json_of;
use super::diagnostic::{Report, list, quote};
use super::document::MAX_DESCRIPTION_LEN;
use super::reader::{Field, Reader};
use super::schema::Schema;
use crate::artifact::FileName;

/// The most parameters, and the most files, that a definition declares.
const MAX_INPUTS: usize = 100;
/// The longest name of a parameter, in bytes.
const MAX_PARAMETER_NAME_LEN: usize = 64;
/// The longest text that a bound may ask for or allow, in characters.
const MAX_LEN: u64 = 1 << 20;

const TYPES: [(&str, &str); 6] = [
    ("string", "string"),
    ("integer", "integer"),
    ("number", "number"),
    ("boolean", "boolean"),
    ("array", "array"),
    ("object", "object"),
];

/// What a definition takes.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The parameters; absent where a run may have any.
    pub parameters: Option<Parameters>,
    /// The files; absent where a run may have any.
    pub files: Option<Vec<FileInput>>,
}

/// A file that a definition takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInput {
    /// What its plugins call it.
    pub name: FileName,
    /// What it is for.
    pub description: String,
    /// Whether there is no run without it.
    pub required: bool,
}

/// The parameters that a definition takes. Cheap to clone.
#[derive(Clone)]
pub struct Parameters(Arc<Declared>);

struct Declared {
    schema: Schema,
    /// The schema as JSON text; its properties in the order of the text.
    text: String,
    /// The value of each parameter that has one where none is given.
    defaults: Vec<(String, Value)>,
}

/// Something that a run is to be started with is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// Which: `parameters.count`, `files.rows`.
    pub input: String,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parameters").field(&self.0.text).finish()
    }
}

impl Parameters {
    /// Their JSON Schema: an object with a property for each.
    pub fn schema(&self) -> &str {
        &self.0.text
    }

    /// What a run gets: what is given, and the defaults of what is not.
    ///
    /// # Errors
    /// Everything that is wrong.
    fn complete(&self, mut given: Map<String, Value>) -> Result<Map<String, Value>, Vec<InputError>> {
        for (name, value) in &self.0.defaults {
            given.entry(name.as_str()).or_insert_with(|| value.clone());
        }
        let given = Value::Object(given);
        let wrong = self.0.schema.refusals(&given, "the definition", "parameter");
        match given {
            Value::Object(given) if wrong.is_empty() => Ok(given),
            _ => Err(wrong
                .into_iter()
                .map(|(name, message, help)| InputError { input: format!("parameters.{name}"), message, help })
                .collect()),
        }
    }
}

impl Inputs {
    /// The parameters that a run gets of those that are given: a JSON object. As they are where the definition declares none.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parameters(&self, given: Map<String, Value>) -> Result<Map<String, Value>, Vec<InputError>> {
        match &self.parameters {
            Some(parameters) => parameters.complete(given),
            None => Ok(given),
        }
    }

    /// Whether a run may have files with these names.
    ///
    /// # Errors
    /// What is missing, and what the definition does not take.
    pub fn check_files<'n>(&self, names: impl IntoIterator<Item = &'n FileName>) -> Result<(), Vec<InputError>> {
        let Some(files) = &self.files else { return Ok(()) };
        let names: Vec<_> = names.into_iter().collect();
        let wrong = |name: &FileName, message, help| InputError { input: format!("files.{name}"), message, help };
        let known = || files.iter().map(|file| file.name.as_str());
        let unknown = names.iter().filter(|name| !files.iter().any(|file| file.name == ***name)).map(|name| {
            let help = if files.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", list(known(), "and")) };
            wrong(name, format!("the definition takes no file {}", quote(name.as_str())), Some(help))
        });
        let missing = files.iter().filter(|file| file.required && !names.contains(&&file.name)).map(|file| {
            let help = Some(file.description.clone()).filter(|help| !help.is_empty());
            wrong(&file.name, format!("the file {} is required", quote(file.name.as_str())), help)
        });
        let wrong: Vec<_> = unknown.chain(missing).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// Reads `[parameters]`. They are absent only if something was reported.
pub(super) fn parameters(field: &Field<'_>, report: &mut Report<'_>) -> Option<Parameters> {
    let table = field.table(report, "each parameter as a table of its own, like `[parameters.count]`")?;
    if too_many(field, table.len(), "parameters", report) {
        return None;
    }
    let (mut properties, mut required, mut defaults) = (Map::new(), Vec::new(), Vec::new());
    let mut fields: Vec<_> = table.iter().map(Field::new).collect();
    // A form shows them in the order in which they are written.
    fields.sort_by_key(|field| field.key_span.start);
    let mut whole = true;
    for field in &fields {
        match parameter(field, report) {
            Some(Parameter { schema, is_required, default }) => {
                defaults.extend(default.map(|value| (field.key.to_owned(), value)));
                if is_required {
                    required.push(field.key);
                }
                properties.insert(field.key.to_owned(), schema);
            }
            None => whole = false,
        }
    }
    if !whole {
        return None;
    }
    // Written by hand, because a map of JSON has its own order.
    let listed = fields.iter().filter_map(|field| Some(format!("{}:{}", json!(field.key), properties.get(field.key)?)));
    let text = format!(
        "{{\"type\":\"object\",\"additionalProperties\":false,\"required\":{},\"properties\":{{{}}}}}",
        json!(required),
        listed.collect::<Vec<_>>().join(",")
    );
    match Schema::parse(&text) {
        Ok(schema) => Some(Parameters(Arc::new(Declared { schema, text, defaults }))),
        Err(why) => {
            report.add(field.header(report), format!("the parameters can't be checked: {why}"), None);
            None
        }
    }
}

struct Parameter {
    /// What it may be, as JSON Schema.
    schema: Value,
    is_required: bool,
    default: Option<Value>,
}

fn parameter(field: &Field<'_>, report: &mut Report<'_>) -> Option<Parameter> {
    let name = field.key;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > MAX_PARAMETER_NAME_LEN || !name.bytes().all(plain) {
        let rule = format!("use 1 to {MAX_PARAMETER_NAME_LEN} letters, digits, `-` and `_`");
        report.add(field.key_span.clone(), format!("{} can't be the name of a parameter", quote(name)), rule);
        return None;
    }
    let table = field.table(report, "`[parameters.count]` and below it `type = \"integer\"`")?;
    let mut reader = Reader::new(table, format!("parameter {}", quote(name)), field.header(report));
    let mut schema = Map::new();
    let mut whole = true;
    let mut set = |schema: &mut Map<String, Value>, key: &str, value: Option<Option<Value>>| match value {
        Some(Some(value)) => {
            schema.insert(key.to_owned(), value);
        }
        Some(None) => whole = false,
        None => {}
    };
    let choices = reader.optional("enum");
    let kind = match &choices {
        Some(_) => reader.optional("type"),
        None => reader.required("type", "`type = \"string\"`, or `enum = [\"a\", \"b\"]`"),
    };
    let lacks_kind = kind.is_none() && choices.is_none();
    let kind = kind.map(|field| field.choice(report, &TYPES));
    set(&mut schema, "type", kind.map(|kind| kind.map(Value::from)));
    set(&mut schema, "enum", choices.map(|field| one_of(&field, report)));
    let description = reader.optional("description").map(|field| field.short_string(report, MAX_DESCRIPTION_LEN));
    set(&mut schema, "description", description.map(|text| text.map(Value::from)));
    // A bound that means nothing for the type would be a mistake that nobody sees.
    let (numeric, textual) = match kind.flatten() {
        Some("integer" | "number") => (true, false),
        Some("string") => (false, true),
        _ => (false, false),
    };
    for key in ["minimum", "maximum"] {
        let bound =
            reader.optional(key).map(|field| if numeric { number(&field, report) } else { idle(&field, "numbers", report) });
        set(&mut schema, key, bound);
    }
    for (key, name) in [("min_length", "minLength"), ("max_length", "maxLength")] {
        let bound = reader.optional(key).map(|field| match textual {
            true => field.integer(report, 0..=MAX_LEN).map(Value::from),
            false => idle(&field, "strings", report),
        });
        set(&mut schema, name, bound);
    }
    let pattern = reader.optional("pattern");
    let pattern = pattern.map(|field| if textual { regex(&field, report) } else { idle(&field, "strings", report) });
    set(&mut schema, "pattern", pattern);
    let default = reader.optional("default");
    let required = reader.optional("required");
    let is_required = required.as_ref().map(|field| field.boolean(report));
    reader.finish(report);
    if lacks_kind || !whole {
        return None;
    }
    let is_required = is_required.unwrap_or(Some(false))?;
    if let (Some(field), true, true) = (&required, is_required, default.is_some()) {
        let message = format!("parameter {} has a default, so nobody has to give it", quote(name));
        report.add(field.key_span.clone(), message, "leave one of the two out".to_owned());
        return None;
    }
    let mut schema = Value::Object(schema);
    let default = match default {
        Some(field) => {
            let value = json_of(&field, report)?;
            if let Some(why) = fits(&schema, name, &value) {
                report.add(field.span.clone(), format!("the default does not fit: {}", why.0), why.1);
                return None;
            }
            schema["default"] = value.clone();
            Some(value)
        }
        None => None,
    };
    Some(Parameter { schema, is_required, default })
}

/// Why a value does not fit the schema of a parameter.
fn fits(schema: &Value, name: &str, value: &Value) -> Option<(String, Option<String>)> {
    let whole = json!({ "type": "object", "properties": { name: schema } });
    let schema = Schema::parse(&whole.to_string()).ok()?;
    schema.refusals(&json!({ name: value }), "the definition", "parameter").into_iter().next().map(|(_, why, help)| (why, help))
}

/// The values of an `enum`: strings or numbers, each once.
fn one_of(field: &Field<'_>, report: &mut Report<'_>) -> Option<Value> {
    let value = json_of(field, report)?;
    let plain = |value: &Value| value.is_string() || value.is_number();
    let items = value.as_array().filter(|items| !items.is_empty() && items.iter().all(plain));
    let Some(items) = items else {
        let message = format!("{} has to be a list of strings or numbers, at least one", quote(field.key));
        report.add(field.span.clone(), message, "write `enum = [\"fast\", \"slow\"]`".to_owned());
        return None;
    };
    if let Some(twice) = items.iter().enumerate().find(|(at, item)| items[..*at].contains(item)) {
        report.add(field.span.clone(), format!("{} holds {} twice", quote(field.key), twice.1), "leave one out".to_owned());
        return None;
    }
    Some(value)
}

fn number(field: &Field<'_>, report: &mut Report<'_>) -> Option<Value> {
    let value = json_of(field, report)?;
    if value.is_number() {
        return Some(value);
    }
    field.wrong_type(report, "a number", None);
    None
}

fn regex(field: &Field<'_>, report: &mut Report<'_>) -> Option<Value> {
    let text = field.short_string(report, 1_000)?;
    let schema = json!({ "type": "string", "pattern": text });
    if let Err(why) = Schema::parse(&schema.to_string()) {
        report.add(field.span.clone(), format!("{} is no regular expression: {why}", quote(&text)), None);
        return None;
    }
    Some(Value::from(text))
}

/// A key that says nothing about a parameter of this type.
fn idle(field: &Field<'_>, of: &str, report: &mut Report<'_>) -> Option<Value> {
    let message = format!("{} means something only for {of}", quote(field.key));
    report.add(field.key_span.clone(), message, "leave it out, or change the type".to_owned());
    None
}

/// Reads `[files]`. They are absent only if something was reported.
pub(super) fn files(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<FileInput>> {
    let table = field.table(report, "each file as a table of its own, like `[files.rows]`")?;
    if too_many(field, table.len(), "files", report) {
        return None;
    }
    let mut fields: Vec<_> = table.iter().map(Field::new).collect();
    fields.sort_by_key(|field| field.key_span.start);
    fields.iter().map(|field| file(field, report)).collect::<Vec<_>>().into_iter().collect()
}

fn file(field: &Field<'_>, report: &mut Report<'_>) -> Option<FileInput> {
    let name = match field.key.parse::<FileName>() {
        Ok(name) => name,
        Err(error) => {
            report.add(field.key_span.clone(), error.to_string(), None);
            return None;
        }
    };
    let table = field.table(report, "`[files.rows]` and below it `description = \"…\"`")?;
    let mut reader = Reader::new(table, format!("file {}", quote(field.key)), field.header(report));
    let description = reader.optional("description").map(|field| field.short_string(report, MAX_DESCRIPTION_LEN));
    let required = reader.optional("required").map(|field| field.boolean(report));
    reader.finish(report);
    Some(FileInput {
        name,
        description: description.unwrap_or_else(|| Some(String::new()))?,
        required: required.unwrap_or(Some(false))?,
    })
}

fn too_many(field: &Field<'_>, count: usize, what: &str, report: &mut Report<'_>) -> bool {
    if count > MAX_INPUTS {
        let message = format!("there are {count} {what}, but at most {MAX_INPUTS} are allowed");
        report.add(field.header(report), message, "put some of them together".to_owned());
    }
    count > MAX_INPUTS
}

/// Reports where nobody is there to give what a run needs: `what` starts runs by itself, and gives them `given`.
pub(super) fn check_unattended(inputs: &Inputs, what: &str, given: Option<&str>, span: Range<usize>, report: &mut Report<'_>) {
    let given: Map<String, Value> = given.and_then(|given| serde_json::from_str(given).ok()).unwrap_or_default();
    let parameters = inputs.parameters(given).err().unwrap_or_default();
    let files = inputs.check_files([]).err().unwrap_or_default();
    for InputError { message, help, .. } in parameters.into_iter().chain(files) {
        report.add(span.clone(), format!("{what} could start no run: {message}"), help);
    }
}
