//! A receiver of webhooks: a small HTTP server that does as it is told, and remembers everything.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Answers with this status.
    Status(u16),
    /// Never answers.
    Hang,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its path.
    pub path: String,
    /// Its headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body, byte for byte.
    pub body: Vec<u8>,
    /// What it was answered.
    pub answer: Answer,
}

impl Received {
    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a delivery is JSON")
    }
}

type Decide = dyn Fn(usize) -> Answer + Send;

struct Shared {
    received: Vec<Received>,
    decide: Box<Decide>,
}

/// A running receiver. It ends with its runtime.
#[derive(Clone)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Receiver {
    /// Listens on a free port of this machine and answers every request so, until it is told otherwise.
    ///
    /// # Panics
    /// Where it can't listen.
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared { received: Vec::new(), decide: Box::new(move |_| answer) }));
        let receiver = Self { address, shared };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        receiver
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, answers as `decide` says of the number of each request, from 0.
    pub fn answer(&self, decide: impl Fn(usize) -> Answer + Send + 'static) {
        let mut shared = self.shared();
        let first = shared.received.len();
        shared.decide = Box::new(move |number| decide(number - first));
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared().received.clone()
    }

    /// How many requests it never answered.
    pub fn hanging(&self) -> usize {
        self.shared().received.iter().filter(|received| received.answer == Answer::Hang).count()
    }

    async fn serve(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some((path, headers, body)) = read(&mut stream).await {
            let answer = {
                let mut shared = self.shared();
                let answer = (shared.decide)(shared.received.len());
                shared.received.push(Received { path, headers, body, answer });
                answer
            };
            match answer {
                Answer::Hang => std::future::pending::<()>().await,
                Answer::Status(status) => {
                    let text = format!("HTTP/1.1 {status} as told\r\ncontent-length: 7\r\nlocation: /elsewhere\r\n\r\nas told");
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// The next request of a connection; none where the connection ends.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, BTreeMap<String, String>, Vec<u8>)> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((path, headers, body))
}
