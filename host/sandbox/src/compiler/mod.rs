//! From what was uploaded to code: out of the cache, or adapted and compiled, a bounded number at a time and on a bounded number of
//! cores.
//!
//! Reading and compiling a plugin takes a multiple of its size in memory, and how much depends on who wrote it. So the binary does both
//! in a process of its own ([`apart`]): its memory is bounded and goes back to the machine with the process, and whatever happens there,
//! a crash of a parser or the compiler too, is that plugin's failure alone. The host itself reads nothing of what was uploaded. Who
//! embeds this crate may do it in place.

pub(crate) mod apart;
mod cache;

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::Digest;
use bulkhead_engine::executor::CompileListener;
use bytes::Bytes;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::{Semaphore, oneshot};
use wasmtime::Engine;
use wasmtime::component::Component;

use self::apart::{CompileOrder, Program, Work};
pub(crate) use self::cache::Cache;
use crate::adapt::{AdaptError, Findings, adapt};
use crate::config::{Compiling, SandboxConfig};
use crate::engine::EngineKey;
use crate::guests::lower_priority;

/// Components that are compiled at once where there are threads for it, so that a small one does not wait for a large one.
const COMPILATIONS: usize = 2;
/// How long one may take. A plugin of 20 MB takes half a minute on a slow core; what takes longer than this was written to.
const COMPILE_TIMEOUT: Duration = Duration::from_mins(10);

/// How long looking at one may take, which is a second for the largest.
const LOOK_TIMEOUT: Duration = Duration::from_mins(1);

/// Compiles components, and keeps the code.
pub(crate) struct Compiler(Arc<Shared>);

struct Shared {
    /// For loading, and for compiling in place.
    threads: ThreadPool,
    /// For looking and compiling: the processes that may be at work at once.
    turns: Semaphore,
    cache: Option<Cache>,
    nice: i32,
    /// Threads of one compilation.
    each: usize,
    memory: u64,
    /// None compiles in place.
    program: Option<Program>,
}

/// Code.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    /// How long compiling it took; absent where it was in the cache.
    pub(crate) took: Option<Duration>,
}

impl Compiler {
    /// Starts its threads: as many as there are for guests where the configuration does not say.
    pub(crate) fn start(config: &SandboxConfig, guests: usize, cache: Option<Cache>) -> Result<Self, ThreadPoolBuildError> {
        let nice = config.nice;
        let count = config.compile_threads.map_or(guests, NonZeroUsize::get);
        let threads = ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|number| format!("compiler-{number}"))
            .start_handler(move |_| lower_priority(nice))
            .build()?;
        let at_once = COMPILATIONS.min(count);
        let program = match &config.compiling {
            Compiling::Here => None,
            Compiling::Apart { program, arguments } => Some(Program::new(program, arguments)),
        };
        let turns = Semaphore::new(at_once);
        let (each, memory) = (count / at_once, config.compile_memory);
        Ok(Self(Arc::new(Shared { threads, turns, cache, nice, each, memory, program })))
    }

    /// Looks at what was uploaded: what it is, and whether it can become a component.
    pub(crate) async fn look(&self, bytes: Bytes) -> Result<Findings, Failure> {
        let shared = &self.0;
        let Some(program) = &shared.program else {
            return shared.work(move |_| Findings::of(&bytes).map_err(|error| unfit(&error))).await;
        };
        let _turn = shared.turns.acquire().await.map_err(|_| stopped())?;
        program.look(shared.nice, shared.memory, bytes, LOOK_TIMEOUT).await
    }

    /// The code of what was uploaded, for an engine. What was begun goes on when nobody waits for it any more, and is kept. `told`
    /// hears how far it is where it is compiled apart.
    pub(crate) async fn compile(
        &self,
        engine: Engine,
        key: EngineKey,
        digest: Digest,
        bytes: Bytes,
        told: Option<CompileListener>,
    ) -> Result<Compiled, Failure> {
        let shared = Arc::clone(&self.0);
        let work = tokio::spawn(async move { shared.obtain(engine, key, digest, bytes, told).await });
        work.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Shared {
    async fn obtain(
        self: Arc<Self>,
        engine: Engine,
        key: EngineKey,
        digest: Digest,
        bytes: Bytes,
        told: Option<CompileListener>,
    ) -> Result<Compiled, Failure> {
        // Loading takes milliseconds, and waits for no compilation.
        if self.cache.is_some() {
            let engine = engine.clone();
            let load = move |shared: &Self| shared.cache.as_ref().map_or(Ok(None), |cache| cache.load(&engine, key, digest));
            if let Some(component) = self.work(load).await? {
                return Ok(Compiled { component, took: None });
            }
        }
        let _turn = self.turns.acquire().await.map_err(|_| stopped())?;
        let start = Instant::now();
        let code = match &self.program {
            Some(program) => {
                let order = CompileOrder { work: Work::Compile(key), threads: self.each, nice: self.nice, memory: self.memory };
                program.run(&order, bytes, COMPILE_TIMEOUT, told).await?
            }
            None => {
                let engine = engine.clone();
                let compile = move |_: &Self| {
                    let component = adapt(&bytes).map_err(|error| unfit(&error))?.component;
                    engine.precompile_component(&component).map_err(|error| does_not_compile(&error))
                };
                self.work(compile).await?
            }
        };
        let took = Some(start.elapsed());
        let keep = move |shared: &Self| match &shared.cache {
            Some(cache) => cache.keep(&engine, key, digest, &code),
            None => cache::deserialize(&engine, &code),
        };
        Ok(Compiled { component: self.work(keep).await?, took })
    }

    /// Does something on the threads, where it may take its time.
    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (done, result) = oneshot::channel();
        let shared = Arc::clone(self);
        self.threads.spawn(move || {
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(&shared)));
            let _ = done.send(result.unwrap_or_else(|_| Err(Failure::new(Cause::HostFault, "the compiler panicked"))));
        });
        result.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn stopped() -> Failure {
    Failure::new(Cause::HostFault, "the sandbox is shutting down")
}

fn unfit(error: &AdaptError) -> Failure {
    Failure::new(Cause::InvalidPlugin, error.to_string())
}

fn does_not_compile(error: &wasmtime::Error) -> Failure {
    Failure::new(Cause::InvalidPlugin, format!("it does not compile: {error:#}"))
}
