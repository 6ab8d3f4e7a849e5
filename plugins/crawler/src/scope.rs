//! Which addresses belong to a crawl.

use std::collections::HashSet;

use url::Url;
use wildmatch::WildMatchPattern;

use crate::address::Address;

/// `*` is any characters. Nothing stands for a single one: `?` is part of many addresses.
type Pattern = WildMatchPattern<'*', '\0'>;

/// Which addresses belong to a crawl.
pub(crate) struct Scope {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    /// Host and port of each start address, for want of `include`.
    hosts: HashSet<String>,
}

impl Scope {
    pub(crate) fn new(include: &[String], exclude: &[String], starts: &[Address]) -> Self {
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        Scope {
            include: patterns(include),
            exclude: patterns(exclude),
            hosts: starts.iter().map(|start| host_of(&start.url)).collect(),
        }
    }

    /// Whether an address belongs to the crawl.
    pub(crate) fn admits(&self, url: &Url) -> bool {
        let is_in = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(url.as_str()));
        let included = if self.include.is_empty() { self.hosts.contains(&host_of(url)) } else { is_in(&self.include) };
        included && !is_in(&self.exclude)
    }
}

/// Host and port; the port only where it is not the scheme's. A host's http and https are one.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Rules;

    fn admits(include: &[&str], exclude: &[&str], url: &str) -> bool {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let start = Rules::new(&[], &[]).address(Url::parse("http://docs.org:81/std/").unwrap()).unwrap();
        Scope::new(&texts(include), &texts(exclude), &[start]).admits(&Url::parse(url).unwrap())
    }

    #[test]
    fn without_patterns_the_start_addresses_hosts_are_the_scope() {
        assert!(admits(&[], &[], "http://docs.org:81/other"));
        assert!(admits(&[], &[], "https://docs.org:81/other"));
        assert!(!admits(&[], &[], "http://docs.org/other"));
        assert!(!admits(&[], &[], "http://www.docs.org:81/other"));
        assert!(!admits(&[], &["*/other"], "http://docs.org:81/other"));
    }

    #[test]
    fn patterns_match_whole_addresses() {
        assert!(admits(&["http://x.org/a*"], &[], "http://x.org/ab?c=d"));
        assert!(!admits(&["http://x.org/a"], &[], "http://x.org/ab"));
        assert!(!admits(&["http://x.org/*"], &[], "http://docs.org:81/std/"));
        assert!(admits(&["*/a?c=*"], &[], "http://x.org/a?c=d"));
        assert!(!admits(&["*/a?c=*"], &[], "http://x.org/abc=d"));
        assert!(!admits(&["*"], &["*.pdf", "*?*"], "http://x.org/a?b"));
    }
}
