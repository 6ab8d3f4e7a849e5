//! Waiting for a run: until it has ended, or until it is not what the client knows.

use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use bulkhead_core::id::RunId;
use bulkhead_engine::store::{RunView, StoreResult};
use tokio::time::Instant;

use crate::model::RunDetail;
use crate::state::ApiState;

/// The reads that follow each other without a pause: a short run ends within them.
const EAGER_READS: u32 = 16;
/// The pause between later reads: a run that logs much wakes its readers with each append.
const PAUSE: Duration = Duration::from_millis(20);

/// What a client waits for.
pub(crate) enum Until<'a> {
    /// The run has ended.
    Ended,
    /// The run's entity tag is not this one any more.
    Changed(&'a str),
}

/// A run's entity tag.
pub(crate) struct Answer {
    pub(crate) tag: String,
}

impl Answer {
    /// The tag of a run as its record is.
    pub(crate) fn new(detail: &RunDetail) -> serde_json::Result<Self> {
        let body = serde_json::to_vec(detail)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&body);
        let tag = format!("\"{:016x}\"", hasher.finish());
        Ok(Self { tag })
    }
}

/// The run, when it is as wished, when the time is over, or when the server closes: whichever is first.
pub(crate) async fn wait(state: &ApiState, run: RunId, until: Until<'_>, longest: Duration) -> StoreResult<RunView> {
    let deadline = Instant::now() + longest.min(state.config.longest_wait);
    // Made before the first read, so that nothing is missed between the two.
    let mut signal = state.store.run_signal(run);
    for reads in 0u32.. {
        let view = state.store.run(run).await?;
        let wished = match until {
            Until::Ended => view.run.state.is_terminal(),
            Until::Changed(known) => tag_of(&view).as_deref() != Some(known),
        };
        if wished {
            return Ok(view);
        }
        let woken = async {
            signal.wait().await;
            if reads >= EAGER_READS {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep_until(deadline) => return state.store.run(run).await,
            () = state.closing().cancelled() => return Ok(view),
        }
    }
    state.store.run(run).await
}

fn tag_of(view: &RunView) -> Option<String> {
    Answer::new(&RunDetail::new(&view.run, &view.plan, &view.parameters)).ok().map(|answer| answer.tag)
}
