//! How work fails: every failure has a cause with a name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::task::TaskState;

/// The longest message that a failure keeps, in bytes: what a plugin says is cut there.
pub const MAX_MESSAGE_LEN: usize = 8 * 1024;

/// The most characters of a message that its signature looks at.
const SIGNED_CHARS: usize = 240;

/// Why an attempt, a task, a step or a run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// The plugin returned a failure of its own.
    PluginError {
        /// Whether it said that another attempt may succeed.
        retryable: bool,
    },
    /// The plugin's code panicked.
    Panic,
    /// The sandbox stopped an illegal operation.
    Trap(TrapCode),
    /// The plugin asked for more memory (or table space) than its limit.
    OutOfMemory,
    /// The plugin's calls nested too deeply.
    StackOverflow,
    /// The plugin used up its fuel.
    OutOfFuel,
    /// The attempt, the step or the run took longer than its timeout.
    TimedOut,
    /// Somebody cancelled it.
    Cancelled,
    /// The plugin used a capability that its definition does not grant.
    Denied,
    /// The plugin passed a quota.
    Limit(Quota),
    /// The plugin is no valid component of the contract, or broke the contract at run time.
    InvalidPlugin,
    /// The host itself failed; never the plugin's fault.
    HostFault,
    /// The process died, or stopped renewing its lease, while it held the task.
    HostLost,
}

/// Which illegal operation a plugin tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TrapCode {
    /// The instruction `unreachable`: an abort.
    Unreachable,
    /// A memory access out of bounds.
    MemoryOutOfBounds,
    /// A table access out of bounds.
    TableOutOfBounds,
    /// An indirect call to nothing, or to a function of another type.
    IndirectCall,
    /// An integer division by zero.
    DivisionByZero,
    /// An integer overflow, in a division or a conversion.
    IntegerOverflow,
    /// A conversion of something that is not a number to an integer.
    BadConversion,
    /// `exit` was called.
    Exit,
    /// Any other.
    Other,
}

/// Which quota a plugin passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Quota {
    /// Log lines or bytes, where the step says `log_overflow = "fail"`.
    Log,
    /// The size of the output.
    Output,
    /// Tasks spawned in the step.
    Spawn,
    /// The number of host calls, or the size of what one carries.
    HostCall,
    /// Bytes of artifacts.
    Artifact,
    /// HTTP requests, or the bytes of their bodies or of the answers' bodies.
    Http,
}

/// All names of causes, as [`Cause::name`] gives them.
pub const CAUSE_NAMES: [&str; 13] = [
    "plugin-error",
    "panic",
    "trap",
    "out-of-memory",
    "stack-overflow",
    "out-of-fuel",
    "timed-out",
    "cancelled",
    "denied",
    "limit",
    "invalid-plugin",
    "host-fault",
    "host-lost",
];

impl Cause {
    /// The cause's name on the wire and on screens; one of [`CAUSE_NAMES`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::PluginError { .. } => "plugin-error",
            Self::Panic => "panic",
            Self::Trap(_) => "trap",
            Self::OutOfMemory => "out-of-memory",
            Self::StackOverflow => "stack-overflow",
            Self::OutOfFuel => "out-of-fuel",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Limit(_) => "limit",
            Self::InvalidPlugin => "invalid-plugin",
            Self::HostFault => "host-fault",
            Self::HostLost => "host-lost",
        }
    }

    /// The trap's code or the quota's name, where the cause has one.
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::Trap(code) => Some(code.name()),
            Self::Limit(quota) => Some(quota.name()),
            _ => None,
        }
    }

    /// Whether a failure is tried again where a step's retry policy names no causes. What would fail again in the same way does not: used-up fuel, an overflowing
    /// stack, a passed quota, a missing grant, an invalid plugin, a failure that the plugin calls final. A lost host is retried
    /// outside the policy, until the quarantine.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::PluginError { retryable } => retryable,
            Self::Panic | Self::Trap(_) | Self::OutOfMemory | Self::TimedOut | Self::HostFault => true,
            Self::StackOverflow
            | Self::OutOfFuel
            | Self::Cancelled
            | Self::Denied
            | Self::Limit(_)
            | Self::InvalidPlugin
            | Self::HostLost => false,
        }
    }
}

/// A set of causes, by their names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CauseSet(u16);

impl CauseSet {
    /// No cause.
    pub const EMPTY: Self = Self(0);

    /// The causes with these names.
    ///
    /// # Errors
    /// The first text that is none of [`CAUSE_NAMES`].
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        names.into_iter().try_fold(Self::EMPTY, |set, name| {
            let position = CAUSE_NAMES.iter().position(|known| *known == name).ok_or(name)?;
            Ok(Self(set.0 | 1 << position))
        })
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a cause's name is among them.
    pub fn contains(self, cause: Cause) -> bool {
        CAUSE_NAMES.iter().position(|known| *known == cause.name()).is_some_and(|position| self.0 >> position & 1 == 1)
    }

    /// The names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        CAUSE_NAMES.into_iter().enumerate().filter(move |(position, _)| self.0 >> position & 1 == 1).map(|(_, name)| name)
    }
}

impl fmt::Debug for CauseSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Which tasks that did not end well are meant. All criteria must hold; without any, all failed and cancelled ones are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureFilter {
    /// Failed for one of these causes; for any where empty.
    pub causes: CauseSet,
    /// With this text in the failure's message.
    pub text: Option<Box<str>>,
}

impl FailureFilter {
    /// Whether every failed and every cancelled task is meant.
    pub const fn is_all(&self) -> bool {
        self.causes.is_empty() && self.text.is_none()
    }

    /// Whether cancelled tasks are meant: those say nothing, so a text leaves them out.
    pub fn takes_cancelled(&self) -> bool {
        self.text.is_none() && (self.causes.is_empty() || self.causes.contains(Cause::Cancelled))
    }

    /// Whether a task in this state is meant.
    pub fn matches(&self, state: &TaskState) -> bool {
        match state {
            TaskState::Failed(failure) => {
                (self.causes.is_empty() || self.causes.contains(failure.cause))
                    && self.text.as_deref().is_none_or(|text| failure.message.contains(text))
            }
            TaskState::Cancelled => self.takes_cancelled(),
            _ => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.detail().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}

impl TrapCode {
    /// The code's name on the wire and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::MemoryOutOfBounds => "memory-out-of-bounds",
            Self::TableOutOfBounds => "table-out-of-bounds",
            Self::IndirectCall => "indirect-call",
            Self::DivisionByZero => "division-by-zero",
            Self::IntegerOverflow => "integer-overflow",
            Self::BadConversion => "bad-conversion",
            Self::Exit => "exit",
            Self::Other => "other",
        }
    }
}

impl Quota {
    /// The quota's name on the wire and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Output => "output",
            Self::Spawn => "spawn",
            Self::HostCall => "host-call",
            Self::Artifact => "artifact",
            Self::Http => "http",
        }
    }
}

/// A failure: its cause and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// What happened, for a person; never empty, at most [`MAX_MESSAGE_LEN`] bytes.
    pub message: String,
    /// The guest's stack at a trap, one frame a line.
    pub backtrace: Option<String>,
}

impl Failure {
    /// A failure without a backtrace. A message past [`MAX_MESSAGE_LEN`] is cut, and says so.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE_LEN {
            let full = message.len();
            message.truncate(message.floor_char_boundary(MAX_MESSAGE_LEN - 64));
            message.push_str(&format!("… (cut: {full} bytes in all)"));
        }
        if message.is_empty() {
            message = cause.to_string();
        }
        Self { cause, message, backtrace: None }
    }

    /// What this failure has in common with others of its kind, on one line: its cause, and the beginning of its message without
    /// what differs from task to task (numbers, ids, addresses, quoted values). Stores keep it as a digest, so a change of it is a
    /// change of their format.
    pub fn signature(&self) -> String {
        let detail = self.cause.detail().unwrap_or("");
        format!("{}/{detail}: {}", self.cause.name(), general(&self.message))
    }

    /// The same failure with the guest's stack.
    #[must_use]
    pub fn with_backtrace(mut self, backtrace: Option<String>) -> Self {
        self.backtrace = backtrace;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.message)
    }
}

/// How far a word with a digit goes that ends at `end`, or the number that it begins: `4,194,304.5`, `10:53:50`.
fn number(text: &str, mut end: usize) -> usize {
    while let Some(rest) = text[end..].strip_prefix(['.', ',', ':'])
        && rest.starts_with(|char: char| char.is_ascii_digit())
    {
        end += 1 + rest.find(|char: char| !char.is_alphanumeric()).unwrap_or(rest.len());
    }
    end
}

/// A message without what differs from task to task: `row 17 of "a.csv"` becomes `row # of "…"`.
fn general(message: &str) -> String {
    let text: String = message.chars().take(SIGNED_CHARS).map(|char| if char.is_control() { ' ' } else { char }).collect();
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let (taken, shown) = if first == '"' && rest[1..].contains('"') {
            (2 + rest[1..].find('"').unwrap_or(0), "\"…\"")
        } else if first.is_alphanumeric() {
            let word = rest.find(|char: char| !char.is_alphanumeric()).unwrap_or(rest.len());
            if rest[word..].starts_with("://") {
                (rest.find(|char: char| char.is_whitespace() || "\"'`<>)".contains(char)).unwrap_or(rest.len()), "…")
            } else if rest[..word].contains(|char: char| char.is_ascii_digit()) {
                (number(rest, word), "#")
            } else {
                (word, &rest[..word])
            }
        } else {
            (first.len_utf8(), &rest[..first.len_utf8()])
        };
        out.push_str(shown);
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSES: [Cause; 13] = [
        Cause::PluginError { retryable: true },
        Cause::Panic,
        Cause::Trap(TrapCode::DivisionByZero),
        Cause::OutOfMemory,
        Cause::StackOverflow,
        Cause::OutOfFuel,
        Cause::TimedOut,
        Cause::Cancelled,
        Cause::Denied,
        Cause::Limit(Quota::HostCall),
        Cause::InvalidPlugin,
        Cause::HostFault,
        Cause::HostLost,
    ];

    #[test]
    fn every_cause_has_its_own_name() {
        assert_eq!(CAUSES.map(Cause::name), CAUSE_NAMES);
        assert_eq!(Cause::Trap(TrapCode::DivisionByZero).to_string(), "trap (division-by-zero)");
        assert_eq!(Cause::Limit(Quota::HostCall).to_string(), "limit (host-call)");
        assert_eq!(Cause::Panic.to_string(), "panic");
    }

    #[test]
    fn only_what_may_end_otherwise_is_retryable() {
        let retryable: Vec<_> = CAUSES.into_iter().filter(|cause| cause.is_retryable()).map(Cause::name).collect();
        assert_eq!(retryable, ["plugin-error", "panic", "trap", "out-of-memory", "timed-out", "host-fault"]);
        assert!(!Cause::PluginError { retryable: false }.is_retryable());
    }

    #[test]
    fn a_filter_means_what_all_its_criteria_mean() {
        let failed = |cause, message: &str| TaskState::Failed(Failure::new(cause, message));
        let filter = |names: &[&'static str], text: Option<&str>| FailureFilter {
            causes: CauseSet::from_names(names.iter().copied()).unwrap(),
            text: text.map(Into::into),
        };
        let all = FailureFilter::default();
        assert!(all.is_all() && all.matches(&TaskState::Cancelled) && all.matches(&failed(Cause::Panic, "")));
        assert!(!all.matches(&TaskState::Succeeded) && !all.matches(&TaskState::Skipped));
        let panics = filter(&["panic", "trap"], Some("row 7"));
        assert!(panics.matches(&failed(Cause::Trap(TrapCode::Exit), "in row 7")));
        assert!(!panics.matches(&failed(Cause::Trap(TrapCode::Exit), "in row 8")));
        assert!(!panics.matches(&failed(Cause::OutOfFuel, "in row 7")));
        assert!(!panics.matches(&TaskState::Cancelled) && filter(&["cancelled"], None).matches(&TaskState::Cancelled));
        assert_eq!(CauseSet::from_names(["panic", "bad-luck"]), Err("bad-luck"));
        assert_eq!(CauseSet::from_names(CAUSE_NAMES).unwrap().names().collect::<Vec<_>>(), CAUSE_NAMES);
    }

    #[test]
    fn failures_of_one_kind_have_one_signature() {
        let signature = |message: &str| Failure::new(Cause::Panic, message).signature();
        for (one, other) in [
            ("row 17: `total` is 5000", "row 3: `total` is 12"),
            ("no page at http://a.example/x?y=1 (404)", "no page at https://b.example/ (410)"),
            ("worker 0x7fa3 of \"north\" ended", "worker 0x11 of \"south\" ended"),
            ("id 3f2a-77b1", "id 4c19-0b"),
            ("rate 0.25 of 4,194,304 at 10:53:50.", "rate 1 of 7 at 8."),
        ] {
            assert_eq!(signature(one), signature(other));
        }
        assert_eq!(signature("row 17 of \"a.csv\""), "panic/: row # of \"…\"");
        assert_eq!(signature("unclosed \"17"), "panic/: unclosed \"#");
        assert_ne!(signature("`total` is missing"), signature("`price` is missing"));
        assert_eq!(Failure::new(Cause::Trap(TrapCode::Exit), "x\ny").signature(), "trap/exit: x y");
        let long = signature(&"é ".repeat(MAX_MESSAGE_LEN));
        assert!(long.chars().count() < 260, "{long}");
    }

    #[test]
    fn a_failure_always_says_something() {
        assert_eq!(Failure::new(Cause::OutOfFuel, "").message, "out-of-fuel");
        assert_eq!(Failure::new(Cause::Panic, "oh").to_string(), "panic: oh");
    }

    #[test]
    fn a_long_message_is_cut_at_a_character_and_says_so() {
        let exact = "x".repeat(MAX_MESSAGE_LEN);
        assert_eq!(Failure::new(Cause::Panic, exact.clone()).message, exact);
        let message = Failure::new(Cause::Panic, "ü".repeat(MAX_MESSAGE_LEN)).message;
        assert!(message.len() <= MAX_MESSAGE_LEN && message.ends_with("… (cut: 16384 bytes in all)"));
    }
}
