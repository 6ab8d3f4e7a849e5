//! The real binary as a server, in a folder of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{Method, StatusCode};

use crate::Options;
use crate::http::Connection;

/// How long a server may take until it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server; it is killed when this is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first answer that says it is ready.
    pub(crate) start_up: Duration,
}

impl Server {
    /// Starts a server on a data folder and waits until it is ready.
    pub(crate) async fn start(options: &Options, data: &Path) -> Self {
        let address = free_address();
        let start = Instant::now();
        let process = Command::new(&options.binary)
            .args(["serve", "--rate-limit", "0", "--listen", &address.to_string(), "--data-dir"])
            .arg(data)
            .arg("--plugins")
            .arg(&options.plugins)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `make build`", options.binary.display()));
        let mut server = Self { process, address, start_up: Duration::ZERO };
        while !server.is_ready().await {
            assert!(start.elapsed() < START_TIMEOUT, "the server is not ready after {START_TIMEOUT:?}");
            assert!(server.process.try_wait().expect("a child").is_none(), "the server ended");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.start_up = start.elapsed();
        server.wait_for_plugins(options).await;
        server
    }

    /// A server is ready before it has compiled what it was given; waits until it has.
    async fn wait_for_plugins(&self, options: &Options) {
        let files = std::fs::read_dir(&options.plugins).expect("a folder of plugins").flatten();
        let wanted = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "wasm")).count();
        let mut connection = self.connect().await;
        let start = Instant::now();
        while connection.get("/api/v1/plugins").await["items"].as_array().expect("a list").len() < wanted {
            assert!(start.elapsed() < START_TIMEOUT, "the plugins are not loaded after {START_TIMEOUT:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        if tokio::net::TcpStream::connect(self.address).await.is_err() {
            return false;
        }
        let (status, _) = Connection::open(self.address).await.send(Method::GET, "/ready", "text/plain", Bytes::new()).await;
        status == StatusCode::OK
    }

    /// A connection to it.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Stores a definition `id` with these steps.
    pub(crate) async fn define(&self, id: &str, steps: &str) {
        let text = format!("id = \"{id}\"\n{steps}");
        let path = format!("/api/v1/definitions/{id}");
        let (status, answer) = self.connect().await.send(Method::PUT, &path, "application/toml", text.into()).await;
        assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&answer));
    }

    /// The most resident memory so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KiB") * 1024
    }

    /// Resident memory in bytes, and the processor time used so far.
    pub(crate) fn usage(&self) -> (u64, Duration) {
        let read = |name: &str| {
            let path: PathBuf = ["/proc", &self.process.id().to_string(), name].iter().collect();
            std::fs::read_to_string(path).expect("a running process")
        };
        let resident = read("statm").split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("resident pages");
        // Fields 14 and 15, counted after the name in parentheses; see proc_pid_stat(5).
        let stat = read("stat");
        let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        let ticks = fields[11].parse::<u64>().expect("user time") + fields[12].parse::<u64>().expect("system time");
        let page = rustix::param::page_size() as u64;
        (resident * page, Duration::from_secs(1) * ticks as u32 / rustix::param::clock_ticks_per_second() as u32)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address that nobody listens on.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a free port")
}
