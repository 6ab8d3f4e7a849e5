//! Commands: programs that know WASI and nothing of the contract, as steps.
//!
//! The host plans such a step itself: a task for each of `items`, or one. A task is a call of the program with arguments,
//! environment and standard input as the step's configuration says. What it writes to its standard streams are log lines, and its
//! exit status is the result: 0, or another that the step says, is success, with the last JSON document of its standard output as the task's output; any other
//! is a failure, with the end of its standard error as the message. [`config::SCHEMA`] is what a step may say.

pub(crate) mod config;
mod document;
mod template;

use bulkhead_core::task::PLAN_INDEX;
use bulkhead_engine::attempt::{AttemptHost, FileError, FileSource};
use bulkhead_engine::store::TaskSpec;
use bytes::Bytes;
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, TypedFunc};
use wasmtime_wasi::I32Exit;

use self::config::{Config, InputAs, Output, Stdin, Stdout};
use self::template::{Mistake, Scope};
use crate::attempt::{Returned, instantiate};
use crate::bindings::Failure;
use crate::components::Loaded;
use crate::state::State;
use crate::stdio::{Input, Kept};

/// The tasks that one spawn creates.
const TASKS_PER_SPAWN: usize = 1_000;
/// The longest arguments and environment together, in bytes: the adapter of older programs keeps them in one page.
const MAX_ARGUMENTS_LEN: usize = 32 << 10;
/// How much of standard error's end a failure shows, in lines and bytes.
const SHOWN_LINES: usize = 20;
const SHOWN_BYTES: usize = 4 << 10;

/// What a program is started with.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) stdin: Input,
    pub(crate) stdout: Kept,
}

/// Does one task of a command's step.
pub(crate) async fn attempt(
    store: &mut Store<State>,
    loaded: &Loaded,
    run: &ComponentExportIndex,
    host: &AttemptHost,
) -> wasmtime::Result<Returned> {
    let prepared = async {
        let config = Config::of(&host.step().config)?;
        if host.claimed().task.index == PLAN_INDEX {
            plan(host, &config).await.map(|()| None)
        } else {
            let program = program(host, &config).await?;
            Ok(Some((config, program)))
        }
    };
    let (config, program) = match prepared.await {
        Ok(Some(prepared)) => prepared,
        Ok(None) => return Ok(Ok("null".to_owned())),
        Err(failure) => return Ok(Err(failure)),
    };
    store.data_mut().set_program(program);
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
    let stdio = store.data().stdio().cloned();
    if let Some(stdio) = &stdio {
        stdio.finish().await;
    }
    if !config.success.contains(&status) {
        let last_words = stdio.map(|stdio| stdio.last_words()).unwrap_or_default();
        return Ok(Err(failed(status, &last_words, store.data().meter.explain_denial())));
    }
    let Some(stdio) = stdio else { return Ok(Ok("null".to_owned())) };
    Ok(Ok(match config.output {
        Output::None => "null".to_owned(),
        _ if let Some((artifact, bytes)) = stdio.artifact() => {
            serde_json::json!({ "artifact": artifact, "bytes": bytes }).to_string()
        }
        Output::Json => {
            let (text, cut) = stdio.kept();
            document::last(&text, cut).unwrap_or_else(|| "null".to_owned())
        }
        Output::Text => match stdio.kept() {
            (text, false) => Value::from(text).to_string(),
            (_, true) => {
                let limit = host.step().limits.output_bytes;
                return Ok(Err(refused(format!("its standard output has more than the {limit} bytes of `limits.output_bytes`"))));
            }
        },
    }))
}

/// Spawns the step's tasks.
async fn plan(host: &AttemptHost, config: &Config) -> Result<(), Failure> {
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

/// What a task's program is started with.
async fn program(host: &AttemptHost, config: &Config) -> Result<Program, Failure> {
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
            "its arguments and environment have {len} bytes; {MAX_ARGUMENTS_LEN} are the most: pass more through `stdin`"
        )));
    }
    if let Some(text) = args.iter().chain(env.iter().map(|(_, value)| value)).find(|text| text.contains('\0')) {
        return Err(refused(format!("an argument or variable holds a zero byte: {text:?}")));
    }

    let stdin = match &config.stdin {
        Stdin::Input(InputAs::None) => Input::Bytes(Bytes::new()),
        Stdin::Input(InputAs::Json) => Input::Bytes(format!("{}\n", claimed.input).into()),
        Stdin::Input(InputAs::Text) => Input::Bytes(match input {
            Value::Null => Bytes::new(),
            Value::String(ref text) => text.clone().into(),
            _ => format!("{}\n", claimed.input).into(),
        }),
        Stdin::File { file } => found(host, FileSource::Run, scope.text(file)?).await?,
        Stdin::Artifact { step, artifact } => {
            found(host, FileSource::Step { step: step.to_string(), task: None }, scope.text(artifact)?).await?
        }
    };
    let stdout = match &config.stdout {
        Stdout::Log | Stdout::Word(_) if config.output == Output::None => Kept::Nothing,
        Stdout::Log | Stdout::Word(_) => Kept::End { most: usize::try_from(step.limits.output_bytes).unwrap_or(usize::MAX) },
        Stdout::Artifact { artifact } => {
            let name = scope.text(artifact)?;
            // It is there even if the program writes nothing.
            host.write_artifact(&name, Bytes::new()).await.map_err(|error| file_failure(&error))?;
            Kept::Artifact { name }
        }
    };
    Ok(Program { args, env, stdin, stdout })
}

/// Standard input from a file or an artifact, which must be there.
async fn found(host: &AttemptHost, of: FileSource, name: String) -> Result<Input, Failure> {
    host.find_file(&of, &name).await.map_err(|error| file_failure(&error))?;
    Ok(Input::File { of, name })
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

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        refused(mistake.to_string())
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
