//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second for one at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::{CliError, CliResult};

/// What the user, or the system, asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shutdown {
    /// Fires at the first signal.
    pub(crate) requested: CancellationToken,
    /// Fires at the second.
    pub(crate) at_once: CancellationToken,
}

impl Shutdown {
    /// Listens for Ctrl-C and SIGTERM from now on, for as long as the runtime lives.
    pub(crate) fn listen() -> CliResult<Self> {
        let broken = |error| CliError::broken(format!("signals cannot be received: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
        let shutdown = Self::default();
        let tokens = shutdown.clone();
        tokio::spawn(async move {
            for token in [tokens.requested, tokens.at_once] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                token.cancel();
            }
        });
        Ok(shutdown)
    }
}
