//! `bulkhead plugin bench`: how long a plugin takes until it is ready, and what its tasks cost.

use std::time::{Duration, Instant};

use bulkhead_core::task::TaskStatus;
use bulkhead_engine::store::Retention;
use serde::Serialize;

use super::workbench::{Purpose, Workbench};
use crate::args::BenchArgs;
use crate::embedded;
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::table::{Cell, Table};
use crate::output::{Output, format};

/// What was measured. Times are in microseconds.
#[derive(Debug, Serialize)]
struct Figures {
    plugin: String,
    version: String,
    size_bytes: u64,
    /// From bytes to a plugin that has described itself, compiled first.
    cold_us: u64,
    /// The same with compiled code from the disk.
    warm_us: u64,
    tasks: usize,
    failed: usize,
    /// From the start of the worker to the last task's recorded end.
    elapsed_us: u64,
    /// From the claim of a task to its recorded end.
    attempt_us: Spread,
    /// How long the guest held a thread.
    cpu_us: Spread,
    /// The most linear memory of a task, in bytes.
    peak_memory_bytes: u64,
    /// Fuel of all tasks, where the step has a limit of it.
    fuel: u64,
}

/// The middle and the far end of some figures.
#[derive(Debug, Serialize)]
struct Spread {
    p50: u64,
    p99: u64,
    max: u64,
}

impl Spread {
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |share: usize| values.get(values.len().saturating_sub(1) * share / 100).copied().unwrap_or_default();
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// Measures a plugin. The tasks are those that it plans, or copies of the one with the input that was given.
pub(crate) async fn bench(args: BenchArgs, output: &Output) -> CliResult<u8> {
    // Code of its own, so that it is compiled once and loaded once.
    let compiled = tempfile::Builder::new().prefix("bulkhead-bench-").tempdir();
    let compiled = compiled.map_err(CliError::write(std::env::temp_dir()))?;
    let purpose = Purpose { compiled: Some(compiled.path().join("code")), tasks: args.tasks, ..Purpose::default() };
    let cold = Workbench::open(&args.workbench, &purpose).await?.prepared;
    let workbench = Workbench::open(&args.workbench, &purpose).await?;
    let run = workbench.run(&args.workbench).await?;
    let store = &workbench.embedded.store;

    let mut signal = store.run_signal(run);
    let start = Instant::now();
    let engine = workbench.embedded.start(Retention::default()).await?;
    while !store.run(run).await?.run.state.is_terminal() {
        signal.wait().await;
    }
    let elapsed = start.elapsed();
    embedded::stop(&engine).await;

    let tasks = workbench.tasks(run, usize::MAX).await?;
    let attempts: Vec<_> = tasks.iter().filter_map(|task| task.history.last()).collect();
    let plugin = &workbench.plugin;
    let figures = Figures {
        plugin: plugin.name.to_string(),
        version: plugin.version.clone(),
        size_bytes: plugin.size,
        cold_us: micros(cold),
        warm_us: micros(workbench.prepared),
        tasks: tasks.len(),
        failed: tasks.iter().filter(|task| task.state.status() == TaskStatus::Failed).count(),
        elapsed_us: micros(elapsed),
        attempt_us: Spread::of(attempts.iter().map(|attempt| micros(attempt.ended_at.since(attempt.claimed_at))).collect()),
        cpu_us: Spread::of(attempts.iter().map(|attempt| attempt.usage.cpu_micros).collect()),
        peak_memory_bytes: attempts.iter().map(|attempt| attempt.usage.peak_memory).max().unwrap_or_default(),
        fuel: attempts.iter().map(|attempt| attempt.usage.fuel).sum(),
    };
    output.result(&figures, |figures| figures.render(output))?;
    Ok(if figures.failed > 0 { exit_codes::FAILED } else { exit_codes::SUCCEEDED })
}

impl Figures {
    fn render(&self, output: &Output) -> String {
        let time =
            |micros: u64| if micros < 10_000 { format!("{micros} µs") } else { format::duration(Duration::from_micros(micros)) };
        let spread =
            |spread: &Spread| format!("{}, 99 % below {}, most {}", time(spread.p50), time(spread.p99), time(spread.max));
        let seconds = Duration::from_micros(self.elapsed_us).as_secs_f64();
        let mut table = Table::new(&["what", "figure"]);
        let mut row = |what: &str, figure: String| table.row(vec![Cell::text(what), Cell::text(figure)]);
        row("plugin", format!("{} {}, {}", self.plugin, self.version, format::bytes(self.size_bytes)));
        row("ready, compiled first", time(self.cold_us));
        row("ready, from compiled code", time(self.warm_us));
        row("tasks", format!("{} in {}, {:.0} a second", self.tasks, time(self.elapsed_us), self.tasks as f64 / seconds));
        row("failed", format::count(self.failed as u64));
        row("a task, claimed to recorded", spread(&self.attempt_us));
        row("processor time of a task", spread(&self.cpu_us));
        row("most memory of a task", format::bytes(self.peak_memory_bytes));
        if self.fuel > 0 {
            row("fuel of all tasks", format::count(self.fuel));
        }
        table.render(output.paint())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
