//! Host patterns: what `allow.http` grants, one host, name space or network each.
//!
//! Names and addresses are apart. A pattern of a name covers that name and says nothing of the address behind it; a pattern of an
//! address or a network covers addresses, whatever name led there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Where requests may go: `docs.example.org`, `*.example.org:8080`, `127.0.0.1:8080`, `[::1]:*`, `10.0.0.0/8`, `[fd00::/8]:443`.
///
/// Without a port it covers the scheme's own, 80 for `http` and 443 for `https`; `:*` covers every port. `*.example.org` covers
/// names at any depth below `example.org`, and not `example.org` itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    hosts: Hosts,
    ports: Ports,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Hosts {
    /// This name.
    Name(Box<str>),
    /// All names below this one.
    Below(Box<str>),
    /// All addresses that begin with the same `prefix` bits.
    Network { address: IpAddr, prefix: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ports {
    /// The scheme's own.
    Default,
    /// This one.
    One(u16),
    /// Every one.
    Any,
}

/// Why a text is no host pattern, as what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostPatternError(pub String);

/// Where a request goes: a port, and the one that its scheme has by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The port.
    pub number: u16,
    /// The scheme's own port.
    pub of_scheme: u16,
}

impl HostPattern {
    /// Whether it covers a name: in lower case, without a dot at its end.
    pub fn covers_name(&self, name: &str, port: Port) -> bool {
        let covered = match &self.hosts {
            Hosts::Name(own) => **own == *name,
            Hosts::Below(parent) => name.strip_suffix(&**parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Hosts::Network { .. } => false,
        };
        covered && self.covers_port(port)
    }

    /// Whether it covers an address. An IPv4 address that is mapped into IPv6 counts as what it is.
    pub fn covers_address(&self, address: IpAddr, port: Port) -> bool {
        let covered = match (&self.hosts, address.to_canonical()) {
            (&Hosts::Network { address: IpAddr::V4(own), prefix }, IpAddr::V4(address)) => {
                masked(own.to_bits().into(), 32, prefix) == masked(address.to_bits().into(), 32, prefix)
            }
            (&Hosts::Network { address: IpAddr::V6(own), prefix }, IpAddr::V6(address)) => {
                masked(own.to_bits(), 128, prefix) == masked(address.to_bits(), 128, prefix)
            }
            _ => false,
        };
        covered && self.covers_port(port)
    }

    fn covers_port(&self, port: Port) -> bool {
        match self.ports {
            Ports::Default => port.number == port.of_scheme,
            Ports::One(own) => port.number == own,
            Ports::Any => true,
        }
    }
}

/// The first `prefix` of the `width` low bits of a number.
fn masked(bits: u128, width: u8, prefix: u8) -> u128 {
    bits.checked_shr(u32::from(width.saturating_sub(prefix))).unwrap_or(0)
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let pattern = text.to_lowercase();
        if let Some((_, rest)) = pattern.split_once("://") {
            let host = rest.split('/').next().unwrap_or_default();
            return Err(host.parse::<Self>().map_or_else(|_| help(), |host| did_you_mean(&host)));
        }
        let (host, port) = match pattern.rsplit_once(':') {
            // An IPv6 address stands in brackets, and its colons are its own.
            Some((host, port)) if !port.ends_with(']') && (!host.contains(':') || host.ends_with(']')) => (host, Some(port)),
            _ => (pattern.as_str(), None),
        };
        let ports = port.map_or(Ok(Ports::Default), ports)?;
        Ok(Self { hosts: hosts(host, ports)?, ports })
    }
}

fn ports(text: &str) -> Result<Ports, HostPatternError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        _ if text == "*" => Ok(Ports::Any),
        Ok(port) if digits && port > 0 => Ok(Ports::One(port)),
        _ => Err(HostPatternError("a port is a number from 1 to 65535, or `*` for every one".to_owned())),
    }
}

fn hosts(host: &str, ports: Ports) -> Result<Hosts, HostPatternError> {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return network::<Ipv6Addr>(inner, 128, ports);
    }
    // Without brackets it is an IPv6 address all the same, and nothing else has two colons.
    if host.contains(':') {
        return Err(format!("[{host}]").parse::<HostPattern>().map_or_else(|_| help(), |meant| did_you_mean(&meant)));
    }
    if host.contains('/') || looks_numeric(host) {
        return network::<Ipv4Addr>(host, 32, ports);
    }
    let (name, below) = host.strip_prefix("*.").map_or((host, false), |name| (name, true));
    if !name.is_ascii() {
        let message = "write an international name as it is on the wire, like `xn--bcher-kva.example`";
        return Err(HostPatternError(message.to_owned()));
    }
    if !is_name(name) {
        return Err(help());
    }
    Ok(if below { Hosts::Below(name.into()) } else { Hosts::Name(name.into()) })
}

/// An address, or a network as an address, a slash and the length of its prefix.
fn network<A: FromStr + Into<IpAddr>>(text: &str, width: u8, ports: Ports) -> Result<Hosts, HostPatternError> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse::<A>().map_err(|_| help())?.into();
    let prefix = match prefix.map(str::parse::<u8>) {
        None => width,
        Some(Ok(prefix)) if prefix <= width => prefix,
        Some(_) => return Err(HostPatternError(format!("the prefix of such a network has 0 to {width} bits"))),
    };
    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        let meant = HostPattern { hosts: Hosts::Network { address: v4.into(), prefix: prefix.saturating_sub(96) }, ports };
        return Err(did_you_mean(&meant));
    }
    let start = match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0) & v4.to_bits()).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0) & v6.to_bits()).into(),
    };
    let hosts = Hosts::Network { address: start, prefix };
    if start == address { Ok(hosts) } else { Err(did_you_mean(&HostPattern { hosts, ports })) }
}

/// Whether a host ends in a number, so that it can only be an IPv4 address (WHATWG URL, "ends in a number").
fn looks_numeric(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hex || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a text is a host's name: labels of letters, digits and inner hyphens.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn help() -> HostPatternError {
    let message = "name a host, like `api.example.com`, `*.example.com` or `localhost:8080`, an address, like `127.0.0.1:8080` or \
                   `[::1]`, or a network, like `10.0.0.0/8`";
    HostPatternError(message.to_owned())
}

fn did_you_mean(pattern: &HostPattern) -> HostPatternError {
    HostPatternError(format!("did you mean `{pattern}`?"))
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::Name(name) => f.write_str(name)?,
            Hosts::Below(name) => write!(f, "*.{name}")?,
            Hosts::Network { address: IpAddr::V4(address), prefix: 32 } => write!(f, "{address}")?,
            Hosts::Network { address: IpAddr::V4(address), prefix } => write!(f, "{address}/{prefix}")?,
            Hosts::Network { address: IpAddr::V6(address), prefix: 128 } => write!(f, "[{address}]")?,
            Hosts::Network { address: IpAddr::V6(address), prefix } => write!(f, "[{address}/{prefix}]")?,
        }
        match self.ports {
            Ports::Default => Ok(()),
            Ports::One(port) => write!(f, ":{port}"),
            Ports::Any => f.write_str(":*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: Port = Port { number: 80, of_scheme: 80 };
    const ODD: Port = Port { number: 8080, of_scheme: 80 };

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn help_of(text: &str) -> String {
        text.parse::<HostPattern>().map_or_else(|error| error.0, |pattern| panic!("{text} is {pattern}"))
    }

    #[test]
    fn a_pattern_is_printed_as_it_is_written() {
        for text in
            ["a.example.org", "*.example.org:8080", "localhost:*", "127.0.0.1", "[::1]:80", "10.0.0.0/8:81", "[fd00::/8]:*"]
        {
            assert_eq!(pattern(text).to_string(), text);
        }
        assert_eq!(pattern("Docs.Example.ORG:80").to_string(), "docs.example.org:80");
    }

    #[test]
    fn names_cover_themselves_or_what_is_below() {
        assert!(pattern("example.org").covers_name("example.org", HTTP));
        assert!(!pattern("example.org").covers_name("www.example.org", HTTP));
        assert!(pattern("*.example.org").covers_name("a.b.example.org", HTTP));
        for outside in ["example.org", ".example.org", "badexample.org", "example.org.evil.net"] {
            assert!(!pattern("*.example.org").covers_name(outside, HTTP), "{outside}");
        }
        assert!(!pattern("10.0.0.1").covers_name("10.0.0.1", HTTP));
    }

    #[test]
    fn ports_are_the_schemes_own_unless_told() {
        for (text, http, odd) in [("a.b", true, false), ("a.b:8080", false, true), ("a.b:*", true, true)] {
            assert_eq!((pattern(text).covers_name("a.b", HTTP), pattern(text).covers_name("a.b", ODD)), (http, odd), "{text}");
        }
    }

    #[test]
    fn networks_cover_addresses_by_their_prefix() {
        let covers = |text: &str, address: &str| pattern(text).covers_address(address.parse().unwrap(), HTTP);
        for (text, address) in [
            ("10.0.0.0/8", "10.255.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3"),
            ("127.0.0.1", "127.0.0.1"),
            ("0.0.0.0/0", "8.8.8.8"),
            ("[::/0]", "2606:4700::1"),
            ("[fd00::/8]", "fdff::1"),
        ] {
            assert!(covers(text, address), "{text} {address}");
        }
        for (text, address) in
            [("10.0.0.0/8", "11.0.0.1"), ("127.0.0.1", "127.0.0.2"), ("0.0.0.0/0", "::1"), ("[::/0]", "127.0.0.1")]
        {
            assert!(!covers(text, address), "{text} {address}");
        }
        assert!(!pattern("localhost").covers_address("127.0.0.1".parse().unwrap(), HTTP));
    }

    #[test]
    fn what_is_meant_is_proposed() {
        for (text, meant) in [
            ("https://x.org/a", "`x.org`"),
            ("10.1.2.3/8", "`10.0.0.0/8`"),
            ("::1", "`[::1]`"),
            ("fd00::/8", "`[fd00::/8]`"),
            ("[::ffff:10.0.0.1]:80", "`10.0.0.1:80`"),
        ] {
            assert_eq!(help_of(text), format!("did you mean {meant}?"));
        }
        assert!(help_of("bücher.example").contains("xn--"));
        for text in ["a:0", "a:x", "a:+1", "a:"] {
            assert!(help_of(text).starts_with("a port"), "{text}");
        }
        for text in [
            "",
            "*",
            "*.",
            "a..b",
            "-a",
            "0x7f.1",
            "127.1",
            "2130706433",
            "a@b",
            "[::1%eth0]",
            "10.0.0.0/33",
            "*.10.0.0.1",
            "a.b.",
        ] {
            assert!(!help_of(text).is_empty());
        }
    }
}
