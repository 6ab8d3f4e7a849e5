//! The port to the network: every byte that leaves for a plugin, or for a hook, passes here.
//!
//! Whoever implements it checks each request against its [`EgressGrant`] by name and, when it connects, by the resolved address.
//! Redirects are answers like any other: the caller follows them with a new request, which is checked like the first.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;

/// The body of a request or of an answer: a stream, read at its reader's pace.
pub type EgressBody = UnsyncBoxBody<Bytes, EgressError>;

/// Sends HTTP requests. Object-safe; share it as `Arc<dyn Egress>`.
pub trait Egress: Send + Sync + 'static {
    /// Sends one request and returns the answer's head, its body still to be read. Dropping the future or the body ends the
    /// exchange.
    ///
    /// # Errors
    /// Why there is no answer; see [`EgressError`].
    fn send(&self, request: EgressRequest) -> BoxFuture<'static, Result<Response<EgressBody>, EgressError>>;

    /// What passed so far.
    fn statistics(&self) -> EgressStatistics;
}

/// A request with what its sender may do.
#[derive(Debug)]
pub struct EgressRequest {
    /// The request, its URI absolute: `http` or `https`, a host and perhaps a port.
    pub request: Request<EgressBody>,
    /// Where it may go.
    pub grant: Arc<EgressGrant>,
    /// How long it may take.
    pub timeouts: EgressTimeouts,
}

/// Where requests may go. Nothing is allowed that is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EgressGrant {
    /// The patterns of `allow.http`, each a [`HostPattern`](bulkhead_core::host_pattern::HostPattern): a name, an address or a
    /// network. Addresses that are not public (loopback, private, link-local, metadata, …) need a pattern that names them as an
    /// address or a network, whatever name was asked for.
    pub patterns: Vec<String>,
}

/// How long the parts of an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressTimeouts {
    /// Until the connection stands: name, address and TLS.
    pub connect: Duration,
    /// From the sent request to the answer's head.
    pub first_byte: Duration,
    /// Between two pieces of the answer's body.
    pub between_bytes: Duration,
}

impl Default for EgressTimeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), first_byte: Duration::from_secs(30), between_bytes: Duration::from_secs(30) }
    }
}

/// What an exchange was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A turn: the host is asked by as many as may ask it at once, or as often.
    Turn,
    /// The name's addresses, the connection or its TLS: [`EgressTimeouts::connect`].
    Connection,
    /// The answer's head: [`EgressTimeouts::first_byte`].
    Answer,
    /// More of the answer's body: [`EgressTimeouts::between_bytes`].
    Body,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Turn => "a turn",
            Self::Connection => "the connection",
            Self::Answer => "the answer",
            Self::Body => "more of the answer's body",
        })
    }
}

/// Why an exchange did not happen or ended early.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EgressError {
    /// The grant does not cover it.
    #[error("the host {host} is denied: {rule}")]
    Denied {
        /// The host that was asked for, with its port.
        host: String,
        /// The address it resolved to, where it is the address that is denied.
        address: Option<IpAddr>,
        /// The rule, and what to add to allow it.
        rule: String,
    },
    /// The request is no request: its URI, a header or its size.
    #[error("the request is not acceptable: {0}")]
    Invalid(String),
    /// The name has no address.
    #[error("the name {0} can't be resolved")]
    Unresolved(String),
    /// No connection came about.
    #[error("no connection to {host}: {reason}")]
    Connect {
        /// The host that was asked for, with its port.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The host could not show that it is who it should be, or spoke no TLS that can be spoken here.
    #[error("no TLS with {host}: {reason}")]
    Tls {
        /// The host that was asked for, with its port.
        host: String,
        /// What happened.
        reason: String,
        /// Whether its certificate was refused.
        certificate: bool,
    },
    /// A time-out passed.
    #[error("time-out while waiting for {0}")]
    TimedOut(Wait),
    /// More requests wait than may, or more connections are open.
    #[error("too much at once: {0}")]
    Busy(String),
    /// The answer's head is larger than what is read of one.
    #[error("the answer's head is too large")]
    HeadTooLarge,
    /// The connection ended before the answer did.
    #[error("the connection ended in the middle of the answer: {0}")]
    Incomplete(String),
    /// What came is no HTTP, or the connection broke.
    #[error("the exchange broke: {0}")]
    Protocol(String),
    /// A bound that the sender set to its own bodies.
    #[error("{0}")]
    Limit(String),
}

/// What passed so far, since the start. Bytes are those of bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EgressStatistics {
    /// Requests that were answered: a head came.
    pub answered: u64,
    /// Requests that a grant did not cover.
    pub denied: u64,
    /// Requests that got no answer for another reason.
    pub failed: u64,
    /// Requests under way: they wait for an answer, or it is being read.
    pub in_flight: u64,
    /// Requests that wait for a turn.
    pub waiting: u64,
    /// Connections that were made.
    pub connections_made: u64,
    /// Connections that are open, idle ones included.
    pub connections_open: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
}
