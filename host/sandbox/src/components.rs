//! Components ready to run: found by digest, compiled once, forgotten when long unused.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::id::Digest;
use bulkhead_engine::executor::CompileListener;
use bulkhead_engine::signature::TrustedKeys;
use bulkhead_engine::store::{Store, StoreError};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use wasmtime::component::{ComponentExportIndex, InstancePre};

use crate::adapt::Findings;
use crate::compiler::{Compiled, Compiler};
use crate::engine::{EngineKey, Engines};
use crate::link;
use crate::state::State;

/// A component, compiled and linked.
pub(crate) struct Loaded {
    pub(crate) pre: InstancePre<State>,
    pub(crate) entry: Entry,
    /// How long compiling it took; absent where its code was there already.
    pub(crate) compile_time: Option<Duration>,
}

/// What the host calls of a component.
pub(crate) enum Entry {
    /// A plugin: the contract's two.
    Plugin { plan: ComponentExportIndex, run: ComponentExportIndex },
    /// A command: WASI's one.
    Command(ComponentExportIndex),
}

/// The components of a sandbox.
pub(crate) struct Components {
    store: Arc<dyn Store>,
    engines: Engines,
    compiler: Compiler,
    loaded: Mutex<Recent>,
    /// Who must have signed what is loaded.
    keys: OnceLock<Arc<TrustedKeys>>,
}

impl Components {
    pub(crate) fn new(store: Arc<dyn Store>, engines: Engines, compiler: Compiler, most: NonZeroUsize) -> Self {
        Self { store, engines, compiler, loaded: Mutex::new(Recent::new(most)), keys: OnceLock::new() }
    }

    /// Loads from now on only what one of these keys signed.
    pub(crate) fn trust_only(&self, keys: Arc<TrustedKeys>) {
        let _ = self.keys.set(keys);
    }

    /// The engines that components are compiled for.
    pub(crate) const fn engines(&self) -> &Engines {
        &self.engines
    }

    /// The component with this digest for an engine. Whoever asks while it is being compiled waits for the same compilation.
    pub(crate) async fn get(&self, digest: Digest, key: EngineKey) -> Result<Arc<Loaded>, Failure> {
        let cell = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).cell((digest, key));
        if let Some(loaded) = cell.get() {
            return Ok(Arc::clone(loaded));
        }
        cell.get_or_try_init(|| self.load(digest, key)).await.cloned()
    }

    async fn load(&self, digest: Digest, key: EngineKey) -> Result<Arc<Loaded>, Failure> {
        let bytes = self.store.component(digest).await.map_err(|error| match error {
            StoreError::NotFound(_) => Failure::new(Cause::HostFault, format!("the store has no component {digest}")),
            error => Failure::new(Cause::HostFault, format!("the component {digest} could not be read: {error}")),
        })?;
        if digest_of(&bytes) != digest {
            return Err(Failure::new(Cause::HostFault, format!("what the store has as component {digest} is another")));
        }
        self.check_signature(digest, &bytes).await?;
        self.prepare(digest, bytes, key, None).await.map(Arc::new)
    }

    /// Makes sure that a component may be loaded. It was signed when it came, and keys that are trusted change.
    async fn check_signature(&self, digest: Digest, bytes: &Bytes) -> Result<(), Failure> {
        let Some(keys) = self.keys.get() else { return Ok(()) };
        let unread = |error| Failure::new(Cause::HostFault, format!("the signature of {digest} could not be read: {error}"));
        let papers = self.store.papers(digest).await.map_err(unread)?;
        let signer = keys.signer(bytes, papers.signature.as_deref());
        signer.map(drop).map_err(|error| Failure::new(Cause::Denied, format!("the plugin is not loaded: {error}")))
    }

    /// Compiles what was uploaded under a digest, and links it. What does not fit a slot of the pool gets an engine without.
    pub(crate) async fn prepare(
        &self,
        digest: Digest,
        bytes: Bytes,
        key: EngineKey,
        told: Option<CompileListener>,
    ) -> Result<Loaded, Failure> {
        match self.prepare_for(digest, bytes.clone(), key, told.clone()).await {
            Err(failure) if key.pooled && failure.cause == Cause::InvalidPlugin => {
                self.prepare_for(digest, bytes, EngineKey { pooled: false, ..key }, told).await
            }
            result => result,
        }
    }

    async fn prepare_for(
        &self,
        digest: Digest,
        bytes: Bytes,
        key: EngineKey,
        told: Option<CompileListener>,
    ) -> Result<Loaded, Failure> {
        let runner = self
            .engines
            .get(key)
            .map_err(|error| Failure::new(Cause::HostFault, format!("wasmtime could not be set up: {error:#}")))?;
        let Compiled { component, took } = self.compiler.compile(runner.engine.clone(), key, digest, bytes, told).await?;
        let entry = link::entry(&component)?;
        let pre = link::instantiate_pre(&runner.linker, &component)?;
        Ok(Loaded { pre, entry, compile_time: took })
    }

    /// Looks at what was uploaded: what it is, and whether it can become a component.
    pub(crate) async fn look(&self, bytes: Bytes) -> Result<Findings, Failure> {
        self.compiler.look(bytes).await
    }
}

/// The SHA-256 of a component.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

type Cell = Arc<OnceCell<Arc<Loaded>>>;
type Key = (Digest, EngineKey);

/// The components that were used last.
struct Recent {
    most: usize,
    uses: u64,
    cells: HashMap<Key, (u64, Cell)>,
}

impl Recent {
    fn new(most: NonZeroUsize) -> Self {
        Self { most: most.get(), uses: 0, cells: HashMap::new() }
    }

    fn cell(&mut self, key: Key) -> Cell {
        self.uses += 1;
        if !self.cells.contains_key(&key) && self.cells.len() >= self.most {
            // Attempts that run keep theirs until they end.
            if let Some(oldest) = self.cells.iter().min_by_key(|(_, (used, _))| *used).map(|(&key, _)| key) {
                self.cells.remove(&oldest);
            }
        }
        let (used, cell) = self.cells.entry(key).or_default();
        *used = self.uses;
        Arc::clone(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::StackClass;

    #[test]
    fn the_component_unused_for_longest_is_forgotten() {
        let key =
            |byte| (Digest::from_bytes([byte; 32]), EngineKey { metered: false, stack: StackClass::holding(0), pooled: true });
        let mut recent = Recent::new(NonZeroUsize::new(2).unwrap());
        let first = recent.cell(key(1));
        recent.cell(key(2));
        assert!(Arc::ptr_eq(&first, &recent.cell(key(1))));
        recent.cell(key(3));
        assert!(recent.cells.contains_key(&key(1)) && !recent.cells.contains_key(&key(2)));
        assert_eq!(recent.cells.len(), 2);
    }
}
