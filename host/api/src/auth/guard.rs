//! What protects a server without tokens from the pages that a person on the same machine has open.
//!
//! A page can make the browser ask any address. So the `Host` must be a name of this machine (a page that rebinds its own name
//! to 127.0.0.1 still sends its own name), and what changes something must not come from another origin.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use crate::problem::{ApiError, ApiResult, ProblemKind};

/// Refuses what a foreign page may have sent.
pub(crate) fn check(parts: &Parts) -> ApiResult<()> {
    let host = match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => text(&parts.headers, header::HOST),
    };
    if !host.is_some_and(|host| is_loopback(without_port(host))) {
        let detail = format!(
            "this server needs no token, so it answers only to names of this machine such as localhost, not to `{}`: \
             ask it under one of those, or create a token",
            host.unwrap_or("")
        );
        return Err(ApiError::new(ProblemKind::UntrustedHost, detail));
    }
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let foreign = match text(&parts.headers, header::ORIGIN) {
        Some(origin) => origin.split_once("://").map(|(_, host)| host) != host,
        None => parts.headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none"),
    };
    if foreign {
        let detail = "this server needs no token, so a page of another site may not change anything: create a token and send it";
        return Err(ApiError::new(ProblemKind::CrossOrigin, detail));
    }
    Ok(())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

/// Whether a name or address is this machine's whatever a name server says (RFC 6761 reserves `localhost`).
fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn asked(method: &str, headers: &[(&str, &str)]) -> Option<ProblemKind> {
        let mut request = Request::builder().method(method).uri("/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0).err().map(|error| error.kind())
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in ["localhost", "localhost:7380", "LOCALHOST.", "a.localhost:1", "127.0.0.1:7380", "127.1.2.3", "[::1]:7380"] {
            assert_eq!(asked("GET", &[("host", host)]), None, "{host}");
        }
        for host in ["example.com", "localhost.example.com", "10.0.0.1", "[::2]:1", "127.0.0.1.example.com", ""] {
            assert_eq!(asked("GET", &[("host", host)]), Some(ProblemKind::UntrustedHost), "{host}");
        }
        assert_eq!(asked("GET", &[]), Some(ProblemKind::UntrustedHost));
    }

    #[test]
    fn another_origin_may_read_nothing_and_change_nothing() {
        let host = ("host", "localhost:7380");
        assert_eq!(asked("POST", &[host]), None);
        assert_eq!(asked("POST", &[host, ("origin", "http://localhost:7380")]), None);
        for origin in ["http://localhost:9", "http://evil.example", "null"] {
            assert_eq!(asked("POST", &[host, ("origin", origin)]), Some(ProblemKind::CrossOrigin), "{origin}");
        }
        assert_eq!(asked("DELETE", &[host, ("sec-fetch-site", "cross-site")]), Some(ProblemKind::CrossOrigin));
        assert_eq!(asked("DELETE", &[host, ("sec-fetch-site", "same-origin")]), None);
    }
}
