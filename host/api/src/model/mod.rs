//! The types of the wire: what the server writes and a client reads. Clients in Rust use them as they are.
//!
//! Moments are RFC 3339 in UTC with microseconds ([`Time`]). Ids are text with a prefix (`run_…`, `task_…`, `sha256:…`). Names of
//! states, causes and levels are the core's. A field that has no value is left out or null; a client takes both, and it
//! ignores fields that it does not know, because a minor version may add some.

mod bulk;
mod definition;
mod event;
mod file;
mod hook;
mod letter;
mod log;
mod page;
mod plugin;
mod problem;
mod progress;
mod run;
mod schedule;
mod statistics;
mod task;
mod time;
mod timeline;
mod token;
mod watch;

pub use bulk::{BulkAction, BulkRequest, BulkResult, RunSelection};
pub use definition::{
    Definition, DefinitionStep, DefinitionSummary, DefinitionText, DefinitionVersion, Diagnostic, FileInput, InputProblem,
    Validation,
};
pub use event::{Event, EventGap, EventKind};
pub use file::{Artifact, File, RunArtifact, RunFile, StepOutput};
pub use hook::{Delivery, DeliveryCounts, Hook, PutHook, RedeliverRequest, Redelivered};
pub use letter::{DeadLetterDetail, DeadLetterGroup, DeadLetterRun, DeadLetters};
pub use log::{Level, LogLine, LogPage, Source, StreamEnd};
pub use page::Page;
pub use plugin::{CompiledFunctions, Plugin, PluginAnalysis, PluginDetail, PluginUpload, PluginUploadState, Provenance};
pub use problem::Problem;
pub use progress::{Moment, Pace, Stall};
pub use run::{
    Failure, LineCounts, OnError, Retried, Run, RunCounts, RunDetail, RunPage, RunStatus, Step, StepPlugin, StepStatus,
    StopReason, TaskCounts, Trigger, TriggerRequest, Usage,
};
pub use schedule::{Fire, FireCounts, Schedule, ScheduleDetail, SchedulePreview};
pub use statistics::{Health, History, HistorySample, Load, Readiness, Session, Settings, Statistics};
pub use task::{Attempt, AttemptDetail, AttemptEnd, Processed, Progress, Task, TaskDetail, TaskPage, TaskStatus};
pub use time::Time;
pub use timeline::{StepTimeline, Timeline, TimelineAttempt};
pub use token::{NewToken, NewTokenRequest, Role, Token};
pub use watch::{
    WatchLog, WatchRequest, WatchRuns, Watched, WatchedGone, WatchedHooks, WatchedLines, WatchedRuns, WatchedUploads,
};
