//! HTTP load: keep-alive connections that send one request after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;

/// One keep-alive connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

impl Connection {
    /// Connects to a server on this machine.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.expect("the server takes connections");
        stream.set_nodelay(true).expect("a TCP stream");
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        tokio::spawn(connection);
        Self { sender, address }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, method: Method, path: &str, kind: &str, body: Bytes) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", kind)
            .body(Full::new(body))
            .expect("a request");
        self.sender.ready().await.expect("the connection is open");
        let answer = self.sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        (status, answer.into_body().collect().await.expect("a whole answer").to_bytes())
    }

    /// Posts JSON and expects success.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Bytes {
        let (status, answer) = self.send(Method::POST, path, "application/json", Bytes::copy_from_slice(body.as_bytes())).await;
        assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&answer));
        answer
    }

    /// Gets JSON and expects success.
    pub(crate) async fn get(&mut self, path: &str) -> serde_json::Value {
        let (status, answer) = self.send(Method::GET, path, "application/json", Bytes::new()).await;
        assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).expect("JSON")
    }
}

/// Posts on `connections` connections for `time`, as fast as answers come: the number of answers.
pub(crate) async fn closed_loop(address: SocketAddr, connections: usize, time: Duration, path: &str, body: &str) -> u64 {
    let done = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + time;
    let clients = (0..connections).map(|_| {
        let (done, path, body) = (done.clone(), path.to_owned(), body.to_owned());
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            while Instant::now() < end {
                connection.post(&path, &body).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    futures::future::join_all(clients).await.into_iter().for_each(|client| client.expect("a client"));
    done.load(Ordering::Relaxed)
}

/// Posts `rate` times a second for `time`, whether answers came or not: the time from each moment at which a request was due
/// to its answer. So a slow answer counts for all that it delayed.
pub(crate) async fn open_loop(address: SocketAddr, rate: u32, time: Duration, path: &str, body: &str) -> Vec<Duration> {
    const CONNECTIONS: u32 = 64;
    let start = Instant::now();
    let period = Duration::from_secs(1) / rate;
    let total = (time.as_secs_f64() * f64::from(rate)) as u32;
    let clients = (0..CONNECTIONS).map(|client| {
        let (path, body) = (path.to_owned(), body.to_owned());
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            let mut times = Vec::new();
            for request in (client..total).step_by(CONNECTIONS as usize) {
                let due = start + period * request;
                tokio::time::sleep_until(due.into()).await;
                connection.post(&path, &body).await;
                times.push(due.elapsed());
            }
            times
        })
    });
    futures::future::join_all(clients).await.into_iter().flat_map(|client| client.expect("a client")).collect()
}
