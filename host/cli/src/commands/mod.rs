//! The commands, by what they work on: this process, a server, a data directory.

pub(crate) mod catalog;
pub(crate) mod local;
pub(crate) mod run;
pub(crate) mod runs;
