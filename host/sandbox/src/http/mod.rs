//! `wasi:http`: what a guest sends goes through the port [`Egress`], under its step's `allow.http` and within its limits.
//!
//! A guest without a grant may import `wasi:http` (a library may bring it along): each of its requests is denied.

mod record;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use bulkhead_engine::egress::{Egress, EgressError, EgressGrant, EgressRequest, EgressTimeouts, Wait};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpCtx, WasiHttpHooks};

pub(crate) use traffic::{HttpQuota, Traffic};

use record::{Direction, Unanswered};

/// The longest that a guest may make any part of an exchange wait. The attempt's own time bounds the whole.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Bytes that a guest writes to a request's body at once.
const WRITE_SIZE: usize = 64 << 10;

/// What a store holds for `wasi:http`; made at the first call.
pub(crate) struct Http {
    pub(crate) ctx: WasiHttpCtx,
    pub(crate) hooks: Hooks,
}

impl Http {
    pub(crate) fn new(traffic: Arc<Traffic>, egress: Option<Arc<dyn Egress>>, patterns: &[String]) -> Self {
        let grant = Arc::new(EgressGrant { patterns: patterns.to_vec() });
        Self { ctx: WasiHttpCtx::new(), hooks: Hooks { traffic, egress, grant } }
    }
}

/// Where `wasi:http` asks for what is the host's to decide.
pub(crate) struct Hooks {
    traffic: Arc<Traffic>,
    egress: Option<Arc<dyn Egress>>,
    grant: Arc<EgressGrant>,
}

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<()>> + Send>)>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (traffic, egress, grant) = (Arc::clone(&self.traffic), self.egress.clone(), Arc::clone(&self.grant));
        // Begun here and not in the future, so that no guest has more requests under way than its limit.
        let exchange = traffic.begin(&request);
        Box::new(async move {
            let exchange = exchange.map_err(|error| Error::InternalError(Some(error.to_string())))?;
            let unanswered = Unanswered(exchange);
            let exchange = &unanswered.0;
            traffic.write_records().await;
            let sent = exchange.clone();
            let body = request.map(|body| sent.count(Direction::Sent, body.map_err(|error| of_guest(&error))).boxed_unsync());
            let request = EgressRequest { request: body, grant, timeouts: timeouts(options) };
            let answer = match egress {
                Some(egress) => egress.send(request).await,
                None => Err(EgressError::Denied {
                    host: exchange.host().to_owned(),
                    address: None,
                    rule: "this host lets no request out".to_owned(),
                }),
            };
            match answer {
                Ok(answer) => {
                    exchange.answered(answer.status());
                    let answer = answer
                        .map(|body| exchange.count(Direction::Received, body).map_err(|error| to_guest(&error)).boxed_unsync());
                    Ok((answer, Box::new(std::future::ready(Ok(()))) as Box<dyn Future<Output = Result<()>> + Send>))
                }
                Err(error) => {
                    exchange.failed(&error);
                    Err(to_guest(&error))
                }
            }
        })
    }

    /// The URL's host, as it was checked, is set where the request is sent.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        WRITE_SIZE
    }
}

fn timeouts(options: Option<RequestOptions>) -> EgressTimeouts {
    let default = EgressTimeouts::default();
    let RequestOptions { connect_timeout, first_byte_timeout, between_bytes_timeout } = options.unwrap_or_default();
    EgressTimeouts {
        connect: connect_timeout.unwrap_or(default.connect).min(LONGEST_WAIT),
        first_byte: first_byte_timeout.unwrap_or(default.first_byte).min(LONGEST_WAIT),
        between_bytes: between_bytes_timeout.unwrap_or(default.between_bytes).min(LONGEST_WAIT),
    }
}

/// A body that the guest did not finish as it said.
fn of_guest(error: &Error) -> EgressError {
    EgressError::Invalid(format!("its body: {error}"))
}

/// The code that says the same to a guest.
fn to_guest(error: &EgressError) -> Error {
    match error {
        EgressError::Denied { address: None, .. } => Error::HttpRequestDenied,
        EgressError::Denied { address: Some(_), .. } => Error::DestinationIpProhibited,
        EgressError::Invalid(_) => Error::HttpRequestUriInvalid,
        EgressError::Unresolved(_) => Error::DnsError { rcode: Some("the name has no address".to_owned()), info_code: None },
        EgressError::Connect { .. } => Error::ConnectionRefused,
        EgressError::Tls { certificate: true, .. } => Error::TlsCertificateError,
        EgressError::Tls { certificate: false, .. } => Error::TlsProtocolError,
        EgressError::TimedOut(Wait::Connection) => Error::ConnectionTimeout,
        EgressError::TimedOut(Wait::Answer) => Error::HttpResponseTimeout,
        EgressError::TimedOut(Wait::Body) => Error::ConnectionReadTimeout,
        EgressError::TimedOut(Wait::Turn) | EgressError::Busy(_) => Error::ConnectionLimitReached,
        EgressError::HeadTooLarge => Error::HttpResponseHeaderSectionSize(None),
        EgressError::Incomplete(_) => Error::HttpResponseIncomplete,
        EgressError::Protocol(_) => Error::HttpProtocolError,
        EgressError::Limit(message) => Error::InternalError(Some(message.clone())),
    }
}
