//! What attempts leave behind and read of each other, from the first write to the reader in a later step.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::StepIndex;
use bulkhead_core::plan::{Limits, OnError, Plan};
use bulkhead_core::run::RunState;
use bulkhead_engine::attempt::{AttemptHost, FileError, FileSource};
use bulkhead_engine::engine::Engine;
use bulkhead_engine::executor::ExecutionEnd;
use bulkhead_engine::files::{Files as _, MAX_PIECE_LEN};
use bulkhead_engine::store::StoreError;
use bulkhead_store::Fault;
use bytes::Bytes;
use common::{Bench, Scripted, config, done, plan};

/// Steps with these names, each depending on those of the second list.
fn steps(names: &[(&str, &[u16])], limits: Limits) -> Plan {
    let mut plan = plan(limits);
    let step = plan.steps.remove(0);
    plan.steps = names
        .iter()
        .map(|(name, depends)| {
            let depends = depends.iter().copied().map(StepIndex).collect();
            bulkhead_core::plan::StepPlan { name: name.parse().unwrap(), depends, ..step.clone() }
        })
        .collect();
    plan
}

fn step(name: &str) -> FileSource {
    FileSource::Step { step: name.into(), task: None }
}

async fn write(host: &AttemptHost, name: &str, text: &str) -> Result<(), FileError> {
    host.write_artifact(name, Bytes::from(text.to_owned())).await
}

#[tokio::test(start_paused = true)]
async fn a_later_step_reads_what_an_earlier_one_left() {
    let bench = Bench::new();
    let executor = Scripted::new(|host| async move {
        match host.step().name.as_str() {
            "first" => {
                write(&host, "letters.txt", "abc").await.unwrap();
                write(&host, "letters.txt", "def").await.unwrap();
                host.create_artifact("odd", "application/vnd.odd").await.unwrap();
            }
            "between" => {}
            "last" => {
                let found = host.find_file(&step("first"), "letters.txt").await.unwrap();
                assert_eq!((found.size, found.task), (6, 0));
                let read = host.read_file(&step("first"), "letters.txt", 2, 3).await.unwrap();
                assert_eq!(&read[..], b"cde");
                assert!(host.read_file(&step("first"), "letters.txt", 6, 3).await.unwrap().is_empty());
                let all = host.list_files(&step("first"), None, 10).await.unwrap();
                let all: Vec<_> = all.iter().map(|info| (info.name.as_str(), info.content_type.as_str())).collect();
                assert_eq!(all, [("letters.txt", "text/plain; charset=utf-8"), ("odd", "application/vnd.odd")]);
                let rest = host.list_files(&step("first"), Some(("letters.txt", 0)), 10).await.unwrap();
                assert_eq!(rest.len(), 1);
                assert!(host.read_outputs("between", 0, 10).await.unwrap().is_empty());
                let missing = host.find_file(&step("first"), "digits.txt").await.unwrap_err();
                assert_eq!(missing.to_string(), "there is no artifact `digits.txt` of step `first`");
                let missing = host.find_file(&FileSource::Run, "rows").await.unwrap_err();
                assert_eq!(missing.to_string(), "there is no file `rows`: the run was started without files");
                assert!(matches!(host.find_file(&step("beside"), "x").await, Err(FileError::NotADependency { .. })));
                assert!(matches!(host.read_outputs("last", 0, 1).await, Err(FileError::NotADependency { .. })));
                assert!(matches!(host.read_outputs("nowhere", 0, 1).await, Err(FileError::NotFound(_))));
            }
            _ => {}
        }
        done()
    });
    let plan = steps(&[("first", &[]), ("between", &[0]), ("last", &[1]), ("beside", &[])], Limits::default());
    let run = bench.start(plan).await;
    let engine = Engine::start(bench.store.clone(), executor, config(4)).await.unwrap();
    assert_eq!(bench.ended(run).await.state, RunState::Succeeded);
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_leaves_nothing_and_the_next_begins_anew() {
    let bench = Bench::new();
    let attempts = Arc::new(AtomicU32::new(0));
    let counter = attempts.clone();
    let executor = Scripted::new(move |host| {
        let attempt = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            write(&host, "part", &format!("attempt {attempt}")).await.unwrap();
            match attempt {
                0 => ExecutionEnd::Failed(Failure::new(Cause::Panic, "it broke")),
                _ => done(),
            }
        }
    });
    let mut plan = plan(Limits::default());
    plan.steps[0].retry.attempts = 2;
    let run = bench.start(plan).await;
    // The answer to the completion that publishes is lost: it is repeated, and publishes nothing twice.
    bench.fault("complete", Fault::Refuse);
    bench.fault("complete", Fault::LoseAcknowledgement);
    let engine = Engine::start(bench.store.clone(), executor, config(1)).await.unwrap();
    assert_eq!(bench.ended(run).await.state, RunState::Succeeded);
    let found = bench.store.artifacts(run, None, None, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    let text = bench.store.read_content(found[0].digest, 0, 100).await.unwrap();
    assert_eq!(&text[..], b"attempt 1");
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_an_attempt_writes_is_bounded() {
    let bench = Bench::new();
    let executor = Scripted::new(|host| async move {
        let piece = Bytes::from(vec![7; MAX_PIECE_LEN + 1]);
        assert!(matches!(host.write_artifact("big", piece.clone()).await, Err(FileError::TooLarge { .. })));
        assert!(matches!(write(&host, "../big", "x").await, Err(FileError::Invalid(_))));
        assert!(matches!(host.create_artifact("big", "text\n/plain").await, Err(FileError::Invalid(_))));
        write(&host, "a", "12345").await.unwrap();
        assert!(matches!(write(&host, "b", "678901").await, Err(FileError::Quota { limit: 10 })));
        write(&host, "b", "67890").await.unwrap();
        for number in 2..64 {
            write(&host, &format!("empty-{number}"), "").await.unwrap();
        }
        assert!(matches!(write(&host, "one-more", "").await, Err(FileError::TooLarge { limit: 64, .. })));
        done()
    });
    let run = bench.start(plan(Limits { artifact_bytes: 10, ..Limits::default() })).await;
    let engine = Engine::start(bench.store.clone(), executor, config(1)).await.unwrap();
    assert_eq!(bench.ended(run).await.state, RunState::Succeeded);
    assert_eq!(bench.store.artifacts(run, None, None, 100).await.unwrap().len(), 64);
    engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_outputs_of_failed_and_succeeded_tasks_are_read_in_order() {
    let bench = Bench::new();
    let executor = Scripted::new(|host| async move {
        let claimed = host.claimed().clone();
        match (host.step().name.as_str(), claimed.task.index) {
            ("items", 0) => {
                let specs = ["a", "b", "c"].map(|key| bulkhead_engine::store::TaskSpec { key: key.into(), input: "1".into() });
                host.spawn(specs.to_vec()).await.unwrap();
            }
            ("items", 2) => return ExecutionEnd::Failed(Failure::new(Cause::PluginError { retryable: false }, "rejected")),
            ("items", index) => return ExecutionEnd::Succeeded(format!("{{\"n\":{index}}}").into()),
            _ => {
                let first = host.read_outputs("items", 0, 2).await.unwrap();
                let rest = host.read_outputs("items", first[1].task, 2).await.unwrap();
                let seen: Vec<_> = first.iter().chain(&rest).map(|found| (&*found.key, found.output.as_deref())).collect();
                assert_eq!(seen, [("a", Some("{\"n\":1}")), ("b", None), ("c", Some("{\"n\":3}"))]);
                assert!(host.read_outputs("items", 3, 2).await.unwrap().is_empty());
            }
        }
        done()
    });
    let mut plan = steps(&[("items", &[]), ("collect", &[0])], Limits::default());
    plan.steps[0].on_error = OnError::Continue;
    let run = bench.start(plan).await;
    let engine = Engine::start(bench.store.clone(), executor, config(2)).await.unwrap();
    assert_eq!(bench.ended(run).await.state, RunState::Succeeded);
    engine.stop().await.unwrap();
    assert!(matches!(bench.store.artifact(run, StepIndex(0), "x".parse().unwrap(), None).await, Err(StoreError::NotFound(_))));
}
