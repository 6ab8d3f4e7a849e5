//! The redb store on storage that fails: power that is cut, a disk that is full.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bulkhead_core::id::{Digest, RunId, WorkerId};
use bulkhead_core::machine::RunCommand;
use bulkhead_core::name::Name;
use bulkhead_core::plan::{ErrorTolerance, Grants, Limits, OnError, Plan, PluginRef, Priority, RetryPolicy, StepPlan};
use bulkhead_core::run::Trigger;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{ClaimRequest, Journal, NewRun, Queue, StoreError, TaskSpec};
use bulkhead_store::{Clock, ManualClock, RedbStore};
use redb::{Database, StorageBackend};

/// What the disk holds for certain, and what it may lose.
#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    current: Vec<u8>,
    /// Writes since the last sync, in their order.
    unsynced: Vec<(u64, Vec<u8>)>,
    /// Bytes that the disk has room for.
    room: Option<u64>,
    /// The moments just before each sync: what is durable, and what may be lost.
    moments: Vec<Moment>,
}

/// What a power cut would find.
#[derive(Clone, Debug)]
struct Moment {
    durable: Vec<u8>,
    unsynced: Vec<(u64, Vec<u8>)>,
}

impl Moment {
    /// The disk with some of the writes that were not synced.
    fn keeping(&self, keep: impl Fn(usize) -> bool) -> Disk {
        let mut left = self.durable.clone();
        for (_, (offset, data)) in self.unsynced.iter().enumerate().filter(|(number, _)| keep(*number)) {
            left[*offset as usize..*offset as usize + data.len()].copy_from_slice(data);
        }
        Disk(Arc::new(Mutex::new(Content { durable: left.clone(), current: left, ..Content::default() })))
    }
}

/// A disk in memory that remembers what was synced.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Content>>);

impl Disk {
    /// The moments since the last call at which a power cut would have hurt most.
    fn take_moments(&self) -> Vec<Moment> {
        std::mem::take(&mut self.0.lock().unwrap().moments)
    }

    fn set_room(&self, room: Option<u64>) {
        self.0.lock().unwrap().room = room;
    }

    fn open(&self, clock: &ManualClock) -> RedbStore {
        let disk = self.clone();
        let open = Box::new(move || Database::builder().set_cache_size(1 << 20).create_with_backend(disk.clone()));
        RedbStore::open_with(open, Path::new("disk"), None, Clock::Manual(clock.clone())).unwrap()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.0.lock().unwrap();
        let from = content.current.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(from.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        if content.room.is_some_and(|room| len > room) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        content.current.resize(len as usize, 0);
        // A file's length is metadata; this disk writes it at once.
        content.durable.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        let unsynced = std::mem::take(&mut content.unsynced);
        let durable = std::mem::take(&mut content.durable);
        content.durable = content.current.clone();
        content.moments.push(Moment { durable, unsynced });
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        content.current[offset as usize..offset as usize + data.len()].copy_from_slice(data);
        content.unsynced.push((offset, data.to_vec()));
        Ok(())
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn new_run(number: u128, clock: &ManualClock) -> NewRun {
    let step = StepPlan {
        name: name("only"),
        description: String::new(),
        plugin: PluginRef { name: name("noop"), digest: Digest::from_bytes([7; 32]) },
        depends: vec![],
        on_error: OnError::Fail,
        concurrency: None,
        timeout: Duration::from_secs(60),
        retry: RetryPolicy::default(),
        limits: Limits::default(),
        allow: Grants::default(),
        config: "{}".into(),
    };
    let plan = Plan {
        definition: name("job"),
        name: "Job".into(),
        tags: vec![],
        priority: Priority::default(),
        timeout: None,
        tolerance: ErrorTolerance::default(),
        steps: vec![step],
    };
    NewRun {
        id: RunId::new(clock.now(), number),
        plan: Arc::new(plan),
        parameters: "{}".into(),
        files: vec![],
        trigger: Trigger::Api,
        paused: false,
        idempotency: None,
    }
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_micros(1_000_000_000))
}

const WORKER: WorkerId = WorkerId::from_u128(1);

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut_and_nothing_is_half_there() {
    let (disk, clock) = (Disk::default(), clock());
    let store = disk.open(&clock);
    store.register_worker(WORKER, Duration::from_secs(30), true).await.unwrap();
    let mut acknowledged = Vec::new();
    for number in 0..4 {
        disk.take_moments();
        let run = store.create_run(new_run(number, &clock)).await.unwrap().run.id;
        let claimed = store.claim(ClaimRequest { worker: WORKER, slots: 1, memory: u64::MAX, budget: u64::MAX }).await.unwrap();
        let specs = (0..50).map(|key| TaskSpec { key: format!("k{key}").into(), input: "1".into() }).collect();
        store.spawn(claimed.tasks[0].task, 1, specs).await.unwrap();
        let moments = disk.take_moments();
        assert!(moments.len() >= 3);
        for (moment, part) in moments.iter().flat_map(|moment| [1, 2, 3, usize::MAX].map(|part| (moment, part))) {
            // All of the writes, every second, every third, the first alone: a disk syncs in any order.
            let reopened = moment.keeping(|write| write % part == 0).open(&clock);
            assert_eq!(reopened.recount().await.unwrap(), Vec::<String>::new());
            for run in &acknowledged {
                assert_eq!(reopened.run(*run).await.unwrap().run.tasks().total(), 51);
            }
        }
        acknowledged.push(run);
        // The next claim is to find the next run's plan.
        store.command_run(run, RunCommand::Pause).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_keeps_what_it_has_and_recovers() {
    let (disk, clock) = (Disk::default(), clock());
    let store = disk.open(&clock);
    store.register_worker(WORKER, Duration::from_secs(30), true).await.unwrap();
    let run = store.create_run(new_run(1, &clock)).await.unwrap().run.id;
    let claimed =
        store.claim(ClaimRequest { worker: WORKER, slots: 1, memory: u64::MAX, budget: u64::MAX }).await.unwrap().tasks.remove(0);
    disk.set_room(Some(disk.len().unwrap()));
    let mut acknowledged = 0;
    let large = "x".repeat(100_000);
    let refusal = loop {
        let specs = vec![TaskSpec { key: format!("k{acknowledged}").into(), input: large.as_str().into() }];
        match store.spawn(claimed.task, 1, specs).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, StoreError::Unavailable { .. }), "{refusal:?}");
    disk.set_room(None);
    let specs = vec![TaskSpec { key: "after".into(), input: "1".into() }];
    let spawned = store.spawn(claimed.task, 1, specs).await.unwrap();
    assert_eq!(spawned.created, 1);
    let total = store.run(run).await.unwrap().run.tasks().total();
    // A commit that failed may have happened, but never in part.
    assert!(total == acknowledged + 2 || total == acknowledged + 3, "{total} of {acknowledged}");
    assert_eq!(store.recount().await.unwrap(), Vec::<String>::new());
}
