//! What is refused at upload, and components that only a hand can write.

mod support;

use bulkhead_core::failure::{Cause, Failure, TrapCode};
use bulkhead_sandbox::SandboxConfig;
use bytes::Bytes;
use support::component;
use support::{Lab, config, plugin, succeeded};

/// Why a component is refused at upload.
async fn refusal(component: Bytes) -> Failure {
    let lab = Lab::new().await;
    lab.upload(component).await.expect_err("it must be refused")
}

/// How a task of a handmade component fails.
async fn failure(component: Bytes, keys: &str) -> Failure {
    let lab = Lab::new().await;
    let plugin = lab.upload(component).await.unwrap_or_else(|failure| panic!("{failure}"));
    let attempt = lab.task(&plugin, keys, "null").await;
    lab.failure(&attempt).await
}

#[tokio::test]
async fn this_repositorys_plugins_describe_themselves() {
    let lab = Lab::new().await;
    for name in ["noop", "generator", "misbehave", "stress"] {
        let inspected = lab.upload(plugin(name)).await.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(inspected.name.as_str(), name);
        assert!(inspected.config_schema.contains("\"type\""), "{}", inspected.config_schema);
    }
}

#[tokio::test]
async fn a_handmade_component_works() {
    let lab = Lab::new().await;
    let handmade = lab.upload(component::plugin("", "(i32.const 16)")).await.unwrap();
    let attempt = lab.task(&handmade, "", "null").await;
    assert_eq!(succeeded(&lab.execute(&attempt).await), "null");
}

#[tokio::test]
async fn what_is_no_component_is_told_apart() {
    for (bytes, says) in [
        (Bytes::from_static(b"#!/bin/sh"), "no WebAssembly"),
        (Bytes::new(), "no WebAssembly"),
        (Bytes::from_static(b"\0asm\x01\0\0\0"), "it exports nothing"),
        (Bytes::from_static(b"\0asm\x0d\0\x01\0\xff\xff"), "damaged"),
    ] {
        let failure = refusal(bytes).await;
        assert_eq!(failure.cause, Cause::InvalidPlugin);
        assert!(failure.message.contains(says), "{failure}");
    }
}

#[tokio::test]
async fn missing_exports_are_named() {
    let failure = refusal(component::assemble("(component)")).await;
    assert_eq!(failure.cause, Cause::InvalidPlugin);
    assert!(failure.message.contains("`describe`, `plan`, `run`"), "{failure}");
}

#[tokio::test]
async fn an_export_of_another_type_is_refused() {
    let text = component::text("(memory (export \"memory\") 1)", "", "(i32.const 16)", "", "");
    let failure = refusal(component::assemble(&text.replace("(field \"retryable\" bool)", "(field \"again\" bool)"))).await;
    assert_eq!(failure.cause, Cause::InvalidPlugin, "{failure}");
}

#[tokio::test]
async fn an_unknown_import_is_named() {
    let imports = r#"(import "acme:boiler/valve@1.0.0" (instance (export "open" (func))))"#;
    let failure = refusal(component::plugin_with_imports(imports, "", "", "(i32.const 16)")).await;
    assert_eq!(failure.cause, Cause::InvalidPlugin);
    assert!(failure.message.contains("acme:boiler/valve@1.0.0"), "{failure}");
}

#[tokio::test]
async fn a_plugin_that_fails_to_describe_itself_is_refused() {
    let text = component::text("(memory (export \"memory\") 1)", "", "(i32.const 16)", "", "");
    let failure = refusal(component::assemble(&text.replace(
        "(func (export \"describe\") (result i32) (i32.const 64))",
        "(func (export \"describe\") (result i32) unreachable)",
    )))
    .await;
    assert_eq!(failure.cause, Cause::Trap(TrapCode::Unreachable));
    assert!(failure.message.contains("describe"), "{failure}");
}

/// Language runtimes import sockets that a plugin never uses: importing is no fault, calling is.
#[tokio::test]
async fn an_ungranted_interface_is_denied_when_called() {
    let imports = r#"
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $sockets
    (export "tcp-socket" (type (sub resource)))
    (export "create-tcp-socket" (func (result u32)))))
  (core func $create (canon lower (func $sockets "create-tcp-socket")))
  (core instance $sockets' (export "create-tcp-socket" (func $create)))"#;
    let with = r#"(with "sockets" (instance $sockets'))"#;
    let items = r#"(import "sockets" "create-tcp-socket" (func $create (result i32)))"#;
    let idle = component::plugin_with_imports(imports, with, items, "(i32.const 16)");
    let lab = Lab::new().await;
    let idle = lab.upload(idle).await.unwrap_or_else(|failure| panic!("{failure}"));
    let attempt = lab.task(&idle, "", "null").await;
    succeeded(&lab.execute(&attempt).await);

    let failure = failure(component::plugin_with_imports(imports, with, items, "(drop (call $create)) (i32.const 16)"), "").await;
    assert_eq!(failure.cause, Cause::Denied);
    assert!(failure.message.contains("wasi:sockets/tcp-create-socket@0.2.0#create-tcp-socket"), "{failure}");
}

#[tokio::test]
async fn traps_without_a_word_are_told_apart() {
    for (body, code) in [
        ("unreachable", TrapCode::Unreachable),
        ("(i32.load (i32.const 0x7fffffff))", TrapCode::MemoryOutOfBounds),
        ("(i32.div_u (i32.const 1) (i32.const 0))", TrapCode::DivisionByZero),
        ("(i32.div_s (i32.const 0x80000000) (i32.const -1))", TrapCode::IntegerOverflow),
        ("(i32.trunc_f32_s (f32.const nan))", TrapCode::BadConversion),
        ("(call_indirect (result i32) (i32.const 0))", TrapCode::IndirectCall),
        ("(call_indirect (result i32) (i32.const 7))", TrapCode::TableOutOfBounds),
    ] {
        let failure = failure(component::plugin("(table 1 funcref)", body), "").await;
        assert_eq!(failure.cause, Cause::Trap(code), "{failure}");
    }
}

#[tokio::test]
async fn deep_recursion_is_a_stack_overflow() {
    let items = "(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))";
    let failure = failure(component::plugin(items, "(call $deep (i32.const 0))"), "").await;
    assert_eq!(failure.cause, Cause::StackOverflow);
}

#[tokio::test]
async fn a_result_that_points_nowhere_breaks_the_contract() {
    let failure = failure(component::plugin("", "(i32.const 0x7ffffff0)"), "").await;
    assert_eq!(failure.cause, Cause::InvalidPlugin, "{failure}");
}

#[tokio::test]
async fn a_component_too_large_for_its_limit_is_out_of_memory() {
    let memory = "(memory (export \"memory\") 512)";
    let failure = failure(component::plugin_with_memory(memory, "", "(i32.const 16)"), "limits = { memory = \"16MiB\" }").await;
    assert_eq!(failure.cause, Cause::OutOfMemory, "{failure}");
}

#[tokio::test]
async fn a_guest_that_copes_with_denied_memory_succeeds() {
    let body = "(drop (memory.grow (i32.const 65000))) (i32.const 16)";
    let lab = Lab::new().await;
    let modest = lab.upload(component::plugin("", body)).await.unwrap();
    let attempt = lab.task(&modest, "", "null").await;
    let execution = lab.execute(&attempt).await;
    succeeded(&execution);
    assert_eq!(execution.usage.peak_memory, 64 << 10);
}

#[tokio::test]
async fn denied_memory_and_then_a_division_by_zero_is_a_division_by_zero() {
    let body = "(drop (memory.grow (i32.const 65000))) (i32.div_u (i32.const 1) (i32.const 0))";
    assert_eq!(failure(component::plugin("", body), "").await.cause, Cause::Trap(TrapCode::DivisionByZero));
}

/// Three memories of a pool that has room for one each: more than a slot has is had outside the pool.
#[tokio::test]
async fn what_does_not_fit_the_pool_runs_without() {
    let lab = Lab::with(config()).await;
    let tables = "(table 1 funcref)".repeat(15);
    for memory in ["(memory (export \"memory\") 1) (memory 1) (memory 1)", "(memory (export \"memory\") 1) (table 90000 funcref)"]
    {
        let large = lab.upload(component::plugin_with_memory(memory, &tables, "(i32.const 16)")).await;
        let large = large.unwrap_or_else(|failure| panic!("{failure}"));
        let attempt = lab.task(&large, "", "null").await;
        succeeded(&lab.execute(&attempt).await);
    }
}

#[tokio::test]
async fn a_component_that_the_store_lost_is_the_hosts_fault() {
    let lab = Lab::with(SandboxConfig { cache: None, ..config() }).await;
    let mut noop = lab.upload(plugin("noop")).await.unwrap();
    noop.digest = support::no_digest();
    let attempt = lab.task(&noop, "", "null").await;
    assert_eq!(lab.failure(&attempt).await.cause, Cause::HostFault);
}
