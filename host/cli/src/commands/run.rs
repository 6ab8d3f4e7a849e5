//! `bulkhead run`: one definition here and now, on an embedded engine.
//!
//! What follows the run reads the store as any other reader does: a cursor into the durable log, never a queue beside it. So what
//! is printed is what is stored, line by line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_api::model;
use bulkhead_core::definition::with_overrides;
use bulkhead_core::id::RunId;
use bulkhead_core::log::Level;
use bulkhead_core::machine::RunCommand;
use bulkhead_core::plan::Plan;
use bulkhead_core::run::Trigger;
use bulkhead_core::task::TaskStatus;
use bulkhead_engine::jobs::RunRequest;
use bulkhead_engine::store::{LogQuery, Retention, RunView, Store, TaskFilter};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::{LineFormat, RunArgs};
use crate::commands::files;
use crate::embedded::{self, Embedded, Places, plugins, user_cache};
use crate::error::{CliError, CliResult, InvalidDefinition};
use crate::exit_codes;
use crate::output::Output;
use crate::output::line::LineRenderer;
use crate::output::progress::StepBars;
use crate::output::summary::{Failures, RunSummary};
use crate::parameters;
use crate::signals::Shutdown;

/// Lines and events read at once.
const PAGE: usize = 1_000;
/// How often the progress bars move.
const BARS_INTERVAL: Duration = Duration::from_millis(100);
/// The longest wait for a signal of the store.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// One line of `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Record<'a> {
    /// A log line.
    Log { line: &'a model::LogLine },
    /// A change of a state.
    Event { event: &'a model::Event },
    /// What a task returned.
    Result { key: &'a str, output: &'a RawValue },
    /// The end.
    Summary(&'a RunSummary),
}

/// Runs a definition and says how that ended.
pub(crate) async fn run(args: RunArgs, output: &Output) -> CliResult<u8> {
    let shutdown = Shutdown::listen()?;
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).map_err(CliError::read(&args.file))?;
    let overridden = with_overrides(&text, &args.overrides).map_err(|found| InvalidDefinition::new(&name, &text, found))?;
    let mut request = RunRequest {
        parameters: parameters::collect(&args.parameters)?,
        files: BTreeMap::new(),
        trigger: Trigger::Cli,
        paused: false,
        idempotency: None,
        random: rand::random(),
    };

    // The guard lives to the end, and removes the directory.
    let (data_dir, _guard) = match &args.data_dir {
        Some(dir) => (dir.clone(), None),
        None => {
            let guard =
                tempfile::Builder::new().prefix("bulkhead-run-").tempdir().map_err(CliError::write(std::env::temp_dir()))?;
            (guard.path().to_owned(), Some(guard))
        }
    };
    let places = Places { compiled: args.data_dir.is_none().then(user_cache).flatten(), profiles: None };
    let embedded = Embedded::open(&data_dir, &args.worker, places)?;
    load_plugins(&embedded, args.worker.plugins.as_ref(), &overridden, output).await?;
    request.files = files::store_all(&*embedded.store, &args.files).await?;
    let created = embedded.jobs.run(&overridden, request).await.map_err(|error| CliError::from_job(error, &name, &overridden))?;
    let run = created.run.id;

    let engine = embedded.start(Retention::default()).await?;
    let mut follower = Follower::new(embedded.store.clone(), run, args.level, output).await?;
    let followed = follower.follow(&shutdown, args.grace).await;
    embedded::stop(&engine).await;
    followed?;
    // What was stored while the engine stopped.
    follower.print_new().await?;
    if let Some(dir) = &args.artifacts {
        files::copy_all(&*embedded.store, run, dir).await?;
    }
    follower.summarise().await
}

async fn load_plugins(embedded: &Embedded, dir: Option<&PathBuf>, definition: &str, output: &Output) -> CliResult<()> {
    let Some(dir) = dir.cloned().or_else(plugins::default_dir) else {
        return Err(CliError::usage_help(
            "there are no plugins",
            "say where they are with `--plugins DIR` or BULKHEAD_PLUGINS; in a checkout, `make plugins` builds them",
        ));
    };
    let loaded = plugins::load_for(&*embedded.store, &embedded.jobs, &dir, definition).await?;
    for (file, reason) in &loaded.refused {
        output.note(&format!("{}: {reason}", file.display()));
    }
    Ok(())
}

/// Prints what a run does until it ends.
pub(crate) struct Follower<'a> {
    store: Arc<dyn Store>,
    run: RunId,
    plan: Arc<Plan>,
    output: &'a Output,
    renderer: LineRenderer,
    bars: StepBars,
    bars_moved: Option<Instant>,
    level: Level,
    /// The last line that was looked at.
    line: u64,
    /// The last event that was looked at.
    event: u64,
}

impl<'a> Follower<'a> {
    pub(crate) async fn new(store: Arc<dyn Store>, run: RunId, level: Level, output: &'a Output) -> CliResult<Self> {
        let plan = store.run(run).await?.plan;
        let names: Vec<_> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        let bars = StepBars::new(output.bars(), &names);
        let renderer = LineRenderer::new(LineFormat::Text, output.paint());
        Ok(Self { store, run, plan, output, renderer, bars, bars_moved: None, level, line: 0, event: 0 })
    }

    /// Prints until the run has ended. At the first Ctrl-C the run is cancelled; after the second, or the grace after the first,
    /// it is left as it is.
    pub(crate) async fn follow(&mut self, shutdown: &Shutdown, grace: Duration) -> CliResult<()> {
        let mut signal = self.store.run_signal(self.run);
        let mut give_up = None;
        loop {
            if self.print_new().await? {
                return Ok(());
            }
            self.move_bars().await?;
            let wait = if self.bars.is_shown() { BARS_INTERVAL } else { LONGEST_WAIT };
            tokio::select! {
                () = signal.wait() => {}
                () = tokio::time::sleep(wait) => {}
                () = shutdown.requested.cancelled(), if give_up.is_none() => {
                    self.output.note("cancelling the run; Ctrl-C again stops at once");
                    self.store.command_run(self.run, RunCommand::Cancel).await?;
                    give_up = Some(tokio::time::Instant::now() + grace);
                }
                () = shutdown.at_once.cancelled() => return Ok(()),
                () = until(give_up) => {
                    self.output.note("the run did not end in time");
                    return Ok(());
                }
            }
        }
    }

    /// Prints the lines and events that are new; whether the run has ended and all of it is printed.
    pub(crate) async fn print_new(&mut self) -> CliResult<bool> {
        loop {
            let level = (self.level > Level::Debug).then_some(self.level);
            let query = LogQuery { after: self.line, level, limit: PAGE, ..LogQuery::default() };
            let page = self.store.log(self.run, query).await?;
            self.line = page.scanned;
            if self.output.is_json() || !self.output.is_quiet() {
                for record in &page.lines {
                    let line = model::LogLine::new(record, &self.plan);
                    if self.output.is_json() {
                        self.output.json_line(&Record::Log { line: &line })?;
                    } else {
                        self.output.line(&self.renderer.render(&line))?;
                    }
                }
            }
            if page.scanned == page.last {
                self.print_events().await?;
                self.output.flush()?;
                return Ok(page.ended);
            }
        }
    }

    /// Prints what a task returned: JSON text.
    pub(crate) fn result(&self, key: &str, output: &str) -> CliResult<()> {
        if !self.output.is_json() {
            return self.output.line(&format!("{key} → {output}"));
        }
        // The host checked it when the task returned it.
        let json =
            serde_json::from_str(output).map_err(|error| CliError::broken(format!("the output of task {key}: {error}")))?;
        self.output.json_line(&Record::Result { key, output: json })
    }

    async fn print_events(&mut self) -> CliResult<()> {
        if !self.output.is_json() {
            return Ok(());
        }
        loop {
            let records = self.store.events(self.event, PAGE).await?;
            let Some(last) = records.last() else {
                return Ok(());
            };
            self.event = last.seq;
            for record in records.iter().filter(|record| record.run == Some(self.run)) {
                self.output.json_line(&Record::Event { event: &model::Event::new(record, Some(&self.plan)) })?;
            }
        }
    }

    async fn move_bars(&mut self) -> CliResult<()> {
        let is_due = self.bars_moved.is_none_or(|at| at.elapsed() >= BARS_INTERVAL);
        if self.bars.is_shown() && is_due {
            self.bars.update(&self.detail().await?.steps);
            self.bars_moved = Some(Instant::now());
        }
        Ok(())
    }

    async fn detail(&self) -> CliResult<model::RunDetail> {
        let RunView { run, plan, parameters } = self.store.run(self.run).await?;
        Ok(model::RunDetail::new(&run, &plan, &parameters))
    }

    /// Prints the summary; the exit code says the same.
    pub(crate) async fn summarise(&self) -> CliResult<u8> {
        self.bars.clear();
        let run = self.detail().await?;
        let state = run.run.state;
        let filter = TaskFilter { statuses: vec![TaskStatus::Failed], ..TaskFilter::default() };
        let mut failed = Vec::new();
        while failed.len() < Failures::MAX_LOOKED_AT {
            let after = failed.last().map(|task: &bulkhead_core::task::Task| task.id);
            let page = self.store.tasks(self.run, filter.clone(), after, PAGE).await?;
            if page.is_empty() {
                break;
            }
            failed.extend(page);
        }
        let failed: Vec<_> = failed.iter().map(|task| model::Task::new(task, &self.plan)).collect();
        let failures = Failures::of(&failed, run.run.tasks.failed);
        let summary = RunSummary { run, failures };
        if self.output.is_json() {
            self.output.json_line(&Record::Summary(&summary))?;
        } else {
            let gap = if self.output.is_quiet() { "" } else { "\n" };
            self.output.line(&format!("{gap}{}", summary.render(self.output.paint()).trim_end()))?;
        }
        self.output.flush()?;
        Ok(exit_codes::of_run(state))
    }
}

/// Waits until a moment; for ever where there is none.
async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
