//! Log lines: their numbers, their filters, their readers.

use std::time::Duration;

use bulkhead_core::failure::Cause;
use bulkhead_core::id::TaskId;
use bulkhead_core::log::{Level, Source};
use bulkhead_core::task::AttemptEnd;
use bulkhead_engine::store::{LogQuery, StoreError};

use crate::fixture::{FIRST, Fixture, SECOND, failure, line, lines, one_step, plan};

pub(crate) async fn lines_are_numbered_in_their_run_and_in_their_step(f: &mut Fixture) {
    let run = f.create(plan(&["one", "two"])).await;
    let tasks = f.claim(2).await;
    f.append(&tasks[0], 0, &["a", "b"]).await;
    f.append(&tasks[1], 0, &["c"]).await;
    f.append(&tasks[0], 2, &["d"]).await;
    f.complete(&tasks[1], AttemptEnd::Succeeded, 1, lines(&["e"])).await.unwrap();
    let log = f.log(run).await;
    let numbers: Vec<_> =
        log.iter().map(|line| (line.seq, line.step.0, line.step_seq, line.attempt_line, &*line.message)).collect();
    assert_eq!(numbers, [(1, 0, 1, 0, "a"), (2, 0, 2, 1, "b"), (3, 1, 1, 0, "c"), (4, 0, 3, 2, "d"), (5, 1, 2, 1, "e")]);
    let record = f.get(run).await;
    assert_eq!((record.last_line, record.step(FIRST).lines.info, record.step(SECOND).lines.info), (5, 3, 2));
    assert_eq!(f.task(tasks[1].task).await.history[0].lines, 2);
    assert_eq!(f.store().statistics().await.unwrap().lines, 5);
}

pub(crate) async fn a_repeated_append_repeats_nothing(f: &mut Fixture) {
    let run = f.create(one_step(|step| step.retry.attempts = 2)).await;
    let task = f.claim_one().await;
    f.append(&task, 0, &["a", "b"]).await;
    f.append(&task, 0, &["a", "b"]).await;
    f.append(&task, 1, &["b", "c"]).await;
    f.complete(&task, failure(Cause::Panic), 2, lines(&["c", "d"])).await.unwrap();
    f.clock.advance(Duration::from_secs(2));
    let task = f.claim_one().await;
    f.complete(&task, AttemptEnd::Succeeded, 0, lines(&["e"])).await.unwrap();
    let log = f.log(run).await;
    let messages: Vec<_> =
        log.iter().filter(|line| line.source != Source::Host).map(|line| (line.attempt, &*line.message)).collect();
    assert_eq!(messages, [(1, "a"), (1, "b"), (1, "c"), (1, "d"), (2, "e")]);
}

pub(crate) async fn an_append_that_leaves_a_gap_is_refused(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    let task = f.claim_one().await;
    f.append(&task, 0, &["a"]).await;
    let refused = f.store().append_log(task.task, 1, 2, lines(&["c"])).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(f.log(run).await.len(), 1);
}

pub(crate) async fn the_host_tells_of_failed_attempts(f: &mut Fixture) {
    let run = f.create(one_step(|step| step.retry.attempts = 2)).await;
    f.fail(&f.claim_one().await, Cause::Panic).await;
    f.clock.advance(Duration::from_secs(1));
    f.fail(&f.claim_one().await, Cause::OutOfFuel).await;
    let log = f.log(run).await;
    let told: Vec<_> = log.iter().map(|line| (line.source, line.level, &*line.message)).collect();
    assert_eq!(
        told,
        [
            (Source::Host, Level::Warn, "attempt 1 of plan failed: panic: it broke; retrying in 1.0s"),
            (Source::Host, Level::Error, "attempt 2 of plan failed: out-of-fuel: it broke"),
        ]
    );
    let task = f.task(TaskId::new(run, FIRST, 0)).await;
    assert_eq!(task.history.iter().map(|attempt| attempt.lines).collect::<Vec<_>>(), [1, 1]);
}

/// Two steps that write in turn, several chunks each.
async fn write_much(f: &Fixture) -> (bulkhead_core::id::RunId, Vec<bulkhead_engine::store::Claimed>) {
    let run = f.create(plan(&["one", "two"])).await;
    let tasks = f.claim(2).await;
    for round in 0..6u64 {
        for (at, task) in tasks.iter().enumerate() {
            let count = 700;
            let lines: Vec<_> = (0..count)
                .map(|number| {
                    let level = if number == 10 && at == 1 { Level::Error } else { Level::Debug };
                    line(level, &format!("{at}/{}", round * count + number))
                })
                .collect();
            f.store().append_log(task.task, 1, round * count, lines).await.unwrap();
        }
    }
    (run, tasks)
}

pub(crate) async fn filters_find_lines_across_chunks(f: &mut Fixture) {
    let (run, tasks) = write_much(f).await;
    let read = async |query: LogQuery| f.store().log(run, query).await.unwrap();
    let errors = read(LogQuery { level: Some(Level::Warn), limit: 100, ..LogQuery::default() }).await;
    let numbers: Vec<u64> = errors.lines.iter().map(|line| line.attempt_line).collect();
    assert_eq!(numbers, [10, 710, 1410, 2110, 2810, 3510]);
    assert_eq!((errors.scanned, errors.last), (8_400, 8_400));
    let step = read(LogQuery { step: Some(SECOND), limit: 10_000, ..LogQuery::default() }).await;
    assert_eq!(step.lines.iter().map(|line| line.step_seq).collect::<Vec<_>>(), (1..=4_200).collect::<Vec<_>>());
    let task = read(LogQuery { task: Some(tasks[0].task), limit: 10_000, ..LogQuery::default() }).await;
    assert_eq!(task.lines.iter().map(|line| line.attempt_line).collect::<Vec<_>>(), (0..4_200).collect::<Vec<_>>());
    let never = read(LogQuery { task: Some(tasks[0].task), step: Some(SECOND), limit: 10, ..LogQuery::default() }).await;
    assert!(never.lines.is_empty() && never.scanned == never.last);
}

pub(crate) async fn pages_go_on_where_the_last_one_ended(f: &mut Fixture) {
    let (run, _) = write_much(f).await;
    for (limit, step) in [(999, None), (4_096, None), (500, Some(FIRST))] {
        let (mut after, mut found) = (0, Vec::new());
        loop {
            let page = f.store().log(run, LogQuery { after, step, limit, ..LogQuery::default() }).await.unwrap();
            assert!(page.lines.len() <= limit && !page.ended);
            found.extend(page.lines.iter().map(|line| if step.is_some() { line.step_seq } else { line.seq }));
            after = page.scanned;
            if page.scanned == page.last {
                break;
            }
        }
        let count = if step.is_some() { 4_200 } else { 8_400 };
        assert_eq!(found, (1..=count).collect::<Vec<_>>());
    }
    let past = f.store().log(run, LogQuery { after: 9_999, limit: 5, ..LogQuery::default() }).await.unwrap();
    assert!(past.lines.is_empty());
}

pub(crate) async fn backwards_is_forwards_from_the_other_end(f: &mut Fixture) {
    let (run, tasks) = write_much(f).await;
    for (limit, step) in [(999, None), (4_096, None), (500, Some(FIRST))] {
        let (mut before, mut found) = (u64::MAX, Vec::new());
        while before > 1 {
            let query = LogQuery { before: Some(before), step, limit, ..LogQuery::default() };
            let page = f.store().log(run, query).await.unwrap();
            assert!(page.lines.len() <= limit && page.scanned < before);
            found.extend(page.lines.iter().rev().map(|line| if step.is_some() { line.step_seq } else { line.seq }));
            before = page.scanned;
        }
        let count = if step.is_some() { 4_200 } else { 8_400 };
        assert_eq!(found, (1..=count).rev().collect::<Vec<_>>());
    }
    let read = async |query: LogQuery| f.store().log(run, query).await.unwrap();
    let window = read(LogQuery { after: 3_000, before: Some(3_010), limit: 100, ..LogQuery::default() }).await;
    assert_eq!(window.lines.iter().map(|line| line.seq).collect::<Vec<_>>(), (3_001..3_010).collect::<Vec<_>>());
    assert_eq!(window.scanned, 3_001);
    let never =
        read(LogQuery { task: Some(tasks[0].task), step: Some(SECOND), before: Some(99), limit: 10, ..LogQuery::default() })
            .await;
    assert_eq!((never.lines.len(), never.scanned), (0, 1));
    let none = read(LogQuery { before: Some(1), limit: 10, ..LogQuery::default() }).await;
    assert_eq!((none.lines.len(), none.scanned), (0, 1));
}

pub(crate) async fn a_text_is_found_wherever_it_is(f: &mut Fixture) {
    let run = f.create(plan(&["one"])).await;
    let task = f.claim_one().await;
    let mut said = vec!["plain".to_owned(); 5_000];
    said[17] = "a NEEDLE here".to_owned();
    said[4_321] = "näßer Needle".to_owned();
    said[4_999] = "a+b (c)".to_owned();
    let lines: Vec<_> = said.iter().map(|text| line(Level::Info, text)).collect();
    f.store().append_log(task.task, 1, 0, lines).await.unwrap();
    let find = async |text: &str, before: Option<u64>| {
        let query = LogQuery { contains: Some(text.into()), before, limit: 10, ..LogQuery::default() };
        f.store().log(run, query).await.unwrap().lines.iter().map(|line| line.seq).collect::<Vec<_>>()
    };
    assert_eq!(find("needle", None).await, [18, 4_322]);
    assert_eq!(find("needle", Some(4_322)).await, [18]);
    assert_eq!(find("NÄSSER", None).await, [0u64; 0]);
    assert_eq!(find("NÄßER", None).await, [4_322]);
    assert_eq!(find("a+b (", None).await, [5_000]);
    assert_eq!(find("absent", Some(u64::MAX)).await, [0u64; 0]);
}

pub(crate) async fn a_reader_hears_of_new_lines(f: &mut Fixture) {
    let run = f.create(plan(&["only"])).await;
    let task = f.claim_one().await;
    let mut signal = f.store().run_signal(run);
    let mut other = f.store().run_signal(bulkhead_core::id::RunId::from_u128(77));
    f.append(&task, 0, &["a"]).await;
    signal.wait().await;
    f.succeed(&task).await;
    signal.wait().await;
    assert!(f.store().log(run, LogQuery { limit: 10, ..LogQuery::default() }).await.unwrap().ended);
    let quiet = tokio::time::timeout(Duration::ZERO, other.wait()).await;
    assert!(quiet.is_err());
}
