//! Repeatable randomness: the same seed gives the same numbers on every machine and in every attempt.
//!
//! For tests and simulations, not for secrets.

/// A SplitMix64 generator (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

/// The 64-bit golden ratio, SplitMix64's increment.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Rng {
    /// A generator whose numbers depend on the seed alone.
    pub fn new(seed: u64) -> Self {
        Rng { state: seed }
    }

    /// A generator of its own for each name under one seed: a step and a task's key, for instance.
    ///
    /// The names are hashed with FNV-1a, a separator after each, so `["ab", "c"]` and `["a", "bc"]` differ.
    pub fn for_names(seed: u64, names: &[&str]) -> Self {
        let mut hash: u64 = 0xCBF2_9CE4_8422_2325;
        for name in names {
            for byte in name.bytes().chain([0xFF]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
            }
        }
        Rng { state: mix(seed.wrapping_add(GAMMA)) ^ hash }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with a probability between 0 (never) and 1 (always).
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number from 0 up to, not including, `bound`; 0 if the bound is 0. The bias is below `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        let mut rng = Rng::new(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn names_separate_streams() {
        let first = |names: &[&str]| Rng::for_names(1, names).next_u64();
        assert_eq!(first(&["step", "worker-1"]), first(&["step", "worker-1"]));
        assert_ne!(first(&["step", "worker-1"]), first(&["step", "worker-2"]));
        assert_ne!(first(&["ab", "c"]), first(&["a", "bc"]));
    }

    #[test]
    fn probabilities_hold_at_their_ends_and_between() {
        let mut rng = Rng::new(7);
        assert!((0..1_000).all(|_| !rng.chance(0.0)));
        assert!((0..1_000).all(|_| rng.chance(1.0)));
        let hits = (0..10_000).filter(|_| rng.chance(0.2)).count();
        assert!((1_900..2_100).contains(&hits), "{hits}");
        assert!((0..1_000).all(|_| rng.below(6) < 6));
        assert_eq!(rng.below(0), 0);
    }
}
