//! Where a request goes: the host of its URL, made sense of as browsers do.
//!
//! `http://0x7f.1/`, `http://2130706433/` and `http://127.0.0.1/` are the same address, `http://EXAMPLE.org./` and
//! `http://example.org/` the same name. What is checked, resolved and connected to is this one form.

use std::net::IpAddr;

use bulkhead_core::host_pattern::Port;
use bulkhead_engine::egress::EgressError;
use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use url::{Host, Url};

/// A host, with the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: Site,
    pub(crate) port: Port,
}

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// In lower case, as it is on the wire, without a dot at its end.
    Name(String),
    Address(IpAddr),
}

impl Target {
    /// The target of a request, and its URI with that host in it. The path stays as it is.
    pub(crate) fn of(uri: &Uri) -> Result<(Self, Uri), EgressError> {
        let invalid = |reason: &str| EgressError::Invalid(format!("its URL {reason}"));
        let scheme = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => scheme,
            _ => return Err(invalid("is neither of http nor of https")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("has no host"))?;
        let url =
            Url::parse(&format!("{scheme}://{authority}/")).map_err(|error| invalid(&format!("has no valid host: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("holds a user or a password: send them as a header"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => Site::Name(name.strip_suffix('.').unwrap_or(name).to_owned()),
            Some(Host::Ipv4(address)) => Site::Address(address.into()),
            Some(Host::Ipv6(address)) => Site::Address(address.into()),
            None => return Err(invalid("has no host")),
        };
        if matches!(&host, Site::Name(name) if name.is_empty() || name.ends_with('.') || name.len() > 253) {
            return Err(invalid("has no valid host"));
        }
        let of_scheme = if *scheme == Scheme::HTTPS { 443 } else { 80 };
        let number = url.port().unwrap_or(of_scheme);
        if number == 0 {
            return Err(invalid("has the port 0"));
        }
        let target = Self { host, port: Port { number, of_scheme } };
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let uri = Uri::builder()
            .scheme(scheme.clone())
            .authority(target.authority())
            .path_and_query(path)
            .build()
            .map_err(|error| invalid(&format!("is none: {error}")))?;
        Ok((target, uri))
    }

    /// The host as it stands in a URL.
    pub(crate) fn host(&self) -> String {
        match &self.host {
            Site::Name(name) => name.clone(),
            Site::Address(IpAddr::V4(address)) => address.to_string(),
            Site::Address(IpAddr::V6(address)) => format!("[{address}]"),
        }
    }

    /// The host with its port, where that is not the scheme's own.
    fn authority(&self) -> String {
        let host = self.host();
        if self.port.number == self.port.of_scheme { host } else { format!("{host}:{}", self.port.number) }
    }

    /// The host with its port, for messages.
    pub(crate) fn label(&self) -> String {
        format!("{}:{}", self.host(), self.port.number)
    }

    /// The pattern that would cover it.
    pub(crate) fn pattern(&self) -> String {
        self.authority()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(uri: &str) -> String {
        Target::of(&uri.parse().unwrap()).unwrap().0.label()
    }

    #[test]
    fn one_host_has_one_form() {
        for (uri, label) in [
            ("http://EXAMPLE.org./x?y", "example.org:80"),
            ("https://example.org", "example.org:443"),
            ("http://0x7f.1:8080/", "127.0.0.1:8080"),
            ("http://2130706433/", "127.0.0.1:80"),
            ("http://0177.0.0.1/", "127.0.0.1:80"),
            ("http://127.1/", "127.0.0.1:80"),
            ("http://127.0.0.1./", "127.0.0.1:80"),
            ("http://[::FFFF:7f00:1]/", "[::ffff:127.0.0.1]:80"),
        ] {
            assert_eq!(host(uri), label, "{uri}");
        }
    }

    #[test]
    fn the_path_stays_as_it_is() {
        let (_, uri) = Target::of(&"http://A.test:80/%7e/../x?q=%20#".parse().unwrap()).unwrap();
        assert_eq!(uri.to_string(), "http://a.test/%7e/../x?q=%20");
        let (_, uri) = Target::of(&"http://a.test:81".parse().unwrap()).unwrap();
        assert_eq!(uri.to_string(), "http://a.test:81/");
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for uri in [
            "ftp://a.test/",
            "/x",
            "http://user@a.test/",
            "http://u:p@a.test/",
            "http://a.test:0/",
            "http://0x100000000/",
            "http://a../",
        ] {
            let refused = uri.parse::<Uri>().map_or(true, |uri| matches!(Target::of(&uri), Err(EgressError::Invalid(_))));
            assert!(refused, "{uri}");
        }
    }
}
