//! What can be typed: a file for each family of commands.

mod catalog;
mod files;
mod hooks;
mod plugin;
mod runs;
mod serve;
mod token;
mod values;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::catalog::{
    DefinitionsArgs, DefinitionsCommand, PluginsArgs, PluginsCommand, SchedulesArgs, SchedulesCommand,
};
pub(crate) use self::files::{ArtifactsArgs, ArtifactsCommand, FileArgs, OutputsArgs, OutputsFormat};
pub(crate) use self::hooks::{CourierArgs, HooksArgs, HooksCommand};
pub(crate) use self::plugin::{
    BenchArgs, CheckArgs, DevArgs, InspectArgs, Language, NewArgs, ProfileArgs, PullArgs, PushArgs, TestArgs, WorkbenchArgs,
};
pub(crate) use self::runs::{
    LineFormat, ListRunsArgs, LogsArgs, ManyRunsArgs, ProcessNextArgs, RetryArgs, RunFilterArgs, RunIdArgs, RunsArgs,
    RunsCommand, TaskArgs, TaskCommand, TasksArgs, TriggerArgs,
};
pub(crate) use self::serve::{DataDirArgs, EgressArgs, ParameterArgs, RunArgs, ServeArgs, WorkerArgs};
pub(crate) use self::token::{TokenArgs, TokenCommand};
use crate::output::ColorChoice;

/// Runs jobs whose steps are sandboxed WebAssembly components: a plugin that fails costs its own task, and nothing else.
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

const EXIT_CODES: &str = "Exit codes:
  0  done; the run succeeded            4  the server cannot be reached
  1  the run failed                     5  the server, or the store, refused
  2  wrong arguments or definition     70  Bulkhead cannot go on
  3  the run was cancelled            130  stopped at once by a second Ctrl-C";

/// What holds for every command.
#[derive(Clone, Debug, Args)]
#[command(next_display_order = 100)]
pub(crate) struct GlobalArgs {
    /// Print results as JSON: one value, or one a line where they come one after the other.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print the result only.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t, hide_possible_values = true, value_name = "auto|always|never")]
    pub(crate) color: ColorChoice,
    /// What the host says of itself on stderr: `info`, or filters such as `bulkhead_engine=debug`.
    #[arg(long, global = true, env = "BULKHEAD_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How it says it.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "text|json", hide_possible_values = true)]
    pub(crate) log_format: LogFormat,
}

/// The format of the host's own log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API, and run what is triggered
    Serve(ServeArgs),
    /// Run one definition here and now, without a server
    Run(RunArgs),
    /// Start a run of a definition on a server
    Trigger(TriggerArgs),
    /// List runs, or show one
    Runs(RunsArgs),
    /// List a run's tasks
    Tasks(TasksArgs),
    /// Print a run's log, and follow it
    Logs(LogsArgs),
    /// List what a run's tasks left, or download one of them
    Artifacts(ArtifactsArgs),
    /// Print what the tasks of a step came to, in their order
    Outputs(OutputsArgs),
    /// Cancel a run
    Cancel(RunIdArgs),
    /// Pause a run: what is at work ends, nothing starts
    Pause(RunIdArgs),
    /// Let a paused run go on
    Resume(RunIdArgs),
    /// Queue the failed tasks of a run again, or some of them
    Retry(RetryArgs),
    /// Run one waiting task of a run now, though it is paused, and show what came of it
    ProcessNext(ProcessNextArgs),
    /// Show, retry, skip, cancel or edit one task
    Task(TaskArgs),
    /// List, upload, show and remove plugins; test and measure one here
    #[command(visible_alias = "plugin")]
    Plugins(PluginsArgs),
    /// List, check, store, show and remove definitions
    Definitions(DefinitionsArgs),
    /// List schedules; show, pause, resume and run one, or preview a cron expression
    Schedules(SchedulesArgs),
    /// List hooks; put, test and remove them; see what arrived and what did not, and send that again
    Hooks(HooksArgs),
    /// Show a server's counters
    Stats(ClientArgs),
    /// Make, list and remove tokens
    #[command(visible_alias = "tokens")]
    Token(TokenArgs),
    /// Recount everything in a data directory and compare
    Doctor(DataDirArgs),
    /// Compile a plugin from stdin to stdout, for the process that started this one
    #[command(hide = true)]
    CompilePlugin {
        /// What the other process says.
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        order: Vec<String>,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Which server, and as whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClientArgs {
    /// The server.
    #[arg(long, env = "BULKHEAD_SERVER", default_value = "http://127.0.0.1:7070", value_name = "URL", global = true)]
    pub(crate) server: String,
    /// The token to present to it.
    #[arg(long, env = "BULKHEAD_TOKEN", hide_env_values = true, value_name = "TOKEN", global = true)]
    pub(crate) token: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
