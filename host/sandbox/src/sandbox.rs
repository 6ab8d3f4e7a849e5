//! The port: [`Sandbox`] is the engine's [`Executor`].
//!
//! Deadlines and cancellation are watched here, on the caller's runtime, where no guest can delay them.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_core::run::Usage;
use bulkhead_engine::attempt::AttemptHost;
use bulkhead_engine::egress::Egress;
use bulkhead_engine::executor::{CompileListener, Execution, ExecutionEnd, Executor, Inspected};
use bulkhead_engine::signature::TrustedKeys;
use bulkhead_engine::store::Store;
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinError;

use crate::attempt::{self, Around, Kill, Place};
use crate::compiler::{Cache, Compiler};
use crate::components::Components;
use crate::config::{SandboxConfig, SandboxInfo};
use crate::engine::{DESCRIBE_SLOTS, EngineKey, Engines};
use crate::guests::Guests;
use crate::inspect;
use crate::measure::{self, Parts};
use crate::profile;
use crate::stack::StackClass;
use crate::ticker::{MAX_TICK, Ticker};

/// A sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Its threads could not be started.
    #[error("the sandbox's threads could not be started")]
    Threads(#[source] std::io::Error),
    /// Its compiler threads could not be started.
    #[error("the compiler's threads could not be started")]
    Compiler(#[source] rayon::ThreadPoolBuildError),
    /// wasmtime refused its configuration.
    #[error("wasmtime could not be set up: {0}")]
    Engine(String),
}

/// Runs plugins. Attempts end when it is dropped.
///
/// After an attempt's timeout, and after [`SandboxConfig::grace`] from its cancellation, the guest gets no further turn: with
/// guests looping in all slots that is within a round of them, about 250 ms up to 500 guests for two threads.
pub struct Sandbox {
    shared: Arc<Shared>,
    info: SandboxInfo,
    around: Around,
}

struct Shared {
    grace: Duration,
    guests: Guests,
    ticker: Arc<Ticker>,
    components: Components,
    slots: Arc<Semaphore>,
    describe_slots: Arc<Semaphore>,
}

impl Sandbox {
    /// Makes a sandbox that fetches components from a store by their digests.
    ///
    /// # Errors
    /// Its threads can't be started, or wasmtime can't be set up. Neither a cache that can't be used nor a pool that can't be
    /// reserved is an error: they cost speed only. Both are logged; see [`Self::info`].
    pub fn new(config: SandboxConfig, components: Arc<dyn Store>) -> Result<Self, SandboxError> {
        let guests = Guests::start(config.threads, config.nice).map_err(SandboxError::Threads)?;
        let slice = if config.profiles.is_some() { profile::INTERVAL } else { MAX_TICK };
        let ticker = Arc::new(Ticker::start(guests.threads(), slice).map_err(SandboxError::Threads)?);
        let cache = config.cache.as_deref().and_then(|dir| {
            Cache::open(dir, config.cache_bytes)
                .inspect_err(|error| tracing::warn!(dir = %dir.display(), %error, "compiled code is not kept on disk"))
                .ok()
        });
        let cached = cache.is_some();
        let compiler = Compiler::start(&config, guests.threads(), cache).map_err(SandboxError::Compiler)?;
        let engines = Engines::new(config.clone(), Arc::clone(&ticker));
        // The engine that most steps use; it also shows whether room for a pool can be had.
        let default = EngineKey { metered: false, stack: StackClass::holding(512 << 10), pooled: config.pooling };
        let runner = engines.get(default).map_err(|error| SandboxError::Engine(format!("{error:#}")))?;
        let info = SandboxInfo {
            slots: config.slots.get(),
            threads: guests.threads(),
            pooled: config.pooling && runner.unpooled_because.is_none(),
            unpooled_because: runner.unpooled_because.clone(),
            cached,
        };
        let shared = Shared {
            grace: config.grace,
            guests,
            ticker,
            components: Components::new(components, engines, compiler, config.loaded),
            slots: Arc::new(Semaphore::new(config.slots.get())),
            describe_slots: Arc::new(Semaphore::new(DESCRIBE_SLOTS)),
        };
        let around = Around { egress: None, profiles: config.profiles.map(Arc::from) };
        Ok(Self { shared: Arc::new(shared), info, around })
    }

    /// Lets plugins send HTTP requests through a way out, each as far as its step grants. Without one, every request is denied.
    #[must_use]
    pub fn with_egress(mut self, egress: Arc<dyn Egress>) -> Self {
        self.around.egress = Some(egress);
        self
    }

    /// Loads only what one of these keys signed.
    #[must_use]
    pub fn with_keys(self, keys: Arc<TrustedKeys>) -> Self {
        self.shared.components.trust_only(keys);
        self
    }

    /// Does an attempt `repeats` times, without its deadline, and says what its parts cost on average. For benchmarks.
    ///
    /// # Errors
    /// Why an attempt failed.
    pub async fn measure(&self, host: AttemptHost, repeats: u32) -> Result<Parts, String> {
        let (digest, key) = self.shared.wanted(&host);
        let loaded = self.shared.components.get(digest, key).await.map_err(|failure| failure.to_string())?;
        let _underway = self.shared.ticker.begin();
        self.shared.guests.spawn(measure::parts(loaded, host, repeats)).await.map_err(|error| error.to_string())?
    }

    /// How it came to run guests.
    pub const fn info(&self) -> &SandboxInfo {
        &self.info
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Executor for Sandbox {
    fn execute(&self, host: AttemptHost) -> BoxFuture<'static, Execution> {
        let (shared, around) = (Arc::clone(&self.shared), self.around.clone());
        Box::pin(async move { shared.execute(host, around).await })
    }

    fn inspect(
        &self,
        component: Bytes,
        name: Option<Name>,
        told: Option<CompileListener>,
    ) -> BoxFuture<'static, Result<Inspected, Failure>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.inspect(component, name, told).await })
    }
}

impl Shared {
    /// The component that an attempt runs, and the engine that it needs.
    fn wanted(&self, host: &AttemptHost) -> (Digest, EngineKey) {
        let step = host.step();
        let key = EngineKey {
            metered: step.limits.fuel.is_some(),
            stack: StackClass::holding(step.limits.stack),
            pooled: self.components.engines().pooling(),
        };
        (step.plugin.digest, key)
    }

    async fn execute(&self, host: AttemptHost, around: Around) -> Execution {
        let (digest, key) = self.wanted(&host);
        let timeout = host.step().timeout;
        let cancel = host.cancelled().clone();
        // Neither compiling nor waiting for a slot is the attempt's own time.
        let ready = async {
            let loaded = self.components.get(digest, key).await?;
            let slot = acquire(&self.slots).await?;
            Ok::<_, Failure>((loaded, slot))
        };
        let (loaded, slot) = tokio::select! {
            biased;
            ready = ready => match ready {
                Ok(ready) => ready,
                Err(failure) => return not_run(ExecutionEnd::Failed(failure)),
            },
            () = cancel.cancelled() => return not_run(ExecutionEnd::Cancelled),
        };
        let (kill, killed) = oneshot::channel();
        let place = Place { slot, underway: self.ticker.begin() };
        // If this future is dropped, `kill` is, and that ends the attempt.
        let mut attempt = self.guests.spawn(attempt::run(loaded, host, around, killed, place));
        let reason = tokio::select! {
            biased;
            ended = &mut attempt => return ended.unwrap_or_else(|error| not_run(ExecutionEnd::Failed(broken(error)))),
            () = async { cancel.cancelled().await; tokio::time::sleep(self.grace).await } => Kill::Cancelled,
            () = tokio::time::sleep(timeout) => Kill::TimedOut,
        };
        let _ = kill.send(reason);
        attempt.await.unwrap_or_else(|error| not_run(ExecutionEnd::Failed(broken(error))))
    }

    async fn inspect(&self, component: Bytes, name: Option<Name>, told: Option<CompileListener>) -> Result<Inspected, Failure> {
        let prepared = inspect::prepare(&self.components, component, told).await?;
        if prepared.is_command() {
            return inspect::describe_command(prepared, name);
        }
        let slot = acquire(&self.describe_slots).await?;
        let underway = self.ticker.begin();
        let (alive, dropped) = oneshot::channel::<()>();
        let mut describing = self.guests.spawn(async move {
            let _place = (slot, underway);
            tokio::select! {
                biased;
                _ = dropped => Err(slow()),
                result = inspect::describe(prepared) => result,
            }
        });
        let result = tokio::select! {
            biased;
            result = &mut describing => result,
            () = tokio::time::sleep(inspect::DESCRIBE_TIMEOUT) => {
                drop(alive);
                describing.await
            }
        };
        result.unwrap_or_else(|error| Err(broken(error)))
    }
}

async fn acquire(slots: &Arc<Semaphore>) -> Result<tokio::sync::OwnedSemaphorePermit, Failure> {
    Arc::clone(slots).acquire_owned().await.map_err(|_| Failure::new(Cause::HostFault, "the sandbox is shutting down"))
}

/// An end without anything used.
fn not_run(end: ExecutionEnd) -> Execution {
    Execution { end, usage: Usage::default() }
}

fn slow() -> Failure {
    Failure::new(Cause::TimedOut, format!("its `describe` took longer than {:?}", inspect::DESCRIBE_TIMEOUT))
}

/// The attempt's task did not come to its end: a host function panicked, or the sandbox is gone.
fn broken(error: JoinError) -> Failure {
    let Ok(panic) = error.try_into_panic() else {
        return Failure::new(Cause::HostFault, "the sandbox is shutting down");
    };
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::new(Cause::HostFault, format!("the host panicked: {}", text.unwrap_or("without a message")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_host_is_the_hosts_fault() {
        let error = tokio::spawn(async { panic!("the valve {}", "stuck") }).await.unwrap_err();
        let failure = broken(error);
        assert_eq!(failure.cause, Cause::HostFault);
        assert!(failure.message.contains("the valve stuck"), "{failure}");
    }
}
