//! A network with one hidden layer, trained by stochastic gradient descent on the cross-entropy loss.

use bulkhead_plugin::rng::Rng;
use serde::{Deserialize, Serialize};

use crate::moons::{Example, normal_pair};

/// A hidden unit: two weights for the point, a bias, and the weight of its own output.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Unit {
    weights: [f64; 2],
    bias: f64,
    out: f64,
}

impl Unit {
    fn activation(&self, at: [f64; 2]) -> f64 {
        (self.weights[0] * at[0] + self.weights[1] * at[1] + self.bias).tanh()
    }
}

/// The network: hyperbolic tangents into one logistic unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    units: Vec<Unit>,
    bias: f64,
}

impl Network {
    /// Small random weights: with equal ones all units would stay equal.
    pub(crate) fn new(seed: u64, units: u32) -> Self {
        let mut rng = Rng::for_names(seed, &["network"]);
        let mut unit = || {
            let ((w0, w1), (bias, out)) = (normal_pair(&mut rng), normal_pair(&mut rng));
            Unit { weights: [w0, w1], bias, out: 0.5 * out }
        };
        Self { units: (0..units).map(|_| unit()).collect(), bias: 0.0 }
    }

    /// How likely the point belongs to the second class: 0 to 1.
    pub(crate) fn likelihood(&self, at: [f64; 2]) -> f64 {
        let sum = self.units.iter().fold(self.bias, |sum, unit| sum + unit.out * unit.activation(at));
        1.0 / (1.0 + (-sum).exp())
    }

    /// Goes once through the examples in their order and returns the mean loss, each example's before its own step.
    pub(crate) fn train(&mut self, examples: &[Example], rate: f64) -> f64 {
        let mut loss = 0.0;
        for example in examples {
            let likelihood = self.likelihood(example.at);
            let right = if example.second { likelihood } else { 1.0 - likelihood };
            loss -= right.max(f64::MIN_POSITIVE).ln();
            let error = likelihood - f64::from(u8::from(example.second));
            self.bias -= rate * error;
            for unit in &mut self.units {
                let activation = unit.activation(example.at);
                let inner = error * unit.out * (1.0 - activation * activation);
                unit.out -= rate * error * activation;
                unit.weights[0] -= rate * inner * example.at[0];
                unit.weights[1] -= rate * inner * example.at[1];
                unit.bias -= rate * inner;
            }
        }
        loss / examples.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moons::examples;

    #[test]
    fn a_step_goes_down_the_gradient_of_the_loss() {
        let example = examples(3, 1, 0.1)[0];
        let loss = |network: &Network| {
            let likelihood = network.likelihood(example.at);
            -(if example.second { likelihood } else { 1.0 - likelihood }).ln()
        };
        let (before, rate, nudge) = (Network::new(5, 3), 1e-3, 1e-6);
        let mut after = before.clone();
        after.train(&[example], rate);
        // Each weight moved by `rate` times the slope that a difference quotient finds.
        let weights: [fn(&mut Network) -> &mut f64; 5] = [
            |network| &mut network.bias,
            |network| &mut network.units[1].out,
            |network| &mut network.units[1].bias,
            |network| &mut network.units[1].weights[0],
            |network| &mut network.units[1].weights[1],
        ];
        for weight in weights {
            let (mut low, mut high, mut old, mut new) = (before.clone(), before.clone(), before.clone(), after.clone());
            *weight(&mut low) -= nudge;
            *weight(&mut high) += nudge;
            let slope = (loss(&high) - loss(&low)) / (2.0 * nudge);
            let moved = *weight(&mut old) - *weight(&mut new);
            assert!((moved - rate * slope).abs() < 1e-8, "moved {moved}, slope {slope}");
        }
    }

    #[test]
    fn training_separates_what_no_line_separates() {
        let (training, test) = (examples(1, 400, 0.1), examples(2, 400, 0.1));
        let mut network = Network::new(1, 8);
        for _ in 0..100 {
            network.train(&training, 0.1);
        }
        let right = test.iter().filter(|example| (network.likelihood(example.at) > 0.5) == example.second).count();
        assert!(right >= 390, "{right} of 400");
    }
}
