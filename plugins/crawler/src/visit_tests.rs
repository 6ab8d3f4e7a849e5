use serde_json::{Value, json};

use super::*;
use crate::config::{Config, config};
use crate::fetch::tests::{Site, reply};

fn html(body: &str) -> crate::fetch::tests::Reply {
    reply(200, "text/html; charset=utf-8", body)
}

fn crawl(extra: Value) -> Config {
    let mut of = json!({ "start_urls": ["http://a.org/"], "respect_robots": false });
    of.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    config(of)
}

fn try_visit(config: &Config, site: &Site, input: &Visit) -> Result<Visited, Error> {
    visit(&Settings::new(config).unwrap(), site, input)
}

fn at(url: &str) -> Visit {
    Visit { url: Url::parse(url).unwrap(), depth: 0, redirects: 0, robots: None }
}

fn visited(extra: Value, site: &Site, url: &str) -> (Value, Vec<String>) {
    let Visited { record, follow } = try_visit(&crawl(extra), site, &at(url)).unwrap();
    (serde_json::to_value(record).unwrap(), follow.into_iter().map(|(address, _)| address.key()).collect())
}

#[test]
fn a_page_is_recorded_and_its_links_follow_once_each() {
    let page = "<title>T</title><a href=x>1</a><a href='./x#top'>2</a><a href=/>self</a><a href=index.html>self</a>\
                <a href=http://b.org/>out</a><a href=mailto:a@a.org>no</a><a href=/y?utm_source=z>3</a>";
    let site = Site::new([("http://a.org/", html(page))]);
    let (record, follow) = visited(json!({}), &site, "http://a.org/");
    assert_eq!(follow, ["http://a.org/x", "http://a.org/y"]);
    assert_eq!(
        record,
        json!({
            "url": "http://a.org/", "depth": 0, "status": 200, "kind": "page", "charset": "UTF-8", "bytes": page.len(), "title": "T",
            "text": "12selfselfoutno3", "links": ["/x", "/y"], "external": ["http://b.org/"], "external_count": 1,
        })
    );
}

#[test]
fn base_refresh_and_canonical_count() {
    let page = "<base href=/deep/><link rel=canonical href=canon><meta http-equiv=refresh content='0;url=next'><a href=x>";
    let site = Site::new([("http://a.org/p/index.html", html(page))]);
    let (record, follow) = visited(json!({}), &site, "http://a.org/p/index.html");
    assert_eq!(follow, ["http://a.org/deep/x", "http://a.org/deep/next", "http://a.org/deep/canon"]);
    assert_eq!(record["identity"], "http://a.org/p/");
    assert_eq!(record["canonical"], "http://a.org/deep/canon");
    assert_eq!(record["refresh"], "http://a.org/deep/next");
    let odd = Site::new([("http://a.org/", html("<base href='http://['><base href=/no/><a href=x>"))]);
    assert_eq!(visited(json!({}), &odd, "http://a.org/").1, ["http://a.org/x"]);
}

#[test]
fn links_are_left_alone_as_configured() {
    let site = Site::new([("http://a.org/", html("<a href=a rel=nofollow><a href=b><a href=c.pdf>"))]);
    let follow = |extra| visited(extra, &site, "http://a.org/").1;
    assert_eq!(follow(json!({})), ["http://a.org/b", "http://a.org/c.pdf"]);
    assert_eq!(follow(json!({ "respect_nofollow": false })).len(), 3);
    assert_eq!(follow(json!({ "exclude_patterns": ["*.pdf"] })), ["http://a.org/b"]);
    assert_eq!(follow(json!({ "follow_links": false })), [""; 0]);
    assert_eq!(follow(json!({ "max_depth": 0 })), [""; 0]);
    assert_eq!(follow(json!({ "max_depth": 1 })).len(), 2);
    let page = Site::new([("http://a.org/", html("<a href=a>").with("x-robots-tag", "noindex, nofollow"))]);
    let (record, follow) = visited(json!({}), &page, "http://a.org/");
    assert_eq!((&record["noindex"], follow.len()), (&json!(true), 0));
}

#[test]
fn a_redirect_is_a_result_and_its_target_a_task() {
    let hop = |to: &str| reply(301, "text/html", "moved").with("location", to);
    let site = Site::new([
        ("http://a.org/old", hop("new?utm_id=1#x")),
        ("http://a.org/out", hop("http://b.org/")),
        ("http://a.org/nil", reply(302, "", "")),
    ]);
    let (record, follow) = visited(json!({}), &site, "http://a.org/old");
    assert_eq!(
        record,
        json!({ "url": "http://a.org/old", "depth": 0, "status": 301, "kind": "redirect", "to": "http://a.org/new" })
    );
    assert_eq!(follow, ["http://a.org/new"]);
    let (record, follow) = visited(json!({}), &site, "http://a.org/out");
    assert_eq!((&record["not_followed"], follow.len()), (&json!("out of scope"), 0));
    assert_eq!(visited(json!({}), &site, "http://a.org/nil").0["kind"], "skipped");
    let mut late = at("http://a.org/old");
    (late.redirects, late.depth) = (2, 5);
    let Visited { follow, .. } = try_visit(&crawl(json!({ "max_redirects": 3 })), &site, &late).unwrap();
    assert_eq!((follow[0].1.redirects, follow[0].1.depth), (3, 5));
    let Visited { record, follow } = try_visit(&crawl(json!({ "max_redirects": 2 })), &site, &late).unwrap();
    let record = serde_json::to_value(record).unwrap();
    assert_eq!((&record["not_followed"], follow.len()), (&json!("too many redirects in a row"), 0));
}

#[test]
fn what_cannot_get_better_is_a_record_and_what_may_is_a_failure() {
    let site = Site::new([
        ("http://a.org/403", reply(403, "text/html", "<a href=no>")),
        ("http://a.org/429", reply(429, "", "").with("retry-after", "120")),
        ("http://a.org/503", reply(503, "", "")),
    ]);
    for (url, status) in [("http://a.org/404", 404), ("http://a.org/403", 403)] {
        let (record, follow) = visited(json!({}), &site, url);
        assert_eq!((&record["kind"], &record["status"], follow.len()), (&json!("broken"), &json!(status), 0));
    }
    let failure = |url: &str| try_visit(&crawl(json!({})), &site, &at(url)).map(|_| ()).unwrap_err();
    assert_eq!(
        format!("{:?}", failure("http://a.org/429")),
        "http://a.org/429 answers 429 and asks to come back after 120 (retryable)"
    );
    assert_eq!(format!("{:?}", failure("http://a.org/503")), "http://a.org/503 answers 503 (retryable)");
    assert_eq!(format!("{:?}", failure("http://gone.org/")), "http://gone.org/: no connection to gone.org (retryable)");
    assert_eq!(format!("{:?}", failure("http://denied.org/")), "the host denied.org is denied (fatal)");
}

#[test]
fn only_pages_are_parsed() {
    let big = "x".repeat(2_000);
    let site = Site::new([
        ("http://a.org/pdf", reply(200, "Application/PDF", "%PDF <a href=no>").with("content-length", "16")),
        ("http://a.org/big", html(&big)),
        ("http://a.org/zip", html("not gzip").with("content-encoding", "gzip")),
        ("http://a.org/br", html("?").with("content-encoding", "br")),
        ("http://a.org/bare", reply(200, "", "\n <!DOCTYPE HTML><a href=y>")),
        ("http://a.org/blob", reply(200, "", "\u{0}\u{1}<a href=no>")),
        ("http://a.org/xhtml", reply(200, "application/xhtml+xml", "<html><a href='z'/></html>")),
    ]);
    let of = |path: &str| visited(json!({ "max_page_bytes": 1_000 }), &site, &format!("http://a.org/{path}"));
    let (pdf, follow) = of("pdf");
    assert_eq!(
        (&pdf["kind"], &pdf["content_type"], &pdf["bytes"], follow.len()),
        (&json!("file"), &json!("application/pdf"), &json!(16), 0)
    );
    assert_eq!(of("big").0["reason"], "more than 1000 bytes (max_page_bytes)");
    assert!(of("zip").0["reason"].as_str().unwrap().starts_with("garbled content: "));
    assert_eq!(of("br").0["reason"], "content in an encoding that was not asked for: br");
    assert_eq!(of("bare").1, ["http://a.org/y"]);
    assert_eq!(of("blob").0["kind"], "file");
    assert_eq!(of("xhtml").1, ["http://a.org/z"]);
}

#[test]
fn robots_rules_are_obeyed_and_handed_down() {
    let site = Site::new([
        ("http://a.org/robots.txt", reply(200, "text/plain", "User-agent: *\nDisallow: /no\nCrawl-delay: 2")),
        ("http://a.org/", html("<a href=no/x><a href=yes><a href=http://b.org/>")),
    ]);
    let config = config(json!({ "start_urls": ["http://a.org/"], "include_patterns": ["*"] }));
    let Visited { record, follow } = try_visit(&config, &site, &at("http://a.org/")).unwrap();
    let record = serde_json::to_value(record).unwrap();
    assert_eq!(record["disallowed_count"], 1);
    let inputs: Vec<_> = follow.iter().map(|(_, visit)| serde_json::to_value(visit).unwrap()).collect();
    assert_eq!(
        inputs,
        [
            json!({ "url": "http://a.org/yes", "depth": 1, "robots": { "delay_ms": 2000, "disallow": ["/no"] } }),
            json!({ "url": "http://b.org/", "depth": 1 }),
        ]
    );
    assert_eq!(site.pauses(), [std::time::Duration::from_secs(2)]);

    // With the rules at hand nothing more is asked for.
    let forbidden = Visit { robots: follow[0].1.robots.clone(), ..at("http://a.org/no/y") };
    let Visited { record, .. } = try_visit(&config, &site, &forbidden).unwrap();
    assert_eq!(serde_json::to_value(record).unwrap(), json!({ "url": "http://a.org/no/y", "depth": 0, "kind": "disallowed" }));
    assert_eq!(site.requests(), ["http://a.org/robots.txt", "http://a.org/"]);
}
