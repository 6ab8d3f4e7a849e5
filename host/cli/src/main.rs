//! The binary `bulkhead`: a server, a one-shot runner and a client, each in the folder that says so.
//!
//! `args` is what can be typed and `commands` what it does; `embedded` is the host in this process, `client` the one elsewhere;
//! `output` is the only place that prints, `error` how a call fails, `exit_codes` what scripts see.

mod args;
mod client;
mod commands;
mod embedded;
mod error;
mod exit_codes;
mod output;
mod parameters;
mod signals;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use bulkhead_sandbox::{CompileOrder, compile_apart};
use clap::{CommandFactory as _, Parser as _};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command, GlobalArgs, LogFormat};
use crate::commands::{catalog, doctor, files, hooks, run, runs, schedules, serve, tasks, tokens};
use crate::error::{CliError, CliResult};
use crate::output::Output;

fn main() -> ExitCode {
    let Cli { command, global } = Cli::parse();
    if let Command::CompilePlugin { order } = &command {
        return compile(order);
    }
    give_large_buffers_back();
    // Fails only where it was done already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let output = Output::new(global.color, global.json, global.quiet);
    let outcome = start_tracing(&global, &command).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CliError::broken(format!("no runtime: {error}")))?;
        let outcome = runtime.block_on(execute(command, &output));
        // What still runs was told to end, or can't be: it does not hold up the exit.
        runtime.shutdown_background();
        outcome
    });
    ExitCode::from(match outcome {
        Ok(code) => code,
        Err(error) if error.is_broken_pipe() => exit_codes::SUCCEEDED,
        Err(error) => {
            let code = error.exit_code();
            output.error(error);
            code
        }
    })
}

/// Has buffers of a megabyte and more mapped by themselves, and so given back when they are freed. glibc raises that bound by itself to
/// what was freed last, up to 32 MiB, and keeps what is below it: a server that took a few plugins of 20 MB went on with 90 MB of nothing.
fn give_large_buffers_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LARGE: i32 = 1 << 20;
        #[expect(unsafe_code, reason = "there is no other way to tell the allocator")]
        // SAFETY: no other thread runs yet, and the parameter and its range are those of mallopt(3).
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        }
    }
}

/// What a host starts this program for once more: see [`bulkhead_sandbox::compile_apart`].
fn compile(order: &[String]) -> ExitCode {
    match CompileOrder::parse(order) {
        Ok(order) => compile_apart(&order),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(exit_codes::USAGE)
        }
    }
}

async fn execute(command: Command, output: &Output) -> CliResult<u8> {
    match command {
        Command::Serve(args) => serve::serve(args, output).await,
        Command::Run(args) => run::run(args, output).await,
        Command::Trigger(args) => runs::trigger(args, output).await,
        Command::Runs(args) => runs::runs(args, output).await,
        Command::Tasks(args) => tasks::list(args, output).await,
        Command::Artifacts(args) => files::artifacts(args, output).await,
        Command::Outputs(args) => files::outputs(args, output).await,
        Command::Logs(args) => runs::logs(args, output).await,
        Command::Cancel(args) => runs::command(args, "cancel", output).await,
        Command::Pause(args) => runs::command(args, "pause", output).await,
        Command::Resume(args) => runs::command(args, "resume", output).await,
        Command::Retry(args) => tasks::retry(args, output).await,
        Command::ProcessNext(args) => tasks::process_next(args, output).await,
        Command::Task(args) => tasks::task(args, output).await,
        Command::Plugins(args) => catalog::plugins(args, output).await,
        Command::Definitions(args) => catalog::definitions(args, output).await,
        Command::Schedules(args) => schedules::schedules(args, output).await,
        Command::Hooks(args) => hooks::hooks(args, output).await,
        Command::Stats(args) => catalog::stats(args, output).await,
        Command::Token(args) => tokens::tokens(args, output).await,
        Command::Doctor(args) => doctor::doctor(args, output).await,
        // Done before there is a runtime.
        Command::CompilePlugin { .. } => Ok(exit_codes::SUCCEEDED),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "bulkhead", &mut script);
            output.line(String::from_utf8_lossy(&script).trim_end())?;
            output.flush()?;
            Ok(exit_codes::SUCCEEDED)
        }
    }
}

/// Sends what the host says of itself to stderr. What guests log is data and goes elsewhere.
fn start_tracing(global: &GlobalArgs, command: &Command) -> CliResult<()> {
    let default = if matches!(command, Command::Serve(_)) { "info" } else { "error" };
    let filter = global.log.as_deref().unwrap_or(default);
    let filter =
        EnvFilter::try_new(filter).map_err(|error| CliError::usage(format!("`--log {filter}` is no filter: {error}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match global.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
