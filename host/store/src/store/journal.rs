//! [`Journal`] and [`Letters`]: what was recorded.

use bulkhead_core::event::EventRecord;
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId};
use bulkhead_core::log::Tail;
use bulkhead_core::run::Run;
use bulkhead_core::task::Task;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{
    Journal, LetterGroup, LetterRun, Letters, LogPage, LogQuery, LogRecord, RunFilter, RunView, Signal, Statistics, StoreFuture,
    TaskFilter, TaskView,
};

use super::{Cost, KvStore};
use crate::events;
use crate::read::{self, MOST_PER_PAGE};

impl<K: 'static> Journal for KvStore<K> {
    fn run(&self, run: RunId) -> StoreFuture<'_, RunView> {
        self.read(Cost::Point, move |kv| read::run(kv, run))
    }

    fn runs(&self, filter: RunFilter, before: Option<RunId>, limit: usize) -> StoreFuture<'_, Vec<Run>> {
        self.read(Cost::Range, move |kv| read::runs(kv, &filter, before, limit))
    }

    fn task(&self, task: TaskId) -> StoreFuture<'_, TaskView> {
        self.read(Cost::Point, move |kv| read::task(kv, task))
    }

    fn tasks(&self, run: RunId, filter: TaskFilter, after: Option<TaskId>, limit: usize) -> StoreFuture<'_, Vec<Task>> {
        self.read(Cost::Range, move |kv| read::tasks(kv, run, &filter, after, limit))
    }

    fn tasks_numbered(&self, run: RunId, step: StepIndex, numbers: Vec<u32>) -> StoreFuture<'_, Vec<Task>> {
        self.read(Cost::Range, move |kv| read::tasks_numbered(kv, run, step, &numbers))
    }

    fn running_tasks(&self, run: RunId) -> StoreFuture<'_, Vec<Task>> {
        self.read(Cost::Range, move |kv| read::running_tasks(kv, run))
    }

    fn next_due(&self, run: RunId) -> StoreFuture<'_, Vec<Option<Timestamp>>> {
        self.read(Cost::Point, move |kv| read::next_due(kv, run))
    }

    fn count_tasks(&self, run: RunId, filter: TaskFilter) -> StoreFuture<'_, u64> {
        self.read(Cost::Range, move |kv| read::count_tasks(kv, run, &filter))
    }

    fn log_tail(&self, task: TaskId, tail: Tail) -> StoreFuture<'_, Vec<LogRecord>> {
        self.read(Cost::Range, move |kv| read::log::tail(kv, task, &tail))
    }

    fn log(&self, run: RunId, query: LogQuery) -> StoreFuture<'_, LogPage> {
        self.read(Cost::Range, move |kv| read::log::read(kv, run, &query))
    }

    fn events(&self, after: u64, limit: usize) -> StoreFuture<'_, Vec<EventRecord>> {
        self.read(Cost::Range, move |kv| events::read(kv, after, limit.min(MOST_PER_PAGE)))
    }

    fn last_event(&self) -> StoreFuture<'_, u64> {
        self.read(Cost::Point, |kv| Ok(read::totals(kv)?.last_event))
    }

    fn statistics(&self) -> StoreFuture<'_, Statistics> {
        let oldest_due = self.published.oldest_due(self.clock.now());
        self.read(Cost::Point, move |kv| Ok(Statistics { oldest_due, ..read::totals(kv)?.statistics }))
    }

    fn run_signal(&self, run: RunId) -> Signal {
        self.signals.run(run)
    }

    fn event_signal(&self) -> Signal {
        self.signals.events()
    }

    fn recount(&self) -> StoreFuture<'_, Vec<String>> {
        let stored = self.read(Cost::Range, read::recount::recount);
        // What the writer keeps in memory is compared by the writer, between two batches.
        let memory = self.write("recount", 0, |txn| txn.recount_memory());
        let place = self.contents.place().clone();
        let contents = self.read(Cost::Range, move |kv| read::recount::contents(kv, &*place));
        Box::pin(async {
            let mut differences = stored.await?;
            differences.extend(contents.await?);
            differences.extend(memory.await?);
            Ok(differences)
        })
    }
}

impl<K: 'static> Letters for KvStore<K> {
    fn letter_groups(&self) -> StoreFuture<'_, Vec<LetterGroup>> {
        self.read(Cost::Range, read::letter::groups)
    }

    fn letter_group(&self, group: Digest) -> StoreFuture<'_, LetterGroup> {
        self.read(Cost::Point, move |kv| read::letter::group(kv, group))
    }

    fn letter_runs(&self, group: Digest, before: Option<RunId>, limit: usize) -> StoreFuture<'_, Vec<LetterRun>> {
        self.read(Cost::Range, move |kv| read::letter::runs(kv, group, before, limit))
    }
}
