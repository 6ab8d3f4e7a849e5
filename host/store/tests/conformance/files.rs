//! Large content: written, named, read, and gone when nothing names it.

use std::time::Duration;

use bulkhead_core::failure::Cause;
use bulkhead_core::id::{Digest, RunId, TaskId};
use bulkhead_core::machine::Report;
use bulkhead_core::run::Usage;
use bulkhead_core::task::{AttemptEnd, TaskState, TaskStatus};
use bulkhead_engine::files::{ArtifactPlace, Content, NewArtifact, UPLOAD_KEPT};
use bulkhead_engine::store::{Claimed, Completion, NewRun, StoreError, StoreResult};
use bytes::Bytes;

use crate::fixture::{FIRST, Fixture, SECOND, failure, plan};

async fn content(f: &Fixture, pieces: &[&str]) -> Content {
    let mut writer = f.store().begin_content().await.unwrap();
    for piece in pieces {
        writer.append(Bytes::from((*piece).to_owned())).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn read(f: &Fixture, digest: Digest, offset: u64, max: usize) -> StoreResult<String> {
    let bytes = f.store().read_content(digest, offset, max).await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

async fn is_gone(f: &Fixture, digest: Digest) -> bool {
    matches!(read(f, digest, 0, 1).await, Err(StoreError::NotFound("content")))
}

/// What the counters say: contents and their bytes.
async fn counted(f: &Fixture) -> (u64, u64) {
    let statistics = f.store().statistics().await.unwrap();
    (statistics.contents, statistics.content_bytes)
}

async fn complete(f: &Fixture, claimed: &Claimed, end: AttemptEnd, artifacts: Vec<NewArtifact>) -> TaskStatus {
    let completion = Completion {
        task: claimed.task,
        attempt: claimed.attempt,
        report: Report { end, usage: Usage::default(), suppressed: 0 },
        output: None,
        artifacts,
        first_line: 0,
        lines: vec![],
        random: 0,
    };
    f.store().complete(completion).await.unwrap()
}

fn artifact(name: &str, content: Content) -> NewArtifact {
    let name: bulkhead_core::artifact::FileName = name.parse().unwrap();
    NewArtifact { content_type: name.content_type(), name, content }
}

pub(crate) async fn content_is_read_back_in_pieces(f: &mut Fixture) {
    let stored = content(f, &["ab", "", "cdef", "g"]).await;
    assert_eq!(stored.size, 7);
    // What sha256sum says of it.
    assert_eq!(stored.digest.to_string(), "sha256:7d1a54127b222502f5b79b5fb0803061152a44f92b37e23c6527baf665d4da9a");
    for (offset, max, expected) in [(0, 100, "abcdefg"), (3, 2, "de"), (6, 9, "g"), (7, 9, ""), (99, 9, ""), (0, 0, "")] {
        assert_eq!(read(f, stored.digest, offset, max).await.unwrap(), expected, "{offset} {max}");
    }
    let same = content(f, &["abcdefg"]).await;
    assert_eq!(same.digest, stored.digest);
    assert!(is_gone(f, Digest::from_bytes([9; 32])).await);
}

pub(crate) async fn what_nothing_names_is_removed(f: &mut Fixture) {
    let stored = content(f, &["nobody's"]).await;
    let digest = stored.digest;
    f.housekeep().await;
    assert_eq!(read(f, digest, 0, 10).await.unwrap(), "nobody's", "it stays while it is held");
    drop(stored);
    f.housekeep().await;
    assert!(is_gone(f, digest).await);

    // What a process leaves that dies before it records it, the next one removes.
    let left = content(f, &["left behind"]).await.digest;
    let kept = content(f, &["kept"]).await;
    f.store().put_file(kept.clone()).await.unwrap();
    f.reopen();
    f.housekeep().await;
    assert!(is_gone(f, left).await);
    assert_eq!(read(f, kept.digest, 0, 10).await.unwrap(), "kept");
    assert_eq!(counted(f).await, (1, 4));
}

pub(crate) async fn an_uploaded_file_expires_unless_it_is_used(f: &mut Fixture) {
    let file = f.store().put_file(content(f, &["rows"]).await).await.unwrap();
    let unused = f.store().put_file(content(f, &["unused"]).await).await.unwrap();
    assert_eq!((file.size, file.expires_at), (4, f.clock.now().after(UPLOAD_KEPT)));
    f.clock.advance(UPLOAD_KEPT - Duration::from_secs(1));
    let new = NewRun { files: vec![("rows".parse().unwrap(), file.digest)], ..f.new_run(plan(&["only"])) };
    let run = f.store().create_run(new).await.unwrap().run.id;
    f.clock.advance(Duration::from_secs(2));
    f.housekeep().await;
    assert!(is_gone(f, unused.digest).await);
    assert!(matches!(f.store().file(unused.digest).await, Err(StoreError::NotFound("file"))));
    assert!(f.store().file(file.digest).await.is_ok(), "the run's start kept it");
    f.clock.advance(UPLOAD_KEPT);
    f.housekeep().await;
    assert!(matches!(f.store().file(file.digest).await, Err(StoreError::NotFound("file"))));
    let files = f.store().run_files(run).await.unwrap();
    assert_eq!((files.len(), files[0].name.as_str(), files[0].digest, files[0].size), (1, "rows", file.digest, 4));
    assert_eq!(read(f, file.digest, 0, 10).await.unwrap(), "rows", "the run has a use of its own");
    f.recount().await;
    f.register(f.worker).await;
    f.succeed(&f.claim_one().await).await;
    f.store().delete_run(run).await.unwrap();
    f.housekeep().await;
    assert!(is_gone(f, file.digest).await);
    assert_eq!(counted(f).await, (0, 0));
}

pub(crate) async fn a_run_without_its_file_is_not_created(f: &mut Fixture) {
    let missing = Digest::from_bytes([9; 32]);
    let new = NewRun { files: vec![("rows".parse().unwrap(), missing)], ..f.new_run(plan(&["only"])) };
    let id = new.id;
    assert!(matches!(f.store().create_run(new).await, Err(StoreError::NotFound("file"))));
    assert!(matches!(f.store().run(id).await, Err(StoreError::NotFound("run"))));
    assert!(matches!(f.store().run_files(id).await, Err(StoreError::NotFound("run"))));
}

/// The artifacts of a run as `step/name/task`.
async fn listed(f: &Fixture, run: RunId, after: Option<ArtifactPlace>, limit: usize) -> Vec<String> {
    let found = f.store().artifacts(run, None, after, limit).await.unwrap();
    found.iter().map(|found| format!("{}/{}/{}", found.step.0, found.name, found.task)).collect()
}

pub(crate) async fn artifacts_are_published_with_success_only(f: &mut Fixture) {
    let mut two = plan(&["one", "two"]);
    two.steps[1].depends = vec![FIRST];
    let run = f.spawned(two, &["a", "b", "c"]).await;
    let tasks = f.claim(3).await;
    let lost = content(f, &["lost"]).await;
    let digest = lost.digest;
    complete(f, &tasks[0], failure(Cause::Panic), vec![artifact("x", lost)]).await;
    for task in &tasks[1..] {
        let artifacts = vec![artifact("x", content(f, &["same"]).await), artifact("b.csv", content(f, &["1,", "2"]).await)];
        assert_eq!(complete(f, task, AttemptEnd::Succeeded, artifacts).await, TaskStatus::Succeeded);
    }
    f.housekeep().await;
    assert!(is_gone(f, digest).await);
    assert_eq!(listed(f, run, None, 10).await, ["0/b.csv/2", "0/b.csv/3", "0/x/2", "0/x/3"]);
    let place = ArtifactPlace { step: FIRST, name: "b.csv".parse().unwrap(), task: 3 };
    assert_eq!(listed(f, run, Some(place), 1).await, ["0/x/2"]);
    assert!(f.store().artifacts(run, Some(SECOND), None, 10).await.unwrap().is_empty());
    let first = f.store().artifact(run, FIRST, "b.csv".parse().unwrap(), None).await.unwrap();
    assert_eq!((first.task, first.size, first.content_type.as_str()), (2, 3, "text/csv; charset=utf-8"));
    let third = f.store().artifact(run, FIRST, "x".parse().unwrap(), Some(3)).await.unwrap();
    assert_eq!(read(f, third.digest, 0, 10).await.unwrap(), "same");
    for (name, task) in [("x", Some(1)), ("y", None), ("b", None)] {
        let none = f.store().artifact(run, FIRST, name.parse().unwrap(), task).await;
        assert!(matches!(none, Err(StoreError::NotFound("artifact"))), "{name}");
    }
    // The same content counts once.
    assert_eq!(counted(f).await, (2, 7));
    f.reopen();
    assert_eq!(listed(f, run, None, 10).await.len(), 4);
}

pub(crate) async fn a_deleted_run_takes_its_artifacts_with_it(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    let plan_task = f.claim_one().await;
    let keys: Vec<String> = (0..40).map(|key| format!("k{key}")).collect();
    f.spawn(&plan_task, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    f.succeed(&plan_task).await;
    let (mut shared, mut own) = (None, Vec::new());
    for task in f.claim(100).await {
        let mut artifacts = Vec::new();
        for number in 0..30 {
            let one = content(f, &[&format!("{number} of {}", task.task.index)]).await;
            own.push(one.digest);
            artifacts.push(artifact(&format!("own-{number}"), one));
        }
        let common = content(f, &["shared"]).await;
        shared = Some(common.digest);
        artifacts.push(artifact("shared", common));
        complete(f, &task, AttemptEnd::Succeeded, artifacts).await;
    }
    let shared = shared.unwrap();
    f.store().put_file(content(f, &["shared"]).await).await.unwrap();
    assert_eq!(counted(f).await.0, 1_201);
    f.store().delete_run(run).await.unwrap();
    assert!(f.store().artifacts(run, None, None, 10).await.is_err());
    f.recount().await;
    f.reopen();
    f.housekeep().await;
    assert!(is_gone(f, own[0]).await && is_gone(f, own[1_199]).await);
    assert_eq!(read(f, shared, 0, 10).await.unwrap(), "shared");
    assert_eq!(counted(f).await, (1, 6));
}

pub(crate) async fn outputs_come_in_the_order_of_their_tasks(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b", "c", "d"]).await;
    let tasks = f.claim(3).await;
    f.succeed(&tasks[1]).await;
    f.fail(&tasks[0], Cause::Panic).await;
    let all = f.store().outputs(run, FIRST, 0, 10).await.unwrap();
    let seen: Vec<_> = all.iter().map(|found| (found.task, &*found.key, found.output.as_deref())).collect();
    assert_eq!(seen, [(1, "a", None), (2, "b", Some("null")), (3, "c", None), (4, "d", None)]);
    assert!(matches!(&all[0].state, TaskState::Failed(failure) if failure.cause == Cause::Panic));
    assert!(matches!((&all[2].state, &all[3].state), (TaskState::Running { .. }, TaskState::Queued { .. })));
    let page = f.store().outputs(run, FIRST, 2, 1).await.unwrap();
    assert_eq!((page.len(), page[0].task), (1, 3));
    assert!(f.store().outputs(run, FIRST, 4, 10).await.unwrap().is_empty());
    assert!(matches!(f.store().outputs(RunId::from_u128(1), FIRST, 0, 1).await, Err(StoreError::NotFound("run"))));
    assert_eq!(f.task(TaskId::new(run, FIRST, 1)).await.key.as_ref(), "a");
}
