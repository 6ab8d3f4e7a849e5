//! Hostile plugins, kill -9 and faults, against the real binary: what the tests share.
//!
//! Chance comes from a seed that is printed; BULKHEAD_TORTURE_SEED repeats it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use bulkhead_e2e::{Api, Server, ServerOptions, bulkhead};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::Value;

/// The longest that anything here may take that is sure to come.
pub const LIMIT: Duration = Duration::from_secs(300);

/// A number from the environment, or a default.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Chance that can be repeated.
pub struct Dice(StdRng);

impl Dice {
    /// Dice of a fresh seed, or of BULKHEAD_TORTURE_SEED.
    pub fn fresh() -> Self {
        let seed = setting("BULKHEAD_TORTURE_SEED", rand::random());
        println!("BULKHEAD_TORTURE_SEED={seed}");
        Self::of(seed)
    }

    /// Dice of a seed.
    pub fn of(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// 0 to `end` - 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    /// A time of so many milliseconds.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.0.random_range(low..=high))
    }
}

/// Starts a server on a data directory, with the built plugins and more arguments, and waits until it is ready; how long that
/// took from the start of the process.
pub async fn start(data: &Path, args: &[&str]) -> (Server, Duration) {
    let started = Instant::now();
    let server = Server::start_with(ServerOptions::default().data_dir(data).args(args));
    let api = server.api();
    while !api.send(api.request(Method::GET, "/ready")).await.status.is_success() {
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(started.elapsed() < LIMIT, "the server does not become ready");
    }
    (server, started.elapsed())
}

/// Recounts a data directory with `bulkhead doctor`.
///
/// # Panics
/// Where a counter is wrong.
pub fn doctor(data: &Path) {
    let mut command = bulkhead(&["doctor", "--json", "--data-dir"]);
    let output = command.arg(data).output().expect("the binary starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "a recount differs: {out}{err}");
}

/// What an audit found.
#[derive(Debug)]
pub struct Audit {
    /// The run.
    pub run: Value,
    /// All its tasks.
    pub tasks: Vec<Value>,
    /// All its lines.
    pub lines: Vec<Value>,
}

impl Audit {
    /// The tasks that failed with a cause.
    pub fn failed_with(&self, cause: &str) -> Vec<&Value> {
        self.tasks.iter().filter(|task| task["state"] == "failed" && task["failure"]["cause"] == cause).collect()
    }
}

/// Reads all of a run that has ended, and checks what must be true of every run: each task has one result, the counters are those
/// of its tasks and lines, and the lines are numbered 1 to N; those that the generator numbers, once and in order in each attempt.
///
/// # Panics
/// Where something of it is not so.
pub async fn audit(api: &Api, id: &str) -> Audit {
    let (run, tasks, lines) = (api.run(id).await, api.tasks(id).await, api.lines(id).await);
    let mut states = BTreeMap::<&str, u64>::new();
    for task in &tasks {
        let state = task["state"].as_str().expect("a task has a state");
        assert!(["succeeded", "failed", "cancelled", "skipped"].contains(&state), "a task has no result: {task:#}");
        *states.entry(state).or_default() += 1;
    }
    for state in ["queued", "running", "retrying", "succeeded", "failed", "cancelled", "skipped"] {
        let counted = states.get(state).copied().unwrap_or(0);
        assert_eq!(run["tasks"][state].as_u64(), Some(counted), "the counter of {state} tasks: {:#}", run["tasks"]);
    }
    assert_eq!(run["tasks"]["total"].as_u64(), Some(tasks.len() as u64));
    assert_eq!(run["lines"]["total"].as_u64(), Some(lines.len() as u64));
    assert_eq!(run["last_line"].as_u64(), Some(lines.len() as u64));

    let mut of_step = HashMap::<&str, u64>::new();
    let mut of_attempt = HashMap::<(&str, u64, u64), u64>::new();
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(line["seq"].as_u64(), Some(number), "line {number} of the run: {line:#}");
        let step = line["step"].as_str().expect("a line has a step");
        let in_step = of_step.entry(step).or_default();
        *in_step += 1;
        assert_eq!(line["step_seq"].as_u64(), Some(*in_step), "line {in_step} of the step: {line:#}");
        let attempt = of_attempt.entry((step, number_of(line, "task"), number_of(line, "attempt"))).or_default();
        if line["fields"]["line"].is_u64() {
            // The generator numbers its lines, the summary aside: each comes once, in order.
            assert_eq!(number_of(&line["fields"], "line"), *attempt + 1, "the next line of the attempt: {line:#}");
            *attempt += 1;
        }
    }
    Audit { run, tasks, lines }
}

/// A number in a record.
///
/// # Panics
/// Where there is none.
pub fn number_of(record: &Value, name: &str) -> u64 {
    record[name].as_u64().unwrap_or_else(|| panic!("no number `{name}` in {record:#}"))
}

/// The memory that a process holds, in bytes.
///
/// # Panics
/// Where there is no such process.
pub fn resident_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it says how much memory it holds");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KiB") * 1024
}
