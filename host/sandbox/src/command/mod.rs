//! Commands: programs that know WASI and nothing of the contract, as steps.
//!
//! The host plans such a step itself: a task for each of `items`, or one. A task is a call of the program with arguments,
//! environment, standard input and files as the step's configuration says. What it writes to its standard streams are log lines, and
//! its exit status is the result: 0, or another that the step says, is success, with the last JSON document of its standard output or
//! of a file as the task's output; any other is a failure, with the end of its standard error as the message. [`config::SCHEMA`] is what
//! a step may say.

pub(crate) mod config;
mod document;
mod files;
mod template;

use bulkhead_core::task::PLAN_INDEX;
use bulkhead_engine::attempt::{AttemptHost, FileError, FileSource};
use bulkhead_engine::store::TaskSpec;
use bytes::Bytes;
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, TypedFunc};
use wasmtime_wasi::I32Exit;

use self::config::{Config, InputAs, Of, Output, OutputAs, Stdin, Stdout};
use self::files::Leavings;
use self::template::{Mistake, Scope};
use crate::attempt::{Returned, instantiate};
use crate::bindings::Failure;
use crate::components::Loaded;
use crate::files::Files;
use crate::limits::Meter;
use crate::outcome::Stop;
use crate::state::State;
use crate::stdio::{Input, Kept, Stdio};

/// The tasks that one spawn creates.
const TASKS_PER_SPAWN: usize = 1_000;
/// The longest arguments and environment together, in bytes: the adapter of older programs keeps them in one page.
const MAX_ARGUMENTS_LEN: usize = 32 << 10;
/// How much of standard error's end a failure shows, in lines and bytes.
const SHOWN_LINES: usize = 20;
const SHOWN_BYTES: usize = 4 << 10;

/// What a program is started with.
pub(crate) struct Program {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) stdin: Input,
    pub(crate) stdout: Kept,
    pub(crate) files: Files,
}

/// Does one task of a command's step.
pub(crate) async fn attempt(
    store: &mut Store<State>,
    loaded: &Loaded,
    run: &ComponentExportIndex,
    host: &AttemptHost,
) -> wasmtime::Result<Returned> {
    let meter = &store.data().meter;
    let prepared = async {
        let config = Config::of(&host.step().config)?;
        if host.claimed().task.index == PLAN_INDEX {
            plan(host, &config).await?;
            return Ok(None);
        }
        let (program, leavings) = program(host, &config, meter).await?;
        Ok::<_, End>(Some((config, program, leavings)))
    };
    let (config, program, leavings) = match prepared.await {
        Ok(Some(prepared)) => prepared,
        Ok(None) => return Ok(Ok("null".to_owned())),
        Err(end) => return end.returned(),
    };
    let stdio = store.data_mut().begin(program);
    let instance = instantiate(store, loaded).await?;
    let entry: TypedFunc<(), (Result<(), ()>,)> = instance.get_typed_func(&mut *store, run)?;
    let status = match entry.call_async(&mut *store, ()).await {
        Ok((Ok(()),)) => 0,
        Ok((Err(()),)) => 1,
        Err(error) => match error.downcast_ref() {
            Some(&I32Exit(status)) => status,
            None => return Err(error),
        },
    };
    stdio.finish().await;
    if !config.success.contains(&status) {
        return Ok(Err(failed(status, &stdio.last_words(), store.data().meter.explain_denial())));
    }
    let files = store.data().files().expect("a program has files");
    match output(host, &config.output, &leavings, &stdio, files).await {
        Ok(output) => Ok(Ok(output)),
        Err(end) => end.returned(),
    }
}

/// What a program that ended well leaves: its artifacts, and the task's output.
async fn output(host: &AttemptHost, output: &Output, leavings: &Leavings, stdio: &Stdio, files: &Files) -> Result<String, End> {
    let artifact = stdio.artifact();
    leavings.keep_artifacts(files, host, artifact.map(|(name, _)| name)).await?;
    let limit = host.step().limits.output_bytes;
    if let Some(output) = leavings.output(files, limit) {
        return output;
    }
    Ok(match output {
        Output::File { .. } | Output::Of(OutputAs::None) => "null".to_owned(),
        _ if let Some((artifact, bytes)) = artifact => serde_json::json!({ "artifact": artifact, "bytes": bytes }).to_string(),
        Output::Of(OutputAs::Json) => {
            let (text, cut) = stdio.kept();
            document::last(&text, cut).unwrap_or_else(|| "null".to_owned())
        }
        Output::Of(OutputAs::Text) => match stdio.kept() {
            (text, false) => Value::from(text).to_string(),
            (_, true) => {
                let message = format!("its standard output has more than the {limit} bytes of `limits.output_bytes`");
                return Err(refused(message).into());
            }
        },
    })
}

/// Spawns the step's tasks.
async fn plan(host: &AttemptHost, config: &Config) -> Result<(), End> {
    let parameters = parameters(host)?;
    let inputs = config.inputs(&Scope::of_plan(&parameters))?;
    let specs: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(number, input)| TaskSpec { key: format!("item-{}", number + 1).into(), input: input.to_string().into() })
        .collect();
    for specs in specs.chunks(TASKS_PER_SPAWN) {
        host.spawn(specs.to_vec()).await.map_err(|error| again(format!("its tasks could not be created: {error}")))?;
    }
    Ok(())
}

/// What a task's program is started with, and what is taken from it afterwards.
async fn program(host: &AttemptHost, config: &Config, meter: &Meter) -> Result<(Program, Leavings), End> {
    let (claimed, step) = (host.claimed(), host.step());
    let parameters = parameters(host)?;
    let input: Value =
        serde_json::from_str(&claimed.input).map_err(|error| refused(format!("its input can't be read: {error}")))?;
    let (run, task, attempt) = (claimed.task.run.to_string(), claimed.task.to_string(), claimed.attempt.to_string());
    let words = vec![("key", &*claimed.key), ("attempt", &*attempt), ("run", &*run), ("step", step.name.as_str())];
    let scope = Scope { input: Some(&input), parameters: &parameters, words };

    let mut args = vec![step.plugin.name.to_string()];
    for arg in &config.args {
        args.push(scope.text(arg)?);
    }
    let own = [("RUN", &*run), ("STEP", step.name.as_str()), ("TASK", &*task), ("KEY", &*claimed.key), ("ATTEMPT", &*attempt)];
    let mut env: Vec<_> = own.map(|(name, value)| (format!("BULKHEAD_{name}"), value.to_owned())).into();
    for (name, value) in &config.env {
        env.push((name.clone(), scope.text(value.as_str().unwrap_or_default())?));
    }
    let len = args.iter().chain(env.iter().flat_map(|(name, value)| [name, value])).map(|text| text.len() + 1).sum::<usize>();
    if len > MAX_ARGUMENTS_LEN {
        return Err(refused(format!(
            "its arguments and environment have {len} bytes; {MAX_ARGUMENTS_LEN} are the most: pass more through `stdin` or `files`"
        ))
        .into());
    }
    if let Some(text) = args.iter().chain(env.iter().map(|(_, value)| value)).find(|text| text.contains('\0')) {
        return Err(refused(format!("an argument or variable holds a zero byte: {text:?}")).into());
    }

    let stdin = match &config.stdin {
        Stdin::Input(InputAs::None) => Input::Bytes(Bytes::new()),
        Stdin::Input(InputAs::Json) => Input::Bytes(format!("{}\n", claimed.input).into()),
        Stdin::Input(InputAs::Text) => Input::Bytes(match input {
            Value::Null => Bytes::new(),
            Value::String(ref text) => text.clone().into(),
            _ => format!("{}\n", claimed.input).into(),
        }),
        Stdin::Of(of) => {
            let (of, name) = find(host, of, &scope).await?;
            Input::File { of, name }
        }
    };
    let stdout = match &config.stdout {
        Stdout::Log | Stdout::Word(_) if !matches!(config.output, Output::Of(OutputAs::Json | OutputAs::Text)) => Kept::Nothing,
        Stdout::Log | Stdout::Word(_) => Kept::End { most: usize::try_from(step.limits.output_bytes).unwrap_or(usize::MAX) },
        Stdout::Artifact { artifact } => {
            let name = scope.text(artifact)?;
            // It is there even if the program writes nothing.
            host.write_artifact(&name, Bytes::new()).await.map_err(|error| file_failure(&error))?;
            Kept::Artifact { name }
        }
    };
    let files = files::prepare(host, config, &scope, meter).await?;
    Ok((Program { args, env, stdin, stdout, files }, Leavings::of(config, &scope)?))
}

/// A file or an artifact that the configuration names, which must be there.
async fn find(host: &AttemptHost, of: &Of, scope: &Scope<'_>) -> Result<(FileSource, String), End> {
    let (of, name) = match of {
        Of::Run { file } => (FileSource::Run, scope.text(file)?),
        Of::Step { step, artifact } => (FileSource::Step { step: step.to_string(), task: None }, scope.text(artifact)?),
    };
    host.find_file(&of, &name).await.map_err(|error| file_failure(&error))?;
    Ok((of, name))
}

/// Why a task has no output.
enum End {
    Failed(Failure),
    Stopped(Stop),
}

impl End {
    fn returned(self) -> wasmtime::Result<Returned> {
        match self {
            Self::Failed(failure) => Ok(Err(failure)),
            Self::Stopped(stop) => Err(stop.into()),
        }
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

impl From<Mistake> for End {
    fn from(mistake: Mistake) -> Self {
        Self::Failed(refused(mistake.to_string()))
    }
}

fn parameters(host: &AttemptHost) -> Result<Value, Failure> {
    serde_json::from_str(&host.claimed().parameters).map_err(|error| refused(format!("the run's parameters: {error}")))
}

/// The failure of a program that ended with a status.
fn failed(status: i32, last_words: &str, denial: Option<String>) -> Failure {
    let lines: Vec<_> = last_words.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
    let tail = &tail[tail.ceil_char_boundary(tail.len().saturating_sub(SHOWN_BYTES))..];
    let mut message = format!("it ended with exit status {status}");
    if let Some(denial) = denial {
        message.push_str("; ");
        message.push_str(&denial);
    }
    if !tail.is_empty() {
        message.push_str(if tail.contains('\n') { "; the end of its standard error:\n" } else { "; its last words: " });
        message.push_str(tail);
    }
    again(message)
}

fn file_failure(error: &FileError) -> Failure {
    match error {
        FileError::Store(_) => again(error.to_string()),
        _ => refused(error.to_string()),
    }
}

/// A failure that another attempt may not have.
const fn again(message: String) -> Failure {
    Failure { message, retryable: true }
}

/// A failure that every attempt has.
const fn refused(message: String) -> Failure {
    Failure { message, retryable: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_status_and_last_words() {
        assert_eq!(failed(3, "", None).message, "it ended with exit status 3");
        assert_eq!(failed(3, "no such file\n", None).message, "it ended with exit status 3; its last words: no such file");
        let message = failed(1, &"line\n".repeat(100), Some("it asked for more".to_owned())).message;
        assert!(message.starts_with("it ended with exit status 1; it asked for more; the end of its standard error:\nline\n"));
        assert_eq!(message.lines().count(), 1 + SHOWN_LINES);
        assert!(failed(1, &"é".repeat(10_000), None).message.len() < SHOWN_BYTES + 100);
    }
}
