//! References to plugins in registries: `oci://registry.example/team/hello:1.2@sha256:…`.

use std::fmt;
use std::str::FromStr;

use crate::id::Digest;

/// What a reference begins with, in definitions and on the command line.
pub const SCHEME: &str = "oci://";

/// Docker's registry, as references call it.
pub const DOCKER: &str = "docker.io";
/// What Docker called its registry before, and what its login still does.
const DOCKER_BEFORE: &str = "index.docker.io";
/// Where a repository of Docker's registry lies that is named without a namespace.
const DOCKER_LIBRARY: &str = "library";

/// The longest registry and repository, in bytes together; the bound of the OCI distribution specification.
const MAX_NAME_LEN: usize = 255;
/// The longest tag, in bytes.
const MAX_TAG_LEN: usize = 128;

/// An artifact in a registry, by tag or pinned by the digest of its manifest. Of Docker's registry it is read as Docker reads it:
/// `docker.io/noop` is `docker.io/library/noop`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OciReference {
    /// The registry's host, with its port where it is not the scheme's own.
    pub registry: Box<str>,
    /// The repository: path components, divided by `/`.
    pub repository: Box<str>,
    /// The tag, which may mean something else tomorrow.
    pub tag: Option<Box<str>>,
    /// The SHA-256 of the manifest: what the reference is pinned to.
    pub digest: Option<Digest>,
}

/// A text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no reference to a registry: {reason}; write it like `oci://registry.example/team/hello@sha256:…`")]
pub struct InvalidReference {
    text: String,
    reason: &'static str,
}

impl InvalidReference {
    /// What is wrong with it.
    pub const fn reason(&self) -> &'static str {
        self.reason
    }
}

impl OciReference {
    /// The same artifact, pinned to the digest of its manifest, whatever its tag means later.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The last part of the repository: what the artifact is called.
    pub fn title(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for OciReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = |reason| InvalidReference { text: text.chars().take(300).collect(), reason };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| invalid("it does not begin with `oci://`"))?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|_| invalid("after `@` stands no `sha256:` with 64 hexadecimal digits"))?;
                (rest, Some(digest))
            }
            None => (rest, None),
        };
        let (registry, path) = rest.split_once('/').ok_or_else(|| invalid("it lacks a repository"))?;
        let (repository, tag) = path.split_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
        if !is_registry(registry) {
            return Err(invalid("its registry is no host in lower case, perhaps with a port"));
        }
        if !repository.split('/').all(is_component) || registry.len() + repository.len() > MAX_NAME_LEN {
            return Err(invalid("its repository has other characters than a-z, 0-9 and single `.`, `_` and `-` between them"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid("its tag has other characters than letters, digits, `_`, `.` and `-`"));
        }
        let registry = if registry == DOCKER_BEFORE { DOCKER } else { registry };
        let repository = match registry == DOCKER && !repository.contains('/') {
            true => format!("{DOCKER_LIBRARY}/{repository}").into(),
            false => repository.into(),
        };
        Ok(Self { registry: registry.into(), repository, tag: tag.map(Into::into), digest })
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// A host as it stands in a URL, perhaps with a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let named = |host: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        host.split('.').all(|label| !label.is_empty() && label.bytes().all(plain))
    };
    let address = |inner: &str| inner.parse::<std::net::Ipv6Addr>().is_ok();
    let host_is_one = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map_or_else(|| named(host), address);
    host_is_one
        && port
            .is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, a component of a repository as the specification has it.
fn is_component(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    let separator = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-');
    let inner = text.trim_matches(plain);
    let ends = text.starts_with(plain) && text.ends_with(plain);
    ends && inner.split(plain).all(separator)
}

fn is_tag(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    (1..=MAX_TAG_LEN).contains(&bytes.len())
        && plain(bytes[0])
        && bytes.iter().all(|&byte| plain(byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_reference_is_read_back_as_it_is_shown() {
        for text in [
            "oci://ghcr.io/acme/hello",
            "oci://ghcr.io/acme/hello:1.2.0-rc.1",
            &format!("oci://127.0.0.1:5000/hello@{DIGEST}"),
            &format!("oci://[::1]:5000/a__b/c---d/e.f_g:latest@{DIGEST}"),
            "oci://localhost/x",
        ] {
            let reference: OciReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn a_pinned_reference_has_a_digest_and_no_tag() {
        let reference: OciReference = "oci://ghcr.io/acme/hello:1".parse().unwrap();
        assert_eq!(reference.title(), "hello");
        assert_eq!(reference.pinned(DIGEST.parse().unwrap()).to_string(), format!("oci://ghcr.io/acme/hello@{DIGEST}"));
    }

    #[test]
    fn dockers_registry_has_one_name_and_a_library() {
        for (text, whole) in [
            ("oci://docker.io/noop:1", "oci://docker.io/library/noop:1"),
            ("oci://index.docker.io/noop", "oci://docker.io/library/noop"),
            ("oci://docker.io/acme/noop", "oci://docker.io/acme/noop"),
            ("oci://index.docker.io/acme/noop", "oci://docker.io/acme/noop"),
            ("oci://registry.example/noop", "oci://registry.example/noop"),
        ] {
            assert_eq!(text.parse::<OciReference>().unwrap().to_string(), whole);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "ghcr.io/acme/hello",
            "oci://ghcr.io",
            "oci://ghcr.io/",
            "oci:///hello",
            "oci://GHCR.io/hello",
            "oci://ghcr.io:0/hello",
            "oci://ghcr.io:99999/hello",
            "oci://user@ghcr.io/hello",
            "oci://ghcr.io/Hello",
            "oci://ghcr.io/a//b",
            "oci://ghcr.io/a/../b",
            "oci://ghcr.io/a._b",
            "oci://ghcr.io/a___b",
            "oci://ghcr.io/-a",
            "oci://ghcr.io/a b",
            "oci://ghcr.io/a?x=1",
            "oci://ghcr.io/a:",
            "oci://ghcr.io/a:.x",
            "oci://ghcr.io/a:x:y",
            "oci://ghcr.io/a@sha256:12",
            "oci://ghcr.io/a@md5:12",
        ] {
            assert!(text.parse::<OciReference>().is_err(), "{text}");
        }
        let long = format!("oci://ghcr.io/{}", "a".repeat(250));
        assert!(long.parse::<OciReference>().is_err());
    }
}
