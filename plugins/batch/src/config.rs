//! A step's configuration.

use std::collections::BTreeMap;

use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Record;

/// What the step works on, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where the records come from.
    pub(crate) source: Source,
    /// What happens to a row that is no record.
    pub(crate) on_malformed: OnMalformed,
    /// What each field is to look like, by its name.
    pub(crate) fields: BTreeMap<String, Field>,
    /// Fields that are looked up, one after the other.
    pub(crate) lookup: Vec<Lookup>,
    /// Fields that are made of others, one after the other.
    pub(crate) derive: Vec<Derive>,
    /// Collect what this step came to, instead of working on records: as results.ndjson, results.csv, rejects.csv and
    /// summary.json.
    pub(crate) collect: Option<String>,
    /// The columns of results.csv; all fields that occur where there are none.
    pub(crate) columns: Vec<String>,
}

/// Where records come from. Of several sources, the first that the run has: file, parameter, outputs, inline.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Source {
    /// A file that the run is started with, by its name.
    pub(crate) file: Option<String>,
    /// The file's format; told by what it begins with where absent.
    pub(crate) format: Option<Format>,
    /// The character between two fields of CSV.
    pub(crate) delimiter: Option<char>,
    /// A parameter of the run: a list of records.
    pub(crate) parameter: Option<String>,
    /// The outputs of a step that this one depends on.
    pub(crate) outputs: Option<String>,
    /// The records themselves.
    pub(crate) inline: Option<Vec<Record>>,
}

/// A file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// A table whose first row names the fields (RFC 4180).
    Csv,
    /// A JSON array of objects.
    Json,
    /// A JSON object a line.
    Ndjson,
}

/// What happens to a row that is no record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnMalformed {
    /// It is an item that fails, with its line and what is wrong.
    #[default]
    Reject,
    /// The step fails.
    Fail,
}

/// What a field is to look like.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Field {
    /// What is done to it first, in this order.
    pub(crate) clean: Vec<Clean>,
    /// It must be there, and not be empty.
    pub(crate) required: bool,
    /// What it has to be, and becomes.
    #[serde(rename = "type")]
    pub(crate) kind: Option<Kind>,
    /// The least number.
    pub(crate) min: Option<f64>,
    /// The greatest number.
    pub(crate) max: Option<f64>,
    /// The least length, in characters.
    pub(crate) min_length: Option<usize>,
    /// The greatest length, in characters.
    pub(crate) max_length: Option<usize>,
    /// A regular expression that all of it has to match.
    pub(crate) pattern: Option<String>,
    /// The only values that it may have.
    pub(crate) one_of: Vec<String>,
}

/// One way to clean a text. What it can't make sense of, it leaves as it is, for the rules to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Clean {
    /// Without white space at its ends.
    Trim,
    /// With one space where there is white space inside.
    Squeeze,
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
    /// With each word's first letter in upper case and the others in lower case.
    Title,
    /// In Unicode's composed form (NFC).
    Nfc,
    /// In Unicode's compatible composed form (NFKC): full-width letters and ligatures become plain ones.
    Nfkc,
    /// A date as 2026-03-31, from that, 31.3.2026 or 3/31/2026.
    Date,
    /// A number as -1234.5, from -1,234.50, -1.234,5 or -1 234.5, with a currency's sign or without.
    Number,
    /// An e-mail address in lower case, without what stands around it.
    Email,
    /// A telephone number as +49301234567, without its separators; 00 becomes +.
    Phone,
}

/// What a field has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// true or false, yes or no, 1 or 0.
    Boolean,
    /// A date as 2026-03-31 that the calendar has.
    Date,
    /// An e-mail address.
    Email,
    /// A telephone number with its country: + and 7 to 15 digits.
    Phone,
}

/// A field that is looked up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    /// The field whose value is looked up.
    pub(crate) field: String,
    /// The field that takes what is found.
    pub(crate) into: String,
    /// What is found for which value.
    #[serde(default)]
    pub(crate) table: BTreeMap<String, String>,
    /// A CSV file of the run that is looked through after the table: its first column is the value, its second what is found.
    #[serde(default)]
    pub(crate) file: Option<String>,
    /// What is taken where nothing is found; without it the record is rejected.
    #[serde(default)]
    pub(crate) default: Option<String>,
}

/// A field that is made of others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Derive {
    /// The field.
    pub(crate) field: String,
    /// What it is made of.
    pub(crate) from: Vec<String>,
    /// How.
    pub(crate) how: How,
    /// What stands between joined texts.
    #[serde(default = "space")]
    pub(crate) separator: String,
}

fn space() -> String {
    " ".into()
}

/// How a field is made of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// The texts, one after the other; empty ones are left out.
    Join,
    /// The sum of numbers, to the hundredth.
    Sum,
    /// The product of numbers, to the hundredth.
    Product,
    /// The part of an e-mail address after its @.
    Domain,
    /// The year of a date.
    Year,
}

impl Config {
    /// Finds what the schema can't say.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, field) in &self.fields {
            if let Some(pattern) = &field.pattern {
                crate::rules::pattern(pattern).map_err(|error| Error::fatal(format!("fields.{name}.pattern: {error}")))?;
            }
        }
        if self.source.delimiter.is_some_and(|delimiter| !delimiter.is_ascii()) {
            return Err(Error::fatal("source.delimiter: only an ASCII character can stand between fields"));
        }
        Ok(())
    }
}
