//! What a program finds in its directory, and what is taken from there when it has ended well.

use std::collections::BTreeSet;
use std::sync::Arc;

use bulkhead_engine::attempt::{AttemptHost, FileError};
use bytes::Bytes;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::ErrorCode;

use super::config::{Config, Content, Output};
use super::template::{Mistake, Scope};
use super::{End, document, file_failure, find, refused};
use crate::files::{self, Files, Id};
use crate::limits::Meter;
use crate::outcome::Stop;

/// What is read or written at once, in bytes: no more than one write of an artifact carries.
const PIECE: usize = 256 << 10;
/// How many files a failure names.
const SHOWN_FILES: usize = 10;

/// A program's files, with what its configuration puts there.
pub(super) async fn prepare(host: &AttemptHost, config: &Config, scope: &Scope<'_>, meter: &Meter) -> Result<Files, End> {
    let mut files = Files::new(Arc::clone(meter.memory()));
    for (path, content) in &config.files {
        let path = relative(scope.text(path)?);
        let full = |code| match (code, meter.explain_denial()) {
            (ErrorCode::InsufficientSpace, Some(denial)) => End::Stopped(Stop::Files(format!("`files`: `{path}`: {denial}"))),
            _ => refused(format!("`files`: there can be no file at `{path}`: {code}")).into(),
        };
        let target = files.put(&path).map_err(full)?;
        match content {
            Content::Text(text) => target.append_all(scope.text(text)?.as_bytes()).map_err(full)?,
            Content::Of(of) => {
                let (of, name) = find(host, of, scope).await?;
                loop {
                    let piece = host.read_file(&of, &name, target.size(), PIECE).await.map_err(|error| file_failure(&error))?;
                    if piece.is_empty() {
                        break;
                    }
                    target.append_all(&piece).map_err(full)?;
                }
            }
        }
    }
    Ok(files)
}

/// What is to be taken from a program's files when it has ended well: paths.
#[derive(Debug)]
pub(super) struct Leavings {
    artifacts: Vec<String>,
    output: Option<String>,
}

impl Leavings {
    pub(super) fn of(config: &Config, scope: &Scope<'_>) -> Result<Self, Mistake> {
        let artifacts = config.artifacts.iter().map(|path| scope.text(path).map(relative)).collect::<Result<_, _>>()?;
        let output = match &config.output {
            Output::File { file } => Some(relative(scope.text(file)?)),
            Output::Of(_) => None,
        };
        Ok(Self { artifacts, output })
    }

    /// Makes artifacts of files, beside the one called `other`.
    pub(super) async fn keep_artifacts(&self, files: &Files, host: &AttemptHost, other: Option<&str>) -> Result<(), End> {
        let mut names: BTreeSet<String> = other.map(str::to_owned).into_iter().collect();
        for path in &self.artifacts {
            let found = if path.ends_with('/') || path.is_empty() {
                files.below(if path.is_empty() { "." } else { path }).map_err(|_| missing(files, path, "artifacts"))?
            } else {
                vec![(path.clone(), content(files, path, "artifacts")?)]
            };
            for (path, content) in found {
                let name = path.rsplit('/').next().unwrap_or_default();
                if !names.insert(name.to_owned()) {
                    let message = format!("`artifacts`: two are called `{name}`: give each file a name of its own");
                    return Err(refused(message).into());
                }
                keep(host, name, &content).await?;
            }
        }
        Ok(())
    }

    /// The task's output, where a file is to hold it.
    pub(super) fn output(&self, files: &Files, limit: u64) -> Option<Result<String, End>> {
        self.output.as_ref().map(|path| {
            let content = content(files, path, "output")?;
            if content.size() > limit {
                return Err(Stop::Output { bytes: content.size(), limit }.into());
            }
            let text = content.read(0, usize::MAX);
            let last = document::last(&String::from_utf8_lossy(&text), false);
            last.ok_or_else(|| refused(format!("`output`: its file `{path}` holds no JSON document")).into())
        })
    }
}

async fn keep(host: &AttemptHost, name: &str, content: &files::Content) -> Result<(), End> {
    let failed = |error: FileError| match error {
        FileError::Quota { limit } => Stop::Artifacts { limit }.into(),
        error => End::Failed(file_failure(&error)),
    };
    // It is there even if it is empty.
    host.write_artifact(name, Bytes::new()).await.map_err(failed)?;
    let mut offset = 0;
    while offset < content.size() {
        let piece = content.read(offset, PIECE);
        offset += piece.len() as u64;
        host.write_artifact(name, piece.into()).await.map_err(failed)?;
    }
    Ok(())
}

fn content(files: &Files, path: &str, wanted_by: &str) -> Result<Arc<files::Content>, End> {
    let found = files.find(Id::ROOT, path).and_then(|id| files.content(id).cloned());
    found.map_err(|_| missing(files, path, wanted_by))
}

/// The failure of a program that left no such file.
fn missing(files: &Files, path: &str, wanted_by: &str) -> End {
    let left = files.below(".").unwrap_or_default();
    let mut names: Vec<_> = left.iter().take(SHOWN_FILES).map(|(name, _)| name.trim_start_matches("./")).collect();
    if left.len() > names.len() {
        names.push("and more");
    }
    let left = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    refused(format!("`{wanted_by}`: it left no `{path}`; what it left: {left}")).into()
}

/// A path below the directory that a program begins in, which is its root, too.
fn relative(path: String) -> String {
    path.trim_start_matches('/').trim_start_matches("./").to_owned()
}
