//! Log lines per second, stored and delivered.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;

use crate::Options;
use crate::report::{Report, rate};
use crate::server::Server;

/// 32 tasks that log without a pause.
const FLOOD: &str = "[step.flood]\nplugin = \"noop\"\ntasks = 32\nlines = 50000\nlimits = { memory = \"4MiB\" }\n";
const LINES: u64 = 32 * 50_000;

/// Lets plugins log as fast as they can, then reads it all: at one client and at twenty.
pub(crate) async fn measure(options: &Options, report: &mut Report) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(options, folder.path()).await;
    server.define("flood", FLOOD).await;
    let mut connection = server.connect().await;

    let start = Instant::now();
    let answer = connection.post("/api/v1/definitions/flood/runs?wait=60s", "{}").await;
    let elapsed = start.elapsed();
    let run: serde_json::Value = serde_json::from_slice(&answer).expect("a run");
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["last_line"], LINES);
    report.add("log", format!("{LINES} lines of 32 tasks, guest to durable store"), rate(LINES, elapsed, "lines"));

    let id = run["id"].as_str().expect("the run's id");
    for clients in [1_u64, 20] {
        let start = Instant::now();
        let readers = (0..clients).map(|_| tokio::spawn(read_to_end(server.address, id.to_owned())));
        for lines in futures::future::join_all(readers).await {
            assert_eq!(lines.expect("a reader"), LINES, "a reader lost or repeated lines");
        }
        let what = format!("delivered over SSE to {clients} clients that came late, all together");
        report.add("log", what, rate(LINES * clients, start.elapsed(), "lines"));
    }
}

/// Waits for the first line of a run.
pub(crate) async fn first_line(address: SocketAddr, run: &str) {
    let mut body = follow(address, run).await;
    while let Some(chunk) = body.next().await {
        if chunk.windows(3).any(|window| window == b"id:") {
            return;
        }
    }
    panic!("the stream of {run} ended without a line");
}

/// Reads a run's stream to its end: the number of lines.
async fn read_to_end(address: SocketAddr, run: String) -> u64 {
    let mut body = follow(address, &run).await;
    // A line's event is the only one with an id; the field stands at the start of a line of its own, which may come in two chunks.
    const ID: &[u8] = b"id:";
    let (mut lines, mut start_of_line) = (0, Vec::with_capacity(ID.len()));
    while let Some(chunk) = body.next().await {
        for part in chunk.split_inclusive(|&byte| byte == b'\n') {
            let missing = ID.len() - start_of_line.len();
            start_of_line.extend_from_slice(&part[..part.len().min(missing)]);
            lines += u64::from(missing > 0 && start_of_line == ID);
            if part.ends_with(b"\n") {
                start_of_line.clear();
            }
        }
    }
    lines
}

/// The chunks of a run's log stream, from its first line to the end of the run.
async fn follow(address: SocketAddr, run: &str) -> impl futures::Stream<Item = Bytes> + Unpin {
    let stream = tokio::net::TcpStream::connect(address).await.expect("the server takes connections");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    let request = Request::get(format!("/api/v1/runs/{run}/logs/stream")).header("host", address.to_string());
    let answer = sender.send_request(request.body(Empty::<Bytes>::new()).expect("a request")).await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    // The sender lives as long as the stream: dropping it would close the connection.
    let chunks = answer.into_body().into_data_stream().map(move |chunk| {
        let _ = &sender;
        chunk.expect("an unbroken stream")
    });
    Box::pin(chunks)
}
