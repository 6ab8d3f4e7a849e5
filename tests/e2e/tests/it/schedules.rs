//! Schedules: definitions that run by themselves, whatever happens to the server.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bulkhead_e2e::{Api, Server, ServerOptions};
use serde_json::{Value, json};
use tempfile::tempdir;

/// Every second, and nothing may be lost.
const SECONDS: &str = r#"
id = "seconds"

[schedule]
cron = "* * * * * *"
overlap = "queue"
max_waiting = 100
catch_up = "all"
catch_up_limit = 1000

[step.all]
plugin = "noop"
tasks = 1
"#;

/// How long a test waits for what is sure to come.
const LIMIT: Duration = Duration::from_secs(180);

fn start(data_dir: &std::path::Path) -> (Server, Api) {
    let mut server = Server::start_with(ServerOptions::default().data_dir(data_dir));
    server.wait_until_loaded();
    let api = server.api();
    (server, api)
}

async fn detail(api: &Api) -> Value {
    api.get("/schedules/seconds?fires=200").await.ok()
}

/// Waits until so many fires have started runs.
async fn wait_for_fires(api: &Api, count: u64) -> Value {
    let started = Instant::now();
    loop {
        let schedule = detail(api).await;
        if schedule["counts"]["started"].as_u64().expect("a count") >= count {
            return schedule;
        }
        assert!(started.elapsed() < LIMIT, "{count} fires do not come: {schedule:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The second of the epoch that a moment names.
fn second(fire: &Value) -> i64 {
    let time = fire["time"].as_str().expect("a fire has a time");
    time.parse::<jiff::Timestamp>().expect("RFC 3339").as_second()
}

#[tokio::test]
async fn a_schedule_of_every_second_survives_kills_without_a_fire_lost_or_doubled() {
    let dir = tempdir().expect("a temporary directory");
    let data_dir = dir.path().join("data");
    let (mut server, mut api) = start(&data_dir);
    api.put_definition("seconds", SECONDS).await.ok();
    for kill in 1..=4 {
        let before = detail(&api).await["counts"]["started"].as_u64().expect("a count");
        wait_for_fires(&api, before + 1).await;
        // Somewhere in a second: the moment is the test's input.
        tokio::time::sleep(Duration::from_millis(170 * kill)).await;
        server.kill();
        (server, api) = start(&data_dir);
    }
    let before = detail(&api).await["counts"]["started"].as_u64().expect("a count");
    wait_for_fires(&api, before + 2).await;
    api.command_schedule("seconds", "pause").await.ok();
    // What waits is started when the pause is over, and nothing more than that.
    let text = SECONDS.replace("* * * * * *", "0 0 1 1 *");
    api.put_definition("seconds", &text).await.ok();
    api.command_schedule("seconds", "resume").await.ok();
    let started = Instant::now();
    let schedule = loop {
        let schedule = detail(&api).await;
        if schedule["waiting"] == 0 && schedule["active"] == json!([]) {
            break schedule;
        }
        assert!(started.elapsed() < LIMIT, "{schedule:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };

    let fires: Vec<&Value> = schedule["fires"].as_array().expect("a history").iter().rev().collect();
    let started: Vec<&Value> = fires.iter().copied().filter(|fire| fire["outcome"] == "started").collect();
    let other: Vec<&Value> = fires.iter().copied().filter(|fire| fire["outcome"] != "started").collect();
    assert!(other.iter().all(|fire| fire["reason"] == "changed" || fire["reason"] == "paused"), "{other:#?}");
    let seconds: BTreeSet<i64> = started.iter().map(|fire| second(fire)).collect();
    assert_eq!(seconds.len(), started.len(), "a second fired twice");
    let (first, last) = (seconds.first().expect("a fire"), seconds.last().expect("a fire"));
    assert_eq!(last - first + 1, started.len() as i64, "a second is missing: {seconds:?}");
    let mut runs = BTreeSet::new();
    for fire in &started {
        let id = fire["run"].as_str().expect("a run");
        assert!(runs.insert(id.to_owned()), "{id} was started by two fires");
        assert_eq!(api.wait_for_end(id).await["state"], "succeeded");
    }
    let listed = api.get("/runs?definition=seconds&limit=500").await.ok();
    assert_eq!(listed["items"].as_array().expect("runs").len(), runs.len(), "a run that no fire started");
    server.kill();
    let output = bulkhead_e2e::bulkhead(&["doctor", "--data-dir"]).arg(&data_dir).output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn schedules_are_handled_from_the_command_line() {
    let server = Server::start();
    let text = "id = \"nightly\"\n[schedule]\ncron = \"0 3 * * *\"\ntimezone = \"Europe/Berlin\"\n[step.all]\nplugin = \"noop\"\n";
    server.api().put_definition("nightly", text).await.ok();
    let told = |args: &[&str]| {
        let output = server.call(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {out}{err}");
        out
    };
    let list = told(&["schedules"]);
    assert!(list.contains("nightly") && list.contains("Europe/Berlin") && list.contains("active"), "{list}");
    assert_eq!(told(&["schedules", "pause", "nightly"]).trim(), "nightly paused");
    let run = told(&["schedules", "run", "nightly"]);
    assert_eq!(server.api().wait_for_end(run.trim()).await["trigger"], "schedule");
    assert!(told(&["schedules", "resume", "nightly"]).starts_with("nightly active, next at "));
    let shown = told(&["schedules", "show", "nightly"]);
    assert!(shown.contains("started by hand") && shown.contains(run.trim()), "{shown}");
    let preview = told(&["schedules", "preview", "*/10 * * * * *", "--timezone", "Asia/Kolkata", "-n", "3", "--json"]);
    let preview: Value = serde_json::from_str(&preview).expect("JSON");
    assert_eq!(preview["upcoming"].as_array().expect("moments").len(), 3);
    let wrong = server.call(&["schedules", "show", "other"]);
    assert_eq!(wrong.status.code(), Some(5));
}
