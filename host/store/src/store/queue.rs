//! [`Queue`]: runs and tasks.

use std::time::Duration;

use bulkhead_core::id::{RunId, TaskId, WorkerId};
use bulkhead_core::log::Line;
use bulkhead_core::machine::RunCommand;
use bulkhead_core::run::Run;
use bulkhead_core::task::{Progress, Task, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{
    ClaimRequest, Claims, Completion, CreatedRun, Housekeeping, NewRun, Queue, Retention, Signal, Spawned, StoreFuture, Summoned,
    Summons, TaskOrder, TaskSpec,
};
use bytes::Bytes;

use super::{Cost, KvStore};
use crate::read;
use crate::txn::PreparedRun;

/// What an operation without payload weighs.
const LIGHT: usize = 256;

fn weight_of(lines: &[Line]) -> usize {
    lines.iter().map(|line| 32 + line.message.len() + line.fields.as_deref().map_or(0, str::len)).sum()
}

impl<K: 'static> Queue for KvStore<K> {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn create_run(&self, new: NewRun) -> StoreFuture<'_, CreatedRun> {
        match PreparedRun::new(new) {
            Ok(new) => self.write("create_run", LIGHT, |txn| txn.create_run(new)),
            Err(fault) => Box::pin(async { Err(fault.into()) }),
        }
    }

    fn command_run(&self, run: RunId, command: RunCommand) -> StoreFuture<'_, Run> {
        self.write("command_run", LIGHT, move |txn| txn.command_run(run, command))
    }

    fn order_task(&self, task: TaskId, order: TaskOrder) -> StoreFuture<'_, Task> {
        let weight = match &order {
            TaskOrder::Edit { input, .. } => LIGHT + input.len(),
            TaskOrder::Retry | TaskOrder::Skip | TaskOrder::Cancel => LIGHT,
        };
        self.write("order_task", weight, move |txn| txn.order_task(task, order))
    }

    fn summon(&self, summons: Summons) -> StoreFuture<'_, Summoned> {
        self.write("summon", LIGHT, move |txn| txn.summon(summons))
    }

    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()> {
        self.write("delete_run", LIGHT, move |txn| txn.delete_run(run))
    }

    fn register_worker(&self, worker: WorkerId, lease: Duration, exclusive: bool) -> StoreFuture<'_, ()> {
        self.write("register_worker", LIGHT, move |txn| txn.register_worker(worker, lease, exclusive))
    }

    fn renew(&self, worker: WorkerId, lease: Duration, progress: Vec<(TaskId, u32, Progress)>) -> StoreFuture<'_, ()> {
        self.write("renew", LIGHT * (1 + progress.len()), move |txn| txn.renew(worker, lease, progress))
    }

    fn reconcile(&self, worker: WorkerId, holding: Vec<(TaskId, u32)>) -> StoreFuture<'_, ()> {
        self.write("reconcile", LIGHT * (1 + holding.len()), move |txn| txn.reconcile(worker, &holding))
    }

    fn retire_worker(&self, worker: WorkerId) -> StoreFuture<'_, ()> {
        self.write("retire_worker", LIGHT, move |txn| txn.retire_worker(worker))
    }

    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, Claims> {
        self.write("claim", LIGHT * request.slots.max(1), move |txn| txn.claim(request))
    }

    fn complete(&self, completion: Completion) -> StoreFuture<'_, TaskStatus> {
        let weight = LIGHT + weight_of(&completion.lines) + completion.output.as_deref().map_or(0, str::len);
        self.write("complete", weight, |txn| txn.complete(completion))
    }

    fn spawn(&self, task: TaskId, attempt: u32, specs: Vec<TaskSpec>) -> StoreFuture<'_, Spawned> {
        let weight = specs.iter().map(|spec| LIGHT + spec.key.len() + spec.input.len()).sum();
        self.write("spawn", weight, move |txn| txn.spawn(task, attempt, specs))
    }

    fn save_checkpoint(&self, task: TaskId, attempt: u32, data: Bytes) -> StoreFuture<'_, ()> {
        self.write("save_checkpoint", LIGHT + data.len(), move |txn| txn.save_checkpoint(task, attempt, &data))
    }

    fn load_checkpoint(&self, task: TaskId) -> StoreFuture<'_, Option<Bytes>> {
        self.read(Cost::Point, move |kv| read::checkpoint(kv, task))
    }

    fn append_log(&self, task: TaskId, attempt: u32, first: u64, lines: Vec<Line>) -> StoreFuture<'_, ()> {
        self.write("append_log", LIGHT + weight_of(&lines), move |txn| txn.append_log(task, attempt, first, lines))
    }

    fn take_revoked(&self, worker: WorkerId) -> StoreFuture<'_, Vec<TaskId>> {
        self.write("take_revoked", LIGHT, move |txn| txn.take_revoked(worker))
    }

    fn revocation_signal(&self, worker: WorkerId) -> Signal {
        self.signals.revoked(worker)
    }

    fn housekeep(&self, retention: Retention) -> StoreFuture<'_, Housekeeping> {
        let due = self.write("housekeep", LIGHT, move |txn| txn.housekeep(retention));
        Box::pin(async move {
            let mut done = due.await?;
            done.again |= self.contents.sweep().await;
            Ok(done)
        })
    }

    fn work_signal(&self) -> Signal {
        self.signals.work()
    }

    fn housekeeping_signal(&self) -> Signal {
        self.signals.housekeeping()
    }
}
