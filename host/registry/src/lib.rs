//! Plugins in registries: the adapter behind [`bulkhead_engine::registry::Registry`], and pushing for the command line.
//!
//! It speaks the OCI distribution protocol over the port to the network, as far as artifacts of one layer need it. What is always true:
//! - What comes back is proven: a manifest against the digest that was asked for, a component against its manifest.
//! - Everything is bounded: a manifest, a token and a message in bytes, a component by what an upload may have, an exchange in time,
//!   redirects in number.
//! - A registry is asked only where it is allowed. Whoever allows it by name allows its address, too; where it sends on, to a store of
//!   blobs or of tokens, must be public or allowed like a registry, over TLS, and never gets a credential but the token service that
//!   it names.
//! - Plain HTTP is for registries on this machine (`localhost`, 127.0.0.0/8, `::1`) that don't speak TLS.
//!
//! Where to look: [`client`] is what can be done, [`session`] the requests that it takes; [`access`] says who asks, [`allow`] whom may
//! be asked, [`place`] where they are.
//!
//! Not the crates `oci-client` and `oci-wasm`: they bring an HTTP client of their own, past the checks, proxy and authorities of
//! the way out; they read manifests and tokens without a bound, and follow any URL that a layer names.

mod access;
mod allow;
mod client;
mod place;
mod session;

pub use access::{Credentials, Login};
pub use allow::{Allowed, InvalidAllowed};
pub use client::{Description, RegistryClient};
