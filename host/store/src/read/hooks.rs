//! Hooks and their outbox.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bulkhead_core::definition::standing;
use bulkhead_core::hook::{Delivery, DeliveryState, Hook, HookCounts, HookName, Subject};
use bulkhead_core::id::{RunId, StepIndex};
use bulkhead_core::name::Name;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{DELIVERED_KEPT, DefinitionRecord, HookRecord, MAX_FAILED, MAX_WAITING, StoreError};

use super::{list, page, recount, table};
use crate::keys::{self, Fields};
use crate::kv::{self, Direction, Fault, KvRead, Tx};
use crate::record::{self, GatheringRow};

/// A hook's name as a key has it.
pub(crate) fn name(text: &str) -> Tx<HookName> {
    text.parse().map_err(|error| Fault::Corrupt(format!("a key names no hook: {error}")))
}

/// The definitions under which a hook is found: one without a name stands for all.
pub(crate) fn told_of(hook: &Hook) -> Vec<&str> {
    if hook.definitions.is_empty() { vec![""] } else { hook.definitions.iter().map(Name::as_str).collect() }
}

pub(crate) fn hook(kv: &dyn KvRead, name: &HookName) -> Tx<HookRecord> {
    Ok(record::load(kv, &keys::hook(name.as_str()))?.ok_or(StoreError::NotFound("hook"))?)
}

pub(crate) fn hooks(kv: &dyn KvRead, after: Option<&HookName>, limit: usize) -> Tx<Vec<HookRecord>> {
    list(kv, &keys::hooks(), after.map(|after| keys::hook(after.as_str())), limit)
}

/// The latest deliveries of a hook in a state, the newest first.
pub(crate) fn deliveries(
    kv: &dyn KvRead,
    name: &HookName,
    state: DeliveryState,
    before: Option<u64>,
    limit: usize,
) -> Tx<Vec<Delivery>> {
    if !kv::exists(kv, &keys::hook(name.as_str()))? {
        return Err(StoreError::NotFound("hook").into());
    }
    let all = keys::deliveries(name.as_str(), state);
    let range = match before {
        Some(before) => keys::delivery(name.as_str(), state, before).before_within(&all),
        None => all.prefix(),
    };
    let mut found = Vec::new();
    page(kv, &range, Direction::Backward, limit, &mut |_, value| {
        found.push(record::decode(value)?);
        Ok(ControlFlow::Continue(true))
    })?;
    Ok(found)
}

/// Hooks agree with the definitions that state them, with their deliveries and with what finds them.
pub(crate) fn recount(kv: &dyn KvRead, differences: &mut Vec<String>) -> Tx<()> {
    let mut stated = BTreeMap::new();
    for definition in table::<DefinitionRecord>(kv, &keys::definitions())? {
        for hook in standing(&definition.text).hooks {
            let says = Hook { url: hook.url, events: hook.events, definitions: vec![definition.id.clone()], secret: hook.secret };
            stated.insert(HookName::stated(&definition.id, &hook.name), says);
        }
    }
    let (mut stored, mut of, mut sum) = (BTreeMap::new(), BTreeSet::new(), HookCounts::default());
    let (mut due, mut gathering) = (BTreeSet::new(), BTreeSet::new());
    let mut rows = 0;
    for HookRecord { name, hook, counts, .. } in table(kv, &keys::hooks())? {
        let mut found = Rows::default();
        for state in DeliveryState::ALL {
            kv.scan(&keys::deliveries(name.as_str(), state).prefix(), Direction::Forward, &mut |_, value| {
                found.add(state, &record::decode(value)?);
                Ok(ControlFlow::Continue(()))
            })?;
        }
        rows += found.numbers.len();
        let [waiting, delivered, failed] = found.by_state;
        recount::differ(differences, || format!("the deliveries of hook `{name}` that wait"), &counts.waiting, &waiting);
        recount::differ(differences, || format!("the failed deliveries of hook `{name}`"), &counts.failed, &failed);
        let kept = counts.delivered.min(DELIVERED_KEPT);
        recount::differ(differences, || format!("the deliveries of hook `{name}` that arrived"), &kept, &delivered);
        if waiting > MAX_WAITING || failed > MAX_FAILED || found.last > counts.total() || found.twice {
            differences.push(format!("hook `{name}` has {waiting} and {failed} deliveries up to number {}", found.last));
        }
        due.extend(found.due.into_iter().map(|row| (name.clone(), row)));
        gathering.extend(found.gathering.into_iter().map(|row| (name.clone(), row)));
        of.extend(told_of(&hook).into_iter().map(|definition| (definition.to_owned(), name.clone())));
        for state in [(&mut sum.waiting, counts.waiting), (&mut sum.failed, counts.failed)] {
            *state.0 += state.1;
        }
        sum.delivered += counts.delivered;
        sum.dropped += counts.dropped;
        if name.definition().is_some() {
            stored.insert(name, hook);
        }
    }
    recount::differ(differences, || "the hooks of definitions".into(), &stored, &stated);

    let (mut stored_of, mut stored_due, mut stored_gathering, mut stored_rows) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), 0);
    kv.scan(&keys::all_hooks_of().prefix(), Direction::Forward, &mut |key, _| {
        let mut fields = Fields::of(key, 1);
        stored_of.insert((fields.short()?.to_owned(), self::name(fields.text()?)?));
        Ok(ControlFlow::Continue(()))
    })?;
    kv.scan(&keys::all_deliveries().prefix(), Direction::Forward, &mut |_, _| {
        stored_rows += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    kv.scan(&keys::all_deliveries_due().prefix(), Direction::Forward, &mut |key, _| {
        let mut fields = Fields::of(key, 1);
        stored_due.insert((self::name(fields.short()?)?, (fields.time()?, fields.seq()?)));
        Ok(ControlFlow::Continue(()))
    })?;
    kv.scan(&keys::all_gathering().prefix(), Direction::Forward, &mut |key, value| {
        let mut fields = Fields::of(key, 1);
        let hook = self::name(fields.short()?)?;
        stored_gathering.insert((hook, (fields.run()?, fields.step()?, record::decode::<GatheringRow>(value)?.number)));
        Ok(ControlFlow::Continue(()))
    })?;
    recount::differ(differences, || "the hooks by definition".into(), &stored_of, &of);
    recount::differ(differences, || "the deliveries".into(), &stored_rows, &rows);
    recount::differ(differences, || "the deliveries that are due".into(), &stored_due, &due);
    recount::differ(differences, || "the deliveries that gather dead letters".into(), &stored_gathering, &gathering);

    // Hooks that were removed are counted on, without what went with them.
    let total = super::totals(kv)?.hooks;
    let least = HookCounts { delivered: total.delivered.max(sum.delivered), dropped: total.dropped.max(sum.dropped), ..sum };
    recount::differ(differences, || "the deliveries of all hooks".into(), &total, &least);
    Ok(())
}

/// The deliveries of one hook, as their rows tell them.
#[derive(Default)]
struct Rows {
    by_state: [u64; DeliveryState::ALL.len()],
    numbers: BTreeSet<u64>,
    twice: bool,
    last: u64,
    due: Vec<(Timestamp, u64)>,
    gathering: Vec<(RunId, StepIndex, u64)>,
}

impl Rows {
    fn add(&mut self, state: DeliveryState, delivery: &Delivery) {
        self.by_state[state as usize] += 1;
        self.twice |= !self.numbers.insert(delivery.number);
        self.last = self.last.max(delivery.number);
        if state == DeliveryState::Waiting {
            self.due.push((delivery.due, delivery.number));
            if let (0, Subject::Tasks(failed)) = (delivery.attempts, &delivery.subject) {
                let (run, step) = failed.place();
                self.gathering.push((run, step, delivery.number));
            }
        }
    }
}
