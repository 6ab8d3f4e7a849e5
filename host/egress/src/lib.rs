//! The way out: the adapter behind [`bulkhead_engine::egress::Egress`], with hyper and rustls.
//!
//! What is always true:
//! - A request goes where its grant says, or nowhere. Its name is checked before anything is resolved; each address that the name
//!   has is checked, and the connection goes to a checked address and to no other: nothing is resolved twice, so no answer of a
//!   name server can change between check and connection.
//! - An address that is not public is reached only where a pattern names it as an address or a network.
//! - A connection that was made under one grant serves no other grant.
//! - Everything takes a bounded time and a bounded amount of memory: names, connections, TLS, heads; bodies are streams that are
//!   read at their reader's pace, one piece ahead.
//! - Nothing is followed, stored or decoded: redirects, cookies and compressed bodies are answers like others.
//!
//! With a proxy, names are checked as ever and addresses that stand in a URL, too. What a name resolves to is the proxy's to
//! check: this host never learns it.
//!
//! Where to look: [`target`] makes sense of a URL's host; [`grant`] checks it; [`address`] tells public addresses from others;
//! [`resolve`] is the port to name servers; [`connect`] makes connections; [`turns`] says when; [`exchange`] is one request.
//!
//! Roots of trust come from the machine's own store (`rustls-native-certs`) and not from a list that is compiled in: whoever runs
//! the host decides whom it trusts, and an update of the machine is an update of the host.

mod address;
mod config;
mod connect;
mod counters;
mod error;
mod exchange;
mod grant;
mod resolve;
mod target;
mod tls;
mod turns;

pub use config::{EgressConfig, EgressConfigError, Proxy, read_certificates};
pub use exchange::HttpEgress;
pub use resolve::{Resolve, SystemResolver};
