//! Creating runs and commanding them.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_core::id::{Digest, RunId, StepIndex};
use bulkhead_core::machine::{self, RunCommand};
use bulkhead_core::run::Run;
use bulkhead_engine::store::{CreatedRun, Idempotency, NewRun, StoreError};
use sha2::{Digest as _, Sha256};

use super::state::RunEntry;
use super::{Txn, apply};
use crate::keys::{self, UseKind};
use crate::kv::{self, Tx};
use crate::record::{self, IdempotencyRow};

/// How long an idempotency key is remembered: a day covers every client that retries by itself, and a person's second thought.
pub(crate) const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A run to create, with its plan in its stored form. Made outside the writer, since it costs a digest.
#[derive(Debug)]
pub(crate) struct PreparedRun {
    new: NewRun,
    digest: Digest,
    stored_plan: Vec<u8>,
}

impl PreparedRun {
    pub(crate) fn new(new: NewRun) -> Tx<Self> {
        let mut stored_plan = Vec::new();
        record::encode(&*new.plan, &mut stored_plan)?;
        let digest = Digest::from_bytes(Sha256::digest(&stored_plan).into());
        Ok(Self { new, digest, stored_plan })
    }

    /// The same run, to be created once only.
    pub(super) fn once(self, idempotency: Idempotency) -> Self {
        Self { new: NewRun { idempotency: Some(idempotency), ..self.new }, ..self }
    }
}

impl Txn<'_> {
    /// Creates a run, or finds the one that the same idempotency key created.
    pub(crate) fn create_run(&mut self, prepared: PreparedRun) -> Tx<CreatedRun> {
        let PreparedRun { new, digest, stored_plan } = prepared;
        if let Some(row) = self.known_request(new.idempotency.as_ref())? {
            return Ok(CreatedRun { run: self.run(row.run)?.run.clone(), existing: true });
        }
        let id = new.id;
        if self.found(id)? || kv::exists(self.kv, &keys::removal(id))? {
            return Err(StoreError::Conflict(format!("{id} exists")).into());
        }

        self.remember_request(new.idempotency.as_ref(), id, None)?;
        if self.count_use(UseKind::Plan, digest, 1)? == 1 {
            self.put(&keys::plan(digest), &stored_plan)?;
        }
        // One copy of the plan in memory for all runs of it.
        let plan = self.state.plans.entry(digest).or_insert(new.plan).clone();
        for component in apply::components(&plan) {
            self.count_use(UseKind::Plugin, component, 1)?;
        }
        let parameters: Arc<str> = if *new.parameters == *self.state.no_parameters {
            self.state.no_parameters.clone()
        } else {
            self.put(&keys::parameters(id), new.parameters.as_bytes())?;
            new.parameters
        };
        let run = Run::new(id, &plan, digest, new.trigger, self.now);
        let events = machine::create(&run, new.paused);
        let used = self.state.batch_number;
        self.state.runs.insert(id, RunEntry { run, plan, parameters, dirty: false, used });
        self.apply_all(id, None, events)?;
        Ok(CreatedRun { run: self.run(id)?.run.clone(), existing: false })
    }

    /// What the same request did before, where it did and its run is still there; then the run is loaded.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the key was used for another request.
    pub(super) fn known_request(&mut self, idempotency: Option<&Idempotency>) -> Tx<Option<IdempotencyRow>> {
        let Some(idempotency) = idempotency else { return Ok(None) };
        let Some(row) = self.load::<IdempotencyRow>(&keys::idempotency(&idempotency.key))? else { return Ok(None) };
        if row.expires <= self.now || !self.found(row.run)? {
            return Ok(None);
        }
        if row.request != idempotency.request {
            return Err(StoreError::Conflict("the idempotency key was used for another request".into()).into());
        }
        Ok(Some(row))
    }

    /// Keeps what a request did, under its key.
    pub(super) fn remember_request(
        &mut self,
        idempotency: Option<&Idempotency>,
        run: RunId,
        task: Option<(StepIndex, u32, u32)>,
    ) -> Tx<()> {
        let Some(idempotency) = idempotency else { return Ok(()) };
        let key = keys::idempotency(&idempotency.key);
        if let Some(old) = self.load::<IdempotencyRow>(&key)? {
            self.remove(&keys::idempotency_expiry(old.expires, &idempotency.key))?;
        }
        let expires = self.now.after(IDEMPOTENCY_KEPT);
        self.put_record(&key, &IdempotencyRow { request: idempotency.request, run, task, expires })?;
        self.put(&keys::idempotency_expiry(expires, &idempotency.key), &[])
    }

    /// Does something to a whole run.
    pub(crate) fn command_run(&mut self, id: RunId, command: RunCommand) -> Tx<Run> {
        self.load_run(id)?;
        let entry = self.run(id)?;
        let events = machine::decide_run(&entry.run, &entry.plan, command, self.now)?;
        self.apply_all(id, None, events)?;
        Ok(self.run(id)?.run.clone())
    }

    /// Whether there is a run; if so, it is loaded.
    pub(super) fn found(&mut self, id: RunId) -> Tx<bool> {
        match self.load_run(id) {
            Ok(()) => Ok(true),
            Err(kv::Fault::Refused(StoreError::NotFound(_))) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}
