//! A model from data to verdict: one step trains a small neural network, a later one evaluates it on points it has not seen.
//!
//! Both make their points from their seeds, so the plugin needs no data but what it is configured with, and the same seeds give the
//! same model to the last digit. The model travels as an artifact. Training saves a checkpoint after every pass.

mod moons;
mod network;

use bulkhead_plugin::artifacts::{self, Source};
use bulkhead_plugin::json;
use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::Network;

/// The artifact that holds the model.
const MODEL: &str = "model.json";

struct Ml;

/// What a step does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// Trains a network and leaves it as the artifact `model.json`.
    Train,
    /// Reads the model of the step `from` and counts its right answers.
    Evaluate,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What the step does.
    stage: Stage,
    /// The points to train with, or to evaluate on.
    #[serde(default = "points")]
    #[schemars(range(min = 10, max = 1_000_000))]
    points: u32,
    /// How far the points stray from their half circles: a standard deviation.
    #[serde(default = "noise")]
    #[schemars(range(min = 0.0, max = 2.0))]
    noise: f64,
    /// Another seed, other points.
    #[serde(default)]
    seed: u64,
    /// train: hidden units.
    #[serde(default = "units")]
    #[schemars(range(min = 1, max = 1_000))]
    units: u32,
    /// train: how often it goes through all points.
    #[serde(default = "passes")]
    #[schemars(range(min = 1, max = 100_000))]
    passes: u32,
    /// train: how far each step goes down the slope.
    #[serde(default = "rate")]
    #[schemars(range(min = 0.000_001, max = 10.0))]
    rate: f64,
    /// evaluate: the step that trained.
    #[serde(default)]
    from: Option<String>,
    /// evaluate: fail below this share of right answers.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    min_accuracy: f64,
}

fn points() -> u32 {
    1_000
}

fn noise() -> f64 {
    0.15
}

fn units() -> u32 {
    8
}

fn passes() -> u32 {
    60
}

fn rate() -> f64 {
    0.1
}

/// What is known after so many passes.
#[derive(Serialize, Deserialize)]
struct Training {
    passes: u32,
    loss: f64,
    network: Network,
}

/// What a task says of its work.
#[derive(Serialize)]
#[serde(untagged)]
enum Report {
    Trained { passes: u32, loss: f64 },
    Evaluated { points: u32, right: u32, accuracy: f64 },
}

impl Plugin for Ml {
    const NAME: &'static str = "ml";
    const SUMMARY: &'static str = "Trains and evaluates a small neural network";
    type Config = Config;
    type Input = ();
    type Output = Report;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        if let (Stage::Evaluate, None) = (step.config.stage, &step.config.from) {
            return Err(Error::fatal("`from` is missing: name the step that trained the model"));
        }
        let key = match step.config.stage {
            Stage::Train => "train",
            Stage::Evaluate => "evaluate",
        };
        spawn([(key, ())])?;
        Ok(())
    }

    fn run(step: &Step<Config>, _task: Task<()>) -> Result<Report, Error> {
        match step.config.stage {
            Stage::Train => train(&step.config),
            Stage::Evaluate => evaluate(&step.config),
        }
    }
}

fn train(config: &Config) -> Result<Report, Error> {
    let examples = moons::examples(config.seed, config.points, config.noise);
    let saved: Option<Training> = checkpoint::load()?;
    let fresh = || Training { passes: 0, loss: f64::NAN, network: Network::new(config.seed, config.units) };
    let mut training = saved.unwrap_or_else(fresh);
    while training.passes < config.passes {
        training.loss = training.network.train(&examples, config.rate);
        training.passes += 1;
        let Training { passes, loss, .. } = training;
        info!("pass {passes} done", loss = loss);
        status::progress(u64::from(passes), u64::from(config.passes));
        checkpoint::save(&training)?;
    }
    artifacts::write(MODEL, &json::to_vec(&training.network)?)?;
    Ok(Report::Trained { passes: training.passes, loss: training.loss })
}

fn evaluate(config: &Config) -> Result<Report, Error> {
    let from = config.from.clone().unwrap_or_default();
    let network: Network = json::from_reader(artifacts::open(Source::Step(from), MODEL)?)?;
    let examples = moons::examples(config.seed, config.points, config.noise);
    let right = examples.iter().filter(|example| (network.likelihood(example.at) > 0.5) == example.second).count() as u32;
    let accuracy = f64::from(right) / f64::from(config.points);
    let points = config.points;
    info!("{right} of {points} points are classified right", share = accuracy);
    if accuracy < config.min_accuracy {
        return Err(Error::fatal(format_args!("the accuracy is {accuracy:.4}, below {}", config.min_accuracy)));
    }
    Ok(Report::Evaluated { points, right, accuracy })
}

export_plugin!(Ml);
