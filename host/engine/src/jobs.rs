//! What people ask for: checking and storing definitions, uploading plugins, starting runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulkhead_core::artifact::FileName;
use bulkhead_core::definition::{self, Definition, Diagnostics, InputError, Inputs, KnownPlugin, RegistryPlugin};
use bulkhead_core::failure::Failure;
use bulkhead_core::id::{Digest, RunId};
use bulkhead_core::name::Name;
use bulkhead_core::oci::OciReference;
use bulkhead_core::plan::Plan;
use bulkhead_core::run::{Run, Trigger};
use bytes::Bytes;

use crate::checked::{Checked, CheckedDefinitions};
use crate::executor::{CompileListener, Executor};
use crate::files::MAX_RUN_FILES;
use crate::registry::{self, Artifact, NotWasm, Registry, RegistryError};
use crate::signature::{SignatureError, TrustedKeys};
use crate::store::{
    CreatedRun, DefinitionRecord, Idempotency, NewRun, Papers, PluginRecord, RunView, Signal, Store, StoreError, StoreResult,
};
use crate::uploads::{Checks, UploadView};

/// How a plugin of a registry comes to a server that does not pull it.
const BY_HAND: &str = "`bulkhead plugin pull` it and `bulkhead plugins upload` the file";

/// The largest parameters of a run, in bytes of JSON text.
pub const MAX_PARAMETERS_LEN: usize = 1 << 20;

/// Why a request was refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JobError {
    /// The definition is wrong.
    #[error("the definition is not valid:\n{0}")]
    Invalid(Diagnostics),
    /// The definition must not be run.
    #[error("the definition `{0}` is disabled: set `enabled = true` to run it")]
    Disabled(Name),
    /// A step's tasks could never be admitted.
    #[error(
        "step `{step}`: one attempt may use {limit} bytes of memory, this server has {budget} for all: \
         lower `limits.memory` or raise the server's memory budget"
    )]
    MemoryBudget {
        /// The step.
        step: Name,
        /// Its `limits.memory`, in bytes.
        limit: u64,
        /// The server's budget, in bytes.
        budget: u64,
    },
    /// The parameters are no JSON object, or too large.
    #[error("the parameters are not valid: {0}")]
    Parameters(String),
    /// The parameters, or the files, are not what the definition takes.
    #[error("the run can't be started with that: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Inputs(Vec<InputError>),
    /// A file that the run is to be started with is not there.
    #[error("file `{name}`: there is no uploaded file {digest}, or it has expired: upload it (again)")]
    File {
        /// What the run would call it.
        name: FileName,
        /// The digest that was asked for.
        digest: Digest,
    },
    /// There are too many files.
    #[error("the run would be started with {0} files; {MAX_RUN_FILES} are the most")]
    Files(usize),
    /// The plugin is not signed as this server wants it.
    #[error("the plugin is refused: {0}")]
    Signature(#[from] SignatureError),
    /// The manifest that came with a plugin is not its own.
    #[error(transparent)]
    Manifest(#[from] NotWasm),
    /// A registry did not give a plugin.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The component is no plugin.
    #[error("the component is no valid plugin: {0}")]
    Plugin(Failure),
    /// The store refused, or could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A run to start.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Its parameters: a JSON object, `{}` where absent.
    pub parameters: Option<Box<str>>,
    /// Uploaded files that it is started with, each under the name that the run calls it.
    pub files: BTreeMap<FileName, Digest>,
    /// What makes it start.
    pub trigger: Trigger,
    /// Whether none of its tasks starts before somebody resumes it.
    pub paused: bool,
    /// Start it once only.
    pub idempotency: Option<Idempotency>,
    /// 80 random bits for its id.
    pub random: u128,
}

/// A run that was asked for.
#[derive(Clone, Debug)]
pub struct Started {
    /// The run.
    pub run: Run,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its parameters: a JSON object.
    pub parameters: Arc<str>,
    /// Whether it existed already, under the same idempotency key.
    pub existing: bool,
}

/// The service for definitions, plugins and new runs. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    store: Arc<dyn Store>,
    executor: Arc<dyn Executor>,
    memory: u64,
    checked: Arc<CheckedDefinitions>,
    pub(crate) checks: Arc<Checks>,
    registry: Option<Arc<dyn Registry>>,
    keys: Option<Arc<TrustedKeys>>,
}

/// What comes with a plugin and proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenPapers {
    /// The manifest that names it in a registry.
    pub manifest: Option<Bytes>,
    /// Its detached signature: the text of a `.minisig` file.
    pub signature: Option<String>,
}

impl Jobs {
    /// The service on a store; `executor` inspects what is uploaded.
    pub fn new(store: Arc<dyn Store>, executor: Arc<dyn Executor>) -> Self {
        Self { store, executor, memory: u64::MAX, checked: Arc::default(), checks: Arc::default(), registry: None, keys: None }
    }

    /// The same service that refuses runs whose tasks could never be admitted: those that may use more memory than `memory`
    /// bytes, the worker's whole budget.
    #[must_use]
    pub fn with_memory_budget(self, memory: u64) -> Self {
        Self { memory, ..self }
    }

    /// The same service that pulls what definitions refer to.
    #[must_use]
    pub fn with_registry(self, registry: Arc<dyn Registry>) -> Self {
        Self { registry: Some(registry), ..self }
    }

    /// The same service that takes plugins only where one of these keys signed them.
    #[must_use]
    pub fn with_keys(self, keys: Arc<TrustedKeys>) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// Checks a definition against the plugins that there are, and stores nothing. What it refers to in registries has to be here.
    ///
    /// # Errors
    /// [`JobError::Invalid`] with everything that is wrong.
    pub async fn check(&self, text: &str) -> Result<Arc<Definition>, JobError> {
        self.check_with(text, false).await
    }

    /// Checks a definition as [`Self::check`] does, and pulls what it refers to in registries and is not here.
    ///
    /// # Errors
    /// [`JobError::Invalid`] with everything that is wrong.
    pub async fn check_and_pull(&self, text: &str) -> Result<Arc<Definition>, JobError> {
        self.check_with(text, true).await
    }

    async fn check_with(&self, text: &str, pull: bool) -> Result<Arc<Definition>, JobError> {
        if let Some(checked) = self.checked.get(text)
            && self.plugins_unchanged(&checked).await?
        {
            return Ok(checked.definition.clone());
        }
        let known: Vec<_> = self.store.plugins().await?.into_iter().map(known).collect();
        let references = definition::references(text);
        let referred = self.referred(&references, pull).await?;
        let definition = Arc::new(definition::load(text, &known, &referred).map_err(JobError::Invalid)?);
        let pins = references.into_iter().filter_map(|(step, reference)| Some((step.into(), reference.digest?))).collect();
        self.checked.insert(text, Checked { definition: definition.clone(), pins });
        Ok(definition)
    }

    /// What is known of references, one after the other. After one that can't be pulled, no further one is tried: a registry that does
    /// not answer is waited for once.
    async fn referred(&self, references: &[(String, OciReference)], pull: bool) -> Result<Vec<RegistryPlugin>, StoreError> {
        let (mut referred, mut registry) = (Vec::<RegistryPlugin>::new(), self.registry.as_deref().filter(|_| pull));
        for (_, reference) in references {
            if referred.iter().any(|known| known.reference == *reference) {
                continue;
            }
            let found = match reference.digest {
                None => Err(self.told_to_pin(reference, registry).await),
                Some(pin) => match (self.store.pinned_plugin(pin).await, registry) {
                    (Ok(plugin), _) => Ok(known(plugin)),
                    (Err(StoreError::NotFound(_)), Some(asked)) => match self.pull(asked, reference).await {
                        Ok(plugin) => Ok(known(plugin)),
                        Err(JobError::Store(error)) => return Err(error),
                        Err(error) => {
                            registry = None;
                            Err(format!("{error}; or {BY_HAND}"))
                        }
                    },
                    (Err(StoreError::NotFound(_)), None) => Err(match pull {
                        true => BY_HAND.to_owned(),
                        false => format!("storing or running the definition pulls it; or {BY_HAND}"),
                    }),
                    (Err(error), _) => return Err(error),
                },
            };
            referred.push(RegistryPlugin { reference: reference.clone(), found });
        }
        Ok(referred)
    }

    /// How to pin a reference to what its tag means now.
    async fn told_to_pin(&self, reference: &OciReference, registry: Option<&dyn Registry>) -> String {
        let by_hand = format!("`bulkhead plugin pull {reference}` tells what it is pinned to now");
        match registry {
            None => by_hand,
            Some(registry) => match registry.resolve(reference.clone()).await {
                Ok(digest) => format!("now it is `{}`", reference.pinned(digest)),
                Err(error) => format!("{by_hand}; this server can't tell: {error}"),
            },
        }
    }

    /// Pulls what a reference is pinned to, and stores it as a plugin that no name means. It is checked as an upload is.
    async fn pull(&self, registry: &dyn Registry, reference: &OciReference) -> Result<PluginRecord, JobError> {
        let artifact = registry.pull(reference.clone()).await?;
        let signature = artifact.signature();
        let Artifact { manifest, component } = artifact;
        let given = GivenPapers { manifest: Some(manifest), signature };
        let papers = self.read_papers(&component, given, Some(reference))?;
        let record = self.inspect(&component, title(reference), &papers, None).await?;
        tracing::info!(%reference, plugin = %record.name, version = record.version, "plugin pulled");
        self.put_papers(record.digest, papers).await?;
        Ok(self.store.pin_plugin(record, component).await?)
    }

    /// Stores what proves a component that is here already, if it does.
    ///
    /// # Errors
    /// [`JobError::Manifest`] where a manifest is of something else, [`JobError::Signature`] where a signature is, or is of nobody who is
    /// trusted. Where no keys are trusted, signatures are kept unread.
    pub async fn prove(&self, component: &Bytes, given: GivenPapers) -> Result<(), JobError> {
        let papers = self.read_papers(component, given, None)?;
        self.check_signature(component, &papers).await?;
        Ok(self.put_papers(registry::digest(component), papers).await?)
    }

    /// What proves a component, checked. It is stored with the component, and not where that is refused.
    fn read_papers(&self, component: &Bytes, given: GivenPapers, source: Option<&OciReference>) -> Result<Papers, JobError> {
        let GivenPapers { manifest, signature } = given;
        let mut papers = Papers { source: source.map(|source| source.to_string().into()), ..Papers::default() };
        if let Some(manifest) = manifest {
            let artifact = Artifact { manifest, component: component.clone() };
            artifact.check()?;
            papers.manifests.push(artifact.digest());
        }
        if let Some(signature) = signature {
            if let Some(keys) = &self.keys {
                papers.signed_by = Some(keys.signer(component, Some(&signature))?.into());
            }
            papers.signature = Some(signature.into());
        }
        Ok(papers)
    }

    async fn put_papers(&self, component: Digest, papers: Papers) -> StoreResult<()> {
        if papers == Papers::default() { Ok(()) } else { self.store.put_papers(component, papers).await }
    }

    /// Makes sure that a component may be used: that it is signed, by what came with it or what is known of it, where keys are trusted.
    async fn check_signature(&self, component: &Bytes, given: &Papers) -> Result<(), JobError> {
        if let (Some(keys), None) = (&self.keys, &given.signature) {
            let known = self.store.papers(registry::digest(component)).await?;
            keys.signer(component, known.signature.as_deref())?;
        }
        Ok(())
    }

    /// Whether the names and the pins by which a definition found its plugins still mean the components that its plan is pinned to.
    async fn plugins_unchanged(&self, checked: &Checked) -> Result<bool, StoreError> {
        let mut before = None;
        for step in &checked.definition.plan.steps {
            let pin = checked.pins.get(step.name.as_str()).copied();
            // Steps often share a plugin, and neighbours do most often.
            if before.replace((&step.plugin, pin)) == Some((&step.plugin, pin)) {
                continue;
            }
            let found = match pin {
                Some(pin) => self.store.pinned_plugin(pin).await,
                None => self.store.plugin(step.plugin.name.clone()).await,
            };
            match found {
                Ok(plugin) if plugin.digest == step.plugin.digest => {}
                Ok(_) | Err(StoreError::NotFound(_)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Checks a definition and stores it under its id. See [`Catalog::put_definition`](crate::store::Catalog::put_definition).
    ///
    /// # Errors
    /// [`JobError::Invalid`], or [`StoreError::Conflict`] where `expected` is not the stored version.
    pub async fn put(&self, text: Arc<str>, expected: Option<u64>) -> Result<DefinitionRecord, JobError> {
        let definition = self.check_and_pull(&text).await?;
        Ok(self.store.put_definition(definition.id.clone(), text, expected).await?)
    }

    /// Starts a run of a stored definition, with the plugins that its names mean now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`JobError::Disabled`], [`JobError::Parameters`], [`JobError::Inputs`], [`JobError::Invalid`]
    /// where a plugin is gone or changed its schema, [`JobError::File`], [`StoreError::Conflict`] where the idempotency key was used for
    /// another request.
    pub async fn trigger(&self, definition: Name, request: RunRequest) -> Result<Started, JobError> {
        let record = self.store.definition(definition).await?;
        self.run(&record.text, request).await
    }

    /// Starts a run of a definition's text, without storing the definition.
    ///
    /// # Errors
    /// As [`Self::trigger`].
    pub async fn run(&self, text: &str, request: RunRequest) -> Result<Started, JobError> {
        let definition = self.runnable(text, true).await?;
        let parameters = parameters(request.parameters, &definition.inputs)?;
        definition.inputs.check_files(request.files.keys()).map_err(JobError::Inputs)?;
        self.check_files(&request.files).await?;
        let new = NewRun {
            id: RunId::new(self.store.now(), request.random),
            files: request.files.into_iter().collect(),
            plan: definition.plan.clone(),
            parameters: parameters.clone(),
            trigger: request.trigger,
            paused: request.paused,
            idempotency: request.idempotency,
        };
        let created = self.store.create_run(new).await?;
        self.started(created, definition.plan.clone(), parameters).await
    }

    /// Starts a run of a stored definition as its schedule would now, whatever else of it runs.
    ///
    /// # Errors
    /// As [`Self::trigger`]; [`StoreError::NotFound`] where the definition has no schedule.
    pub async fn run_now(&self, schedule: Name, idempotency: Option<Idempotency>, random: u128) -> Result<Started, JobError> {
        let record = self.store.definition(schedule.clone()).await?;
        let new = NewRun { idempotency, ..self.scheduled(&record.text, random).await? };
        let (plan, parameters) = (new.plan.clone(), new.parameters.clone());
        let created = self.store.fire_now(schedule, new).await?;
        self.started(created, plan, parameters).await
    }

    /// The run that a definition's schedule starts.
    pub(crate) async fn scheduled(&self, text: &str, random: u128) -> Result<NewRun, JobError> {
        // Pulling would hold up the fires of others. What is stored was pulled then.
        let definition = self.runnable(text, false).await?;
        let schedule = definition.schedule.as_ref().ok_or(StoreError::NotFound("schedule"))?;
        Ok(NewRun {
            id: RunId::new(self.store.now(), random),
            plan: definition.plan.clone(),
            parameters: parameters(Some(schedule.parameters.as_str().into()), &definition.inputs)?,
            files: Vec::new(),
            trigger: Trigger::Schedule,
            paused: false,
            idempotency: None,
        })
    }

    /// A definition that can be run now; with `pull`, what it refers to in registries and is not here is pulled.
    async fn runnable(&self, text: &str, pull: bool) -> Result<Arc<Definition>, JobError> {
        let definition = self.check_with(text, pull).await?;
        if !definition.enabled {
            return Err(JobError::Disabled(definition.id.clone()));
        }
        if let Some(step) = definition.plan.steps.iter().find(|step| step.limits.memory > self.memory) {
            return Err(JobError::MemoryBudget { step: step.name.clone(), limit: step.limits.memory, budget: self.memory });
        }
        Ok(definition)
    }

    /// A run that was created, or was there already.
    async fn started(&self, created: CreatedRun, plan: Arc<Plan>, parameters: Arc<str>) -> Result<Started, JobError> {
        if created.existing {
            let RunView { run, plan, parameters } = self.store.run(created.run.id).await?;
            return Ok(Started { run, plan, parameters, existing: true });
        }
        Ok(Started { run: created.run, plan, parameters, existing: false })
    }

    /// Makes sure that the files of a run are there, to say which is not; the store looks again when it creates the run.
    async fn check_files(&self, files: &BTreeMap<FileName, Digest>) -> Result<(), JobError> {
        if files.len() > MAX_RUN_FILES {
            return Err(JobError::Files(files.len()));
        }
        for (name, &digest) in files {
            match self.store.file(digest).await {
                Ok(_) => {}
                Err(StoreError::NotFound("file")) => return Err(JobError::File { name: name.clone(), digest }),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Checks a component or a core module and stores it as a plugin with what proves it, under the name that it calls itself; a WASI
    /// command goes by `name`.
    ///
    /// # Errors
    /// [`JobError::Plugin`] with what is wrong and how to mend it; what [`Self::prove`] says.
    pub async fn upload(&self, component: Bytes, name: Option<Name>, given: GivenPapers) -> Result<PluginRecord, JobError> {
        let papers = self.read_papers(&component, given, None)?;
        let record = self.inspect(&component, name, &papers, None).await?;
        self.put_papers(record.digest, papers).await?;
        Ok(self.store.put_plugin(record, component).await?)
    }

    /// Takes a component or a core module that is to be checked in the background, where [`Uploads`](crate::uploads::Uploads) runs.
    /// What was taken lasts.
    ///
    /// # Errors
    /// What [`Self::prove`] says, and the store: it may have as many as it takes.
    pub async fn submit(&self, component: Bytes, name: Option<Name>, given: GivenPapers) -> Result<UploadView, JobError> {
        let papers = self.read_papers(&component, given, None)?;
        self.check_signature(&component, &papers).await?;
        let upload = self.store.submit_plugin(registry::digest(&component), name, papers, component).await?;
        self.checks.submitted.notify_one();
        self.checks.fire();
        Ok(self.checks.view(upload))
    }

    /// An upload, and how far it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where it is not known, or not any more.
    pub async fn submitted(&self, digest: Digest) -> StoreResult<UploadView> {
        Ok(self.checks.view(self.store.plugin_upload(digest).await?))
    }

    /// All uploads that are known, those that came first at the front.
    ///
    /// # Errors
    /// What the store says.
    pub async fn all_submitted(&self) -> StoreResult<Vec<UploadView>> {
        Ok(self.store.plugin_uploads().await?.into_iter().map(|upload| self.checks.view(upload)).collect())
    }

    /// Fires when an upload comes, ends, or its check goes on.
    pub fn upload_signal(&self) -> Signal {
        self.checks.signal()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Checks what was uploaded or pulled, with what came with it, and makes its record, which is not stored.
    pub(crate) async fn inspect(
        &self,
        component: &Bytes,
        name: Option<Name>,
        papers: &Papers,
        told: Option<CompileListener>,
    ) -> Result<PluginRecord, JobError> {
        self.check_signature(component, papers).await?;
        let size = component.len() as u64;
        let found = self.executor.inspect(component.clone(), name, told).await.map_err(JobError::Plugin)?;
        Ok(PluginRecord {
            name: found.name,
            version: found.version,
            summary: found.summary,
            config_schema: found.config_schema,
            digest: found.digest,
            size,
            uploaded_at: self.store.now(),
            analysis: Some(found.analysis),
        })
    }
}

/// What a definition needs to know of a plugin.
fn known(plugin: PluginRecord) -> KnownPlugin {
    KnownPlugin { name: plugin.name, digest: plugin.digest, config_schema: plugin.config_schema }
}

/// What a WASI command is called that was pulled: as its repository, with `-` for what no name has.
fn title(reference: &OciReference) -> Option<Name> {
    reference.title().replace('.', "-").parse().ok()
}

/// The parameters, checked, with the defaults of those that are not given.
fn parameters(text: Option<Box<str>>, inputs: &Inputs) -> Result<Arc<str>, JobError> {
    let text = text.unwrap_or_else(|| "{}".into());
    if text.len() > MAX_PARAMETERS_LEN {
        return Err(JobError::Parameters(format!("{} bytes; at most {MAX_PARAMETERS_LEN} are allowed", text.len())));
    }
    let given = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text)
        .map_err(|error| JobError::Parameters(format!("expected a JSON object: {error}")))?;
    if inputs.parameters.is_none() {
        // As they were written: numbers that no other program would read alike stay what they are.
        return Ok(text.into());
    }
    let whole = inputs.parameters(given).map_err(JobError::Inputs)?;
    Ok(serde_json::Value::Object(whole).to_string().into())
}
