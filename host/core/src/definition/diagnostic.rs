//! What is wrong with a text, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// The most diagnostics that one text gets; the last of so many tells how many more there are.
pub const MAX_DIAGNOSTICS: usize = 100;

/// Findings are collected up to here and only counted past it: enough that the first [`MAX_DIAGNOSTICS`] of the text are among
/// them, and few enough that a hostile text costs nothing.
const MAX_FINDINGS: usize = 3 * MAX_DIAGNOSTICS;

/// The longest name for which a nearest right one is looked for: comparing takes time with the product of two lengths.
const MAX_COMPARED_LEN: usize = 64;

/// How alike two names have to be (Jaro-Winkler, 0 to 1) for one to be proposed for the other.
const ALIKE: f64 = 0.84;

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes of the text that are meant.
    pub span: Range<usize>,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What to do: the nearest right name, the range that is allowed.
    pub help: Option<String>,
}

/// Everything that is wrong with a definition, in the order of the text. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Diagnostic { line, column, message, help, .. }) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{line}:{column}: {message}")?;
            if let Some(help) = help {
                write!(f, " ({help})")?;
            }
        }
        Ok(())
    }
}

/// Collects what is found wrong while a text is read, in any order.
#[derive(Debug)]
pub(super) struct Report<'t> {
    text: &'t str,
    /// Where each line starts.
    lines: Vec<usize>,
    findings: Vec<Finding>,
    /// Findings that were counted only.
    uncollected: usize,
    /// Lines that the parser could not read, with what it said: what else is found there follows from that.
    unreadable: BTreeMap<usize, Finding>,
}

#[derive(Clone, Debug)]
struct Finding {
    span: Range<usize>,
    message: String,
    help: Option<String>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines, findings: Vec::new(), uncollected: 0, unreadable: BTreeMap::new() }
    }

    /// Something is wrong.
    pub(super) fn add(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<Option<String>>) {
        if self.findings.len() < MAX_FINDINGS {
            let span = self.within_text(span);
            self.findings.push(Finding { span, message: message.into(), help: help.into() });
        } else {
            self.uncollected += 1;
        }
    }

    /// Something is not there. In a text that can't be read as a whole it may be there all the same, so nothing is reported.
    pub(super) fn add_absence(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<Option<String>>) {
        if self.unreadable.is_empty() {
            self.add(span, message, help);
        }
    }

    /// What the parser could not read: the first error of each line, because the others follow from it.
    pub(super) fn syntax(&mut self, errors: &[toml::de::Error]) {
        // The table that is defined twice, while its lines are read: its keys are then, too, as often as not.
        let mut repeated: Option<usize> = None;
        for error in errors {
            let span = self.within_text(error.span().unwrap_or(self.text.len()..self.text.len()));
            let line = self.line(span.start);
            let finding = if error.message() == "duplicate key" {
                let headers = |lines: Range<usize>| lines.filter(|line| self.line_text(*line).trim_start().starts_with('['));
                if repeated.is_some_and(|header| headers(header + 1..line + 1).next().is_none()) {
                    continue;
                }
                repeated = headers(line..line + 1).next();
                let key = quote(&self.text[span.clone()]);
                Finding { span, message: format!("{key} is defined twice"), help: Some("keep one of the two".to_owned()) }
            } else {
                Finding { span, message: format!("this is no valid TOML: {}", error.message()), help: None }
            };
            self.unreadable.entry(line).or_insert(finding);
        }
    }

    /// The candidate that is most like a name, if any is like it.
    pub(super) fn nearest<'n>(&self, name: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        if self.findings.len() >= MAX_FINDINGS || name.len() > MAX_COMPARED_LEN {
            return None;
        }
        nearest(name, candidates)
    }

    /// The byte at a place of the text.
    pub(super) fn byte_at(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The value if nothing is wrong, else everything that is.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Diagnostics> {
        let readable = |finding: &Finding| {
            let (first, last) = (self.line(finding.span.start), self.line(finding.span.end));
            self.unreadable.range(first..=last).next().is_none()
        };
        let mut findings: Vec<_> = self.findings.iter().filter(|finding| readable(finding)).cloned().collect();
        findings.extend(std::mem::take(&mut self.unreadable).into_values());
        match value {
            Some(value) if findings.is_empty() => return Ok(value),
            None if findings.is_empty() => {
                // Every part that gives up says why; this says so where one of them is wrong.
                debug_assert!(false, "a text was refused without a reason");
                findings.push(Finding { span: 0..0, message: "this is no valid definition".to_owned(), help: None });
            }
            _ => {}
        }
        findings.sort_by_key(|finding| (finding.span.start, finding.span.end));
        let more = (findings.len() + self.uncollected).saturating_sub(MAX_DIAGNOSTICS);
        findings.truncate(MAX_DIAGNOSTICS);
        if let Some(last) = findings.last_mut()
            && more > 0
        {
            last.message = format!("{} more mistakes are not shown", more + 1);
            last.help = Some("correct those above first".to_owned());
        }
        Err(Diagnostics(findings.into_iter().map(|finding| self.diagnostic(finding)).collect()))
    }

    fn diagnostic(&self, Finding { span, message, help }: Finding) -> Diagnostic {
        let line = self.line(span.start);
        let before = &self.text[self.lines[line]..span.start];
        // A byte order mark is no character of the first line.
        let column = before.chars().filter(|&char| char != '\u{feff}').count() + 1;
        Diagnostic { line: line + 1, column, span, message, help }
    }

    /// The number of the line that holds a byte, from 0.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|&start| start <= at) - 1
    }

    fn line_text(&self, line: usize) -> &'t str {
        let end = self.lines.get(line + 1).copied().unwrap_or(self.text.len());
        &self.text[self.lines[line]..end]
    }

    fn within_text(&self, span: Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        start..self.text.floor_char_boundary(span.end).max(start)
    }
}

/// The candidate that is most like a name, if any is like it.
fn nearest<'n>(name: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', ' ', '.'], "_");
    let wanted = plain(name);
    let alike = candidates.into_iter().filter(|candidate| candidate.len() <= MAX_COMPARED_LEN).filter_map(|candidate| {
        let plain = plain(candidate);
        let likeness = strsim::jaro_winkler(&wanted, &plain);
        let edits = strsim::osa_distance(&wanted, &plain);
        (likeness >= ALIKE || edits * 3 <= wanted.chars().count()).then_some((candidate, likeness))
    });
    alike.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(candidate, _)| candidate)
}

/// A text between backticks, cut where it is long, on one line.
pub(super) fn quote(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown = String::new();
    for char in text.chars().take(MOST) {
        if char.is_control() { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    let more = if text.chars().nth(MOST).is_some() { "…" } else { "" };
    format!("`{shown}{more}`")
}

/// Names one after the other: `a`, `b` and `c`.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n str>, conjunction: &str) -> String {
    const MOST: usize = 20;
    let mut names: Vec<_> = names.into_iter().map(quote).collect();
    if names.len() > MOST {
        let more = names.len() - MOST;
        names.truncate(MOST);
        return format!("{} {conjunction} {more} more", names.join(", "));
    }
    match names.pop() {
        None => String::new(),
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} {conjunction} {last}", names.join(", ")),
    }
}

/// The help that proposes a name.
pub(super) fn did_you_mean(name: &str) -> String {
    format!("did you mean {}?", quote(name))
}
