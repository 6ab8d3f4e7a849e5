//! What a step's table holds beside the step's own keys: the plugin's configuration, as JSON.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::de::{DeInteger, DeValue};

use super::diagnostic::{Report, quote};
use super::reader::{Field, Reader, to_i128};
use super::schema::{Place, Schema};
use super::{KnownPlugin, RegistryPlugin};
use crate::id::Digest;
use crate::oci::OciReference;

/// How deeply tables and lists of a configuration may nest. Dotted keys inside inline tables could nest thousands of tables,
/// and whoever walks them needs stack for each.
const MAX_DEPTH: usize = 64;

/// Whole floats up to here are exact integers.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A configuration that was checked.
pub(super) struct Checked {
    /// It, as JSON text.
    pub(super) json: String,
    /// How many tasks it lets the step spawn, where it says so.
    pub(super) spawned_tasks: Option<u32>,
}

/// The plugins that there are, with their schemas as far as they were needed.
pub(super) struct Plugins<'p> {
    all: &'p [KnownPlugin],
    referred: &'p [RegistryPlugin],
    /// By the plugin's digest, as its name may mean another one in a registry; absent where the schema is invalid, which was reported.
    schemas: HashMap<Digest, Option<Schema>>,
}

impl<'p> Plugins<'p> {
    pub(super) fn new(all: &'p [KnownPlugin], referred: &'p [RegistryPlugin]) -> Self {
        Self { all, referred, schemas: HashMap::new() }
    }

    /// What is known of a reference to a registry.
    pub(super) fn referred(&self, reference: &OciReference) -> Option<&'p Result<KnownPlugin, String>> {
        self.referred.iter().find(|plugin| plugin.reference == *reference).map(|plugin| &plugin.found)
    }

    pub(super) fn all(&self) -> &'p [KnownPlugin] {
        self.all
    }

    /// The configuration of a step that uses this plugin. It is absent only if something was reported.
    pub(super) fn check(
        &mut self,
        plugin: &'p KnownPlugin,
        step: &Reader<'_>,
        header: Range<usize>,
        report: &mut Report<'_>,
    ) -> Option<Checked> {
        let fields = step.rest();
        let mut converter = Converter { refused: Vec::new(), report };
        let config = fields.iter().map(|field| (field.key.to_owned(), converter.field(field))).collect();
        let (config, refused) = (Value::Object(config), converter.refused);
        let schema = self.schemas.entry(plugin.digest).or_insert_with(|| match Schema::parse(&plugin.config_schema) {
            Ok(schema) => Some(schema),
            Err(why) => {
                let message = format!("the configuration schema of plugin {} is invalid: {why}", quote(plugin.name.as_str()));
                report.add(header.clone(), message, "upload the plugin again, with a valid schema".to_owned());
                None
            }
        });
        let place = Place { noun: step.noun(), own_keys: step.known(), fields: &fields, header, refused };
        let schema = schema.as_ref()?;
        schema.check(&config, &place, report);
        Some(Checked { spawned_tasks: schema.spawned_tasks(&config), json: config.to_string() })
    }
}

/// A table as JSON. It is absent only if something was reported.
pub(super) fn json_of(field: &Field<'_>, report: &mut Report<'_>) -> Option<Value> {
    let mut converter = Converter { refused: Vec::new(), report };
    let value = converter.field(field);
    converter.refused.is_empty().then_some(value)
}

/// Turns TOML into JSON, and reports what JSON can't hold.
struct Converter<'r, 't> {
    /// The places of values that were refused, and got a stand-in.
    refused: Vec<Range<usize>>,
    report: &'r mut Report<'t>,
}

impl Converter<'_, '_> {
    fn field(&mut self, field: &Field<'_>) -> Value {
        self.value(field.key, field.value, field.span.clone(), 1)
    }

    /// `key` is the last one on the way to the value.
    fn value(&mut self, key: &str, value: &DeValue<'_>, span: Range<usize>, depth: usize) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(integer) => self.integer(key, integer, span),
            DeValue::Float(float) => self.float(key, float.as_str(), span),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
            DeValue::Array(_) | DeValue::Table(_) if depth >= MAX_DEPTH => {
                let why = format!("{} nests more than {MAX_DEPTH} tables and lists", quote(key));
                self.refuse(span, why, "flatten it")
            }
            DeValue::Array(items) => items.iter().map(|item| self.value(key, item.get_ref(), item.span(), depth + 1)).collect(),
            DeValue::Table(table) => {
                let mut object = Map::new();
                for field in table.iter().map(Field::new) {
                    object.insert(field.key.to_owned(), self.value(field.key, field.value, field.span, depth + 1));
                }
                Value::Object(object)
            }
        }
    }

    fn integer(&mut self, key: &str, integer: &DeInteger<'_>, span: Range<usize>) -> Value {
        let value = to_i128(integer);
        let number = value.and_then(|value| {
            let unsigned = u64::try_from(value).ok().map(Number::from);
            unsigned.or_else(|| i64::try_from(value).ok().map(Number::from))
        });
        match number {
            Some(number) => Value::Number(number),
            None => self.refuse(span, format!("{} does not fit into 64 bits", quote(key)), "use a smaller number"),
        }
    }

    /// JSON Schema calls 5.0 an integer, but many a JSON library does not: whole numbers become integers.
    fn float(&mut self, key: &str, text: &str, span: Range<usize>) -> Value {
        let float: f64 = text.parse().unwrap_or(f64::NAN);
        if float.fract() == 0.0 && float.abs() <= MAX_EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within the range, as just tested")]
            let whole = float as i64;
            return Value::Number(whole.into());
        }
        match Number::from_f64(float) {
            Some(number) => Value::Number(number),
            None => self.refuse(span, format!("{} has to be a finite number, not {text}", quote(key)), "use a finite number"),
        }
    }

    fn refuse(&mut self, span: Range<usize>, message: String, help: &str) -> Value {
        self.refused.push(span.clone());
        self.report.add(span, message, help.to_owned());
        Value::Null
    }
}
