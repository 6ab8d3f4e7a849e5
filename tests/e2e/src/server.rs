//! A server of a test's own: on a free port, in a directory of its own, killed when the test is done with it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Api, bulkhead, plugins};

/// How long a server may take to listen, on a machine that compiles something else meanwhile.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end that was told to.
const END_LIMIT: Duration = Duration::from_secs(60);

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Keep the data here; a directory of the test's own where absent.
    pub data_dir: Option<PathBuf>,
    /// Listen here; on a free port of this machine where absent.
    pub listen: Option<SocketAddr>,
    /// Load no plugins.
    pub no_plugins: bool,
    /// More arguments of `serve`.
    pub args: Vec<String>,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
    /// Filters for what the host says of itself; it goes to the test's stderr.
    pub log: Option<String>,
}

impl ServerOptions {
    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Data in a directory that outlives the server.
    #[must_use]
    pub fn data_dir(mut self, dir: &Path) -> Self {
        self.data_dir = Some(dir.to_owned());
        self
    }
}

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
    listening_after: Duration,
    // Removed after the server is dead.
    _own_data_dir: Option<TempDir>,
    data_dir: PathBuf,
}

impl Server {
    /// Starts a server with the built plugins, and waits until they are loaded.
    pub fn start() -> Self {
        let mut server = Self::start_with(ServerOptions::default());
        server.wait_until_loaded();
        server
    }

    /// Starts a server and waits until it listens. Plugins and definitions are loaded meanwhile.
    ///
    /// # Panics
    /// Where it does not come to listen.
    pub fn start_with(options: ServerOptions) -> Self {
        let own_data_dir = options.data_dir.is_none().then(|| tempfile::tempdir().expect("a temporary directory can be made"));
        let data_dir =
            options.data_dir.or_else(|| own_data_dir.as_ref().map(|dir| dir.path().join("data"))).expect("one of both");
        let listen = options.listen.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        let mut command = bulkhead(&["serve", "--json", "--listen", &listen]);
        command.arg("--data-dir").arg(&data_dir).args(&options.args);
        if !options.no_plugins {
            command.arg("--plugins").arg(plugins());
        }
        command.envs(options.env);
        command.env("BULKHEAD_LOG", options.log.as_deref().unwrap_or("warn"));
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        // The limit is the test runner's: a read can't be interrupted, but the server ends where it can't listen.
        stdout.read_line(&mut line).expect("stdout can be read");
        assert!(started.elapsed() < START_LIMIT, "the server took {:?} to listen", started.elapsed());
        let url = serde_json::from_str::<serde_json::Value>(&line)
            .ok()
            .and_then(|line| line["listening"].as_str().map(str::to_owned))
            .unwrap_or_else(|| panic!("the server does not listen: `{line}`, {:?}", child.wait()));
        let address = url.trim_start_matches("http://").parse().expect("an address follows the scheme");
        Self { child, stdout, address, listening_after: started.elapsed(), _own_data_dir: own_data_dir, data_dir }
    }

    /// Waits until the plugins and definitions are loaded.
    ///
    /// # Panics
    /// Where the server ends instead.
    pub fn wait_until_loaded(&mut self) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("stdout can be read");
        assert!(line.contains("\"loaded\""), "the server did not load its plugins: `{line}`");
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, with the scheme.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How long it took from its start until it listened.
    pub const fn listening_after(&self) -> Duration {
        self.listening_after
    }

    /// Where its data is.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process's number.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// A client of its API without a token.
    pub fn api(&self) -> Api {
        Api::new(&self.url(), None)
    }

    /// A client of its API with a token.
    pub fn api_as(&self, token: &str) -> Api {
        Api::new(&self.url(), Some(token))
    }

    /// Calls the binary as this server's client.
    pub fn call(&self, args: &[&str]) -> std::process::Output {
        bulkhead(args).env("BULKHEAD_SERVER", self.url()).output().expect("the binary starts")
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the server is alive");
    }

    /// Kills it with SIGKILL and waits until it is dead.
    pub fn kill(mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server can be waited for");
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// Where it takes longer than [`END_LIMIT`].
    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the server can be waited for") {
                let _ = self.stdout.read_to_end(&mut Vec::new());
                return status;
            }
            assert!(started.elapsed() < END_LIMIT, "the server did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
