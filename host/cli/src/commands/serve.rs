//! `bulkhead serve`: the API and a worker in one process.
//!
//! It listens before it loads plugins and definitions, so a restart is short however many there are. What it is given in
//! directories goes through the same checks as what is uploaded.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_api::auth::{new_token, secret_digest};
use bulkhead_api::{ApiConfig, ApiState, RateLimit, check_bind};
use bulkhead_core::name::Name;
use bulkhead_engine::courier::Courier;
use bulkhead_engine::engine::Engine;
use bulkhead_engine::store::{Retention, Role, Store, StoreError, TokenRecord};
use bulkhead_engine::uploads::Uploads;
use serde_json::json;
use tokio::net::TcpListener;

use crate::args::ServeArgs;
use crate::embedded::{self, Embedded, Places, courier, definitions, plugins};
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::Output;
use crate::signals::Shutdown;

/// The name of the token that `--admin-token-file` holds.
const ADMIN: &str = "admin";
/// How long clients may take to read the rest of what they are sent when the server ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves until a signal ends it.
pub(crate) async fn serve(args: ServeArgs, output: &Output) -> CliResult<u8> {
    let shutdown = Shutdown::listen()?;
    let hooks = courier::config(&args.courier)?;
    let embedded = Arc::new(Embedded::open(&args.data.data_dir, &args.worker, Places::default())?);
    if let Some(file) = &args.admin_token_file {
        hold_admin_token(&*embedded.store, file).await?;
    }
    let require_token = !embedded.store.tokens().await?.is_empty();
    check_bind(args.listen, require_token).map_err(|error| {
        CliError::usage_help(
            error.to_string(),
            "`bulkhead token create NAME --role admin --data-dir DIR` makes a token before the first start; so does --admin-token-file",
        )
    })?;
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| CliError::broken(format!("cannot listen on {}: {error}", args.listen)))?;
    let address = listener.local_addr().map_err(|error| CliError::broken(error.to_string()))?;

    let retention = Retention { age: args.retention_age, count: args.retention_count };
    let engine = Arc::new(embedded.start(retention).await?);
    let load = {
        let engine = engine.clone();
        Arc::new(move || engine.load())
    };
    let rate = RateLimit { per_second: args.rate_limit, burst: args.rate_limit.saturating_mul(2) };
    let config = ApiConfig {
        require_token,
        rate,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        file_limit: args.file_limit,
        retention,
        hook_secrets: hooks.secrets.keys().cloned().collect(),
        ..ApiConfig::default()
    };
    let courier = Courier::start(embedded.store.clone(), embedded.egress.clone(), hooks);
    let uploads = Uploads::start(embedded.jobs.clone());
    let state = ApiState::new(embedded.store.clone(), embedded.jobs.clone(), load, config).with_egress(embedded.egress.clone());
    let mut http = tokio::spawn(bulkhead_api::serve(listener, state.clone()));
    announce(output, &json!({ "listening": format!("http://{address}") }), &format!("listening on http://{address}"))?;

    let load_everything = load_everything(&embedded, &args);
    let load_everything = async {
        match load_everything.await {
            Ok(loaded) => announce(output, &json!({ "loaded": loaded }), &format!("loaded {loaded}")),
            Err(error) => {
                output.error(error);
                announce(output, &json!({ "loaded": null }), "not everything could be loaded")
            }
        }
    };
    tokio::pin!(load_everything);
    let mut is_loading = true;
    loop {
        tokio::select! {
            loaded = &mut load_everything, if is_loading => {
                is_loading = false;
                loaded?;
            }
            () = shutdown.requested.cancelled() => break,
            ended = &mut http => {
                embedded::stop(&engine).await;
                return Err(CliError::broken(format!("the API ended: {ended:?}")));
            }
        }
    }
    drain(&engine, &shutdown, args.grace).await;
    courier.stop().await;
    uploads.stop().await;
    // Until now the log and the counters of what was draining could be read.
    state.close();
    let _ = tokio::time::timeout(GOODBYE, http).await;
    tracing::info!("stopped");
    Ok(if shutdown.at_once.is_cancelled() { exit_codes::INTERRUPTED } else { exit_codes::SUCCEEDED })
}

/// Takes no more tasks and waits for those at work, for the grace or until the second signal; what is left goes back to the queue.
async fn drain(engine: &Engine, shutdown: &Shutdown, grace: Duration) {
    tracing::info!(running = engine.load().running, "draining; the same signal again stops at once");
    tokio::select! {
        drained = engine.drain(grace) => {
            if !drained {
                tracing::warn!("the grace is over; attempts at work go back to the queue");
            }
        }
        () = shutdown.at_once.cancelled() => tracing::warn!("stopping at once; attempts at work go back to the queue"),
    }
    embedded::stop(engine).await;
}

/// Loads the directories and starts what starts by itself; a line about what there is then.
async fn load_everything(embedded: &Embedded, args: &ServeArgs) -> CliResult<String> {
    let mut said = Vec::new();
    if let Some(dir) = &args.worker.plugins {
        let loaded = plugins::load_all(&*embedded.store, &embedded.jobs, dir).await?;
        said.push(format!("{} new plugins, {} known, {} refused", loaded.uploaded, loaded.unchanged, loaded.refused.len()));
    }
    if let Some(dir) = &args.definitions {
        let (stored, refused) = definitions::put_all(&embedded.jobs, dir).await?;
        said.push(format!("{stored} definitions, {refused} refused"));
    }
    definitions::auto_start(&*embedded.store, &embedded.jobs).await?;
    Ok(if said.is_empty() { "nothing".to_owned() } else { said.join("; ") })
}

fn announce(output: &Output, record: &serde_json::Value, text: &str) -> CliResult<()> {
    if output.is_json() {
        output.json_line(record)?;
        output.flush()
    } else {
        output.note(text);
        Ok(())
    }
}

/// Makes the token in a file the admin's; a file that is missing gets a new one.
async fn hold_admin_token(store: &dyn Store, file: &Path) -> CliResult<()> {
    let name: Name = ADMIN.parse().map_err(|error| CliError::broken(format!("{error}")))?;
    let record = match std::fs::read_to_string(file) {
        Ok(text) => {
            let secret = text.trim();
            if secret.len() < 32 {
                return Err(CliError::usage_help(
                    format!("{} holds no token", file.display()),
                    "remove it, and the server makes a new one; or write at least 32 random characters",
                ));
            }
            TokenRecord { name: name.clone(), role: Role::Admin, secret: secret_digest(secret), created_at: store.now() }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (record, secret) = new_token(name.clone(), Role::Admin, store.now());
            let mut options = std::fs::OpenOptions::new();
            let write = options.write(true).create_new(true).mode(0o600).open(file);
            write.and_then(|mut made| writeln!(made, "{secret}")).map_err(CliError::write(file))?;
            tracing::info!(file = %file.display(), "admin token made");
            record
        }
        Err(error) => return Err(CliError::read(file)(error)),
    };
    if store.tokens().await?.iter().any(|token| token.secret == record.secret) {
        return Ok(());
    }
    // An earlier file's token goes with the file.
    match store.delete_token(name).await {
        Ok(()) | Err(StoreError::NotFound(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(store.put_token(record).await?)
}
