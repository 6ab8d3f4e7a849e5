//! The check of a request against its grant: by name first, by address when it connects.

use std::net::IpAddr;

use bulkhead_core::host_pattern::HostPattern;
use bulkhead_engine::egress::{EgressError, EgressGrant};

use crate::address::not_public;
use crate::target::{Site, Target};

/// A grant, read.
#[derive(Debug)]
pub(crate) struct Grant {
    patterns: Vec<HostPattern>,
}

impl Grant {
    pub(crate) fn read(grant: &EgressGrant) -> Result<Self, EgressError> {
        let read = |pattern: &String| {
            pattern.parse().map_err(|error| EgressError::Invalid(format!("its grant has the pattern `{pattern}`: {error}")))
        };
        Ok(Self { patterns: grant.patterns.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Checks where a request wants to go. An address is not covered by a name, nor a name by its address.
    pub(crate) fn check(&self, target: &Target) -> Result<(), EgressError> {
        let covers = |pattern: &HostPattern| match &target.host {
            Site::Name(name) => pattern.covers_name(name, target.port),
            Site::Address(address) => pattern.covers_address(*address, target.port),
        };
        if self.patterns.iter().any(covers) {
            return Ok(());
        }
        let rule = if self.patterns.is_empty() {
            format!("no host is granted; `allow.http = [\"{}\"]` in the step grants it", target.pattern())
        } else {
            format!("no pattern of `allow.http` covers it; `{}` does", target.pattern())
        };
        Err(EgressError::Denied { host: target.label(), address: None, rule })
    }

    /// Checks an address that a request is about to be sent to.
    pub(crate) fn check_address(&self, target: &Target, address: IpAddr) -> Result<(), EgressError> {
        let Some(kind) = not_public(address) else { return Ok(()) };
        if self.patterns.iter().any(|pattern| pattern.covers_address(address, target.port)) {
            return Ok(());
        }
        let canonical = address.to_canonical();
        let pattern = Target { host: Site::Address(canonical), port: target.port }.pattern();
        let rule = format!(
            "its address {canonical} is not public ({kind}), and no address or network of `allow.http` covers it; `{pattern}` does"
        );
        Err(EgressError::Denied { host: target.label(), address: Some(canonical), rule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(patterns: &[&str]) -> Grant {
        Grant::read(&EgressGrant { patterns: patterns.iter().map(|&pattern| pattern.to_owned()).collect() }).unwrap()
    }

    fn target(uri: &str) -> Target {
        Target::of(&uri.parse().unwrap()).unwrap().0
    }

    #[test]
    fn a_public_address_needs_a_covered_name_only() {
        let grant = grant(&["a.test"]);
        grant.check(&target("http://a.test/")).unwrap();
        grant.check_address(&target("http://a.test/"), "93.184.216.34".parse().unwrap()).unwrap();
    }

    #[test]
    fn a_denial_says_what_would_allow_it() {
        let message = grant(&["a.test"]).check(&target("https://b.test:8443/")).unwrap_err().to_string();
        assert!(message.contains("b.test:8443 is denied") && message.contains("`b.test:8443` does"), "{message}");
        let message = grant(&[]).check(&target("https://b.test/")).unwrap_err().to_string();
        assert!(message.contains("allow.http = [\"b.test\"]"), "{message}");
        let private = "::ffff:10.0.0.7".parse().unwrap();
        let message = grant(&["a.test"]).check_address(&target("http://a.test/"), private).unwrap_err().to_string();
        assert!(message.contains("10.0.0.7 is not public (private)") && message.contains("`10.0.0.7` does"), "{message}");
    }

    #[test]
    fn a_private_address_needs_a_pattern_of_addresses() {
        let loopback = "127.0.0.1".parse().unwrap();
        let local = target("http://localhost:8080/");
        assert!(grant(&["localhost:8080"]).check_address(&local, loopback).is_err());
        assert!(grant(&["localhost:8080", "127.0.0.1"]).check_address(&local, loopback).is_err(), "another port");
        grant(&["localhost:8080", "127.0.0.0/8:8080"]).check_address(&local, loopback).unwrap();
    }
}
