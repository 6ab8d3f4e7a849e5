//! Hooks: what is to be told is recorded with what causes it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bulkhead_core::hook::{
    Delivery, DeliveryState, FailedTask, FailedTasks, GATHERED_FOR, Hook, HookCounts, HookEvent, HookName, MAX_NAMED_TASKS,
    RunFacts, StatedHook, Subject,
};
use bulkhead_core::id::{RunId, TaskId};
use bulkhead_core::name::Name;
use bulkhead_core::run::RunState;
use bulkhead_core::task::TaskState;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{
    DELIVERED_KEPT, DeliveryEnd, DeliveryRequest, HookRecord, LeasedDeliveries, MAX_FAILED, MAX_WAITING, Settlement, StoreError,
};

use super::Txn;
use crate::keys::{self, Fields, KeyRange};
use crate::kv::{self, Direction, Fault, Tx};
use crate::read;
use crate::record::GatheringRow;

impl Txn<'_> {
    /// A run changed its state: whoever wants to know is told.
    pub(super) fn tell_of_run(&mut self, id: RunId, to: &RunState) -> Tx<()> {
        let Some(event) = HookEvent::of_run(to) else { return Ok(()) };
        let definition = self.run(id)?.run.definition.clone();
        for hook in self.told(event, &definition)? {
            let facts = RunFacts::of(&self.run(id)?.run);
            self.enqueue(hook, event, Subject::Run(Box::new(facts)), self.now)?;
        }
        Ok(())
    }

    /// A task changed its state: whoever wants to know of dead letters is told.
    pub(super) fn tell_of_task(&mut self, id: TaskId, to: &TaskState) -> Tx<()> {
        let TaskState::Failed(failure) = to else { return Ok(()) };
        let definition = self.run(id.run)?.run.definition.clone();
        for hook in self.told(HookEvent::TaskFailed, &definition)? {
            let task = FailedTask::new(id, &self.task(id)?.key, failure);
            let place = keys::gathering(hook.name.as_str(), id.run, id.step);
            if let Some(row) = self.load::<GatheringRow>(&place)? {
                if row.count < MAX_NAMED_TASKS.into() {
                    let mut delivery = self.waiting_delivery(&hook.name, row.number)?;
                    if let Subject::Tasks(failed) = &mut delivery.subject {
                        failed.name(task);
                    }
                    self.put_record(&keys::delivery(hook.name.as_str(), DeliveryState::Waiting, row.number), &delivery)?;
                }
                self.put_record(&place, &GatheringRow { count: row.count + 1, last_at: self.now, ..row })?;
                continue;
            }
            let step = self.run(id.run)?.plan.step(id.step).name.clone();
            let subject = Subject::Tasks(Box::new(FailedTasks::new(definition.clone(), step, task, self.now)));
            if let Some(delivery) = self.enqueue(hook, HookEvent::TaskFailed, subject, self.now.after(GATHERED_FOR))? {
                self.put_record(&place, &GatheringRow { number: delivery.number, count: 1, last_at: self.now })?;
            }
        }
        Ok(())
    }

    fn waiting_delivery(&self, hook: &HookName, number: u64) -> Tx<Delivery> {
        let delivery = self.load(&keys::delivery(hook.as_str(), DeliveryState::Waiting, number))?;
        delivery.ok_or_else(|| Fault::Corrupt(format!("hook `{hook}` lacks delivery {number}")))
    }

    /// The hooks that are told of an event of a definition's runs.
    fn told(&self, event: HookEvent, definition: &Name) -> Tx<Vec<HookRecord>> {
        let mut names = self.hooks_of("")?;
        names.extend(self.hooks_of(definition.as_str())?);
        let mut told = Vec::new();
        for name in names {
            let record = self.load_hook(&name)?;
            if record.hook.events.contains(&event) {
                told.push(record);
            }
        }
        Ok(told)
    }

    /// The names of the hooks that are told of this definition's runs alone; of all runs where it is empty.
    fn hooks_of(&self, definition: &str) -> Tx<Vec<HookName>> {
        let mut names = Vec::new();
        self.kv.scan(&keys::hooks_of(definition).prefix(), Direction::Forward, &mut |key, _| {
            let mut fields = Fields::of(key, 1);
            fields.short()?;
            names.push(read::hooks::name(fields.text()?)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(names)
    }

    fn load_hook(&self, name: &HookName) -> Tx<HookRecord> {
        Ok(self.load(&keys::hook(name.as_str()))?.ok_or(StoreError::NotFound("hook"))?)
    }

    /// Stores a hook whose deliveries were counted as `before`.
    fn store_hook(&mut self, record: &HookRecord, before: &HookCounts) -> Tx<()> {
        self.state.totals.hooks.follow(before, &record.counts);
        self.state.batch.effects.deliveries = true;
        self.put_record(&keys::hook(record.name.as_str()), record)
    }

    /// Records what a hook is to be told; absent where it is dropped because too much waits.
    fn enqueue(&mut self, mut hook: HookRecord, event: HookEvent, subject: Subject, due: Timestamp) -> Tx<Option<Delivery>> {
        let before = hook.counts;
        if before.waiting >= MAX_WAITING {
            hook.counts.dropped += 1;
            self.store_hook(&hook, &before)?;
            return Ok(None);
        }
        hook.counts.waiting += 1;
        self.state.totals.deliveries += 1;
        let delivery = Delivery {
            number: hook.counts.total(),
            // No other delivery of this store has the number, and none of another store the number and the time.
            id: format!("msg_{:x}_{}", self.now.as_micros(), self.state.totals.deliveries).into(),
            event,
            at: self.now,
            subject,
            attempts: 0,
            earlier: 0,
            due,
            last: None,
        };
        self.store_hook(&hook, &before)?;
        self.wait_for_attempt(&hook.name, &delivery)?;
        self.state.batch.effects.hooks = true;
        Ok(Some(delivery))
    }

    /// Gives a delivery its place among those that wait.
    fn wait_for_attempt(&mut self, hook: &HookName, delivery: &Delivery) -> Tx<()> {
        self.state.batch.effects.deliveries = true;
        self.put_record(&keys::delivery(hook.as_str(), DeliveryState::Waiting, delivery.number), delivery)?;
        self.put(&keys::delivery_due(hook.as_str(), delivery.due, delivery.number), &[])
    }

    /// Stores a hook of the server.
    pub(crate) fn put_hook(&mut self, name: Name, hook: Hook) -> Tx<HookRecord> {
        self.change_hook(name.into(), hook)
    }

    /// Stores a hook; one that is there keeps its deliveries.
    fn change_hook(&mut self, name: HookName, hook: Hook) -> Tx<HookRecord> {
        let known: Option<HookRecord> = self.load(&keys::hook(name.as_str()))?;
        if let Some(known) = &known {
            if known.hook == hook {
                return Ok(known.clone());
            }
            self.index_hook(known, false)?;
        }
        let record = match known {
            Some(known) => HookRecord { hook, ..known },
            None => HookRecord { name, hook, created_at: self.now, counts: HookCounts::default() },
        };
        self.index_hook(&record, true)?;
        self.state.batch.effects.deliveries = true;
        self.put_record(&keys::hook(record.name.as_str()), &record)?;
        Ok(record)
    }

    /// Puts a hook among those of its definitions, or takes it from there.
    fn index_hook(&mut self, record: &HookRecord, there: bool) -> Tx<()> {
        for definition in read::hooks::told_of(&record.hook) {
            let key = keys::hook_of(definition, record.name.as_str());
            if there {
                self.put(&key, &[])?;
            } else {
                self.remove(&key)?;
            }
        }
        Ok(())
    }

    /// A definition states these hooks now.
    pub(super) fn set_hooks(&mut self, definition: &Name, stated: Vec<StatedHook>) -> Tx<()> {
        let of = |name: &HookName| name.definition() == Some(definition.as_str());
        let mut gone: BTreeSet<_> = self.hooks_of(definition.as_str())?.into_iter().filter(of).collect();
        for StatedHook { name, url, events, secret } in stated {
            let name = HookName::stated(definition, &name);
            gone.remove(&name);
            self.change_hook(name, Hook { url, events, definitions: vec![definition.clone()], secret })?;
        }
        gone.iter().try_for_each(|name| self.remove_hook(name))
    }

    /// Removes a hook of the server.
    pub(crate) fn delete_hook(&mut self, name: Name) -> Tx<()> {
        self.remove_hook(&name.into())
    }

    /// Removes a hook with its deliveries: there are never more than [`MAX_WAITING`], [`MAX_FAILED`] and [`DELIVERED_KEPT`].
    fn remove_hook(&mut self, name: &HookName) -> Tx<()> {
        let record = self.load_hook(name)?;
        self.index_hook(&record, false)?;
        let gone = HookCounts { waiting: 0, failed: 0, ..record.counts };
        self.state.totals.hooks.follow(&record.counts, &gone);
        self.state.batch.effects.deliveries = true;
        for table in [keys::deliveries_of, keys::deliveries_due, keys::gathering_of] {
            for key in kv::keys_of(self.kv, &table(name.as_str()).prefix(), usize::MAX)? {
                self.remove(&key)?;
            }
        }
        self.remove(&keys::hook(name.as_str()))
    }

    /// Records a delivery that tests a hook.
    pub(crate) fn test_hook(&mut self, name: &HookName) -> Tx<Delivery> {
        let hook = self.load_hook(name)?;
        if hook.counts.waiting >= MAX_WAITING {
            return Err(StoreError::Conflict(format!("{MAX_WAITING} deliveries of hook `{name}` wait: no more can")).into());
        }
        let delivery = self.enqueue(hook, HookEvent::Test, Subject::Nothing, self.now)?;
        delivery.ok_or_else(|| Fault::Storage("a delivery was dropped".into()))
    }

    /// Has failed deliveries sent again, as many as may wait.
    pub(crate) fn redeliver(&mut self, name: &HookName, number: Option<u64>) -> Tx<u64> {
        let mut hook = self.load_hook(name)?;
        let before = hook.counts;
        let room = MAX_WAITING.saturating_sub(before.waiting);
        if room == 0 {
            return Err(StoreError::Conflict(format!("{MAX_WAITING} deliveries of hook `{name}` wait: no more can")).into());
        }
        let keys = match number {
            Some(number) => vec![keys::delivery(name.as_str(), DeliveryState::Failed, number)],
            None => {
                let failed = keys::deliveries(name.as_str(), DeliveryState::Failed).prefix();
                kv::keys_of(self.kv, &failed, usize::try_from(room).unwrap_or(usize::MAX))?
            }
        };
        let mut again = Vec::new();
        for key in &keys {
            again.push(self.load::<Delivery>(key)?.ok_or(StoreError::NotFound("failed delivery"))?);
        }
        let count = again.len() as u64;
        if count == 0 {
            return Ok(0);
        }
        hook.counts.failed -= count;
        hook.counts.waiting += count;
        self.store_hook(&hook, &before)?;
        self.state.batch.effects.hooks = true;
        for (key, delivery) in keys.iter().zip(again) {
            self.remove(key)?;
            self.wait_for_attempt(name, &Delivery { earlier: delivery.attempts, due: self.now, ..delivery })?;
        }
        Ok(count)
    }

    /// Hands out what is due, one look for each hook with deliveries that wait. Hooks take turns: the first is the one after
    /// that which was served last.
    pub(crate) fn lease_deliveries(&mut self, request: &DeliveryRequest) -> Tx<LeasedDeliveries> {
        let mut leased = LeasedDeliveries::default();
        let all = keys::all_deliveries_due();
        let turns = match &request.after {
            Some(after) => {
                let served = keys::deliveries_due(after.as_str());
                let next = KeyRange { start: served.prefix().end.unwrap_or_default(), ..all.prefix() };
                vec![next, KeyRange { end: served.prefix().end, ..all.prefix() }]
            }
            None => vec![all.prefix()],
        };
        for mut range in turns {
            while leased.deliveries.len() < request.limit
                && let Some(hook) = self.first_hook_due(&range)?
            {
                self.lease_of(&hook, request, &mut leased)?;
                range.start = keys::deliveries_due(hook.as_str()).prefix().end.unwrap_or_default();
            }
        }
        Ok(leased)
    }

    /// The hook of the first delivery that waits in a range.
    fn first_hook_due(&self, range: &KeyRange) -> Tx<Option<HookName>> {
        let mut first = None;
        self.kv.scan(range, Direction::Forward, &mut |key, _| {
            first = Some(read::hooks::name(Fields::of(key, 1).short()?)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(first)
    }

    /// Hands out what is due of one hook, as far as it has room.
    fn lease_of(&mut self, name: &HookName, request: &DeliveryRequest, leased: &mut LeasedDeliveries) -> Tx<()> {
        let busy = request.busy.get(name).copied().unwrap_or(0);
        let room = request.per_hook.saturating_sub(busy).min(request.limit - leased.deliveries.len());
        if room == 0 {
            return Ok(());
        }
        let (mut due, mut next) = (Vec::new(), None);
        self.kv.scan(&keys::deliveries_due(name.as_str()).prefix(), Direction::Forward, &mut |key, _| {
            let mut fields = Fields::of(key, 1);
            fields.short()?;
            let at = fields.time()?;
            if at > self.now {
                next = Some(at);
            } else if due.len() < room {
                due.push(fields.seq()?);
                return Ok(ControlFlow::Continue(()));
            }
            Ok(ControlFlow::Break(()))
        })?;
        leased.next = leased.next.into_iter().chain(next).min();
        if due.is_empty() {
            return Ok(());
        }
        let hook = self.load_hook(name)?;
        for number in due {
            let mut delivery = self.waiting_delivery(name, number)?;
            self.remove(&keys::delivery_due(name.as_str(), delivery.due, number))?;
            if let (0, Subject::Tasks(failed)) = (delivery.attempts, &mut delivery.subject) {
                let (run, step) = failed.place();
                let place = keys::gathering(name.as_str(), run, step);
                if let Some(GatheringRow { count, last_at, .. }) = self.load(&place)? {
                    failed.gathered(count, last_at);
                    self.remove(&place)?;
                }
            }
            delivery.attempts += 1;
            delivery.due = self.now.after(request.lease);
            self.wait_for_attempt(name, &delivery)?;
            leased.deliveries.push((hook.clone(), delivery));
        }
        Ok(())
    }

    /// Records what came of an attempt.
    pub(crate) fn settle_delivery(&mut self, settlement: Settlement) -> Tx<()> {
        let Settlement { hook: name, number, id, attempt, answer, end } = settlement;
        let key = keys::delivery(name.as_str(), DeliveryState::Waiting, number);
        let Some(mut delivery) = self.load::<Delivery>(&key)? else { return Ok(()) };
        if delivery.id != id || delivery.attempts != attempt {
            return Ok(());
        }
        let mut hook = self.load_hook(&name)?;
        self.remove(&keys::delivery_due(name.as_str(), delivery.due, number))?;
        delivery.last = Some(answer);
        let (state, kept) = match end {
            DeliveryEnd::Retry { wait } => {
                delivery.due = self.now.after(wait);
                return self.wait_for_attempt(&name, &delivery);
            }
            DeliveryEnd::Delivered => (DeliveryState::Delivered, DELIVERED_KEPT),
            DeliveryEnd::Failed => (DeliveryState::Failed, MAX_FAILED),
        };
        self.remove(&key)?;
        self.put_record(&keys::delivery(name.as_str(), state, number), &delivery)?;
        let before = hook.counts;
        hook.counts.waiting -= 1;
        let count = match state {
            DeliveryState::Failed => &mut hook.counts.failed,
            _ => &mut hook.counts.delivered,
        };
        *count += 1;
        if *count > kept {
            let rows = keys::deliveries(name.as_str(), state).prefix();
            for oldest in kv::keys_of(self.kv, &rows, 1)? {
                self.remove(&oldest)?;
            }
            if state == DeliveryState::Failed {
                hook.counts.failed -= 1;
                hook.counts.dropped += 1;
            }
        }
        self.store_hook(&hook, &before)
    }
}
