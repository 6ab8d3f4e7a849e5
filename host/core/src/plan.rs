//! A plan: a definition after validation, pinned to its plugins' digests. A run never sees later edits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::{Cause, CauseSet};
use crate::id::{Digest, StepIndex};
use crate::name::Name;

/// What a run executes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The definition's id.
    pub definition: Name,
    /// The definition's name for people.
    pub name: String,
    /// The definition's tags.
    pub tags: Vec<String>,
    /// How soon its tasks are claimed, compared with other runs' tasks.
    pub priority: Priority,
    /// How long a run may take, from its first claim to its end.
    pub timeout: Option<Duration>,
    /// How many failed tasks a step bears.
    pub tolerance: ErrorTolerance,
    /// The steps, in the order of the definition. Their dependencies make no cycle.
    pub steps: Vec<StepPlan>,
}

impl Plan {
    /// The step at a position of this plan.
    ///
    /// # Panics
    /// If the position belongs to another plan.
    pub fn step(&self, index: StepIndex) -> &StepPlan {
        &self.steps[index.get()]
    }

    /// The position of the step with this name.
    pub fn step_named(&self, name: &str) -> Option<StepIndex> {
        self.steps.iter().position(|step| step.name.as_str() == name).and_then(|at| u16::try_from(at).ok()).map(StepIndex)
    }

    /// Whether a step depends on another one, directly or through others.
    pub fn depends_on(&self, step: StepIndex, on: StepIndex) -> bool {
        let mut seen = vec![false; self.steps.len()];
        let mut next = vec![step];
        while let Some(step) = next.pop() {
            for &before in &self.step(step).depends {
                if before == on {
                    return true;
                }
                if !std::mem::replace(&mut seen[before.get()], true) {
                    next.push(before);
                }
            }
        }
        false
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepPlan {
    /// The name, unique in the plan.
    pub name: Name,
    /// What it is for.
    pub description: String,
    /// The plugin that does it.
    pub plugin: PluginRef,
    /// The steps that must have ended well before this one starts.
    pub depends: Vec<StepIndex>,
    /// What this step's failure means for the rest of the run.
    pub on_error: OnError,
    /// How many of its tasks may run at once; no limit of its own where absent.
    pub concurrency: Option<u32>,
    /// How long one attempt at one of its tasks may take.
    pub timeout: Duration,
    /// What happens after a retryable failure.
    pub retry: RetryPolicy,
    /// What one attempt may use.
    pub limits: Limits,
    /// What the plugin is given beyond the contract.
    pub allow: Grants,
    /// The plugin's configuration: a JSON object, valid against the plugin's schema.
    pub config: String,
}

/// A plugin, pinned to its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRef {
    /// The name that the definition used.
    pub name: Name,
    /// The digest of the component that a run uses, whatever is uploaded later.
    pub digest: Digest,
}

/// How soon tasks are claimed: 0 to 9, 9 first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Priority(pub u8);

impl Priority {
    /// The highest.
    pub const MAX: Self = Self(9);
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

/// How many failed tasks a step bears before it fails.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorTolerance {
    /// A step with at most so many failed tasks succeeds; [`u32::MAX`] where only the rate counts.
    pub max_child_failures: u32,
    /// A step of whose tasks at most this share failed succeeds: 0 to 1. Its `plan`, and what was skipped or cancelled, is no part
    /// of the whole.
    pub max_child_failure_rate: Option<f64>,
    /// The rate stops nothing before so many tasks of the step have ended: of the first three, one is a third. At the step's end
    /// it holds however few there were.
    pub rate_from: u32,
    /// What happens to the step's other tasks once there are more.
    pub failure_action: FailureAction,
}

impl Default for ErrorTolerance {
    fn default() -> Self {
        Self { max_child_failures: 0, max_child_failure_rate: None, rate_from: 20, failure_action: FailureAction::default() }
    }
}

/// What happens to a step's other tasks once more have failed than it bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureAction {
    /// They go on; the step fails when all have ended.
    #[default]
    Continue,
    /// They are cancelled; the step fails at once.
    Stop,
}

/// What a step's failure means for the rest of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnError {
    /// The steps that depend on it are skipped and the run fails in the end.
    #[default]
    Fail,
    /// The steps that depend on it run all the same, and the run may succeed.
    Continue,
}

/// When a task is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub backoff: Duration,
    /// The longest wait, before `jitter` spreads it.
    pub max_backoff: Duration,
    /// The share of a wait that is random, 0 to 1: with 0.2 a wait of 10 s becomes one of 8 to 12 s.
    pub jitter: f64,
    /// Only failures with these causes are tried again; where empty, those that may end otherwise ([`Cause::is_retryable`]).
    pub on: CauseSet,
    /// Failures with these causes are not.
    pub except: CauseSet,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            jitter: 0.2,
            on: CauseSet::EMPTY,
            except: CauseSet::EMPTY,
        }
    }
}

impl RetryPolicy {
    /// Whether a failure is tried again while attempts are left. One that its plugin calls final never is.
    pub fn retries(&self, cause: Cause) -> bool {
        match cause {
            Cause::PluginError { retryable: false } | Cause::Cancelled | Cause::HostLost => false,
            cause if self.except.contains(cause) => false,
            cause if self.on.is_empty() => cause.is_retryable(),
            cause => self.on.contains(cause),
        }
    }

    /// The wait after the `failures`-th failure (1, 2, …): exponential, bounded, spread by `random` (uniform over all of u32).
    pub fn delay(&self, failures: u32, random: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let base = self.backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        let spread = self.jitter * (f64::from(random) / f64::from(u32::MAX) * 2.0 - 1.0);
        base.mul_f64((1.0 + spread).max(0.0))
    }
}

/// What one attempt may use. Everything is bounded; the defaults suit a small plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Units of fuel, about one per WebAssembly instruction; unmetered where absent (metering costs time).
    pub fuel: Option<u64>,
    /// Bytes of linear memory, all memories together.
    pub memory: u64,
    /// Bytes of native stack.
    pub stack: u64,
    /// Log lines of one attempt.
    pub log_lines: u64,
    /// Bytes of one attempt's log: messages and fields.
    pub log_bytes: u64,
    /// Bytes of one line's message; a longer one is cut and says so.
    pub log_line_bytes: u64,
    /// What happens to an attempt that passes `log_lines` or `log_bytes`.
    pub log_overflow: LogOverflow,
    /// Bytes of a task's output.
    pub output_bytes: u64,
    /// Bytes of one attempt's artifacts, all together.
    pub artifact_bytes: u64,
    /// Tasks that a step may spawn in all.
    pub spawned_tasks: u32,
    /// Host calls of one attempt.
    pub host_calls: u64,
    /// HTTP requests of one attempt.
    pub http_requests: u64,
    /// Bytes of the bodies that one attempt sends over HTTP, all requests together.
    pub http_request_bytes: u64,
    /// Bytes of the bodies that one attempt receives over HTTP, all answers together, as they come: compressed or not.
    pub http_response_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            fuel: None,
            memory: 64 * MIB,
            stack: MIB / 2,
            log_lines: 1_000_000,
            log_bytes: 256 * MIB,
            log_line_bytes: MIB / 16,
            log_overflow: LogOverflow::Suppress,
            output_bytes: MIB,
            artifact_bytes: 1024 * MIB,
            spawned_tasks: 1_000_000,
            host_calls: 1_000_000_000,
            http_requests: 10_000,
            http_request_bytes: 64 * MIB,
            http_response_bytes: 1024 * MIB,
        }
    }
}

/// What happens to an attempt that passes its log quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogOverflow {
    /// It goes on; what it logs is counted, and one line tells how many lines were suppressed.
    #[default]
    Suppress,
    /// It fails with the cause `limit`.
    Fail,
}

/// What a plugin is given beyond the contract. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Environment variables of the server that the plugin sees.
    pub env: Vec<String>,
    /// Hosts that the plugin may reach over HTTP, each a [`HostPattern`](crate::host_pattern::HostPattern).
    pub http: Vec<String>,
}
