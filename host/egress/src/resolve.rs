//! Names and their addresses: a port, so that tests have name servers of their own.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::Semaphore;

/// The most names that are resolved at once. A thread that waits for a name server can't be called back, so a server that does
/// not answer must not take them all.
const AT_ONCE: usize = 16;

/// Finds a name's addresses.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, the best first. The caller bounds the time.
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver, with its hosts file, its cache and its servers.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    turns: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let turns = Arc::clone(&self.turns);
        Box::pin(async move {
            let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
            let look_up = move || {
                // The turn ends with the thread's work, even if nobody waits for it any more.
                let _turn = turn;
                (name, 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect())
            };
            tokio::task::spawn_blocking(look_up).await.map_err(io::Error::other)?
        })
    }
}
