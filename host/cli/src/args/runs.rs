//! What can be typed about runs and their tasks.

use std::time::Duration;

use bulkhead_core::log::Level;
use clap::{Args, Subcommand, ValueEnum};

use super::values::{parse_duration, parse_level};
use super::{ClientArgs, FileArgs, ParameterArgs};
/// `trigger`
#[derive(Clone, Debug, Args)]
pub(crate) struct TriggerArgs {
    /// The definition's id.
    pub(crate) definition: String,
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Start it paused: nothing starts before `resume`, but what `process-next` takes.
    #[arg(long)]
    pub(crate) paused: bool,
    /// Print the run's log until it ends; the exit code is its result.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Wait until the run ends; the exit code is its result.
    #[arg(long, short)]
    pub(crate) wait: bool,
    /// Start one run however often this is called with the same key. [default: a new key for each call]
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `runs`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RunsArgs {
    /// What else than a list.
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
    /// Which runs to list.
    #[command(flatten)]
    pub(crate) list: ListRunsArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Which runs to list.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListRunsArgs {
    #[command(flatten)]
    pub(crate) filter: RunFilterArgs,
    /// At most so many, the newest.
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    pub(crate) limit: usize,
}

/// `runs …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs
    List(ListRunsArgs),
    /// Show a run with its steps and failures
    Show {
        /// The run.
        id: String,
    },
    /// Wait until a run ends; the exit code is its result
    Wait {
        /// The run.
        id: String,
    },
    /// Cancel runs
    Cancel(ManyRunsArgs),
    /// Queue what failed of ended runs again
    Retry(ManyRunsArgs),
    /// Remove runs that have ended, with their logs
    Delete(ManyRunsArgs),
}

/// Several runs: by their ids, or by what they have in common.
#[derive(Clone, Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct ManyRunsArgs {
    /// The runs.
    #[arg(value_name = "RUN", conflicts_with_all = ["RunFilterArgs", "all"])]
    pub(crate) runs: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: RunFilterArgs,
    /// All runs.
    #[arg(long, conflicts_with = "RunFilterArgs")]
    pub(crate) all: bool,
    /// Only say how many there are.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Which runs.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunFilterArgs {
    /// In this state; may be given several times.
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Vec<String>,
    /// Of this definition.
    #[arg(long, value_name = "ID")]
    pub(crate) definition: Option<String>,
    /// With this tag.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Failed of this cause.
    #[arg(long, value_name = "CAUSE")]
    pub(crate) cause: Option<String>,
    /// With this text in the id, the name or the definition.
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Created at or after this moment: `2026-03-01T08:00:00Z`.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Created before.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// That took at least so long: `5m`.
    #[arg(long, value_name = "SPAN")]
    pub(crate) min_duration: Option<String>,
    /// That took at most so long.
    #[arg(long, value_name = "SPAN")]
    pub(crate) max_duration: Option<String>,
}

/// `tasks`
#[derive(Clone, Debug, Args)]
pub(crate) struct TasksArgs {
    /// The run.
    pub(crate) run: String,
    /// In this state; may be given several times.
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Vec<String>,
    /// Of this step.
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Option<String>,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 100, value_name = "N")]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `logs`
#[derive(Clone, Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run.
    pub(crate) run: String,
    /// Go on until the run ends.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Lines of this level and above.
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    pub(crate) level: Option<Level>,
    /// Lines of this step.
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Option<String>,
    /// Lines after this number.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) after: u64,
    /// How a line looks.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: LineFormat,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineFormat {
    /// Time, level, step, task, message, fields.
    #[default]
    Text,
    /// The line's number first.
    Numbered,
    /// The message alone.
    Message,
    /// One JSON object a line; the same as `--json`.
    Ndjson,
}

/// A run on a server.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunIdArgs {
    /// The run.
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `retry`
#[derive(Clone, Debug, Args)]
pub(crate) struct RetryArgs {
    /// The run.
    pub(crate) run: String,
    /// Only tasks of this step.
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Option<String>,
    /// Only tasks that failed for this cause; may be given several times.
    #[arg(long, value_name = "CAUSE")]
    pub(crate) cause: Vec<String>,
    /// Only tasks with this text in their failure's message.
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Only say how many tasks there are.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `process-next`
#[derive(Clone, Debug, Args)]
pub(crate) struct ProcessNextArgs {
    /// The run.
    pub(crate) run: String,
    /// A task of this step. [default: of the first one with a waiting task]
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Option<String>,
    /// How long to wait for its end, at most a minute.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) wait: Duration,
    /// Take one task however often this is called with the same key. [default: a new key for each call]
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `task`
#[derive(Clone, Debug, Args)]
pub(crate) struct TaskArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub(crate) command: TaskCommand,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `task …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Show a task with its attempts and the ends of their logs
    Show {
        /// The task's id.
        id: String,
    },
    /// Queue it again although it failed, was cancelled or was skipped
    Retry {
        /// The task's id.
        id: String,
    },
    /// Leave it undone: it counts as neither a success nor a failure
    Skip {
        /// The task's id.
        id: String,
    },
    /// End it
    Cancel {
        /// The task's id.
        id: String,
    },
    /// Give it another input before its next attempt
    Edit {
        /// The task's id.
        id: String,
        /// The input: JSON, or `@FILE`.
        #[arg(long, value_name = "JSON")]
        input: String,
    },
}
