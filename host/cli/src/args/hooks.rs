//! What can be typed about hooks.

use std::path::PathBuf;
use std::time::Duration;

use bulkhead_core::host_pattern::HostPattern;
use bulkhead_core::name::Name;
use bulkhead_engine::courier;
use clap::{Args, Subcommand, ValueHint};

use super::ClientArgs;
use super::values::parse_duration;

/// How deliveries to hooks leave.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Hooks")]
pub(crate) struct CourierArgs {
    /// The secret that hooks name to have their deliveries signed: `whsec_…`, a line; of several lines, each signs. A new one is made
    /// where the file is missing. Can be given more than once.
    #[arg(long, value_name = "NAME=FILE", value_parser = parse_secret, value_hint = ValueHint::FilePath)]
    pub(crate) hooks_secret: Vec<(Name, PathBuf)>,
    /// Let hooks go to this address or network, although it is not public: `127.0.0.1:9000`, `10.0.0.0/8`. Can be given more than
    /// once.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = parse_pattern)]
    pub(crate) hooks_allow: Vec<String>,
    /// How often a delivery is attempted. Waits double from 1 s to 8 h: 18 attempts take about a day.
    #[arg(long, value_name = "N", default_value_t = bulkhead_core::hook::ATTEMPTS, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) hooks_attempts: u32,
    /// How long a receiver may take to answer.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse_timeout)]
    pub(crate) hooks_timeout: Duration,
}

/// `hooks`
#[derive(Clone, Debug, Args)]
pub(crate) struct HooksArgs {
    /// What else than a list.
    #[command(subcommand)]
    pub(crate) command: Option<HooksCommand>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `hooks …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum HooksCommand {
    /// List hooks
    List,
    /// Make a hook of the server, or change it
    Put {
        /// What to call it.
        name: String,
        /// Where deliveries are posted.
        url: String,
        /// The name of the secret that signs for it: one of `serve --hooks-secret`.
        #[arg(long, value_name = "NAME")]
        secret: String,
        /// Of what: run.succeeded, run.failed, run.cancelled, task.failed; may be given several times. [default: of all]
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<String>,
        /// Of the runs of this definition; may be given several times. [default: of all]
        #[arg(long = "definition", value_name = "ID")]
        definitions: Vec<String>,
    },
    /// Remove a hook of the server, and what it was still to be told
    Remove {
        /// Its name.
        name: String,
    },
    /// Send a hook a delivery of the type `hook.test`
    Test {
        /// Its name.
        name: String,
    },
    /// List deliveries with the receiver's last answer, the newest first
    Deliveries {
        /// The hook's name.
        name: String,
        /// In this state: waiting, delivered or failed.
        #[arg(long, default_value = "failed", value_name = "STATE")]
        state: String,
        /// At most so many.
        #[arg(long, short = 'n', default_value_t = 100, value_name = "N")]
        limit: usize,
    },
    /// Send failed deliveries again
    Redeliver {
        /// The hook's name.
        name: String,
        /// The delivery's number. [default: all]
        number: Option<u64>,
    },
}

fn parse_secret(text: &str) -> Result<(Name, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("expected NAME=FILE")?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    if file.is_empty() { Err("the file after `=` is missing".into()) } else { Ok((name, file.into())) }
}

fn parse_pattern(text: &str) -> Result<String, String> {
    text.parse::<HostPattern>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text)?;
    let range = Duration::from_millis(100)..=courier::MAX_TIMEOUT;
    if range.contains(&timeout) { Ok(timeout) } else { Err(format!("`{text}` is not from 100ms to 60s")) }
}
