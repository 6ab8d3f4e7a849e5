//! A small site that does everything to get a crawler down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use bulkhead_crawl::{Records, Site, records};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::made::{definition, server, start};

/// What `/` links to, one a line.
const INDEX: &str = "<a href=/latin1><a href=/sjis><a href=/nest><a href=/round?n=0><a href=/self><a href=/base><a href=/dup>
<a href=/./dup><a href=/%64up><a href='/dup#a'><a href='/dup?utm_source=x&amp;gclid=y'><a href=http:/dup><a href=\\dup>
<a href=mailto:a@b.test><a href='javascript:alert(1)'><a href='data:text/html,<a href=/no>'><a href='http://'><a href='//'>
<a href=/private/x><a href=/nofollow><a href=/never rel=nofollow><a href=/gzip><a href=/bomb><a href=/image><a href=/plain>
<a href=/huge><a href=/slow><a href=/flaky><a href=/gone><a href=/down><a href=/greedy><a href=http://127.0.0.1:1/closed>
<a href='/garbled'><a href='&#47;entity&amp;x'><a href=/%ff%fe><a href='/long?{}'><a href=/nul><a href=/moved>";

#[derive(serde::Deserialize)]
struct Round {
    n: u32,
}

async fn page(headers: &[(&'static str, &'static str)], body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().expect("a header"));
    }
    response
}

const HTML: (&str, &str) = ("content-type", "text/html");

/// `<a href=/from-gzip>`, compressed.
const SMALL_GZIP: &[u8] = include_bytes!("small.html.gz");
/// 20 MB of spaces, compressed to 20 kB.
const BOMB: &[u8] = include_bytes!("bomb.html.gz");

/// So many pieces of 64 KiB; without end where there is no number.
fn pieces(number: Option<usize>) -> Body {
    let piece = Bytes::from(vec![b'x'; 64 << 10]);
    let pieces = stream::repeat(piece).map(Ok::<_, std::io::Error>);
    match number {
        Some(number) => Body::from_stream(pieces.take(number)),
        // One piece, and then nothing more, ever.
        None => Body::from_stream(pieces.take(1).chain(stream::pending())),
    }
}

fn site() -> Router {
    let asked = Arc::new(AtomicU32::new(0));
    let nest = format!("{}<a href=/deep>{}", "<div><b><i>".repeat(50_000), "</i></b></div>".repeat(50_000));
    // Twice the size and more as UTF-8, beside what it is decoded from.
    let greedy = b"<p>\xe9\xe9\xe9\xe9\xe9 ".repeat(870_000);
    let long = INDEX.replace("{}", &"x".repeat(700));
    Router::new()
        .route("/", get(|| async move { Html(long) }))
        .route("/robots.txt", get(|| async { "User-agent: *\nDisallow: /private/\n\nUser-agent: other\nDisallow: /\n" }))
        .route("/latin1", get(|| page(&[("content-type", "text/html; charset=iso-8859-1")], b"<title>caf\xe9</title>".to_vec())))
        .route("/sjis", get(|| page(&[HTML], b"<meta charset=shift_jis><title>\x93\xfa\x96\x7b</title>".to_vec())))
        .route("/nest", get(|| async move { Html(nest) }))
        .route("/round", get(|Query(round): Query<Round>| async move { Redirect::to(&format!("/round?n={}", round.n + 1)) }))
        .route("/self", get(|| async { Redirect::to("/self") }))
        .route("/moved", get(|| async { Redirect::to("dup#somewhere") }))
        .route("/base", get(|| async { Html("<base href='/sub/deep/'><base href=/no/><a href=../x><a href='?q'><a href='#f'>") }))
        .route("/dup", get(|| async { Html("<title>dup</title>") }))
        .route("/nofollow", get(|| async { Html("<meta name=robots content='nofollow'><a href=/never>") }))
        .route("/gzip", get(|| page(&[HTML, ("content-encoding", "gzip")], SMALL_GZIP)))
        .route("/bomb", get(|| page(&[HTML, ("content-encoding", "gzip")], BOMB)))
        .route("/garbled", get(|| page(&[HTML, ("content-encoding", "gzip")], "<a href=/never>")))
        .route("/image", get(|| page(&[("content-type", "image/png")], "<a href=/never>")))
        .route("/plain", get(|| page(&[("content-type", "text/plain")], "<a href=/never>")))
        .route("/huge", get(|| page(&[HTML], pieces(Some(800)))))
        .route("/slow", get(|| page(&[HTML], pieces(None))))
        .route("/nul", get(|| page(&[HTML], b"<a\0href=/x><a href=\0><title>\0</title><a href=/after-nul>".to_vec())))
        .route("/greedy", get(|| page(&[("content-type", "text/html; charset=windows-1252")], greedy)))
        .route("/down", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")]) }))
        .route(
            "/flaky",
            get(move || async move {
                match asked.fetch_add(1, Ordering::Relaxed) {
                    0 => StatusCode::TOO_MANY_REQUESTS.into_response(),
                    _ => Html("<title>at last</title>").into_response(),
                }
            }),
        )
}

fn kind<'a>(found: &'a Records, address: &str) -> &'a str {
    let output = found.outputs.get(address).unwrap_or_else(|| panic!("{address} is no task: {:#?}", found.kinds));
    output["kind"].as_str().unwrap_or("failed")
}

fn failure<'a>(found: &'a Records, address: &str) -> (&'a str, &'a str) {
    let failure = &found.tasks[address]["failure"];
    (failure["cause"].as_str().unwrap_or_default(), failure["message"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_hostile_site_harms_nothing_but_its_own_pages() {
    let site = Site::of(site(), "127.0.0.1:0").await;
    let server = server();
    let api = server.api();
    let lines = "max_page_bytes = 8_000_000\npage_timeout_ms = 10000\nretry = { attempts = 2, backoff = \"10ms\" }\n\
                 limits = { memory = \"24MiB\" }\nstrip_parameters = [\"utm_*\", \"gclid\"]";
    let run = start(&api, &definition(&site.host(), lines)).await;
    let ended = api.wait_for_end(&run).await;
    assert_eq!(ended["state"], "succeeded", "{:#}", ended["failure"]);
    let found = records(&api, &run).await;
    let output = |address: &str| &found.outputs[address];

    assert_eq!(output("/latin1")["title"], "café");
    assert_eq!((&output("/sjis")["title"], &output("/sjis")["charset"]), (&json!("日本"), &json!("Shift_JIS")));
    assert!(["page", "skipped"].contains(&kind(&found, "/nest")), "{}", output("/nest"));
    assert_eq!(kind(&found, "/dup"), "page");
    assert_eq!(output("/base")["links"], json!(["/sub/x", "/sub/deep/?q", "/sub/deep/"]));
    for (address, is) in [
        ("/from-gzip", "broken"),
        ("/gone", "broken"),
        ("/entity&x", "broken"),
        ("/after-nul", "broken"),
        ("/image", "file"),
        ("/plain", "file"),
        ("/bomb", "skipped"),
        ("/huge", "skipped"),
        ("/garbled", "skipped"),
        ("/self", "redirect"),
        ("/moved", "redirect"),
        ("/flaky", "page"),
        ("/slow", "failed"),
        ("/down", "failed"),
        ("/greedy", "failed"),
    ] {
        assert_eq!(kind(&found, address), is, "{address}: {} {:?}", output(address), failure(&found, address));
    }
    assert_eq!(output("/moved")["to"], format!("http://{}/dup", site.host()));
    assert_eq!(output("/round?n=10")["not_followed"], "too many redirects in a row");
    assert_eq!(output("/")["disallowed_count"], 1);
    assert_eq!((&output("/")["nofollow_count"], &output("/nofollow")["nofollow_count"]), (&json!(1), &json!(1)));
    assert_eq!(found.tasks["/flaky"]["attempt"], 2);

    // What failed says why, and only the parser that asked for more memory than it may have is the host's affair.
    let (cause, message) = failure(&found, "/down");
    assert!(cause == "plugin-error" && message.contains("answers 503 and asks to come back after 7"), "{cause}: {message}");
    let (cause, message) = failure(&found, "/slow");
    assert!(cause == "plugin-error" && (message.contains("10000 ms") || message.contains("time")), "{cause}: {message}");
    assert_eq!(failure(&found, "/greedy").0, "out-of-memory");

    // Nothing was asked for that must not be, and each spelling of a page once.
    let targets: Vec<String> = site.requests().into_iter().map(|request| request.target).collect();
    let count = |target: &str| targets.iter().filter(|other| *other == target).count();
    assert_eq!((count("/never"), count("/private/x"), count("/no"), count("/no/x")), (0, 0, 0, 0));
    assert_eq!((count("/dup"), count("/self"), count("/robots.txt"), count("/flaky")), (1, 1, 1, 2));
    assert_eq!(targets.iter().filter(|target| target.starts_with("/round")).count(), 11);
    assert!(!targets.iter().any(|target| target.contains("utm_") || target.contains('#')), "{targets:?}");
    let long = found.tasks.values().find(|task| task["input"]["url"].as_str().is_some_and(|url| url.len() > 700));
    let key: Option<&Value> = long.map(|task| &task["key"]);
    assert!(key.and_then(Value::as_str).is_some_and(|key| key.starts_with("sha256:")), "{key:?}");
    tokio::time::timeout(Duration::from_secs(60), api.get("/health")).await.expect("the server is well");
}

#[tokio::test]
async fn what_the_definition_does_not_grant_is_denied() {
    let other = Site::of(Router::new().route("/", get(|| async { "never" })), "127.0.0.1:0").await;
    let link = format!("<a href=http://{}/>", other.host());
    let site = Site::of(Router::new().route("/", get(|| async move { Html(link) })), "127.0.0.1:0").await;
    let server = server();
    let api = server.api();
    let run = start(&api, &definition(&site.host(), "include_patterns = [\"*\"]\nrespect_robots = false")).await;
    let ended = api.wait_for_end(&run).await;
    assert_eq!(ended["state"], "succeeded", "one failure is borne");
    let tasks = api.tasks(&run).await;
    let denied = tasks.iter().find(|task| task["state"] == "failed").expect("a task was denied");
    assert_eq!(denied["failure"]["cause"], "denied", "{denied:#}");
    assert!(denied["failure"]["message"].as_str().is_some_and(|message| message.contains(&other.host())), "{denied:#}");
    assert_eq!(other.requests().len(), 0);
}
