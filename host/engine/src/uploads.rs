//! Uploads that are checked in the background: compiled, asked to describe themselves, and then a plugin or refused.
//!
//! # Invariants
//! - What was taken lasts, and is checked however often this process ends before that is done; what ends it each time is refused.
//! - How far a check is lives in memory only: it is of this process's work, and gone with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::Digest;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::executor::CompileProgress;
use crate::jobs::{JobError, Jobs};
use crate::store::{PluginUpload, SERVICE_RETRY, Signal, StoreError, StoreResult, UploadEnd, UploadState};

/// Uploads that are checked at once: their components are in memory.
const AT_ONCE: usize = 4;

/// An upload, and how far its check is.
#[derive(Clone, Debug)]
pub struct UploadView {
    /// The upload.
    pub upload: PluginUpload,
    /// While it is being checked: how far compiling it has come. Nothing in all before that has begun, and where its code was there
    /// already.
    pub checking: Option<CompileProgress>,
}

/// The checks at work in this process.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    at_work: Mutex<BTreeMap<Digest, CompileProgress>>,
    changed: watch::Sender<u64>,
    /// Something waits.
    pub(crate) submitted: Notify,
}

impl Checks {
    fn at_work(&self) -> MutexGuard<'_, BTreeMap<Digest, CompileProgress>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An upload, with its check.
    pub(crate) fn view(&self, upload: PluginUpload) -> UploadView {
        let checking = self.at_work().get(&upload.digest).copied().filter(|_| upload.state == UploadState::Waiting);
        UploadView { upload, checking }
    }

    /// Fires when an upload came, ended, or its check went on.
    pub(crate) fn signal(&self) -> Signal {
        Signal::new(self.changed.subscribe())
    }

    pub(crate) fn fire(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn set(&self, digest: Digest, progress: CompileProgress) {
        // A compilation that nobody waits for any more goes on, and is no check.
        if let Some(known) = self.at_work().get_mut(&digest) {
            *known = progress;
        }
        self.fire();
    }
}

/// The service that checks what waits. [`Uploads::stop`] ends it in order; dropping it ends it at once.
pub struct Uploads {
    service: JoinHandle<()>,
    stop: CancellationToken,
}

impl Uploads {
    /// Starts on the current runtime, with what waits from before.
    pub fn start(jobs: Jobs) -> Self {
        let stop = CancellationToken::new();
        Self { service: tokio::spawn(check_all(jobs, stop.clone())), stop }
    }

    /// Breaks off what is at work: it begins again with the next start.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.service).await;
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.service.abort();
    }
}

async fn check_all(jobs: Jobs, stop: CancellationToken) {
    let checks = &*jobs.checks;
    let mut names: BTreeMap<Id, Digest> = BTreeMap::new();
    let mut at_work = JoinSet::new();
    while !stop.is_cancelled() {
        let retry = match jobs.store().plugin_uploads().await {
            Ok(uploads) => {
                let waiting = uploads.into_iter().filter(|upload| upload.state == UploadState::Waiting);
                for upload in waiting {
                    if at_work.len() >= AT_ONCE || names.values().any(|digest| *digest == upload.digest) {
                        continue;
                    }
                    checks.at_work().insert(upload.digest, CompileProgress::default());
                    let task = at_work.spawn(check(jobs.clone(), upload.digest, upload.begun));
                    names.insert(task.id(), upload.digest);
                }
                false
            }
            Err(error) => {
                tracing::warn!(%error, "uploads wait for the store");
                true
            }
        };
        checks.fire();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Some(ended) = at_work.join_next_with_id() => {
                let (id, panicked) = match ended {
                    Ok((id, ())) => (id, None),
                    Err(error) => (error.id(), Some(error)),
                };
                if let Some(digest) = names.remove(&id) {
                    if let Some(error) = panicked {
                        let failure = Failure::new(Cause::HostFault, format!("the check of it broke off: {error}"));
                        end(&jobs, digest, UploadEnd::Refused(failure)).await;
                    }
                    checks.at_work().remove(&digest);
                }
            }
            () = checks.submitted.notified() => {}
            () = tokio::time::sleep(SERVICE_RETRY), if retry => {}
        }
    }
    at_work.shutdown().await;
    for digest in names.into_values() {
        // A store that can't answer now counts one check more that never ended.
        if let Err(error) = jobs.store().end_upload(digest, UploadEnd::Released).await {
            tracing::warn!(%error, %digest, "an upload could not be given back");
        }
    }
}

/// Checks one upload and records what came of it.
async fn check(jobs: Jobs, digest: Digest, begun: u32) {
    let upload = persist(digest, || jobs.store().begin_upload(digest, begun)).await;
    let Some(PluginUpload { name, state: UploadState::Waiting, .. }) = upload else { return };
    let Some(component) = persist(digest, || jobs.store().component(digest)).await else { return };
    let listening = jobs.clone();
    let told = Arc::new(move |progress| listening.checks.set(digest, progress));
    let inspect = || async {
        match jobs.inspect(&component, name.clone(), Some(told.clone())).await {
            Err(JobError::Store(error)) => Err(error),
            outcome => Ok(outcome),
        }
    };
    let Some(outcome) = persist(digest, inspect).await else { return };
    let outcome = match outcome {
        Ok(plugin) => {
            tracing::info!(plugin = %plugin.name, version = plugin.version, %digest, "an upload is a plugin");
            UploadEnd::Accepted(Box::new(plugin))
        }
        Err(error) => {
            let failure = match error {
                JobError::Plugin(failure) => failure,
                // Its signature, which the keys that are trusted now may not be of.
                error => Failure::new(Cause::Denied, error.to_string()),
            };
            tracing::info!(%digest, cause = failure.cause.name(), message = failure.message, "an upload was refused");
            UploadEnd::Refused(failure)
        }
    };
    end(&jobs, digest, outcome).await;
}

/// Records what came of a check.
async fn end(jobs: &Jobs, digest: Digest, end: UploadEnd) {
    persist(digest, || jobs.store().end_upload(digest, end.clone())).await;
}

/// Asks the store until it answers; nothing where there is no such upload any more.
async fn persist<T, F: Future<Output = StoreResult<T>>>(digest: Digest, ask: impl Fn() -> F) -> Option<T> {
    loop {
        match ask().await {
            Ok(answer) => return Some(answer),
            Err(StoreError::Unavailable { reason, .. }) => {
                tracing::warn!(reason, %digest, "an upload waits for the store");
                tokio::time::sleep(SERVICE_RETRY).await;
            }
            Err(error) => {
                tracing::error!(%error, %digest, "an upload can't go on");
                return None;
            }
        }
    }
}
