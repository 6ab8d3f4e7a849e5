//! An independent walk of a site's files: another parser (html5ever, with a tree), another notion of what an address is (the file
//! behind it), and no network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use rayon::prelude::*;
use scraper::{ElementRef, Html, Selector};
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
        next = std::mem::take(&mut level).into_par_iter().map(|(page, file)| (page.clone(), links(&page, &file, prefixes))).collect();
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
    let document = Html::parse_document(&text);
    let own = Url::parse("http://site.test").and_then(|site| site.join(&encoded(page))).expect("a path is an address");
    let base = document.select(&selector("base[href]")).next().and_then(|base| own.join(base.attr("href")?).ok()).unwrap_or(own);
    let mut targets = BTreeSet::new();
    let mut take = |href: &str| {
        if let Some(target) = target(&base, href).filter(|target| target != page)
            && prefixes.iter().any(|prefix| target.starts_with(prefix))
        {
            targets.insert(target);
        }
    };
    collect(&document, &mut take);
    for noscript in document.select(&selector("noscript")) {
        collect(&Html::parse_document(&noscript.text().collect::<String>()), &mut take);
    }
    targets.into_iter().collect()
}

fn collect(document: &Html, take: &mut impl FnMut(&str)) {
    let followed = "a[href], area[href], iframe[src], frame[src], link[rel~=canonical][href], meta[http-equiv=refresh i][content]";
    for element in document.select(&selector(followed)) {
        let in_template = element.ancestors().filter_map(ElementRef::wrap).any(|ancestor| ancestor.value().name() == "template");
        let nofollow = element.attr("rel").is_some_and(|rel| rel.split_whitespace().any(|word| word.eq_ignore_ascii_case("nofollow")));
        if in_template || nofollow {
            continue;
        }
        match element.value().name() {
            "iframe" | "frame" => take(element.attr("src").unwrap_or_default()),
            "meta" => {
                let content = element.attr("content").unwrap_or_default();
                if let Some((_, to)) = content.to_ascii_lowercase().split_once("url=") {
                    // In the same place, with its own letters.
                    take(&content[content.len() - to.len()..]);
                }
            }
            _ => take(element.attr("href").unwrap_or_default()),
        }
    }
}

fn selector(text: &str) -> Selector {
    Selector::parse(text).expect("a selector")
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
