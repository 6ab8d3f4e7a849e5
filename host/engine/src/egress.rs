//! The port to the network: every byte that leaves for a plugin, or for a hook, passes here.
//!
//! Whoever implements it checks each request against its [`EgressGrant`] by name and, when it connects, by the resolved address.
//! Redirects are answers like any other: the caller follows them with a new request, which is checked like the first.

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
    /// The patterns of `allow.http`: `docs.example.org`, `*.example.org:8080`, an address (`127.0.0.1:8080`, `[::1]`) or a network
    /// (`10.0.0.0/8`). Addresses that are not public (loopback, private, link-local, metadata, …) need a pattern that names them
    /// as an address or a network, whatever name was asked for.
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
    /// No connection came about, or its TLS did not.
    #[error("no connection to {host}: {reason}")]
    Connect {
        /// The host that was asked for, with its port.
        host: String,
        /// What happened.
        reason: String,
    },
    /// One of the [`EgressTimeouts`] passed; which.
    #[error("time-out while waiting for {0}")]
    TimedOut(&'static str),
    /// What came is no HTTP, or the connection broke.
    #[error("the exchange broke: {0}")]
    Protocol(String),
}
