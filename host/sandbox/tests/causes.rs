//! Every way to go wrong ends with its own cause: the plugin `misbehave`, mode by mode.

mod support;

use bulkhead_core::failure::{Cause, Failure, Quota, TrapCode};
use bulkhead_core::log::{Level, Source};
use bulkhead_engine::executor::Inspected;
use support::{Lab, plugin, succeeded};

async fn lab() -> (Lab, Inspected) {
    let lab = Lab::new().await;
    let misbehave = lab.upload(plugin("misbehave")).await.expect("misbehave is a plugin");
    (lab, misbehave)
}

/// How a mode of misbehave fails, with these limits.
async fn failure(mode: &str, keys: &str) -> Failure {
    let (lab, misbehave) = lab().await;
    let attempt = lab.task(&misbehave, &format!("mode = \"{mode}\"\n{keys}"), &format!("\"{mode}\"")).await;
    lab.failure(&attempt).await
}

/// Checks a mode's cause and that its message says `message`.
async fn expect(mode: &str, keys: &str, cause: Cause, message: &str) -> Failure {
    let failure = failure(mode, keys).await;
    assert_eq!(failure.cause, cause, "{failure}\n{:?}", failure.backtrace);
    assert!(failure.message.contains(message), "{failure}");
    failure
}

const MEMORY: &str = "limits = { memory = \"32MiB\" }";

#[tokio::test]
async fn a_panic_is_told_with_its_message_and_place() {
    let failure = expect("panic", "", Cause::Panic, "the compartment is flooding").await;
    assert!(failure.message.contains("src/lib.rs:"), "{failure}");
    let backtrace = failure.backtrace.expect("a backtrace");
    assert!(backtrace.lines().count() > 3 && backtrace.len() <= 8 << 10, "{backtrace}");
}

#[tokio::test]
async fn a_plugins_own_errors_say_whether_to_retry() {
    expect("error-retryable", "", Cause::PluginError { retryable: true }, "the pump is busy").await;
    expect("error-final", "", Cause::PluginError { retryable: false }, "there is no pump").await;
}

#[tokio::test]
async fn an_abort_is_a_trap() {
    expect("unreachable", "", Cause::Trap(TrapCode::Unreachable), "unreachable").await;
}

#[tokio::test]
async fn an_access_out_of_bounds_is_a_trap() {
    expect("out-of-bounds", "", Cause::Trap(TrapCode::MemoryOutOfBounds), "0xffffff00").await;
}

#[tokio::test]
async fn illegal_arithmetic_is_a_trap() {
    expect("divide-by-zero", "", Cause::Trap(TrapCode::DivisionByZero), "divide by zero").await;
    expect("float-to-integer", "", Cause::Trap(TrapCode::BadConversion), "conversion").await;
}

#[tokio::test]
async fn a_wild_call_is_a_trap() {
    expect("null-function", "", Cause::Trap(TrapCode::IndirectCall), "").await;
    expect("wrong-function", "", Cause::Trap(TrapCode::IndirectCall), "").await;
}

#[tokio::test]
async fn exhausted_memory_is_told_from_an_abort() {
    expect("memory-hog", MEMORY, Cause::OutOfMemory, "limits.memory").await;
    expect("gigantic-allocation", MEMORY, Cause::OutOfMemory, "limits.memory").await;
}

#[tokio::test]
async fn files_count_as_memory() {
    expect("file-flood", MEMORY, Cause::OutOfMemory, "they count as memory").await;
    expect("files-flood", MEMORY, Cause::OutOfMemory, "they count as memory").await;
}

#[tokio::test]
async fn files_are_its_own_and_behave_as_files_do() {
    let (lab, misbehave) = lab().await;
    let attempt = lab.task(&misbehave, &format!("mode = \"files\"\n{MEMORY}"), "\"files\"").await;
    let execution = lab.execute(&attempt).await;
    let output: serde_json::Value = serde_json::from_str(succeeded(&execution)).unwrap();
    assert_eq!(output["others"], 0);
    assert!(execution.usage.peak_memory <= 32 << 20, "{:?}", execution.usage);
}

#[tokio::test]
async fn exhausted_table_space_is_told_from_an_abort() {
    expect("table-growth", "", Cause::OutOfMemory, "table elements").await;
}

#[tokio::test]
async fn an_overflow_of_either_stack_is_a_stack_overflow() {
    expect("stack-overflow", "", Cause::StackOverflow, "in its own memory").await;
    expect("native-stack-overflow", "", Cause::StackOverflow, "limits.stack").await;
}

#[tokio::test]
async fn an_ungranted_capability_is_denied() {
    expect("network", "", Cause::Denied, "wasi:sockets/").await;
}

#[tokio::test]
async fn exit_is_a_trap_of_its_own() {
    expect("exit", "", Cause::Trap(TrapCode::Exit), "exit").await;
}

#[tokio::test]
async fn what_crosses_the_boundary_must_keep_the_contract() {
    expect("deep-json", "", Cause::InvalidPlugin, "recursion limit").await;
    expect("invalid-json", "", Cause::InvalidPlugin, "no JSON").await;
    expect("invalid-utf8", "", Cause::InvalidPlugin, "utf-8").await;
}

#[tokio::test]
async fn an_output_has_a_limit() {
    expect("output-too-large", "limits = { output_bytes = \"1MiB\" }", Cause::Limit(Quota::Output), "limits.output_bytes").await;
}

#[tokio::test]
async fn what_one_host_call_carries_has_a_limit() {
    expect("gigantic-line", "limits = { memory = \"256MiB\" }", Cause::Limit(Quota::HostCall), "one call").await;
    expect("bad-checkpoint", "", Cause::PluginError { retryable: false }, "").await;
}

#[tokio::test]
async fn host_calls_have_a_quota() {
    expect("host-call-flood", "limits = { host_calls = 100000 }", Cause::Limit(Quota::HostCall), "limits.host_calls").await;
}

#[tokio::test]
async fn log_quotas_can_be_fatal() {
    let keys = "limits = { log_lines = 10000, log_overflow = \"fail\" }";
    expect("log-flood", keys, Cause::Limit(Quota::Log), "10000 lines").await;
    expect("stderr-flood", keys, Cause::Limit(Quota::Log), "10000 lines").await;
}

#[tokio::test]
async fn artifacts_have_a_quota() {
    let keys = "limits = { artifact_bytes = \"1MiB\" }";
    expect("artifact-flood", keys, Cause::Limit(Quota::Artifact), "limits.artifact_bytes").await;
}

#[tokio::test]
async fn a_bomb_that_ignores_refusals_is_ended() {
    expect("spawn-bomb", "limits = { spawned_tasks = 1000 }", Cause::Limit(Quota::Spawn), "refusals").await;
}

#[tokio::test]
async fn used_up_fuel_is_told_with_its_limit() {
    expect("endless-loop", "limits = { fuel = 1000000 }", Cause::OutOfFuel, "1000000 units").await;
}

#[tokio::test]
async fn what_never_ends_is_timed_out() {
    for mode in ["endless-loop", "endless-loop-in-host-call", "sleep-for-ever", "sleep-past-cancellation"] {
        expect(mode, "timeout = \"300ms\"", Cause::TimedOut, "300ms").await;
    }
}

#[tokio::test]
async fn excesses_that_are_suppressed_lose_no_line_silently() {
    let (lab, misbehave) = lab().await;
    let keys = "mode = \"nothing\"\nflood_lines = 20000\nlimits = { log_lines = 1000 }";
    let attempt = lab.task(&misbehave, keys, "\"log-flood-suppressed\"").await;
    succeeded(&lab.execute(&attempt).await);
    let lines = lab.lines(&attempt).await;
    assert_eq!(lines.len(), 1_001);
    assert!(lines[1_000].message.starts_with("19000 log lines were suppressed"), "{}", lines[1_000].message);
}

#[tokio::test]
async fn a_line_survives_fields_that_are_no_object() {
    let (lab, misbehave) = lab().await;
    let attempt = lab.task(&misbehave, "mode = \"nothing\"", "\"invalid-fields\"").await;
    succeeded(&lab.execute(&attempt).await);
    let lines = lab.lines(&attempt).await;
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.fields.as_ref().is_some_and(|fields| fields.contains("fields_invalid"))), "{lines:?}");
}

#[tokio::test]
async fn standard_error_becomes_log_lines() {
    let (lab, misbehave) = lab().await;
    let attempt = lab.task(&misbehave, "mode = \"nothing\"", "\"panic\"").await;
    lab.failure(&attempt).await;
    let lines = lab.lines(&attempt).await;
    let line = lines.iter().find(|line| line.source == Source::Stderr).expect("a line from standard error");
    assert!(line.level == Level::Warn && line.message.contains("panicked at"), "{line:?}");
}

#[tokio::test]
async fn a_clean_slate_for_each_attempt() {
    let (lab, misbehave) = lab().await;
    for _ in 0..50 {
        let attempt = lab.task(&misbehave, "mode = \"nothing\"", "\"clean-slate\"").await;
        succeeded(&lab.execute(&attempt).await);
    }
}
