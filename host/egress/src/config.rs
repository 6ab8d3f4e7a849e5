//! What the way out is configured with.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// How requests leave.
#[derive(Debug)]
pub struct EgressConfig {
    /// Requests at once to one host, whoever sends them: until their answers are read. More wait in the order in which they came.
    pub per_host: NonZeroUsize,
    /// Requests that start in a second to one host, whoever sends them; no bound of its own where absent.
    pub rate: Option<NonZeroUsize>,
    /// Connections at once, idle ones included.
    pub connections: NonZeroUsize,
    /// How long a connection is kept that nobody uses.
    pub idle: Duration,
    /// How long a request may wait for its turn.
    pub turn: Duration,
    /// Trust what the machine trusts.
    pub native_roots: bool,
    /// Authorities that are trusted beside; see [`read_certificates`].
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// The proxy that requests go through.
    pub proxy: Option<Proxy>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            per_host: NonZeroUsize::new(16).expect("16 is not zero"),
            rate: None,
            connections: NonZeroUsize::new(512).expect("512 is not zero"),
            idle: Duration::from_secs(15),
            turn: Duration::from_secs(300),
            native_roots: true,
            extra_roots: Vec::new(),
            proxy: None,
        }
    }
}

/// Why something can't be configured so.
#[derive(Debug, thiserror::Error)]
pub enum EgressConfigError {
    /// The proxy's URL is none.
    #[error("`{0}` is no URL of an HTTP proxy; write one like `http://proxy.example:3128`")]
    Proxy(String),
    /// The file has no certificates that can be read.
    #[error("no certificates in PEM format can be read from {file}: {reason}")]
    Certificates {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// rustls accepts no such configuration.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// An HTTP proxy: requests over TLS go through it with CONNECT, plain ones are asked of it.
#[derive(Debug)]
pub struct Proxy {
    matcher: Matcher,
}

impl Proxy {
    /// The proxy at a URL, perhaps with a user and a password, for all hosts but those in `exceptions`: names with what is below
    /// them, addresses and networks, divided by commas, as `NO_PROXY` has them.
    ///
    /// # Errors
    /// [`EgressConfigError::Proxy`]
    pub fn new(url: &str, exceptions: &str) -> Result<Self, EgressConfigError> {
        let invalid = || EgressConfigError::Proxy(url.to_owned());
        let is_http = url.split_once("://").is_none_or(|(scheme, _)| scheme.eq_ignore_ascii_case("http"));
        // Exceptions must not hide from this check that there is a proxy.
        let probe = Matcher::builder().all(url).build().intercept(&Uri::from_static("http://proxied.example"));
        if !is_http || probe.is_none() {
            return Err(invalid());
        }
        Ok(Self { matcher: Matcher::builder().all(url).no(exceptions).build() })
    }

    /// The proxy for a request, if it takes one.
    pub(crate) fn intercept(&self, target: &Uri) -> Option<Via> {
        let intercept = self.matcher.intercept(target)?;
        Some(Via { uri: intercept.uri().clone(), authorization: intercept.basic_auth().cloned() })
    }
}

/// The way through a proxy.
pub(crate) struct Via {
    pub(crate) uri: Uri,
    pub(crate) authorization: Option<HeaderValue>,
}

/// Reads certificates of authorities from a file in PEM format.
///
/// # Errors
/// [`EgressConfigError::Certificates`], also where there are none.
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, EgressConfigError> {
    let unreadable = |reason: String| EgressConfigError::Certificates { file: file.to_owned(), reason };
    let found = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))?;
    let certificates = found.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(error.to_string()))?;
    if certificates.is_empty() { Err(unreadable("there is none".to_owned())) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_serves_all_but_the_exceptions() {
        let proxy = Proxy::new("http://user:word@proxy.test:3128", "internal.test, 10.0.0.0/8").unwrap();
        let via = proxy.intercept(&Uri::from_static("https://docs.test/")).unwrap();
        assert_eq!((via.uri.host(), via.uri.port_u16()), (Some("proxy.test"), Some(3128)));
        assert!(via.authorization.is_some());
        for direct in ["http://internal.test/", "http://a.internal.test/", "http://10.1.2.3/"] {
            assert!(proxy.intercept(&direct.parse().unwrap()).is_none(), "{direct}");
        }
    }

    #[test]
    fn what_is_no_http_proxy_is_refused() {
        for url in ["", "socks5://proxy.test", "https://proxy.test", "http://"] {
            assert!(Proxy::new(url, "").is_err(), "{url}");
        }
        assert!(Proxy::new("http://proxy.test:3128", "*").is_ok());
    }
}
