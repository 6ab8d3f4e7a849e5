//! Two interleaved half circles: points in the plane that no straight line separates.

use std::f64::consts::{PI, TAU};

use bulkhead_plugin::rng::Rng;

/// A point, and which of the two half circles it belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Example {
    pub(crate) at: [f64; 2],
    pub(crate) second: bool,
}

/// `count` examples, the same for the same seed, each moved by normal noise of the given deviation.
pub(crate) fn examples(seed: u64, count: u32, noise: f64) -> Vec<Example> {
    let mut rng = Rng::for_names(seed, &["moons"]);
    let example = |number: u32| {
        let second = number % 2 == 1;
        let angle = PI * rng.unit();
        let (x, y) = if second { (1.0 - angle.cos(), 0.5 - angle.sin()) } else { (angle.cos(), angle.sin()) };
        let (dx, dy) = normal_pair(&mut rng);
        Example { at: [x + noise * dx, y + noise * dy], second }
    };
    (0..count).map(example).collect()
}

/// Two independent standard normal numbers (Box and Muller, 1958).
pub(crate) fn normal_pair(rng: &mut Rng) -> (f64, f64) {
    // 1 - unit is never 0, so the logarithm is finite.
    let (radius, angle) = ((-2.0 * (1.0 - rng.unit()).ln()).sqrt(), TAU * rng.unit());
    (radius * angle.cos(), radius * angle.sin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_the_points_lie_on_their_half_circles() {
        for Example { at: [x, y], second } in examples(1, 200, 0.0) {
            let radius = if second { (x - 1.0).hypot(y - 0.5) } else { x.hypot(y) };
            assert!((radius - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_seed_makes_the_same_examples() {
        assert_eq!(examples(7, 50, 0.2), examples(7, 50, 0.2));
        assert_ne!(examples(7, 50, 0.2), examples(8, 50, 0.2));
    }
}
