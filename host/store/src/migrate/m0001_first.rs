//! Format 1, the first: an empty store has nothing to bring along.

use crate::kv::{KvWrite, Tx};

pub(super) fn migrate(_: &mut dyn KvWrite) -> Tx<()> {
    Ok(())
}
