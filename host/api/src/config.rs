//! What whoever starts the server decides.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bulkhead_core::name::Name;
use bulkhead_engine::store::Retention;

/// Limits and switches of the API.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Whether a request needs a token from the start. Making a token through the API turns it on, too. Without it everybody who
    /// reaches the server is an admin, so see [`check_bind`].
    pub require_token: bool,
    /// The version that the server tells.
    pub version: String,
    /// The largest body of a request, in bytes.
    pub body_limit: usize,
    /// The largest component that may be uploaded, in bytes.
    pub upload_limit: usize,
    /// The largest file that may be uploaded, in bytes.
    pub file_limit: u64,
    /// The names of the secrets that sign for hooks.
    pub hook_secrets: BTreeSet<Name>,
    /// How fast one client (a token, or else an address) may ask.
    pub rate: RateLimit,
    /// The most connections at once, of all clients. Each costs a file descriptor and some kilobytes.
    pub connections: usize,
    /// How long a connection may take to bring the head of its next request.
    pub head_timeout: Duration,
    /// The most streams that one client may have open at once.
    pub streams: usize,
    /// The longest that a stream stays silent: then it sends a comment.
    pub heartbeat: Duration,
    /// The longest that a request may wait for a run (`?wait=`).
    pub longest_wait: Duration,
    /// How long the engine keeps ended runs, to tell who asks.
    pub retention: Retention,
}

impl Default for ApiConfig {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            require_token: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            body_limit: MIB,
            upload_limit: 64 * MIB,
            file_limit: 4 << 30,
            hook_secrets: BTreeSet::new(),
            rate: RateLimit::default(),
            connections: 4_096,
            head_timeout: Duration::from_secs(60),
            streams: 128,
            heartbeat: Duration::from_secs(15),
            longest_wait: Duration::from_secs(60),
            retention: Retention::default(),
        }
    }
}

/// A token bucket's measures.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Requests a second, for as long as it lasts; 0 for no limit.
    pub per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
}

impl Default for RateLimit {
    /// Generous: it stops a client that loops, not one that works.
    fn default() -> Self {
        Self { per_second: 10_000, burst: 20_000 }
    }
}

/// The address must not be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, and no token exists: create one with `bulkhead token create`, \
     or listen on a loopback address such as 127.0.0.1"
)]
pub struct OpenBindError(pub SocketAddr);

/// Whether the server may listen on an address: without a token, on loopback only.
///
/// # Errors
/// [`OpenBindError`] for any other address.
pub fn check_bind(address: SocketAddr, has_tokens: bool) -> Result<(), OpenBindError> {
    if has_tokens || address.ip().to_canonical().is_loopback() { Ok(()) } else { Err(OpenBindError(address)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tokens_only_loopback_is_listened_on() {
        for (address, open) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(check_bind(address, false).is_ok(), open, "{address}");
            assert!(check_bind(address, true).is_ok());
        }
    }
}
