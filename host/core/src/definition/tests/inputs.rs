//! Declared parameters and files.

use serde_json::{Map, Value, json};

use super::support::{refused, valid};
use crate::definition::{InputError, Inputs};

const STEP: &str = "step.a.plugin = \"free\"\n";

const DECLARED: &str = r#"
[parameters.count]
type = "integer"
description = "How many"
default = 3
minimum = 1
maximum = 10

[parameters.mode]
enum = ["fast", "thorough"]

[parameters.name]
type = "string"
required = true
min_length = 2
pattern = "^[a-z]+$"

[files.rows]
description = "A table"
required = true

[files.notes]
"#;

fn declared() -> Inputs {
    valid(&format!("id = \"x\"\n{STEP}{DECLARED}")).inputs
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn shown(wrong: Vec<InputError>) -> Vec<String> {
    wrong.iter().map(|wrong| format!("{}: {wrong}", wrong.input)).collect()
}

#[test]
fn a_definition_that_declares_nothing_takes_anything() {
    let inputs = valid(&format!("id = \"x\"\n{STEP}")).inputs;
    let given = object(json!({ "whatever": [1, 2] }));
    assert_eq!(inputs.parameters(given.clone()).unwrap(), given);
    inputs.check_files(&["any.bin".parse().unwrap()]).unwrap();
}

#[test]
fn one_that_declares_none_takes_none() {
    let inputs = valid(&format!("id = \"x\"\n{STEP}[parameters]\n[files]\n")).inputs;
    let wrong = inputs.parameters(object(json!({ "a": 1 }))).unwrap_err();
    assert_eq!(shown(wrong), ["parameters.a: the definition takes no parameter `a` (it takes none)"]);
    let wrong = inputs.check_files(&["a".parse().unwrap()]).unwrap_err();
    assert_eq!(shown(wrong), ["files.a: the definition takes no file `a` (it takes none)"]);
}

#[test]
fn defaults_are_filled_in_and_the_schema_keeps_the_order_of_the_text() {
    let inputs = declared();
    let given = inputs.parameters(object(json!({ "name": "ada" }))).unwrap();
    assert_eq!(Value::Object(given), json!({ "name": "ada", "count": 3 }));
    let text = inputs.parameters.unwrap();
    let at = |name: &str| text.schema().find(&format!("\"{name}\":")).unwrap();
    assert!(at("count") < at("mode") && at("mode") < at("name"), "{}", text.schema());
    let schema: Value = serde_json::from_str(text.schema()).unwrap();
    assert_eq!(schema["required"], json!(["name"]));
    assert_eq!(
        schema["properties"]["count"],
        json!({ "type": "integer", "description": "How many", "default": 3, "minimum": 1, "maximum": 10 })
    );
}

#[test]
fn each_wrong_parameter_is_named_once() {
    let wrong = |given: Value| shown(declared().parameters(object(given)).unwrap_err());
    assert_eq!(wrong(json!({})), ["parameters.name: `name` is required (give it a string)"]);
    assert_eq!(
        wrong(json!({ "name": "A", "count": 11, "mode": "quick", "cuont": 1 })),
        [
            "parameters.count: `count` is 11, but at most 10 is allowed (use an integer from 1 to 10)",
            "parameters.mode: `mode` can't be \"quick\" (use \"fast\" or \"thorough\")",
            "parameters.name: `name` has 1 character, but needs at least 2 (add some)",
            "parameters.cuont: the definition takes no parameter `cuont` (did you mean `count`?)",
        ]
    );
    assert_eq!(
        wrong(json!({ "name": "ada", "count": "3" })),
        ["parameters.count: `count` has to be an integer from 1 to 10, not a string"]
    );
}

#[test]
fn files_are_required_or_unknown() {
    let inputs = declared();
    let name = |text: &str| text.parse().unwrap();
    assert_eq!(shown(inputs.check_files(&[]).unwrap_err()), ["files.rows: the file `rows` is required (A table)"]);
    let wrong = inputs.check_files(&[name("rows"), name("row")]).unwrap_err();
    assert_eq!(shown(wrong), ["files.row: the definition takes no file `row` (it takes `rows` and `notes`)"]);
    inputs.check_files(&[name("rows"), name("notes")]).unwrap();
}

#[test]
fn mistakes_of_a_declaration_have_their_place() {
    for (lines, expected) in [
        ("[parameters.a]", "3:1: parameter `a` lacks `type` (add `type = \"string\"`, or `enum = [\"a\", \"b\"]`)"),
        ("[parameters.a]\ntype = \"int\"", "4:8: `type` can't be `int` (did you mean `integer`?)"),
        (
            "[parameters.a]\ntype = \"string\"\nminimum = 1",
            "5:1: `minimum` means something only for numbers (leave it out, or change the type)",
        ),
        (
            "[parameters.a]\ntype = \"integer\"\npattern = \"x\"",
            "5:1: `pattern` means something only for strings (leave it out, or change the type)",
        ),
        (
            "[parameters.a]\ntype = \"integer\"\nmaximum = 5\ndefault = 7",
            "6:11: the default does not fit: `a` is 7, but at most 5 is allowed",
        ),
        ("[parameters.a]\nenum = [\"x\", \"x\"]", "4:8: `enum` holds \"x\" twice (leave one out)"),
        (
            "[parameters.a]\nenum = []",
            "4:8: `enum` has to be a list of strings or numbers, at least one (write `enum = [\"fast\", \"slow\"]`)",
        ),
        (
            "[parameters.\"a b\"]\ntype = \"string\"",
            "3:13: `a b` can't be the name of a parameter (use 1 to 64 letters, digits, `-` and `_`)",
        ),
        (
            "[parameters.a]\ntype = \"string\"\ndefault = \"x\"\nrequired = true",
            "6:1: parameter `a` has a default, so nobody has to give it (leave one of the two out)",
        ),
        ("[parameters]\na = 1", "4:5: `a` has to be a table, not an integer (write `[parameters.a]`"),
        ("[files.a]\nrequred = true", "4:1: file `a` has no key `requred` (did you mean `required`?)"),
        ("[files.\".a\"]", "3:8: `.a` can't be the name of a file"),
    ] {
        let found = refused(&format!("id = \"x\"\n{STEP}{lines}\n"));
        let expected = expected.replace("(write `[parameters.a]`", "(write `[parameters.count]`");
        assert!(found.starts_with(&expected), "{lines}:\n{found}");
        assert_eq!(found.lines().count(), 1, "{lines}:\n{found}");
    }
    let bad = refused(&format!("id = \"x\"\n{STEP}[parameters.a]\ntype = \"string\"\npattern = \"(\"\n"));
    assert!(bad.starts_with("5:11: `(` is no regular expression"), "{bad}");
}

#[test]
fn nobody_is_there_to_give_a_scheduled_run_what_it_needs() {
    let text = "id = \"x\"\nauto_start = true\nstep.a.plugin = \"free\"\n[schedule]\ncron = \"0 3 * * *\"\n\
                [schedule.parameters]\ncuont = 1\n[parameters.count]\ntype = \"integer\"\nrequired = true\n";
    assert_eq!(
        refused(text),
        "2:1: `auto_start` could start no run: `count` is required (give it an integer)\n\
         6:1: the schedule could start no run: the definition takes no parameter `cuont` (did you mean `count`?)\n\
         6:1: the schedule could start no run: `count` is required (give it an integer)"
    );
    valid(&text.replace("cuont", "count").replace("auto_start = true", ""));
}
