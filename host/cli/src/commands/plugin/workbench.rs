//! A plugin on a host of its own, which is gone afterwards: everything that a server does with it, and nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_core::definition::with_overrides;
use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::RunId;
use bulkhead_core::name::Name;
use bulkhead_core::run::{Trigger, Usage};
use bulkhead_core::task::{PLAN_INDEX, Task};
use bulkhead_engine::attempt::AttemptHost;
use bulkhead_engine::executor::{CompileListener, Execution, ExecutionEnd, Executor, Inspected};
use bulkhead_engine::jobs::{JobError, RunRequest};
use bulkhead_engine::store::{PluginRecord, TaskFilter, TaskSpec};
use bytes::Bytes;
use futures::future::BoxFuture;
use tempfile::TempDir;

use crate::args::WorkbenchArgs;
use crate::commands::files;
use crate::embedded::plugins::{name_of_file, papers};
use crate::embedded::{Embedded, Places, user_cache};
use crate::error::{CliError, CliResult, InvalidDefinition};
use crate::parameters;

/// The name of the step that uses the plugin.
const STEP: &str = "test";
/// The most fuel that a step may have: it is counted, and nothing stops at it.
const UNLIMITED_FUEL: u64 = 1_000_000_000_000_000_000;
/// Tasks that are read at once.
const PAGE: usize = 1_000;

/// What a workbench is for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purpose {
    /// Whether fuel is counted where the step has no limit of it: that makes guests slower.
    pub(crate) metered: bool,
    /// Where attempts leave their profiles.
    pub(crate) profiles: Option<PathBuf>,
    /// Where compiled code is kept; in the user's cache where absent.
    pub(crate) compiled: Option<PathBuf>,
    /// How many tasks get the input that was given.
    pub(crate) tasks: u32,
}

/// A plugin, ready to be used.
pub(crate) struct Workbench {
    pub(crate) embedded: Embedded,
    pub(crate) plugin: PluginRecord,
    /// How long it took until the plugin had been compiled, or loaded, and had described itself.
    pub(crate) prepared: Duration,
    definition: String,
    _data: TempDir,
}

impl Workbench {
    /// Sets one up, with the plugin on it.
    pub(crate) async fn open(args: &WorkbenchArgs, purpose: &Purpose) -> CliResult<Self> {
        let component = Bytes::from(std::fs::read(&args.file).map_err(CliError::read(&args.file))?);
        let data = tempfile::Builder::new().prefix("bulkhead-plugin-").tempdir();
        let data = data.map_err(CliError::write(std::env::temp_dir()))?;
        let places = Places { compiled: purpose.compiled.clone().or_else(user_cache), profiles: purpose.profiles.clone() };
        let mut embedded = Embedded::open(data.path(), &args.worker, places)?;
        let refused = |error: JobError| CliError::usage(format!("{}: {error}", args.file.display()));
        let papers = papers(&args.file, None)?;
        let start = Instant::now();
        let plugin = embedded.jobs.upload(component, name_of_file(&args.file), papers).await;
        let prepared = start.elapsed();
        let plugin = plugin.map_err(refused)?;
        if let Some(input) = &args.input {
            let input: Arc<str> = read_input(input)?.into();
            let tasks =
                (1..=purpose.tasks).map(|key| TaskSpec { key: key.to_string().into(), input: (&*input).into() }).collect();
            embedded.sandbox = Arc::new(GivenTasks { sandbox: embedded.sandbox.clone(), tasks });
        }
        let definition = definition(&plugin, args, purpose)?;
        Ok(Self { embedded, plugin, prepared, definition, _data: data })
    }

    /// Creates the run.
    pub(crate) async fn run(&self, args: &WorkbenchArgs) -> CliResult<RunId> {
        let request = RunRequest {
            parameters: parameters::collect(&args.parameters)?,
            files: files::store_all(&*self.embedded.store, &args.files).await?,
            trigger: Trigger::Cli,
            paused: false,
            idempotency: None,
            random: rand::random(),
        };
        let created = self.embedded.jobs.run(&self.definition, request).await;
        Ok(created.map_err(|error| CliError::from_job(error, "the step for the plugin", &self.definition))?.run.id)
    }

    /// The run's tasks, without the step's `plan` where the plugin's own did not run.
    pub(crate) async fn tasks(&self, run: RunId, most: usize) -> CliResult<Vec<Task>> {
        let mut tasks: Vec<Task> = Vec::new();
        while tasks.len() < most {
            let after = tasks.last().map(|task| task.id);
            let page = self
                .embedded
                .store
                .tasks(run, TaskFilter::default(), after, PAGE.min((most - tasks.len()).saturating_add(1)))
                .await?;
            if page.is_empty() {
                break;
            }
            tasks.extend(page);
        }
        tasks.retain(|task| task.id.index != PLAN_INDEX);
        tasks.truncate(most);
        Ok(tasks)
    }
}

/// A definition with one step for the plugin.
fn definition(plugin: &PluginRecord, args: &WorkbenchArgs, purpose: &Purpose) -> CliResult<String> {
    let name = toml::Value::from(plugin.name.as_str());
    let mut text = format!("id = \"plugin-test\"\n[step.{STEP}]\nplugin = {name}\n");
    if purpose.metered && !args.keys.iter().any(|(key, _)| key == "limits.fuel") {
        text.push_str(&format!("limits.fuel = {UNLIMITED_FUEL}\n"));
    }
    let keys: Vec<_> = args.keys.iter().map(|(key, value)| (format!("{STEP}.{key}"), value.clone())).collect();
    with_overrides(&text, &keys).map_err(|found| InvalidDefinition::new("the step for the plugin", &text, found).into())
}

/// The JSON text that `--input` names.
fn read_input(input: &str) -> CliResult<String> {
    let text = match input.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(CliError::read(Path::new(file)))?,
        None => input.to_owned(),
    };
    let json = serde_json::from_str::<&serde_json::value::RawValue>(text.trim());
    let json =
        json.map_err(|error| CliError::usage(format!("the input is no JSON: {error}; a text goes in quotes: '\"text\"'")))?;
    Ok(json.get().to_owned())
}

/// A sandbox whose steps are planned by somebody else than the plugin: each has the given tasks.
struct GivenTasks {
    sandbox: Arc<dyn Executor>,
    tasks: Vec<TaskSpec>,
}

impl Executor for GivenTasks {
    fn execute(&self, host: AttemptHost) -> BoxFuture<'static, Execution> {
        if host.claimed().task.index != PLAN_INDEX {
            return self.sandbox.execute(host);
        }
        let tasks = self.tasks.clone();
        Box::pin(async move {
            let end = match host.spawn(tasks).await {
                Ok(_) => ExecutionEnd::Succeeded("null".into()),
                Err(error) => ExecutionEnd::Failed(Failure::new(Cause::HostFault, error.to_string())),
            };
            Execution { end, usage: Usage::default() }
        })
    }

    fn inspect(
        &self,
        component: Bytes,
        name: Option<Name>,
        told: Option<CompileListener>,
    ) -> BoxFuture<'static, Result<Inspected, Failure>> {
        self.sandbox.inspect(component, name, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_json_or_a_file_with_json() {
        assert_eq!(read_input(" {\"a\": 1} ").unwrap(), "{\"a\": 1}");
        assert!(read_input("text").unwrap_err().to_string().contains("in quotes"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[1]\n").unwrap();
        assert_eq!(read_input(&format!("@{}", file.path().display())).unwrap(), "[1]");
    }
}
