//! The loads themselves: pure functions of their size.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a task uses up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Processor time: a checksum over a row of pseudorandom numbers, in registers.
    Cpu,
    /// Memory: a working set that is filled, then walked in an order that no cache likes.
    Memory,
}

const ROUNDS_PER_SIZE: u64 = 1_000;
const WORDS_PER_SIZE: usize = 1024 / size_of::<u64>();
const WALKS: usize = 4;
/// Prime, so that walking by it in a ring visits every word unless the length is a multiple of it.
const STRIDE: usize = 4_099;

/// One round of xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
fn scramble(mut x: u64) -> u64 {
    x ^= x << 13;
    x ^= x >> 7;
    x ^ (x << 17)
}

/// One step of a checksum in which the order counts (FNV-1a's, by the word).
fn fold(checksum: u64, word: u64) -> u64 {
    (checksum ^ word).wrapping_mul(0x0000_0100_0000_01B3)
}

/// A checksum of `size` thousand rounds.
pub(crate) fn compute(size: u32) -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15;
    let mut checksum: u64 = 0;
    for round in 0..u64::from(size) * ROUNDS_PER_SIZE {
        state = scramble(state);
        // The division keeps the loop from being done in a few wide instructions.
        checksum = fold(checksum, state % (round | 1));
    }
    checksum
}

/// A checksum of `size` KiB of memory, every word written once and visited [`WALKS`] times.
pub(crate) fn walk(size: u32) -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15;
    let words: Vec<u64> = (0..size as usize * WORDS_PER_SIZE)
        .map(|_| {
            state = scramble(state);
            state
        })
        .collect();
    let mut checksum: u64 = 0;
    let mut place = 0;
    for _ in 0..words.len() * WALKS {
        checksum = fold(checksum, words[place]);
        place = (place + STRIDE) % words.len();
    }
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_size_gives_the_same_checksum() {
        assert_eq!(compute(10), compute(10));
        assert_ne!(compute(10), compute(11));
        assert_eq!(walk(64), walk(64));
        assert_ne!(walk(64), walk(65));
        assert_ne!(walk(64), 0);
    }
}
