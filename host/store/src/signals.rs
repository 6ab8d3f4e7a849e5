//! Who waits for what: channels that are touched after a commit, never before.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use bulkhead_core::id::{Digest, RunId, WorkerId};
use bulkhead_engine::files::Content;
use bulkhead_engine::store::Signal;
use tokio::sync::watch;

/// What a batch of transactions changed, for those who wait.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Runs with a new event or new lines.
    pub(crate) runs: HashSet<RunId>,
    /// Workers with revoked tasks.
    pub(crate) revoked: BTreeSet<WorkerId>,
    /// A task became claimable, or will earlier than before.
    pub(crate) work: bool,
    /// Housekeeping may be due earlier than it last said.
    pub(crate) housekeeping: bool,
    /// An event was recorded.
    pub(crate) events: bool,
    /// Contents that nothing names any more.
    pub(crate) unused: Vec<Digest>,
    /// Contents that were recorded: they stay pinned until their records are durable.
    pub(crate) recorded: Vec<Content>,
    /// A schedule may be due earlier than before.
    pub(crate) schedules: bool,
    /// A delivery may be due earlier than before.
    pub(crate) hooks: bool,
    /// A hook was changed, or something became of a delivery.
    pub(crate) deliveries: bool,
}

/// The channels of one process.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    work: Channel,
    housekeeping: Channel,
    events: Channel,
    schedules: Channel,
    hooks: Channel,
    deliveries: Channel,
    runs: Registry<RunId>,
    revoked: Registry<WorkerId>,
}

#[derive(Debug)]
struct Channel(watch::Sender<u64>);

impl Default for Channel {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Channel {
    fn fire(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    fn signal(&self) -> Signal {
        Signal::new(self.0.subscribe())
    }
}

/// Channels by key, of which only those exist that somebody listens to.
#[derive(Debug)]
struct Registry<K>(Mutex<HashMap<K, Channel>>);

impl<K> Default for Registry<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash> Registry<K> {
    fn signal(&self, key: K) -> Signal {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Each doubling pays for one look at all of them: channels that nobody listens to any more go then, at the latest.
        if channels.len() == channels.capacity() {
            channels.retain(|_, channel| channel.0.receiver_count() > 0);
        }
        channels.entry(key).or_default().signal()
    }

    fn fire<'a>(&self, keys: impl Iterator<Item = &'a K>)
    where
        K: 'a,
    {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if channels.is_empty() {
            return;
        }
        for key in keys {
            if let Some(channel) = channels.get(key) {
                if channel.0.receiver_count() == 0 {
                    channels.remove(key);
                } else {
                    channel.fire();
                }
            }
        }
    }
}

impl Signals {
    pub(crate) fn fire(&self, effects: &Effects) {
        self.runs.fire(effects.runs.iter());
        self.revoked.fire(effects.revoked.iter());
        for (fires, channel) in [
            (effects.work, &self.work),
            (effects.housekeeping, &self.housekeeping),
            (effects.events, &self.events),
            (effects.schedules, &self.schedules),
            (effects.hooks, &self.hooks),
            (effects.deliveries, &self.deliveries),
        ] {
            if fires {
                channel.fire();
            }
        }
    }

    pub(crate) fn work(&self) -> Signal {
        self.work.signal()
    }

    pub(crate) fn housekeeping(&self) -> Signal {
        self.housekeeping.signal()
    }

    pub(crate) fn events(&self) -> Signal {
        self.events.signal()
    }

    pub(crate) fn schedules(&self) -> Signal {
        self.schedules.signal()
    }

    pub(crate) fn hooks(&self) -> Signal {
        self.hooks.signal()
    }

    pub(crate) fn deliveries(&self) -> Signal {
        self.deliveries.signal()
    }

    pub(crate) fn run(&self, run: RunId) -> Signal {
        self.runs.signal(run)
    }

    pub(crate) fn revoked(&self, worker: WorkerId) -> Signal {
        self.revoked.signal(worker)
    }
}
