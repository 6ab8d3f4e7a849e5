//! Streams: no line is lost, repeated or out of order, however late or slowly it is read.

use std::time::Duration;

use bulkhead_api::ApiConfig;
use serde_json::json;

use crate::support::{Event, Server, Subscriber};

/// The numbers of lines, without the last event, `end`.
#[track_caller]
fn numbers(events: &[Event]) -> Vec<u64> {
    let (end, lines) = events.split_last().expect("an end");
    assert_eq!(end.kind, "end", "{end:?}");
    lines
        .iter()
        .map(|line| {
            assert_eq!(line.kind, "");
            assert_eq!(line.json()["seq"], line.id.unwrap());
            line.id.unwrap()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_subscribers_get_every_line_though_some_come_late_and_some_read_slowly() {
    let server = Server::start().await;
    let address = server.listen().await;
    let run = server.run("lines", "workers = 5\nlines = 2000\nhold = true").await;
    let path = format!("/api/v1/runs/{run}/logs/stream");
    let mut early = Vec::new();
    for _ in 0..8 {
        early.push(Subscriber::open(address, &path, None).await);
    }
    let eager = early.split_off(4);
    let eager: Vec<_> = eager.into_iter().map(|mut client| tokio::spawn(async move { client.rest().await })).collect();
    // The slow ones take a line and then nothing until the run has ended.
    let mut slow = early;
    for client in &mut slow {
        assert_eq!(client.next().await.unwrap().id, Some(1));
    }
    server.stub.gate.add_permits(5);
    let ended = server.end(&run).await;
    assert_eq!((&ended["last_line"], &ended["lines"]["total"]), (&json!(10_000), &json!(10_000)));

    for client in eager {
        assert_eq!(numbers(&client.await.unwrap()), (1..=10_000).collect::<Vec<_>>());
    }
    for mut client in slow {
        assert_eq!(numbers(&client.rest().await), (2..=10_000).collect::<Vec<_>>());
    }
    for _ in 0..12 {
        let events = Subscriber::open(address, &path, None).await.rest().await;
        assert_eq!(numbers(&events), (1..=10_000).collect::<Vec<_>>());
        assert_eq!(events.last().unwrap().json(), json!({"state": "succeeded", "last": 10_000}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_goes_on_exactly_where_it_was() {
    let server = Server::start().await;
    let address = server.listen().await;
    let run = server.run("lines", "workers = 2\nlines = 1000\nhold = true").await;
    let path = format!("/api/v1/runs/{run}/logs/stream");
    let (mut seen, mut last) = (Vec::new(), None);
    for chunk in [1, 10, 500, 1_489] {
        // `after` is where the page began; the browser's header goes before it.
        let mut client = Subscriber::open(address, &format!("{path}?after=0"), last).await;
        for _ in 0..chunk {
            seen.push(client.next().await.unwrap().id.unwrap());
        }
        last = client.last_id;
    }
    assert_eq!(seen, (1..=2_000).collect::<Vec<_>>());
    server.stub.gate.add_permits(2);
    let rest = Subscriber::open(address, &path, last).await.rest().await;
    assert_eq!(numbers(&rest), Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filtered_stream_moves_the_cursor_past_what_it_left_out() {
    let server = Server::start().await;
    let address = server.listen().await;
    let run = server.run("lines", "workers = 2\nlines = 95").await;
    server.end(&run).await;
    let path = format!("/api/v1/runs/{run}/logs/stream?level=warn&step=work");
    let mut client = Subscriber::open(address, &path, None).await;
    let warnings = numbers(&client.rest().await);
    assert_eq!(warnings.len(), 18);
    assert_eq!(client.last_id, Some(190));
    let again = Subscriber::open(address, &path, client.last_id).await.rest().await;
    assert_eq!(numbers(&again), Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_stream_beats_and_ends_when_the_server_closes() {
    let config = ApiConfig { require_token: false, heartbeat: Duration::from_millis(20), ..ApiConfig::default() };
    let server = Server::start_with(config).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(bulkhead_api::serve(listener, server.state.clone()));
    let run = server.run("held", "workers = 1\nlines = 1\nhold = true").await;
    let mut client = Subscriber::open(address, &format!("/api/v1/runs/{run}/logs/stream"), None).await;
    client.next().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(200), client.next()).await;
    assert!(waiting.is_err() && client.comments >= 2, "{} comments", client.comments);
    server.state.close();
    assert_eq!(client.next().await, None);
    served.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_every_change_and_resume_by_number() {
    let server = Server::start().await;
    let address = server.listen().await;
    let mut all = Subscriber::open(address, "/api/v1/events", None).await;
    let first = all.next().await.unwrap();
    assert_eq!((first.kind.as_str(), &first.json()["runs"]["total"]), ("statistics", &json!(0)));
    let run = server.run("x", "workers = 2").await;
    server.end(&run).await;

    let mut changes: Vec<Event> = Vec::new();
    let mut counted = false;
    let ended = |event: &Event| event.json()["type"] == "run" && event.json()["to"] == "succeeded";
    while !(counted && changes.last().is_some_and(ended)) {
        let event = all.next().await.unwrap();
        match event.kind.as_str() {
            "statistics" => counted = event.json()["runs"]["succeeded"] == 1,
            _ => changes.push(event),
        }
    }
    let told: Vec<_> = changes
        .iter()
        .map(|event| {
            let event = event.json();
            assert_eq!((&event["run"], &event["definition"]), (&json!(run), &json!("x")));
            format!(
                "{} {} {}",
                event["type"].as_str().unwrap(),
                event["step"].as_str().unwrap_or("-"),
                event["to"].as_str().unwrap_or("-")
            )
        })
        .collect();
    for change in ["run-created - -", "run - running", "step work running", "step work succeeded", "run - succeeded"] {
        assert_eq!(told.iter().filter(|told| *told == change).count(), 1, "{change} in {told:?}");
    }
    assert!(!told.iter().any(|told| told.starts_with("task")));

    // From the start, of this run, with its tasks.
    let path = format!("/api/v1/events?run={run}&after=0&statistics=false");
    let mut one = Subscriber::open(address, &path, None).await;
    let last = changes.last().unwrap().id.unwrap();
    let mut seen: Vec<Event> = Vec::new();
    while seen.last().is_none_or(|event| event.id < Some(last)) {
        seen.push(one.next().await.unwrap());
    }
    assert!(seen.windows(2).all(|pair| pair[0].id < pair[1].id));
    let tasks: Vec<_> = seen.iter().map(Event::json).filter(|event| event["type"] == "task").collect();
    assert_eq!(tasks.iter().filter(|task| task["to"] == "succeeded").count(), 3);
    assert!(tasks.iter().all(|task| task["task"].as_str().unwrap().starts_with("task_")));
    assert_eq!(tasks.iter().find(|task| task["to"] == "succeeded").unwrap()["ended"]["number"], 1);
    let middle = seen.len() / 2;
    let mut resumed = Subscriber::open(address, &path, seen[middle].id).await;
    assert_eq!(resumed.next().await.unwrap(), seen[middle + 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_a_run_that_is_deleted_ends() {
    let server = Server::start().await;
    let address = server.listen().await;
    let run = server.run("x", "workers = 1\nhold = true").await;
    let mut client = Subscriber::open(address, &format!("/api/v1/runs/{run}/logs/stream?after=99"), None).await;
    server.stub.gate.add_permits(1);
    server.end(&run).await;
    assert_eq!(client.next().await.unwrap().kind, "end");
    server.delete(&format!("/api/v1/runs/{run}")).await.expect(204);
    server.get(&format!("/api/v1/runs/{run}/logs/stream")).await.expect_problem(404, "not-found");
}
