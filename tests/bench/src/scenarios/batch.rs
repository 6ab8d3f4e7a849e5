//! A batch of many rows: uploaded as CSV through REST, run to the end while an operator pauses, takes single items and resumes, with
//! the server's memory and speed; and a second one that is stopped in its middle.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{Method, StatusCode};

use crate::Options;
use crate::http::Connection;
use crate::report::{Report, percentiles, rate};
use crate::server::Server;

/// Two steps: a task for each row, and the results.
const STEPS: &str = r#"
[step.rows]
plugin = "batch"
on_error = "continue"
timeout = "2h"
source = { file = "rows" }
[step.rows.fields]
id = { required = true, type = "integer" }
name = { clean = ["squeeze", "title"], required = true }
email = { clean = ["email"], required = true, type = "email" }
amount = { clean = ["number"], type = "number", min = 0 }
[[step.rows.derive]]
field = "domain"
from = ["email"]
how = "domain"
[step.collect]
plugin = "batch"
depends = "rows"
timeout = "2h"
collect = "rows"
columns = ["id", "name", "email", "amount", "domain"]
"#;
/// How often the run is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long the batch is left alone between two rounds of the operator's orders.
const ROUND: Duration = Duration::from_secs(2);

/// Measures rows per second and the server's greatest memory, then recounts everything.
pub(crate) async fn measure(options: &Options, report: &mut Report) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(options, folder.path()).await;
    server.define("batch", STEPS).await;
    let (before, _) = server.usage();
    let mut rows = String::from("id,name,email,amount\n");
    for row in 0..options.rows {
        // One row in a thousand has a field too few, and one in a hundred a negative amount.
        let amount = if row % 100 == 7 { "-1".to_owned() } else { format!("{}.5", row % 1_000) };
        let amount = if row % 1_000 == 3 { String::new() } else { format!(",{amount}") };
        rows.push_str(&format!("{row},  name   {row},Name{row}@Example.org{amount}\n"));
    }
    let size = rows.len();
    let mut connection = server.connect().await;
    let start = Instant::now();
    let (status, answer) = connection.send(Method::POST, "/api/v1/files", "text/csv", Bytes::from(rows)).await;
    assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&answer));
    report.add("batch", format!("upload of {} MiB", size >> 20), format!("{:.1} s", start.elapsed().as_secs_f64()));
    let file: serde_json::Value = serde_json::from_slice(&answer).expect("a file");
    let body = serde_json::json!({ "files": { "rows": file["digest"] } }).to_string();
    let start = Instant::now();
    let run: serde_json::Value =
        serde_json::from_slice(&connection.post("/api/v1/definitions/batch/runs", &body).await).expect("a run");
    let path = format!("/api/v1/runs/{}", run["id"].as_str().expect("the run's id"));
    let (mut planned, mut items) = (None, None);
    let mut orders = Orders::default();
    let mut round = Instant::now();
    let run = loop {
        if round.elapsed() > ROUND && items.is_none() {
            orders.round(&mut connection, &path).await;
            round = Instant::now();
        }
        let run = connection.get(&path).await;
        let steps = run["steps"].as_array().expect("steps");
        if steps[0]["tasks"]["total"].as_u64() > Some(u64::from(options.rows)) {
            planned.get_or_insert(start.elapsed());
        }
        if steps[1]["tasks"]["total"].as_u64() > Some(0) {
            items.get_or_insert(start.elapsed());
        }
        if is_over(&run) {
            break run;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let all = start.elapsed();
    let rows = u64::from(options.rows);
    report.add("batch", format!("{rows} rows: until all are tasks"), format!("{:.1} s", planned.unwrap_or(all).as_secs_f64()));
    let items = items.unwrap_or(all);
    report.add("batch", "… until all are done", format!("{:.1} s, {}", items.as_secs_f64(), rate(rows, items, "rows")));
    report.add("batch", "… until the results are collected", format!("{:.1} s", all.as_secs_f64()));
    orders.report(report);
    report.add("batch", "… the run", format!("{}, tasks {}", run["state"], run["tasks"]));
    report.add("batch", "server memory before", format!("{} MiB", before >> 20));
    report.add("batch", "server memory, the most (VmHWM)", format!("{} MiB", server.peak_memory() >> 20));
    let (now, cpu) = server.usage();
    report.add("batch", "server memory at the end, processor time", format!("{} MiB, {:.0} s", now >> 20, cpu.as_secs_f64()));
    stop(&mut connection, &body, options.rows, report).await;
    drop(server);
    report.add("batch", "recount (`bulkhead doctor`)", doctor(&options.binary, folder.path().to_owned()));
}

/// How long each of an operator's orders took, from the request to the whole answer.
#[derive(Default)]
struct Orders {
    pause: Vec<Duration>,
    process_next: Vec<Duration>,
    resume: Vec<Duration>,
}

impl Orders {
    /// Pauses a run, takes one item and resumes; an order that comes after the run's end is not counted.
    async fn round(&mut self, connection: &mut Connection, run: &str) {
        for (order, times) in
            [("pause", &mut self.pause), ("process-next?wait=10s", &mut self.process_next), ("resume", &mut self.resume)]
        {
            let start = Instant::now();
            let (status, answer) =
                connection.send(Method::POST, &format!("{run}/{order}"), "application/json", Bytes::new()).await;
            match status {
                StatusCode::CONFLICT => return,
                status if status.is_success() => times.push(start.elapsed()),
                status => panic!("{run}/{order}: {status}: {}", String::from_utf8_lossy(&answer)),
            }
        }
    }

    fn report(&mut self, report: &mut Report) {
        for (order, times) in
            [("pause", &mut self.pause), ("process-next, until its result", &mut self.process_next), ("resume", &mut self.resume)]
        {
            let what = format!("… {order} during it, {} times", times.len());
            let figure = if times.is_empty() { "none came in time".into() } else { percentiles(times, &[0.5, 0.9, 1.0]) };
            report.add("batch", what, figure);
        }
    }
}

/// Triggers the batch once more and cancels it when a tenth of its items are done.
async fn stop(connection: &mut Connection, body: &str, rows: u32, report: &mut Report) {
    let run: serde_json::Value =
        serde_json::from_slice(&connection.post("/api/v1/definitions/batch/runs", body).await).expect("a run");
    let path = format!("/api/v1/runs/{}", run["id"].as_str().expect("the run's id"));
    while connection.get(&path).await["tasks"]["succeeded"].as_u64() < Some(u64::from(rows / 10)) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let start = Instant::now();
    connection.post(&format!("{path}/cancel"), "").await;
    let answered = start.elapsed();
    while !is_over(&connection.get(&path).await) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    report.add("batch", "stop in the middle of a second run: answered", percentiles(&mut [answered], &[1.0]));
    report.add("batch", "… until the run has ended", percentiles(&mut [start.elapsed()], &[1.0]));
}

fn is_over(run: &serde_json::Value) -> bool {
    ["succeeded", "failed", "cancelled"].iter().any(|state| run["state"] == *state)
}

/// What a recount says.
fn doctor(binary: &PathBuf, data: PathBuf) -> String {
    let output = Command::new(binary).args(["doctor", "--data-dir"]).arg(data).output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; ");
    if output.status.success() { text } else { format!("differs: {text}") }
}
