//! Connections: a name's addresses are found once, each is checked, and a checked one is connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bulkhead_engine::egress::{EgressError, Wait};
use futures::future::BoxFuture;
use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tower_service::Service;

use crate::counters::Held;
use crate::exchange::Shared;
use crate::grant::Grant;
use crate::target::{Site, Target};

/// The addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// How long making a connection may take in all, whatever the request that began it said: another may use it later.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(60);
/// How long one of several addresses is tried.
const ADDRESS_LIMIT: Duration = Duration::from_secs(5);
/// How long finding a name's addresses may take.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// Connects under one grant.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) shared: Arc<Shared>,
    pub(crate) grant: Arc<Grant>,
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = EgressError;
    type Future = BoxFuture<'static, Result<Link, EgressError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(uri).await })
    }
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Link, EgressError> {
        let (target, uri) = Target::of(&uri)?;
        // Again, in case a connection is made for another reason than the request that was checked.
        self.grant.check(&target)?;
        let Some(via) = self.shared.config.proxy.as_ref().and_then(|proxy| proxy.intercept(&uri)) else {
            return dial(&self.shared, &target, Some(&self.grant)).await;
        };
        let to_proxy = ToProxy(self.shared);
        if uri.scheme() != Some(&Scheme::HTTPS) {
            let mut link = to_proxy.connect(via.uri).await?;
            link.proxied = true;
            return Ok(link);
        }
        let mut tunnel = Tunnel::new(via.uri, to_proxy);
        if let Some(authorization) = via.authorization {
            tunnel = tunnel.with_auth(authorization);
        }
        let refused = |error: &dyn std::fmt::Display| EgressError::Connect {
            host: target.label(),
            reason: format!("by the proxy: {error}"),
        };
        tunnel.call(uri).await.map_err(|error| refused(&error))
    }
}

/// Connects to the proxy, which the configuration names, so nothing is checked.
#[derive(Clone)]
struct ToProxy(Arc<Shared>);

impl ToProxy {
    async fn connect(self, uri: Uri) -> Result<Link, EgressError> {
        let (target, _) = Target::of(&uri)?;
        dial(&self.0, &target, None).await
    }
}

impl Service<Uri> for ToProxy {
    type Response = Link;
    type Error = EgressError;
    type Future = BoxFuture<'static, Result<Link, EgressError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Connects to a target, under a grant if there is one.
async fn dial(shared: &Arc<Shared>, target: &Target, grant: Option<&Grant>) -> Result<Link, EgressError> {
    let addresses = resolve(shared, target).await?;
    let mut allowed = Vec::new();
    let mut denial = None;
    for address in addresses {
        match grant.map_or(Ok(()), |grant| grant.check_address(target, address)) {
            Ok(()) => allowed.push(address),
            Err(error) => denial = Some(error),
        }
    }
    // An address that is denied counts as none: another of the same name may be public.
    if let (true, Some(denial)) = (allowed.is_empty(), denial) {
        return Err(denial);
    }
    let permit = shared.connection_permit().await?;
    let mut reason = String::from("it has no address");
    for address in allowed.iter().take(MAX_ADDRESSES) {
        let attempt = TcpStream::connect(SocketAddr::new(*address, target.port.number));
        let error = match tokio::time::timeout(ADDRESS_LIMIT, attempt).await {
            Ok(Ok(stream)) => return Ok(Link::new(shared, stream, permit)),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        reason = format!("{address}: {error}");
    }
    Err(EgressError::Connect { host: target.label(), reason })
}

async fn resolve(shared: &Shared, target: &Target) -> Result<Vec<IpAddr>, EgressError> {
    let name = match &target.host {
        Site::Address(address) => return Ok(vec![*address]),
        Site::Name(name) => name,
    };
    let found = tokio::time::timeout(RESOLVE_LIMIT, shared.resolver.resolve(name.clone())).await;
    match found.map_err(|_| EgressError::TimedOut(Wait::Connection))? {
        Ok(addresses) if addresses.is_empty() => Err(EgressError::Unresolved(name.clone())),
        Ok(addresses) => Ok(addresses),
        Err(error) => {
            tracing::debug!(name, %error, "a name can't be resolved");
            Err(EgressError::Unresolved(name.clone()))
        }
    }
}

/// A connection.
pub(crate) struct Link {
    stream: TokioIo<TcpStream>,
    /// Its other end is a proxy that is told whole URLs.
    proxied: bool,
    _permit: OwnedSemaphorePermit,
    _open: Held,
}

impl Link {
    fn new(shared: &Shared, stream: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        // Small requests wait for nothing; that it can't be set is no reason to do without the connection.
        let _ = stream.set_nodelay(true);
        shared.counters.connections_made.add(1);
        Self { stream: TokioIo::new(stream), proxied: false, _permit: permit, _open: shared.counters.connections_open.hold() }
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Link {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Link {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }
}

/// A connector with a bound on its time, TLS included.
#[derive(Clone)]
pub(crate) struct Bounded<C>(pub(crate) C);

impl<C> Service<Uri> for Bounded<C>
where
    C: Service<Uri, Error = Box<dyn std::error::Error + Send + Sync>>,
    C::Future: Send + 'static,
    C::Response: 'static,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<C::Response, C::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
                Ok(result) => result,
                Err(_) => Err(EgressError::TimedOut(Wait::Connection).into()),
            }
        })
    }
}
