//! Whether the server answers while every slot is taken by an endless loop.

use std::time::{Duration, Instant};

use crate::Options;
use crate::report::{Report, percentiles};
use crate::server::Server;

/// More endless loops than a server has slots.
const LOOPS: u32 = 300;

/// Times GET /health under endless loops in every slot.
pub(crate) async fn measure(options: &Options, report: &mut Report) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(options, folder.path()).await;
    let steps = (0..LOOPS).map(|step| {
        format!("[step.loop-{step}]\nplugin = \"misbehave\"\nmode = \"endless-loop\"\ntimeout = \"10m\"\nlimits = {{ memory = \"4MiB\" }}\n")
    });
    server.define("loops", &steps.collect::<String>()).await;
    let mut connection = server.connect().await;
    connection.post("/api/v1/definitions/loops/runs", "{}").await;
    // A step's `plan` ends; what runs for ever is its loop.
    while connection.get("/api/v1/statistics").await["tasks"]["running"].as_u64().expect("a count") < 32 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut times = Vec::new();
    let end = Instant::now() + Duration::from_secs(options.seconds);
    while Instant::now() < end {
        let start = Instant::now();
        connection.get("/health").await;
        times.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let running = connection.get("/api/v1/statistics").await["tasks"]["running"].clone();
    report.add(
        "health",
        format!("GET /health while {running} slots run CPU-bound loops"),
        percentiles(&mut times, &[0.5, 0.99, 1.0]),
    );
}
