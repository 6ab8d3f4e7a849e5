//! Any text, sensible or not: answers, never a panic.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::support::{check_places, plugins};
use crate::definition::{load, with_overrides};

const VALID: &str = r#"id = "job"
name = "Ä job"
schedule = "0 3 * * *"
timeout = "1h"
[[hooks]]
name = "ops"
url = "https://a.test/"
secret = "ops"
[error_tolerance]
max_child_failures = 1
[step.one]
plugin = "generator"
worker_count = 5
retry = { attempts = 3, backoff = "1s" }
[step.two]
plugin = "crawler"
depends = ["one"]
start = ["http://a"]
depth = 3
[step.two.limits]
memory = "1GiB"
"#;

/// Pieces that mean something to the parser or to a reader.
const PIECES: [&str; 24] = [
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "-1",
    "nan",
    "1e999",
    "0x",
    "\"\"\"",
    "ü",
    "\u{0}",
    "[step.one]",
    "step",
    "depends",
    "\\u12",
    "2024-01-01",
];

fn check(text: &str) {
    if let Err(diagnostics) = load(text, &plugins(), &[]) {
        check_places(text, &diagnostics);
    }
}

fn floor(text: &str, index: &Index) -> usize {
    text.floor_char_boundary(index.index(text.len() + 1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}|[\\x00-\\x7f]{0,200}") {
        check(&text);
    }

    #[test]
    fn any_sequence_of_pieces_is_answered(pieces in prop::collection::vec(select(&PIECES[..]), 0..60)) {
        check(&pieces.concat());
    }

    #[test]
    fn a_damaged_definition_is_answered(cuts in prop::collection::vec((any::<Index>(), any::<Index>(), select(&PIECES[..])), 1..4)) {
        let mut text = VALID.to_owned();
        for (at, len, piece) in cuts {
            let start = floor(&text, &at);
            let end = text.floor_char_boundary((start + len.index(6)).min(text.len())).max(start);
            text.replace_range(start..end, piece);
        }
        check(&text);
    }

    #[test]
    fn any_schedule_is_answered(schedule in "[0-9*/,\\-#LWa-z@?+ ]{0,30}") {
        check(&VALID.replace("0 3 * * *", &schedule));
    }

    #[test]
    fn an_override_leaves_a_text_that_can_be_read(path in "(one|two|step|timeout|[a-z\"' ]{1,5})(\\.[a-z_\"'= \n]{0,9}){0,3}", value in "\\PC{0,20}") {
        if let Ok(text) = with_overrides(VALID, &[(path, value)]) {
            prop_assert!(toml::de::DeTable::parse(&text).is_ok());
            check(&text);
        }
    }

    #[test]
    fn a_definition_that_is_printed_anew_means_the_same(
        workers in 0..1_000_000_u32, rate in 0.0..1.0_f64, seed in any::<i64>().prop_map(i64::saturating_abs),
        priority in 0..10_u8, tags in prop::collection::btree_set("[a-z]{1,8}", 0..5),
    ) {
        let tags: Vec<_> = tags.into_iter().collect();
        let text = format!(
            "id = \"job\"\npriority = {priority}\ntags = {tags:?}\n[step.a]\nplugin = \"generator\"\nworker_count = {workers}\n\
             failure_rate = {rate:?}\nseed = {seed}\n"
        );
        let first = load(&text, &plugins(), &[]).map_err(|refused| TestCaseError::fail(refused.to_string()))?;
        let printed = toml::to_string_pretty(&toml::from_str::<toml::Table>(&text).unwrap()).unwrap();
        let second = load(&printed, &plugins(), &[]).map_err(|refused| TestCaseError::fail(refused.to_string()))?;
        prop_assert_eq!(&first.plan, &second.plan);
        prop_assert_eq!(&first.plan.tags, &tags);
    }
}
