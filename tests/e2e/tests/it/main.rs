//! The real binary with real plugins. `make host-test` builds both first.

mod batch;
mod cli;
mod compile;
mod contract;
mod control;
mod demo;
mod hooks;
mod misbehave;
mod plugin_author;
mod registry;
mod schedules;
mod serve;
mod streams;
mod stress;
mod suite;
mod tokens;
