//! The rules of Bulkhead, without I/O, clock, randomness, async or logging: time and random numbers come in as arguments.
//!
//! A definition ([`definition`]) becomes a [`plan::Plan`]; a run of it is a [`run::Run`] with [`run::Step`]s and [`task::Task`]s.
//! [`machine::decide_run()`] and [`machine::decide_task()`] say what a command does to them, as [`event::Event`]s;
//! [`machine::evolve()`] applies an event; [`machine::consequence()`] says what follows by itself. Stores call these inside
//! their transactions and decide nothing. A [`schedule`] says when runs start by themselves.
//!
//! # Invariants
//! - A counter changes in [`machine::evolve()`] only, with the state that it counts.
//! - A terminal failure carries a [`failure::Cause`]; there is no unknown one.
//! - An attempt's number fences every write of whoever holds the task.

pub mod artifact;
pub mod definition;
pub mod event;
pub mod failure;
pub mod hook;
pub mod host_pattern;
pub mod id;
pub mod log;
pub mod machine;
pub mod name;
pub mod oci;
pub mod pace;
pub mod plan;
pub mod plugin;
pub mod run;
pub mod schedule;
pub mod task;
pub mod time;
