//! Plugins that are uploaded and checked in the background, and what must be true of that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::Digest;
use bulkhead_core::plugin::{Analysis, Interfaces, PluginForm, PluginKind};
use bulkhead_engine::executor::{CompileListener, CompileProgress, Inspected};
use bulkhead_engine::registry::digest;
use bulkhead_engine::store::{MAX_UPLOAD_ATTEMPTS, Store, UploadState};
use bytes::Bytes;

use crate::executor::SCRIPTED_PANIC;
use crate::oracle::{Check, read};
use crate::process::Process;
use crate::rng::{self, Rng};
use crate::world::World;

/// How long compiling one takes at most, in milliseconds: longer than most pauses between disasters.
const SLOWEST: u64 = 6_000;

/// How many plugins are uploaded in the world of a seed.
pub(crate) fn count(seed: u64) -> u64 {
    Rng::of(seed, &[11]).pick(&[0, 0, 1, 4])
}

/// What is uploaded.
pub(crate) fn component(number: u64) -> Bytes {
    format!("component {number}").into()
}

/// What the check of a component comes to, however often it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Plugin,
    Refused,
    Panics,
}

fn verdict(seed: u64, component: Digest) -> Verdict {
    let mut rng = Rng::of(seed, &[10, rng::hash(&component.to_string())]);
    rng.pick(&[Verdict::Plugin, Verdict::Plugin, Verdict::Refused, Verdict::Panics])
}

/// Checks a component, as its script says.
pub(crate) async fn inspect(
    world: Arc<World>,
    process: Arc<Process>,
    component: Bytes,
    told: Option<CompileListener>,
) -> Result<Inspected, Failure> {
    let digest = digest(&component);
    let takes = Rng::of(world.seed, &[12, rng::hash(&digest.to_string()), process.number as u64]).millis(0, SLOWEST);
    for done in 0..4 {
        process.gate().await;
        if let Some(told) = &told {
            told(CompileProgress { done, total: 4 });
        }
        tokio::time::sleep(takes / 4).await;
    }
    process.gate().await;
    match verdict(world.seed, digest) {
        Verdict::Refused => Err(Failure::new(Cause::InvalidPlugin, "a scripted refusal")),
        Verdict::Panics => std::panic::panic_any(SCRIPTED_PANIC),
        Verdict::Plugin => Ok(Inspected {
            digest,
            name: format!("uploaded-{}", &digest.to_string()[7..15]).parse().expect("a valid name"),
            version: "1".into(),
            summary: String::new(),
            config_schema: "true".into(),
            analysis: Analysis {
                kind: PluginKind::Plugin,
                form: PluginForm::Component,
                contract: None,
                interfaces: Interfaces::default(),
                compile_time: Some(Duration::from_secs(1)),
            },
        }),
    }
}

/// What is known of one upload.
#[derive(Debug, Default)]
struct UploadModel {
    /// Whoever uploaded it was told that it was taken.
    acknowledged: bool,
    /// The processes that began to check it since it waits.
    lives: BTreeSet<usize>,
    ended: Option<UploadState>,
}

/// What is known of all of them.
#[derive(Debug, Default)]
pub(crate) struct UploadsModel(BTreeMap<Digest, UploadModel>);

impl UploadsModel {
    /// Somebody uploads it, perhaps again.
    pub(crate) fn submitted(&mut self, digest: Digest) {
        let model = self.0.entry(digest).or_default();
        if model.ended.take().is_some() {
            model.lives.clear();
        }
    }

    /// Whoever uploaded it knows that it was taken.
    pub(crate) fn acknowledged(&mut self, digest: Digest) {
        self.0.entry(digest).or_default().acknowledged = true;
    }

    /// A process begins to check it.
    pub(crate) fn begun(&mut self, digest: Digest, process: usize) {
        self.0.entry(digest).or_default().lives.insert(process);
    }

    /// Compares what is stored with what must be.
    pub(crate) fn look(&mut self, world: &World, store: &dyn Store) -> Check {
        if self.0.is_empty() {
            return Ok(());
        }
        let stored = read(store.plugin_uploads())?;
        for (digest, model) in &mut self.0 {
            let Some(upload) = stored.iter().find(|upload| upload.digest == *digest) else {
                if model.acknowledged {
                    return Err(format!("the upload {digest} was taken and is gone"));
                }
                continue;
            };
            if let Some(ended) = &model.ended {
                if upload.state != *ended {
                    return Err(format!("the upload {digest} ended as {ended:?} and became {:?}", upload.state));
                }
                continue;
            }
            let verdict = verdict(world.seed, *digest);
            let sound = match &upload.state {
                UploadState::Waiting => continue,
                UploadState::Accepted { plugin, .. } => {
                    world.met("accepted upload");
                    verdict == Verdict::Plugin && read(store.plugin(plugin.clone()))?.digest == *digest
                }
                UploadState::Refused { failure, .. } => match failure.cause {
                    Cause::InvalidPlugin => verdict == Verdict::Refused,
                    Cause::HostFault => verdict == Verdict::Panics,
                    Cause::HostLost => {
                        world.met("upload that ended with its processes");
                        model.lives.len() >= MAX_UPLOAD_ATTEMPTS as usize
                    }
                    _ => false,
                },
            };
            if !sound {
                return Err(format!("the upload {digest} ({verdict:?}, {model:?}) ended as {:?}", upload.state));
            }
            model.ended = Some(upload.state.clone());
        }
        Ok(())
    }

    /// All that was taken has come to an end.
    pub(crate) fn check_the_end(&self) -> Check {
        match self.0.iter().find(|(_, model)| model.acknowledged && model.ended.is_none()) {
            Some((digest, model)) => Err(format!("the upload {digest} waits for ever: {model:?}")),
            None => Ok(()),
        }
    }
}
