//! Enrichment: fields that are looked up, and fields that are made of others.

use std::io::Read;

use bulkhead_plugin::prelude::*;
use serde_json::{Number, Value};

use crate::Record;
use crate::config::{Derive, How, Lookup};
use crate::reject::Reject;
use crate::rules::{as_number, as_text, show};

/// Looks a field's value up, in the table and then in the file that `in_file` looks through.
pub(crate) fn look_up(
    record: &mut Record,
    lookup: &Lookup,
    in_file: impl Fn(&str, &str) -> Result<Option<String>, Error>,
) -> Result<Result<(), Reject>, Error> {
    let value = record.get(&lookup.field).map(as_text).unwrap_or_default();
    let mut found = lookup.table.get(&value).cloned();
    if let (None, Some(file)) = (&found, &lookup.file) {
        found = in_file(file, &value)?;
    }
    Ok(match found.or_else(|| lookup.default.clone()) {
        Some(found) => {
            record.insert(lookup.into.clone(), Value::String(found));
            Ok(())
        }
        None => {
            let reason = format!("{} is not in the table of `{}`", show(&Value::String(value)), lookup.into);
            Err(Reject { rule: "lookup", field: lookup.field.clone(), reason })
        }
    })
}

/// What a CSV file of the run has for a value.
pub(crate) fn in_file(file: &str, value: &str) -> Result<Option<String>, Error> {
    find(artifacts::open(artifacts::Source::File, file)?, value)
}

fn find(rows: impl Read, value: &str) -> Result<Option<String>, Error> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(rows);
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row)? {
        if row.get(0) == Some(value) {
            return Ok(row.get(1).map(str::to_owned));
        }
    }
    Ok(None)
}

/// Makes a field of others.
pub(crate) fn derive(record: &mut Record, derive: &Derive) -> Result<(), Reject> {
    let Derive { field, from, how, separator } = derive;
    let broken = |reason| Err(Reject { rule: "derive", field: field.clone(), reason });
    let texts = || from.iter().map(|name| record.get(name).map(as_text).unwrap_or_default());
    let first = texts().next().unwrap_or_default();
    let made = match how {
        How::Join => Value::String(texts().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(separator)),
        How::Domain => match first.rsplit_once('@') {
            Some((_, domain)) => Value::String(domain.to_owned()),
            None => return broken(format!("`{first}` is no e-mail address")),
        },
        How::Year => match first.split_once('-').and_then(|(year, _)| year.parse::<u32>().ok()) {
            Some(year) => Value::from(year),
            None => return broken(format!("`{first}` is no date")),
        },
        How::Sum | How::Product => {
            let mut result = if *how == How::Sum { 0.0 } else { 1.0 };
            for name in from {
                let Some(number) = record.get(name).and_then(as_number) else {
                    return broken(format!("`{name}` is no number"));
                };
                if *how == How::Sum { result += number } else { result *= number }
            }
            match Number::from_f64((result * 100.0).round() / 100.0) {
                Some(number) => Value::Number(number),
                None => return broken("the result is too large".into()),
            }
        }
    };
    record.insert(field.clone(), made);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(value: Value) -> Record {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_value_is_looked_up_in_the_table_then_in_the_file() {
        let lookup = |default: Option<&str>| Lookup {
            field: "country".into(),
            into: "region".into(),
            table: [("de".to_owned(), "Europe".to_owned())].into(),
            file: Some("countries".into()),
            default: default.map(str::to_owned),
        };
        let file = |_: &str, value: &str| find("code,region\njp,\"Asia, East\"\nxx\n".as_bytes(), value);
        let region = |country: &str, default| {
            let mut record = record(json!({ "country": country }));
            look_up(&mut record, &lookup(default), file).unwrap().map(|()| record["region"].clone())
        };
        assert_eq!(region("de", None), Ok(json!("Europe")));
        assert_eq!(region("jp", None), Ok(json!("Asia, East")));
        assert_eq!(region("br", Some("elsewhere")), Ok(json!("elsewhere")));
        assert_eq!(region("br", None).unwrap_err().rule, "lookup");
    }

    #[test]
    fn fields_are_made_of_others() {
        let made = |how, from: &[&str]| {
            let mut record = record(json!({
                "a": "x", "b": "", "c": "y", "n": 3, "m": "1.105", "mail": "a@b.example", "day": "2026-03-31"
            }));
            let from = from.iter().map(|name| (*name).to_owned()).collect();
            derive(&mut record, &Derive { field: "new".into(), from, how, separator: " ".into() })
                .map(|()| record["new"].clone())
                .map_err(|reject| reject.reason)
        };
        assert_eq!(made(How::Join, &["a", "b", "c", "nowhere"]), Ok(json!("x y")));
        assert_eq!(made(How::Sum, &["n", "m"]), Ok(json!(4.11)));
        assert_eq!(made(How::Product, &["n", "m"]), Ok(json!(3.32)));
        assert_eq!(made(How::Product, &["n", "a"]), Err("`a` is no number".into()));
        assert_eq!(made(How::Domain, &["mail"]), Ok(json!("b.example")));
        assert_eq!(made(How::Year, &["day"]), Ok(json!(2026)));
        assert_eq!(made(How::Year, &["a"]), Err("`x` is no date".into()));
    }
}
