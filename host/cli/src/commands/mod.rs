//! The commands, by what they are about.

pub(crate) mod catalog;
pub(crate) mod doctor;
pub(crate) mod files;
pub(crate) mod hooks;
pub(crate) mod plugin;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod serve;
pub(crate) mod tasks;
pub(crate) mod tokens;
