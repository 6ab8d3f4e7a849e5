//! What an attempt costs, part by part, without the hop to the guests' threads. For the benchmarks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_engine::attempt::AttemptHost;

use crate::attempt::{instantiate, invoke, new_store};
use crate::components::{Entry, Loaded};
use crate::random::Seed;
use crate::state::State;

/// The parts of one attempt, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Making a store with its limits.
    pub store: Duration,
    /// Instantiating the component.
    pub instantiate: Duration,
    /// Calling its export, with all that the plugin does.
    pub call: Duration,
    /// Giving everything back.
    pub drop: Duration,
}

/// Does the same attempt again and again. Stops at the first that fails.
pub(crate) async fn parts(loaded: Arc<Loaded>, host: AttemptHost, repeats: u32) -> Result<Parts, String> {
    let Entry::Plugin { plan, run } = &loaded.entry else { return Err("a command has no parts to measure".to_owned()) };
    let (claimed, step) = (host.claimed(), host.step());
    let mut parts = Parts::default();
    for _ in 0..repeats {
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
        let seed = step.limits.fuel.map(|_| Seed::of(claimed));
        let mut store = new_store(loaded.pre.engine(), State::new(Some(host.clone()), &step.limits, seed, None), &step.limits);
        parts.store += lap();
        let instance = instantiate(&mut store, &loaded).await.map_err(|error| format!("{error:#}"))?;
        parts.instantiate += lap();
        let returned = invoke(&mut store, instance, plan, run, &host).await.map_err(|error| format!("{error:#}"))?;
        parts.call += lap();
        drop(store);
        parts.drop += lap();
        returned.map_err(|failure| failure.message)?;
    }
    let Parts { store, instantiate, call, drop } = parts;
    let each = |sum: Duration| sum / repeats.max(1);
    Ok(Parts { store: each(store), instantiate: each(instantiate), call: each(call), drop: each(drop) })
}
