//! Addresses: how the many spellings of one page become one.
//!
//! The rules, in this order. WHATWG parsing settles schemes, hosts, default ports and dot segments. Fragments and user names go.
//! Percent-encoding is normalised after RFC 3986: unreserved characters plain, hexadecimal digits in capitals. Parameters that
//! `strip_parameters` names go, and a `?` that nothing follows; other parameters keep their order, which may matter. That is the
//! address that is fetched. For the deduplication key, a file name of `index_files` at its end goes, too. A trailing slash stays
//! as it is: `/a` and `/a/` are two addresses, and a server for which they are one redirects.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use url::Url;

/// The longest key that the contract takes, in bytes.
const MAX_KEY_LEN: usize = 512;
/// Longer addresses are no links but accidents, or traps.
pub(crate) const MAX_ADDRESS_LEN: usize = 8 * 1024;

/// What makes spellings alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    strip_parameters: &'a [String],
    index_files: &'a [String],
}

/// A page's address, normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// What is fetched.
    pub(crate) url: Url,
    /// What tells it from other pages: `url`, without the name of an index file.
    pub(crate) identity: String,
}

impl Address {
    /// The deduplication key: the identity, or its SHA-256 where it is too long.
    pub(crate) fn key(&self) -> String {
        if self.identity.len() <= MAX_KEY_LEN {
            return self.identity.clone();
        }
        let mut key = String::from("sha256:");
        for byte in Sha256::digest(&self.identity) {
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// The identity from the path on where the host is the same as that of `page`, else the whole of it.
    pub(crate) fn seen_from<'a>(&'a self, page: &Url) -> &'a str {
        let origin = page[..url::Position::BeforePath].len();
        if self.url[..url::Position::BeforePath] == page[..url::Position::BeforePath] {
            return &self.identity[origin..];
        }
        &self.identity
    }
}

impl<'a> Rules<'a> {
    pub(crate) fn new(strip_parameters: &'a [String], index_files: &'a [String]) -> Self {
        Rules { strip_parameters, index_files }
    }

    /// The address of a link in a document with this base; none where it leads to no page: `mailto:`, `javascript:`, no address.
    pub(crate) fn link(&self, base: &Url, href: &str) -> Option<Address> {
        if href.len() > MAX_ADDRESS_LEN {
            return None;
        }
        self.address(base.join(href).ok()?)
    }

    /// The address of an URL; none where it is not http or https, or too long.
    pub(crate) fn address(&self, mut url: Url) -> Option<Address> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        url.set_fragment(None);
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        if let Some(host) = url.host_str().and_then(|host| host.strip_suffix('.')).map(str::to_owned) {
            url.set_host(Some(&host)).ok()?;
        }
        let path = normalise_percent(url.path());
        url.set_path(&path);
        let query = url.query().and_then(|query| self.query(query));
        url.set_query(query.as_deref());
        if url.as_str().len() > MAX_ADDRESS_LEN {
            return None;
        }
        let identity = self.identity(&url);
        Some(Address { url, identity })
    }

    fn query(&self, query: &str) -> Option<String> {
        let kept = query.split('&').filter(|pair| !pair.is_empty() && !self.strips(pair.split('=').next().unwrap_or_default()));
        let kept: Vec<_> = kept.map(normalise_percent).collect();
        (!kept.is_empty()).then(|| kept.join("&"))
    }

    fn strips(&self, name: &str) -> bool {
        self.strip_parameters.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        })
    }

    fn identity(&self, url: &Url) -> String {
        let (folder, file) = url.path().rsplit_once('/').unwrap_or(("", url.path()));
        if self.index_files.iter().any(|index| index == file) {
            let mut folder_url = url.clone();
            folder_url.set_path(&format!("{folder}/"));
            return folder_url.into();
        }
        url.as_str().to_owned()
    }
}

/// Normalises percent-encoding: what needs none is plain, the rest has capitals. A `%` that encodes nothing stays.
fn normalise_percent(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        normal.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                normal.push(byte.into());
                rest = &rest[at + 3..];
            }
            Some(byte) => {
                let _ = write!(normal, "%{byte:02X}");
                rest = &rest[at + 3..];
            }
            None => {
                normal.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    normal.push_str(rest);
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn link(base: &str, href: &str) -> Option<(String, String)> {
        let (strip, index) = (texts(&["utm_*", "gclid"]), texts(&["index.html"]));
        let rules = Rules::new(&strip, &index);
        let address = rules.link(&Url::parse(base).unwrap(), href)?;
        Some((address.url.into(), address.identity))
    }

    fn url(href: &str) -> String {
        link("http://a.org/b/c?d", href).unwrap_or_else(|| panic!("{href} is a link")).0
    }

    fn identity(href: &str) -> String {
        link("http://a.org/b/c?d", href).unwrap_or_else(|| panic!("{href} is a link")).1
    }

    #[test]
    fn spellings_of_one_page_are_one() {
        for spelling in [
            "http://a.org/x/y",
            "HTTP://A.org:80/x/y",
            "http://a.org./x/y",
            "http://me:secret@a.org/x/y",
            "/x/y#part",
            "/x/y?",
            "/x/y?&",
            "/x/./z/../y",
            "/x/%2e/y",
            "/x/z/%2E%2e/y",
            "/%78/y",
            "../x/y",
            "  /x/y\n",
            "/x/\ty",
            "\\x\\y",
            "//a.org/x/y",
            "/x/y?utm_source=a&utm_medium=b&gclid=1",
        ] {
            assert_eq!(url(spelling), "http://a.org/x/y", "{spelling}");
        }
    }

    #[test]
    fn what_may_be_another_page_stays_another() {
        for (spelling, kept) in [
            ("/x/y/", "http://a.org/x/y/"),
            ("/x//y", "http://a.org/x//y"),
            ("/X/y", "http://a.org/X/y"),
            ("https://a.org/x", "https://a.org/x"),
            ("http://a.org:8080/x", "http://a.org:8080/x"),
            ("/x?b=1&a=2&b=1", "http://a.org/x?b=1&a=2&b=1"),
            ("/x?utm=1&q=utm_source", "http://a.org/x?utm=1&q=utm_source"),
            ("/x%2fy", "http://a.org/x%2Fy"),
            ("/x%3Fy", "http://a.org/x%3Fy"),
            ("/100%", "http://a.org/100%"),
            ("/%zz%4", "http://a.org/%zz%4"),
            ("/ä b", "http://a.org/%C3%A4%20b"),
            ("?q=%c3%a4+b", "http://a.org/b/c?q=%C3%A4+b"),
            ("", "http://a.org/b/c?d"),
        ] {
            assert_eq!(url(spelling), kept, "{spelling}");
        }
    }

    #[test]
    fn an_index_file_is_its_folder_for_the_key_alone() {
        assert_eq!(identity("/x/index.html"), "http://a.org/x/");
        assert_eq!(url("/x/index.html"), "http://a.org/x/index.html");
        assert_eq!(identity("/index.html?q=1#z"), "http://a.org/?q=1");
        assert_eq!(identity("/x/my-index.html"), "http://a.org/x/my-index.html");
    }

    #[test]
    fn what_is_no_page_is_no_link() {
        for href in
            ["mailto:a@b.org", "javascript:void(0)", "data:text/html,x", "ftp://a.org/", "tel:1", "http://", "http://a b/", "//"]
        {
            assert_eq!(link("http://a.org/", href), None, "{href}");
        }
        assert_eq!(link("http://a.org/", &"x".repeat(MAX_ADDRESS_LEN + 1)), None);
    }

    #[test]
    fn normal_addresses_stay_as_they_are() {
        for href in ["/x/%2e%2E/y%2f%7e?a=%20%41#z", "/%252e", "/a;b=1/c,d'(e)!*", "?q=[1]|{2}\"<>`^"] {
            let once = url(href);
            assert_eq!(url(&once), once, "{href}");
        }
    }

    #[test]
    fn long_addresses_have_short_keys() {
        let rules = Rules::new(&[], &[]);
        let address = |path: &str| rules.address(Url::parse("http://a.org/").unwrap().join(path).unwrap()).unwrap();
        let (short, long) = (address("x"), address(&"x".repeat(600)));
        assert_eq!(short.key(), "http://a.org/x");
        assert_eq!(long.key().len(), 7 + 64);
        assert_ne!(long.key(), address(&"x".repeat(601)).key());
        assert_eq!(address(&"y".repeat(512 - 13)).key().len(), 512);
    }

    #[test]
    fn addresses_on_the_pages_own_host_are_written_without_it() {
        let rules = Rules::new(&[], &[]);
        let page = Url::parse("http://a.org:81/x/y").unwrap();
        assert_eq!(rules.link(&page, "z?q").unwrap().seen_from(&page), "/x/z?q");
        assert_eq!(rules.link(&page, "http://a.org/z").unwrap().seen_from(&page), "http://a.org/z");
    }
}
