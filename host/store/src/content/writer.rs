//! Writing content: hashed as it comes, never held as a whole.

use std::sync::Arc;

use bulkhead_core::id::Digest;
use bulkhead_engine::files::{Content, ContentWriter};
use bulkhead_engine::store::StoreFuture;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{Contents, Draft, failed, unavailable};

/// See [`ContentWriter`].
pub(super) struct Writer {
    contents: Arc<Contents>,
    /// Absent while a thread has it, and for ever where a write was abandoned in its middle.
    state: Option<State>,
}

struct State {
    draft: Box<dyn Draft>,
    hash: Sha256,
    size: u64,
}

impl Writer {
    pub(super) fn new(contents: &Arc<Contents>, draft: Box<dyn Draft>) -> Self {
        let state = State { draft, hash: Sha256::new(), size: 0 };
        Self { contents: Arc::clone(contents), state: Some(state) }
    }

    fn take(&mut self) -> Result<State, bulkhead_engine::store::StoreError> {
        self.state.take().ok_or_else(|| unavailable("an earlier write of this content was abandoned".into()))
    }
}

impl ContentWriter for Writer {
    fn append(&mut self, piece: Bytes) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let mut state = self.take()?;
            let write = move |_: &Contents| {
                let written = state.draft.write(state.size, &piece);
                if written.is_ok() {
                    state.hash.update(&piece);
                    state.size += piece.len() as u64;
                }
                (state, written)
            };
            let (state, written) = self.contents.blocking(write).await?;
            self.state = Some(state);
            written.map_err(failed)
        })
    }

    fn finish(mut self: Box<Self>) -> StoreFuture<'static, Content> {
        Box::pin(async move {
            let State { mut draft, hash, size } = self.take()?;
            let digest = Digest::from_bytes(hash.finalize().into());
            let contents = Arc::clone(&self.contents);
            self.contents.blocking(move |_| contents.publish(&mut *draft, digest, size)).await?.map_err(failed)
        })
    }
}
