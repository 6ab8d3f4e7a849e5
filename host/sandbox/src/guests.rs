//! The threads that guests run on, apart from the rest of the process and of lower priority.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// The guests' runtime. Its timers fire only as often as guests yield: what must happen in time waits elsewhere.
#[derive(Debug)]
pub(crate) struct Guests {
    runtime: Option<Runtime>,
    threads: usize,
}

impl Guests {
    /// Starts the threads.
    pub(crate) fn start(threads: Option<NonZeroUsize>, nice: i32) -> std::io::Result<Self> {
        let threads = threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let number = Arc::new(AtomicUsize::new(0));
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name_fn(move || format!("guest-{}", number.fetch_add(1, Ordering::Relaxed)))
            .on_thread_start(move || lower_priority(nice))
            // A file or a socket is never awaited here.
            .enable_time()
            .build()?;
        Ok(Self { runtime: Some(runtime), threads })
    }

    /// How many threads there are.
    pub(crate) const fn threads(&self) -> usize {
        self.threads
    }

    /// Runs something there.
    pub(crate) fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.as_ref().expect("the runtime lives until the drop").spawn(future)
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        // Guests end at their next tick; nobody waits for them.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lowers the calling thread's priority.
pub(crate) fn lower_priority(nice: i32) {
    // On Linux, process 0 means the calling thread; elsewhere it would be the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
        tracing::warn!(%error, nice, "a guest thread keeps its priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}
