//! Stored records: a format version, then postcard. Runs and tasks carry their state before the body, so that lists filter
//! without decoding.

use bulkhead_core::artifact::ContentType;
use bulkhead_core::hook::{Delivery, HookCounts};
use bulkhead_core::id::{Digest, RunId, StepIndex};
use bulkhead_core::plan::Plan;
use bulkhead_core::run::{Run, RunStatus};
use bulkhead_core::schedule::{FireCounts, FireRecord, ScheduleRecord};
use bulkhead_core::task::{Task, TaskStatus};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{
    DefinitionRecord, HookRecord, LetterGroup, Papers, PluginRecord, PluginUpload, Statistics, TokenRecord,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::keys::Key;
use crate::kv::{Fault, KvRead, Tx};

/// The version that every record is written with. A record of another version is read by a migration, never here.
const VERSION: u8 = 1;

/// Something that is stored as one value.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// What it is called where it can't be read.
    const KIND: &'static str;

    /// A byte that lists filter by; stored before the body where `Some`. Either always or never `Some`.
    fn lead(&self) -> Option<u8> {
        None
    }

    /// Whether [`Record::lead`] is stored.
    const LEADS: bool = false;
}

macro_rules! records {
    ($($type:ty => $kind:literal),* $(,)?) => { $(impl Record for $type { const KIND: &'static str = $kind; })* };
}

records! {
    Plan => "plan",
    DefinitionRecord => "definition",
    PluginRecord => "plugin",
    PluginUpload => "plugin's upload",
    Papers => "plugin's papers",
    TokenRecord => "token",
    ScheduleRecord => "schedule",
    FireRecord => "fire",
    HookRecord => "hook",
    Delivery => "delivery",
    GatheringRow => "gathering delivery",
    Totals => "totals",
    WorkerRow => "worker",
    IdempotencyRow => "idempotency key",
    ContentRow => "run's file",
    ArtifactRow => "artifact",
    UploadRow => "uploaded file",
    LetterGroup => "group of dead letters",
    LetterRow => "run's dead letters",
    u32 => "number",
    u64 => "counter",
    Digest => "digest",
}

impl Record for Run {
    const KIND: &'static str = "run";
    const LEADS: bool = true;

    fn lead(&self) -> Option<u8> {
        Some(run_status_code(self.state.status()))
    }
}

impl Record for Task {
    const KIND: &'static str = "task";
    const LEADS: bool = true;

    fn lead(&self) -> Option<u8> {
        Some(task_status_code(self.state.status()))
    }
}

/// The stored number of a run's state.
pub(crate) fn run_status_code(status: RunStatus) -> u8 {
    status as u8
}

/// The stored number of a task's state.
pub(crate) fn task_status_code(status: TaskStatus) -> u8 {
    status as u8
}

/// The state number that a run's or a task's stored record begins with.
pub(crate) fn lead_of(value: &[u8]) -> Option<u8> {
    value.get(1).copied()
}

/// What is counted over the whole store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) statistics: Statistics,
    /// The number of the last event.
    pub(crate) last_event: u64,
    /// The fires of all schedules that there ever were.
    pub(crate) fires: FireCounts,
    /// The deliveries of all hooks that there ever were, without those that went with their hooks.
    pub(crate) hooks: HookCounts,
    /// The deliveries that were ever recorded.
    pub(crate) deliveries: u64,
}

/// A worker that may hold tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerRow {
    pub(crate) expires: Timestamp,
    /// Its lease ran out and its tasks are being taken from it: it can't renew any more.
    pub(crate) lost: bool,
}

/// A request that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdempotencyRow {
    pub(crate) request: Digest,
    pub(crate) run: RunId,
    /// Where the request summoned a task of the run: its step, its number, and its last attempt before.
    pub(crate) task: Option<(StepIndex, u32, u32)>,
    pub(crate) expires: Timestamp,
}

/// Dead letters of a step that a delivery gathers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GatheringRow {
    /// The delivery's number. It names the first dead letters; what follows is counted here until it is sent.
    pub(crate) number: u64,
    pub(crate) count: u64,
    pub(crate) last_at: Timestamp,
}

/// Content that something names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ContentRow {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// A published artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArtifactRow {
    pub(crate) content: ContentRow,
    pub(crate) content_type: ContentType,
    pub(crate) created_at: Timestamp,
}

/// An uploaded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadRow {
    pub(crate) size: u64,
    pub(crate) expires: Timestamp,
}

/// What a run has of a group of dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LetterRow {
    pub(crate) tasks: u64,
    pub(crate) last_at: Timestamp,
    /// The step and the number of the task that failed last.
    pub(crate) last: (StepIndex, u32),
}

/// Encodes a record into `buffer`, which is cleared first.
pub(crate) fn encode<T: Record>(record: &T, buffer: &mut Vec<u8>) -> Tx<()> {
    buffer.clear();
    buffer.push(VERSION);
    buffer.extend(record.lead());
    let bytes = std::mem::take(buffer);
    *buffer =
        postcard::to_extend(record, bytes).map_err(|error| Fault::Corrupt(format!("a {} can't be encoded: {error}", T::KIND)))?;
    Ok(())
}

/// Decodes a record.
pub(crate) fn decode<T: Record>(bytes: &[u8]) -> Tx<T> {
    let body = body::<T>(bytes)?;
    postcard::from_bytes(body).map_err(|error| Fault::Corrupt(format!("a {} can't be decoded: {error}", T::KIND)))
}

fn body<T: Record>(bytes: &[u8]) -> Tx<&[u8]> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            rest.get(usize::from(T::LEADS)..).ok_or_else(|| Fault::Corrupt(format!("a {} is too short", T::KIND)))
        }
        Some((version, _)) => Err(Fault::Corrupt(format!("a {} has format {version}, this program reads {VERSION}", T::KIND))),
        None => Err(Fault::Corrupt(format!("a {} is empty", T::KIND))),
    }
}

/// Loads a record, if there is one.
pub(crate) fn load<T: Record>(kv: &dyn KvRead, key: &Key) -> Tx<Option<T>> {
    let mut record = None;
    kv.get(key, &mut |bytes| record = Some(decode(bytes)))?;
    record.transpose()
}
