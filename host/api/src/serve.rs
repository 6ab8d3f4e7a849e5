//! A listener that answers until it is told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::describe::router;
use crate::state::ApiState;

/// Answers until `shutdown` fires. Then it takes no more connections, ends all streams, lets requests that are under way end, and
/// returns when they have, or after `grace`.
///
/// # Errors
/// What the listener says.
pub async fn serve(listener: TcpListener, state: ApiState, shutdown: CancellationToken, grace: Duration) -> std::io::Result<()> {
    // Answers are small and complete: waiting for more to send along would only delay them.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    let service = router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let closing = {
        let shutdown = shutdown.clone();
        async move {
            shutdown.cancelled().await;
            state.close();
        }
    };
    let served = std::future::IntoFuture::into_future(axum::serve(listener, service).with_graceful_shutdown(closing));
    let too_late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        result = served => result,
        () = too_late => {
            tracing::warn!("some requests did not end in time");
            Ok(())
        }
    }
}
