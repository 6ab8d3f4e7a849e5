//! A listener that answers until the API is closed.

use std::net::SocketAddr;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::describe::router;
use crate::state::ApiState;

/// Answers until [`ApiState::close`]. Then it takes no more connections, ends all streams, and returns when all requests that are
/// under way have ended. A client that does not read its answer holds that up, so bound the wait.
///
/// # Errors
/// What the listener says.
pub async fn serve(listener: TcpListener, state: ApiState) -> std::io::Result<()> {
    // Answers are small and complete: waiting for more to send along would only delay them.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    let closing = state.closing().clone().cancelled_owned();
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(closing).await
}
