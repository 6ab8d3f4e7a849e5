//! `checkpoint`: bytes that outlive the attempt.

use bulkhead_engine::attempt::{CheckpointError, MAX_CHECKPOINT_LEN};

use super::{Refusal, refusal};
use crate::bindings::bulkhead::plugin::checkpoint;
use crate::state::State;

impl checkpoint::Host for State {
    async fn save(&mut self, data: Vec<u8>) -> wasmtime::Result<Result<(), checkpoint::CheckpointError>> {
        self.count_call()?;
        let Some(host) = &self.host else { return Ok(Err(checkpoint::CheckpointError::Cancelled)) };
        match host.save_checkpoint(data.into()).await {
            Ok(()) => Ok(Ok(())),
            Err(CheckpointError::TooLarge(_)) => Ok(Err(checkpoint::CheckpointError::TooLarge(MAX_CHECKPOINT_LEN as u64))),
            Err(CheckpointError::Store(error)) => Ok(Err(explain(refusal(error)?))),
        }
    }

    async fn load(&mut self) -> wasmtime::Result<Result<Option<Vec<u8>>, checkpoint::CheckpointError>> {
        self.count_call()?;
        let Some(host) = &self.host else { return Ok(Ok(None)) };
        match host.load_checkpoint().await {
            Ok(data) => Ok(Ok(data.map(Into::into))),
            Err(error) => Ok(Err(explain(refusal(error)?))),
        }
    }
}

fn explain(refusal: Refusal) -> checkpoint::CheckpointError {
    match refusal {
        Refusal::Unavailable(reason) => checkpoint::CheckpointError::Unavailable(reason),
        Refusal::Cancelled | Refusal::SpawnQuota(_) => checkpoint::CheckpointError::Cancelled,
    }
}
