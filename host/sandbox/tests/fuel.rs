//! The same task with the same input uses the same fuel: always, and everywhere.

mod support;

use bulkhead_core::failure::Cause;
use bulkhead_engine::executor::ExecutionEnd;
use futures::future::join_all;
use support::component;
use support::{Lab, config, plugin, succeeded};

#[tokio::test]
async fn the_same_task_uses_the_same_fuel() {
    let lab = Lab::new().await;
    let stress = lab.upload(plugin("stress")).await.unwrap();
    let mut attempts = Vec::new();
    // In runs of their own: the key and the input are the same, all else differs.
    for _ in 0..50 {
        let input = r#"{"kind":"cpu","size":100}"#;
        attempts.push(lab.task(&stress, "limits = { fuel = 1000000000 }", input).await);
    }
    let executions = join_all(attempts.iter().map(|attempt| lab.execute(attempt))).await;
    let first = executions[0].usage.fuel;
    assert!(first > 100_000, "{first}");
    for execution in &executions {
        assert_eq!(succeeded(execution), succeeded(&executions[0]));
        assert_eq!(execution.usage.fuel, first);
    }
}

#[tokio::test]
async fn a_limit_fails_the_same_tasks_each_time() {
    let lab = Lab::new().await;
    let stress = lab.upload(plugin("stress")).await.unwrap();
    let measure = lab.task(&stress, "limits = { fuel = 1000000000 }", r#"{"kind":"cpu","size":20}"#).await;
    let needed = lab.execute(&measure).await.usage.fuel;
    // wasmtime looks at the fuel when it enters a function or a loop, so the last few units are not exact.
    for (limit, enough) in [(needed, true), (needed / 2, false), (needed + 1, true), (needed / 2, false)] {
        let keys = format!("limits = {{ fuel = {limit} }}");
        let attempt = lab.task(&stress, &keys, r#"{"kind":"cpu","size":20}"#).await;
        let execution = lab.execute(&attempt).await;
        match execution.end {
            ExecutionEnd::Succeeded(_) => assert!(enough && execution.usage.fuel == needed),
            ExecutionEnd::Failed(failure) => {
                assert!(!enough && failure.cause == Cause::OutOfFuel && execution.usage.fuel == limit)
            }
            ExecutionEnd::Cancelled => panic!("nobody cancelled it"),
        }
    }
}

/// The output is a random number: `get-random-u64`, written as 20 digits.
fn random() -> bytes::Bytes {
    let imports = r#"
  (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
  (core func $draw (canon lower (func $random "get-random-u64")))
  (core instance $random' (export "draw" (func $draw)))"#;
    let with = r#"(with "random" (instance $random'))"#;
    let items = r#"(import "random" "draw" (func $draw (result i64)))"#;
    let body = r#"
      (local $n i64) (local $at i32)
      (local.set $n (call $draw))
      (local.set $at (i32.const 1021))
      (i32.store8 (i32.const 1001) (i32.const 0x22))
      (i32.store8 (i32.const 1022) (i32.const 0x22))
      (loop $digit
        (i32.store8 (local.get $at) (i32.add (i32.const 0x30) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10)))))
        (local.set $n (i64.div_u (local.get $n) (i64.const 10)))
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (br_if $digit (i32.gt_u (local.get $at) (i32.const 1001))))
      (i32.store (i32.const 1100) (i32.const 0))
      (i32.store (i32.const 1104) (i32.const 1001))
      (i32.store (i32.const 1108) (i32.const 22))
      (i32.const 1100)"#;
    component::plugin_with_imports(imports, with, items, body)
}

#[tokio::test]
async fn randomness_follows_from_the_task_where_fuel_is_limited() {
    let lab = Lab::new().await;
    let random = lab.upload(random()).await.unwrap();
    let draw = async |keys: &str, key: &str, input: &str| {
        let attempt = lab.tasks(&random, keys, vec![(key, input.to_owned())]).await.pop().unwrap();
        succeeded(&lab.execute(&attempt).await).to_owned()
    };
    let metered = "limits = { fuel = 1000000 }";
    let first = draw(metered, "a", "1").await;
    assert_eq!(draw(metered, "a", "1").await, first);
    assert_ne!(draw(metered, "a", "2").await, first, "another input");
    assert_ne!(draw(metered, "b", "1").await, first, "another key");
    assert_ne!(draw("", "a", "1").await, draw("", "a", "1").await, "without a fuel limit");
}

#[tokio::test]
async fn unmetered_attempts_report_no_fuel() {
    let lab = Lab::with(config()).await;
    let noop = lab.upload(plugin("noop")).await.unwrap();
    let attempt = lab.task(&noop, "", "null").await;
    assert_eq!(lab.execute(&attempt).await.usage.fuel, 0);
}
