//! Reading tables key by key: what is asked for is known, what was never asked for is not.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::diagnostic::{Report, did_you_mean, list, quote};
use super::units::{DURATION_HELP, SIZE_HELP, parse_duration, parse_size, show_duration, show_size};
use crate::name::{MAX_NAME_LEN, Name};

/// A table that is being read. It remembers which keys were asked for.
pub(super) struct Reader<'a> {
    table: &'a DeTable<'a>,
    /// What the table is, as a noun with its article: "the definition".
    noun: String,
    /// Where the table is named, for what it lacks.
    header: Range<usize>,
    asked: Vec<&'static str>,
    /// Keys that have to be there and are not, with an example of each.
    lacking: Vec<(&'static str, &'static str)>,
}

/// A key and its value.
#[derive(Clone)]
pub(super) struct Field<'a> {
    /// The key.
    pub(super) key: &'a str,
    /// Where the key is.
    pub(super) key_span: Range<usize>,
    /// The value.
    pub(super) value: &'a DeValue<'a>,
    /// Where the value is; for a table with a header, the header.
    pub(super) span: Range<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(table: &'a DeTable<'a>, noun: impl Into<String>, header: Range<usize>) -> Self {
        Self { table, noun: noun.into(), header, asked: Vec::new(), lacking: Vec::new() }
    }

    /// The value of a key that may be there.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.asked.push(key);
        self.table.get_key_value(key).map(Field::new)
    }

    /// The value of a key that has to be there; `example` is what its line could look like.
    pub(super) fn required(&mut self, key: &'static str, example: &'static str) -> Option<Field<'a>> {
        let field = self.optional(key);
        if field.is_none() {
            self.lacking.push((key, example));
        }
        field
    }

    /// The fields that were not asked for.
    pub(super) fn rest(&self) -> Vec<Field<'a>> {
        self.table.iter().map(Field::new).filter(|field| !self.asked.contains(&field.key)).collect()
    }

    /// What the table is.
    pub(super) fn noun(&self) -> &str {
        &self.noun
    }

    /// The keys that were asked for.
    pub(super) fn known(&self) -> &[&'static str] {
        &self.asked
    }

    /// Reports the keys that are unknown and those that lack. A required key that was misspelt counts as unknown, not as lacking.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        let mut misspelt = Vec::new();
        for Field { key, key_span, .. } in self.rest() {
            let absent = |known: &&str| !self.table.contains_key(*known);
            let nearest = report.nearest(key, self.asked.iter().copied().filter(absent));
            misspelt.extend(nearest);
            let nearest = nearest.or_else(|| report.nearest(key, self.asked.iter().copied()));
            let help = nearest.map_or_else(|| format!("use {}", list(self.asked.iter().copied(), "or")), did_you_mean);
            report.add(key_span, format!("{} has no key {}", self.noun, quote(key)), help);
        }
        for (key, example) in self.lacking {
            if !misspelt.contains(&key) {
                report.add_absence(self.header.clone(), format!("{} lacks {}", self.noun, quote(key)), format!("add {example}"));
            }
        }
    }
}

impl<'a> Field<'a> {
    pub(super) fn new((key, value): (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)) -> Self {
        Self { key: key.get_ref(), key_span: key.span(), value: value.get_ref(), span: value.span() }
    }

    /// Where a table is named: its header, or else its key.
    pub(super) fn header(&self, report: &Report<'_>) -> Range<usize> {
        if report.byte_at(self.span.start) == Some(b'[') { self.span.clone() } else { self.key_span.clone() }
    }

    /// The value is of another type than `expected`, a noun with its article.
    pub(super) fn wrong_type(&self, report: &mut Report<'_>, expected: &str, help: impl Into<Option<String>>) {
        let message = format!("{} has to be {expected}, not {}", quote(self.key), a_type(self.value));
        report.add(self.span.clone(), message, help);
    }

    pub(super) fn string(&self, report: &mut Report<'_>) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type(report, "a string", None);
        }
        text
    }

    /// A string that is not empty and has at most so many characters.
    pub(super) fn short_string(&self, report: &mut Report<'_>, most: usize) -> Option<String> {
        let text = self.string(report)?;
        let length = text.chars().count();
        if text.trim().is_empty() {
            report.add(self.span.clone(), format!("{} is empty", quote(self.key)), "give it a text, or leave it out".to_owned());
            return None;
        }
        if length > most {
            let message = format!("{} has {length} characters, but at most {most} are allowed", quote(self.key));
            report.add(self.span.clone(), message, "shorten it".to_owned());
            return None;
        }
        Some(text.to_owned())
    }

    pub(super) fn boolean(&self, report: &mut Report<'_>) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.wrong_type(report, "true or false", None);
        }
        value
    }

    /// A name, which `noun` (with its article) has.
    pub(super) fn name(&self, report: &mut Report<'_>, noun: &str) -> Option<Name> {
        parse_name(self.string(report)?, self.span.clone(), noun, report)
    }

    pub(super) fn integer(&self, report: &mut Report<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let help = format!("use an integer from {} to {}", range.start(), range.end());
        let Some(integer) = self.value.as_integer() else {
            self.wrong_type(report, "an integer", help);
            return None;
        };
        let value = to_i128(integer);
        let value = value.map_or(Err(integer.as_str().starts_with('-')), |value| u64::try_from(value).map_err(|_| value < 0));
        match value {
            Ok(value) if range.contains(&value) => return Some(value),
            Ok(value) => self.out_of_range(report, value, value < *range.start(), range.start(), range.end(), help),
            Err(below) => self.out_of_range(report, integer, below, range.start(), range.end(), help),
        }
        None
    }

    /// Like [`Self::integer`], for ranges within 32 bits.
    pub(super) fn small_integer(&self, report: &mut Report<'_>, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.integer(report, u64::from(*range.start())..=u64::from(*range.end()))?;
        u32::try_from(value).ok()
    }

    /// A share: a number from 0 to 1.
    pub(super) fn share(&self, report: &mut Report<'_>) -> Option<f64> {
        let number = match self.value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => {
                self.wrong_type(report, "a number", "use a number from 0 to 1".to_owned());
                return None;
            }
        };
        match number {
            Some(number) if (0.0..=1.0).contains(&number) => Some(number),
            _ => {
                let below = number.is_some_and(|number: f64| number < 0.0);
                let shown = number.map_or_else(|| "out of range".to_owned(), |number| number.to_string());
                self.out_of_range(report, shown, below, 0, 1, "use a number from 0 to 1".to_owned());
                None
            }
        }
    }

    fn out_of_range(
        &self,
        report: &mut Report<'_>,
        value: impl Display,
        below: bool,
        least: impl Display,
        most: impl Display,
        help: String,
    ) {
        let bound = if below { format!("at least {least}") } else { format!("at most {most}") };
        report.add(self.span.clone(), format!("{} is {value}, but {bound} is allowed", quote(self.key)), help);
    }

    pub(super) fn duration(&self, report: &mut Report<'_>, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = match self.value {
            DeValue::String(text) => text,
            DeValue::Integer(number) => {
                let help = format!("for seconds, write {} = \"{number}s\"; the units are d, h, m, s and ms", self.key);
                report.add(self.span.clone(), format!("{} needs a unit", quote(self.key)), help);
                return None;
            }
            _ => {
                self.wrong_type(report, "a duration", DURATION_HELP.to_owned());
                return None;
            }
        };
        match parse_duration(text) {
            Ok(value) if range.contains(&value) => return Some(value),
            Ok(value) => {
                let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
                let help = format!("use a duration from {least} to {most}");
                self.out_of_range(report, show_duration(value), value < *range.start(), least, most, help);
            }
            Err(why) => {
                let message = format!("{} is no duration: {why}", quote(text));
                report.add(self.span.clone(), message, DURATION_HELP.to_owned());
            }
        }
        None
    }

    /// A size in bytes: a string with a unit, or an integer.
    pub(super) fn size(&self, report: &mut Report<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let (least, most) = (show_size(*range.start()), show_size(*range.end()));
        let help = format!("use a size from {least} to {most}");
        let (value, shown) = match self.value {
            DeValue::Integer(number) => match to_i128(number) {
                Some(value) if value < 0 => (Err(true), number.to_string()),
                Some(value) => (u64::try_from(value).map_err(|_| false), format!("{number} bytes")),
                None => (Err(number.as_str().starts_with('-')), number.to_string()),
            },
            DeValue::String(text) => match parse_size(text) {
                Ok(value) => (Ok(value), show_size(value)),
                Err(why) => {
                    report.add(self.span.clone(), format!("{} is no size: {why}", quote(text)), SIZE_HELP.to_owned());
                    return None;
                }
            },
            _ => {
                self.wrong_type(report, "a size", SIZE_HELP.to_owned());
                return None;
            }
        };
        match value {
            Ok(value) if range.contains(&value) => return Some(value),
            Ok(value) => self.out_of_range(report, shown, value < *range.start(), least, most, help),
            Err(below) => self.out_of_range(report, shown, below, least, most, help),
        }
        None
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, report: &mut Report<'_>, choices: &[(&'static str, T)]) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        let Some(text) = self.value.as_str() else {
            self.wrong_type(report, "a string", format!("use {}", list(words(), "or")));
            return None;
        };
        let choice = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if choice.is_none() {
            let help = report.nearest(text, words()).map_or_else(|| format!("use {}", list(words(), "or")), did_you_mean);
            report.add(self.span.clone(), format!("{} can't be {}", quote(self.key), quote(text)), help);
        }
        choice
    }

    /// A list of strings, each with its place.
    pub(super) fn strings(&self, report: &mut Report<'_>) -> Vec<(&'a str, Range<usize>)> {
        let Some(items) = self.value.as_array() else {
            self.wrong_type(report, "a list of strings", None);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => texts.push((text, item.span())),
                None => {
                    let message =
                        format!("{} has to be a list of strings, but holds {}", quote(self.key), a_type(item.get_ref()));
                    report.add(item.span(), message, None);
                }
            }
        }
        texts
    }

    /// A table; `example` is what it could look like.
    pub(super) fn table(&self, report: &mut Report<'_>, example: &str) -> Option<&'a DeTable<'a>> {
        let table = self.value.as_table();
        if table.is_none() {
            self.wrong_type(report, "a table", format!("write {example}"));
        }
        table
    }
}

/// Reads a name, which `noun` (with its article) has.
pub(super) fn parse_name(text: &str, span: Range<usize>, noun: &str, report: &mut Report<'_>) -> Option<Name> {
    if let Ok(name) = text.parse() {
        return Some(name);
    }
    let rule = format!("use 1 to {MAX_NAME_LEN} characters of a-z, 0-9, `-` and `_`, the first a letter or a digit");
    let plain = text.to_lowercase().replace(|char: char| !char.is_ascii_alphanumeric() && char != '_', "-");
    let proposal = plain.trim_matches(['-', '_']);
    let help = if proposal.parse::<Name>().is_ok() { format!("{rule}, like {}", quote(proposal)) } else { rule };
    report.add(span, format!("{} can't be the name of {noun}", quote(text)), help);
    None
}

/// An integer of a definition; absent past 128 bits.
pub(super) fn to_i128(integer: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// What a value is, with its article.
pub(super) fn a_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
