//! HTTP requests, where the definition grants them (`allow.http`): a small client that waits for its answers. Feature `http`.
//!
//! ```no_run
//! use bulkhead_plugin::http;
//! # fn run() -> Result<(), bulkhead_plugin::Error> {
//! let answer = http::get("https://docs.example.org/").header("accept", "text/html").send()?;
//! if answer.status() == 200 {
//!     let page = answer.text(1 << 20)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is followed and nothing decoded: a redirect is an answer whose `location` the plugin may ask for next (the host checks
//! that like any request), and a compressed body comes as it is. A body is a stream ([`Body`] is [`Read`]) and is fetched as fast
//! as it is read.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use serde::Serialize;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
    http_error_code,
};
use wasip2::io::streams::{InputStream, StreamError};

/// Bytes that are asked for and sent at once.
const PIECE: usize = 16 << 10;

/// Why a request got no answer, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The definition does not grant this host, or not the address behind it. The host's log line says what would.
    Denied,
    /// The request is none: its URL, a header, its body.
    Invalid(String),
    /// There is no such name, no connection, or no TLS that can be trusted.
    Unreachable(String),
    /// It took too long; what did.
    TimedOut(&'static str),
    /// More at once than the host allows.
    Busy,
    /// The answer, or its head, is larger than it may be.
    TooLarge(String),
    /// The answer is no HTTP, or broke off.
    Broken(String),
}

impl HttpError {
    /// Whether the same request can't end otherwise.
    pub fn is_permanent(&self) -> bool {
        matches!(self, HttpError::Denied | HttpError::Invalid(_))
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Denied => f.write_str("the request was denied"),
            HttpError::Invalid(what) => write!(f, "the request is not acceptable: {what}"),
            HttpError::Unreachable(why) => write!(f, "the host can't be reached: {why}"),
            HttpError::TimedOut(what) => write!(f, "time-out while waiting for {what}"),
            HttpError::Busy => f.write_str("the host has too much to send already"),
            HttpError::TooLarge(what) => write!(f, "the answer is too large: {what}"),
            HttpError::Broken(why) => write!(f, "the answer broke: {why}"),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<ErrorCode> for HttpError {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => HttpError::Denied,
            ErrorCode::HttpRequestUriInvalid => HttpError::Invalid("its URL".into()),
            ErrorCode::HttpRequestMethodInvalid => HttpError::Invalid("its method".into()),
            ErrorCode::HttpRequestBodySize(_) => HttpError::Invalid("its body's length".into()),
            ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => HttpError::Unreachable("its name has no address".into()),
            ErrorCode::ConnectionRefused | ErrorCode::DestinationUnavailable => HttpError::Unreachable("no connection".into()),
            ErrorCode::TlsCertificateError => HttpError::Unreachable("its certificate can't be trusted".into()),
            ErrorCode::TlsProtocolError => HttpError::Unreachable("no TLS".into()),
            ErrorCode::DnsTimeout | ErrorCode::ConnectionTimeout => HttpError::TimedOut("the connection"),
            ErrorCode::HttpResponseTimeout => HttpError::TimedOut("the answer"),
            ErrorCode::ConnectionReadTimeout => HttpError::TimedOut("more of the answer"),
            ErrorCode::ConnectionLimitReached => HttpError::Busy,
            ErrorCode::HttpResponseHeaderSectionSize(_) => HttpError::TooLarge("its head".into()),
            ErrorCode::HttpResponseIncomplete | ErrorCode::ConnectionTerminated => HttpError::Broken("it ended too early".into()),
            ErrorCode::InternalError(Some(why)) => HttpError::Broken(why),
            other => HttpError::Broken(other.to_string()),
        }
    }
}

/// A request for `url`.
pub fn get(url: impl Into<String>) -> Request {
    Request::new("GET", url)
}

/// A request that sends `body` to `url`.
pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", url).body(body)
}

/// A request, before it is sent.
#[derive(Clone, Debug)]
#[must_use]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    connect_timeout: Option<Duration>,
    first_byte_timeout: Option<Duration>,
    between_bytes_timeout: Option<Duration>,
}

impl Request {
    /// A request with any method.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Request {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            connect_timeout: None,
            first_byte_timeout: None,
            between_bytes_timeout: None,
        }
    }

    /// Adds a header. The host sets `host` and what is about the connection itself, and refuses them here.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sends this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends a value as JSON.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Result<Self, HttpError> {
        let body = serde_json::to_vec(value).map_err(|error| HttpError::Invalid(error.to_string()))?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// How long the name, the connection and TLS may take. The host has a default and a maximum for each of these.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long the answer's head may take.
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = Some(timeout);
        self
    }

    /// How long the answer's body may pause.
    pub fn between_bytes_timeout(mut self, timeout: Duration) -> Self {
        self.between_bytes_timeout = Some(timeout);
        self
    }

    /// Sends it and waits for the answer's head.
    pub fn send(self) -> Result<Response, HttpError> {
        let url = Url::split(&self.url)?;
        let mut headers = self.headers;
        if !self.body.is_empty() {
            headers.push(("content-length".to_owned(), self.body.len().to_string().into_bytes()));
        }
        let headers = Fields::from_list(&headers).map_err(|error| HttpError::Invalid(format!("a header: {error}")))?;
        let request = OutgoingRequest::new(headers);
        let invalid = |what: &str| HttpError::Invalid(what.to_owned());
        request.set_method(&method(&self.method)).map_err(|()| invalid("its method"))?;
        request.set_scheme(Some(&url.scheme)).map_err(|()| invalid("its URL's scheme"))?;
        request.set_authority(Some(url.authority)).map_err(|()| invalid("its URL's host"))?;
        request.set_path_with_query(Some(&url.path)).map_err(|()| invalid("its URL's path"))?;
        let options = RequestOptions::new();
        // The host takes all of them.
        let nanos = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let _ = options.set_connect_timeout(self.connect_timeout.map(nanos));
        let _ = options.set_first_byte_timeout(self.first_byte_timeout.map(nanos));
        let _ = options.set_between_bytes_timeout(self.between_bytes_timeout.map(nanos));
        let body = if self.body.is_empty() { None } else { request.body().ok() };
        let answer = outgoing_handler::handle(request, Some(options))?;
        if let Some(body) = body {
            // An answer may come before all is sent, and says why then.
            let _ = write(body, &self.body);
        }
        answer.subscribe().block();
        match answer.get() {
            Some(Ok(Ok(response))) => Ok(Response::new(response)),
            Some(Ok(Err(code))) => Err(code.into()),
            _ => Err(HttpError::Broken("the host has no answer".to_owned())),
        }
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), HttpError> {
    let broken = |error: StreamError| HttpError::Broken(error.to_string());
    let stream = body.write().map_err(|()| HttpError::Broken("its body can't be written".to_owned()))?;
    // The contract of streams: 4 KiB at once.
    for piece in bytes.chunks(4 << 10) {
        stream.blocking_write_and_flush(piece).map_err(broken)?;
    }
    drop(stream);
    Ok(OutgoingBody::finish(body, None)?)
}

/// A URL's parts as `wasi:http` wants them. The host makes sense of them.
struct Url<'a> {
    scheme: Scheme,
    authority: &'a str,
    path: String,
}

impl<'a> Url<'a> {
    fn split(url: &'a str) -> Result<Self, HttpError> {
        let invalid = || HttpError::Invalid("its URL starts with `http://` or `https://` and a host".to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(invalid()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() {
            return Err(invalid());
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Url { scheme, authority, path: format!("{slash}{path}") })
    }
}

/// An answer: its head, and its body still to be read.
#[derive(Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    response: IncomingResponse,
}

impl Response {
    fn new(response: IncomingResponse) -> Self {
        Response { status: response.status(), headers: response.headers().entries(), response }
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// All headers, in the order in which they came.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// Its body, to be read.
    pub fn into_body(self) -> Body {
        let body = self.response.consume().ok();
        let stream = body.as_ref().and_then(|body| body.stream().ok());
        Body { stream, _body: body, _response: self.response }
    }

    /// The whole body, if it has at most so many bytes.
    pub fn bytes(self, most: usize) -> Result<Vec<u8>, HttpError> {
        let mut body = self.into_body();
        let mut bytes = Vec::new();
        while let Some(piece) = body.piece(PIECE)? {
            if bytes.len() + piece.len() > most {
                return Err(HttpError::TooLarge(format!("its body has more than {most} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The whole body as text, what is no UTF-8 replaced, if it has at most so many bytes.
    pub fn text(self, most: usize) -> Result<String, HttpError> {
        let bytes = self.bytes(most)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

/// An answer's body. Drop it to have no more.
#[derive(Debug)]
pub struct Body {
    // In this order: a stream goes before the body that it is of.
    stream: Option<InputStream>,
    _body: Option<IncomingBody>,
    _response: IncomingResponse,
}

impl Body {
    /// The next bytes, so many at most; none at the end.
    pub fn piece(&mut self, most: usize) -> Result<Option<Vec<u8>>, HttpError> {
        let Some(stream) = &self.stream else { return Ok(None) };
        loop {
            match stream.blocking_read(most as u64) {
                Ok(bytes) if bytes.is_empty() && most > 0 => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(StreamError::Closed) => return Ok(None),
                Err(StreamError::LastOperationFailed(error)) => {
                    let code = http_error_code(&error).map(HttpError::from);
                    return Err(code.unwrap_or_else(|| HttpError::Broken(error.to_debug_string())));
                }
            }
        }
    }
}

impl Read for Body {
    /// # Errors
    /// An [`HttpError`], wrapped.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.piece(buffer.len().min(PIECE)).map_err(io::Error::other)? {
            None => Ok(0),
            Some(piece) => {
                buffer[..piece.len()].copy_from_slice(&piece);
                Ok(piece.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_where_the_host_ends() {
        for (url, authority, path) in [
            ("http://a.test", "a.test", "/"),
            ("HTTPS://a.test:8443/x/y?q=1#part", "a.test:8443", "/x/y?q=1"),
            ("http://a.test?q", "a.test", "/?q"),
        ] {
            let split = Url::split(url).unwrap();
            assert_eq!((split.authority, split.path.as_str()), (authority, path));
        }
        for url in ["a.test", "ftp://a.test/", "http:///x", "http://#x"] {
            assert!(Url::split(url).is_err(), "{url}");
        }
    }

    #[test]
    fn only_what_the_definition_decides_is_permanent() {
        assert!(HttpError::Denied.is_permanent());
        assert!(!HttpError::Busy.is_permanent());
    }
}
