//! Looking at what was uploaded, and compiling it, in a process of its own: what the host does ([`Program`]), and what that process
//! does ([`compile_apart`]).
//!
//! The order is in the arguments; what was uploaded comes on stdin, after its length. stdout says how far the work is, a frame at a time
//! ([`PROGRESS`]), then gives what it is for ([`RESULT`]): code, or findings as JSON; what is wrong goes to stderr.
//! stdin stays open until the host has it all: a process whose stdin ends before it is done is left alone, and ends itself.

use std::any::Any;
use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_engine::executor::{CompileListener, CompileProgress};
use bytes::Bytes;
use cranelift_codegen::timing::{Pass, Profiler, set_thread_profiler};
use rayon::ThreadPoolBuilder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use wasmparser::{Parser, Payload};
use wasmtime::Engine;

use super::{does_not_compile, unfit};
use crate::adapt::{Findings, adapt};
use crate::engine::{EngineKey, base_config};
use crate::guests::lower_priority;
use crate::stack::StackClass;

/// The exit code that says that what was uploaded is no plugin; stderr says why.
const INVALID: u8 = 3;
/// A frame that says how far it is: the functions that are compiled, and all, as two little-endian numbers of 32 bits.
const PROGRESS: u8 = b'p';
/// The last frame: what was ordered, to the end.
const RESULT: u8 = b'r';
/// The name of [`Work::Look`] among the arguments.
const LOOK: &str = "look";
/// The name of [`Work::Compile`] there, before its numbers.
const COMPILE: &str = "compile";
/// What the runtime says before it ends a process whose stack ended.
const STACK_ENDED: &str = "has overflowed its stack";
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// How much of what the process says is read.
const SAID: u64 = 16 << 10;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Adapt what was uploaded, and say what it is.
    Look,
    /// Adapt it, and compile it for such an engine.
    Compile(EngineKey),
}

/// What is done how: the arguments of the process. See [`CompileOrder::arguments`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileOrder {
    pub(crate) work: Work,
    /// Threads that compile.
    pub(crate) threads: usize,
    /// The priority of those threads, as Unix `nice`.
    pub(crate) nice: i32,
    /// Bytes of memory that the process may have.
    pub(crate) memory: u64,
}

impl CompileOrder {
    /// As arguments, which [`Self::parse`] takes.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = match self.work {
            Work::Look => vec![LOOK.to_owned()],
            Work::Compile(EngineKey { metered, stack, .. }) => {
                vec![COMPILE.to_owned(), u8::from(metered).to_string(), stack.guest_size().to_string()]
            }
        };
        arguments.extend([self.threads.to_string(), self.nice.to_string(), self.memory.to_string()]);
        arguments
    }

    /// What it is to people.
    const fn doing(&self) -> &'static str {
        match self.work {
            Work::Look => "reading",
            Work::Compile(_) => "compiling",
        }
    }

    /// Reads the arguments of a process that the host started.
    ///
    /// # Errors
    /// They are others.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
            text.parse().map_err(|_| format!("`{text}` is no such number"))
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (work, [threads, nice, memory]) = match arguments[..] {
            [LOOK, threads, nice, memory] => (Work::Look, [threads, nice, memory]),
            [COMPILE, metered, stack, threads, nice, memory] => {
                let stack = StackClass::holding(number(stack)?);
                let key = EngineKey { metered: number::<u8>(metered)? != 0, stack, pooled: false };
                (Work::Compile(key), [threads, nice, memory])
            }
            _ => return Err("these are no arguments of an order: only the host starts this command".to_owned()),
        };
        Ok(Self { work, threads: number(threads)?, nice: number(nice)?, memory: number(memory)? })
    }
}

/// The program that reads and compiles, with the arguments that come before an order's.
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    pub(super) fn new(path: &Path, arguments: &[OsString]) -> Self {
        Self { path: path.to_owned(), arguments: arguments.to_owned() }
    }

    /// Has somebody look at what was uploaded.
    pub(super) async fn look(&self, nice: i32, memory: u64, bytes: Bytes, timeout: Duration) -> Result<Findings, Failure> {
        let order = CompileOrder { work: Work::Look, threads: 1, nice, memory };
        let findings = self.run(&order, bytes, timeout, None).await?;
        serde_json::from_slice(&findings)
            .map_err(|error| Failure::new(Cause::HostFault, format!("what the compiler's process found can't be read: {error}")))
    }

    /// Has done what an order says.
    pub(super) async fn run(
        &self,
        order: &CompileOrder,
        bytes: Bytes,
        timeout: Duration,
        told: Option<CompileListener>,
    ) -> Result<Vec<u8>, Failure> {
        let broken =
            |what: &str, error: io::Error| Failure::new(Cause::HostFault, format!("{what} the compiler's process: {error}"));
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            .args(order.arguments())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| broken("cannot start", error))?;
        let talk = async {
            let (code, said) = exchange(&mut child, &bytes, told).await?;
            Ok((child.wait().await?, code, said))
        };
        let (status, code, said) = tokio::time::timeout(timeout, talk)
            .await
            .map_err(|_| Failure::new(Cause::InvalidPlugin, format!("{} it took longer than {timeout:?}", order.doing())))?
            .map_err(|error| broken("cannot talk to", error))?;
        if status.success() { Ok(code) } else { Err(failure_of(status, &said, order)) }
    }
}

/// Hands over what was uploaded, and takes what comes of it.
async fn exchange(child: &mut Child, bytes: &[u8], told: Option<CompileListener>) -> io::Result<(Vec<u8>, String)> {
    let piped = || io::Error::other("a stream of it is not there");
    let mut stdin = child.stdin.take().ok_or_else(piped)?;
    let mut stdout = child.stdout.take().ok_or_else(piped)?;
    let stderr = child.stderr.take().ok_or_else(piped)?;
    let send = async {
        let length = (bytes.len() as u64).to_le_bytes();
        let sent = async { stdin.write_all(&length).await.and(stdin.write_all(bytes).await) };
        io::Result::Ok(sent.await)
    };
    let hear = async {
        let mut said = Vec::new();
        let mut stderr = stderr.take(SAID);
        stderr.read_to_end(&mut said).await?;
        // Nobody waits for the rest, but the process must be able to say it.
        tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await?;
        io::Result::Ok(String::from_utf8_lossy(&said).trim().to_owned())
    };
    let take = async {
        let mut result = Vec::new();
        loop {
            let mut frame = [0];
            if stdout.read(&mut frame).await? == 0 {
                // It ended without, and its exit code says why.
                return io::Result::Ok(result);
            }
            match frame[0] {
                PROGRESS => {
                    let progress = CompileProgress { done: stdout.read_u32_le().await?, total: stdout.read_u32_le().await? };
                    told.iter().for_each(|told| told(progress));
                }
                RESULT => {
                    stdout.read_to_end(&mut result).await?;
                    return Ok(result);
                }
                other => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of no kind ({other})"))),
            }
        }
    };
    let (sent, result, said) = tokio::try_join!(send, take, hear)?;
    // A process that died does not take what it is sent: how it ended says more than that.
    if let Err(error) = sent
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(error);
    }
    drop(stdin);
    Ok((result, said))
}

fn failure_of(status: ExitStatus, said: &str, order: &CompileOrder) -> Failure {
    if status.code() == Some(i32::from(INVALID)) {
        return Failure::new(Cause::InvalidPlugin, said);
    }
    if said.contains("memory allocation of") {
        let (doing, most) = (order.doing(), order.memory >> 20);
        let message = format!("{doing} it takes more than the {most} MiB that a compilation may have");
        return Failure::new(Cause::InvalidPlugin, message);
    }
    if said.contains(STACK_ENDED) {
        return Failure::new(
            Cause::InvalidPlugin,
            format!("{} it takes more than a stack: something in it nests without end", order.doing()),
        );
    }
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    Failure::new(Cause::HostFault, format!("the compiler ended with {status}{said}"))
}

/// What the process does: takes what was uploaded from stdin and writes what was ordered to stdout.
pub fn compile_apart(order: &CompileOrder) -> ExitCode {
    let outcome = receive().and_then(|bytes| {
        lower_priority(order.nice);
        limit_memory(order.memory)?;
        // What ends stdin is the end of the host: nobody waits for the result.
        std::thread::Builder::new().spawn(|| {
            let _ = io::stdin().read(&mut [0]);
            std::process::exit(1);
        })?;
        match order.work {
            Work::Look => match Findings::of(&bytes) {
                Ok(findings) => Ok(Ok(serde_json::to_vec(&findings)?)),
                Err(error) => Ok(Err(unfit(&error))),
            },
            Work::Compile(key) => compile(&bytes, key, order.threads),
        }
    });
    let (written, code) = match outcome {
        Ok(Ok(result)) => (give(&result), ExitCode::SUCCESS),
        Ok(Err(failure)) => (write!(io::stderr(), "{}", failure.message), ExitCode::from(INVALID)),
        Err(error) => (write!(io::stderr(), "it could not be done: {error}"), ExitCode::FAILURE),
    };
    if written.is_ok() { code } else { ExitCode::FAILURE }
}

/// Adapts and compiles, and says how far that is.
fn compile(bytes: &Bytes, key: EngineKey, threads: usize) -> io::Result<Result<Vec<u8>, Failure>> {
    let component = match adapt(bytes) {
        Ok(adapted) => adapted.component,
        Err(error) => return Ok(Err(unfit(&error))),
    };
    let compiled = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&compiled);
    // Each thread has a profiler of its own.
    let count = move |_| drop(set_thread_profiler(Box::new(Counter(Arc::clone(&counting)))));
    ThreadPoolBuilder::new().num_threads(threads).start_handler(count).build_global().map_err(io::Error::other)?;
    let reporter = Reporter::start(compiled, functions(&component))?;
    let code = Engine::new(&base_config(key)).and_then(|engine| engine.precompile_component(&component));
    reporter.stop();
    Ok(code.map_err(|error| does_not_compile(&error)))
}

/// The last frame.
fn give(result: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(&[RESULT])?;
    stdout.write_all(result)?;
    stdout.flush()
}

/// How many functions a component has, in all its modules. One that can't be read has those before its fault.
fn functions(component: &[u8]) -> u32 {
    let parsed = Parser::new(0).parse_all(component).map_while(Result::ok);
    parsed.map(|part| if let Payload::CodeSectionStart { count, .. } = part { count } else { 0 }).fold(0, u32::saturating_add)
}

/// Counts the functions that one thread has compiled.
struct Counter(Arc<AtomicU32>);

impl Profiler for Counter {
    fn start_pass(&self, pass: Pass) -> Box<dyn Any> {
        if pass == Pass::compile { Box::new(Counted(Arc::clone(&self.0))) } else { Box::new(()) }
    }
}

/// A function that is being compiled.
struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Says how far the work is, in a thread of its own.
struct Reporter {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Reporter {
    fn start(compiled: Arc<AtomicU32>, total: u32) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let report = move || {
            let mut last = None;
            loop {
                // What joins the modules of a component is compiled, too, and counted nowhere.
                let done = compiled.load(Ordering::Relaxed).min(total);
                if last != Some(done) {
                    last = Some(done);
                    let frame = [&[PROGRESS][..], &done.to_le_bytes(), &total.to_le_bytes()].concat();
                    let mut stdout = io::stdout().lock();
                    // Whoever does not listen any more ends this process another way.
                    let _ = stdout.write_all(&frame).and_then(|()| stdout.flush());
                }
                if stopped.recv_timeout(PROGRESS_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        Ok(Self { stop, thread: std::thread::Builder::new().spawn(report)? })
    }

    /// Returns when nothing more is said.
    fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

/// What was uploaded, after its length.
fn receive() -> io::Result<Bytes> {
    let mut stdin = io::stdin().lock();
    let mut length = [0; 8];
    stdin.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut bytes = Vec::new();
    // As it comes: the length is not taken for granted.
    if stdin.by_ref().take(length).read_to_end(&mut bytes)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}

/// Bounds what this process allocates; an allocation past it ends the process.
#[cfg(target_os = "linux")]
fn limit_memory(bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Not the address space: wasmtime reserves of that what it does not use.
    setrlimit(Resource::Data, Rlimit { current: Some(bytes), maximum: Some(bytes) }).map_err(io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_survives_its_arguments() {
        let key = EngineKey { metered: true, stack: StackClass::holding(1 << 20), pooled: false };
        for work in [Work::Look, Work::Compile(key)] {
            let order = CompileOrder { work, threads: 3, nice: 7, memory: 1 << 30 };
            assert_eq!(CompileOrder::parse(&order.arguments()), Ok(order));
        }
        assert!(CompileOrder::parse(&["1".into()]).is_err());
    }
}
