//! What one client may take.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bulkhead_api::{ApiConfig, RateLimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Server, Subscriber};

fn config() -> ApiConfig {
    ApiConfig { require_token: false, ..ApiConfig::default() }
}

#[tokio::test]
async fn a_body_past_its_limit_is_refused_whether_it_was_announced_or_not() {
    let server = Server::start_with(ApiConfig { body_limit: 100, upload_limit: 200, ..config() }).await;
    let announced =
        Request::post("/api/v1/definitions/validate").header("content-type", "text/toml").header("content-length", "101");
    server.send(announced.body(Body::empty()).unwrap()).await.expect_problem(413, "body-too-large");
    let chunks = |count: usize| {
        let chunk = || Ok::<_, std::io::Error>("x".repeat(50));
        Body::from_stream(futures::stream::iter((0..count).map(move |_| chunk())))
    };
    let send = async |path: &str, kind: &str, body: Body| {
        server.send(Request::post(path).header("content-type", kind).body(body).unwrap()).await
    };
    send("/api/v1/definitions/validate", "text/toml", chunks(2)).await.expect(200);
    send("/api/v1/definitions/validate", "text/toml", chunks(3)).await.expect_problem(413, "body-too-large");
    send("/api/v1/plugins", "application/wasm", chunks(4)).await.expect_problem(422, "invalid-plugin");
    send("/api/v1/plugins", "application/wasm", chunks(5)).await.expect_problem(413, "body-too-large");
}

#[tokio::test]
async fn a_client_that_asks_too_fast_is_told_when_to_try_again() {
    let server = Server::start_with(ApiConfig { rate: RateLimit { per_second: 1, burst: 3 }, ..config() }).await;
    for _ in 0..3 {
        server.get("/api/v1/statistics").await.expect(200);
    }
    let reply = server.get("/api/v1/statistics").await;
    assert_eq!(reply.header("retry-after"), "1");
    reply.expect_problem(429, "rate-limited");
}

#[tokio::test]
async fn guesses_at_tokens_use_up_the_address() {
    let config = ApiConfig { require_token: true, rate: RateLimit { per_second: 1, burst: 3 }, ..ApiConfig::default() };
    let server = Server::start_with(config).await;
    for _ in 0..3 {
        server.get("/api/v1/statistics").await.expect_problem(401, "unauthenticated");
    }
    server.get("/api/v1/statistics").await.expect_problem(429, "rate-limited");
}

#[tokio::test]
async fn a_client_has_so_many_streams_and_no_more() {
    let server = Server::start_with(ApiConfig { streams: 2, ..config() }).await;
    let address = server.listen().await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut client = Subscriber::open(address, "/api/v1/events", None).await;
        client.next().await.unwrap();
        open.push(client);
    }
    let metrics = server.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("bulkhead_streams_open 2"));
    // Another client, as far as addresses go, still gets one.
    let other = server.state.clone();
    let request = Request::get("/api/v1/events").header("host", "localhost").body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(bulkhead_api::router(other), request).await.unwrap();
    assert_eq!(response.status(), 200);
    let refused = reply_head(address, "/api/v1/events").await;
    assert!(refused.starts_with("HTTP/1.0 429") && refused.contains("retry-after: 5"), "{refused}");
    drop(open);
    // The server notices at its next write that a client has gone; a change makes it write.
    loop {
        let run = server.run("x", "workers = 1").await;
        server.end(&run).await;
        if reply_head(address, "/api/v1/events").await.starts_with("HTTP/1.0 200") {
            break;
        }
    }
}

async fn reply_head(address: std::net::SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut reader = tokio::io::BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).await.unwrap() > 2 {}
    head
}

/// Everything that a connection brings until its end.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_connection_that_never_ends_its_head_is_closed() {
    let server = Server::start_with(ApiConfig { head_timeout: Duration::from_millis(100), ..config() }).await;
    let mut slow = TcpStream::connect(server.listen().await).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: loc").await.unwrap();
    assert!(!rest(slow).await.contains("200 OK"));
}

#[tokio::test]
async fn connections_wait_for_a_place() {
    let server = Server::start_with(ApiConfig { connections: 1, ..config() }).await;
    let address = server.listen().await;
    let first = Subscriber::open(address, "/api/v1/events", None).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(b"GET /health HTTP/1.0\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = tokio::spawn(rest(second));
    // The stream holds the only place, and its end makes room.
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut answer).await.is_err());
    drop(first);
    assert!(answer.await.unwrap().contains("200 OK"));
}
