//! The commands for who writes plugins: they need no server of Bulkhead's.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod dev;
pub(crate) mod new;
pub(crate) mod profile;
pub(crate) mod registry;
pub(crate) mod test;
mod workbench;
