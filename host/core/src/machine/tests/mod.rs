//! What the state machine promises, in examples and on random histories.

mod orders;
mod property;
mod retrying;
mod steps;
mod stopping;
mod tasks;
mod transitions;
mod world;
