//! What is uploaded becomes a component, or is refused with what to do about it.

mod support;

use bulkhead_core::failure::{Cause, TrapCode};
use bulkhead_core::log::{Level, Source};
use bulkhead_core::plugin::{PluginForm as Form, PluginKind as Kind};
use bulkhead_sandbox::adapt::{AdaptError, adapt};
use bytes::Bytes;
use support::component::{assemble, module, plugin};
use support::{Lab, failed, program, succeeded};

fn refusal(text: &str) -> AdaptError {
    adapt(&assemble(text)).expect_err("it must be refused")
}

#[test]
fn each_form_is_told_apart() {
    let of = |bytes: &Bytes| adapt(bytes).map(|adapted| (adapted.kind, adapted.form)).unwrap();
    let component = plugin("", "(i32.const 16)");
    assert_eq!(of(&component), (Kind::Plugin, Form::Component));
    assert_eq!(adapt(&component).unwrap().component, component, "a component stays as it is");
    assert_eq!(of(&module("", "(i32.const 16)")), (Kind::Plugin, Form::Module));
    assert_eq!(of(&program::copy(0)), (Kind::Command, Form::Module));
    let command = adapt(&program::copy(0)).unwrap().component;
    assert_eq!(of(&command), (Kind::Command, Form::Component));
}

#[test]
fn the_same_bytes_give_the_same_component() {
    let program = program::copy(3);
    assert_eq!(adapt(&program).unwrap().component, adapt(&program).unwrap().component);
}

#[test]
fn what_a_binary_says_of_itself_is_read() {
    let text = r#"(module (@custom "version" "1.4.0") (@custom "description" "Does it.\n")
        (memory (export "memory") 1) (func (export "_start")))"#;
    let adapted = adapt(&assemble(text)).unwrap();
    assert_eq!(adapted.labels.version.as_deref(), Some("1.4.0"));
    assert_eq!(adapted.labels.description.as_deref(), Some("Does it."));
    assert_eq!(adapted.contract, None);
    let log = r#"(import "bulkhead:plugin/log@0.1.0" "write" (func (param i32 i32 i32 i32 i32)))"#;
    assert_eq!(adapt(&module(log, "(i32.const 16)")).unwrap().contract.as_deref(), Some("0.1.0"));
}

#[test]
fn what_exports_nothing_of_use_is_refused_with_what_it_has() {
    let error = refusal(r#"(module (func (export "main")) (func (export "add")))"#);
    assert!(error.to_string().contains("its exports are `main`, `add`") && error.to_string().contains("_start"), "{error}");
    assert_eq!(refusal(r#"(module (func (export "_start")))"#), AdaptError::NoMemory);
    let error = refusal(r#"(module (func (export "run")))"#);
    assert_eq!(error, AdaptError::Incomplete { missing: vec!["describe", "plan"] });
}

#[test]
fn what_is_imported_and_not_offered_is_refused_with_how_to_build() {
    for (module, advice) in [
        ("env", "wasi-sdk"),
        ("wasi_unstable", "before 2020"),
        ("gojs", "GOOS=wasip1"),
        ("wbg", "wasm32-wasip2"),
        ("wasi", "without them"),
        ("wasix_32v1", "WASIX"),
        ("acme", "a core module may import"),
        ("bulkhead:plugin/valves@0.1.0", "no such interface"),
    ] {
        let error = refusal(&format!(r#"(module (import "{module}" "x" (func)) (func (export "_start")))"#)).to_string();
        assert!(error.contains(&format!("`x` from `{module}`")) && error.contains(advice), "{error}");
    }
}

#[test]
fn a_contract_of_another_version_is_named() {
    let error = refusal(r#"(module (import "bulkhead:plugin/log@2.0.0" "write" (func)) (func (export "_start")))"#);
    assert_eq!(error, AdaptError::Contract { found: "2.0.0".to_owned() });
    assert!(error.to_string().contains("wit/0.1.0"), "{error}");
}

#[test]
fn functions_of_another_shape_are_named() {
    let error = refusal(
        r#"(module (memory (export "memory") 1)
        (func (export "describe")) (func (export "plan")) (func (export "run")))"#,
    );
    assert!(matches!(error, AdaptError::Module(_)) && error.to_string().contains("abi.md"), "{error}");
    assert!(error.to_string().contains("describe"), "{error}");
}

#[test]
fn what_is_damaged_is_no_plugin() {
    let whole = program::copy(0);
    let parts = (9..whole.len()).filter(|&len| adapt(&whole.slice(..len)).is_ok()).count();
    assert_eq!(parts, 1, "only names may be missing at the end");
}

#[tokio::test]
async fn a_module_without_wit_is_a_plugin() {
    let lab = Lab::new().await;
    let items = r#"(import "bulkhead:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32 i32 i32)))
        (data (i32.const 200) "by hand")"#;
    let body = "(call $log (i32.const 2) (i32.const 200) (i32.const 7) (i32.const 0) (i32.const 0)) (i32.const 16)";
    let inspected = lab.upload(module(items, body)).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(inspected.name.as_str(), "handmade");
    let attempt = lab.task(&inspected, "", "null").await;
    assert_eq!(succeeded(&lab.execute(&attempt).await), "null");
    let lines = lab.lines(&attempt).await;
    assert_eq!((lines[0].level, &*lines[0].message), (Level::Warn, "by hand"));
}

#[tokio::test]
async fn a_command_needs_a_name_and_has_no_other() {
    let lab = Lab::new().await;
    let failure = lab.upload(program::copy(0)).await.unwrap_err();
    assert_eq!(failure.cause, Cause::InvalidPlugin);
    assert!(failure.message.contains("--name"), "{failure}");
    let copy = lab.upload_as(program::copy(0), Some("copy")).await.unwrap();
    assert_eq!((copy.name.as_str(), &*copy.version), ("copy", "0.0.0"));
    let handmade = lab.upload_as(module("", "(i32.const 16)"), Some("other")).await.unwrap();
    assert_eq!(handmade.name.as_str(), "handmade", "it tells its own name");
}

/// The output of a command's task.
async fn output(command: Bytes, keys: &str, input: &str) -> String {
    let lab = Lab::new().await;
    let command = lab.upload_as(command, Some("command")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let attempt = lab.task(&command, keys, input).await;
    succeeded(&lab.execute(&attempt).await).to_owned()
}

#[tokio::test]
async fn input_goes_in_and_the_last_document_comes_out() {
    assert_eq!(output(program::copy(0), "", r#"{"a":1}"#).await, r#"{"a":1}"#);
    assert_eq!(output(program::copy(0), "", r#""no JSON\n[1,\n2]""#).await, "null");
    assert_eq!(output(program::copy(0), "", r#""some words\n{\"a\":2}\nmore""#).await, r#"{"a":2}"#);
    assert_eq!(output(program::copy(0), "stdin = \"json\"", r#""text""#).await, r#""text""#);
    assert_eq!(output(program::copy(0), "stdin = \"none\"\noutput = \"text\"", r#""text""#).await, r#""""#);
    assert_eq!(output(program::copy(0), "output = \"text\"", r#""é\n""#).await, r#""é\n""#);
    assert_eq!(output(program::copy(0), "output = \"none\"", "1").await, "null");
}

#[tokio::test]
async fn configuration_is_arguments_and_environment() {
    let keys = r#"output = "text"
args = ["-n", "${input.n}", "$${x}"]
env = { GREETING = "hello ${key}" }"#;
    let output: String = serde_json::from_str(&output(program::arguments(), keys, r#"{"n":5}"#).await).unwrap();
    let parts: Vec<_> = output.split_terminator('\0').collect();
    assert_eq!(parts[..4], ["command", "-n", "5", "${x}"]);
    assert!(parts.contains(&"GREETING=hello task") && parts.contains(&"BULKHEAD_STEP=only"), "{parts:?}");
    assert!(parts.iter().all(|part| !part.starts_with("PATH=")), "nothing of the host's: {parts:?}");
}

#[tokio::test]
async fn an_exit_status_is_the_result() {
    let lab = Lab::new().await;
    let failing = lab.upload_as(program::failing("it broke\\nbadly\\n", 42), Some("failing")).await.unwrap();
    let attempt = lab.task(&failing, "", "null").await;
    let failure = lab.failure(&attempt).await;
    assert_eq!(failure.cause, Cause::PluginError { retryable: true });
    assert!(failure.message.contains("status 42") && failure.message.ends_with("it broke\nbadly"), "{failure}");
    let lines = lab.lines(&attempt).await;
    assert_eq!(
        lines.iter().map(|line| (line.source, &*line.message)).collect::<Vec<_>>(),
        [(Source::Stderr, "it broke"), (Source::Stderr, "badly")]
    );
    assert_eq!(output(program::copy(10), "success = [10]", "[7]").await, "[7]");
}

#[tokio::test]
async fn lines_of_json_become_levels_and_fields() {
    let lab = Lab::new().await;
    let copy = lab.upload_as(program::copy(0), Some("copy")).await.unwrap();
    let input = r#"{"level":"error","msg":"low water","boiler":3}
plain"#;
    let attempt = lab.task(&copy, "", &serde_json::to_string(input).unwrap()).await;
    succeeded(&lab.execute(&attempt).await);
    let lines = lab.lines(&attempt).await;
    assert_eq!(
        (lines[0].level, &*lines[0].message, lines[0].fields.as_deref()),
        (Level::Error, "low water", Some(r#"{"boiler":3}"#))
    );
    assert_eq!((lines[1].level, &*lines[1].message, lines[1].fields.as_deref()), (Level::Info, "plain", None));
}

#[tokio::test]
async fn a_command_is_contained_like_any_plugin() {
    let lab = Lab::new().await;
    for (body, keys, cause) in [
        ("unreachable", "", Cause::Trap(TrapCode::Unreachable)),
        ("(loop $on (br $on))", "timeout = \"300ms\"", Cause::TimedOut),
        ("(loop $on (br $on))", "limits = { fuel = 1000000 }", Cause::OutOfFuel),
        ("(drop (memory.grow (i32.const 60000))) unreachable", "", Cause::OutOfMemory),
    ] {
        let command = lab.upload_as(program::doing(body), Some("command")).await.unwrap();
        let attempt = lab.task(&command, keys, "null").await;
        assert_eq!(failed(lab.execute(&attempt).await).cause, cause, "{body}");
    }
}

#[tokio::test]
async fn what_a_step_says_wrongly_is_a_final_failure() {
    let lab = Lab::new().await;
    let copy = lab.upload_as(program::copy(0), Some("copy")).await.unwrap();
    for (keys, says) in [
        (r#"args = ["${input.name}"]"#, "no `name`"),
        (r#"stdin = { file = "rows" }"#, "without files"),
        (r#"stdout = { artifact = ".hidden" }"#, "name"),
        (&format!("args = [\"{}\"]", "x".repeat(40_000)), "the most"),
    ] {
        let attempt = lab.task(&copy, keys, "{}").await;
        let failure = lab.failure(&attempt).await;
        assert_eq!(failure.cause, Cause::PluginError { retryable: false }, "{failure}");
        assert!(failure.message.contains(says), "{failure}");
    }
}

#[tokio::test]
async fn standard_output_can_go_to_an_artifact() {
    let keys = "stdout = { artifact = \"${input}.txt\" }";
    assert_eq!(output(program::copy(0), keys, r#""name""#).await, r#"{"artifact":"name.txt","bytes":4}"#);
    let lab = Lab::new().await;
    let copy = lab.upload_as(program::copy(0), Some("copy")).await.unwrap();
    let keys = "stdout = { artifact = \"large.txt\" }\nlimits = { artifact_bytes = 100000 }";
    let attempt = lab.task(&copy, keys, &format!("\"{}\"", "x".repeat(200_000))).await;
    assert!(matches!(lab.failure(&attempt).await.cause, Cause::Limit(_)));
}
