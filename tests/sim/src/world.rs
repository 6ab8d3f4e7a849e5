//! The world of one seed: the store that lasts, the clock, the weather, and everything that is watched.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{Signal, Store, StoreResult};
use bulkhead_store::{ManualClock, MemoryStore};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Mutant;
use crate::oracle::Oracle;
use crate::process::Process;
use crate::profile::Profile;
use crate::rng::Rng;
use crate::trace::Trace;

/// When every world begins: 2026-01-01.
const BEGINNING: u64 = 1_767_225_600_000_000;

/// What becomes of one call to the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    /// The way there.
    pub(crate) before: Duration,
    /// The way back.
    pub(crate) after: Duration,
    /// The store refuses.
    pub(crate) refuse: bool,
    /// The answer is lost.
    pub(crate) lose: bool,
}

/// A waiter's own channel, filled from the store's signal after each call, in an order that is always the same. (Tokio wakes
/// those who wait on one channel in a random order.)
struct Relay {
    process: Arc<Process>,
    signal: Signal,
    waiter: watch::Sender<u64>,
}

/// Everything of one seed. Locks are held for moments and never over an await.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) profile: Profile,
    pub(crate) mutant: Option<Mutant>,
    /// Fires when an invariant is broken.
    pub(crate) broken: CancellationToken,
    /// No fault comes any more.
    pub(crate) healed: AtomicBool,
    /// Every run has ended, and no command follows.
    pub(crate) over: AtomicBool,
    /// Microseconds from the beginning to the last fault.
    last_fault: AtomicU64,
    start: tokio::time::Instant,
    clock: ManualClock,
    /// Microseconds that the machine's clock is ahead of the beginning and the time since.
    skew: AtomicI64,
    outage_until: AtomicU64,
    store: Mutex<Arc<MemoryStore>>,
    weather: Mutex<Rng>,
    relays: Mutex<Vec<Relay>>,
    oracle: Mutex<Oracle>,
    trace: Mutex<Trace>,
    violation: Mutex<Option<String>>,
    quirks: Mutex<BTreeSet<&'static str>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The result of a call to the store itself, which is always ready at once.
pub(crate) fn ready<T>(future: BoxFuture<'_, StoreResult<T>>) -> StoreResult<T> {
    tokio::task::unconstrained(future).now_or_never().expect("the deterministic store answers at once")
}

impl World {
    pub(crate) fn new(seed: u64, profile: Profile, mutant: Option<Mutant>) -> Arc<Self> {
        let clock = ManualClock::new(Timestamp::from_micros(BEGINNING));
        let store = MemoryStore::deterministic(clock.clone(), |_| None);
        Arc::new(Self {
            seed,
            profile,
            mutant,
            broken: CancellationToken::new(),
            healed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            last_fault: AtomicU64::new(0),
            start: tokio::time::Instant::now(),
            clock,
            skew: AtomicI64::new(0),
            outage_until: AtomicU64::new(0),
            store: Mutex::new(Arc::new(store)),
            weather: Mutex::new(Rng::of(seed, &[2])),
            relays: Mutex::default(),
            oracle: Mutex::default(),
            trace: Mutex::default(),
            violation: Mutex::default(),
            quirks: Mutex::default(),
        })
    }

    /// Microseconds since the beginning.
    pub(crate) fn elapsed(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// The store as it is now.
    pub(crate) fn store(&self) -> Arc<MemoryStore> {
        self.sync_clock();
        lock(&self.store).clone()
    }

    /// What watches.
    pub(crate) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        lock(&self.oracle)
    }

    /// Brings the store's clock to now.
    pub(crate) fn sync_clock(&self) {
        let now = (BEGINNING + self.elapsed()).saturating_add_signed(self.skew.load(Ordering::Relaxed));
        self.clock.set(Timestamp::from_micros(now));
    }

    /// Makes the machine's clock jump.
    pub(crate) fn jump_clock(&self, by: Duration, forwards: bool) {
        self.note_fault();
        let by = by.as_micros() as i64;
        self.skew.fetch_add(if forwards { by } else { -by }, Ordering::Relaxed);
        self.say(format!("clock jumps {}{} ms", if forwards { "+" } else { "-" }, by / 1_000));
    }

    /// Every process dies; what was committed stays.
    pub(crate) fn crash_store(&self) {
        self.note_fault();
        self.sync_clock();
        let mut store = lock(&self.store);
        *store = Arc::new(store.crash(self.clock.clone(), |_| None));
        self.oracle().reopened();
    }

    /// Nothing answers for a while.
    pub(crate) fn outage(&self, lasts: Duration) {
        self.note_fault();
        self.outage_until.store(self.elapsed() + lasts.as_micros() as u64, Ordering::Relaxed);
        self.say(format!("store is away for {} ms", lasts.as_millis()));
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        self.note_fault();
        self.healed.store(true, Ordering::Relaxed);
        self.outage_until.store(0, Ordering::Relaxed);
        self.say("faults end".into());
    }

    /// Remembers that something went wrong now.
    pub(crate) fn note_fault(&self) {
        self.last_fault.store(self.elapsed(), Ordering::Relaxed);
    }

    /// Microseconds from the beginning to the last fault.
    pub(crate) fn last_fault(&self) -> u64 {
        self.last_fault.load(Ordering::Relaxed)
    }

    /// Whether faults happen.
    pub(crate) fn is_stormy(&self) -> bool {
        !self.profile.calm && !self.healed.load(Ordering::Relaxed)
    }

    /// What becomes of the next call.
    pub(crate) fn fate(&self, writes: bool) -> Fate {
        let mut rng = lock(&self.weather);
        let profile = &self.profile;
        let mut wait = || if rng.permille(profile.slow_calls) { rng.millis(0, profile.slowest_call) } else { Duration::ZERO };
        let (before, after) = (wait(), wait());
        let (mut refuse, mut lose) = (false, false);
        if self.is_stormy() {
            refuse = rng.permille(profile.refused_calls);
            lose = writes && rng.permille(profile.lost_acks);
        }
        Fate { before, after, refuse, lose }
    }

    /// Whether the store is away.
    pub(crate) fn is_out(&self) -> bool {
        self.elapsed() < self.outage_until.load(Ordering::Relaxed)
    }

    /// A signal for one waiter of a process.
    pub(crate) fn relay(&self, process: &Arc<Process>, signal: Signal) -> Signal {
        let (waiter, receiver) = watch::channel(0);
        lock(&self.relays).push(Relay { process: process.clone(), signal, waiter });
        Signal::new(receiver)
    }

    /// Passes the store's signals on, as far as they arrive.
    pub(crate) fn pass_signals(&self) {
        let mut rng = lock(&self.weather);
        let stormy = self.is_stormy();
        lock(&self.relays).retain_mut(|relay| {
            if relay.process.is_dead() || relay.waiter.is_closed() {
                return false;
            }
            if tokio::task::unconstrained(relay.signal.wait()).now_or_never().is_some() {
                if stormy && rng.permille(self.profile.lost_signals) {
                    self.note_fault();
                } else {
                    relay.waiter.send_modify(|count| *count += 1);
                }
            }
            true
        });
    }

    /// Reads what the last call changed and checks it.
    pub(crate) fn check(&self) {
        let store: Arc<dyn Store> = self.store();
        let mut news = Vec::new();
        let result = {
            let mut oracle = self.oracle();
            oracle.look(&*store, &mut news).and_then(|()| oracle.uploads.look(self, &*store))
        };
        for line in news {
            self.say(line);
        }
        if let Err(violation) = result {
            self.violate(violation);
        }
        self.pass_signals();
    }

    /// Adds a line to the trace.
    pub(crate) fn say(&self, line: String) {
        let at = self.elapsed();
        lock(&self.trace).add(format!("{:>9}.{:03} {line}", at / 1_000, at % 1_000));
    }

    /// The hash of everything that happened, how many lines that were, and the last of them.
    pub(crate) fn trace(&self) -> (u64, u64, Vec<String>) {
        let trace = lock(&self.trace);
        (trace.hash(), trace.len(), trace.last())
    }

    /// An invariant is broken. The first one counts.
    pub(crate) fn violate(&self, what: String) {
        self.say(format!("BROKEN: {what}"));
        lock(&self.violation).get_or_insert(what);
        self.broken.cancel();
    }

    /// Breaks an invariant unless a condition holds.
    pub(crate) fn require(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violate(what());
        }
    }

    /// What was broken first.
    pub(crate) fn violation(&self) -> Option<String> {
        lock(&self.violation).clone()
    }

    /// Remembers that something rare happened, so that a test can tell that the seeds reach it.
    pub(crate) fn met(&self, quirk: &'static str) {
        lock(&self.quirks).insert(quirk);
    }

    /// What rare things happened.
    pub(crate) fn quirks(&self) -> BTreeSet<&'static str> {
        lock(&self.quirks).clone()
    }
}
