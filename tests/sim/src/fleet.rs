//! The processes of a world: they start, freeze, drain, die and come back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bulkhead_core::id::WorkerId;
use bulkhead_engine::engine::{Engine, EngineConfig};
use bulkhead_engine::jobs::Jobs;
use bulkhead_engine::uploads::Uploads;

use crate::executor::Scripted;
use crate::process::{Process, ProcessStore, port};
use crate::rng::Rng;
use crate::world::World;

/// The longest that an orderly stop may take once nothing fails any more.
const STOP_BOUND: Duration = Duration::from_secs(30);

/// A process that lives.
struct Ship {
    process: Arc<Process>,
    store: ProcessStore,
    engine: Engine,
    worker: WorkerId,
    jobs: Jobs,
    /// Where the world has uploads.
    uploads: Option<Uploads>,
}

/// All processes. A place is empty while its process is down.
pub(crate) struct Fleet {
    world: Arc<World>,
    places: Mutex<Vec<Option<Ship>>>,
    rng: Mutex<Rng>,
    started: Mutex<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fleet {
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        let places = (0..world.profile.workers).map(|_| None).collect();
        let rng = Rng::of(world.seed, &[7]);
        Arc::new(Self { world: world.clone(), places: Mutex::new(places), rng: Mutex::new(rng), started: Mutex::new(0) })
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut lock(&self.rng))
    }

    /// The store through one of the processes that live.
    pub(crate) fn any_store(&self) -> Option<ProcessStore> {
        let places = lock(&self.places);
        let stores: Vec<_> = places.iter().flatten().map(|ship| &ship.store).collect();
        if stores.is_empty() { None } else { Some(stores[self.draw(|rng| rng.below(stores.len() as u64)) as usize].clone()) }
    }

    /// The service of one of the processes that live.
    pub(crate) fn any_jobs(&self) -> Option<Jobs> {
        lock(&self.places).iter().flatten().map(|ship| ship.jobs.clone()).next()
    }

    /// The processes whose workers take tasks.
    pub(crate) fn processes(&self) -> Vec<Arc<Process>> {
        lock(&self.places).iter().flatten().filter(|ship| !ship.engine.load().draining).map(|ship| ship.process.clone()).collect()
    }

    /// Starts a process in an empty place. Tries until the store takes the registration, as a supervisor does.
    pub(crate) async fn start(&self, place: usize) {
        loop {
            let number = {
                let mut started = lock(&self.started);
                *started += 1;
                *started
            };
            let (process, worker, seed) = self.draw(|rng| (Process::new(number), WorkerId::from_u128(rng.wide()), rng.next()));
            let store = ProcessStore::new(&self.world, &process);
            let executor = Arc::new(Scripted { world: self.world.clone(), process: process.clone() });
            let profile = &self.world.profile;
            let config = EngineConfig {
                worker,
                slots: profile.slots,
                memory: profile.memory,
                lease: profile.lease,
                exclusive: profile.workers == 1,
                retention: profile.retention,
                seed,
            };
            match Engine::start(port(&store), executor.clone(), config).await {
                Ok(engine) => {
                    self.world.say(format!("process {number} starts in place {place}"));
                    let jobs = Jobs::new(port(&store), executor);
                    let uploads = (profile.uploads > 0).then(|| Uploads::start(jobs.clone()));
                    lock(&self.places)[place] = Some(Ship { process, store, engine, worker, jobs, uploads });
                    return;
                }
                Err(error) => {
                    process.kill();
                    self.world.say(format!("process {number} can't start: {error}"));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Kills a process without warning.
    pub(crate) fn crash(&self, place: usize) {
        if let Some(ship) = lock(&self.places)[place].take() {
            self.world.note_fault();
            self.world.say(format!("process {} is killed", ship.process.number));
            ship.process.kill();
        }
    }

    /// Stops a process in order: after it, its worker holds nothing.
    async fn stop(&self, place: usize, grace: Duration) {
        let Some(Ship { process, engine, worker, uploads, .. }) = lock(&self.places)[place].take() else { return };
        self.world.say(format!("process {} drains", process.number));
        self.world.met("drained");
        if let Some(uploads) = uploads {
            uploads.stop().await;
        }
        engine.drain(grace).await;
        let mut stopping = std::pin::pin!(engine.stop());
        let result = loop {
            tokio::select! {
                biased;
                result = &mut stopping => break result,
                () = tokio::time::sleep(STOP_BOUND) => {
                    let since = self.world.elapsed() - self.world.last_fault();
                    let bound = (STOP_BOUND + self.world.profile.lease).as_micros() as u64;
                    if !self.world.is_stormy() && since > bound {
                        self.world.violate(format!("process {} does not stop", process.number));
                        return;
                    }
                }
            }
        };
        let said = result.as_ref().err().map_or_else(|| "in order".into(), ToString::to_string);
        self.world.say(format!("process {} stopped: {said}", process.number));
        let conflict = matches!(result, Err(bulkhead_engine::store::StoreError::Conflict(_)));
        self.world.require(!conflict, || format!("{worker} stopped and left tasks behind: {said}"));
        process.kill();
    }

    /// Freezes a process for a while: when it goes on, its lease may be gone.
    async fn freeze(&self, place: usize, time: Duration) {
        let process = lock(&self.places)[place].as_ref().map(|ship| ship.process.clone());
        if let Some(process) = process {
            self.world.note_fault();
            self.world.met("frozen process");
            self.world.say(format!("process {} freezes for {} ms", process.number, time.as_millis()));
            process.freeze();
            tokio::time::sleep(time).await;
            self.world.note_fault();
            self.world.say(format!("process {} goes on", process.number));
            process.thaw();
        }
    }

    /// Disasters at random, until the storm ends.
    pub(crate) async fn storm(self: Arc<Self>) {
        let pause = self.world.profile.disasters;
        let end = tokio::time::Instant::now() + self.world.profile.storm;
        if pause == 0 {
            tokio::time::sleep_until(end).await;
            return;
        }
        loop {
            let wait = self.draw(|rng| rng.millis(0, pause));
            tokio::time::sleep(wait).await;
            if tokio::time::Instant::now() >= end {
                return;
            }
            let place = self.draw(|rng| rng.below(self.world.profile.workers as u64)) as usize;
            let (kind, time, forwards) = self.draw(|rng| (rng.below(100), rng.millis(10, 8_000), rng.permille(500)));
            match kind {
                0..35 => {
                    self.crash(place);
                    tokio::time::sleep(time / 4).await;
                    self.start(place).await;
                }
                35..55 => {
                    self.world.met("all crashed");
                    (0..self.world.profile.workers).for_each(|place| self.crash(place));
                    self.world.crash_store();
                    for place in 0..self.world.profile.workers {
                        self.start(place).await;
                    }
                }
                55..70 => self.freeze(place, time).await,
                70..80 => self.world.outage(time),
                80..88 => {
                    self.stop(place, time / 4).await;
                    self.start(place).await;
                }
                _ => self.world.jump_clock(time * 4, forwards),
            }
        }
    }

    /// Stops everything in order, at the end.
    pub(crate) async fn stop_all(&self) {
        for place in 0..self.world.profile.workers {
            self.stop(place, Duration::from_secs(1)).await;
        }
    }
}
