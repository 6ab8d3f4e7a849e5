//! The way of a log line from the guest to the store.

mod common;

use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::id::RunId;
use bulkhead_core::log::{Level, Source};
use bulkhead_core::machine::Report;
use bulkhead_core::plan::{Limits, LogOverflow};
use bulkhead_core::run::Usage;
use bulkhead_core::task::AttemptEnd;
use bulkhead_engine::attempt::{AttemptHost, FLUSH_INTERVAL, LogPipeline};
use bulkhead_engine::store::{ClaimRequest, Completion, Queue as _, Store};
use bulkhead_store::Fault;
use common::{Bench, config, plan};
use tokio_util::sync::CancellationToken;

/// One attempt with a pipeline of its own.
struct Guest {
    bench: Bench,
    run: RunId,
    host: AttemptHost,
}

impl Guest {
    async fn new(limits: Limits) -> Self {
        let bench = Bench::new();
        let run = bench.start(plan(limits)).await;
        let worker = config(1).worker;
        bench.store.register_worker(worker, Duration::from_secs(60), false).await.unwrap();
        let claims = bench.store.claim(ClaimRequest { worker, slots: 1, memory: u64::MAX, budget: u64::MAX }).await.unwrap();
        let claimed = Arc::new(claims.tasks.into_iter().next().unwrap());
        let pipeline = Arc::new(LogPipeline::default());
        let store: Arc<dyn Store> = bench.store.clone();
        let host = AttemptHost::new(store, pipeline.clone(), claimed, CancellationToken::new());
        tokio::spawn(async move { pipeline.run().await });
        Self { bench, run, host }
    }

    async fn say(&self, from: u32, to: u32) {
        for line in from..to {
            self.host.log(Level::Info, Source::Plugin, &format!("line {line}"), None).await.unwrap();
        }
    }

    /// Ends the attempt as the dispatcher does; what is stored then.
    async fn finish(&self) -> Vec<String> {
        let rest = self.host.finish_log().await;
        let claimed = self.host.claimed();
        let completion = Completion {
            task: claimed.task,
            attempt: claimed.attempt,
            report: Report { end: AttemptEnd::Succeeded, usage: Usage::default(), suppressed: rest.suppressed },
            output: None,
            artifacts: vec![],
            first_line: rest.first_line,
            lines: rest.lines,
            random: 0,
        };
        self.bench.store.complete(completion).await.unwrap();
        self.stored().await
    }

    async fn stored(&self) -> Vec<String> {
        self.bench.lines(self.run).await.into_iter().map(|line| line.message.into()).collect()
    }
}

fn lines(from: u32, to: u32) -> Vec<String> {
    (from..to).map(|line| format!("line {line}")).collect()
}

#[tokio::test(start_paused = true)]
async fn lines_are_stored_in_order_while_the_guest_runs() {
    let guest = Guest::new(Limits::default()).await;
    guest.say(0, 10).await;
    assert_eq!(guest.stored().await, lines(0, 0), "they gather first");
    tokio::time::sleep(FLUSH_INTERVAL * 2).await;
    assert_eq!(guest.stored().await, lines(0, 10));
    guest.say(10, 13).await;
    assert_eq!(guest.finish().await, lines(0, 13), "the rest comes with the end");
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_makes_the_guest_wait_and_loses_nothing() {
    let guest = Arc::new(Guest::new(Limits::default()).await);
    guest.bench.refuse(Some("append_log"));
    let writer = tokio::spawn({
        let guest = guest.clone();
        async move { guest.say(0, 20_000).await }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!writer.is_finished(), "nothing bounds the buffer");
    assert!(!guest.host.try_log(Level::Info, Source::Plugin, "too much", None).unwrap());
    guest.bench.refuse(None);
    writer.await.unwrap();
    assert!(guest.finish().await == lines(0, 20_000), "lines are lost, repeated or out of order");
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_repeats_no_line() {
    let guest = Guest::new(Limits::default()).await;
    for chunk in 0..5 {
        guest.bench.fault("append_log", Fault::LoseAcknowledgement);
        guest.bench.fault("append_log", Fault::Refuse);
        guest.bench.fault("append_log", Fault::LoseAcknowledgement);
        guest.say(chunk * 10, chunk * 10 + 10).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(guest.stored().await, lines(0, 50));
    assert_eq!(guest.finish().await, lines(0, 50));
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_an_append_that_is_under_way() {
    let guest = Arc::new(Guest::new(Limits::default()).await);
    guest.bench.refuse(Some("append_log"));
    guest.say(0, 5).await;
    tokio::time::sleep(FLUSH_INTERVAL * 2).await;
    guest.say(5, 8).await;
    let finished = tokio::spawn({
        let guest = guest.clone();
        async move { guest.finish().await }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!finished.is_finished(), "lines that are under way were left out");
    guest.bench.refuse(None);
    assert_eq!(finished.await.unwrap(), lines(0, 8));
}

#[tokio::test(start_paused = true)]
async fn past_the_quota_lines_are_counted_and_one_line_says_how_many() {
    let guest = Guest::new(Limits { log_lines: 3, ..Limits::default() }).await;
    guest.say(0, 10).await;
    let stored = guest.finish().await;
    assert_eq!(stored[..3], lines(0, 3));
    assert_eq!(stored.len(), 4);
    assert!(stored[3].starts_with("7 log lines were suppressed"), "{}", stored[3]);
    assert_eq!(guest.bench.task(guest.run, 0).await.history[0].suppressed, 7);
}

#[tokio::test(start_paused = true)]
async fn the_quota_of_bytes_counts_messages_and_fields() {
    let guest = Guest::new(Limits { log_bytes: 20, ..Limits::default() }).await;
    for _ in 0..3 {
        guest.host.log(Level::Info, Source::Plugin, "12345678", Some("{}")).await.unwrap();
    }
    let stored = guest.finish().await;
    assert_eq!(stored[..2], ["12345678", "12345678"]);
    assert!(stored[2].starts_with("1 log lines were suppressed"), "{stored:?}");
}

#[tokio::test(start_paused = true)]
async fn passing_the_quota_is_a_failure_where_the_step_says_so() {
    let guest = Guest::new(Limits { log_lines: 2, log_overflow: LogOverflow::Fail, ..Limits::default() }).await;
    guest.say(0, 2).await;
    let refused = guest.host.log(Level::Info, Source::Plugin, "one too many", None).await;
    assert!(refused.unwrap_err().to_string().contains("more than 2 lines"));
}

#[tokio::test(start_paused = true)]
async fn a_long_line_is_cut_between_characters_and_says_so() {
    let guest = Guest::new(Limits { log_line_bytes: 5, ..Limits::default() }).await;
    guest.host.log(Level::Info, Source::Plugin, "äöüß", None).await.unwrap();
    guest.host.log(Level::Info, Source::Plugin, "12345", None).await.unwrap();
    assert_eq!(guest.finish().await, ["äö… (cut: 8 bytes in all)", "12345"]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_whose_task_was_taken_is_told_to_end_and_writes_nothing_more() {
    let guest = Guest::new(Limits::default()).await;
    let other = bulkhead_core::id::WorkerId::from_u128(77);
    guest.bench.store.register_worker(other, Duration::from_secs(60), true).await.unwrap();
    let before = guest.stored().await;
    guest.say(0, 3).await;
    assert!(!guest.host.cancelled().is_cancelled());
    tokio::time::sleep(FLUSH_INTERVAL * 2).await;
    assert!(guest.host.cancelled().is_cancelled());
    assert_eq!(guest.stored().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_guest_waits_for_a_store_that_is_away() {
    let guest = Arc::new(Guest::new(Limits::default()).await);
    guest.bench.refuse(Some("save_checkpoint"));
    let saved = tokio::spawn({
        let guest = guest.clone();
        async move { guest.host.save_checkpoint(vec![1, 2, 3].into()).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!saved.is_finished());
    guest.bench.refuse(None);
    saved.await.unwrap().unwrap();
    assert_eq!(guest.host.load_checkpoint().await.unwrap().unwrap()[..], [1, 2, 3]);
}
