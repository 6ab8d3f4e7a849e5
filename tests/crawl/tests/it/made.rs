//! A site that is made from a seed: folders, files, every way to spell a link, and links to nothing.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bulkhead_e2e::{Api, Server};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Makes a site of so many pages in a folder. Page 0 is `/`.
pub(crate) fn make(root: &Path, seed: u64, pages: usize) {
    let mut dice = StdRng::seed_from_u64(seed);
    let paths: Vec<String> = (0..pages).map(path).collect();
    fs::create_dir_all(root.join("files")).expect("a folder");
    for number in 0..5 {
        fs::write(root.join(format!("files/{number}.txt")), "<a href=/no/link>").expect("a file");
    }
    for (number, own) in paths.iter().enumerate() {
        let mut html = format!("<!doctype html><html lang=en><title>Page {number}</title><h1>{number}</h1>\n");
        if number % 17 == 5 {
            html.push_str("<base href=\"/d3/\">\n");
        }
        // A tree holds everything together but for every 40th page, which only chance may link to.
        let children = [number * 3 + 1, number * 3 + 2, number * 3 + 3];
        let kept: Vec<usize> = children.into_iter().filter(|child| *child < pages && child % 40 != 39).collect();
        let others: Vec<usize> = (0..4).map(|_| dice.random_range(0..pages)).filter(|other| other % 40 != 39).collect();
        for target in kept.into_iter().chain(others) {
            let link = spelling(&paths[target], dice.random_range(0..8));
            writeln!(html, "<a href=\"{link}\">{target}</a>").expect("a text takes text");
        }
        if number % 10 == 3 {
            writeln!(html, "<a href=\"/lost/{}.html#x\">lost</a><a href=\"/files/{}.txt\">file</a>", number % 7, number % 5)
                .expect("text");
            html.push_str("<a href=\"http://elsewhere.test/\">out</a><a href=\"mailto:a@b.test\">mail</a><a href=\"/never\" rel=nofollow>no</a>\n");
        }
        let file = root.join(own.trim_start_matches('/'));
        let file = if own.ends_with('/') { file.join("index.html") } else { file };
        fs::create_dir_all(file.parent().expect("a file lies in a folder")).expect("a folder");
        fs::write(file, html).expect("a page");
    }
}

fn path(number: usize) -> String {
    match number {
        0 => "/".to_owned(),
        _ if number % 11 == 4 => format!("/d{}/sub{number}/", number % 6),
        _ if number % 11 == 7 => format!("/d{}/sp ace&{number}.html", number % 6),
        _ => format!("/d{}/p{number}.html", number % 6),
    }
}

/// One of the ways to write an address. All of them are absolute: some pages have a `base`.
fn spelling(path: &str, way: u32) -> String {
    let encoded = path.replace('&', "&amp;").replace(' ', "%20");
    match way {
        0 => format!("{encoded}#part"),
        1 => format!("/./x/..{encoded}"),
        2 => encoded.replace("/p", "/%70"),
        3 if path.ends_with('/') => format!("{encoded}index.html"),
        4 if path.ends_with('/') && path.len() > 1 => encoded.trim_end_matches('/').to_owned(),
        5 => path.replace('&', "&amp;"),
        6 => format!("{encoded}?"),
        7 => format!(" {encoded}\n"),
        _ => encoded,
    }
}

/// A crawl of a whole site, with more lines for its step.
pub(crate) fn definition(host: &str, lines: &str) -> String {
    format!(
        r#"
id = "crawl"

[error_tolerance]
max_child_failures = 20

[step.crawl]
plugin = "crawler"
concurrency = 8
start_urls = ["http://{host}/"]
allow = {{ http = ["{host}"] }}
{lines}
"#
    )
}

/// Starts a crawl; its run.
pub(crate) async fn start(api: &Api, definition: &str) -> String {
    api.put_definition("crawl", definition).await.ok();
    api.trigger("crawl").await
}

/// A server with the built plugins.
pub(crate) fn server() -> Server {
    Server::start()
}
