//! Key encodings: every key of the store is made and read here, and nowhere else.
//!
//! Keys are big-endian fields one after the other, so that they sort as their fields do. Keys of trees that hold several
//! tables begin with the table's [`Tag`]. Text comes last.

use bulkhead_core::hook::DeliveryState;
use bulkhead_core::id::{Digest, RunId, StepIndex, TaskId, WorkerId};
use bulkhead_core::time::Timestamp;

use crate::kv::{Fault, Tree, Tx};

/// The longest key that needs no allocation: the longest fixed key is `held` with 39 bytes.
const INLINE: usize = 48;

/// The tables that share a tree, by the first byte of their keys. A number is never used for anything else again.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Tag {
    // Tree::Live
    Totals = 1,
    Use = 2,
    Worker = 3,
    Held = 4,
    Revoked = 5,
    Ready = 6,
    Timer = 7,
    Sweep = 8,
    Ended = 9,
    Removal = 10,
    Summoned = 20,
    // Tree::Inputs
    Parameters = 32,
    Input = 33,
    // Tree::Catalog
    Definition = 64,
    PluginName = 65,
    PluginVersion = 66,
    PluginDigest = 67,
    Token = 68,
    DefinitionVersion = 69,
    PluginUpload = 70,
    PluginPapers = 71,
    PluginPin = 72,
    // Tree::Idempotency
    IdempotencyKey = 96,
    IdempotencyExpiry = 97,
    // Tree::Files
    Artifact = 128,
    RunFile = 129,
    Upload = 130,
    UploadExpiry = 131,
    // Tree::Catalog
    Schedule = 144,
    Fire = 145,
    // Tree::Live
    ScheduleDue = 146,
    // Tree::Catalog
    Hook = 147,
    HookOf = 148,
    // Tree::Deliveries
    Delivery = 160,
    DeliveryDue = 161,
    Gathering = 162,
    // Tree::Letters
    LetterGroup = 176,
    LetterRun = 177,
    RunLetter = 178,
}

/// What a use counter counts, per digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum UseKind {
    /// Stored runs of a plan.
    Plan = 1,
    /// Runs that have not ended and use a plugin's component.
    Plugin = 2,
    /// Uploaded files, runs' files and artifacts with the same content.
    Content = 3,
}

/// A key of one tree.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) tree: Tree,
    len: usize,
    inline: [u8; INLINE],
    /// The whole key, where it is longer than `inline`.
    long: Vec<u8>,
}

impl Key {
    fn new(tree: Tree) -> Self {
        Self { tree, len: 0, inline: [0; INLINE], long: Vec::new() }
    }

    fn tagged(tree: Tree, tag: Tag) -> Self {
        Self::new(tree).with(&[tag as u8])
    }

    fn with(mut self, bytes: &[u8]) -> Self {
        let len = self.len + bytes.len();
        if len <= INLINE {
            self.inline[self.len..len].copy_from_slice(bytes);
        } else {
            if self.len <= INLINE {
                self.long.extend_from_slice(&self.inline[..self.len]);
            }
            self.long.extend_from_slice(bytes);
        }
        self.len = len;
        self
    }

    fn run(self, run: RunId) -> Self {
        self.with(&run.as_u128().to_be_bytes())
    }

    fn step(self, step: StepIndex) -> Self {
        self.with(&step.0.to_be_bytes())
    }

    fn task(self, task: TaskId) -> Self {
        self.run(task.run).step(task.step).with(&task.index.to_be_bytes())
    }

    fn worker(self, worker: WorkerId) -> Self {
        self.with(&worker.as_u128().to_be_bytes())
    }

    fn time(self, time: Timestamp) -> Self {
        self.with(&time.as_micros().to_be_bytes())
    }

    /// A text of at most 255 bytes, its length first, so that none is another's prefix.
    fn short(self, text: &str) -> Self {
        self.with(&[text.len() as u8]).with(text.as_bytes())
    }

    /// A key as a scan found it.
    pub(crate) fn from_bytes(tree: Tree, bytes: &[u8]) -> Self {
        Self::new(tree).with(bytes)
    }

    /// The encoded key.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.len <= INLINE { &self.inline[..self.len] } else { &self.long }
    }

    /// All keys that begin with this one.
    pub(crate) fn prefix(&self) -> KeyRange {
        KeyRange { tree: self.tree, start: self.bytes().to_vec(), end: successor(self.bytes()) }
    }

    /// The keys from this one on, up to the end of `prefix`.
    pub(crate) fn onward_within(&self, prefix: &Self) -> KeyRange {
        KeyRange { tree: self.tree, start: self.bytes().to_vec(), end: successor(prefix.bytes()) }
    }

    /// The keys after this one, up to the end of `prefix`.
    pub(crate) fn after_within(&self, prefix: &Self) -> KeyRange {
        let mut start = self.bytes().to_vec();
        start.push(0);
        KeyRange { tree: self.tree, start, end: successor(prefix.bytes()) }
    }

    /// The keys from the beginning of `prefix` up to this one, exclusive.
    pub(crate) fn before_within(&self, prefix: &Self) -> KeyRange {
        KeyRange { tree: self.tree, start: prefix.bytes().to_vec(), end: Some(self.bytes().to_vec()) }
    }
}

/// Keys of one tree from `start` up to `end`, exclusive.
#[derive(Clone, Debug)]
pub(crate) struct KeyRange {
    pub(crate) tree: Tree,
    pub(crate) start: Vec<u8>,
    pub(crate) end: Option<Vec<u8>>,
}

impl KeyRange {
    /// Whether no key can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// A whole tree.
    pub(crate) fn all(tree: Tree) -> Self {
        Self { tree, start: Vec::new(), end: None }
    }
}

/// The first key after all that begin with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut next = prefix[..=keep].to_vec();
    next[keep] += 1;
    Some(next)
}

pub(crate) fn format() -> Key {
    Key::new(Tree::Meta).with(b"format")
}

pub(crate) fn totals() -> Key {
    Key::tagged(Tree::Live, Tag::Totals)
}

pub(crate) fn uses() -> Key {
    Key::tagged(Tree::Live, Tag::Use)
}

pub(crate) fn use_of(kind: UseKind, digest: Digest) -> Key {
    uses().with(&[kind as u8]).with(digest.as_bytes())
}

pub(crate) fn workers() -> Key {
    Key::tagged(Tree::Live, Tag::Worker)
}

pub(crate) fn worker(worker: WorkerId) -> Key {
    workers().worker(worker)
}

pub(crate) fn held() -> Key {
    Key::tagged(Tree::Live, Tag::Held)
}

pub(crate) fn held_by(worker: WorkerId) -> Key {
    held().worker(worker)
}

pub(crate) fn held_task(worker: WorkerId, task: TaskId) -> Key {
    held_by(worker).task(task)
}

pub(crate) fn revoked() -> Key {
    Key::tagged(Tree::Live, Tag::Revoked)
}

pub(crate) fn revoked_of(worker: WorkerId) -> Key {
    revoked().worker(worker)
}

pub(crate) fn revoked_task(worker: WorkerId, task: TaskId) -> Key {
    revoked_of(worker).task(task)
}

pub(crate) fn ready() -> Key {
    Key::tagged(Tree::Live, Tag::Ready)
}

pub(crate) fn ready_of(run: RunId, step: StepIndex) -> Key {
    ready().run(run).step(step)
}

/// A row of `count` waiting tasks, numbered from `first`, that are all due at the same moment.
pub(crate) fn ready_row(run: RunId, step: StepIndex, due: Timestamp, first: u32) -> Key {
    ready_of(run, step).time(due).with(&first.to_be_bytes())
}

pub(crate) fn summoned() -> Key {
    Key::tagged(Tree::Live, Tag::Summoned)
}

/// A waiting task that runs out of turn.
pub(crate) fn summoned_task(task: TaskId) -> Key {
    summoned().task(task)
}

pub(crate) fn timers() -> Key {
    Key::tagged(Tree::Live, Tag::Timer)
}

pub(crate) fn timer(due: Timestamp, run: RunId) -> Key {
    timers().time(due).run(run)
}

pub(crate) fn sweeps() -> Key {
    Key::tagged(Tree::Live, Tag::Sweep)
}

pub(crate) fn sweep(run: RunId, step: StepIndex) -> Key {
    sweeps().run(run).step(step)
}

pub(crate) fn ended() -> Key {
    Key::tagged(Tree::Live, Tag::Ended)
}

pub(crate) fn ended_run(at: Timestamp, run: RunId) -> Key {
    ended().time(at).run(run)
}

pub(crate) fn removals() -> Key {
    Key::tagged(Tree::Live, Tag::Removal)
}

pub(crate) fn removal(run: RunId) -> Key {
    removals().run(run)
}

pub(crate) fn all_parameters() -> Key {
    Key::tagged(Tree::Inputs, Tag::Parameters)
}

pub(crate) fn parameters(run: RunId) -> Key {
    all_parameters().run(run)
}

pub(crate) fn inputs() -> Key {
    Key::tagged(Tree::Inputs, Tag::Input)
}

pub(crate) fn inputs_of(run: RunId) -> Key {
    inputs().run(run)
}

pub(crate) fn input(task: TaskId) -> Key {
    inputs().task(task)
}

pub(crate) fn run(run: RunId) -> Key {
    Key::new(Tree::Runs).run(run)
}

pub(crate) fn plan(digest: Digest) -> Key {
    Key::new(Tree::Plans).with(digest.as_bytes())
}

/// The beginning of every key of a tree that holds one table.
pub(crate) fn of_all(tree: Tree) -> Key {
    Key::new(tree)
}

/// What belongs to a run in a tree whose keys begin with the run.
pub(crate) fn of_run(tree: Tree, run: RunId) -> Key {
    Key::new(tree).run(run)
}

/// What belongs to a step in a tree whose keys begin with the run and the step.
pub(crate) fn of_step(tree: Tree, run: RunId, step: StepIndex) -> Key {
    Key::new(tree).run(run).step(step)
}

pub(crate) fn task(task: TaskId) -> Key {
    Key::new(Tree::Tasks).task(task)
}

pub(crate) fn output(task: TaskId) -> Key {
    Key::new(Tree::Outputs).task(task)
}

pub(crate) fn checkpoint(task: TaskId) -> Key {
    Key::new(Tree::Checkpoints).task(task)
}

pub(crate) fn dedup(run: RunId, step: StepIndex, key: &str) -> Key {
    of_step(Tree::Dedup, run, step).with(key.as_bytes())
}

pub(crate) fn log_chunk(run: RunId, first: u64) -> Key {
    Key::new(Tree::Logs).run(run).with(&first.to_be_bytes())
}

pub(crate) fn events() -> Key {
    Key::new(Tree::Events)
}

pub(crate) fn event_chunk(first: u64) -> Key {
    events().with(&first.to_be_bytes())
}

pub(crate) fn idempotency_keys() -> Key {
    Key::tagged(Tree::Idempotency, Tag::IdempotencyKey)
}

pub(crate) fn idempotency(key: &str) -> Key {
    idempotency_keys().with(key.as_bytes())
}

pub(crate) fn idempotency_expiries() -> Key {
    Key::tagged(Tree::Idempotency, Tag::IdempotencyExpiry)
}

pub(crate) fn idempotency_expiry(at: Timestamp, key: &str) -> Key {
    idempotency_expiries().time(at).with(key.as_bytes())
}

pub(crate) fn all_artifacts() -> Key {
    Key::tagged(Tree::Files, Tag::Artifact)
}

pub(crate) fn artifacts_of(run: RunId) -> Key {
    all_artifacts().run(run)
}

pub(crate) fn artifacts_of_step(run: RunId, step: StepIndex) -> Key {
    artifacts_of(run).step(step)
}

/// The artifacts of a step with this name: no name has a zero byte, so none is another's prefix.
pub(crate) fn artifacts_named(run: RunId, step: StepIndex, name: &str) -> Key {
    artifacts_of_step(run, step).with(name.as_bytes()).with(&[0])
}

pub(crate) fn artifact(task: TaskId, name: &str) -> Key {
    artifacts_named(task.run, task.step, name).with(&task.index.to_be_bytes())
}

pub(crate) fn all_run_files() -> Key {
    Key::tagged(Tree::Files, Tag::RunFile)
}

pub(crate) fn run_files(run: RunId) -> Key {
    all_run_files().run(run)
}

pub(crate) fn run_file(run: RunId, name: &str) -> Key {
    run_files(run).with(name.as_bytes())
}

pub(crate) fn uploads() -> Key {
    Key::tagged(Tree::Files, Tag::Upload)
}

pub(crate) fn upload(digest: Digest) -> Key {
    uploads().with(digest.as_bytes())
}

pub(crate) fn upload_expiries() -> Key {
    Key::tagged(Tree::Files, Tag::UploadExpiry)
}

pub(crate) fn upload_expiry(at: Timestamp, digest: Digest) -> Key {
    upload_expiries().time(at).with(digest.as_bytes())
}

pub(crate) fn definitions() -> Key {
    Key::tagged(Tree::Catalog, Tag::Definition)
}

pub(crate) fn definition(id: &str) -> Key {
    definitions().with(id.as_bytes())
}

/// The versions that a definition had: length of the id first, so that no id is another's prefix.
pub(crate) fn definition_versions(id: &str) -> Key {
    Key::tagged(Tree::Catalog, Tag::DefinitionVersion).with(&[id.len() as u8]).with(id.as_bytes())
}

pub(crate) fn definition_version(id: &str, version: u64) -> Key {
    definition_versions(id).with(&version.to_be_bytes())
}

pub(crate) fn plugin_names() -> Key {
    Key::tagged(Tree::Catalog, Tag::PluginName)
}

/// The digest that a plugin's name means now.
pub(crate) fn plugin_name(name: &str) -> Key {
    plugin_names().with(name.as_bytes())
}

/// The components that a name meant or means.
pub(crate) fn all_plugin_versions() -> Key {
    Key::tagged(Tree::Catalog, Tag::PluginVersion)
}

pub(crate) fn plugin_versions(name: &str) -> Key {
    all_plugin_versions().short(name)
}

pub(crate) fn plugin_version(name: &str, digest: Digest) -> Key {
    plugin_versions(name).with(digest.as_bytes())
}

/// The names under which a component was uploaded.
pub(crate) fn plugin_digests(digest: Digest) -> Key {
    Key::tagged(Tree::Catalog, Tag::PluginDigest).with(digest.as_bytes())
}

/// What proves a component.
pub(crate) fn plugin_papers(component: Digest) -> Key {
    Key::tagged(Tree::Catalog, Tag::PluginPapers).with(component.as_bytes())
}

pub(crate) fn plugin_pins() -> Key {
    Key::tagged(Tree::Catalog, Tag::PluginPin)
}

/// The component that a manifest in a registry names.
pub(crate) fn plugin_pin(manifest: Digest) -> Key {
    plugin_pins().with(manifest.as_bytes())
}

pub(crate) fn plugin_digest(digest: Digest, name: &str) -> Key {
    plugin_digests(digest).with(name.as_bytes())
}

pub(crate) fn plugin_uploads() -> Key {
    Key::tagged(Tree::Catalog, Tag::PluginUpload)
}

pub(crate) fn plugin_upload(digest: Digest) -> Key {
    plugin_uploads().with(digest.as_bytes())
}

pub(crate) fn tokens() -> Key {
    Key::tagged(Tree::Catalog, Tag::Token)
}

pub(crate) fn token(secret: Digest) -> Key {
    tokens().with(secret.as_bytes())
}

pub(crate) fn schedules() -> Key {
    Key::tagged(Tree::Catalog, Tag::Schedule)
}

pub(crate) fn schedule(id: &str) -> Key {
    schedules().with(id.as_bytes())
}

pub(crate) fn all_fires() -> Key {
    Key::tagged(Tree::Catalog, Tag::Fire)
}

/// The history of a schedule.
pub(crate) fn fires(schedule: &str) -> Key {
    all_fires().short(schedule)
}

pub(crate) fn fire(schedule: &str, number: u64) -> Key {
    fires(schedule).with(&number.to_be_bytes())
}

pub(crate) fn schedules_due() -> Key {
    Key::tagged(Tree::Live, Tag::ScheduleDue)
}

pub(crate) fn schedule_due(due: Timestamp, id: &str) -> Key {
    schedules_due().time(due).with(id.as_bytes())
}

pub(crate) fn letter_groups() -> Key {
    Key::tagged(Tree::Letters, Tag::LetterGroup)
}

pub(crate) fn letter_group(group: Digest) -> Key {
    letter_groups().with(group.as_bytes())
}

pub(crate) fn all_letter_runs() -> Key {
    Key::tagged(Tree::Letters, Tag::LetterRun)
}

pub(crate) fn letter_runs(group: Digest) -> Key {
    all_letter_runs().with(group.as_bytes())
}

/// What a run has of a group.
pub(crate) fn letter_run(group: Digest, run: RunId) -> Key {
    letter_runs(group).run(run)
}

pub(crate) fn all_run_letters() -> Key {
    Key::tagged(Tree::Letters, Tag::RunLetter)
}

pub(crate) fn run_letters(run: RunId) -> Key {
    all_run_letters().run(run)
}

/// That a run has something of a group.
pub(crate) fn run_letter(run: RunId, group: Digest) -> Key {
    run_letters(run).with(group.as_bytes())
}

pub(crate) fn hooks() -> Key {
    Key::tagged(Tree::Catalog, Tag::Hook)
}

pub(crate) fn hook(name: &str) -> Key {
    hooks().with(name.as_bytes())
}

pub(crate) fn all_hooks_of() -> Key {
    Key::tagged(Tree::Catalog, Tag::HookOf)
}

/// The hooks that are told of a definition's runs; of all runs where `definition` is empty.
pub(crate) fn hooks_of(definition: &str) -> Key {
    all_hooks_of().short(definition)
}

pub(crate) fn hook_of(definition: &str, hook: &str) -> Key {
    hooks_of(definition).with(hook.as_bytes())
}

pub(crate) fn all_deliveries() -> Key {
    Key::tagged(Tree::Deliveries, Tag::Delivery)
}

/// The deliveries of a hook in a state.
pub(crate) fn deliveries(hook: &str, state: DeliveryState) -> Key {
    let state = match state {
        DeliveryState::Waiting => 1,
        DeliveryState::Delivered => 2,
        DeliveryState::Failed => 3,
    };
    deliveries_of(hook).with(&[state])
}

pub(crate) fn deliveries_of(hook: &str) -> Key {
    all_deliveries().short(hook)
}

pub(crate) fn delivery(hook: &str, state: DeliveryState, number: u64) -> Key {
    deliveries(hook, state).with(&number.to_be_bytes())
}

pub(crate) fn all_deliveries_due() -> Key {
    Key::tagged(Tree::Deliveries, Tag::DeliveryDue)
}

pub(crate) fn deliveries_due(hook: &str) -> Key {
    all_deliveries_due().short(hook)
}

pub(crate) fn delivery_due(hook: &str, due: Timestamp, number: u64) -> Key {
    deliveries_due(hook).time(due).with(&number.to_be_bytes())
}

pub(crate) fn all_gathering() -> Key {
    Key::tagged(Tree::Deliveries, Tag::Gathering)
}

pub(crate) fn gathering_of(hook: &str) -> Key {
    all_gathering().short(hook)
}

/// The number of the delivery of a hook that gathers the dead letters of a step.
pub(crate) fn gathering(hook: &str, run: RunId, step: StepIndex) -> Key {
    gathering_of(hook).run(run).step(step)
}

pub(crate) fn component(digest: Digest) -> Key {
    Key::new(Tree::Components).with(digest.as_bytes())
}

/// Reads the fields of a key that a scan found, in the order in which they were written.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of a key after the first `skip` bytes (1 for the tag of a shared tree).
    pub(crate) fn of(key: &'a [u8], skip: usize) -> Self {
        Self(key.get(skip..).unwrap_or_default())
    }

    fn take<const N: usize>(&mut self) -> Tx<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk().ok_or_else(|| Fault::Corrupt("a key is too short".into()))?;
        self.0 = rest;
        Ok(*field)
    }

    pub(crate) fn run(&mut self) -> Tx<RunId> {
        Ok(RunId::from_u128(u128::from_be_bytes(self.take()?)))
    }

    pub(crate) fn worker(&mut self) -> Tx<WorkerId> {
        Ok(WorkerId::from_u128(u128::from_be_bytes(self.take()?)))
    }

    pub(crate) fn step(&mut self) -> Tx<StepIndex> {
        Ok(StepIndex(u16::from_be_bytes(self.take()?)))
    }

    pub(crate) fn number(&mut self) -> Tx<u32> {
        Ok(u32::from_be_bytes(self.take()?))
    }

    pub(crate) fn seq(&mut self) -> Tx<u64> {
        Ok(u64::from_be_bytes(self.take()?))
    }

    pub(crate) fn time(&mut self) -> Tx<Timestamp> {
        Ok(Timestamp::from_micros(self.seq()?))
    }

    pub(crate) fn task(&mut self) -> Tx<TaskId> {
        Ok(TaskId::new(self.run()?, self.step()?, self.number()?))
    }

    pub(crate) fn byte(&mut self) -> Tx<u8> {
        Ok(self.take::<1>()?[0])
    }

    pub(crate) fn digest(&mut self) -> Tx<Digest> {
        Ok(Digest::from_bytes(self.take()?))
    }

    /// The name and the task of an artifact: all that is left.
    pub(crate) fn artifact(self) -> Tx<(&'a str, u32)> {
        let (name, index) =
            self.0.split_last_chunk::<4>().ok_or_else(|| Fault::Corrupt("an artifact's key is too short".into()))?;
        let name = name.strip_suffix(&[0]).and_then(|name| std::str::from_utf8(name).ok());
        Ok((name.ok_or_else(|| Fault::Corrupt("an artifact's key has no name".into()))?, u32::from_be_bytes(*index)))
    }

    /// A text with its length before it.
    pub(crate) fn short(&mut self) -> Tx<&'a str> {
        let length = usize::from(self.byte()?);
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(|| Fault::Corrupt("a key is too short".into()))?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Fault::Corrupt("a key is no text".into()))
    }

    /// What is left, as text.
    pub(crate) fn text(self) -> Tx<&'a str> {
        std::str::from_utf8(self.0).map_err(|_| Fault::Corrupt("a key is no text".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_all_ones_has_no_successor() {
        assert_eq!(successor(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(successor(&[255, 255]), None);
        assert_eq!(successor(&[]), None);
    }

    #[test]
    fn a_key_longer_than_the_inline_room_keeps_all_its_bytes() {
        let (run, text) = (RunId::from_u128(7), "k".repeat(100));
        let key = dedup(run, StepIndex(3), &text);
        let mut fields = Fields::of(key.bytes(), 0);
        assert_eq!((fields.run().unwrap(), fields.step().unwrap()), (run, StepIndex(3)));
        assert_eq!(fields.text().unwrap(), text);
    }

    #[test]
    fn keys_sort_as_their_fields() {
        let of = |due, first| ready_row(RunId::from_u128(1), StepIndex(0), Timestamp::from_micros(due), first);
        assert!(of(255, 9).bytes() < of(256, 0).bytes());
        assert!(of(256, 0).bytes() < of(256, 1).bytes());
    }
}
