//! Those who use the service: they start runs, command them, and read their logs.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bulkhead_core::failure::{CauseSet, FailureFilter};
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId};
use bulkhead_core::machine::RunCommand;
use bulkhead_core::plan::Plan;
use bulkhead_core::run::{RunStatus, Trigger};
use bulkhead_engine::jobs::JobError;
use bulkhead_engine::store::{
    CreatedRun, Idempotency, Journal as _, LogQuery, NewRun, Queue as _, RunView, StoreError, StoreResult, Summons, TaskOrder,
};

use crate::fleet::Fleet;
use crate::process::ProcessStore;
use crate::rng::Rng;
use crate::uploads;
use crate::workload;
use crate::world::{World, ready};

/// How long a client waits for an answer before it takes the server for dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines that a reader asks for.
const PAGE: u64 = 40;

/// What a reader saw of a run's log.
#[derive(Debug, Default)]
struct Seen {
    run: Option<RunId>,
    lines: Vec<(u64, String)>,
    done: bool,
}

/// All clients of a world.
pub(crate) struct Clients {
    world: Arc<World>,
    fleet: Arc<Fleet>,
    readers: Mutex<Vec<Arc<Mutex<Seen>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clients {
    pub(crate) fn new(world: &Arc<World>, fleet: &Arc<Fleet>) -> Arc<Self> {
        Arc::new(Self { world: world.clone(), fleet: fleet.clone(), readers: Mutex::default() })
    }

    /// Asks some process that lives; asks again, of another perhaps, until one answers.
    async fn ask<T, F>(&self, ask: impl Fn(ProcessStore) -> F) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        loop {
            if let Some(store) = self.fleet.any_store() {
                match tokio::time::timeout(PATIENCE, ask(store)).await {
                    Ok(Err(StoreError::Unavailable { .. })) | Err(_) => {}
                    Ok(answer) => return answer,
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Starts all runs of the world, one after the other, some of them more than once under the same key.
    pub(crate) async fn start_runs(self: Arc<Self>) {
        let mut rng = Rng::of(self.world.seed, &[4]);
        for number in 0..self.world.profile.runs {
            tokio::time::sleep(rng.millis(0, 4_000)).await;
            let plan = Arc::new(workload::plan(&mut rng, self.world.profile.memory));
            let key = format!("run-{number}");
            let again = rng.permille(400);
            let ids = rng.next();
            let [first, second] = [0, 1].map(|caller| Rng::of(ids, &[caller]));
            let both = async {
                let late = async {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    self.start_run(second, plan.clone(), &key).await
                };
                if again {
                    let (one, other) = futures::join!(self.start_run(first, plan.clone(), &key), late);
                    self.world.met("started twice");
                    // Between the two, the first may have ended and been removed.
                    let gone = self.world.oracle().runs.get(&one.min(other)).is_some_and(|run| run.gone);
                    self.world.require(one == other || gone, || format!("the key {key} started {one} and {other}"));
                    one
                } else {
                    self.start_run(first, plan.clone(), &key).await
                }
            };
            let run = both.await;
            for reader in 0..rng.between(0, 2) {
                let rng = Rng::of(self.world.seed, &[5, number, reader]);
                let seen = Arc::new(Mutex::new(Seen { run: Some(run), ..Seen::default() }));
                lock(&self.readers).push(seen.clone());
                tokio::spawn(self.clone().read_log(run, rng, seen));
            }
        }
    }

    async fn start_run(&self, rng: Rng, plan: Arc<Plan>, key: &str) -> RunId {
        let mut rng = rng;
        let paused = rng.permille(150);
        // Each try brings an id of its own, as a request does that is sent again.
        let rng = Mutex::new(rng);
        let created: StoreResult<CreatedRun> = self
            .ask(|store| {
                let new = NewRun {
                    id: RunId::new(store.now(), lock(&rng).wide()),
                    plan: plan.clone(),
                    parameters: "{}".into(),
                    files: vec![],
                    trigger: Trigger::Api,
                    paused,
                    idempotency: Some(Idempotency { key: key.to_owned(), request: Digest::from_bytes([1; 32]) }),
                };
                async move { store.create_run(new).await }
            })
            .await;
        match created {
            Ok(created) => {
                let checked = self.world.oracle().created(key, created.run.id);
                if let Err(broken) = checked {
                    self.world.violate(broken);
                }
                created.run.id
            }
            Err(error) => {
                self.world.violate(format!("a run can't be created: {error}"));
                RunId::from_u128(0)
            }
        }
    }

    /// Uploads all plugins of the world, each until it is taken.
    pub(crate) async fn upload_plugins(self: Arc<Self>) {
        for number in 0..self.world.profile.uploads {
            let mut rng = Rng::of(self.world.seed, &[9, number]);
            tokio::time::sleep(rng.millis(0, 8_000)).await;
            let component = uploads::component(number);
            loop {
                if let Some(jobs) = self.fleet.any_jobs() {
                    match tokio::time::timeout(PATIENCE, jobs.submit(component.clone(), None)).await {
                        Ok(Ok(taken)) => {
                            self.world.oracle().uploads.acknowledged(taken.upload.digest);
                            break;
                        }
                        Ok(Err(JobError::Store(StoreError::Unavailable { .. }))) | Err(_) => {}
                        Ok(Err(error)) => self.world.violate(format!("a plugin can't be uploaded: {error}")),
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Commands runs at random while the storm lasts.
    pub(crate) async fn command_runs(self: Arc<Self>) {
        let mut rng = Rng::of(self.world.seed, &[6]);
        let pause = self.world.profile.commands;
        if pause == 0 {
            return;
        }
        loop {
            tokio::time::sleep(rng.millis(0, pause)).await;
            if self.world.healed.load(Ordering::Relaxed) {
                return;
            }
            let runs: Vec<_> = self.world.oracle().runs.iter().filter(|(_, run)| !run.gone).map(|(id, _)| *id).collect();
            if runs.is_empty() {
                continue;
            }
            let run = rng.pick(&runs);
            if rng.permille(50) {
                let _ = self.ask(|store| async move { store.delete_run(run).await }).await;
                continue;
            }
            let command = match rng.below(100) {
                0..20 => RunCommand::Cancel,
                20..45 => RunCommand::Pause,
                45..75 => RunCommand::Resume,
                _ => RunCommand::RetryFailed,
            };
            self.command(run, command).await;
        }
    }

    /// Orders something of single tasks, at random, while the storm lasts.
    pub(crate) async fn order_tasks(self: Arc<Self>) {
        let mut rng = Rng::of(self.world.seed, &[7]);
        let pause = self.world.profile.commands;
        if pause == 0 {
            return;
        }
        for number in 0u64.. {
            tokio::time::sleep(rng.millis(0, pause)).await;
            if self.world.healed.load(Ordering::Relaxed) {
                return;
            }
            let tasks: Vec<TaskId> = self.world.oracle().tasks().collect();
            if tasks.is_empty() {
                continue;
            }
            let task = rng.pick(&tasks);
            match rng.below(100) {
                0..25 => self.order(task, TaskOrder::Retry).await,
                25..35 => self.order(task, TaskOrder::Skip).await,
                35..50 => self.order(task, TaskOrder::Cancel).await,
                50..65 => self.order(task, TaskOrder::Edit { input: format!("\"edit {number}\"").into(), by: None }).await,
                65..90 => {
                    let step = rng.permille(500).then_some(task.step);
                    self.summon(task.run, step, number, rng.permille(500)).await;
                }
                _ => {
                    let causes = CauseSet::from_names(["plugin-error", "trap", "timed-out"]).expect("causes");
                    let filter = FailureFilter { causes, text: None };
                    let step = rng.permille(500).then_some(task.step);
                    self.command(task.run, RunCommand::RetryMatching { step, filter }).await;
                }
            }
        }
    }

    /// Orders something of a task. A refusal is fine: the task may have gone on meanwhile.
    async fn order(&self, task: TaskId, order: TaskOrder) {
        let answer = self
            .ask(|store| {
                let order = order.clone();
                async move { store.order_task(task, order).await }
            })
            .await;
        let said = answer.as_ref().map_or_else(ToString::to_string, |task| task.state.status().name().to_owned());
        self.world.say(format!("client: {order:?} s{}t{}: {said}", task.step.0, task.index));
    }

    /// Asks for one task to run next, perhaps twice under the same key, which must be the same task.
    async fn summon(&self, run: RunId, step: Option<StepIndex>, number: u64, again: bool) {
        let key = format!("summons-{number}");
        self.world.oracle().summons_asked(&key);
        let ask = || {
            self.ask(|store| {
                let idempotency = Some(Idempotency { key: key.clone(), request: Digest::from_bytes([2; 32]) });
                async move { store.summon(Summons { run, step, idempotency }).await }
            })
        };
        let first = ask().await;
        if let Ok(first) = &first {
            self.world.met("summoned task");
            self.world.say(format!("client: summoned s{}t{}", first.task.step.0, first.task.index));
        }
        if again && first.is_ok() {
            let second = ask().await;
            if let (Ok(first), Ok(second)) = (&first, &second) {
                let same = (first.task, first.after) == (second.task, second.after);
                self.world.require(same, || format!("one key summoned {} and {}", first.task, second.task));
            }
        }
    }

    /// Commands a run. A refusal is fine: the run may have gone on meanwhile.
    pub(crate) async fn command(&self, run: RunId, command: RunCommand) {
        let answer = self
            .ask(|store| {
                let command = command.clone();
                async move { store.command_run(run, command).await }
            })
            .await;
        let said = answer.as_ref().map_or_else(ToString::to_string, |run| run.state.status().name().to_owned());
        self.world.say(format!("client: {command:?} {said}"));
        if command == RunCommand::Cancel && answer.is_ok() {
            self.world.met("cancelled run");
            let at = self.world.elapsed();
            self.world.oracle().cancellation(run, at);
        }
    }

    /// Resumes what is paused.
    pub(crate) async fn resume_all(&self) {
        let paused: Vec<_> = {
            let oracle = self.world.oracle();
            oracle.runs.iter().filter(|(_, run)| !run.gone && run.status == RunStatus::Paused).map(|(id, _)| *id).collect()
        };
        for run in paused {
            self.command(run, RunCommand::Resume).await;
        }
    }

    /// Follows a run's log with a cursor: from late on perhaps, slowly perhaps, and from another process when its own dies.
    async fn read_log(self: Arc<Self>, run: RunId, mut rng: Rng, seen: Arc<Mutex<Seen>>) {
        let slow = rng.permille(300);
        if rng.permille(300) {
            tokio::time::sleep(rng.millis(0, 20_000)).await;
        }
        let mut after = 0;
        'process: loop {
            let Some(store) = self.fleet.any_store() else {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            };
            let mut signal = store.run_signal(run);
            loop {
                let query = LogQuery { after, limit: rng.between(1, PAGE) as usize, ..LogQuery::default() };
                let page = match tokio::time::timeout(PATIENCE, store.log(run, query)).await {
                    Ok(Ok(page)) => page,
                    Ok(Err(StoreError::NotFound(_))) => break 'process,
                    Ok(Err(_)) | Err(_) => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue 'process;
                    }
                };
                lock(&seen).lines.extend(page.lines.iter().map(|line| (line.seq, line.message.to_string())));
                after = page.scanned;
                if page.scanned < page.last {
                    if slow {
                        tokio::time::sleep(rng.millis(0, 500)).await;
                    }
                    continue;
                }
                if page.ended && self.world.over.load(Ordering::Relaxed) {
                    break 'process;
                }
                // In bad weather a signal may be lost; in good weather nobody looks twice.
                let patience = if self.world.profile.calm && !page.ended { Duration::from_secs(86_400) } else { PATIENCE };
                let _ = tokio::time::timeout(patience, signal.wait()).await;
                if store.process().is_dead() {
                    continue 'process;
                }
            }
        }
        lock(&seen).done = true;
    }

    /// Whether every reader has come to the end.
    pub(crate) fn readers_are_done(&self) -> bool {
        lock(&self.readers).iter().all(|seen| lock(seen).done)
    }

    /// Every reader saw exactly what is stored.
    pub(crate) fn check_readers(&self) {
        let store = self.world.store();
        for seen in lock(&self.readers).iter() {
            let seen = lock(seen);
            let Some(run) = seen.run else { continue };
            if !ready(store.run(run)).is_ok_and(|RunView { run, .. }| run.state.is_terminal()) {
                continue;
            }
            let mut stored = Vec::new();
            loop {
                let query = LogQuery { after: stored.len() as u64, limit: 500, ..LogQuery::default() };
                let Ok(page) = ready(store.log(run, query)) else { break };
                stored.extend(page.lines.iter().map(|line| (line.seq, line.message.to_string())));
                if page.scanned == page.last {
                    break;
                }
            }
            let differs = stored.iter().zip(&seen.lines).find(|(stored, seen)| stored != seen);
            self.world.require(stored == seen.lines, || {
                let (stored, seen) = (stored.len(), seen.lines.len());
                format!("a reader saw {seen} of {stored} lines of {run}; the first difference: {differs:?}")
            });
        }
    }
}
