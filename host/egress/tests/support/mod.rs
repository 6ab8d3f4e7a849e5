//! A hostile world: servers that do what a test says on real sockets, and names that mean what it says.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bulkhead_egress::{EgressConfig, HttpEgress, Resolve};
use bulkhead_engine::egress::{
    Egress as _, EgressBody, EgressError, EgressGrant, EgressRequest, EgressStatistics, EgressTimeouts,
};
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

/// An exchange that takes this long hangs.
const HANG: Duration = Duration::from_secs(60);

/// A server on loopback. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
    task: JoinHandle<()>,
}

/// What a server saw.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Counts {
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Server {
    /// Serves each connection with `serve`; that it breaks off is as good an end as any.
    pub(crate) async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(Peer) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), serve).await
    }

    /// A server at another address of this machine with the same port, which answers everything.
    pub(crate) async fn beside(other: &Self, address: &str) -> Self {
        let address = SocketAddr::new(address.parse().expect("an address"), other.port());
        let serve = |mut peer: Peer| async move {
            peer.read().await?;
            peer.write(&answer("200 OK", "", b"secret")).await
        };
        Self::at(address, serve).await
    }

    async fn at<F, Fut>(address: SocketAddr, serve: F) -> Self
    where
        F: Fn(Peer) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            let mut peers = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                shared.connections.fetch_add(1, Ordering::SeqCst);
                peers.spawn(serve(Peer { stream, unread: Vec::new(), counts: Arc::clone(&shared) }));
            }
        });
        Self { address, counts, task }
    }

    /// Answers each request with what `answer` makes of it, on connections that stay open.
    pub(crate) async fn answering(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                while let Some(asked) = peer.read().await? {
                    peer.write(&answer(&asked)).await?;
                }
                Ok(())
            }
        })
        .await
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A URL of this server, by its address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection of a server.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
    counts: Arc<Counts>,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    /// `GET /path HTTP/1.1`
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

impl Peer {
    /// The next request with its body; nothing where the connection ended.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Asked>> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(None);
            }
        };
        self.counts.requests.fetch_add(1, Ordering::SeqCst);
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end);
        let mut lines = head.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let headers: HashMap<_, _> =
            lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let body = self.exactly(length).await?;
        Ok(Some(Asked { line, headers, body }))
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Waits until the other end has gone.
    pub(crate) async fn gone(&mut self) {
        let mut rest = [0; 1024];
        while self.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    }
}

/// A whole answer.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Names that mean what a test says. Each question takes the next of a name's answers; the last is given for ever.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<String, Answers>>);

#[derive(Default)]
struct Answers {
    next: usize,
    answers: Vec<Vec<IpAddr>>,
}

impl Names {
    /// `names` is a name and its answers in turn, each with addresses divided by spaces.
    pub(crate) fn of(names: &[(&str, &[&str])]) -> Arc<Self> {
        let parse = |text: &&str| text.split_whitespace().map(|address| address.parse().expect("an address")).collect();
        let read = |(name, answers): &(&str, &[&str])| {
            ((*name).to_owned(), Answers { next: 0, answers: answers.iter().map(parse).collect() })
        };
        Arc::new(Self(Mutex::new(names.iter().map(read).collect())))
    }

    /// How often a name was asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.0.lock().unwrap().get(name).map_or(0, |answers| answers.next)
    }
}

impl Resolve for Names {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let result = match names.get_mut(&name) {
            Some(found) => {
                let at = found.next.min(found.answers.len() - 1);
                found.next += 1;
                Ok(found.answers[at].clone())
            }
            None => Err(io::ErrorKind::NotFound.into()),
        };
        Box::pin(std::future::ready(result))
    }
}

/// A way out, and what a test sends through it.
pub(crate) struct Way {
    egress: HttpEgress,
    timeouts: EgressTimeouts,
}

impl Way {
    pub(crate) fn new(config: EgressConfig, names: Arc<dyn Resolve>) -> Self {
        let config = EgressConfig { native_roots: false, ..config };
        let egress = HttpEgress::new(config, names, Handle::current()).expect("a way out");
        Self { egress, timeouts: EgressTimeouts::default() }
    }

    pub(crate) fn with(names: Arc<dyn Resolve>) -> Self {
        Self::new(EgressConfig::default(), names)
    }

    /// With this time for each part.
    pub(crate) fn hurried(mut self, each: Duration) -> Self {
        self.timeouts = EgressTimeouts { connect: each, first_byte: each, between_bytes: each };
        self
    }

    pub(crate) fn statistics(&self) -> EgressStatistics {
        self.egress.statistics()
    }

    /// Gets a URL under these patterns.
    pub(crate) async fn send(&self, url: &str, grant: &[String]) -> Result<Response<EgressBody>, EgressError> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::get(url).body(body).expect("a request");
        let grant = Arc::new(EgressGrant { patterns: grant.to_vec() });
        let sent = self.egress.send(EgressRequest { request, grant, timeouts: self.timeouts });
        tokio::time::timeout(HANG, sent).await.expect("the exchange ends")
    }

    /// Gets the text behind a URL.
    pub(crate) async fn text(&self, url: &str, grant: &[String]) -> Result<String, EgressError> {
        let body = self.send(url, grant).await?.into_body();
        let read = tokio::time::timeout(HANG, body.collect()).await.expect("the body ends")?;
        Ok(String::from_utf8_lossy(&read.to_bytes()).into_owned())
    }
}
