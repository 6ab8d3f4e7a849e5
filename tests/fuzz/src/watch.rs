//! The server's process meanwhile: that it answers, that a well-behaved job goes through, and that nothing is left behind.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bulkhead_e2e::Api;
use bulkhead_torture::{audit, resident_memory};
use reqwest::Method;
use tokio::task::JoinHandle;

/// How long an answer about its health may take, on a machine that compiles something else meanwhile.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);
/// The pause between two questions.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Compilations at once: the bound of the server.
const COMPILERS: usize = 2;
/// How much more memory the server may hold at the end than after the first part of a campaign, which fills its caches.
const GROWTH: u64 = 128 << 20;
/// The same where large plugins are uploaded, too: the allocator keeps some of what components of 20 MB took, for each thread. It was
/// 220 MiB after 90 s, and 270 MiB after 310 s.
const GROWTH_LARGE: u64 = 512 << 20;
/// Open files likewise.
const MORE_FILES: usize = 64;
/// How long what was begun may go on after the last case.
const SETTLE: Duration = Duration::from_secs(30);
/// The campaign's part that fills the caches.
const WARM_UP: Duration = Duration::from_secs(20);

/// A run that behaves, next to those that do not.
const HEALTHY: &str = r#"
id = "healthy"

[step.talk]
plugin = "generator"
worker_count = 5
log_count = 10
log_delay_ms = 5
"#;

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// The slowest answer of `/health`.
    pub slowest_answer: Duration,
    /// Healthy runs beside the cases.
    pub healthy_runs: u64,
    /// The server's memory after the warm-up, at its most, and at the end, in bytes.
    pub memory: [u64; 3],
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [warm, most, end] = self.memory.map(|bytes| bytes >> 20);
        writeln!(
            f,
            "{} healthy runs beside them; the slowest answer of /health took {:?}",
            self.healthy_runs, self.slowest_answer
        )?;
        write!(f, "memory of the server: {warm} MiB after the warm-up, {most} MiB at its most, {end} MiB at the end")
    }
}

/// What goes on beside the cases.
pub(crate) struct Watch {
    process: u32,
    stop: Arc<AtomicBool>,
    answers: JoinHandle<Seen>,
    healthy: JoinHandle<u64>,
}

impl Watch {
    pub(crate) fn begin(process: u32, api: Api) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answers = tokio::spawn(ask(process, api.clone(), Arc::clone(&stop)));
        let healthy = tokio::spawn(run_healthy(api, Arc::clone(&stop)));
        Self { process, stop, answers, healthy }
    }

    /// Ends it. What it broke on is what this panics on.
    pub(crate) async fn end(self, large: bool) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let again = |broken: tokio::task::JoinError| std::panic::resume_unwind(broken.into_panic());
        let healthy_runs = self.healthy.await.unwrap_or_else(again);
        let mut seen = self.answers.await.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
        let [warm, most, _] = seen.memory;
        let end = resident_memory(self.process);
        let growth = if large { GROWTH_LARGE } else { GROWTH };
        assert!(warm == 0 || end < warm + growth, "the server holds {end} bytes; after {WARM_UP:?} it held {warm}");
        seen.memory = [warm, most.max(end), end];
        Seen { healthy_runs, ..seen }
    }
}

/// Asks for the server's health again and again, and looks at its process.
async fn ask(process: u32, api: Api, stop: Arc<AtomicBool>) -> Seen {
    let (started, mut seen, mut files) = (Instant::now(), Seen::default(), None);
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let answer = tokio::time::timeout(HEALTH_LIMIT, api.send(api.request(Method::GET, "/health"))).await;
        let answer = answer.unwrap_or_else(|_| panic!("/health did not answer within {HEALTH_LIMIT:?}"));
        assert!(answer.status.is_success(), "{}: {:#}", answer.status, answer.body);
        seen.slowest_answer = seen.slowest_answer.max(asked.elapsed());
        let compilers = children(process);
        assert!(compilers.len() <= COMPILERS, "{} compilers at once: {compilers:?}", compilers.len());
        let (memory, open) = (resident_memory(process), open_files(process));
        let [warm, most, _] = &mut seen.memory;
        *most = memory.max(*most);
        if started.elapsed() > WARM_UP {
            if *warm == 0 {
                *warm = memory;
            }
            let before = *files.get_or_insert(open);
            assert!(open <= before + MORE_FILES, "{open} open files, {before} after {WARM_UP:?}");
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    seen
}

/// Runs what behaves, over and over.
async fn run_healthy(api: Api, stop: Arc<AtomicBool>) -> u64 {
    api.put_definition("healthy", HEALTHY).await.ok();
    let mut runs = 0;
    while !stop.load(Ordering::Relaxed) {
        let run = api.trigger("healthy").await;
        assert_eq!(api.wait_for_end(&run).await["state"], "succeeded");
        assert_eq!(audit(&api, &run).await.lines.len(), 5 * 10);
        assert!(api.send(api.request(Method::DELETE, &format!("/api/v1/runs/{run}"))).await.status.is_success());
        runs += 1;
    }
    runs
}

/// Waits until nothing is at work any more, and makes sure that nothing was left behind.
pub(crate) async fn assert_tidy(process: u32, data: &Path, compiled: &Path) {
    let started = Instant::now();
    while !children(process).is_empty() {
        assert!(started.elapsed() < SETTLE, "compilers are left over: {:?}", children(process));
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    for folder in [data, compiled] {
        let left: Vec<_> = files_below(folder).into_iter().filter(|file| is_half_done(file)).collect();
        assert!(left.is_empty(), "half-done files were left behind: {left:?}");
    }
}

/// Whether a file is a draft, or compiled code on its way.
fn is_half_done(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "tmp") || file.parent().is_some_and(|folder| folder.ends_with("drafts"))
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a directory of the server") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// The processes that a process started and that have not been waited for.
fn children(process: u32) -> Vec<u32> {
    let is_child = |id: &u32| {
        // The parent is the second field after the name, which is in parentheses; see proc_pid_stat(5).
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        fields.nth(1).and_then(|parent| parent.parse().ok()) == Some(process)
    };
    let processes = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

fn open_files(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("the process lives").count()
}
