//! An executor without a sandbox: each attempt follows a script that its seed, its task and its number decide.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure, Quota};
use bulkhead_core::log::{Level, Source};
use bulkhead_core::name::Name;
use bulkhead_core::run::Usage;
use bulkhead_engine::attempt::{AttemptHost, CheckpointError};
use bulkhead_engine::executor::{CompileListener, Execution, ExecutionEnd, Executor, Inspected};
use bulkhead_engine::store::{StoreError, TaskSpec};
use bytes::Bytes;
use futures::future::BoxFuture;

use crate::oracle::Outcome;
use crate::process::Process;
use crate::rng::{self, Rng};
use crate::uploads;
use crate::workload::{Action, Finish, Script, script};
use crate::world::World;

/// How long after it was told to end a guest may go on.
pub(crate) const CANCEL_BOUND: Duration = Duration::from_secs(2);

/// What a scripted panic says.
pub(crate) const SCRIPTED_PANIC: &str = "a scripted panic";

/// The executor of one process.
pub(crate) struct Scripted {
    pub(crate) world: Arc<World>,
    pub(crate) process: Arc<Process>,
}

impl Executor for Scripted {
    fn execute(&self, host: AttemptHost) -> BoxFuture<'static, Execution> {
        let (world, process) = (self.world.clone(), self.process.clone());
        Box::pin(async move {
            let seat = Seat::take(&world, &process, host.step().limits.memory);
            let mut end = run(&world, &process, &host).await;
            // A dead process says nothing any more.
            process.gate().await;
            drop(seat);
            let claimed = host.claimed();
            let outcome = match &end {
                ExecutionEnd::Succeeded(_) => Outcome::Succeeded,
                ExecutionEnd::Failed(failure) => Outcome::Failed(failure.message.clone()),
                ExecutionEnd::Cancelled => Outcome::Cancelled,
            };
            if let ExecutionEnd::Succeeded(output) = &mut end
                && claimed.task.index == 0
            {
                *output = "null".into();
            }
            let mut oracle = world.oracle();
            let model = oracle.attempts.entry((claimed.task, claimed.attempt)).or_default();
            model.outcome = Some(outcome);
            if let ExecutionEnd::Succeeded(output) = &end {
                model.output = Some(output.clone());
            }
            drop(oracle);
            Execution {
                end,
                usage: Usage { fuel: 10, peak_memory: 1_000, cpu_micros: 5, http_requests: 2, http_sent: 30, http_received: 400 },
            }
        })
    }

    fn inspect(
        &self,
        component: Bytes,
        _name: Option<Name>,
        told: Option<CompileListener>,
    ) -> BoxFuture<'static, Result<Inspected, Failure>> {
        Box::pin(uploads::inspect(self.world.clone(), self.process.clone(), component, told))
    }
}

/// A place in a process's executor, and its memory.
struct Seat {
    process: Arc<Process>,
    memory: u64,
}

impl Seat {
    fn take(world: &World, process: &Arc<Process>, memory: u64) -> Self {
        let seats = process.executing.fetch_add(1, Ordering::Relaxed) + 1;
        let taken = process.memory.fetch_add(memory, Ordering::Relaxed) + memory;
        let profile = &world.profile;
        world.require(seats <= profile.slots, || format!("{seats} attempts at once, {} slots", profile.slots));
        world.require(taken <= profile.memory, || format!("{taken} bytes of memory at once, {} allowed", profile.memory));
        Self { process: process.clone(), memory }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.process.executing.fetch_sub(1, Ordering::Relaxed);
        self.process.memory.fetch_sub(self.memory, Ordering::Relaxed);
    }
}

/// The guest, with its timeout and its cancellation from outside.
async fn run(world: &Arc<World>, process: &Process, host: &AttemptHost) -> ExecutionEnd {
    let claimed = host.claimed();
    let names = [3, short(claimed), u64::from(claimed.task.step.0), rng::hash(&claimed.key), u64::from(claimed.attempt)];
    let mut rng = Rng::of(world.seed, &names);
    let script = script(&mut rng, claimed.task.index == 0, &claimed.key);
    let told = async {
        host.cancelled().cancelled().await;
        if script.stubborn {
            world.met("stubborn guest");
            tokio::time::sleep(CANCEL_BOUND).await;
        }
    };
    let timeout = host.step().timeout;
    tokio::select! {
        biased;
        end = guest(world, process, host, &script) => end,
        () = told => ExecutionEnd::Cancelled,
        () = tokio::time::sleep(timeout) => {
            world.met("attempt timed out");
            ExecutionEnd::Failed(Failure::new(Cause::TimedOut, "the attempt took too long"))
        }
    }
}

/// A number for the run that does not depend on its id's time.
fn short(claimed: &bulkhead_engine::store::Claimed) -> u64 {
    claimed.task.run.as_u128() as u64
}

async fn guest(world: &Arc<World>, process: &Process, host: &AttemptHost, script: &Script) -> ExecutionEnd {
    for action in &script.actions {
        process.gate().await;
        let result = match action {
            Action::Log(lines) => log(world, host, *lines).await,
            Action::Sleep(time) => {
                tokio::time::sleep(*time).await;
                Ok(())
            }
            Action::Spawn(keys) => spawn(host, keys).await,
            Action::Checkpoint => checkpoint(host).await,
            Action::Progress(done) => {
                host.set_progress(*done, Some(100));
                host.set_status("working");
                Ok(())
            }
        };
        if let Err(failure) = result {
            return ExecutionEnd::Failed(failure);
        }
    }
    process.gate().await;
    let claimed = host.claimed();
    match script.finish {
        Finish::Succeed => ExecutionEnd::Succeeded(format!("\"{} {}\"", claimed.task, claimed.attempt).into()),
        Finish::Fail(cause) => ExecutionEnd::Failed(Failure::new(cause, format!("attempt {} fails", claimed.attempt))),
        Finish::Hang => std::future::pending().await,
        Finish::Panic => {
            let key = (claimed.task, claimed.attempt);
            world.oracle().attempts.entry(key).or_default().outcome = Some(Outcome::Panicked);
            std::panic::panic_any(SCRIPTED_PANIC)
        }
    }
}

async fn log(world: &World, host: &AttemptHost, lines: u64) -> Result<(), Failure> {
    let claimed = host.claimed();
    let key = (claimed.task, claimed.attempt);
    let quota = host.step().limits.log_lines;
    for _ in 0..lines {
        let message = {
            let mut oracle = world.oracle();
            let model = oracle.attempts.entry(key).or_default();
            let message = format!("{} attempt {} says {}", claimed.key, claimed.attempt, model.offered.len());
            model.offered.push(message.clone());
            message
        };
        let accepted = host.log(Level::Info, Source::Plugin, &message, None).await;
        let mut oracle = world.oracle();
        let model = oracle.attempts.entry(key).or_default();
        if accepted.is_ok() && model.accepted < quota {
            model.accepted += 1;
        } else {
            world.met("log quota");
            model.suppressed += 1;
        }
        if let Err(passed) = accepted {
            return Err(Failure::new(Cause::Limit(Quota::Log), passed.to_string()));
        }
    }
    Ok(())
}

async fn spawn(host: &AttemptHost, keys: &[String]) -> Result<(), Failure> {
    let specs = keys.iter().map(|key| TaskSpec { key: key.as_str().into(), input: format!("\"{key}\"").into() }).collect();
    host.spawn(specs).await.map(drop).map_err(|error| failed(&error))
}

async fn checkpoint(host: &AttemptHost) -> Result<(), Failure> {
    let count = match host.load_checkpoint().await {
        Ok(Some(data)) => data.len(),
        Ok(None) => 0,
        Err(error) => return Err(failed(&error)),
    };
    match host.save_checkpoint(vec![host.claimed().attempt as u8; count + 1].into()).await {
        Ok(()) => Ok(()),
        Err(CheckpointError::Store(error)) => Err(failed(&error)),
        Err(error) => Err(Failure::new(Cause::Limit(Quota::HostCall), error.to_string())),
    }
}

/// What a guest does when the host refuses: it gives up.
fn failed(error: &StoreError) -> Failure {
    let cause = match error {
        StoreError::Unavailable { .. } => Cause::HostFault,
        _ => Cause::Limit(Quota::Spawn),
    };
    Failure::new(cause, error.to_string())
}
