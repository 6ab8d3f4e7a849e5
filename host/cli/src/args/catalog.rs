//! What can be typed about plugins, definitions and schedules.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{BenchArgs, CheckArgs, ClientArgs, DevArgs, InspectArgs, NewArgs, ProfileArgs, PullArgs, PushArgs, TestArgs};
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
        /// The plugin's name, or the digest of its component.
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
