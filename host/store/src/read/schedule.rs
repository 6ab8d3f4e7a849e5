//! Schedules and their fires.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bulkhead_core::definition::standing;
use bulkhead_core::name::Name;
use bulkhead_core::run::{Run, Trigger};
use bulkhead_core::schedule::{FireRecord, ScheduleRecord};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{DefinitionRecord, DueSchedules, StoreError};

use super::{list, page, recount, table};
use crate::keys::{self, Fields};
use crate::kv::{Direction, KvRead, Tx};
use crate::record;

pub(crate) fn schedule(kv: &dyn KvRead, id: &Name) -> Tx<ScheduleRecord> {
    Ok(record::load(kv, &keys::schedule(id.as_str()))?.ok_or(StoreError::NotFound("schedule"))?)
}

pub(crate) fn schedules(kv: &dyn KvRead, after: Option<&Name>, limit: usize) -> Tx<Vec<ScheduleRecord>> {
    list(kv, &keys::schedules(), after.map(|after| keys::schedule(after.as_str())), limit)
}

/// The latest fires of a schedule.
pub(crate) fn fires(kv: &dyn KvRead, id: &Name, before: Option<u64>, limit: usize) -> Tx<Vec<FireRecord>> {
    schedule(kv, id)?;
    let all = keys::fires(id.as_str());
    let range = before.map_or_else(|| all.prefix(), |before| keys::fire(id.as_str(), before).before_within(&all));
    let mut found = Vec::new();
    page(kv, &range, Direction::Backward, limit, &mut |_, value| {
        found.push(record::decode(value)?);
        Ok(ControlFlow::Continue(true))
    })?;
    Ok(found)
}

/// The schedules that are due.
pub(crate) fn due(kv: &dyn KvRead, now: Timestamp, limit: usize) -> Tx<DueSchedules> {
    let mut found = DueSchedules::default();
    kv.scan(&keys::schedules_due().prefix(), Direction::Forward, &mut |key, _| {
        let mut fields = Fields::of(key, 1);
        let due = fields.time()?;
        if due > now || found.due.len() >= limit {
            found.next = Some(due);
            return Ok(ControlFlow::Break(()));
        }
        found.due.extend(fields.text()?.parse());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Schedules agree with their definitions, their runs, their history and the index of what is due.
pub(crate) fn recount(kv: &dyn KvRead, differences: &mut Vec<String>) -> Tx<()> {
    let (mut expected, mut due, mut schedules) = (Vec::new(), BTreeSet::new(), Vec::new());
    for definition in table::<DefinitionRecord>(kv, &keys::definitions())? {
        expected.extend(
            standing(&definition.text).schedule.map(|(schedule, enabled)| (definition.id, definition.version, schedule, enabled)),
        );
    }
    for record in table::<ScheduleRecord>(kv, &keys::schedules())? {
        due.extend(record.due().map(|due| (due, record.id.to_string())));
        for run in &record.active {
            let stored: Option<Run> = record::load(kv, &keys::run(*run))?;
            if stored.is_none_or(|run| run.state.is_terminal() || run.trigger != Trigger::Schedule) {
                differences.push(format!("schedule `{}` counts on {run}, which is gone, has ended or is not its own", record.id));
            }
        }
        let mut numbers = Vec::new();
        kv.scan(&keys::fires(record.id.as_str()).prefix(), Direction::Forward, &mut |_, value| {
            numbers.push(record::decode::<FireRecord>(value)?.number);
            Ok(ControlFlow::Continue(()))
        })?;
        let kept = record.fires.saturating_sub(bulkhead_core::schedule::MAX_FIRES) + 1;
        recount::differ(
            differences,
            || format!("the fires of schedule `{}`", record.id),
            &numbers,
            &(kept..=record.fires).collect(),
        );
        schedules.push((record.id, record.version, record.schedule, record.enabled));
    }
    recount::differ(differences, || "the schedules".into(), &schedules, &expected);
    let mut stored = BTreeSet::new();
    kv.scan(&keys::schedules_due().prefix(), Direction::Forward, &mut |key, _| {
        let mut fields = Fields::of(key, 1);
        stored.insert((fields.time()?, fields.text()?.to_owned()));
        Ok(ControlFlow::Continue(()))
    })?;
    recount::differ(differences, || "the schedules that are due".into(), &stored, &due);
    Ok(())
}
