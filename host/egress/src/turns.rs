//! Turns: how many requests a host gets at once, and how often, from all tasks together.
//!
//! Whoever waits is served in the order of arrival.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bulkhead_engine::egress::{EgressError, Wait};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::counters::Counter;

/// The most requests that wait, for all hosts together: several for each attempt that a large machine runs at once.
const MOST_WAITING: usize = 10_000;
/// Hosts that are remembered before those are forgotten that nobody asks.
const REMEMBERED: usize = 1_024;

/// Gives out turns.
#[derive(Debug)]
pub(crate) struct Turns {
    per_host: NonZeroUsize,
    interval: Option<Duration>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    /// Places to wait at.
    queue: Semaphore,
    waiting: Counter,
}

#[derive(Debug)]
struct Host {
    places: Arc<Semaphore>,
    /// When the next request may start, where a rate bounds them.
    next: Mutex<Instant>,
}

/// A place among the requests to a host. Drop it when the answer is read.
#[derive(Debug)]
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
}

impl Turns {
    pub(crate) fn new(per_host: NonZeroUsize, rate: Option<NonZeroUsize>, waiting: Counter) -> Self {
        let interval = rate.map(|rate| Duration::from_secs_f64(1.0 / rate.get() as f64));
        Self { per_host, interval, hosts: Mutex::default(), queue: Semaphore::new(MOST_WAITING), waiting }
    }

    /// Waits for a turn, so long at most.
    pub(crate) async fn take(&self, host: &str, limit: Duration) -> Result<Turn, EgressError> {
        let host = self.host(host);
        let turn = async {
            // Closed never.
            let place = Arc::clone(&host.places).acquire_owned().await.map_err(|error| EgressError::Busy(error.to_string()))?;
            tokio::time::sleep_until(self.start(&host)).await;
            Ok(Turn { _place: place })
        };
        if self.interval.is_none()
            && let Ok(place) = Arc::clone(&host.places).try_acquire_owned()
        {
            return Ok(Turn { _place: place });
        }
        let _queued = self
            .queue
            .try_acquire()
            .map_err(|_| EgressError::Busy(format!("{MOST_WAITING} requests wait for their turn already")))?;
        let _waiting = self.waiting.hold();
        tokio::time::timeout(limit, turn).await.map_err(|_| EgressError::TimedOut(Wait::Turn))?
    }

    /// When a request may start, and with it those after it later.
    fn start(&self, host: &Host) -> Instant {
        let now = Instant::now();
        let Some(interval) = self.interval else { return now };
        let mut next = host.next.lock().unwrap_or_else(PoisonError::into_inner);
        let start = now.max(*next);
        *next = start + interval;
        start
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Arc::clone(host);
        }
        if hosts.len() >= REMEMBERED {
            let now = Instant::now();
            let full = self.per_host.get();
            hosts.retain(|_, host| {
                let idle = Arc::strong_count(host) == 1 && host.places.available_permits() == full;
                !idle || *host.next.lock().unwrap_or_else(PoisonError::into_inner) > now
            });
        }
        let host = Arc::new(Host { places: Arc::new(Semaphore::new(self.per_host.get())), next: Mutex::new(Instant::now()) });
        hosts.insert(name.to_owned(), Arc::clone(&host));
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn turns(per_host: usize, rate: Option<usize>) -> Turns {
        Turns::new(NonZeroUsize::new(per_host).unwrap(), rate.and_then(NonZeroUsize::new), Counter::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_has_so_many_places() {
        let turns = turns(2, None);
        let (first, _second) = (turns.take("a", LONG).await.unwrap(), turns.take("a", LONG).await.unwrap());
        turns.take("b", LONG).await.unwrap();
        let error = turns.take("a", Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, EgressError::TimedOut(Wait::Turn)));
        drop(first);
        turns.take("a", LONG).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn requests_to_a_host_start_at_its_rate() {
        let (turns, start) = (turns(100, Some(10)), Instant::now());
        for _ in 0..21 {
            turns.take("a", LONG).await.unwrap();
        }
        let elapsed = start.elapsed();
        assert!((2_000..2_100).contains(&elapsed.as_millis()), "{elapsed:?}");
        turns.take("b", LONG).await.unwrap();
        assert_eq!(start.elapsed(), elapsed);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_hosts_are_forgotten() {
        let turns = turns(1, None);
        let _kept = turns.take("kept", LONG).await.unwrap();
        for number in 0..REMEMBERED * 3 {
            turns.take(&number.to_string(), LONG).await.unwrap();
        }
        let hosts = turns.hosts.lock().unwrap();
        assert!(hosts.len() <= REMEMBERED && hosts.contains_key("kept"));
    }
}
