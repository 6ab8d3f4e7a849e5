//! What can be typed about tokens.

use std::path::PathBuf;

use bulkhead_engine::store::Role;
use clap::{Args, Subcommand, ValueHint};

use super::ClientArgs;
use super::values::parse_role;
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
