//! What can be typed of the commands for who writes plugins.

use std::path::PathBuf;

use bulkhead_core::log::Level;
use bulkhead_core::oci::OciReference;
use clap::{Args, ValueEnum, ValueHint};

use super::values::{parse_level, parse_pair};
use super::{EgressArgs, FileArgs, ParameterArgs, WorkerArgs};

/// What plugins can be made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Assemblyscript,
    C,
    Go,
    Javascript,
    Python,
    Rust,
    Typescript,
    Zig,
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// `plugins new`
#[derive(Clone, Debug, Args)]
pub(crate) struct NewArgs {
    /// The plugin's name: lower-case letters, digits, `-` and `_`.
    pub(crate) name: String,
    /// The language that it is written in.
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: Language,
    /// Where its folder is made. [default: its name, in this directory]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// `plugins check`
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArgs {
    /// The files.
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
}

/// `plugins inspect`
#[derive(Clone, Debug, Args)]
pub(crate) struct InspectArgs {
    /// The file.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
}

/// A plugin on a workbench: what its step is like.
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkbenchArgs {
    /// The plugin.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Do one task with this input, JSON or `@FILE` with JSON, instead of what the plugin's `plan` spawns.
    #[arg(long, short, value_name = "JSON|@FILE")]
    pub(crate) input: Option<String>,
    /// Set a key of the step, its configuration or a limit: `worker_count=7`, `limits.memory=64MiB`, `timeout=10s`.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) keys: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
}

/// `plugins test`
#[derive(Clone, Debug, Args)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    pub(crate) workbench: WorkbenchArgs,
    /// Show lines of this level and above.
    #[arg(long, default_value = "debug", value_name = "LEVEL", value_parser = parse_level)]
    pub(crate) level: Level,
}

/// `plugins bench`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) workbench: WorkbenchArgs,
    /// Do so many tasks.
    #[arg(long, short = 'n', default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) tasks: u32,
}

/// `plugins profile`
#[derive(Clone, Debug, Args)]
pub(crate) struct ProfileArgs {
    #[command(flatten)]
    pub(crate) workbench: WorkbenchArgs,
    /// Write the profile here. [default: the plugin's file with `.profile.json`]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// `plugins dev`
#[derive(Clone, Debug, Args)]
pub(crate) struct DevArgs {
    #[command(flatten)]
    pub(crate) test: TestArgs,
    /// Build with this command of the shell.
    #[arg(long, default_value = "make", value_name = "COMMAND")]
    pub(crate) build: String,
    /// Build again when something in this directory changes, but for what its `.gitignore` leaves out.
    #[arg(long, default_value = ".", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) watch: PathBuf,
}

/// `plugins push`
#[derive(Clone, Debug, Args)]
pub(crate) struct PushArgs {
    /// The component, core module or WASI command.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Where to: `oci://registry.example/team/hello:1.2`. [tag: latest]
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: OciReference,
    /// Push it with this signature, which minisign made. [default: FILE.minisig, where it is there]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) signature: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) egress: EgressArgs,
}

/// `plugins pull`
#[derive(Clone, Debug, Args)]
pub(crate) struct PullArgs {
    /// What: `oci://registry.example/team/hello:1.2`, or pinned with `@sha256:…`. [tag: latest]
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: OciReference,
    /// Write it here, its manifest beside it as FILE.oci.json, and its signature as FILE.minisig. [default: its name with .wasm]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) egress: EgressArgs,
}
