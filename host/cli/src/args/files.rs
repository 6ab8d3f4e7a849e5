//! What can be typed about files that runs take and leave.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::ClientArgs;
use super::values::parse_pair;
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
