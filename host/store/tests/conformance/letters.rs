//! Dead letters of all runs, by what they failed of.

use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::{RunId, TaskId};
use bulkhead_core::machine::RunCommand;
use bulkhead_core::task::AttemptEnd;
use bulkhead_engine::store::{LetterGroup, MAX_LETTERS_PER_RUN, StoreError, TaskFilter, TaskOrder};

use crate::fixture::{FIRST, Fixture, plan};

/// A run that bears any failure, whose tasks failed with these causes and messages.
async fn failed(f: &Fixture, failures: &[(Cause, String)]) -> RunId {
    let mut plan = plan(&["only"]);
    plan.tolerance.max_child_failures = u32::MAX;
    let keys: Vec<String> = (0..failures.len()).map(|key| format!("k{key}")).collect();
    let run = f.spawned(plan, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (task, (cause, message)) in f.claim(failures.len()).await.iter().zip(failures) {
        f.clock.advance(Duration::from_secs(1));
        f.end(task, AttemptEnd::Failed(Failure::new(*cause, message.as_str()))).await.unwrap();
    }
    run
}

/// The groups with the most tasks first.
async fn groups(f: &Fixture) -> Vec<LetterGroup> {
    let mut groups = f.store().letter_groups().await.unwrap();
    groups.sort_by_key(|group| std::cmp::Reverse((group.tasks, group.id)));
    groups
}

async fn counts(f: &Fixture) -> Vec<(u64, u64)> {
    f.recount().await;
    groups(f).await.iter().map(|group| (group.tasks, group.runs)).collect()
}

fn panics(messages: &[&str]) -> Vec<(Cause, String)> {
    messages.iter().map(|message| (Cause::Panic, (*message).to_owned())).collect()
}

pub(crate) async fn dead_letters_of_all_runs_are_grouped_by_what_they_failed_of(f: &mut Fixture) {
    let first = failed(f, &panics(&["row 1 is bad", "row 22 is bad", "no file"])).await;
    let mut others = panics(&["row 3 is bad"]);
    others.push((Cause::OutOfMemory, "row 3 is bad".to_owned()));
    let second = failed(f, &others).await;
    assert_eq!(counts(f).await, [(3, 2), (1, 1), (1, 1)]);
    let rows = groups(f).await.remove(0);
    assert_eq!((rows.failure.message.as_str(), rows.last, rows.others), ("row 3 is bad", TaskId::new(second, FIRST, 1), false));
    assert!(rows.first_at < rows.last_at && rows.last_at < f.clock.now());
    assert_eq!(f.store().letter_group(rows.id).await.unwrap(), rows);
    let runs = f.store().letter_runs(rows.id, None, 10).await.unwrap();
    assert_eq!(runs.iter().map(|of| (of.run, of.tasks)).collect::<Vec<_>>(), [(second, 1), (first, 2)]);
    let older = f.store().letter_runs(rows.id, Some(second), 10).await.unwrap();
    assert_eq!(older, runs[1..]);
    let filter = TaskFilter { letter: Some(rows.id), ..TaskFilter::default() };
    let tasks = f.store().tasks(first, filter, None, 10).await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.id.index).collect::<Vec<_>>(), [1, 2]);
    f.reopen();
    f.register(f.worker).await;
    assert_eq!(counts(f).await, [(3, 2), (1, 1), (1, 1)]);
}

pub(crate) async fn a_task_that_is_retried_or_skipped_is_no_dead_letter(f: &mut Fixture) {
    let run = failed(f, &panics(&["row 1", "row 2", "row 3", "else"])).await;
    assert_eq!(counts(f).await, [(3, 1), (1, 1)]);
    f.store().order_task(TaskId::new(run, FIRST, 1), TaskOrder::Retry).await.unwrap();
    f.store().order_task(TaskId::new(run, FIRST, 2), TaskOrder::Skip).await.unwrap();
    assert_eq!(counts(f).await, [(1, 1), (1, 1)]);
    // One that fails again counts again.
    f.fail(&f.claim_one().await, Cause::Panic).await;
    assert_eq!(counts(f).await, [(1, 1), (1, 1), (1, 1)]);
    f.command(run, RunCommand::RetryFailed).await;
    f.housekeep().await;
    assert_eq!(counts(f).await, []);
    for task in f.claim(10).await {
        f.succeed(&task).await;
    }
    assert_eq!(counts(f).await, []);
}

pub(crate) async fn a_deleted_run_takes_its_dead_letters_with_it(f: &mut Fixture) {
    let first = failed(f, &panics(&["row 1", "else"])).await;
    let second = failed(f, &panics(&["row 2"])).await;
    assert_eq!(counts(f).await, [(2, 2), (1, 1)]);
    let rows = groups(f).await.remove(0).id;
    f.store().delete_run(first).await.unwrap();
    assert_eq!(counts(f).await, [(1, 1)]);
    assert_eq!(f.store().letter_runs(rows, None, 10).await.unwrap().iter().map(|of| of.run).collect::<Vec<_>>(), [second]);
    f.store().delete_run(second).await.unwrap();
    assert_eq!(counts(f).await, []);
    assert!(matches!(f.store().letter_group(rows).await, Err(StoreError::NotFound("group of dead letters"))));
}

pub(crate) async fn what_is_told_apart_is_bounded(f: &mut Fixture) {
    // Words without digits, so that each is a failure of its own kind.
    let word = |number: usize| "x".repeat(number + 1);
    let many = MAX_LETTERS_PER_RUN + 20;
    let run = failed(f, &(0..many).map(|number| (Cause::Panic, word(number))).collect::<Vec<_>>()).await;
    f.recount().await;
    let found = groups(f).await;
    assert_eq!(found.len(), MAX_LETTERS_PER_RUN + 1);
    assert_eq!((found[0].tasks, found[0].others), (20, true));
    let others = TaskFilter { letter: Some(found[0].id), ..TaskFilter::default() };
    assert_eq!(f.store().count_tasks(run, others).await.unwrap(), 20);
    // Room that one leaves is taken by the next, and what was counted for the others still leaves them.
    f.store().order_task(TaskId::new(run, FIRST, 1), TaskOrder::Skip).await.unwrap();
    let last = TaskId::new(run, FIRST, u32::try_from(many).unwrap());
    f.store().order_task(last, TaskOrder::Retry).await.unwrap();
    f.recount().await;
    assert_eq!(groups(f).await[0].tasks, 19);
    let again = f.claim_one().await;
    f.end(&again, AttemptEnd::Failed(Failure::new(Cause::Panic, word(many)))).await.unwrap();
    f.recount().await;
    f.command(run, RunCommand::RetryFailed).await;
    f.housekeep().await;
    assert_eq!(counts(f).await, []);
}

pub(crate) async fn tasks_are_found_by_their_numbers_and_while_they_run(f: &mut Fixture) {
    let run = f.spawned(plan(&["only"]), &["a", "b", "c"]).await;
    let numbers = |tasks: Vec<bulkhead_core::task::Task>| tasks.iter().map(|task| task.id.index).collect::<Vec<_>>();
    assert_eq!(numbers(f.store().tasks_numbered(run, FIRST, vec![3, 0, 9, 2]).await.unwrap()), [3, 0, 2]);
    assert_eq!(numbers(f.store().running_tasks(run).await.unwrap()), [0; 0]);
    let held = f.claim(2).await;
    assert_eq!(numbers(f.store().running_tasks(run).await.unwrap()), [1, 2]);
    f.succeed(&held[0]).await;
    assert_eq!(numbers(f.store().running_tasks(run).await.unwrap()), [2]);
    let missing = RunId::from_u128(1);
    assert!(matches!(f.store().running_tasks(missing).await, Err(StoreError::NotFound("run"))));
    assert!(matches!(f.store().tasks_numbered(missing, FIRST, vec![0]).await, Err(StoreError::NotFound("run"))));
}
