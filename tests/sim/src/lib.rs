//! Seeded simulation of core and engine on the memory store.
//!
//! One seed is one world: a current-thread runtime whose time stands still until everybody waits, random plans, one worker or
//! two, an executor that follows scripts in place of a sandbox, clients that start, command and read runs, and faults: crashed
//! and frozen processes, lost acknowledgements, lost signals, a store that is away, clocks that jump. The same seed makes the
//! same world, to the last line of its trace.
//!
//! After every call an [oracle] compares the store with a model of its own. Named invariants:
//! - *one result*: each task ends with one recorded result, and each attempt's end is recorded once, as its executor said;
//! - *fence*: a write of an attempt is accepted exactly while it holds its task, and no line of a fenced attempt shows;
//! - *counters*: every counter equals a count of the model after every call, and [`recount`] finds no difference at the end;
//! - *log*: lines are numbered 1 to N without gap or repeat, in the run, in the step and in the attempt, in the order in which
//!   they were written, and no accepted line of a completed attempt is lost;
//! - *readers*: whoever follows a log, slowly or late or across crashes, sees exactly what is stored;
//! - *limits*: slots, memory and a step's concurrency are never exceeded;
//! - *history*: events are gapless, and every change of a state is one that the transition tables allow;
//! - *once*: an idempotency key creates one run, or summons one task;
//! - *orders*: a cancelled task ends in time and never starts again by itself, an edited input reaches the next attempt, a
//!   summoned task runs although its run is paused, and nothing else does;
//! - *tails*: what an attempt's record says of its last lines is where they are;
//! - *timetable*: each time of a schedule comes to one thing, starts one run at most, and is not missed where the schedule
//!   catches up;
//! - *uploads*: what was taken to be checked is, across crashes, and comes to one end: the one that its check came to, or a refusal
//!   where processes ended during each of several checks;
//! - *progress*: what can be claimed is, cancelled runs end in time, workers stop in order, and once faults end so does every
//!   run.
//!
//! [`recount`]: bulkhead_engine::store::Journal::recount

mod clients;
mod executor;
mod fleet;
mod oracle;
mod process;
mod profile;
mod rng;
mod timetable;
mod trace;
mod uploads;
mod watch;
mod workload;
mod world;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clients::Clients;
use crate::fleet::Fleet;
use crate::profile::Profile;
use crate::world::World;

/// The longest that a world may go on after the last fault. A lost signal costs a minute at most, a task a few attempts of a
/// few seconds, and there are some dozens of them.
const AFTERMATH: Duration = Duration::from_secs(3_600);

/// A deliberate bug: what the simulation must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Log lines are acknowledged and not stored.
    DroppedAppend,
    /// Log lines are stored twice.
    RepeatedAppend,
    /// The last line that comes with an attempt's end is not stored.
    LostLastLine,
    /// An attempt that lost its task ends whatever attempt holds it.
    IgnoredFence,
    /// The end of some attempts is acknowledged and not recorded.
    ForgottenCompletion,
    /// A claimed task never arrives.
    LostClaim,
    /// What an unanswered claim took is not given back.
    SkippedReconciliation,
    /// More is claimed than there are slots and memory for.
    TooManySlots,
    /// Attempts are never told to end.
    UnheardRevocation,
    /// Nothing that falls due is done.
    NoHousekeeping,
    /// A reader misses a line.
    SkippedRead,
    /// A repeated summons takes another task.
    RepeatedSummons,
    /// An edited input is acknowledged and not stored.
    LostEdit,
    /// The cancellation of a running task is acknowledged and not done.
    ForgottenCancellation,
    /// What is due by schedule is acknowledged and not done.
    ForgottenFire,
    /// An upload is acknowledged and not stored.
    LostUpload,
    /// What came of the check of an upload is acknowledged and not stored.
    ForgottenUploadEnd,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::DroppedAppend,
        Self::RepeatedAppend,
        Self::LostLastLine,
        Self::IgnoredFence,
        Self::ForgottenCompletion,
        Self::LostClaim,
        Self::SkippedReconciliation,
        Self::TooManySlots,
        Self::UnheardRevocation,
        Self::NoHousekeeping,
        Self::SkippedRead,
        Self::RepeatedSummons,
        Self::LostEdit,
        Self::ForgottenCancellation,
        Self::ForgottenFire,
        Self::LostUpload,
        Self::ForgottenUploadEnd,
    ];
}

/// A world in which every invariant held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The hash of everything that happened.
    pub hash: u64,
    /// How many lines the trace has.
    pub lines: u64,
    /// How much time passed in the world.
    pub simulated: Duration,
    /// Rare things that happened.
    pub met: BTreeSet<&'static str>,
}

/// A world in which an invariant was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The world's seed.
    pub seed: u64,
    /// What was broken.
    pub what: String,
    /// The last lines of the trace.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        write!(f, "replay it with: cargo run -p bulkhead-sim -- --seed {}", self.seed)
    }
}

impl std::error::Error for Broken {}

/// Lives through the world of a seed, with a deliberate bug if one is given.
///
/// # Errors
/// What was broken.
pub fn simulate(seed: u64, mutant: Option<Mutant>) -> Result<Report, Box<Broken>> {
    watch::hear_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without input and output");
    let world = runtime.block_on(async { World::new(seed, Profile::of(seed), mutant) });
    let simulated = runtime.block_on(live(&world));
    let (hash, lines, trace) = world.trace();
    // Whatever is left of dead processes goes with the runtime.
    drop(runtime);
    match world.violation() {
        Some(what) => Err(Box::new(Broken { seed, what, trace })),
        None => Ok(Report { hash, lines, simulated, met: world.quirks() }),
    }
}

async fn live(world: &Arc<World>) -> Duration {
    world.say(format!("{:?}", world.profile));
    tokio::select! {
        biased;
        () = world.broken.cancelled() => {}
        () = life(world) => {}
    }
    Duration::from_micros(world.elapsed())
}

/// From the first process to the last check.
async fn life(world: &Arc<World>) {
    let fleet = Fleet::new(world);
    timetable::put(world);
    let clients = Clients::new(world, &fleet);
    for place in 0..world.profile.workers {
        fleet.start(place).await;
    }
    tokio::spawn(watch::watch(world.clone(), fleet.clone()));
    let starting = tokio::spawn(clients.clone().start_runs());
    let commanding = tokio::spawn(clients.clone().command_runs());
    let ordering = tokio::spawn(clients.clone().order_tasks());
    let uploading = tokio::spawn(clients.clone().upload_plugins());
    fleet.clone().storm().await;
    world.heal();
    timetable::settle(world).await;
    let aftermath = async {
        let _ = futures::join!(starting, commanding, ordering, uploading);
        loop {
            clients.resume_all().await;
            let ended = {
                let oracle = world.oracle();
                oracle.runs.values().all(|run| run.gone || run.status.is_terminal()) && oracle.uploads.check_the_end().is_ok()
            };
            if ended {
                world.over.store(true, std::sync::atomic::Ordering::Relaxed);
                if clients.readers_are_done() {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        fleet.stop_all().await;
    };
    if tokio::time::timeout(AFTERMATH, aftermath).await.is_err() {
        let readers = clients.readers_are_done();
        let (stuck, uploads): (Vec<_>, _) = {
            let oracle = world.oracle();
            let stuck = oracle.runs.iter().filter(|(_, run)| !run.gone && !run.status.is_terminal()).map(|(id, _)| *id);
            (stuck.collect(), oracle.uploads.check_the_end())
        };
        world.violate(format!(
            "{stuck:?} did not end within {AFTERMATH:?} after the last fault (readers done: {readers}, uploads: {uploads:?})"
        ));
        return;
    }
    world.check();
    let result = world.oracle().check_the_end(&*world.store());
    if let Err(broken) = result {
        world.violate(broken);
    }
    clients.check_readers();
}
