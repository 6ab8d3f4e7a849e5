//! The engine: what runs between a queue that lasts and sandboxes that end.
//!
//! Four ports: a [`store::Store`] keeps runs, tasks and logs; an [`executor::Executor`] does one attempt at a task; an
//! [`egress::Egress`] sends HTTP requests, for plugins and for the host itself; a [`registry::Registry`] fetches plugins.
//! [`engine::Engine`] runs the services between them: the dispatcher claims tasks while there are slots and memory, hands
//! each to the executor with an [`attempt::AttemptHost`], and records how it ended; the keeper renews the worker's lease, tells
//! attempts to end, and runs the store's housekeeping; the scheduler starts runs when their schedules say so. [`jobs::Jobs`] is for what people ask.
//!
//! [`uploads::Uploads`] checks plugins that were uploaded, in the background. [`courier::Courier`] tells hooks of what happened, through the port to the network.
//!
//! Deliberately absent: network, file system, and any assumption that the claimer, the log writer and the reader of a log share
//! a process. What one of them must know of another goes through the store; signals only cut the wait.

pub mod attempt;
mod checked;
pub mod courier;
mod dispatcher;
pub mod egress;
pub mod engine;
pub mod executor;
pub mod files;
pub mod jobs;
mod keeper;
pub mod registry;
mod scheduler;
pub mod signature;
pub mod store;
pub mod uploads;
