//! Why a record is rejected, as a message that people read and `collect` takes apart again.

/// A broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// The rule's name.
    pub(crate) rule: &'static str,
    /// The field's name.
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) reason: String,
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed<'a> {
    pub(crate) line: Option<u64>,
    /// `malformed` for a row that is no record; absent where the message is none of ours.
    pub(crate) rule: Option<&'a str>,
    pub(crate) field: Option<&'a str>,
    pub(crate) reason: &'a str,
}

impl Reject {
    /// The message for a record in this line.
    pub(crate) fn at(&self, line: u64) -> String {
        let Reject { rule, field, reason } = self;
        format!("{}rule `{rule}`, field `{field}`: {reason}", place(line))
    }
}

/// The message for a row that is no record.
pub(crate) fn malformed(line: u64, reason: &str) -> String {
    format!("{}malformed: {reason}", place(line))
}

fn place(line: u64) -> String {
    if line == 0 { String::new() } else { format!("line {line}: ") }
}

/// Takes a message apart.
pub(crate) fn parse(message: &str) -> Parsed<'_> {
    let numbered = message.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    let (line, rest) = match numbered.and_then(|(line, rest)| Some((line.parse().ok()?, rest))) {
        Some((line, rest)) => (Some(line), rest),
        None => (None, message),
    };
    if let Some(reason) = rest.strip_prefix("malformed: ") {
        return Parsed { line, rule: Some("malformed"), field: None, reason };
    }
    let parts = rest.strip_prefix("rule `").and_then(|rest| {
        let (rule, rest) = rest.split_once("`, field `")?;
        let (field, reason) = rest.split_once("`: ")?;
        Some((rule, field, reason))
    });
    match parts {
        Some((rule, field, reason)) => Parsed { line, rule: Some(rule), field: Some(field), reason },
        None => Parsed { line, rule: None, field: None, reason: rest },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_apart_as_it_was_put_together() {
        let reject = Reject { rule: "range", field: "amount".into(), reason: "-3 is less than 0: odd".into() };
        let parsed = |line, rule, field, reason| Parsed { line, rule, field, reason };
        let expected = |line| parsed(line, Some("range"), Some("amount"), "-3 is less than 0: odd");
        assert_eq!(parse(&reject.at(7)), expected(Some(7)));
        assert_eq!(parse(&reject.at(0)), expected(None));
        assert_eq!(parse(&malformed(2, "3 fields")), parsed(Some(2), Some("malformed"), None, "3 fields"));
        assert_eq!(parse("panicked at x: y"), parsed(None, None, None, "panicked at x: y"));
    }
}
