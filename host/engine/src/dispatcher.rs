//! The dispatcher: claims tasks while there are slots and memory for them, and records how their attempts end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::machine::Report;
use bulkhead_core::task::AttemptEnd;
use bulkhead_core::time::Timestamp;
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::attempt::AttemptHost;
use crate::engine::Shared;
use crate::executor::{Execution, ExecutionEnd};
use crate::store::{ClaimRequest, Claimed, Claims, Completion, STORE_RETRY, StoreError};

/// The longest wait for a signal: it bounds what a lost signal costs.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Claims and starts attempts until the worker drains.
pub(crate) async fn dispatch(shared: Arc<Shared>) {
    let mut work = shared.store.work_signal();
    let mut random = Sequence(shared.config.seed);
    // Whether a claim went unanswered, so that the store may count tasks to this worker that it knows nothing of.
    let mut unanswered = false;
    while !shared.draining.is_cancelled() {
        if unanswered {
            unanswered = !reconcile(&shared).await;
            continue;
        }
        let request = ClaimRequest {
            worker: shared.config.worker,
            slots: shared.config.slots.saturating_sub(shared.running.load(Ordering::Acquire)),
            memory: shared.config.memory.saturating_sub(shared.reserved.load(Ordering::Acquire)),
            budget: shared.config.memory,
        };
        let mut claims = Claims::default();
        if request.slots > 0 {
            claims = match shared.store.claim(request).await {
                Ok(claims) => claims,
                Err(error) => {
                    // After `NotFound` the lease ran out, and the keeper registers the worker again.
                    tracing::warn!(%error, "no tasks can be claimed");
                    unanswered = matches!(error, StoreError::Unavailable { aborted: false, .. });
                    pause(&shared).await;
                    continue;
                }
            };
        }
        let got = claims.tasks.len();
        start_all(&shared, claims.tasks, &mut random);
        if got > 0 && got == request.slots {
            continue;
        }
        let wait = claims.next_due.map_or(LONGEST_WAIT, |due| until(due, shared.store.now()).min(LONGEST_WAIT));
        tokio::select! {
            biased;
            () = shared.draining.cancelled() => {}
            () = work.wait(), if request.slots > 0 => {}
            () = shared.slot_freed.notified(), if request.slots == 0 || claims.wants_memory => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    // What an unanswered claim took must not stay behind.
    while unanswered {
        unanswered = !reconcile(&shared).await;
    }
}

/// Gives back what the store counts to this worker and no claim has brought; whether that is done.
async fn reconcile(shared: &Shared) -> bool {
    let holding = shared.registry().holding();
    match shared.store.reconcile(shared.config.worker, holding).await {
        // Without a lease, the worker holds nothing.
        Ok(()) | Err(StoreError::NotFound(_)) => true,
        Err(error) => {
            tracing::warn!(%error, "what an unanswered claim took can't be given back yet");
            tokio::time::sleep(STORE_RETRY).await;
            false
        }
    }
}

/// Waits for a while, unless the worker drains.
async fn pause(shared: &Shared) {
    let _ = tokio::time::timeout(STORE_RETRY, shared.draining.cancelled()).await;
}

/// Starts an attempt at each claimed task.
fn start_all(shared: &Arc<Shared>, claimed: Vec<Claimed>, random: &mut Sequence) {
    for claimed in claimed {
        let memory = claimed.plan.step(claimed.task.step).limits.memory;
        shared.running.fetch_add(1, Ordering::AcqRel);
        shared.reserved.fetch_add(memory, Ordering::AcqRel);
        let cancel = CancellationToken::new();
        let host = AttemptHost::new(shared.store.clone(), shared.pipeline.clone(), Arc::new(claimed), cancel);
        {
            let mut registry = shared.registry();
            registry.add(host.clone());
            // The worker is being stopped, and this claim was under way when the others were told.
            if shared.releasing.is_cancelled() {
                host.cancelled().cancel();
            }
        }
        shared.attempts.spawn(attempt(shared.clone(), host, memory, random.next()));
    }
    shared.registry().claims_arrived();
}

/// One attempt, from its start to the record of its end.
async fn attempt(shared: Arc<Shared>, host: AttemptHost, memory: u64, random: u32) {
    // A panic here is the host's fault, never the end of a slot.
    let execution = async { shared.executor.execute(host.clone()).await };
    let execution = std::panic::AssertUnwindSafe(execution).catch_unwind().await.unwrap_or_else(|_| Execution {
        end: ExecutionEnd::Failed(Failure::new(Cause::HostFault, "the host panicked while it ran this attempt")),
        usage: Default::default(),
    });
    shared.reserved.fetch_sub(memory, Ordering::AcqRel);
    shared.running.fetch_sub(1, Ordering::AcqRel);
    shared.slot_freed.notify_one();
    record(&shared, &host, execution, random).await;
    shared.registry().remove(&host);
}

/// Records how an attempt ended, for as long as the store can't.
async fn record(shared: &Shared, host: &AttemptHost, execution: Execution, random: u32) {
    let rest = host.finish_log().await;
    let (mut output, mut artifacts) = (None, Vec::new());
    let end = match execution.end {
        ExecutionEnd::Succeeded(text) => match host.finish_artifacts().await {
            Ok(finished) => {
                (output, artifacts) = (Some(text), finished);
                AttemptEnd::Succeeded
            }
            Err(error) => AttemptEnd::Failed(Failure::new(Cause::HostFault, format!("its artifacts can't be kept: {error}"))),
        },
        ExecutionEnd::Failed(failure) => AttemptEnd::Failed(failure),
        ExecutionEnd::Cancelled if shared.releasing.is_cancelled() => AttemptEnd::Released,
        ExecutionEnd::Cancelled => AttemptEnd::Cancelled,
    };
    let claimed = host.claimed();
    let (task, attempt) = (claimed.task, claimed.attempt);
    let mut completion = Completion {
        task,
        attempt,
        report: Report { end, usage: execution.usage, suppressed: rest.suppressed },
        output,
        artifacts,
        first_line: rest.first_line,
        lines: rest.lines,
        random,
    };
    let mut is_bare = false;
    loop {
        match shared.store.complete(completion.clone()).await {
            Ok(_) => return,
            Err(StoreError::Unavailable { reason, .. }) => {
                tracing::warn!(%task, attempt, reason, "the end of an attempt waits for the store");
                tokio::time::sleep(STORE_RETRY).await;
            }
            // Another attempt holds the task, or this end was recorded although the store could not say so.
            Err(error @ (StoreError::Rejected(_) | StoreError::NotFound(_))) => {
                tracing::debug!(%task, attempt, %error, "the end of a lost attempt is refused");
                return;
            }
            // A bug or damage: the task must not stay with this worker for ever, so it ends without what could not be stored.
            Err(error) if !is_bare => {
                tracing::error!(%task, attempt, %error, "the end of an attempt can't be recorded as it was");
                let message = format!("the end of the attempt can't be recorded: {error}");
                completion.report.end = AttemptEnd::Failed(Failure::new(Cause::HostFault, message));
                (completion.output, completion.first_line, completion.lines) = (None, 0, Vec::new());
                completion.artifacts = Vec::new();
                is_bare = true;
            }
            Err(error) => {
                tracing::error!(%task, attempt, %error, "the end of an attempt can't be recorded at all");
                return;
            }
        }
    }
}

/// The time from `now` to `due`.
pub(crate) fn until(due: Timestamp, now: Timestamp) -> Duration {
    due.since(now)
}

/// A sequence of pseudo-random numbers (SplitMix64, Steele, Lea and Flood 2014): enough to spread waits, and the same for the
/// same seed.
pub(crate) struct Sequence(pub(crate) u64);

impl Sequence {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    }

    /// 128 bits of them.
    pub(crate) fn wide(&mut self) -> u128 {
        (0..4).fold(0, |wide, _| wide << 32 | u128::from(self.next()))
    }
}
