//! Randomness that is the same each time, for steps with a fuel limit.
//!
//! A fuel limit is to fail the same tasks on every machine and at every attempt. So where one is set, all of `wasi:random`
//! (also what calls itself secure) follows from the plugin's digest, the step's configuration, the task's key and its input, and
//! from nothing else: neither the run nor the attempt. A plugin that needs secrets must not have a fuel limit.
//!
//! The stream is SHA-256 in counter mode, which is the same everywhere and for ever.

use std::convert::Infallible;

use bulkhead_engine::store::Claimed;
use rand::TryRng;
use sha2::{Digest as _, Sha256};

/// What a task's randomness follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed([u8; 32]);

impl Seed {
    /// The seed of a task.
    pub(crate) fn of(claimed: &Claimed) -> Self {
        let step = claimed.plan.step(claimed.task.step);
        let mut hasher = Sha256::new();
        hasher.update(b"bulkhead/random/1");
        hasher.update(step.plugin.digest.as_bytes());
        for part in [&step.config, &*claimed.key, &*claimed.input] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// A stream of its own for each purpose.
    pub(crate) fn stream(&self, purpose: &str) -> Stream {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(purpose);
        Stream { key: hasher.finalize().into(), counter: 0, block: [0; 32], used: 32 }
    }

    /// A number of its own for each purpose.
    pub(crate) fn number(&self, purpose: &str) -> u128 {
        let mut bytes = [0; 16];
        self.stream(purpose).fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }
}

/// An endless stream of bytes.
pub(crate) struct Stream {
    key: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Stream {
    fn fill(&mut self, target: &mut [u8]) {
        for byte in target {
            if self.used == self.block.len() {
                let mut hasher = Sha256::new();
                hasher.update(self.key);
                hasher.update(self.counter.to_le_bytes());
                self.block = hasher.finalize().into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        self.fill(target);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_never_changes() {
        let mut stream = Seed([7; 32]).stream("secure");
        let mut bytes = [0; 40];
        stream.fill(&mut bytes);
        // Computed apart: sha256(sha256(07 × 32 ‖ "secure") ‖ counter as 8 bytes, little end first), counters 0 and 1.
        assert_eq!(bytes[..4], [113, 11, 77, 92]);
        assert_eq!(bytes[36..], [249, 199, 8, 203]);
    }

    #[test]
    fn purposes_have_streams_of_their_own() {
        let seed = Seed([7; 32]);
        assert_ne!(seed.number("secure"), seed.number("insecure"));
        assert_eq!(seed.number("secure"), seed.number("secure"));
    }
}
