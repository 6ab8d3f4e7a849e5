//! What can be typed about a host: `serve`, `run`, and what both take.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bulkhead_core::log::Level;
use bulkhead_registry::Allowed;
use clap::{Args, ValueHint};

use super::values::{parse_duration, parse_level, parse_pair, parse_size};
use super::{CourierArgs, FileArgs};
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
    /// Threads that read and compile plugins, each plugin in a process of its own. [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) compile_threads: Option<u16>,
    /// Memory that reading or compiling one plugin may take; one that needs more is refused.
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

/// How requests leave: plugins', where a definition grants them, those to registries, and hooks'.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "HTTP requests that leave")]
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
    /// Trust the authorities in this PEM file, too, beside those that the machine trusts: the registries', the hosts' that plugins ask.
    /// Can be given more than once.
    #[arg(long, env = "BULKHEAD_EGRESS_CA", value_name = "FILE", value_hint = ValueHint::FilePath, value_delimiter = ',')]
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
