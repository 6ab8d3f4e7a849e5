//! Completion hooks: who is told of what, and what is told.
//!
//! A delivery is recorded in the transaction that causes it, and sent later, at least once, under an id that stays the same.
//! Dead letters are gathered: until a delivery is sent for the first time, further ones of its step are counted into it. So each is
//! told in one delivery, and a storm of them is a few deliveries.
//!
//! Deliberately absent: secrets. A hook names the one that signs for it; what that is, the server's configuration says.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::failure::Failure;
use crate::id::{RunId, StepIndex, TaskId};
use crate::name::Name;
use crate::plan::RetryPolicy;
use crate::run::{Run, RunState, TaskCounts, Trigger};
use crate::time::Timestamp;

/// The longest URL of a hook, in bytes.
pub const MAX_URL_LEN: usize = 2_000;
/// The tasks that a delivery names; of more it has the number.
pub const MAX_NAMED_TASKS: u32 = 10;
/// The longest message of a failure in a delivery, in bytes.
const MAX_MESSAGE_LEN: usize = 500;
/// How long dead letters are gathered before they are told.
pub const GATHERED_FOR: Duration = Duration::from_secs(1);
/// The attempts at a delivery that a server makes unless it is told otherwise: a bit more than a day of them.
pub const ATTEMPTS: u32 = 18;
/// The longest wait between two attempts that doubles by itself.
const MAX_BACKOFF: Duration = Duration::from_secs(8 * 3_600);
/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// What a hook can be told of. The names are those that Standard Webhooks recommends: from the general to the particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HookEvent {
    /// A run succeeded.
    RunSucceeded,
    /// A run failed.
    RunFailed,
    /// A run was cancelled.
    RunCancelled,
    /// Tasks failed for good: dead letters.
    TaskFailed,
    /// Somebody tests the hook. Every hook is told.
    Test,
}

impl HookEvent {
    /// What a hook may ask for.
    pub const ASKED: [Self; 4] = [Self::RunSucceeded, Self::RunFailed, Self::RunCancelled, Self::TaskFailed];

    /// The event's name in definitions and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunSucceeded => "run.succeeded",
            Self::RunFailed => "run.failed",
            Self::RunCancelled => "run.cancelled",
            Self::TaskFailed => "task.failed",
            Self::Test => "hook.test",
        }
    }

    /// The event of a name that [`Self::name`] gave.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ASKED.into_iter().find(|event| event.name() == name)
    }

    /// The event that a run's new state is.
    pub const fn of_run(state: &RunState) -> Option<Self> {
        match state {
            RunState::Succeeded => Some(Self::RunSucceeded),
            RunState::Failed(_) => Some(Self::RunFailed),
            RunState::Cancelled => Some(Self::RunCancelled),
            RunState::Queued | RunState::Running | RunState::Paused => None,
        }
    }
}

/// A text can't be a hook's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` can't be a hook's name: those of the server have a name, those of a definition its id, a colon and a name")]
pub struct InvalidHookName {
    text: String,
}

/// A hook's name: of one of the server a [`Name`], of one that a definition states `DEFINITION:NAME`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HookName(Arc<str>);

impl HookName {
    /// The name of a hook that a definition states.
    pub fn stated(definition: &Name, name: &Name) -> Self {
        Self(format!("{definition}:{name}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The definition that states it: with that it comes, changes and goes.
    pub fn definition(&self) -> Option<&str> {
        self.0.split_once(':').map(|(definition, _)| definition)
    }
}

impl From<Name> for HookName {
    fn from(name: Name) -> Self {
        Self(name.as_str().into())
    }
}

impl FromStr for HookName {
    type Err = InvalidHookName;

    fn from_str(text: &str) -> Result<Self, InvalidHookName> {
        let is_name = |text: &str| text.parse::<Name>().is_ok();
        let valid = match text.split_once(':') {
            Some((definition, name)) => is_name(definition) && is_name(name),
            None => is_name(text),
        };
        if valid { Ok(Self(text.into())) } else { Err(InvalidHookName { text: text.chars().take(80).collect() }) }
    }
}

impl TryFrom<String> for HookName {
    type Error = InvalidHookName;

    fn try_from(text: String) -> Result<Self, InvalidHookName> {
        text.parse()
    }
}

impl From<HookName> for String {
    fn from(name: HookName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is told of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Where deliveries are posted: `http` or `https`.
    pub url: String,
    /// Of what.
    pub events: Vec<HookEvent>,
    /// Of the runs of these definitions; of all where there is none.
    pub definitions: Vec<Name>,
    /// The name of the server's secret that signs for it.
    pub secret: Name,
}

/// A hook that a definition states, for its own runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedHook {
    /// Its name, unique in the definition.
    pub name: Name,
    /// Where deliveries are posted.
    pub url: String,
    /// Of what.
    pub events: Vec<HookEvent>,
    /// The name of the server's secret that signs for it: no secret stands in a definition.
    pub secret: Name,
}

/// What is wrong with a hook's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is no absolute URL of a kind that can be posted to.
    #[error("a hook's URL begins with https:// or http:// and has a host")]
    NoHttp,
    /// It has a user's name or a password in it.
    #[error("a hook's URL has no user name or password in it: receivers know the server by its signature")]
    Credentials,
    /// It is too long, or has characters that no URL has.
    #[error("a hook's URL has at most {MAX_URL_LEN} printable ASCII characters, and no fragment")]
    Characters,
}

/// Checks a hook's URL.
///
/// # Errors
/// [`InvalidUrl`].
pub fn check_url(url: &str) -> Result<(), InvalidUrl> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).ok_or(InvalidUrl::NoHttp)?;
    if url.len() > MAX_URL_LEN || !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains(['#', '"', '<', '>', '\\']) {
        return Err(InvalidUrl::Characters);
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    match authority {
        _ if authority.contains('@') => Err(InvalidUrl::Credentials),
        _ if authority.is_empty() || authority.starts_with(':') => Err(InvalidUrl::NoHttp),
        _ => Ok(()),
    }
}

/// What became of the deliveries of a hook, or of all hooks. Each delivery is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCounts {
    /// They wait for an attempt, or for its answer.
    pub waiting: u64,
    /// They arrived.
    pub delivered: u64,
    /// They did not, after all attempts, and can be sent again.
    pub failed: u64,
    /// They were given up and forgotten, because too many waited or had failed.
    pub dropped: u64,
}

impl HookCounts {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.waiting + self.delivered + self.failed + self.dropped
    }

    /// Changes a sum as one of its parts has changed.
    pub const fn follow(&mut self, before: &Self, after: &Self) {
        self.waiting = self.waiting + after.waiting - before.waiting;
        self.delivered = self.delivered + after.delivered - before.delivered;
        self.failed = self.failed + after.failed - before.failed;
        self.dropped = self.dropped + after.dropped - before.dropped;
    }
}

/// Where a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryState {
    /// It waits for an attempt, or for its answer.
    Waiting,
    /// It arrived.
    Delivered,
    /// It did not, after all attempts.
    Failed,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Failed];

    /// The state's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The state of a name that [`Self::name`] gave.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Something that a hook is to be told, and how far that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its number in its hook: 1, 2, …
    pub number: u64,
    /// What it is called in every attempt, and no other delivery is.
    pub id: Box<str>,
    /// What happened.
    pub event: HookEvent,
    /// When; of several dead letters, the first.
    pub at: Timestamp,
    /// What it is about.
    pub subject: Subject,
    /// Attempts so far: the number of the last one. It fences what is recorded of an attempt.
    pub attempts: u32,
    /// Those of them before somebody had it sent again: they count against no bound.
    pub earlier: u32,
    /// When the next attempt is due, or when the one at work is given up.
    pub due: Timestamp,
    /// What came of the last attempt.
    pub last: Option<Answer>,
}

/// What a delivery is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A run, as it was then.
    Run(Box<RunFacts>),
    /// Tasks of one step that failed for good.
    Tasks(Box<FailedTasks>),
    /// Nothing: a test.
    Nothing,
}

/// A run as a hook is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    run: RunId,
    definition: Name,
    trigger: Trigger,
    state: Box<str>,
    failure: Option<(Box<str>, Box<str>)>,
    tasks: TaskCounts,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

/// Dead letters of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTasks {
    place: (RunId, StepIndex),
    definition: Name,
    step: Name,
    count: u64,
    last_at: Timestamp,
    first: Vec<FailedTask>,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTask {
    task: TaskId,
    key: Box<str>,
    cause: Box<str>,
    message: Box<str>,
}

/// What came of an attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// What went wrong, or the beginning of the answer's body.
    pub text: Box<str>,
}

fn cut(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(MAX_MESSAGE_LEN)].into()
}

impl RunFacts {
    /// A run as it is now.
    pub fn of(run: &Run) -> Self {
        Self {
            run: run.id,
            definition: run.definition.clone(),
            trigger: run.trigger,
            state: run.state.status().name().into(),
            failure: run.state.failure().map(|failure| (failure.cause.name().into(), cut(&failure.message))),
            tasks: run.tasks(),
            created_at: run.created_at,
            started_at: run.started_at,
            ended_at: run.ended_at,
        }
    }
}

impl FailedTask {
    /// A task that failed for good.
    pub fn new(task: TaskId, key: &str, failure: &Failure) -> Self {
        Self { task, key: cut(key), cause: failure.cause.name().into(), message: cut(&failure.message) }
    }
}

impl FailedTasks {
    /// The first of them.
    pub fn new(definition: Name, step: Name, task: FailedTask, now: Timestamp) -> Self {
        Self { place: (task.task.run, task.task.step), definition, step, count: 1, last_at: now, first: vec![task] }
    }

    /// Their step.
    pub const fn place(&self) -> (RunId, StepIndex) {
        self.place
    }

    /// Names one more, which [`Self::gathered`] counts: one of the first [`MAX_NAMED_TASKS`].
    pub fn name(&mut self, task: FailedTask) {
        self.first.push(task);
    }

    /// So many there were in the end, the last one at `last_at`.
    pub const fn gathered(&mut self, count: u64, last_at: Timestamp) {
        (self.count, self.last_at) = (count, last_at);
    }
}

fn time(at: Timestamp) -> String {
    let micros = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| String::new(), |at| format!("{at:.6}"))
}

/// How often deliveries are attempted, and how far apart: waits double from a second on.
pub fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy { attempts, backoff: Duration::from_secs(1), max_backoff: MAX_BACKOFF, ..RetryPolicy::default() }
}

impl Delivery {
    /// The body that is posted: JSON, the same in every attempt.
    pub fn body(&self) -> String {
        let data = match &self.subject {
            Subject::Nothing => json!({}),
            Subject::Run(facts) => {
                let RunFacts { run, definition, trigger, state, failure, tasks, created_at, started_at, ended_at } = &**facts;
                let failure = failure.as_ref().map(|(cause, message)| json!({ "cause": cause, "message": message }));
                json!({
                    "run": run.to_string(), "definition": definition.as_str(), "trigger": trigger.name(), "state": state,
                    "failure": failure, "tasks": counts(tasks), "created_at": time(*created_at),
                    "started_at": started_at.map(time), "ended_at": ended_at.map(time),
                })
            }
            Subject::Tasks(failed) => {
                let FailedTasks { place: (run, _), definition, step, count, last_at, first } = &**failed;
                let first: Vec<_> = first
                    .iter()
                    .map(|FailedTask { task, key, cause, message }| {
                        json!({ "task": task.to_string(), "key": key, "failure": { "cause": cause, "message": message } })
                    })
                    .collect();
                json!({
                    "run": run.to_string(), "definition": definition.as_str(), "step": step.as_str(), "count": count,
                    "last_at": time(*last_at), "tasks": first,
                })
            }
        };
        json!({ "type": self.event.name(), "timestamp": time(self.at), "data": data }).to_string()
    }

    /// How long to wait before another attempt, after the last one failed; absent where none follows. `asked` is what the receiver
    /// asked for; `random` is uniform over all of u32.
    pub fn next_attempt(&self, policy: &RetryPolicy, asked: Option<Duration>, random: u32) -> Option<Duration> {
        let tries = self.attempts.saturating_sub(self.earlier);
        let wait = policy.delay(tries, random);
        (tries < policy.attempts).then(|| asked.map_or(wait, |asked| asked.min(LONGEST_WAIT).max(wait)))
    }
}

fn counts(counts: &TaskCounts) -> serde_json::Value {
    let TaskCounts { queued, running, retrying, succeeded, failed, cancelled, skipped } = *counts;
    json!({
        "total": counts.total(), "queued": queued, "running": running, "retrying": retrying, "succeeded": succeeded,
        "failed": failed, "cancelled": cancelled, "skipped": skipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Cause;
    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn delivery(subject: Subject) -> Delivery {
        let at = Timestamp::from_micros(1_000_000);
        let event = HookEvent::TaskFailed;
        Delivery { number: 1, id: "msg_1".into(), event, at, subject, attempts: 0, earlier: 0, due: at, last: None }
    }

    #[test]
    fn names_say_who_states_a_hook() {
        let stated = HookName::stated(&name("job"), &name("ops"));
        assert_eq!((stated.as_str(), stated.definition()), ("job:ops", Some("job")));
        assert_eq!("job:ops".parse(), Ok(stated));
        assert_eq!(HookName::from(name("ops")).definition(), None);
        for bad in ["", ":", "a:", ":a", "a:b:c", "A", "a b"] {
            assert!(bad.parse::<HookName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_are_checked() {
        for good in ["https://example.org", "http://127.0.0.1:8080/a?b=c", "https://[::1]/x"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        let long = format!("https://example.org/{}", "x".repeat(MAX_URL_LEN));
        for (bad, why) in [
            ("ftp://example.org", InvalidUrl::NoHttp),
            ("https://", InvalidUrl::NoHttp),
            ("https://:80/", InvalidUrl::NoHttp),
            ("https://me:secret@example.org/", InvalidUrl::Credentials),
            ("https://example.org/#x", InvalidUrl::Characters),
            ("https://example.org/a b", InvalidUrl::Characters),
            (&long, InvalidUrl::Characters),
        ] {
            assert_eq!(check_url(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_storm_of_dead_letters_is_told_in_bounded_words() {
        let run = RunId::from_u128(7);
        let now = Timestamp::from_micros(2_000_000);
        let failure = Failure::new(Cause::Panic, "ü".repeat(10_000));
        let task = |index| FailedTask::new(TaskId::new(run, StepIndex(0), index), "key", &failure);
        let mut failed = FailedTasks::new(name("d"), name("s"), task(0), now);
        (1..MAX_NAMED_TASKS).for_each(|index| failed.name(task(index)));
        failed.gathered(100_000, now);
        let body = delivery(Subject::Tasks(Box::new(failed))).body();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["type"], &body["data"]["count"]), (&json!("task.failed"), &json!(100_000)));
        assert_eq!(body["data"]["tasks"].as_array().unwrap().len(), MAX_NAMED_TASKS as usize);
        assert_eq!(body["timestamp"], "1970-01-01T00:00:01.000000Z");
        assert!(body.to_string().len() < 12_000);
    }

    #[test]
    fn attempts_spread_over_a_day_and_end() {
        let policy = policy(ATTEMPTS);
        let mut told = delivery(Subject::Nothing);
        let mut all = Duration::ZERO;
        for attempt in 1..ATTEMPTS {
            told.attempts = attempt;
            let (least, most) =
                (told.next_attempt(&policy, None, 0).unwrap(), told.next_attempt(&policy, None, u32::MAX).unwrap());
            assert!(least < most && most <= MAX_BACKOFF.mul_f64(1.2), "attempt {attempt}: {least:?} to {most:?}");
            all += least;
        }
        assert!(all > Duration::from_secs(18 * 3_600), "{all:?}");
        told.attempts = ATTEMPTS;
        assert_eq!(told.next_attempt(&policy, None, 0), None);
        told.earlier = ATTEMPTS - 1;
        assert_eq!(told.next_attempt(&policy, None, u32::MAX / 2).map(|wait| wait.as_secs_f64().round()), Some(1.0));
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_up_to_a_day() {
        let mut told = delivery(Subject::Nothing);
        told.attempts = 1;
        let wait = |asked| told.next_attempt(&policy(2), Some(asked), 0).unwrap();
        assert_eq!(wait(Duration::from_secs(90)), Duration::from_secs(90));
        assert_eq!(wait(Duration::ZERO), Duration::from_millis(800));
        assert_eq!(wait(Duration::MAX), LONGEST_WAIT);
    }
}
