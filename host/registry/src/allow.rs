//! Whom may be asked.

use std::str::FromStr;

use bulkhead_core::oci::{OciReference, SCHEME};
use url::Url;

/// A registry, or a part of it: `ghcr.io`, `ghcr.io/acme`, `127.0.0.1:5000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    registry: Box<str>,
    /// This repository and all below it.
    repository: Option<Box<str>>,
}

/// Some repository.
const ANY: &str = "any";

/// A text names no registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no registry; write one like `ghcr.io`, `ghcr.io/acme` or `127.0.0.1:5000`")]
pub struct InvalidAllowed(String);

impl Allowed {
    /// Whether it covers an artifact.
    pub fn covers(&self, reference: &OciReference) -> bool {
        self.registry == reference.registry
            && self.repository.as_ref().is_none_or(|own| {
                let rest = reference.repository.strip_prefix(&**own);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }

    /// Whether a URL is of this registry's host and port, over TLS. So a name that is allowed is a host that is trusted, where another
    /// registry sends on to it, too.
    pub(crate) fn is_at(&self, url: &Url) -> bool {
        Url::parse(&format!("https://{}", self.registry)).is_ok_and(|own| same_origin(&own, url))
    }
}

/// Whether two URLs have scheme, host and port in common.
pub(crate) fn same_origin(url: &Url, other: &Url) -> bool {
    url.scheme() == other.scheme() && url.host() == other.host() && url.port_or_known_default() == other.port_or_known_default()
}

impl FromStr for Allowed {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        // Read as what is below it: on Docker's registry `acme` is a repository below `library`, and `acme/any` is not.
        match format!("{SCHEME}{text}/{ANY}").parse() {
            Ok(OciReference { registry, repository, tag: None, digest: None }) => {
                let repository = text.contains('/').then(|| repository.trim_end_matches(ANY).trim_end_matches('/').into());
                Ok(Self { registry, repository })
            }
            _ => Err(InvalidAllowed(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(allowed: &str, reference: &str) -> bool {
        allowed.parse::<Allowed>().unwrap().covers(&reference.parse().unwrap())
    }

    #[test]
    fn a_registry_or_what_is_below_a_repository_is_covered() {
        assert!(covers("ghcr.io", "oci://ghcr.io/acme/hello"));
        assert!(covers("ghcr.io/acme", "oci://ghcr.io/acme/hello:1"));
        assert!(covers("ghcr.io/acme", "oci://ghcr.io/acme"));
        assert!(covers("127.0.0.1:5000", "oci://127.0.0.1:5000/x"));
        assert!(covers("ghcr.io/acme/many", "oci://ghcr.io/acme/many/hello"));
        assert!(!covers("ghcr.io/acme/many", "oci://ghcr.io/acme/m"));
        assert!(!covers("ghcr.io/acme", "oci://ghcr.io/acmeister/hello"));
        assert!(!covers("ghcr.io", "oci://ghcr.io:5000/acme"));
        assert!(!covers("ghcr.io", "oci://ghcr.io.evil.example/acme"));
    }

    #[test]
    fn dockers_registry_is_covered_by_what_people_call_it() {
        for (allowed, reference) in [
            ("docker.io", "oci://docker.io/acme/noop"),
            ("docker.io", "oci://docker.io/noop"),
            ("index.docker.io", "oci://docker.io/acme/noop"),
            ("docker.io/acme", "oci://index.docker.io/acme/noop"),
            ("docker.io/library", "oci://docker.io/noop"),
        ] {
            assert!(covers(allowed, reference), "{allowed} {reference}");
        }
        assert!(!covers("docker.io/noop", "oci://docker.io/noop"), "it lies in library");
    }

    #[test]
    fn a_url_is_at_a_registry_by_host_and_port_over_tls() {
        let at = |allowed: &str, url: &str| allowed.parse::<Allowed>().unwrap().is_at(&url.parse().unwrap());
        assert!(at("auth.example", "https://auth.example/token") && at("auth.example/x", "https://auth.example:443/token"));
        assert!(at("10.0.0.7:8443", "https://10.0.0.7:8443/token"));
        for url in ["http://auth.example/token", "https://auth.example:8443/", "https://auth.example.evil.example/"] {
            assert!(!at("auth.example", url), "{url}");
        }
    }

    #[test]
    fn what_names_no_registry_is_refused() {
        for text in ["", "oci://ghcr.io", "https://ghcr.io", "ghcr.io/acme:1", "GHCR.io", "ghcr.io/", "*.ghcr.io"] {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
    }
}
