//! Servers and name servers that mean harm: nothing gets where it may not, takes longer than it may, or fills the memory.

mod support;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bulkhead_engine::egress::{EgressError, Wait};
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use support::{Names, Server, Way, answer};
use tokio::sync::Notify;

const SHORT: Duration = Duration::from_millis(200);

fn addresses(error: &EgressError) -> Option<IpAddr> {
    match error {
        EgressError::Denied { address, .. } => *address,
        other => panic!("expected a denial: {other:?}"),
    }
}

#[tokio::test]
async fn a_name_that_changes_its_meaning_reaches_nothing_new() {
    let server = Server::answering(|_| answer("200 OK", "connection: close\r\n", b"in")).await;
    let inner = Server::beside(&server, "127.0.0.2").await;
    let names = Names::of(&[("a.test", &["127.0.0.1", "127.0.0.2"])]);
    let way = Way::with(names.clone());
    let grant = [format!("a.test:{}", server.port()), format!("127.0.0.1:{}", server.port())];
    let url = format!("http://a.test:{}/", server.port());
    assert_eq!(way.text(&url, &grant).await.unwrap(), "in");
    assert_eq!(names.asked("a.test"), 1, "what was checked is what was connected to");
    let error = way.text(&url, &grant).await.unwrap_err();
    assert_eq!(addresses(&error), Some("127.0.0.2".parse().unwrap()), "{error}");
    assert_eq!((inner.counts.connections(), names.asked("a.test")), (0, 2));
}

#[tokio::test]
async fn of_mixed_addresses_only_those_that_may_be_are_reached() {
    let server = Server::answering(|_| answer("200 OK", "", b"in")).await;
    let inner = Server::beside(&server, "127.0.0.2").await;
    let names =
        Names::of(&[("some.test", &["127.0.0.2 169.254.169.254 127.0.0.1"]), ("none.test", &["127.0.0.2 ::ffff:127.0.0.2"])]);
    let way = Way::with(names);
    let grant = [format!("*.test:{}", server.port()), format!("127.0.0.1:{}", server.port())];
    assert_eq!(way.text(&format!("http://some.test:{}/", server.port()), &grant).await.unwrap(), "in");
    let error = way.text(&format!("http://none.test:{}/", server.port()), &grant).await.unwrap_err();
    assert_eq!(addresses(&error), Some("127.0.0.2".parse().unwrap()));
    assert_eq!(inner.counts.connections(), 0);
}

#[tokio::test]
async fn an_address_in_disguise_is_that_address() {
    let server = Server::answering(|asked| answer("200 OK", "", asked.headers["host"].as_bytes())).await;
    let way = Way::with(Names::of(&[("localhost", &["127.0.0.1"])]));
    let port = server.port();
    for host in ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "127.0.0.1."] {
        let url = format!("http://{host}:{port}/");
        assert!(addresses(&way.text(&url, &["a.test".to_owned()]).await.unwrap_err()).is_none(), "{host}");
        // The host that is sent is the one that was checked.
        assert_eq!(way.text(&url, &[format!("127.0.0.1:{port}")]).await.unwrap(), format!("127.0.0.1:{port}"));
    }
    let by_name = way.text(&format!("http://LOCALHOST.:{port}/"), &[format!("localhost:{port}")]).await.unwrap_err();
    assert_eq!(addresses(&by_name), Some("127.0.0.1".parse().unwrap()));
}

#[tokio::test]
async fn a_name_server_that_is_silent_costs_the_time_of_a_connection() {
    struct Silent;
    impl bulkhead_egress::Resolve for Silent {
        fn resolve(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let way = Way::with(Arc::new(Silent)).hurried(SHORT);
    let error = way.text("http://a.test/", &["a.test".to_owned()]).await.unwrap_err();
    assert!(matches!(error, EgressError::TimedOut(Wait::Connection)), "{error}");
    let unknown = Way::with(Names::of(&[])).text("http://a.test/", &["a.test".to_owned()]).await.unwrap_err();
    assert!(matches!(unknown, EgressError::Unresolved(_)), "{unknown}");
}

/// What comes of a server that answers each request by `bytes` and then does nothing, or closes.
async fn fed(bytes: Vec<u8>, close: bool, way: Way) -> Result<String, EgressError> {
    let server = Server::start(move |mut peer| {
        let bytes = bytes.clone();
        async move {
            peer.read().await?;
            peer.write(&bytes).await?;
            if !close {
                peer.gone().await;
            }
            Ok(())
        }
    })
    .await;
    way.text(&server.url("/"), &[server.address.to_string()]).await
}

fn way() -> Way {
    Way::with(Names::of(&[]))
}

#[tokio::test]
async fn a_head_that_drips_has_the_time_of_a_head() {
    let server = Server::start(|mut peer| async move {
        peer.read().await?;
        peer.write(b"HTTP/1.1 200 OK\r\nx-drip: ").await?;
        loop {
            peer.write(b"x").await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let error = way().hurried(SHORT).text(&server.url("/"), &[server.address.to_string()]).await.unwrap_err();
    assert!(matches!(error, EgressError::TimedOut(Wait::Answer)), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_stops_is_given_up() {
    let silent = fed(Vec::new(), false, way().hurried(SHORT)).await.unwrap_err();
    assert!(matches!(silent, EgressError::TimedOut(Wait::Answer)), "{silent}");
    let stopped =
        fed(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_vec(), false, way().hurried(SHORT)).await.unwrap_err();
    assert!(matches!(stopped, EgressError::TimedOut(Wait::Body)), "{stopped}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_incomplete() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-le",
    ] {
        let error = fed(bytes.to_vec(), true, way()).await.unwrap_err();
        assert!(matches!(error, EgressError::Incomplete(_)), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    for bytes in [&b"SSH-2.0-OpenSSH\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello"] {
        let error = fed(bytes.to_vec(), true, way()).await.unwrap_err();
        assert!(matches!(error, EgressError::Protocol(_)), "{error:?}");
    }
}

#[tokio::test]
async fn more_than_was_announced_is_no_part_of_any_answer() {
    let server = Server::start(|mut peer| async move {
        peer.read().await?;
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil").await?;
        peer.gone().await;
        Ok(())
    })
    .await;
    let way = way();
    for _ in 0..2 {
        assert_eq!(way.text(&server.url("/"), &[server.address.to_string()]).await.unwrap(), "hello");
    }
    assert_eq!(server.counts.connections(), 2, "the connection is not used again");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let many: String = (0..100_000).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(1 << 20));
    let some: String = (0..600).map(|number| format!("x-{number}: y\r\n")).collect();
    for headers in [many, long, some] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
        let error = fed(bytes, false, way()).await.unwrap_err();
        assert!(matches!(error, EgressError::HeadTooLarge), "{error:?}");
    }
}

#[tokio::test]
async fn a_body_comes_as_it_is_compressed_or_not() {
    // The begin of what would be a gigabyte of zeros.
    let bomb: Vec<u8> = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].into_iter().chain([0x55; 100_000]).collect();
    let sent = bomb.clone();
    let server = Server::answering(move |_| answer("200 OK", "content-encoding: gzip\r\n", &sent)).await;
    let response = way().send(&server.url("/"), &[server.address.to_string()]).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), bomb);
}

#[tokio::test]
async fn a_body_without_end_comes_as_fast_as_it_is_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let gone = Arc::new(Notify::new());
    let (counted, notify) = (Arc::clone(&sent), Arc::clone(&gone));
    let server = Server::start(move |mut peer| {
        let (counted, notify) = (Arc::clone(&counted), Arc::clone(&notify));
        async move {
            peer.read().await?;
            peer.write(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let piece = vec![b'x'; 64 << 10];
            while peer.write(&piece).await.is_ok() {
                counted.fetch_add(piece.len(), Ordering::SeqCst);
            }
            notify.notify_one();
            Ok(())
        }
    })
    .await;
    let way = way();
    let mut body = way.send(&server.url("/"), &[server.address.to_string()]).await.unwrap().into_body();
    let mut read = 0;
    while read < 64 << 20 {
        read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    // What is on its way is in the sockets' buffers and one piece here; a host that read ahead would have read on.
    let ahead = sent.load(Ordering::SeqCst).saturating_sub(read);
    assert!(ahead < 32 << 20, "{ahead} bytes ahead");
    assert_eq!(way.statistics().in_flight, 1);
    drop(body);
    gone.notified().await;
}

#[tokio::test]
async fn who_lets_go_of_a_request_ends_it() {
    let (asked, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (signal, last) = (Arc::clone(&asked), Arc::clone(&gone));
    let server = Server::start(move |mut peer| {
        let (signal, last) = (Arc::clone(&signal), Arc::clone(&last));
        async move {
            peer.read().await?;
            signal.notify_one();
            peer.gone().await;
            last.notify_one();
            Ok(())
        }
    })
    .await;
    let way = way();
    let (url, grant) = (server.url("/"), [server.address.to_string()]);
    let request = way.send(&url, &grant);
    tokio::select! {
        _ = request => panic!("there is no answer"),
        () = asked.notified() => {}
    }
    gone.notified().await;
}
