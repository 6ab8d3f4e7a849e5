//! Each kind of mistake, with its place, its reason and what to do.

use super::support::{plugins, refused};
use crate::definition::{MAX_DIAGNOSTICS, MAX_STEPS, MAX_TEXT_LEN, load, references};

/// The lines come after `id = "job"`, and a valid step comes after them.
fn top(lines: &str) -> String {
    refused(&format!("id = \"job\"\n{lines}\n[step.first]\nplugin = \"generator\"\n"))
}

/// The lines stand in a step, from the text's line 4 on.
fn step(lines: &str) -> String {
    refused(&format!("id = \"job\"\n[step.first]\nplugin = \"generator\"\n{lines}\n"))
}

#[track_caller]
fn table(refuse: fn(&str) -> String, rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(refuse(text), *expected, "\n{text}");
    }
}

#[test]
fn what_has_to_be_there() {
    table(
        refused,
        &[
            (
                "",
                "1:1: the definition lacks `id` (add `id = \"my-job\"`)\n\
                 1:1: the definition lacks `step` (add at least one step, like `[step.first]`)",
            ),
            ("id = \"job\"", "1:1: the definition lacks `step` (add at least one step, like `[step.first]`)"),
            ("id = \"job\"\n[step]", "2:1: the definition has no step (add one, like `[step.first]`)"),
            ("id = \"job\"\n[step.first]", "2:1: step `first` lacks `plugin` (add `plugin = \"…\"`)"),
            ("id = \"job\"\nstep.first = {}", "2:6: step `first` lacks `plugin` (add `plugin = \"…\"`)"),
        ],
    );
}

#[test]
fn unknown_keys() {
    table(top, &[("prioritty = 3", "2:1: the definition has no key `prioritty` (did you mean `priority`?)")]);
    table(
        refused,
        &[
            (
                "id = \"job\"\n[steps.first]\nplugin = \"generator\"",
                "2:2: the definition has no key `steps` (did you mean `step`?)",
            ),
            (
                "id = \"job\"\n[step.first]\nplugn = \"generator\"",
                "3:1: step `first` has no key `plugn` (did you mean `plugin`?)",
            ),
        ],
    );
    table(
        step,
        &[
            ("timeot = \"5s\"", "4:1: step `first` has no key `timeot` (did you mean `timeout`?)"),
            ("retry = { backof = \"1s\" }", "4:11: `retry` has no key `backof` (did you mean `backoff`?)"),
            ("retry = { backoff = \"1s\", backof = \"1s\" }", "4:27: `retry` has no key `backof` (did you mean `backoff`?)"),
            (
                "[step.first.retry]\nwhen = 1",
                "5:1: `retry` has no key `when` (use `attempts`, `backoff`, `max_backoff`, `jitter`, `on` or `except`)",
            ),
        ],
    );
    table(
        top,
        &[(
            "[error_tolerance]\nmax_failures = 1",
            "3:1: `error_tolerance` has no key `max_failures` (did you mean `max_child_failures`?)",
        )],
    );
}

#[test]
fn wrong_types() {
    table(
        top,
        &[
            ("name = 5", "2:8: `name` has to be a string, not an integer"),
            ("enabled = \"yes\"", "2:11: `enabled` has to be true or false, not a string"),
            ("tags = \"a\"", "2:8: `tags` has to be a list of strings, not a string"),
            ("tags = [\"a\", 5]", "2:14: `tags` has to be a list of strings, but holds an integer"),
            ("priority = 1.5", "2:12: `priority` has to be an integer, not a float (use an integer from 0 to 9)"),
            (
                "schedule = 2024-01-01",
                "2:12: `schedule` has to be a string or a table, not a date or a time (write `schedule = \"0 3 * * *\"`, or \
                 `[schedule]` and below it `cron = \"0 3 * * *\"`)",
            ),
            (
                "error_tolerance = 3",
                "2:19: `error_tolerance` has to be a table, not an integer (write `[error_tolerance]` and below it \
                 `max_child_failures = 1`)",
            ),
        ],
    );
    table(
        step,
        &[
            ("retry = 3", "4:9: `retry` has to be a table, not an integer (write `retry = { attempts = 3, backoff = \"1s\" }`)"),
            ("depends = 5", "4:11: `depends` has to be a list of strings, not an integer"),
            ("on_error = true", "4:12: `on_error` has to be a string, not a boolean (use `fail` or `continue`)"),
            (
                "limits.memory = 1.5",
                "4:17: `memory` has to be a size, not a float (write a number with a unit (B, KiB, MiB, GiB, kB, MB, GB), \
                 like \"64MiB\")",
            ),
            ("retry.jitter = \"a\"", "4:16: `jitter` has to be a number, not a string (use a number from 0 to 1)"),
        ],
    );
    table(
        refused,
        &[(
            "id = \"job\"\nstep = 5",
            "2:8: `step` has to be a table, not an integer (write each step as a table of its own, like `[step.first]`)",
        )],
    );
}

#[test]
fn values_out_of_range() {
    table(
        top,
        &[
            ("priority = 12", "2:12: `priority` is 12, but at most 9 is allowed (use an integer from 0 to 9)"),
            ("priority = -1", "2:12: `priority` is -1, but at least 0 is allowed (use an integer from 0 to 9)"),
            ("timeout = \"500d\"", "2:11: `timeout` is 500d, but at most 30d is allowed (use a duration from 1ms to 30d)"),
            ("timeout = \"0s\"", "2:11: `timeout` is 0s, but at least 1ms is allowed (use a duration from 1ms to 30d)"),
            (
                "timeout = 5",
                "2:11: `timeout` needs a unit (for seconds, write timeout = \"5s\"; the units are d, h, m, s and ms)",
            ),
            (
                "timeout = \"5 parsecs\"",
                "2:11: `5 parsecs` is no duration: a number has no unit (write numbers with units (d, h, m, s, ms), like \"30s\" \
                 or \"1h30m\")",
            ),
            ("tags = [\"a\", \"b\", \"a\"]", "2:19: the tag `a` is given twice (leave one out)"),
            ("name = \" \"", "2:8: `name` is empty (give it a text, or leave it out)"),
        ],
    );
    table(
        step,
        &[
            ("concurrency = 0", "4:15: `concurrency` is 0, but at least 1 is allowed (use an integer from 1 to 1000000)"),
            (
                "limits.fuel = 99999999999999999999999999999999999999999",
                "4:15: `fuel` is 99999999999999999999999999999999999999999, but at most 1000000000000000000 is allowed (use an \
                 integer from 1 to 1000000000000000000)",
            ),
            ("limits.stack = \"1KiB\"", "4:16: `stack` is 1KiB, but at least 64KiB is allowed (use a size from 64KiB to 1MiB)"),
            ("limits.memory = 5", "4:17: `memory` is 5 bytes, but at least 64KiB is allowed (use a size from 64KiB to 4GiB)"),
            (
                "limits.output_bytes = \"65MiB\"",
                "4:23: `output_bytes` is 65MiB, but at most 64MiB is allowed (use a size from 0B to 64MiB)",
            ),
            ("limits.log_overflow = \"drop\"", "4:23: `log_overflow` can't be `drop` (use `suppress` or `fail`)"),
            ("on_error = \"contine\"", "4:12: `on_error` can't be `contine` (did you mean `continue`?)"),
            ("retry.attempts = 101", "4:18: `attempts` is 101, but at most 100 is allowed (use an integer from 1 to 100)"),
            ("retry.on = [\"panik\"]", "4:13: there is no cause `panik` (did you mean `panic`?)"),
            (
                "retry.except = [\"trap\", \"host-lost\"]",
                "4:25: `host-lost` is not for a step to try again or not (leave it out: what was cancelled is to end, and a lost \
                 host is tried again until the quarantine)",
            ),
            ("retry.jitter = 1.5", "4:16: `jitter` is 1.5, but at most 1 is allowed (use a number from 0 to 1)"),
            (
                "retry = { backoff = \"10s\", max_backoff = \"1s\" }",
                "4:42: `max_backoff` is shorter than `backoff` (raise `max_backoff` or lower `backoff`, which is 1s by default)",
            ),
        ],
    );
}

#[test]
fn schedules() {
    const HELP: &str = "(give minute, hour, day, month and weekday, and seconds before them if you like: \"0 3 * * MON-FRI\")";
    for (schedule, why) in [
        ("0 0 30 2 *", "it never comes due"),
        ("61 * * * *", "number out of bounds"),
        ("* * *", "pattern must have 5 or 6 fields when years are disallowed"),
        ("x * * * *", "contains illegal character 'X' in part 'X'"),
    ] {
        let expected = format!("2:12: `{schedule}` is no schedule: {why} {HELP}");
        assert_eq!(top(&format!("schedule = \"{schedule}\"")), expected);
    }
}

#[test]
fn tables_of_schedules() {
    const TEXT: &str = "id = \"x\"\n[step.a]\nplugin = \"free\"\n[schedule]\ncron = \"61 * * * *\"\ntimezone = \"Europe/Berln\"\n\
                        overlap = \"que\"\ncatch_up = \"lst\"\ncatch_up_limt = 3\njitter = 5\nparameters = 3\n";
    let expected = "5:8: `61 * * * *` is no schedule: number out of bounds (give minute, hour, day, month and weekday, and seconds \
                    before them if you like: \"0 3 * * MON-FRI\")\n\
                    6:12: there is no time zone `Europe/Berln` (did you mean `Europe/Berlin`?)\n\
                    7:11: `overlap` can't be `que` (did you mean `queue`?)\n\
                    8:12: `catch_up` can't be `lst` (did you mean `last`?)\n\
                    9:1: `schedule` has no key `catch_up_limt` (did you mean `catch_up_limit`?)\n\
                    10:10: `jitter` needs a unit (for seconds, write jitter = \"5s\"; the units are d, h, m, s and ms)\n\
                    11:14: `parameters` has to be a table, not an integer (write `[schedule.parameters]` and below it `key = \"value\"`)";
    assert_eq!(refused(TEXT), expected);
    for (keys, expected) in [
        ("timezone = \"berlin\"", "5:12: there is no time zone `berlin` (did you mean `Europe/Berlin`?)"),
        ("timezone = \"New Yrk\"", "5:12: there is no time zone `New Yrk` (did you mean `America/New_York`?)"),
        ("timezone = \"Middle\"", "5:12: there is no time zone `Middle` (use an IANA name, such as `Europe/Berlin` or `UTC`)"),
        (
            "overlap = \"skip\"\nmax_waiting = 3",
            "6:1: `max_waiting` means something only with `overlap = \"queue\"` (leave it out, or choose that policy)",
        ),
        (
            "catch_up_window = \"1h\"",
            "5:1: `catch_up_window` means something only with `catch_up = \"last\"` or `\"all\"` (leave it out, or choose that policy)",
        ),
        (
            "catch_up = \"all\"\ncatch_up_limit = 0",
            "6:18: `catch_up_limit` is 0, but at least 1 is allowed (use an integer from 1 to 1000)",
        ),
    ] {
        let text = format!("id = \"x\"\nstep.a.plugin = \"free\"\n[schedule]\ncron = \"0 3 * * *\"\n{keys}\n");
        assert_eq!(refused(&text), expected);
    }
    let lacks = refused("id = \"x\"\n[step.a]\nplugin = \"free\"\n[schedule]\n");
    assert_eq!(lacks, "4:1: `schedule` lacks `cron` (add `cron = \"0 3 * * *\"`)");
}

#[test]
fn names() {
    const RULE: &str = "use 1 to 64 characters of a-z, 0-9, `-` and `_`, the first a letter or a digit";
    let text = "id = \"My Job!\"\n[step.\"Ä\"]\nplugin = \"generator\"";
    let expected = format!(
        "1:6: `My Job!` can't be the name of a definition ({RULE}, like `my-job`)\n2:7: `Ä` can't be the name of a step ({RULE})"
    );
    assert_eq!(refused(text), expected);
}

#[test]
fn plugins_that_are_not_there() {
    let named = |name: &str| format!("id = \"job\"\n[step.first]\ntype = \"{name}\"");
    assert_eq!(refused(&named("genrator")), "3:8: there is no plugin `genrator` (did you mean `generator`?)");
    assert_eq!(
        refused(&named("x")),
        "3:8: there is no plugin `x` (upload it first, or use `generator`, `crawler`, `free`, `garbled`, `remote`, `bounded`, `unbounded` or `endless`)"
    );
    let none = load(&named("generator"), &[], &[]).unwrap_err().to_string();
    assert_eq!(none, "3:8: there is no plugin `generator` (upload it first: there are no plugins yet)");
    assert_eq!(step("type = \"generator\""), "4:1: `plugin` and `type` mean the same, and this step has both (leave one out)");
}

#[test]
fn grants() {
    table(
        step,
        &[
            ("allow.env = [\"A B\"]", "4:14: `A B` can't be granted in `env` (name one variable, of A-Z, a-z, 0-9 and `_`)"),
            ("allow.env = [\"A\", \"A\"]", "4:19: `A` is given twice (leave one out)"),
            ("allow.http = [\"https://x.org/a\"]", "4:15: `https://x.org/a` can't be granted in `http` (did you mean `x.org`?)"),
            (
                "allow.http = [\"*.y.org:0\"]",
                "4:15: `*.y.org:0` can't be granted in `http` (a port is a number from 1 to 65535, or `*` for every one)",
            ),
            (
                "allow.http = [\"*\"]",
                "4:15: `*` can't be granted in `http` (name a host, like `api.example.com`, `*.example.com` or \
                 `localhost:8080`, an address, like `127.0.0.1:8080` or `[::1]`, or a network, like `10.0.0.0/8`)",
            ),
            ("allow.http = [\"10.0.0.7/8\"]", "4:15: `10.0.0.7/8` can't be granted in `http` (did you mean `10.0.0.0/8`?)"),
        ],
    );
}

#[test]
fn dependencies() {
    table(
        step,
        &[
            ("depends = \"first\"", "4:11: step `first` depends on itself (leave it out)"),
            ("depends = \"other\"", "4:11: there is no step `other` (there is no other step)"),
            (
                "depends = [\"secnd\"]\n[step.second]\nplugin = \"free\"\n[step.third]\nplugin = \"free\"\ndepends = \"zero\"",
                "4:12: there is no step `secnd` (did you mean `second`?)\n\
                 9:11: there is no step `zero` (the other steps are `first` and `second`)",
            ),
            (
                "[step.second]\nplugin = \"free\"\ndepends = [\"first\", \"first\"]",
                "6:21: step `second` depends on `first` twice (leave one out)",
            ),
        ],
    );
}

#[test]
fn circles_are_named_once_from_their_first_step() {
    let steps = |steps: &[(&str, &str)]| {
        let step = |(name, depends): &(&str, &str)| format!("[step.{name}]\nplugin = \"free\"\ndepends = [{depends}]\n");
        refused(&format!("id = \"job\"\n{}", steps.iter().map(step).collect::<String>()))
    };
    const HELP: &str = "(remove one of these dependencies)";
    assert_eq!(
        steps(&[("behind", "'a'"), ("a", "'b'"), ("b", "'c', 'free'"), ("c", "'a'"), ("free", "")]),
        format!("7:12: steps depend on each other in a circle: a → b → c → a {HELP}")
    );
    assert_eq!(
        steps(&[("a", "'b'"), ("b", "'a'"), ("c", "'d', 'a'"), ("d", "'c'")]),
        format!(
            "4:12: steps depend on each other in a circle: a → b → a {HELP}\n\
             10:12: steps depend on each other in a circle: c → d → c {HELP}"
        )
    );
}

#[test]
fn syntax_errors_do_not_hide_other_mistakes_and_cause_none() {
    table(
        refused,
        &[
            ("id = \"job\nname = \"x\"", "1:10: this is no valid TOML: invalid basic string, expected `\"`"),
            (
                "id = \"job\"\npriority = 12\n[step.first\nplugin = \"generator\"\n[step.b]\nplugin = \"free\"\ndepends = \"first\"",
                "2:12: `priority` is 12, but at most 9 is allowed (use an integer from 0 to 9)\n\
                 3:12: this is no valid TOML: unclosed table, expected `]`",
            ),
            (
                "id = \"job\"\n[step.first]\nplugin = \"free\"\nx = 1\n[step.first]\nplugin = \"free\"\nx = 2",
                "5:7: `first` is defined twice (keep one of the two)",
            ),
            ("id = \"job\"\nid = \"b\"", "2:1: `id` is defined twice (keep one of the two)"),
        ],
    );
}

#[test]
fn columns_count_characters_and_no_byte_order_mark() {
    assert!(refused("\u{feff}idd = \"job\"").starts_with("1:1: "));
    let text = "id = \"job\"\n[step.a]\nplugin = \"free\"\n\"ä→\" = { x = nan }";
    assert_eq!(refused(text), "4:14: `x` has to be a finite number, not nan (use a finite number)");
}

#[test]
fn everything_wrong_at_once() {
    let text = r#"id = "Bad Id"
nam = "typo"
timeout = 90
schedule = "whenever"

[error_tolerance]
failure_action = "explode"

[step.one]
plugin = "generator"
worker_cuont = 5
log_count = "many"
depends = ["three", "nowhere"]
retry = { attempts = 0 }

[step.two]
plugin = "genrator"
depends = "two"

[step.three]
depends = "one"
"#;
    assert_eq!(
        refused(text),
        "1:6: `Bad Id` can't be the name of a definition (use 1 to 64 characters of a-z, 0-9, `-` and `_`, the first a letter or \
         a digit, like `bad-id`)\n\
         2:1: the definition has no key `nam` (did you mean `name`?)\n\
         3:11: `timeout` needs a unit (for seconds, write timeout = \"90s\"; the units are d, h, m, s and ms)\n\
         4:12: `whenever` is no schedule: pattern must have 5 or 6 fields when years are disallowed (give minute, hour, day, \
         month and weekday, and seconds before them if you like: \"0 3 * * MON-FRI\")\n\
         7:18: `failure_action` can't be `explode` (use `continue` or `stop`)\n\
         11:1: step `one` has no key `worker_cuont` (did you mean `worker_count`?)\n\
         12:13: `log_count` has to be an integer from 0 to 10000000, not a string\n\
         13:12: steps depend on each other in a circle: one → three → one (remove one of these dependencies)\n\
         13:21: there is no step `nowhere` (the other steps are `two` and `three`)\n\
         14:22: `attempts` is 0, but at least 1 is allowed (use an integer from 1 to 100)\n\
         17:10: there is no plugin `genrator` (did you mean `generator`?)\n\
         18:11: step `two` depends on itself (leave it out)\n\
         20:1: step `three` lacks `plugin` (add `plugin = \"…\"`)"
    );
}

#[test]
fn a_flood_of_mistakes_is_cut_and_says_so() {
    let lines: String = (0..5_000).map(|at| format!("key-{at} = 1\n")).collect();
    let diagnostics = load(&lines, &plugins(), &[]).unwrap_err().0;
    assert_eq!(diagnostics.len(), MAX_DIAGNOSTICS);
    let last = &diagnostics[MAX_DIAGNOSTICS - 1];
    // Two keys lack, too, and the last of those shown is one of those that are not.
    assert_eq!(last.message, format!("{} more mistakes are not shown", 5_002 - MAX_DIAGNOSTICS + 1));
}

#[test]
fn texts_and_numbers_of_steps_are_bounded() {
    let text = format!("id = \"job\"\n#{}", "x".repeat(MAX_TEXT_LEN));
    assert_eq!(
        refused(&text),
        "1:1: the text has 1048588 bytes, but at most 1048576 are allowed (split the definition into several)"
    );
    let steps: String = (0..=MAX_STEPS).map(|at| format!("[step.s{at}]\nplugin = \"free\"\n")).collect();
    assert_eq!(
        refused(&format!("id = \"job\"\n{steps}")),
        "2002:1: there are 1001 steps, but at most 1000 are allowed (let one step do more tasks, or split the definition)"
    );
}

#[test]
fn hooks() {
    let good = "[[hooks]]\nname = \"ops\"\nurl = \"https://a.test/\"\nsecret = \"key\"";
    table(
        top,
        &[
            (
                "hooks = 1",
                "2:9: `hooks` has to be a list of tables, not an integer (write `[[hooks]]` and below it `name = \"ops\"`, \
                 `url = \"https://example.org/hook\"` and `secret = \"ops\"`)",
            ),
            (
                "[[hooks]]\nnames = \"ops\"\nurl = \"ftp://a.test/\"",
                "2:1: a hook lacks `secret` (add `secret = \"NAME\"`, the name of a secret that `serve --hooks-secret` gives)\n\
                 3:1: a hook has no key `names` (did you mean `name`?)\n\
                 4:7: `ftp://a.test/` can't be told: a hook's URL begins with https:// or http:// and has a host",
            ),
            (
                &format!("{good}\nevents = [\"run.faild\", 3]"),
                "6:11: there is no event `run.faild` (did you mean `run.failed`?)\n\
                 6:24: `events` has to be a list of strings, but holds an integer",
            ),
            (
                &format!("{good}\nevents = []"),
                "6:10: a hook without events is told nothing (use `run.succeeded`, `run.failed`, `run.cancelled` or `task.failed`)",
            ),
            (&format!("{good}\n{good}"), "6:1: two hooks are called `ops` (give each a name of its own)"),
        ],
    );
    let many = format!("{good}\n").repeat(11);
    assert_eq!(top(&many), "2:1: there are 11 hooks, but at most 10 are allowed (let one receiver tell the others)");
}

#[test]
fn a_plugin_in_a_registry_is_pinned_and_here() {
    let digest = |byte: u8| format!("{byte:02x}").repeat(32);
    let step = |reference: &str| format!("id = \"job\"\n[step.first]\nplugin = \"{reference}\"\n");
    let gen_at = |byte| step(&format!("oci://r.test/team/gen@sha256:{}", digest(byte)));
    let (plain, tag, here) =
        (step("oci://r.test/team/gen"), step("oci://r.test/team/gen:1"), "the plugin of this reference is not here");
    let unpinned = "a plugin in a registry has to be pinned to its digest: a tag may mean another one tomorrow";
    table(
        refused,
        &[
            (&gen_at(2), &format!("3:10: {here} (`--registry r.test` allows it)")),
            (&gen_at(3), &format!("3:10: {here} (pull it, and upload what `plugin pull` leaves)")),
            (&tag, &format!("3:10: {unpinned} (now it is sha256:…)")),
            (&plain, &format!("3:10: {unpinned} (`bulkhead plugin pull oci://r.test/team/gen` tells what it is pinned to now)")),
            (
                &step("oci://r.test"),
                "3:10: `oci://r.test` is no reference: it lacks a repository (write it like `oci://registry.example/team/hello@sha256:…`)",
            ),
        ],
    );
    // The name of a plugin in a registry takes nothing from the one that has the same name here, its schema neither.
    let both = format!("{}anything = 1\n[step.second]\nplugin = \"generator\"\nanything = 1\n", gen_at(1));
    let refused = refused(&both);
    assert!(refused.starts_with("7:1: step `second` has no key `anything` (the plugin knows `failure_rate`"), "{refused}");
}

#[test]
fn references_are_found_in_any_text() {
    let found = |text: &str| references(text).iter().map(|(step, reference)| format!("{step} {reference}")).collect::<Vec<_>>();
    let text = "[step.a]\nplugin = \"oci://r.test/a:1\"\n[step.b]\ntype = \"oci://r.test/b\"\n[step.c]\nplugin = \"oci://r.test/a:1\"\n\
                [step.d]\nplugin = \"oci://\"\n[step.e]\nplugin = 1\n[x";
    assert_eq!(found(text), ["a oci://r.test/a:1", "b oci://r.test/b", "c oci://r.test/a:1"]);
    assert_eq!(found("step = 1 # oci://"), Vec::<String>::new());
}
