//! A listener that answers until the API is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower_service::Service as _;

use crate::describe::router;
use crate::history;
use crate::state::ApiState;

/// The pause before another connection is taken when the process has no room for one, as for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Answers until [`ApiState::close`]. Then it takes no more connections, ends all streams, and returns when all requests that are
/// under way have ended. A client that does not read its answer holds that up, so bound the wait.
///
/// It holds [`ApiConfig::connections`](crate::ApiConfig::connections) at most: others wait to be taken. A connection that does not
/// bring the head of a request within [`ApiConfig::head_timeout`](crate::ApiConfig::head_timeout) is closed, so neither slow
/// nor idle ones keep the places for ever.
///
/// # Errors
/// What the listener says.
pub async fn serve(listener: TcpListener, state: ApiState) -> std::io::Result<()> {
    let closing = state.closing().clone();
    let places = Arc::new(Semaphore::new(state.config.connections));
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(state.config.head_timeout);
    // It ends by itself when the API is closed.
    tokio::spawn(history::record(state.clone()));
    let router = router(state);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (place, stream, peer))
        };
        tokio::select! {
            biased;
            () = closing.cancelled() => break,
            accepted = accepted => match accepted {
                Ok((place, stream, peer)) => {
                    let answering = answer(connection.clone(), stream, peer, router.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        answering.await;
                        drop(place);
                    });
                }
                Err(error) if is_about_the_connection(&error) => tracing::debug!(%error, "a connection ended before it began"),
                Err(error) => {
                    tracing::error!(%error, "no connection can be taken");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

/// Answers the requests of one connection.
async fn answer(connection: http1::Builder, stream: TcpStream, peer: SocketAddr, router: Router, watcher: Watcher) {
    // Answers are small and complete: waiting for more to send along would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let service = service_fn(|request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    if let Err(error) = watcher.watch(connection.serve_connection(TokioIo::new(stream), service)).await {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Whether a failure to accept is one connection's, and not the process's.
fn is_about_the_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
