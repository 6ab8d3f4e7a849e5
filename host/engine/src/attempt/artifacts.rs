//! What an attempt writes beside its output, and what it reads of the run's files and of earlier steps.
//!
//! What it writes is nobody's until it succeeds: then all of it is published in the transaction that records so. An attempt that
//! ends otherwise drops its drafts.

use std::collections::{BTreeMap, HashMap};

use bulkhead_core::artifact::{ContentType, FileName};
use bulkhead_core::id::{Digest, StepIndex};
use bytes::Bytes;

use super::AttemptHost;
use super::parking::Mutex;
use crate::files::{ArtifactPlace, ContentWriter, MAX_PIECE_LEN, NewArtifact, OutputRecord};
use crate::store::{StoreError, StoreResult};

/// The artifacts of one attempt.
pub const MAX_ARTIFACTS: usize = 64;
/// The entries of one page that a guest gets.
const MAX_PAGE: usize = 1_000;
/// The sources that an attempt keeps in mind. Most read one or two, in many pieces.
const MAX_RESOLVED: usize = 64;

/// Why an attempt can't write an artifact, or read what others left.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FileError {
    /// There is nothing of that name; what.
    #[error("there is no {0}")]
    NotFound(String),
    /// The step does not depend on that one.
    #[error("step `{step}` does not depend on step `{on}`: add it to `depends`")]
    NotADependency {
        /// The step of the attempt.
        step: String,
        /// The step that it asked about.
        on: String,
    },
    /// A name or a content type is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// More than one call may carry, or more artifacts than an attempt may have.
    #[error("{what} may be {limit} at most")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How much or how many.
        limit: u64,
    },
    /// The attempt wrote more than its step allows.
    #[error("its artifacts passed {limit} bytes (`limits.artifact_bytes`)")]
    Quota {
        /// The limit.
        limit: u64,
    },
    /// The store refused, or could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where an attempt reads from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileSource {
    /// A file that the run was started with.
    Run,
    /// An artifact of a step.
    Step {
        /// The step's name.
        step: String,
        /// The number of the task that published it; of the first that did where absent.
        task: Option<u32>,
    },
}

/// What is known of a file or an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name.
    pub name: FileName,
    /// The number of the task that published it; 0 for a run's file.
    pub task: u32,
    /// The digest of its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What its bytes are.
    pub content_type: ContentType,
}

/// What one attempt has written so far, and what it found.
#[derive(Default)]
pub(super) struct Artifacts {
    drafts: tokio::sync::Mutex<Drafts>,
    resolved: Mutex<HashMap<(FileSource, String), FileInfo>>,
}

#[derive(Default)]
struct Drafts {
    by_name: BTreeMap<FileName, Draft>,
    bytes: u64,
}

struct Draft {
    content_type: ContentType,
    writer: Box<dyn ContentWriter>,
}

impl AttemptHost {
    /// Begins an artifact with a content type of its own. One that was begun already stays as it is.
    ///
    /// # Errors
    /// See [`FileError`].
    pub async fn create_artifact(&self, name: &str, content_type: &str) -> Result<(), FileError> {
        let content_type = content_type.parse().map_err(invalid)?;
        let mut drafts = self.0.artifacts.drafts.lock().await;
        self.draft(&mut drafts, name, Some(content_type)).await.map(drop)
    }

    /// Appends to an artifact, which its first write begins. Nothing was written where it fails.
    ///
    /// # Errors
    /// See [`FileError`]; after [`FileError::Quota`] the attempt is to end.
    pub async fn write_artifact(&self, name: &str, data: Bytes) -> Result<(), FileError> {
        if data.len() > MAX_PIECE_LEN {
            return Err(FileError::TooLarge { what: "bytes of one write", limit: MAX_PIECE_LEN as u64 });
        }
        let limit = self.step().limits.artifact_bytes;
        let mut drafts = self.0.artifacts.drafts.lock().await;
        let bytes = drafts.bytes + data.len() as u64;
        if bytes > limit {
            return Err(FileError::Quota { limit });
        }
        self.draft(&mut drafts, name, None).await?.writer.append(data).await?;
        drafts.bytes = bytes;
        Ok(())
    }

    /// The draft of this name, begun if it is not.
    async fn draft<'a>(
        &self,
        drafts: &'a mut Drafts,
        name: &str,
        content_type: Option<ContentType>,
    ) -> Result<&'a mut Draft, FileError> {
        let name: FileName = name.parse().map_err(invalid)?;
        if !drafts.by_name.contains_key(&name) {
            if drafts.by_name.len() >= MAX_ARTIFACTS {
                return Err(FileError::TooLarge { what: "artifacts of one attempt", limit: MAX_ARTIFACTS as u64 });
            }
            let content_type = content_type.unwrap_or_else(|| name.content_type());
            let writer = self.0.store.begin_content().await?;
            drafts.by_name.insert(name.clone(), Draft { content_type, writer });
        }
        drafts.by_name.get_mut(&name).ok_or_else(|| FileError::NotFound(format!("draft `{name}`")))
    }

    /// Makes what the attempt wrote durable, to be published with its success. The guest must have ended.
    ///
    /// # Errors
    /// The disk's or the store's: the attempt can't succeed then.
    pub(crate) async fn finish_artifacts(&self) -> StoreResult<Vec<NewArtifact>> {
        let drafts = std::mem::take(&mut *self.0.artifacts.drafts.lock().await);
        let mut artifacts = Vec::with_capacity(drafts.by_name.len());
        for (name, Draft { content_type, writer }) in drafts.by_name {
            artifacts.push(NewArtifact { name, content_type, content: writer.finish().await? });
        }
        Ok(artifacts)
    }

    /// What is known of a file or an artifact.
    ///
    /// # Errors
    /// See [`FileError`].
    pub async fn find_file(&self, of: &FileSource, name: &str) -> Result<FileInfo, FileError> {
        let key = (of.clone(), name.to_owned());
        if let Some(known) = self.0.artifacts.resolved.lock().get(&key) {
            return Ok(known.clone());
        }
        let found = self.look_up(of, name).await?;
        let mut resolved = self.0.artifacts.resolved.lock();
        if resolved.len() >= MAX_RESOLVED {
            resolved.clear();
        }
        resolved.insert(key, found.clone());
        Ok(found)
    }

    async fn look_up(&self, of: &FileSource, name: &str) -> Result<FileInfo, FileError> {
        let file_name: FileName = name.parse().map_err(invalid)?;
        let run = self.0.claimed.task.run;
        match of {
            FileSource::Run => {
                let files = self.insist(|| self.0.store.run_files(run)).await?;
                let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
                let missing = match names.as_slice() {
                    [] => format!("file `{name}`: the run was started without files"),
                    names => format!("file `{name}` among those that the run was started with ({})", names.join(", ")),
                };
                let file = files.into_iter().find(|file| file.name == file_name).ok_or(FileError::NotFound(missing))?;
                let content_type = file.name.content_type();
                Ok(FileInfo { name: file.name, task: 0, digest: file.digest, size: file.size, content_type })
            }
            FileSource::Step { step, task } => {
                let index = self.dependency(step)?;
                let found = self.insist(|| self.0.store.artifact(run, index, file_name.clone(), *task)).await;
                let found = found.map_err(|error| match (error, task) {
                    (StoreError::NotFound("artifact"), None) => {
                        FileError::NotFound(format!("artifact `{name}` of step `{step}`"))
                    }
                    (StoreError::NotFound("artifact"), Some(task)) => {
                        FileError::NotFound(format!("artifact `{name}` of task {task} of step `{step}`"))
                    }
                    (error, _) => error.into(),
                })?;
                Ok(FileInfo {
                    name: found.name,
                    task: found.task,
                    digest: found.digest,
                    size: found.size,
                    content_type: found.content_type,
                })
            }
        }
    }

    /// At most `max` bytes of a file or an artifact from `offset` on; nothing at the end.
    ///
    /// # Errors
    /// See [`FileError`].
    pub async fn read_file(&self, of: &FileSource, name: &str, offset: u64, max: usize) -> Result<Bytes, FileError> {
        let FileInfo { digest, size, .. } = self.find_file(of, name).await?;
        if offset >= size {
            return Ok(Bytes::new());
        }
        Ok(self.0.store.read_content(digest, offset, max.min(MAX_PIECE_LEN)).await?)
    }

    /// The files of the run, or the artifacts of a step or of one of its tasks, by name and task, after a place.
    ///
    /// # Errors
    /// See [`FileError`].
    pub async fn list_files(&self, of: &FileSource, after: Option<(&str, u32)>, max: usize) -> Result<Vec<FileInfo>, FileError> {
        let (run, limit) = (self.0.claimed.task.run, max.min(MAX_PAGE));
        let after = match after {
            Some((name, task)) => Some((name.parse::<FileName>().map_err(invalid)?, task)),
            None => None,
        };
        match of {
            FileSource::Run => {
                let files = self.insist(|| self.0.store.run_files(run)).await?;
                let is_after = |name: &FileName| after.as_ref().is_none_or(|(after, _)| name > after);
                let info = |file: crate::files::RunFile| {
                    let content_type = file.name.content_type();
                    FileInfo { name: file.name, task: 0, digest: file.digest, size: file.size, content_type }
                };
                Ok(files.into_iter().filter(|file| is_after(&file.name)).take(limit).map(info).collect())
            }
            FileSource::Step { step, task: wanted } => {
                let step = self.dependency(step)?;
                let mut place = after.map(|(name, task)| ArtifactPlace { step, name, task });
                let mut found = Vec::new();
                // One task's artifacts lie among those of its step: page by page, until there are enough or no more.
                while found.len() < limit {
                    let page = self.insist(|| self.0.store.artifacts(run, Some(step), place.clone(), MAX_PAGE)).await?;
                    let Some(last) = page.last() else { break };
                    place = Some(ArtifactPlace { step, name: last.name.clone(), task: last.task });
                    let of_task = page.into_iter().filter(|artifact| wanted.is_none_or(|task| artifact.task == task));
                    found.extend(of_task.take(limit - found.len()).map(|artifact| FileInfo {
                        name: artifact.name,
                        task: artifact.task,
                        digest: artifact.digest,
                        size: artifact.size,
                        content_type: artifact.content_type,
                    }));
                }
                Ok(found)
            }
        }
    }

    /// The tasks of a step that this one depends on, after number `after`, without its `plan`, each with its output.
    ///
    /// # Errors
    /// See [`FileError`].
    pub async fn read_outputs(&self, step: &str, after: u32, max: usize) -> Result<Vec<OutputRecord>, FileError> {
        let (run, step) = (self.0.claimed.task.run, self.dependency(step)?);
        Ok(self.insist(|| self.0.store.outputs(run, step, after, max.clamp(1, MAX_PAGE))).await?)
    }

    /// The step of this name, if this attempt's step depends on it.
    fn dependency(&self, name: &str) -> Result<StepIndex, FileError> {
        let (plan, step) = (&self.0.claimed.plan, self.0.claimed.task.step);
        let on = plan.step_named(name).ok_or_else(|| FileError::NotFound(format!("step `{name}`")))?;
        if plan.depends_on(step, on) {
            Ok(on)
        } else {
            Err(FileError::NotADependency { step: self.step().name.to_string(), on: name.to_owned() })
        }
    }
}

fn invalid(error: impl std::fmt::Display) -> FileError {
    FileError::Invalid(error.to_string())
}
