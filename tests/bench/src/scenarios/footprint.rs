//! What the server costs at rest and at work, and how fast it starts.

use std::time::{Duration, Instant};

use crate::Options;
use crate::report::{Report, rate};
use crate::server::Server;

/// Measures an idle server, one that drains a long backlog, and a start on the store that it leaves.
pub(crate) async fn measure(options: &Options, report: &mut Report) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(options, folder.path()).await;
    report.add("costs", "start of an empty server until it is ready", format!("{:.0?}", server.start_up));
    idle(&server, options, report, "idle, empty store").await;

    let tasks = options.history;
    let steps = format!("[step.noop]\nplugin = \"noop\"\ntasks = {tasks}\nlimits = {{ memory = \"4MiB\" }}\n");
    server.define("backlog", &steps).await;
    let (_, before) = server.usage();
    let start = Instant::now();
    server.connect().await.post("/api/v1/definitions/backlog/runs", "{}").await;
    let mut peak = 0;
    let mut connection = server.connect().await;
    while connection.get("/api/v1/statistics").await["runs"]["succeeded"].as_u64().expect("a count") == 0 {
        peak = peak.max(server.usage().0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (elapsed, cpu) = (start.elapsed(), server.usage().1 - before);
    report.add("costs", format!("{tasks} no-op tasks spawned and done in the server"), rate(tasks.into(), elapsed, "tasks"));
    report.add("costs", "… processors at work", format!("{:.2}", cpu.as_secs_f64() / elapsed.as_secs_f64()));
    report.add("costs", "… most resident memory", mebibytes(peak));
    idle(&server, options, report, "idle after it").await;
    drop(server);

    let server = Server::start(options, folder.path()).await;
    report.add("costs", format!("start on a store with {tasks} finished tasks until ready"), format!("{:.0?}", server.start_up));
    idle(&server, options, report, "idle after that start").await;
}

/// Measures a server that has nothing to do.
async fn idle(server: &Server, options: &Options, report: &mut Report, when: &str) {
    let (_, before) = server.usage();
    let time = Duration::from_secs(options.seconds);
    tokio::time::sleep(time).await;
    let (resident, after) = server.usage();
    let share = (after - before).as_secs_f64() / time.as_secs_f64() * 100.0;
    report.add("costs", format!("{when}: resident memory"), mebibytes(resident));
    report.add("costs", format!("{when}: share of one processor"), format!("{share:.2} %"));
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
