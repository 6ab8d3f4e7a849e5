//! A step's configuration, checked against its plugin's schema.

use super::support::{refused, valid};
use crate::id::StepIndex;

fn generator(lines: &str) -> String {
    format!("id = \"job\"\n[step.a]\nplugin = \"generator\"\n{lines}\n")
}

/// Lines for the crawler, which has what it needs otherwise.
fn crawler(lines: &str) -> String {
    format!("id = \"job\"\n[step.a]\nplugin = \"crawler\"\nstart = [\"http://a\"]\ndepth = 1\n{lines}\n")
}

fn free(lines: &str) -> String {
    format!("id = \"job\"\n[step.a]\nplugin = \"free\"\n{lines}\n")
}

#[test]
fn mistakes_are_told_in_the_words_of_the_definition() {
    let rows = [
        ("worker_cont = 5", "4:1: step `a` has no key `worker_cont` (did you mean `worker_count`?)"),
        (
            "colour = 5",
            "4:1: step `a` has no key `colour` (the plugin knows `failure_rate`, `log_count`, `log_delay_ms`, `seed` and \
             `worker_count`)",
        ),
        ("worker_count = \"5\"", "4:16: `worker_count` has to be an integer from 0 to 1000000, not a string"),
        ("worker_count = 1.5", "4:16: `worker_count` has to be an integer from 0 to 1000000, not a float"),
        (
            "worker_count = 1000001",
            "4:16: `worker_count` is 1000001, but at most 1000000 is allowed (use an integer from 0 to 1000000)",
        ),
        ("failure_rate = -0.1", "4:16: `failure_rate` is -0.1, but at least 0 is allowed (use a number from 0 to 1)"),
        ("failure_rate = nan", "4:16: `failure_rate` has to be a finite number, not nan (use a finite number)"),
        ("seed = 18446744073709551616", "4:8: `seed` does not fit into 64 bits (use a smaller number)"),
    ];
    for (lines, expected) in rows {
        assert_eq!(refused(&generator(lines)), expected, "\n{lines}");
    }
}

#[test]
fn every_rule_of_a_schema_has_its_words() {
    let rows = [
        ("order = \"depth\"", "6:9: `order` can't be \"depth\" (did you mean \"depth-first\"?)"),
        ("format = \"pdf\"", "6:10: `format` can't be \"pdf\" (use \"text\" or \"html\")"),
        ("agent = \"x\"", "6:9: `agent` has 1 character, but needs at least 3 (add some)"),
        ("agent = \"123456789\"", "6:9: `agent` has 9 characters, but may have at most 8 (leave some out)"),
        ("agent = 5", "6:9: `agent` has to be a string, not an integer"),
        ("proxy = 5", "6:9: `proxy` has to be a table, not an integer"),
        ("proxy = {}", "6:1: `proxy` lacks `host` (add `host = …`: a string)"),
        ("proxy = { hots = \"h\" }", "6:11: `proxy` has no key `hots` (did you mean `host`?)"),
        (
            "[step.a.proxy]\nhost = \"h\"\nport = 0",
            "8:8: `proxy.port` is 0, but at least 1 is allowed (use an integer from 1 to 65535)",
        ),
        ("step_size = 7", "6:13: `step_size` is 7, but it has to be a multiple of 5"),
        ("step_size = 5", "6:13: `step_size` is 5, but it has to be more than 5"),
        ("match = { kind = \"prefx\", text = \"a\" }", "6:18: `match.kind` can't be \"prefx\" (did you mean \"prefix\"?)"),
        ("match = { kind = \"prefix\", txt = \"a\" }", "6:28: `match` has no key `txt` (did you mean `text`?)"),
    ];
    for (lines, expected) in rows {
        assert_eq!(refused(&crawler(lines)), expected, "\n{lines}");
    }
}

#[test]
fn lists_are_checked_entry_by_entry() {
    let crawl = |start: &str| refused(&format!("id = \"job\"\n[step.a]\nplugin = \"crawler\"\ndepth = 1\nstart = {start}"));
    assert_eq!(crawl("[]"), "5:9: `start` has 0 entries, but needs at least 1 (add some)");
    assert_eq!(crawl("[\"http://a\", \"http://a\"]"), "5:9: `start` holds an entry twice (leave one out)");
    assert_eq!(
        crawl("[\n  \"http://a\",\n  \"ftp://b\",\n]"),
        "7:3: `start[1]` is \"ftp://b\", which does not match `^https?://`"
    );
}

#[test]
fn what_a_schema_requires_is_named_at_the_step() {
    assert_eq!(
        refused("id = \"job\"\n[step.a]\nplugin = \"crawler\"\n"),
        "2:1: step `a` lacks `start` (add `start = …`: a list)\n\
         2:1: step `a` lacks `depth` (add `depth = …`: an integer from 0 to 16)"
    );
    // A misspelt key is one mistake, not two.
    assert_eq!(
        refused("id = \"job\"\n[step.a]\nplugin = \"crawler\"\nstart = [\"http://a\"]\ndepht = 5"),
        "5:1: step `a` has no key `depht` (did you mean `depth`?)"
    );
}

#[test]
fn broken_schemas_are_the_plugins_fault_and_nothing_is_fetched() {
    let uses = |plugin: &str| format!("id = \"job\"\n[step.a]\nplugin = \"{plugin}\"\n[step.b]\nplugin = \"{plugin}\"\n");
    for (plugin, why) in [("garbled", "it is no JSON: EOF"), ("remote", "Resource 'https://example.com/schema.json'")] {
        let expected = format!("2:1: the configuration schema of plugin `{plugin}` is invalid: {why}");
        let text = refused(&uses(plugin));
        assert!(text.starts_with(&expected) && text.lines().count() == 1, "{text}");
    }
    valid(&uses("endless"));
}

#[test]
fn a_key_of_the_plugins_can_lower_a_limit() {
    let limit = |lines: &str| {
        let definition = valid(&format!("id = \"job\"\n[step.a]\nplugin = \"bounded\"\n{lines}"));
        definition.plan.step(StepIndex(0)).limits.spawned_tasks
    };
    assert_eq!(limit("max_pages = 20"), 20);
    assert_eq!(limit(""), 500, "the key's default");
    assert_eq!(limit("limits = { spawned_tasks = 30 }\nmax_pages = 20"), 20);
    assert_eq!(limit("limits = { spawned_tasks = 10 }\nmax_pages = 20"), 10, "no key raises a limit");
    let text = refused("id = \"job\"\n[step.a]\nplugin = \"unbounded\"\n");
    assert!(text.contains("`x-bulkhead-limit` of `max_pages` is \"pages\"; it can be \"spawned_tasks\" only"), "{text}");
}

#[test]
fn configurations_become_json() {
    let text = free(
        "text = \"a\\nb\"\nwhole = 5.0\nfraction = 0.5\nhex = 0xff\nbig = 18446744073709551615\nsmall = -9223372036854775808\n\
         at = 2024-02-29T12:00:00Z\nday = 2024-02-29\nlist = [1, [true]]\n[step.a.deep.er]\nx = {}",
    );
    let definition = valid(&text);
    let config: serde_json::Value = serde_json::from_str(&definition.plan.step(StepIndex(0)).config).unwrap();
    let expected = serde_json::json!({
        "text": "a\nb", "whole": 5, "fraction": 0.5, "hex": 255, "big": u64::MAX, "small": i64::MIN,
        "at": "2024-02-29T12:00:00Z", "day": "2024-02-29", "list": [1, [true]], "deep": { "er": { "x": {} } },
    });
    assert_eq!(config, expected);
    assert!(definition.plan.steps[0].config.ends_with("\"whole\":5}"), "a whole number is written as an integer");
}

#[test]
fn deep_nesting_is_refused_and_does_no_harm() {
    let dots = "x.".repeat(70) + "x";
    let text = refused(&free(&format!("{dots} = 1")));
    assert!(text.ends_with("`x` nests more than 64 tables and lists (flatten it)"), "{text}");
    // Dotted keys in nested braces nest thousands of tables.
    let braces = format!("{dots} = {{ ").repeat(75) + "x = 1" + &" }".repeat(75);
    refused(&free(&braces));
    refused(&free(&format!("x = {}", "[".repeat(100_000))));
    refused(&"a.".repeat(100_000));
}
