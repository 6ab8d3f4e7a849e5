//! Profiles of guests: a sample of the stack at each epoch tick, in the format of the Firefox Profiler.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bulkhead_engine::store::Claimed;
use wasmtime::component::Component;
use wasmtime::{GuestProfiler, StoreContextMut};

use crate::state::State;

/// The pause between two samples, as far as the guest can be interrupted: at loop heads and calls.
pub(crate) const INTERVAL: Duration = Duration::from_millis(1);

/// The samples of one attempt.
pub(crate) struct Profiler {
    samples: GuestProfiler,
    last: Instant,
    file: PathBuf,
}

impl Profiler {
    /// Begins a profile, which becomes `TASK.ATTEMPT.json` in a directory.
    pub(crate) fn begin(dir: &Path, claimed: &Claimed, component: &Component) -> wasmtime::Result<Self> {
        let name = format!("{}.{}", claimed.task, claimed.attempt);
        let samples = GuestProfiler::new_component(component.engine(), &name, INTERVAL, component.clone(), [])?;
        Ok(Self { samples, last: Instant::now(), file: dir.join(format!("{name}.json")) })
    }

    /// Takes a sample of a guest that was interrupted.
    pub(crate) fn sample(store: &mut StoreContextMut<'_, State>) {
        // Out of the store while the store is looked at.
        if let Some(mut profiler) = store.data_mut().profiler.take() {
            let now = Instant::now();
            profiler.samples.sample(&*store, now - profiler.last);
            profiler.last = now;
            store.data_mut().profiler = Some(profiler);
        }
    }

    /// Writes the file. What cannot be written is told in the host's log: the attempt is none the worse.
    pub(crate) fn finish(self) {
        let written = File::create(&self.file).map_err(wasmtime::Error::from);
        if let Err(error) = written.and_then(|file| self.samples.finish(BufWriter::new(file))) {
            tracing::warn!(file = %self.file.display(), %error, "a profile could not be written");
        }
    }
}
