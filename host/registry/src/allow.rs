//! Whom may be asked.

use std::str::FromStr;

use bulkhead_core::oci::{InvalidReference, OciReference, SCHEME};

/// A registry, or a part of it: `ghcr.io`, `ghcr.io/acme`, `127.0.0.1:5000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    registry: Box<str>,
    /// This repository and all below it.
    repository: Option<Box<str>>,
}

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
}

impl FromStr for Allowed {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        let whole = !text.contains('/');
        let parse = |text: &str| -> Result<OciReference, InvalidReference> { format!("{SCHEME}{text}").parse() };
        let reference = if whole { parse(&format!("{text}/any")) } else { parse(text) };
        match reference {
            Ok(OciReference { registry, repository, tag: None, digest: None }) => {
                Ok(Self { registry, repository: (!whole).then_some(repository) })
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
        assert!(!covers("ghcr.io/acme", "oci://ghcr.io/acmeister/hello"));
        assert!(!covers("ghcr.io", "oci://ghcr.io:5000/acme"));
        assert!(!covers("ghcr.io", "oci://ghcr.io.evil.example/acme"));
    }

    #[test]
    fn what_names_no_registry_is_refused() {
        for text in ["", "oci://ghcr.io", "https://ghcr.io", "ghcr.io/acme:1", "GHCR.io", "ghcr.io/", "*.ghcr.io"] {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
    }
}
