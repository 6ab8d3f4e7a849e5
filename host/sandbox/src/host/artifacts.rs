//! `artifacts` and `outputs`: what the attempt leaves behind, and what it reads of the run's files and of earlier steps.

use bulkhead_core::task::TaskState;
use bulkhead_engine::attempt::{FileError, FileInfo, FileSource};
use bulkhead_engine::files::OutputRecord;

use super::{Refusal, refusal};
use crate::bindings::bulkhead::plugin::{artifacts, outputs};
use crate::outcome::Stop;
use crate::state::State;

/// What a guest without an attempt is told.
const NO_ATTEMPT: &str = "anything here: `describe` has neither a run nor artifacts";

impl artifacts::Host for State {
    async fn create(&mut self, name: String, content_type: String) -> wasmtime::Result<Result<(), artifacts::ArtifactError>> {
        self.count_call()?;
        let Some(host) = &self.host else { return Ok(Err(no_attempt())) };
        answer(host.create_artifact(&name, &content_type).await)
    }

    async fn write(&mut self, name: String, data: Vec<u8>) -> wasmtime::Result<Result<(), artifacts::ArtifactError>> {
        self.count_call()?;
        let Some(host) = &self.host else { return Ok(Err(no_attempt())) };
        answer(host.write_artifact(&name, data.into()).await)
    }

    async fn find(
        &mut self,
        of: artifacts::Source,
        name: String,
    ) -> wasmtime::Result<Result<artifacts::Info, artifacts::ArtifactError>> {
        self.count_call()?;
        let Some(host) = &self.host else { return Ok(Err(no_attempt())) };
        answer(host.find_file(&source(of), &name).await.map(info))
    }

    async fn read(
        &mut self,
        of: artifacts::Source,
        name: String,
        offset: u64,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, artifacts::ArtifactError>> {
        self.count_call()?;
        let Some(host) = &self.host else { return Ok(Err(no_attempt())) };
        answer(host.read_file(&source(of), &name, offset, max as usize).await.map(Into::into))
    }

    async fn entries(
        &mut self,
        of: artifacts::Source,
        after: Option<artifacts::Place>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<artifacts::Info>, artifacts::ArtifactError>> {
        self.count_call()?;
        let Some(host) = &self.host else { return Ok(Err(no_attempt())) };
        let after = after.as_ref().map(|place| (place.name.as_str(), place.task));
        let found = host.list_files(&source(of), after, max as usize).await;
        answer(found.map(|found| found.into_iter().map(info).collect()))
    }
}

impl outputs::Host for State {
    async fn read(
        &mut self,
        step: String,
        after: Option<u32>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<outputs::Output>, outputs::OutputError>> {
        self.count_call()?;
        let Some(host) = &self.host else { return Ok(Err(outputs::OutputError::NotFound(NO_ATTEMPT.into()))) };
        match host.read_outputs(&step, after.unwrap_or(0), max as usize).await {
            Ok(found) => Ok(Ok(found.into_iter().map(output).collect())),
            Err(FileError::NotFound(what)) => Ok(Err(outputs::OutputError::NotFound(what))),
            Err(FileError::NotADependency { on, .. }) => Ok(Err(outputs::OutputError::NotADependency(on))),
            Err(FileError::Store(error)) => Ok(Err(match refusal(error)? {
                Refusal::Unavailable(reason) => outputs::OutputError::Unavailable(reason),
                Refusal::Cancelled | Refusal::SpawnQuota(_) => outputs::OutputError::Cancelled,
            })),
            Err(error @ (FileError::Invalid(_) | FileError::TooLarge { .. } | FileError::Quota { .. })) => {
                Err(Stop::Host(error.to_string()).into())
            }
        }
    }
}

fn no_attempt() -> artifacts::ArtifactError {
    artifacts::ArtifactError::NotFound(NO_ATTEMPT.into())
}

fn source(of: artifacts::Source) -> FileSource {
    match of {
        artifacts::Source::File => FileSource::Run,
        artifacts::Source::Step(step) => FileSource::Step { step, task: None },
        artifacts::Source::Task(artifacts::StepTask { step, task }) => FileSource::Step { step, task: Some(task) },
    }
}

fn info(found: FileInfo) -> artifacts::Info {
    let FileInfo { name, task, digest: _, size, content_type } = found;
    artifacts::Info { name: name.into(), task, size, content_type: content_type.into() }
}

fn output(found: OutputRecord) -> outputs::Output {
    let OutputRecord { task, key, state, output } = found;
    let outcome = match state {
        TaskState::Succeeded => outputs::Outcome::Succeeded(output.as_deref().unwrap_or("null").to_owned()),
        TaskState::Failed(failure) => {
            let cause = failure.cause.name().to_owned();
            outputs::Outcome::Failed(outputs::TaskFailure { cause, message: failure.message })
        }
        // A step that another one depends on has ended, and with it its tasks: nothing else is left.
        TaskState::Cancelled
        | TaskState::Skipped
        | TaskState::Queued { .. }
        | TaskState::Running { .. }
        | TaskState::Retrying { .. } => outputs::Outcome::Cancelled,
    };
    outputs::Output { task, key: key.into(), outcome }
}

/// What a guest is told, or why its attempt ends.
fn answer<T>(result: Result<T, FileError>) -> wasmtime::Result<Result<T, artifacts::ArtifactError>> {
    Ok(Err(match result {
        Ok(value) => return Ok(Ok(value)),
        Err(FileError::NotFound(what)) => artifacts::ArtifactError::NotFound(what),
        Err(FileError::NotADependency { on, .. }) => artifacts::ArtifactError::NotADependency(on),
        Err(FileError::Invalid(why)) => artifacts::ArtifactError::Invalid(why),
        Err(FileError::TooLarge { limit, .. }) => artifacts::ArtifactError::TooLarge(limit),
        Err(FileError::Quota { limit }) => return Err(Stop::Artifacts { limit }.into()),
        Err(FileError::Store(error)) => match refusal(error)? {
            Refusal::Unavailable(reason) => artifacts::ArtifactError::Unavailable(reason),
            Refusal::Cancelled | Refusal::SpawnQuota(_) => artifacts::ArtifactError::Cancelled,
        },
    }))
}
