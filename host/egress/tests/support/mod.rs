//! A hostile world: servers that do what a test says on real sockets, and names that mean what it says.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bulkhead_egress::Resolve;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
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
