//! Every page that can be reached is found, once, and nothing else.

use bulkhead_crawl::{Records, Site, Walk, docs, records, walk};

use crate::made::{definition, make, server, start};

fn check(found: &Records, walked: &Walk) {
    assert_eq!(found.of("page"), walked.pages);
    assert_eq!(found.of("file"), walked.files);
    assert_eq!(found.of("redirect"), walked.redirects);
    assert_eq!(found.broken, walked.broken);
    for kind in ["skipped", "disallowed", "failed"] {
        assert_eq!(found.of(kind).len(), 0, "{kind}: {:?}", found.of(kind));
    }
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
    let run = start(&api, &definition(&site.host(), "")).await;
    let ended = api.wait_for_end(&run).await;
    assert_eq!(ended["state"], "succeeded", "{:#}", ended["failure"]);
    check(&records(&api, &run).await, &walked);

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
