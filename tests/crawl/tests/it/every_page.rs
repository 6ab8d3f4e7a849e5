//! Every page that can be reached is found, once, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_crawl::{Records, Site, Walk, address, docs, records, walk};
use bulkhead_e2e::Api;

use crate::made::{definition, make, server, start};

/// A step that reports what the step `crawl` found broken.
const REPORT: &str = "[step.report]\nplugin = \"crawl-report\"\ndepends = \"crawl\"\ncrawl_step = \"crawl\"\n";

fn check(found: &Records, walked: &Walk) {
    assert_eq!(found.of("page"), walked.pages);
    assert_eq!(found.of("file"), walked.files);
    assert_eq!(found.of("redirect"), walked.redirects);
    assert_eq!(found.broken, walked.broken);
    for kind in ["skipped", "disallowed", "failed"] {
        assert_eq!(found.of(kind).len(), 0, "{kind}: {:?}", found.of(kind));
    }
}

/// Addresses with nothing behind, each with the pages that link to it, as the report's table has them.
async fn reported(api: &Api, run: &str) -> BTreeMap<String, BTreeSet<String>> {
    let table = api.get(&format!("/runs/{run}/artifacts/report/links.csv")).await.ok();
    let mut rows = table.as_str().expect("a text").lines();
    assert_eq!(rows.next(), Some("broken,why,page"));
    // As the walk has them: without the name of an index file.
    let path = |url: &str| address(url.strip_suffix("index.html").unwrap_or(url));
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for row in rows {
        let columns: Vec<&str> = row.split(',').collect();
        let [broken, why, page] = columns[..] else { panic!("{row} has other columns") };
        assert_eq!(why, "404", "{row}");
        let pages = found.entry(path(broken)).or_default();
        assert!(page.is_empty() || pages.insert(path(page)), "{row} stands there twice");
    }
    found
}

#[tokio::test]
async fn every_page_of_a_made_site_is_found_once() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    make(folder.path(), 1912, 400);
    let walked = walk(folder.path(), &["/"], &["/"]);
    assert!(walked.pages.len() > 350 && walked.pages.len() < 400 && walked.redirects.len() > 5 && walked.broken.len() > 3);
    let site = Site::of_folder(folder.path(), "127.0.0.1:0").await;
    let server = server();
    let api = server.api();
    let run = start(&api, &definition(&site.host(), REPORT)).await;
    let ended = api.wait_for_end(&run).await;
    assert_eq!(ended["state"], "succeeded", "{:#}", ended["failure"]);
    check(&records(&api, &run).await, &walked);

    // The report has exactly the broken links, with the pages that have them.
    assert_eq!(reported(&api, &run).await, walked.broken);
    let summary = api.get(&format!("/runs/{run}/artifacts/report/summary.json")).await.ok();
    let links: usize = walked.broken.values().map(BTreeSet::len).sum();
    assert_eq!((&summary["broken"], &summary["links"]), (&walked.broken.len().into(), &links.into()));
    assert_eq!(summary["kinds"]["page"], walked.pages.len());
    let lines = api.get(&format!("/runs/{run}/artifacts/report/broken.ndjson")).await.ok();
    assert_eq!(lines.as_str().expect("lines").lines().count(), walked.broken.len());

    // Each address was asked for once, and robots.txt once for all of them.
    let requests = site.requests();
    let all = walked.pages.len() + walked.files.len() + walked.redirects.len() + walked.broken.len();
    assert_eq!(requests.len(), all + 1, "requests");
    assert_eq!(requests[0].target, "/robots.txt");
    assert!(requests.iter().all(|request| request.user_agent.starts_with("bulkhead-crawler/")));
}

#[tokio::test]
async fn every_page_of_real_documentation_is_found_once() {
    let Some(docs) = docs().filter(|docs| docs.root.join("book").is_dir()) else {
        println!("SKIPPED: the documentation of the Rust toolchain is not installed (rustup component add rust-docs)");
        return;
    };
    let parts = ["/nomicon/", "/book/", "/reference/", "/alloc/"];
    let walked = walk(&docs.root, &parts, &parts);
    assert!(walked.pages.len() > 500, "{} pages", walked.pages.len());
    let site = Site::of_folder(&docs.root, "127.0.0.1:0").await;
    let host = site.host();
    let list = |end: &str| parts.map(|part| format!("\"http://{host}{part}{end}\"")).join(", ");
    let text = format!(
        "id = \"crawl\"\n[step.crawl]\nplugin = \"crawler\"\nconcurrency = 8\nallow = {{ http = [\"{host}\"] }}\nstart_urls = [{}]\n\
         include_patterns = [{}]\n",
        list(""),
        list("*"),
    );
    let server = server();
    let api = server.api();
    let run = start(&api, &text).await;
    let ended = api.wait_for_end(&run).await;
    assert_eq!(ended["state"], "succeeded", "{:#}", ended["failure"]);
    check(&records(&api, &run).await, &walked);
}

#[tokio::test]
async fn max_pages_is_exact_however_many_tasks_find_links() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    make(folder.path(), 7, 200);
    let site = Site::of_folder(folder.path(), "127.0.0.1:0").await;
    let server = server();
    let api = server.api();
    let run = start(&api, &definition(&site.host(), "max_pages = 57")).await;
    let ended = api.wait_for_end(&run).await;
    assert_eq!(ended["state"], "succeeded", "having enough pages is no failure: {:#}", ended["failure"]);
    let found = records(&api, &run).await;
    assert_eq!(found.tasks.len(), 57);
    assert_eq!(site.requests().len(), 57 + 1, "robots.txt is no page");
    assert!(found.outputs.values().any(|output| output["over_max_pages"].as_u64() > Some(0)), "the pages say what they left out");
}
