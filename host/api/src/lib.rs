//! The REST API: routes, streams of server-sent events, OpenAPI and authorization.
//!
//! A request passes `gate` (limits, authorization by one table, panics, the form of errors), then its handler in `routes`, which
//! asks the engine's [`Jobs`](bulkhead_engine::jobs::Jobs) or the [`Store`](bulkhead_engine::store::Store). [`model`] has all
//! types of the wire, for clients, too.
//!
//! # Invariants
//! - Every error leaves as an RFC 9457 problem of a [`ProblemKind`].
//! - What [`auth`] does not name is refused.
//! - A stream is a cursor into the store: nothing is queued for a subscriber.
//!
//! Deliberately absent: TLS (put a proxy in front), cookies, and any state that another process would have to know.

pub mod auth;
mod config;
mod console;
mod cursor;
mod describe;
mod encode;
mod extract;
mod gate;
mod history;
mod limit;
mod metrics;
pub mod model;
mod problem;
mod routes;
mod serve;
mod sse;
mod state;

pub use config::{ApiConfig, OpenBindError, RateLimit, check_bind};
pub use describe::{openapi, router};
pub use problem::{ApiError, PROBLEM_JSON, ProblemKind};
pub use serve::serve;
pub use state::ApiState;
