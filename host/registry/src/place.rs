//! Where a registry answers, and where it may send on to.

use std::net::{Ipv4Addr, Ipv6Addr};

use bulkhead_core::oci::DOCKER;
use bulkhead_engine::egress::EgressGrant;
use url::{Host, Url};

/// Where Docker's registry answers.
const DOCKER_HOST: &str = "registry-1.docker.io";

/// The root of a registry's API, over TLS.
pub(crate) fn root(registry: &str) -> Result<Url, url::ParseError> {
    let host = if registry == DOCKER { DOCKER_HOST } else { registry };
    Url::parse(&format!("https://{host}/v2/"))
}

/// The same without TLS, for registries on this machine: few have a certificate.
pub(crate) fn plain(root: &Url) -> Option<Url> {
    let here = match root.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => Ipv4Addr::is_loopback(&address),
        Host::Ipv6(address) => address == Ipv6Addr::LOCALHOST,
    };
    let plain = root.as_str().replacen("https", "http", 1);
    here.then(|| Url::parse(&plain).ok()).flatten()
}

/// Leave for a URL: at whatever address it is, where it is `trusted`, and else at public ones only.
pub(crate) fn grant(url: &Url, trusted: bool) -> EgressGrant {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let name = format!("{host}:{port}");
    let patterns = match url.host() {
        _ if trusted => vec![name, format!("0.0.0.0/0:{port}"), format!("[::/0]:{port}")],
        Some(Host::Domain(_)) => vec![name],
        // A pattern of an address would grant it, whatever lies there.
        _ => Vec::new(),
    };
    EgressGrant { patterns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_answers_over_tls_at_its_name_and_dockers_elsewhere() {
        for (registry, url) in [
            ("ghcr.io", "https://ghcr.io/v2/"),
            ("registry.example:5000", "https://registry.example:5000/v2/"),
            ("docker.io", "https://registry-1.docker.io/v2/"),
            ("[::1]:5000", "https://[::1]:5000/v2/"),
        ] {
            assert_eq!(root(registry).unwrap().as_str(), url);
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        let plain = |registry: &str| plain(&root(registry).unwrap()).map(String::from);
        assert_eq!(plain("localhost:5000").as_deref(), Some("http://localhost:5000/v2/"));
        assert_eq!(plain("127.1.2.3:5000").as_deref(), Some("http://127.1.2.3:5000/v2/"));
        assert_eq!(plain("[::1]:5000").as_deref(), Some("http://[::1]:5000/v2/"));
        // What has no port is asked where plain HTTP is spoken.
        assert_eq!(plain("localhost").as_deref(), Some("http://localhost/v2/"));
        for registry in ["ghcr.io", "docker.io", "10.0.0.1:5000", "localhost.example", "[::2]:5000"] {
            assert_eq!(plain(registry), None, "{registry}");
        }
    }
}
