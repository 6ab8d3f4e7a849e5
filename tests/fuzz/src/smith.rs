//! The smith: a program of its own (see `tests/fuzz/smith`) that makes random WebAssembly to order.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A running smith. Dropping it ends it.
pub(crate) struct Smith {
    process: Child,
    pipes: Mutex<(ChildStdin, ChildStdout)>,
}

impl Smith {
    pub(crate) fn start(workspace: &Path) -> Self {
        let program = workspace.join("target/smith/release/bulkhead-smith");
        let mut command = Command::new(&program);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `make smith`", program.display()));
        let pipes = (process.stdin.take().expect("a pipe"), process.stdout.take().expect("a pipe"));
        Self { process, pipes: Mutex::new(pipes) }
    }

    /// A binary of a kind; empty where nothing comes of a seed.
    pub(crate) fn make(&self, kind: &str, seed: u64) -> Vec<u8> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (orders, answers) = &mut *pipes;
        writeln!(orders, "{kind} {seed}").and_then(|()| orders.flush()).expect("the smith takes orders");
        let mut length = [0; 4];
        answers.read_exact(&mut length).expect("the smith answers");
        let mut binary = vec![0; u32::from_le_bytes(length) as usize];
        answers.read_exact(&mut binary).expect("the smith answers");
        binary
    }
}

impl Drop for Smith {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
