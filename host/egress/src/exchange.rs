//! One request and its answer; the clients that are kept between them.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bulkhead_engine::egress::{
    Egress, EgressBody, EgressError, EgressGrant, EgressRequest, EgressStatistics, EgressTimeouts, Wait,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{self, HeaderName};
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::{EgressConfig, EgressConfigError};
use crate::connect::{Bounded, Connector};
use crate::counters::{Counter, Counters, Held};
use crate::error;
use crate::grant::Grant;
use crate::resolve::Resolve;
use crate::target::Target;
use crate::tls;
use crate::turns::{Turn, Turns};

/// Bytes of an answer's head, and of what is read at once of a body.
const MAX_HEAD: usize = 64 << 10;
/// Header fields of an answer.
const MAX_FIELDS: usize = 512;
/// Idle connections that are kept to one host under one grant.
const IDLE_PER_HOST: usize = 8;
/// Grants whose connections are kept; beyond that, the least recently used grant's go.
const KEPT_GRANTS: usize = 128;
/// Bytes that the other end of HTTP/2 may send of one answer before it is read.
const STREAM_WINDOW: u32 = 256 << 10;
/// Likewise of all answers on one connection, so that some that nobody reads hold up no other.
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;
/// Pieces of a body that are read ahead.
const READ_AHEAD: usize = 1;

/// Fields that are about a connection, and so not the sender's to set.
const OF_CONNECTIONS: [HeaderName; 9] = [
    header::CONNECTION,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

type HttpClient = Client<Bounded<HttpsConnector<Connector>>, Outgoing>;

/// Sends requests with hyper, on a runtime of its choice: who asks may be on another, and be slow.
#[derive(Clone)]
pub struct HttpEgress {
    shared: Arc<Shared>,
    runtime: Handle,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) config: EgressConfig,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) counters: Counters,
    connections: Arc<Semaphore>,
    turns: Turns,
    tls: OnceCell<ClientConfig>,
    clients: Mutex<Clients>,
}

/// One client, with its connections, for each grant that was used of late.
#[derive(Default)]
struct Clients {
    kept: HashMap<EgressGrant, Kept>,
    uses: u64,
}

struct Kept {
    client: HttpClient,
    grant: Arc<Grant>,
    last_use: u64,
}

impl HttpEgress {
    /// A way out that works on a runtime, which needs I/O and time. Nothing is connected or read before the first request.
    ///
    /// # Errors
    /// A certificate of [`EgressConfig::extra_roots`] can't be trusted.
    pub fn new(config: EgressConfig, resolver: Arc<dyn Resolve>, runtime: Handle) -> Result<Self, EgressConfigError> {
        tls::check(&config)?;
        let counters = Counters::default();
        let shared = Shared {
            connections: Arc::new(Semaphore::new(config.connections.get())),
            turns: Turns::new(config.per_host, config.rate, counters.waiting.clone()),
            tls: OnceCell::new(),
            clients: Mutex::default(),
            resolver,
            counters,
            config,
        };
        Ok(Self { shared: Arc::new(shared), runtime })
    }
}

impl std::fmt::Debug for HttpEgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpEgress").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl Egress for HttpEgress {
    fn send(&self, request: EgressRequest) -> BoxFuture<'static, Result<Response<EgressBody>, EgressError>> {
        let shared = Arc::clone(&self.shared);
        let runtime = self.runtime.clone();
        Box::pin(async move {
            let counters = shared.counters.clone();
            let in_flight = counters.in_flight.hold();
            let mut exchange = Task(runtime.spawn(shared.exchange(request, in_flight)));
            let result = (&mut exchange.0).await.unwrap_or_else(|error| Err(EgressError::Protocol(error.to_string())));
            let outcome = match &result {
                Ok(_) => &counters.answered,
                Err(EgressError::Denied { .. }) => &counters.denied,
                Err(_) => &counters.failed,
            };
            outcome.add(1);
            result
        })
    }

    fn statistics(&self) -> EgressStatistics {
        self.shared.counters.read()
    }
}

/// A task that ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    async fn exchange(self: Arc<Self>, request: EgressRequest, in_flight: Held) -> Result<Response<EgressBody>, EgressError> {
        let EgressRequest { request, grant, timeouts } = request;
        let (mut head, body) = request.into_parts();
        if head.method == Method::CONNECT {
            return Err(EgressError::Invalid("its method is CONNECT, which asks for a tunnel".to_owned()));
        }
        let (target, uri) = Target::of(&head.uri)?;
        let (client, grant) = self.client(&grant).await?;
        grant.check(&target)?;
        let turn = self.turns.take(&target.host(), self.config.turn).await?;
        clean(&mut head.headers);
        if uri.scheme() == Some(&Scheme::HTTP)
            && let Some(authorization) = self.config.proxy.as_ref().and_then(|proxy| proxy.intercept(&uri)?.authorization)
        {
            head.headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        head.uri = uri;
        // What the other end speaks is found when it is connected to.
        head.version = http::Version::HTTP_11;
        let pace = Pace::new(self.counters.bytes_sent.clone());
        let mut request = Request::from_parts(head, Outgoing { body, pace: pace.clone() });
        let mut connection = capture_connection(&mut request);
        let connected = async move { drop(connection.wait_for_connection_metadata().await) };
        let answer = client.request(request);
        let answer = await_head(answer, connected, &pace, timeouts).await?;
        let answer = answer.map_err(|error| error::of_request(&error, &target.label()))?;
        let (head, body) = answer.into_parts();
        let (pieces, receiver) = mpsc::channel(READ_AHEAD);
        let reading = Reading { body, timeout: timeouts.between_bytes, received: self.counters.bytes_received.clone() };
        let task = tokio::spawn(reading.run(pieces, (turn, in_flight)));
        let body = Answer { receiver, ended: false, _task: Task(task) };
        Ok(Response::from_parts(head, body.boxed_unsync()))
    }

    /// The client for a grant, and the grant as it was read.
    async fn client(self: &Arc<Self>, wanted: &Arc<EgressGrant>) -> Result<(HttpClient, Arc<Grant>), EgressError> {
        if let Some(known) = self.clients().find(wanted) {
            return Ok(known);
        }
        let grant = Arc::new(Grant::read(wanted)?);
        let tls = self.tls.get_or_try_init(|| self.read_certificates()).await?.clone();
        let connector = Connector { shared: Arc::clone(self), grant: Arc::clone(&grant) };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(self.config.idle)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_max_buf_size(MAX_HEAD)
            .http1_max_headers(MAX_FIELDS)
            .http2_max_header_list_size(MAX_HEAD as u32)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .build(Bounded(connector));
        self.clients().keep(wanted, &client, &grant);
        Ok((client, grant))
    }

    async fn read_certificates(&self) -> Result<ClientConfig, EgressError> {
        let (native, extra) = (self.config.native_roots, self.config.extra_roots.clone());
        let read = tokio::task::spawn_blocking(move || tls::client_config(native, &extra)).await;
        let broken = |reason: String| EgressError::Protocol(format!("TLS can't be set up: {reason}"));
        read.map_err(|error| broken(error.to_string()))?.map_err(|error| broken(error.to_string()))
    }

    /// Room for one more connection. Where there is none, idle ones go.
    pub(crate) async fn connection_permit(&self) -> Result<OwnedSemaphorePermit, EgressError> {
        let connections = Arc::clone(&self.connections);
        if let Ok(permit) = Arc::clone(&connections).try_acquire_owned() {
            return Ok(permit);
        }
        // A client that is dropped closes its idle connections; those at work go on.
        self.clients().kept.clear();
        connections.acquire_owned().await.map_err(|error| EgressError::Busy(error.to_string()))
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clients {
    fn find(&mut self, wanted: &EgressGrant) -> Option<(HttpClient, Arc<Grant>)> {
        self.uses += 1;
        let kept = self.kept.get_mut(wanted)?;
        kept.last_use = self.uses;
        Some((kept.client.clone(), Arc::clone(&kept.grant)))
    }

    fn keep(&mut self, wanted: &EgressGrant, client: &HttpClient, grant: &Arc<Grant>) {
        if self.kept.len() >= KEPT_GRANTS
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.last_use).map(|(grant, _)| grant.clone())
        {
            self.kept.remove(&oldest);
        }
        self.kept.insert(wanted.clone(), Kept { client: client.clone(), grant: Arc::clone(grant), last_use: self.uses });
    }
}

/// Takes out what is about the connection. hyper sets the host, from the URL that was checked.
fn clean(headers: &mut HeaderMap) {
    for name in OF_CONNECTIONS {
        headers.remove(name);
    }
}

/// Waits for an answer's head, as long as the parts of that may take.
async fn await_head<A>(
    answer: impl Future<Output = A>,
    connected: impl Future<Output = ()>,
    pace: &Pace,
    timeouts: EgressTimeouts,
) -> Result<A, EgressError> {
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => return Ok(answer),
        () = connected => {}
        () = tokio::time::sleep(timeouts.connect) => return Err(EgressError::TimedOut(Wait::Connection)),
    }
    pace.touch();
    loop {
        let deadline = pace.since() + timeouts.first_byte;
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer),
            () = tokio::time::sleep_until(deadline) => {
                if pace.since() + timeouts.first_byte <= Instant::now() {
                    return Err(EgressError::TimedOut(Wait::Answer));
                }
            }
        }
    }
}

/// When a request's body last moved, and who is to move it.
#[derive(Clone)]
struct Pace {
    last: Arc<Mutex<Instant>>,
    /// The sender has the next piece to give: meanwhile the other end is not to blame.
    waits_for_sender: Arc<AtomicBool>,
    sent: Counter,
}

impl Pace {
    fn new(sent: Counter) -> Self {
        Self { last: Arc::new(Mutex::new(Instant::now())), waits_for_sender: Arc::default(), sent }
    }

    /// It moved, or the sender was asked for more.
    fn mark(&self, waits_for_sender: bool) {
        self.waits_for_sender.store(waits_for_sender, Ordering::Relaxed);
        self.touch();
    }

    /// The time counts from now.
    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Since when the other end is to move.
    fn since(&self) -> Instant {
        if self.waits_for_sender.load(Ordering::Relaxed) {
            return Instant::now();
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's body on its way.
struct Outgoing {
    body: EgressBody,
    pace: Pace,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.pace.mark(frame.is_pending());
        let frame = ready!(frame);
        if let Some(Ok(frame)) = &frame {
            self.pace.sent.add(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads an answer's body, a piece ahead of its reader, on a thread that no guest holds up.
struct Reading {
    body: Incoming,
    timeout: Duration,
    received: Counter,
}

type Piece = Result<Frame<Bytes>, EgressError>;

impl Reading {
    /// Reads to the end. `held` is given back then.
    async fn run(mut self, pieces: mpsc::Sender<Piece>, held: (Turn, Held)) {
        // The time that counts is the other end's: it begins when there is room for what it sends.
        while let Ok(room) = pieces.reserve().await {
            let piece = match tokio::time::timeout(self.timeout, self.body.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => {
                    self.received.add(frame.data_ref().map_or(0, |data| data.len() as u64));
                    Ok(frame)
                }
                Ok(Some(Err(error))) => Err(error::of_body(&error)),
                Err(_) => Err(EgressError::TimedOut(Wait::Body)),
            };
            let ended = piece.is_err();
            room.send(piece);
            if ended {
                break;
            }
        }
        drop(held);
    }
}

/// An answer's body, for its reader.
struct Answer {
    receiver: mpsc::Receiver<Piece>,
    ended: bool,
    _task: Task<()>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.receiver.poll_recv(context));
        self.ended = !matches!(piece, Some(Ok(_)));
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
