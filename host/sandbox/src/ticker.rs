//! Epoch ticks: what makes a guest give its thread back.
//!
//! One thread ticks while attempts are under way and sleeps otherwise. The more attempts, the shorter the tick, so that a round
//! of all of them takes about [`ROUND`] even if each one loops: nobody waits longer for its turn, nor to be ended.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// The longest time slice of a guest.
pub(crate) const MAX_TICK: Duration = Duration::from_millis(10);
/// The shortest: switching between guests costs microseconds.
const MIN_TICK: Duration = Duration::from_millis(1);
/// About how long a round of all running guests may take.
const ROUND: Duration = Duration::from_millis(250);
/// Ticks without an attempt before the thread sleeps: waking it costs more than a tick.
const IDLE_TICKS: u32 = 20;

/// Ticks the epochs of all its engines while an [`Underway`] is alive. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    engines: Mutex<Vec<EngineWeak>>,
    running: AtomicUsize,
    asleep: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("running", &self.running).field("asleep", &self.asleep).finish_non_exhaustive()
    }
}

/// An attempt that is under way.
#[derive(Debug)]
pub(crate) struct Underway(Arc<Shared>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticker {
    /// Starts the thread; `threads` is the number that guests run on, `longest` the longest time slice.
    pub(crate) fn start(threads: usize, longest: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let weak = Arc::downgrade(&shared);
        let handle = std::thread::Builder::new().name("guest-ticker".into()).spawn(move || tick(&weak, threads, longest))?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Ticks this engine, too.
    pub(crate) fn add(&self, engine: &Engine) {
        self.shared.engines.lock().unwrap_or_else(PoisonError::into_inner).push(engine.weak());
    }

    /// Ticks as long as the value lives.
    pub(crate) fn begin(&self) -> Underway {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Underway(Arc::clone(&self.shared))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // The thread sees that the shared part is gone.
        self.shared.asleep.store(false, Ordering::SeqCst);
        self.shared = Arc::default();
        self.thread.unpark();
    }
}

fn tick(shared: &Weak<Shared>, threads: usize, longest: Duration) {
    let mut idle = 0;
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let running = shared.running.load(Ordering::SeqCst);
        if running == 0 {
            idle += 1;
        } else {
            idle = 0;
            for engine in &*shared.engines.lock().unwrap_or_else(PoisonError::into_inner) {
                if let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                }
            }
        }
        if idle > IDLE_TICKS {
            shared.asleep.store(true, Ordering::SeqCst);
            // An attempt that began just now saw no sleeper.
            let sleep = shared.running.load(Ordering::SeqCst) == 0;
            drop(shared);
            if sleep {
                std::thread::park();
            }
            idle = 0;
        } else {
            drop(shared);
            std::thread::sleep(interval(running, threads).min(longest));
        }
    }
}

/// The time slice with so many attempts on so many threads.
fn interval(running: usize, threads: usize) -> Duration {
    let share = ROUND * u32::try_from(threads).unwrap_or(1) / u32::try_from(running.max(1)).unwrap_or(u32::MAX);
    share.clamp(MIN_TICK, MAX_TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_attempts_get_shorter_slices() {
        assert_eq!(interval(0, 2), MAX_TICK);
        assert_eq!(interval(2, 2), MAX_TICK);
        assert_eq!(interval(250, 2), Duration::from_millis(2));
        assert_eq!(interval(100_000, 2), MIN_TICK);
    }
}
