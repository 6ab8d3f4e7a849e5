//! The commands on a data directory that no server holds: tokens and the doctor.

use std::path::Path;

use bulkhead_api::model::Token;
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_engine::store::{Role, Store, TokenRecord};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::args::{DataDirArgs, TokenArgs, TokenCommand};
use crate::embedded::open_store;
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::table::{Cell, Table};
use crate::output::{Output, format};

/// Makes, lists and removes tokens.
pub(crate) async fn token(args: TokenArgs, output: &Output) -> CliResult<u8> {
    match args.command {
        TokenCommand::Create { name, role, data } => {
            let store = open_store(&data.data_dir)?;
            let name: Name = name.parse().map_err(|error| CliError::usage(format!("{error}")))?;
            if store.tokens().await?.iter().any(|token| token.name == name) {
                return Err(CliError::usage_help(
                    format!("there is a token `{name}` already"),
                    "take another name, or remove that one first",
                ));
            }
            let secret = new_secret();
            store_token(&*store, name.clone(), role, &secret).await?;
            let made = json!({ "name": name, "role": role.name(), "secret": secret });
            output.result(&made, |_| secret.clone())?;
            output.note("keep it: only its digest is stored, so it cannot be shown again");
        }
        TokenCommand::List { data } => {
            let tokens = existing(&data.data_dir)?.tokens().await?;
            let tokens: Vec<_> = tokens.iter().map(Token::from).collect();
            output.result(&tokens, |tokens| {
                let mut table = Table::new(&["token", "role", "created"]);
                for token in tokens {
                    let created = Cell::text(format::date(token.created_at));
                    table.row(vec![Cell::text(&token.name), Cell::text(format::name(&token.role)), created]);
                }
                if table.is_empty() { "no tokens".to_owned() } else { table.render(output.paint()) }
            })?;
        }
        TokenCommand::Delete { name, data } => {
            let name: Name = name.parse().map_err(|error| CliError::usage(format!("{error}")))?;
            existing(&data.data_dir)?.delete_token(name).await?;
        }
    }
    Ok(exit_codes::SUCCEEDED)
}

/// Recounts everything and compares.
pub(crate) async fn doctor(args: DataDirArgs, output: &Output) -> CliResult<u8> {
    let store = existing(&args.data_dir)?;
    let differences = store.recount().await?;
    let statistics = store.statistics().await?;
    let (runs, tasks): (u64, u64) = (statistics.runs.iter().sum(), statistics.tasks.iter().sum());
    let found = json!({ "healthy": differences.is_empty(), "runs": runs, "tasks": tasks, "differences": differences });
    output.result(&found, |_| {
        let counted = format!("{} runs and {} tasks recounted: ", format::count(runs), format::count(tasks));
        match differences.as_slice() {
            [] => format!("{counted}all counters are right"),
            differences => format!("{counted}{} differences\n{}", differences.len(), differences.join("\n")),
        }
    })?;
    Ok(if differences.is_empty() { exit_codes::SUCCEEDED } else { exit_codes::FAILED })
}

/// The store of a directory that has one.
fn existing(data_dir: &Path) -> CliResult<std::sync::Arc<dyn Store>> {
    if !data_dir.is_dir() {
        return Err(CliError::usage_help(
            format!("there is no data directory {}", data_dir.display()),
            "`--data-dir` or BULKHEAD_DATA_DIR says where it is",
        ));
    }
    open_store(data_dir)
}

/// A new secret: 256 random bits, with a prefix by which scanners for leaked secrets know it.
pub(crate) fn new_secret() -> String {
    let bits: [u8; 32] = rand::random();
    bits.iter().fold("bulkhead_".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// Stores a token under the digest of its secret.
pub(crate) async fn store_token(store: &dyn Store, name: Name, role: Role, secret: &str) -> CliResult<()> {
    let digest = Digest::from_bytes(Sha256::digest(secret.as_bytes()).into());
    let record = TokenRecord { name, role, secret: digest, created_at: store.now() };
    Ok(store.put_token(record).await?)
}
