//! Values that are set from outside.

use super::support::valid;
use crate::definition::with_overrides;

const TEXT: &str = "\
id = \"job\"  # the name
timeout = \"1h\"

[step.fast]  # quick
plugin = \"free\"
worker_count = 1  # one
retry = { attempts = 2 }

[step.slow.limits]
memory = \"64MiB\"

[step.slow]
plugin = \"free\"
";

fn set(path: &str, value: &str) -> String {
    with_overrides(TEXT, &[(path.to_owned(), value.to_owned())]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn refused(path: &str) -> String {
    with_overrides(TEXT, &[(path.to_owned(), "1".to_owned())]).unwrap_err().to_string()
}

/// The only line that differs, before and after.
#[track_caller]
fn changes(path: &str, value: &str, before: &str, after: &str) {
    let expected = TEXT.replacen(before, after, 1);
    assert_ne!(expected, TEXT);
    let changed = set(path, value);
    assert_eq!(changed, expected);
    valid(&changed);
}

#[test]
fn a_value_is_replaced_in_its_place() {
    changes("fast.worker_count", "7", "worker_count = 1  # one", "worker_count = 7  # one");
    changes("step.fast.worker_count", "7", "worker_count = 1 ", "worker_count = 7 ");
    changes("fast.retry.attempts", "5", "{ attempts = 2 }", "{ attempts = 5 }");
    changes("slow.limits.memory", "1GiB", "\"64MiB\"", "\"1GiB\"");
    changes("timeout", "\"5m\"", "\"1h\"", "\"5m\"");
}

#[test]
fn a_new_value_gets_a_place() {
    changes("fast.seed", "[1, 2]", "# quick\n", "# quick\nseed = [1, 2]\n");
    changes("fast.retry.backoff", "1s", "{ attempts", "{backoff = \"1s\",  attempts");
    changes("fast.limits.fuel", "9", "# quick\n", "# quick\nlimits.fuel = 9\n");
    changes("slow.limits.fuel", "9", "[step.slow.limits]\n", "[step.slow.limits]\nfuel = 9\n");
    changes("priority", "9", "id =", "priority = 9\nid =");
    changes("error_tolerance.max_child_failures", "3", "id =", "error_tolerance.max_child_failures = 3\nid =");
    changes("fast.a b", "1", "# quick\n", "# quick\n\"a b\" = 1\n");
}

#[test]
fn a_step_without_a_line_of_its_own_gets_one() {
    let set = |text: &str| with_overrides(text, &[("a.x".to_owned(), "1".to_owned())]).unwrap();
    let config = |text: &str| valid(&set(text)).plan.steps[0].config.clone();
    for text in [
        "id = \"job\"\nstep.a.plugin = \"free\"",
        "id = \"job\"\n[step.a]\nplugin = \"free\"",
        "id = \"job\"\nstep = { a = { plugin = \"free\" } }",
        "id = \"job\"\n[step]\na.plugin = \"free\"",
        "\u{feff}id = \"job\"\nstep.a.plugin = \"free\"",
    ] {
        assert_eq!(config(text), "{\"x\":1}", "{text}");
    }
}

#[test]
fn a_value_that_is_no_toml_value_is_a_string() {
    for (value, shown) in [
        ("5m", "\"5m\""),
        ("true", "true"),
        ("1.5", "1.5"),
        ("[1, 2", "\"[1, 2\""),
        ("a = 1", "\"a = 1\""),
        ("", "\"\""),
        ("x\"y", "'x\"y'"),
        ("\"quoted\"", "\"quoted\""),
        ("{ a = 1 }", "{ a = 1 }"),
    ] {
        assert_eq!(set("fast.worker_count", value), TEXT.replace("= 1  #", &format!("= {shown}  #")), "{value}");
    }
}

#[test]
fn overrides_apply_one_after_the_other() {
    let overrides = [("fast.seed", "1"), ("fast.seed", "2"), ("timeout", "2h")].map(|(path, value)| (path.into(), value.into()));
    let text = with_overrides(TEXT, &overrides).unwrap();
    assert_eq!(text, TEXT.replace("# quick\n", "# quick\nseed = 2\n").replace("\"1h\"", "\"2h\""));
    assert_eq!(with_overrides(TEXT, &[]).unwrap(), TEXT);
}

#[test]
fn what_can_not_be_set_is_said() {
    let rows = [
        ("fsat.worker_count", "1:1: `fsat.worker_count` can't be set: there is no step `fsat` (did you mean `fast`?)"),
        ("step.fsat.x", "1:1: `step.fsat.x` can't be set: there is no step `fsat` (did you mean `fast`?)"),
        ("timeuot", "1:1: `timeuot` can't be set: there is no key `timeuot` (did you mean `timeout`?)"),
        ("fast", "1:1: `fast` is a step, not a value (name a key of a step, like `fast.timeout`)"),
        ("step", "1:1: `step` is a step, not a value (name a key of a step, like `fast.timeout`)"),
        ("fast.retry", "1:1: `fast.retry` is a table, not a value (name a key in it)"),
        ("timeout.x", "1:1: `timeout.x` can't be set: `timeout` is no table (leave out what comes after it)"),
        ("fast..x", "1:1: `fast..x` is no path of a value (write it like `timeout` or `fast.worker_count`)"),
        ("", "1:1: `` is no path of a value (write it like `timeout` or `fast.worker_count`)"),
    ];
    for (path, expected) in rows {
        assert_eq!(refused(path), expected);
    }
}

#[test]
fn a_text_that_can_not_be_read_is_refused_with_its_place() {
    let refused = with_overrides("id = ", &[]).unwrap_err().to_string();
    assert!(refused.starts_with("1:6: this is no valid TOML"), "{refused}");
}
