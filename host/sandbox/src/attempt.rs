//! One attempt, on the guests' threads: a fresh store, one call, an outcome.

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_core::failure::{Cause, Failure, Quota};
use bulkhead_core::plan::{Limits, StepPlan};
use bulkhead_core::run::Usage;
use bulkhead_core::task::PLAN_INDEX;
use bulkhead_engine::attempt::AttemptHost;
use bulkhead_engine::egress::Egress;
use bulkhead_engine::executor::{Execution, ExecutionEnd};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::component::{ComponentExportIndex, Instance, TypedFunc};
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::bindings::{self, StepContext, Task};
use crate::command;
use crate::components::{Entry, Loaded};
use crate::json;
use crate::limits::{HOST_CALL_BYTES, MAX_HANDLES};
use crate::outcome::{classify, reported};
use crate::profile::Profiler;
use crate::random::Seed;
use crate::state::State;
use crate::ticker::Underway;

/// What a call carries beside a plugin's output: its failure's message, lengths.
const RESULT_OVERHEAD: usize = 64 << 10;

/// Why an attempt is ended from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kill {
    /// Its time is up.
    TimedOut,
    /// It was told to end, and its grace is over.
    Cancelled,
}

/// What an attempt holds while it is under way; given back when its store is gone.
pub(crate) struct Place {
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) underway: Underway,
}

/// What there is around an attempt.
#[derive(Clone)]
pub(crate) struct Around {
    /// The way out, if there is one.
    pub(crate) egress: Option<Arc<dyn Egress>>,
    /// Where a profile is to be left, if one is wanted.
    pub(crate) profiles: Option<Arc<Path>>,
}

/// What a guest's call came to.
enum Called {
    Returned(wasmtime::Result<Returned>),
    Killed(Kill),
}

/// Does one attempt. It ends soon after `kill` says so, or after its sender is gone, whatever the guest does.
pub(crate) async fn run(
    loaded: Arc<Loaded>,
    host: AttemptHost,
    around: Around,
    kill: oneshot::Receiver<Kill>,
    place: Place,
) -> Execution {
    let (claimed, step) = (host.claimed(), host.step());
    let metered = step.limits.fuel;
    let seed = metered.map(|_| Seed::of(claimed));
    let state = State::new(Some(host.clone()), &step.limits, seed, around.egress);
    let mut store = new_store(loaded.pre.engine(), state, &step.limits);
    if let Some(dir) = &around.profiles {
        let profiler = Profiler::begin(dir, claimed, loaded.pre.component());
        store.data_mut().profiler = profiler.map(Box::new).inspect_err(|error| tracing::warn!(%error, "no profile")).ok();
    }
    let mut cpu = Duration::ZERO;
    let called = tokio::select! {
        // A guest that loops gets no further turn once it is to end.
        biased;
        reason = kill => Called::Killed(reason.unwrap_or(Kill::Cancelled)),
        result = timed(call(&mut store, &loaded, &host), &mut cpu) => Called::Returned(result),
    };
    if let Some(stdio) = store.data().stdio().cloned() {
        stdio.finish().await;
    }
    if let Some(traffic) = store.data().traffic().cloned() {
        traffic.finish().await;
    }
    let end = conclude(called, &store, step, host.cancelled().is_cancelled());
    let mut usage = Usage {
        fuel: metered.map_or(0, |limit| limit - store.get_fuel().unwrap_or_default()),
        peak_memory: store.data().meter.peak_memory(),
        cpu_micros: u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX),
        ..Usage::default()
    };
    if let Some(traffic) = store.data().traffic() {
        traffic.add_to(&mut usage);
    }
    if let Some(profiler) = store.data_mut().profiler.take() {
        profiler.finish();
    }
    // The slot is free when its memory is.
    drop(store);
    drop(place.slot);
    drop(place.underway);
    Execution { end, usage }
}

/// A store with every limit that wasmtime enforces.
pub(crate) fn new_store(engine: &Engine, state: State, limits: &Limits) -> Store<State> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.meter);
    if let Some(fuel) = limits.fuel {
        store.set_fuel(fuel).expect("a fuel limit selects an engine that counts");
    }
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        Profiler::sample(&mut store);
        store.data().check_quotas()?;
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    let output = usize::try_from(limits.output_bytes).unwrap_or(usize::MAX);
    store.set_hostcall_fuel(HOST_CALL_BYTES.max(output.saturating_add(RESULT_OVERHEAD)));
    store.set_max_component_handles(MAX_HANDLES);
    store
}

/// What a guest returned: its output, or the failure that it reports itself.
pub(crate) type Returned = Result<String, bindings::Failure>;

async fn call(store: &mut Store<State>, loaded: &Loaded, host: &AttemptHost) -> wasmtime::Result<Returned> {
    match &loaded.entry {
        Entry::Plugin { plan, run } => {
            let instance = instantiate(store, loaded).await?;
            invoke(store, instance, plan, run, host).await
        }
        Entry::Command(run) => command::attempt(store, loaded, run, host).await,
    }
}

pub(crate) async fn instantiate(store: &mut Store<State>, loaded: &Loaded) -> wasmtime::Result<Instance> {
    let instance = loaded.pre.instantiate_async(&mut *store).await?;
    store.data_mut().instantiated = true;
    Ok(instance)
}

/// Calls `plan` or `run`, whichever the task is.
pub(crate) async fn invoke(
    store: &mut Store<State>,
    instance: Instance,
    plan: &ComponentExportIndex,
    run: &ComponentExportIndex,
    host: &AttemptHost,
) -> wasmtime::Result<Returned> {
    type Plan<'a> = TypedFunc<(StepContext<'a>,), (Result<(), bindings::Failure>,)>;
    type Run<'a> = TypedFunc<(StepContext<'a>, Task<'a>), (Returned,)>;
    let (claimed, step) = (host.claimed(), host.step());
    let id = claimed.task.run.to_string();
    let context = StepContext {
        run: &id,
        step: step.name.as_str(),
        attempt: claimed.attempt,
        config: &step.config,
        parameters: &claimed.parameters,
    };
    if claimed.task.index == PLAN_INDEX {
        let plan: Plan<'_> = instance.get_typed_func(&mut *store, plan)?;
        let (result,) = plan.call_async(store, (context,)).await?;
        Ok(result.map(|()| "null".to_owned()))
    } else {
        let id = claimed.task.to_string();
        let task = Task { id: &id, key: &claimed.key, input: &claimed.input };
        let run: Run<'_> = instance.get_typed_func(&mut *store, run)?;
        let (result,) = run.call_async(store, (context, task)).await?;
        Ok(result)
    }
}

fn conclude(called: Called, store: &Store<State>, step: &StepPlan, cancelled: bool) -> ExecutionEnd {
    let failure = match called {
        Called::Killed(Kill::Cancelled) => return ExecutionEnd::Cancelled,
        // The plugin was told of it, whatever it made of that.
        _ if let Err(stop) = store.data().check_quotas() => stop.into(),
        Called::Returned(Ok(Ok(output))) => match check_output(&output, &step.limits) {
            // Work that ended in order counts, even if it was told to end meanwhile.
            Ok(()) => return ExecutionEnd::Succeeded(output.into()),
            Err(failure) => failure,
        },
        Called::Returned(Ok(Err(failure))) => reported(failure, store.data()),
        Called::Returned(Err(error)) => classify(&error, store.data(), step.limits.fuel),
        Called::Killed(Kill::TimedOut) => {
            Failure::new(Cause::TimedOut, format!("it took longer than {:?} (`timeout`)", step.timeout))
        }
    };
    let failure = match store.data().traffic().and_then(|traffic| traffic.denial()) {
        Some(denial) => denied(failure, &denial),
        None => failure,
    };
    // However it went down, it was told to.
    if cancelled { ExecutionEnd::Cancelled } else { ExecutionEnd::Failed(failure) }
}

/// The failure of an attempt that was denied a request before: where it gave up by itself, that is why. A limit that it passed,
/// or its time, is a cause of its own.
fn denied(failure: Failure, denial: &str) -> Failure {
    match failure.cause {
        Cause::PluginError { .. } | Cause::Panic | Cause::Trap(_) => {
            Failure::new(Cause::Denied, format!("{denial}; the plugin says: {}", failure.message))
                .with_backtrace(failure.backtrace)
        }
        _ => failure,
    }
}

fn check_output(output: &str, limits: &Limits) -> Result<(), Failure> {
    if output.len() as u64 > limits.output_bytes {
        let message = format!("its output has {} bytes; `limits.output_bytes` is {}", output.len(), limits.output_bytes);
        return Err(Failure::new(Cause::Limit(Quota::Output), message));
    }
    json::check(output).map_err(|error| Failure::new(Cause::InvalidPlugin, format!("its output is no JSON: {error}")))
}

/// Runs a future and adds up how long it held its thread.
pub(crate) async fn timed<T>(future: impl Future<Output = T>, spent: &mut Duration) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
        let start = Instant::now();
        let poll = future.as_mut().poll(context);
        *spent += start.elapsed();
        poll
    })
    .await
}
