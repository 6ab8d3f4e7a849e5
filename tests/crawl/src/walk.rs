//! An independent walk of a site's files: another parser (html5gum, no relative of the plugin's), another notion of what an
//! address is (the file behind it), and no network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use html5gum::{DefaultEmitter, Token, Tokenizer};
use percent_encoding::percent_decode_str;
use rayon::prelude::*;
use url::Url;

/// What can be reached on a site. Addresses are paths with their queries, decoded, without the name `index.html`.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Pages.
    pub pages: BTreeSet<String>,
    /// Other files that are linked to.
    pub files: BTreeSet<String>,
    /// Folders that are linked to without the slash at their end.
    pub redirects: BTreeSet<String>,
    /// Addresses with nothing behind, each with the pages that link to it.
    pub broken: BTreeMap<String, BTreeSet<String>>,
}

enum Behind {
    Page(PathBuf),
    File,
    Folder,
    Nothing,
}

/// Walks from some paths on, without leaving what begins with one of `prefixes`.
pub fn walk(root: &Path, starts: &[&str], prefixes: &[&str]) -> Walk {
    let mut found = Walk::default();
    let mut seen: BTreeSet<String> = starts.iter().map(|start| (*start).to_owned()).collect();
    let mut level: Vec<(String, PathBuf)> = Vec::new();
    let mut next: Vec<(String, Vec<String>)> = vec![(String::new(), seen.iter().cloned().collect())];
    loop {
        for (page, targets) in next.drain(..) {
            for target in targets {
                let is_new = page.is_empty() || seen.insert(target.clone());
                match behind(root, &target) {
                    Behind::Nothing => {
                        found.broken.entry(target).or_default().insert(page.clone());
                    }
                    _ if !is_new => {}
                    Behind::Page(file) => {
                        found.pages.insert(target.clone());
                        level.push((target, file));
                    }
                    Behind::File => {
                        found.files.insert(target);
                    }
                    Behind::Folder => {
                        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
                        let mark = if query.is_empty() { "" } else { "?" };
                        let to = format!("{path}/{mark}{query}");
                        found.redirects.insert(target.clone());
                        if seen.insert(to.clone()) {
                            match behind(root, &to) {
                                Behind::Page(file) => {
                                    found.pages.insert(to.clone());
                                    level.push((to, file));
                                }
                                _ => {
                                    found.broken.entry(to).or_default();
                                }
                            }
                        }
                    }
                }
            }
        }
        if level.is_empty() {
            return found;
        }
        next = std::mem::take(&mut level)
            .into_par_iter()
            .map(|(page, file)| (page.clone(), links(&page, &file, prefixes)))
            .collect();
    }
}

fn behind(root: &Path, target: &str) -> Behind {
    let path = target.split('?').next().unwrap_or_default();
    let file = root.join(path.trim_start_matches('/'));
    let file = if path.ends_with('/') { file.join("index.html") } else { file };
    match file.extension().and_then(|extension| extension.to_str()) {
        _ if file.is_dir() => Behind::Folder,
        _ if !file.is_file() => Behind::Nothing,
        Some("html" | "htm") => Behind::Page(file),
        _ => Behind::File,
    }
}

/// What a page links to, each once, itself aside.
fn links(page: &str, file: &Path, prefixes: &[&str]) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut document = Document::default();
    document.read(&text);
    let own = Url::parse("http://site.test").and_then(|site| site.join(&encoded(page))).expect("a path is an address");
    let base = document.base.and_then(|base| own.join(&base).ok()).unwrap_or(own);
    let targets = document.links.iter().filter_map(|href| target(&base, href)).filter(|target| target != page);
    let inside = targets.filter(|target| prefixes.iter().any(|prefix| target.starts_with(prefix)));
    inside.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What a document says of links.
#[derive(Default)]
struct Document {
    base: Option<String>,
    links: Vec<String>,
    /// Templates that are open: what is in them is no part of the page.
    templates: usize,
}

impl Document {
    fn read(&mut self, text: &str) {
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let mut in_noscript = false;
        for Ok(token) in Tokenizer::new_with_emitter(text, emitter) {
            match token {
                Token::StartTag(tag) => {
                    let name = String::from_utf8_lossy(&tag.name).into_owned();
                    in_noscript = name == "noscript";
                    self.templates += usize::from(name == "template");
                    let attribute = |wanted: &str| {
                        let (_, value) = tag.attributes.iter().find(|(name, _)| name.as_slice() == wanted.as_bytes())?;
                        Some(String::from_utf8_lossy(&value.value).into_owned())
                    };
                    if self.templates == 0 {
                        self.element(&name, attribute);
                    }
                }
                Token::EndTag(tag) if tag.name.as_slice() == b"template" => self.templates = self.templates.saturating_sub(1),
                // For a browser with scripts this is text.
                Token::String(text) if in_noscript => self.read(&String::from_utf8_lossy(&text)),
                _ => in_noscript = false,
            }
        }
    }

    fn element(&mut self, name: &str, attribute: impl Fn(&str) -> Option<String>) {
        let has = |name: &str, word: &str| {
            let list = attribute(name).unwrap_or_default().to_ascii_lowercase();
            list.split_ascii_whitespace().any(|other| other == word)
        };
        match name {
            "a" | "area" if !has("rel", "nofollow") => self.links.extend(attribute("href")),
            "link" if has("rel", "canonical") => self.links.extend(attribute("href")),
            "iframe" | "frame" => self.links.extend(attribute("src")),
            "base" if self.base.is_none() => self.base = attribute("href"),
            "meta" if has("http-equiv", "refresh") => {
                let content = attribute("content").unwrap_or_default();
                // In the same place, with its own letters.
                let at = content.to_ascii_lowercase().find("url=").map(|at| at + 4);
                self.links.extend(at.map(|at| content[at..].trim_matches(['"', '\'']).to_owned()));
            }
            _ => {}
        }
    }
}

/// The address of a link on this site; none where it leads elsewhere.
fn target(base: &Url, href: &str) -> Option<String> {
    let url = base.join(href).ok().filter(|url| url.host_str() == Some("site.test"))?;
    let path = percent_decode_str(url.path()).decode_utf8().ok()?;
    let path = path.strip_suffix("index.html").filter(|folder| folder.ends_with('/')).unwrap_or(&path).to_owned();
    Some(match url.query().filter(|query| !query.is_empty()) {
        Some(query) => format!("{path}?{}", percent_decode_str(query).decode_utf8_lossy()),
        None => path,
    })
}

fn encoded(page: &str) -> String {
    page.replace('%', "%25").replace('#', "%23")
}
