//! A definition that runs by itself, and what must be true of its fires.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_core::schedule::{CatchUp, FireOutcome, FireRecord, ScheduleRecord};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{PluginRecord, Store, StoreError};

use crate::oracle::{Check, read};
use crate::rng::Rng;
use crate::world::{World, ready};

/// After the last fault, schedulers have heard of everything by then: a lost signal costs them a minute.
const SETTLED: Duration = Duration::from_secs(70);
/// How late a settled scheduler may be: slow calls, a few of them.
const LATE: Duration = Duration::from_secs(10);

/// The schedule of a world.
#[derive(Clone, Debug)]
pub(crate) struct Timetable {
    /// Seconds between two fires.
    period: u64,
    /// The other keys of its table.
    policies: String,
}

impl Timetable {
    /// The schedule of a seed, if it has one.
    pub(crate) fn of(seed: u64) -> Option<Self> {
        let mut rng = Rng::of(seed, &[8]);
        if !rng.permille(350) {
            return None;
        }
        let overlap = rng.pick(&["overlap = \"skip\"", "overlap = \"queue\"\nmax_waiting = 3", "overlap = \"cancel\""]);
        let catch_up = rng.pick(&[
            "catch_up = \"none\"",
            "catch_up = \"last\"",
            "catch_up = \"all\"\ncatch_up_limit = 1000",
            "catch_up = \"all\"\ncatch_up_limit = 2\ncatch_up_window = \"20s\"",
        ]);
        let jitter = rng.pick(&["", "", "jitter = \"4s\"\n"]);
        Some(Self { period: rng.pick(&[3, 5, 10, 20]), policies: format!("{overlap}\n{catch_up}\n{jitter}") })
    }

    fn text(&self, enabled: bool) -> String {
        let Self { period, policies } = self;
        format!(
            "id = \"timed\"\nenabled = {enabled}\n[schedule]\ncron = \"*/{period} * * * * *\"\n{policies}\n\
             [step.only]\nplugin = \"scripted\"\ntimeout = \"5s\"\nlimits.memory = \"10MiB\"\n"
        )
    }
}

fn id() -> Name {
    "timed".parse().expect("a valid name")
}

/// Stores the definition, before the first process starts.
pub(crate) fn put(world: &Arc<World>) {
    let Some(timetable) = &world.profile.timetable else { return };
    let store: Arc<dyn Store> = world.store();
    let plugin = PluginRecord {
        name: "scripted".parse().expect("a valid name"),
        version: "1".into(),
        summary: String::new(),
        config_schema: "true".into(),
        digest: Digest::from_bytes([7; 32]),
        size: 0,
        uploaded_at: store.now(),
        analysis: None,
    };
    ready(store.put_plugin(plugin, bytes::Bytes::new())).expect("a sound store");
    ready(store.put_definition(id(), timetable.text(true).into(), None)).expect("a sound store");
    world.oracle().timetable.began = store.now();
}

/// Waits until schedulers have had the time to do all that is due, requires that they have, and disables the definition.
pub(crate) async fn settle(world: &Arc<World>) {
    let Some(timetable) = &world.profile.timetable else { return };
    tokio::time::sleep(SETTLED).await;
    let store: Arc<dyn Store> = world.store();
    let look = || {
        let store: Arc<dyn Store> = world.store();
        let record = ready(store.schedule(id())).expect("a sound store");
        (record.due().is_some_and(|due| store.now().since(due) > LATE), record)
    };
    // What waits is due from the moment that a run ends, so one look does not tell for how long it has been.
    if let (true, late) = look() {
        tokio::time::sleep(LATE).await;
        let (still, now) = look();
        world.require(!still || now != late, || format!("nothing comes of the schedule in good weather: {late:?}"));
    }
    ready(store.put_definition(id(), timetable.text(false).into(), None)).expect("a sound store");
    world.check();
}

/// The fires of the schedule, as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct TimetableModel {
    began: Timestamp,
    fires: BTreeMap<u64, FireRecord>,
    started: BTreeSet<Timestamp>,
}

impl TimetableModel {
    /// A fire came to something.
    pub(crate) fn fired(&mut self, fire: &FireRecord) -> Check {
        if let FireOutcome::Started { .. } = fire.outcome
            && !self.started.insert(fire.time)
        {
            return Err(format!("{:?} was started twice", fire.time));
        }
        match self.fires.insert(fire.number, fire.clone()) {
            Some(before) if before.outcome != FireOutcome::Waiting || before.time != fire.time => {
                Err(format!("fire {} was {before:?} and became {fire:?}", fire.number))
            }
            _ => Ok(()),
        }
    }

    /// Every time up to the cursor came to one thing.
    pub(crate) fn check_the_end(&self, store: &dyn Store) -> Check {
        let record: ScheduleRecord = match ready(store.schedule(id())) {
            Ok(record) => record,
            Err(StoreError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(format!("the schedule can't be read: {error}")),
        };
        let table = record.timetable().ok_or("the schedule has no timetable")?;
        let before = |time: Timestamp| Timestamp::from_micros(time.as_micros() - 1);
        let mut told: Vec<_> = self.fires.values().flat_map(|fire| table.between(before(fire.time), fire.last)).collect();
        told.sort_unstable();
        let expected: Vec<_> = table.between(self.began, record.cursor).collect();
        if told != expected {
            let differs = told.iter().zip(&expected).find(|(told, expected)| told != expected);
            return Err(format!("{} times came to something, {} passed: {differs:?}", told.len(), expected.len()));
        }
        let catches_up = matches!(record.schedule.catch_up, CatchUp::All { most: 1_000, .. });
        for fire in self.fires.values() {
            if catches_up && fire.outcome == FireOutcome::Missed {
                return Err(format!("a schedule that catches up on everything missed {fire:?}"));
            }
            if fire.outcome == FireOutcome::Waiting {
                return Err(format!("{fire:?} waits for ever"));
            }
        }
        let stored = read(store.fires(id(), None, 1_000))?;
        match stored.iter().find(|fire| self.fires.get(&fire.number) != Some(fire)) {
            Some(fire) => Err(format!("the history says {fire:?}, its events say {:?}", self.fires.get(&fire.number))),
            None => Ok(()),
        }
    }
}
