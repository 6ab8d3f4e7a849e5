//! Logs at many clients: each gets the same lines, in order, none lost and none twice.

use std::time::Duration;

use bulkhead_e2e::{Api, Server, ServerOptions};
use serde_json::Value;

const WORKERS: usize = 301;
const LINES: usize = 200;
const CLIENTS: usize = 20;

fn definition() -> String {
    format!(
        "id = \"volume\"\nname = \"Volume\"\n[step.all]\nplugin = \"generator\"\nworker_count = {WORKERS}\nlog_count = {LINES}\nseed = 8\n"
    )
}

/// The message and the number of each line of a run that one client got.
async fn client(api: Api, run: String, number: usize) -> Vec<(u64, String)> {
    // Some come late, one so late that the run may be over.
    let delay = [0, 50, 300, 3_000][number % 4];
    tokio::time::sleep(Duration::from_millis(delay)).await;
    let is_slow = number.is_multiple_of(5);
    let mut stream = api.follow(&run, None).await;
    let mut lines = Vec::new();
    while let Some(event) = stream.next().await {
        match event.name.as_str() {
            "message" => lines.push(numbered(&event.data)),
            "end" => return lines,
            _ => {}
        }
        if is_slow && lines.len().is_multiple_of(1_000) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    panic!("the stream of client {number} broke off after {} lines", lines.len());
}

fn numbered(line: &Value) -> (u64, String) {
    (line["seq"].as_u64().expect("a line has a number"), line["message"].as_str().expect("a line has a message").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_clients_get_the_same_lines_in_order() {
    let server = Server::start();
    let api = server.api();
    api.put_definition("volume", &definition()).await.ok();
    let run = api.trigger("volume").await;
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(api.clone(), run.clone(), number))).collect();

    let ended = api.wait_for_end(&run).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert_eq!(ended["lines"]["total"], (WORKERS * LINES) as u64);
    assert_eq!(ended["steps"][0]["tasks"]["succeeded"], WORKERS as u64 + 1);

    let stored: Vec<_> = api.lines(&run).await.iter().map(numbered).collect();
    assert_eq!(stored.len(), WORKERS * LINES);
    let numbers: Vec<_> = stored.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=(WORKERS * LINES) as u64).collect::<Vec<_>>(), "numbered without gap or repeat");
    for (number, client) in clients.into_iter().enumerate() {
        let got = client.await.expect("no client fails");
        assert!(got == stored, "client {number} got {} lines, of {} stored", got.len(), stored.len());
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_off() {
    let server = Server::start();
    let api = server.api();
    let text = "id = \"steady\"\nname = \"Steady\"\n[step.all]\nplugin = \"generator\"\nworker_count = 4\nlog_count = 250\nlog_delay_ms = 4\n";
    api.put_definition("steady", text).await.ok();
    let run = api.trigger("steady").await;
    let mut lines = Vec::new();
    let mut last = None;
    // Every connection is dropped after a number of lines, in the middle of what the server sends.
    'connections: for connection in 1.. {
        let mut stream = api.follow(&run, last.as_deref()).await;
        for _ in 0..connection * 7 {
            let event = stream.next().await.expect("the stream ends with an event that says so");
            match event.name.as_str() {
                "message" => lines.push(event.data["seq"].as_u64().expect("a line has a number")),
                "end" => break 'connections,
                _ => {}
            }
            last = event.id.or(last);
        }
    }
    assert_eq!(lines, (1..=1_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_log_survives_a_killed_server() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = ServerOptions::default().data_dir(&dir.path().join("data"));
    let mut server = Server::start_with(options.clone());
    server.wait_until_loaded();
    let api = server.api();
    let text = "id = \"steady\"\nname = \"Steady\"\n[step.all]\nplugin = \"generator\"\nworker_count = 3\nlog_count = 150\nlog_delay_ms = 20\n";
    api.put_definition("steady", text).await.ok();
    let run = api.trigger("steady").await;
    let url = server.url();
    let follow = {
        let run = run.clone();
        tokio::task::spawn_blocking(move || bulkhead_e2e::call(&["logs", &run, "--follow", "--json", "--server", &url]))
    };
    api.wait_for(&run, "at work", |run| run["lines"]["total"].as_u64() > Some(60)).await;
    let address = server.address();
    server.kill();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let _server = Server::start_with(ServerOptions { listen: Some(address), ..options });

    let output = follow.await.expect("the follower ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Vec<_> = bulkhead_e2e::json_lines(&output.stdout).iter().map(numbered).collect();
    let stored: Vec<_> = api.lines(&run).await.iter().map(numbered).collect();
    assert!(stored.len() > 450, "interrupted attempts were made again: {}", stored.len());
    assert!(printed == stored, "{} lines printed, {} stored", printed.len(), stored.len());
}
