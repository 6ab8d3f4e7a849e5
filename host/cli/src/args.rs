//! What can be typed.

mod hooks;
mod plugin;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bulkhead_core::log::Level;
use bulkhead_engine::store::Role;
use bulkhead_registry::Allowed;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub(crate) use self::hooks::{CourierArgs, HooksArgs, HooksCommand};
pub(crate) use self::plugin::{
    BenchArgs, CheckArgs, DevArgs, InspectArgs, Language, NewArgs, ProfileArgs, PullArgs, PushArgs, TestArgs, WorkbenchArgs,
};
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

/// Where a store is.
#[derive(Clone, Debug, Args)]
pub(crate) struct DataDirArgs {
    /// Where everything is kept.
    #[arg(long, env = "BULKHEAD_DATA_DIR", default_value = "bulkhead-data", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: PathBuf,
}

/// How a worker works.
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Attempts at once. Guests that wait hold a slot and no thread. [default: 64 per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) slots: Option<u32>,
    /// What the memory limits of the attempts at once may add up to: `512MiB`, `8GiB`. [default: half of this machine's memory]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) memory_budget: Option<u64>,
    /// Load every *.wasm of this directory.
    #[arg(long, env = "BULKHEAD_PLUGINS", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) plugins: Option<PathBuf>,
    /// Keep compiled plugins here, where other servers of the same user find them. It is executed without further checks: nobody
    /// else may write there. [default: in the data directory]
    #[arg(long, env = "BULKHEAD_COMPILED_DIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) compiled_dir: Option<PathBuf>,
    /// Threads that compile plugins, each plugin in a process of its own. [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) compile_threads: Option<u16>,
    /// Memory that compiling one plugin may take; one that needs more is refused.
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = parse_size)]
    pub(crate) compile_memory: u64,
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    #[command(flatten)]
    pub(crate) egress: EgressArgs,
}

/// Where plugins may come from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Plugins from elsewhere")]
pub(crate) struct SourceArgs {
    /// Pull plugins from this registry, or from below a repository of it, where definitions refer to them: `ghcr.io`, `ghcr.io/acme`. Can
    /// be given more than once. [default: from none]
    #[arg(long, env = "BULKHEAD_REGISTRY", value_name = "HOST[/REPOSITORY]", value_delimiter = ',')]
    pub(crate) registry: Vec<Allowed>,
    /// Take only plugins that one of the keys in this file signed: public keys of minisign, one below the other.
    #[arg(long, env = "BULKHEAD_PLUGIN_KEYS", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) plugin_keys: Option<PathBuf>,
}

/// How plugins' HTTP requests leave, where a definition grants them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Plugins' HTTP requests")]
pub(crate) struct EgressArgs {
    /// Send them through this HTTP proxy. Names are checked as ever; the addresses behind them are then the proxy's to check.
    #[arg(long, env = "BULKHEAD_EGRESS_PROXY", hide_env_values = true, value_name = "URL")]
    pub(crate) egress_proxy: Option<String>,
    /// Hosts that the proxy is not used for, divided by commas: names with all below them, addresses, networks.
    #[arg(long, env = "BULKHEAD_EGRESS_NO_PROXY", value_name = "HOSTS", default_value = "", hide_default_value = true)]
    pub(crate) egress_no_proxy: String,
    /// Requests at once to one host, from all tasks together.
    #[arg(long, value_name = "N", default_value = "16")]
    pub(crate) egress_per_host: NonZeroUsize,
    /// Requests a second to one host, from all tasks together. [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) egress_rate: Option<NonZeroUsize>,
    /// Trust the authorities in this PEM file, too, beside those that the machine trusts. Can be given more than once.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) egress_ca: Vec<PathBuf>,
}

/// `serve`
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) data: DataDirArgs,
    /// The address to listen on; port 0 takes a free one. Any other than loopback needs tokens.
    #[arg(long, env = "BULKHEAD_LISTEN", default_value = "127.0.0.1:7070", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
    /// Store every *.toml of this directory as a definition.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) definitions: Option<PathBuf>,
    /// Remove runs so long after their end: `30d`, `12h`. [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) retention_age: Option<Duration>,
    /// Keep so many ended runs. [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) retention_count: Option<u64>,
    /// Requests a second that one client may make for as long as it likes, twice as many at once; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) rate_limit: u32,
    /// The largest file that may be uploaded for a run: `500MiB`, `10GiB`.
    #[arg(long, default_value = "4GiB", value_name = "SIZE", value_parser = parse_size)]
    pub(crate) file_limit: u64,
    /// Hold the admin's token in this file; a new one is made where the file is missing.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// How long attempts at work may go on after the first Ctrl-C or SIGTERM.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) grace: Duration,
    #[command(flatten)]
    pub(crate) courier: CourierArgs,
}

/// `run`
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// The definition.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Replace a value of the definition: `fast.worker_count=7`, `timeout=5m`.
    #[arg(long = "set", value_name = "STEP.KEY=VALUE", value_parser = parse_pair)]
    pub(crate) overrides: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
    /// Copy the run's artifacts into this directory when it ends, as STEP/NAME.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) artifacts: Option<PathBuf>,
    /// Keep the run here. [default: a directory that is removed at the end]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Show lines of this level and above.
    #[arg(long, default_value = "debug", value_name = "LEVEL", value_parser = parse_level)]
    pub(crate) level: Level,
    /// How long attempts at work may go on after the first Ctrl-C or SIGTERM, which cancels the run.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) grace: Duration,
}

/// `artifacts`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct ArtifactsArgs {
    /// What else than a list.
    #[command(subcommand)]
    pub(crate) command: Option<ArtifactsCommand>,
    /// The run.
    pub(crate) run: Option<String>,
    /// Of this step.
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Option<String>,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 1_000, value_name = "N")]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `artifacts …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ArtifactsCommand {
    /// Download one
    Get {
        /// The run.
        run: String,
        /// The step.
        step: String,
        /// The artifact's name.
        name: String,
        /// Of the task with this number. [default: the first that has one]
        #[arg(long, value_name = "N")]
        task: Option<u32>,
        /// Write it here. [default: its name in this directory; `-` is standard output]
        #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
}

/// `outputs`
#[derive(Clone, Debug, Args)]
pub(crate) struct OutputsArgs {
    /// The run.
    pub(crate) run: String,
    /// The step.
    pub(crate) step: String,
    /// The format.
    #[arg(long, value_enum, default_value_t, value_name = "ndjson|csv", hide_possible_values = true)]
    pub(crate) format: OutputsFormat,
    /// Write them here. [default: standard output]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// The format of outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputsFormat {
    /// One JSON object a line.
    #[default]
    Ndjson,
    /// A table with the output as JSON text.
    Csv,
}

/// A run's files.
#[derive(Clone, Debug, Args)]
pub(crate) struct FileArgs {
    /// Start the run with a file that its plugins read under this name; may be given several times.
    #[arg(long = "file", value_name = "NAME=PATH", value_parser = parse_pair)]
    pub(crate) named: Vec<(String, String)>,
}

/// A run's parameters.
#[derive(Clone, Debug, Args)]
pub(crate) struct ParameterArgs {
    /// A parameter of the run; the value is JSON, or else a string.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) param: Vec<(String, String)>,
    /// A file with the parameters: a JSON object.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) params: Option<PathBuf>,
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

/// `plugins`
#[derive(Clone, Debug, Args)]
pub(crate) struct PluginsArgs {
    /// What else than a list.
    #[command(subcommand)]
    pub(crate) command: Option<PluginsCommand>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `plugins …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PluginsCommand {
    /// List plugins
    List {
        /// Those that were pulled from registries, which definitions refer to by what they are pinned to.
        #[arg(long)]
        pinned: bool,
    },
    /// Upload components, core modules or WASI commands
    Upload {
        /// The files.
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// The name of a WASI command; its file's name where absent. Other plugins tell their own.
        #[arg(long)]
        name: Option<String>,
        /// A signature that minisign made of the file. [default: FILE.minisig, where it is there]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        signature: Option<PathBuf>,
    },
    /// Show a plugin and its configuration's schema
    Show {
        /// The plugin's name.
        name: String,
    },
    /// Remove a plugin that no unfinished run uses
    Remove {
        /// The plugin's name.
        name: String,
    },
    /// Push a plugin to a registry, as an OCI artifact
    Push(PushArgs),
    /// Pull a plugin from a registry into a file, and tell what it is pinned to
    Pull(PullArgs),
    /// Make a folder with a plugin that builds and runs
    New(NewArgs),
    /// Check files as a server does at upload
    Check(CheckArgs),
    /// Tell what a file is: what it needs and offers, its configuration
    Inspect(InspectArgs),
    /// Use a plugin here, without a server: its log, its results, what it took
    Test(TestArgs),
    /// Measure a plugin here, without a server: until it is ready, and for each task
    Bench(BenchArgs),
    /// Find where a plugin spends its time: a profile for the Firefox Profiler
    Profile(ProfileArgs),
    /// Build and test a plugin again whenever its source changes
    Dev(DevArgs),
}

/// `definitions`
#[derive(Clone, Debug, Args)]
pub(crate) struct DefinitionsArgs {
    /// What else than a list.
    #[command(subcommand)]
    pub(crate) command: Option<DefinitionsCommand>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `definitions …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DefinitionsCommand {
    /// List definitions
    List,
    /// Check definitions and store them
    Put {
        /// The definitions.
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Check definitions against the server's plugins, and store nothing
    Validate {
        /// The definitions.
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Print a definition
    Show {
        /// The definition's id.
        id: String,
    },
    /// Remove a definition; its runs stay
    Delete {
        /// The definition's id.
        id: String,
    },
}

/// `schedules`
#[derive(Clone, Debug, Args)]
pub(crate) struct SchedulesArgs {
    /// What else than a list.
    #[command(subcommand)]
    pub(crate) command: Option<SchedulesCommand>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `schedules …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// List schedules
    List,
    /// Show a schedule with its next and its last fires
    Show {
        /// The definition's id.
        id: String,
    },
    /// Start nothing until it is resumed
    Pause {
        /// The definition's id.
        id: String,
    },
    /// Fire again from now on
    Resume {
        /// The definition's id.
        id: String,
    },
    /// Start a run now, with the schedule's parameters
    Run {
        /// The definition's id.
        id: String,
    },
    /// Print the next fires of a cron expression
    Preview {
        /// Five fields, or six with the seconds first.
        cron: String,
        /// The time zone, by its IANA name.
        #[arg(long, default_value = "UTC", value_name = "ZONE")]
        timezone: String,
        /// How many.
        #[arg(long, short = 'n', default_value_t = 10, value_name = "N")]
        count: usize,
    },
}

/// `token`
#[derive(Clone, Debug, Args)]
pub(crate) struct TokenArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
    /// Work on this data directory, which no server may hold at the same time, instead of asking a server.
    #[arg(long, env = "BULKHEAD_DATA_DIR", value_name = "DIR", value_hint = ValueHint::DirPath, global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `token …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print its secret: it cannot be shown again
    Create {
        /// What to call it.
        name: String,
        /// What it may do: viewer, operator or admin.
        #[arg(long, default_value = "operator", value_name = "ROLE", value_parser = parse_role)]
        role: Role,
    },
    /// List tokens
    List,
    /// Remove a token
    Delete {
        /// Its name.
        name: String,
    },
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if key.is_empty() { Err("the key before `=` is empty".into()) } else { Ok((key.into(), value.into())) }
}

fn parse_level(text: &str) -> Result<Level, String> {
    Level::from_name(text).ok_or_else(|| format!("expected {}", Level::ALL.map(Level::name).join(", ")))
}

fn parse_role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| "expected viewer, operator or admin".into())
}

/// `90s`, `5m`, `12h`, `30d`, `250ms`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time span: write a number and ms, s, m, h or d");
    let split = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// `4096`, `512KiB`, `64MiB`, `8GiB`.
fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: write a number and KiB, MiB or GiB");
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn times_and_sizes_are_read() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(2_592_000)));
        assert!(["", "5", "5 m", "-1s", "1y", "99999999999999999999s"].map(parse_duration).iter().all(Result::is_err));
        assert_eq!(parse_size("64MiB"), Ok(67_108_864));
        assert_eq!(parse_size("4096"), Ok(4_096));
        assert!(["", "GiB", "1GB", "99999999999GiB"].map(parse_size).iter().all(Result::is_err));
    }
}
