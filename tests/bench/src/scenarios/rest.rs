//! Runs triggered one at a time through REST.

use std::time::{Duration, Instant};

use crate::Options;
use crate::http::{closed_loop, open_loop};
use crate::report::{Report, percentiles, rate};
use crate::server::Server;

/// A run whose only task is the step's `plan`, which spawns nothing.
const NOOP: &str = "[step.noop]\nplugin = \"noop\"\ntasks = 0\nlimits = { memory = \"4MiB\" }\n";
/// A run with one line in its log.
const ONE_LINE: &str = "[step.noop]\nplugin = \"noop\"\ntasks = 1\nlines = 1\nlimits = { memory = \"4MiB\" }\n";
const TRIGGER: &str = "/api/v1/definitions/noop/runs";
const TRIGGER_AND_WAIT: &str = "/api/v1/definitions/noop/runs?wait=30s";

/// Measures throughput with 1, 64 and 256 connections, and the latency at a fixed rate.
pub(crate) async fn measure(options: &Options, report: &mut Report) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(options, folder.path()).await;
    server.define("noop", NOOP).await;
    let time = Duration::from_secs(options.seconds);
    closed_loop(server.address, 4, Duration::from_millis(500), TRIGGER_AND_WAIT, "{}").await;

    for connections in [1, 64, 256] {
        let start = Instant::now();
        let triggered = closed_loop(server.address, connections, time, TRIGGER, "{}").await;
        let accepted = start.elapsed();
        wait_until_idle(&server).await;
        let what = format!("runs triggered, {connections} connections: accepted (durable)");
        report.add("rest", what, rate(triggered, accepted, "runs"));
        report.add("rest", format!("… until the last of {triggered} has ended"), rate(triggered, start.elapsed(), "runs"));
    }
    for connections in [1, 64, 256] {
        let ended = closed_loop(server.address, connections, time, TRIGGER_AND_WAIT, "{}").await;
        report.add("rest", format!("runs triggered and awaited, {connections} connections"), rate(ended, time, "runs"));
    }
    let mut times = open_loop(server.address, 500, time, TRIGGER_AND_WAIT, "{}").await;
    report.add("rest", "trigger to result at a waiting client, 500 runs/s", percentiles(&mut times, &[0.5, 0.9, 0.99]));

    server.define("line", ONE_LINE).await;
    let mut times = Vec::new();
    let mut connection = server.connect().await;
    for _ in 0..200 {
        let start = Instant::now();
        let run: serde_json::Value =
            serde_json::from_slice(&connection.post("/api/v1/definitions/line/runs", "{}").await).expect("a run");
        let id = run["id"].as_str().expect("the run's id").to_owned();
        super::log::first_line(server.address, &id).await;
        times.push(start.elapsed());
    }
    report.add("rest", "trigger to the first log line at a client (SSE)", percentiles(&mut times, &[0.5, 0.9, 0.99]));
}

/// Waits until no task is queued or running.
pub(crate) async fn wait_until_idle(server: &Server) {
    let mut connection = server.connect().await;
    loop {
        let tasks = &connection.get("/api/v1/statistics").await["tasks"];
        let live = ["queued", "running", "retrying"].iter().map(|state| tasks[state].as_u64().expect("a count")).sum::<u64>();
        if live == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
