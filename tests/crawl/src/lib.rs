//! The crawler against real sites, on the real binary: a server of files that remembers what it was asked for, an independent
//! walk of the same files with another parser, and what compares the two.

mod docs;
mod records;
mod site;
mod walk;

pub use docs::{Docs, docs};
pub use records::{Records, address, records};
pub use site::{Request, Site};
pub use walk::{Walk, walk};
