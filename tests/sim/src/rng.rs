//! Random numbers that are the same for the same seed on every machine and with every release of every library.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). Not `Clone`: two that draw the same
/// numbers make the same ids as soon as the clock stands still.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// A sequence of its own for a seed and some numbers that name its purpose.
    pub(crate) fn of(seed: u64, names: &[u64]) -> Self {
        let mut rng = Self(seed);
        for &name in names {
            let mixed = rng.next() ^ name.wrapping_mul(0xff51_afd7_ed55_8ccd);
            rng = Self(mixed);
        }
        rng.next();
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `end` - 1; 0 where `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in so many of 1,000 cases.
    pub(crate) fn permille(&mut self, chance: u64) -> bool {
        self.below(1_000) < chance
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// A time between two numbers of milliseconds.
    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.between(low * 1_000, high * 1_000))
    }

    /// 128 bits.
    pub(crate) fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

/// The FNV-1a hash of some text (Fowler, Noll, Vo): the same everywhere, unlike the standard library's.
pub(crate) fn hash(text: &str) -> u64 {
    fold(0xcbf2_9ce4_8422_2325, text)
}

/// The hash of what was hashed to `hash` and then `text`.
pub(crate) fn fold(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
