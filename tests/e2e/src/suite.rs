//! The job suite: definitions whose end is known, run one after the other on a server of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::tempdir;

use crate::{Server, ServerOptions, job_definition};

/// A definition and how its run must end. It bounds its own time with `timeout`.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// The definition's file, without `.toml`, and its id.
    pub definition: &'static str,
    /// The run's state at the end.
    pub state: &'static str,
    /// Every task that fails for good, as step and cause; a detail in parentheses.
    pub failures: &'static [(&'static str, &'static str)],
    /// Whether the server dies in the middle.
    pub host_dies: bool,
}

const fn succeeds(definition: &'static str) -> Job {
    Job { definition, state: "succeeded", failures: &[], host_dies: false }
}

const fn fails(definition: &'static str, failures: &'static [(&'static str, &'static str)]) -> Job {
    Job { definition, state: "failed", failures, host_dies: false }
}

/// All jobs of the suite.
pub const SUITE: &[Job] = &[
    succeeds("hello"),
    succeeds("cpu"),
    succeeds("memory"),
    succeeds("data"),
    succeeds("build"),
    succeeds("ml"),
    fails("error_bad_input", &[("aggregate", "plugin-error")]),
    fails("error_timeout", &[("endless", "timed-out"), ("endless", "timed-out")]),
    fails("error_crash", &[("crash", "panic"), ("crash", "trap (division-by-zero)"), ("crash", "trap (unreachable)")]),
    fails(
        "error_exhaustion",
        &[
            ("all", "plugin-error"),
            ("fuel", "out-of-fuel"),
            ("log", "limit (log)"),
            ("memory", "out-of-memory"),
            ("stack", "stack-overflow"),
        ],
    ),
    Job { host_dies: true, ..succeeds("error_host_death") },
];

/// How a job ended.
#[derive(Debug)]
pub struct Verdict {
    /// Which.
    pub job: Job,
    /// What is not as it must be; empty where all is well.
    pub wrong: Vec<String>,
    /// The run at its end.
    pub run: Value,
    /// Its tasks.
    pub tasks: Vec<Value>,
    /// From the trigger to its end.
    pub took: Duration,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, wrong, tasks, took, .. } = self;
        let mut causes: BTreeMap<_, usize> = BTreeMap::new();
        job.failures.iter().for_each(|(_, cause)| *causes.entry(*cause).or_default() += 1);
        let causes: Vec<_> = causes.iter().map(|(cause, count)| format!("{count} {cause}")).collect();
        let mark = if wrong.is_empty() { "as expected" } else { "WRONG" };
        write!(f, "{:<18} {mark:<12} {:<10} {:>4} tasks {:>6.2} s", job.definition, job.state, tasks.len(), took.as_secs_f64())?;
        if !causes.is_empty() {
            write!(f, "  {}", causes.join(", "))?;
        }
        wrong.iter().try_for_each(|what| write!(f, "\n    {what}"))
    }
}

/// Runs one job on a server of its own.
///
/// # Panics
/// Where the server does not do its part at all.
pub async fn run_job(job: Job) -> Verdict {
    let dir = tempdir().expect("a temporary directory can be made");
    let options = ServerOptions::default().data_dir(&dir.path().join("data"));
    let mut server = Server::start_with(options.clone());
    server.wait_until_loaded();
    let text = fs::read_to_string(job_definition(job.definition)).expect("the definition is there");
    server.api().put_definition(job.definition, &text).await.ok();

    let started = Instant::now();
    let id = server.api().trigger(job.definition).await;
    if job.host_dies {
        let half_way = |run: &Value| run["tasks"]["succeeded"].as_u64() > Some(1) && run["tasks"]["running"].as_u64() > Some(0);
        server.api().wait_for(&id, "half way", half_way).await;
        server.kill();
        server = Server::start_with(options);
    }
    let run = server.api().wait_for_end(&id).await;
    let took = started.elapsed();
    let mut tasks = Vec::new();
    for task in server.api().tasks(&id).await {
        let id = task["id"].as_str().expect("a task has an id");
        tasks.push(server.api().get(&format!("/tasks/{id}")).await.ok());
    }
    let mut wrong = check(job, &run, &tasks);
    if job.host_dies {
        wrong.extend(check_lost(&tasks));
    }
    Verdict { job, wrong, run, tasks, took }
}

fn check(job: Job, run: &Value, tasks: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    if run["state"] != job.state {
        wrong.push(format!("the run is {}, not {}: {}", run["state"], job.state, run["failure"]));
    }
    let cause = |failure: &Value| {
        let name = failure["cause"].as_str().unwrap_or("none");
        failure["detail"].as_str().map_or_else(|| name.to_owned(), |detail| format!("{name} ({detail})"))
    };
    let mut failed: Vec<_> = tasks
        .iter()
        .filter(|task| task["state"] == "failed")
        .map(|task| (task["step"].as_str().unwrap_or_default().to_owned(), cause(&task["failure"])))
        .collect();
    failed.sort();
    let expected: Vec<_> = job.failures.iter().map(|&(step, cause)| (step.to_owned(), cause.to_owned())).collect();
    if failed != expected {
        wrong.push(format!("failed tasks: {failed:?}, not {expected:?}"));
    }
    wrong
}

/// A death of the host must show as an attempt that was lost, and as no failure.
fn check_lost(tasks: &[Value]) -> Option<String> {
    let attempts = tasks.iter().flat_map(|task| task["attempts"].as_array().into_iter().flatten());
    let lost = attempts.filter(|attempt| attempt["end"] == "host-lost").count();
    (lost == 0).then(|| "no attempt was recorded as host-lost".into())
}
