//! Many runs at once, and what they left: bulk actions, dead letters, timelines.

use serde_json::{Value, json};

use crate::support::{Reply, Server};

/// A step that bears its failures.
const BEARS: &str = "\n[error_tolerance]\nmax_child_failures = 100";

async fn bulk(server: &Server, body: Value) -> Reply {
    server.post("/api/v1/runs/bulk", &body.to_string()).await
}

fn counts(result: &Value) -> [u64; 3] {
    ["matched", "acted", "left"].map(|name| result[name].as_u64().unwrap())
}

async fn states(server: &Server) -> Vec<String> {
    let page = server.get("/api/v1/runs?limit=500").await.expect(200).json();
    page["items"].as_array().unwrap().iter().map(|run| run["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn runs_are_cancelled_by_filter_and_no_others() {
    let server = Server::start().await;
    let mut held = vec![];
    for _ in 0..3 {
        held.push(server.run("held", "workers = 1\nhold = true").await);
    }
    let other = server.run("other", "workers = 1\nhold = true").await;
    let done = server.run("done", "workers = 1").await;
    server.end(&done).await;

    let request = |dry_run: bool| json!({ "action": "cancel", "filter": { "definition": "held" }, "dry_run": dry_run });
    let counted = bulk(&server, request(true)).await.expect(200).json();
    assert_eq!((counts(&counted), &counted["next"]), ([3, 3, 0], &Value::Null));
    assert!(states(&server).await.iter().all(|state| state != "cancelled"));

    let acted = bulk(&server, request(false)).await.expect(200).json();
    assert_eq!(counts(&acted), [3, 3, 0]);
    for run in &held {
        assert_eq!(server.end(run).await["state"], "cancelled");
    }
    assert_ne!(server.get(&format!("/api/v1/runs/{other}")).await.expect(200).json()["state"], "cancelled");
    // The same again finds nothing to do, and everything else is only ended or not.
    assert_eq!(counts(&bulk(&server, request(false)).await.expect(200).json()), [3, 0, 3]);
    let all = json!({ "action": "delete", "filter": {}, "dry_run": true });
    assert_eq!(counts(&bulk(&server, all).await.expect(200).json()), [5, 4, 1]);
}

#[tokio::test]
async fn what_failed_is_retried_and_deleted_by_filter() {
    let server = Server::start().await;
    let failed = server.run("fails", "workers = 1\nfail = true").await;
    let good = server.run("good", "workers = 1").await;
    server.end(&failed).await;
    server.end(&good).await;
    let retry = json!({ "action": "retry", "filter": { "cause": "panic" } });
    assert_eq!(counts(&bulk(&server, retry).await.expect(200).json()), [1, 1, 0]);
    assert_eq!(server.end(&failed).await["attempts"], 3);
    let delete = json!({ "action": "delete", "filter": { "ids": [failed, good, "run_00000000000000000000000001"] } });
    assert_eq!(counts(&bulk(&server, delete).await.expect(200).json()), [2, 2, 0]);
    assert!(states(&server).await.is_empty());
}

#[tokio::test]
async fn more_runs_than_one_request_does_are_done_by_several() {
    let server = Server::start().await;
    server.define("many", "workers = 0").await;
    for _ in 0..230 {
        server.post("/api/v1/definitions/many/runs?wait=60s", "").await.expect(201);
    }
    let mut request = json!({ "action": "delete", "filter": { "definition": "many" } });
    let first = bulk(&server, request.clone()).await.expect(200).json();
    assert_eq!(counts(&first), [200, 200, 0]);
    // A run that is created between two requests of one pass is none of it.
    let late = server.post("/api/v1/definitions/many/runs?wait=60s", "").await.expect(201).json();
    request["cursor"] = first["next"].clone();
    let second = bulk(&server, request.clone()).await.expect(200).json();
    assert_eq!((counts(&second), &second["next"]), ([30, 30, 0], &Value::Null));
    // A repeated request does no harm.
    assert_eq!(counts(&bulk(&server, request).await.expect(200).json()), [0, 0, 0]);
    let left = server.get("/api/v1/runs").await.expect(200).json();
    assert_eq!((left["items"].as_array().unwrap().len(), &left["items"][0]["id"]), (1, &late["id"]));
}

#[tokio::test]
async fn a_bulk_action_that_is_not_clear_is_refused() {
    let server = Server::start().await;
    for (body, slug) in [
        (json!({ "action": "cancel" }), "malformed-body"),
        (json!({ "action": "cancel", "filter": { "tagg": "x" } }), "malformed-body"),
        (json!({ "action": "stop", "filter": {} }), "malformed-body"),
        (json!({ "action": "cancel", "filter": { "cause": "panick" } }), "invalid-parameter"),
        (json!({ "action": "cancel", "filter": { "min_duration": "soon" } }), "invalid-parameter"),
        (json!({ "action": "cancel", "filter": { "ids": ["x"] } }), "invalid-parameter"),
        (json!({ "action": "cancel", "filter": { "ids": ["run_00000000000000000000000001"], "tag": "x" } }), "invalid-parameter"),
        (json!({ "action": "cancel", "filter": {}, "cursor": "x" }), "invalid-parameter"),
    ] {
        bulk(&server, body.clone()).await.expect_problem(400, slug);
    }
}

#[tokio::test]
async fn runs_are_found_by_how_long_they_took() {
    let server = Server::start().await;
    let held = server.run("held", "workers = 1\nhold = true").await;
    let quick = server.run("quick", "workers = 1").await;
    server.end(&quick).await;
    let find = async |query: &str| {
        let page = server.get(&format!("/api/v1/runs?{query}")).await.expect(200).json();
        page["items"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Between the two, however long the quick one took here: the other becomes longer by itself.
    let took = server.get(&format!("/api/v1/runs/{quick}")).await.expect(200).json()["duration_ms"].as_u64().unwrap();
    let between = took + 1;
    let longer = format!("min_duration={between}ms");
    let held_is_longer = async {
        while find(&longer).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), held_is_longer).await.expect("time goes on");
    assert_eq!(find(&longer).await, [held.as_str()]);
    assert_eq!(find(&format!("max_duration={between}ms")).await, [quick.as_str()]);
    assert_eq!(find("min_duration=1h").await, [""; 0]);
    assert_eq!(find("min_duration=1ms&max_duration=1d&definition=held").await, [held.as_str()]);
    server.get("/api/v1/runs?min_duration=x").await.expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn dead_letters_of_all_runs_are_grouped_and_replayed() {
    let server = Server::start().await;
    let first = server.run("first", &format!("workers = 3\nfail = true\nreason = \"no row\"{BEARS}")).await;
    let second = server.run("second", &format!("workers = 2\nfail = true\nreason = \"no row\"{BEARS}")).await;
    let third = server.run("third", &format!("workers = 1\nfail = true\nreason = \"no file\"{BEARS}")).await;
    for run in [&first, &second, &third] {
        server.end(run).await;
    }
    let letters = async |query: &str| server.get(&format!("/api/v1/dead-letters{query}")).await.expect(200).json();
    let all = letters("").await;
    assert_eq!((&all["groups"], &all["tasks"]), (&json!(2), &json!(6)));
    let group = &all["items"][0];
    assert_eq!((&group["tasks"], &group["runs"], &group["failure"]["cause"]), (&json!(5), &json!(2), &json!("panic")));
    assert_eq!(letters("?text=NO%20FILE").await["items"][0]["tasks"], 1);
    assert_eq!(letters("?cause=timed-out").await["groups"], 0);
    assert_eq!(letters("?order=latest&limit=1").await["items"].as_array().unwrap().len(), 1);
    server.get("/api/v1/dead-letters?cause=x").await.expect_problem(400, "invalid-parameter");

    let id = group["id"].as_str().unwrap();
    let path = format!("/api/v1/dead-letters/{id}");
    let page = server.get(&format!("{path}?limit=1")).await.expect(200).json();
    let newest = page["items"][0]["run"]["id"].as_str().unwrap();
    let rest = server.get(&format!("{path}?cursor={}", page["next"].as_str().unwrap())).await.expect(200).json();
    let mut found = [newest, rest["items"][0]["run"]["id"].as_str().unwrap()];
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    found.sort_unstable();
    let mut expected = [first.as_str(), second.as_str()];
    expected.sort_unstable();
    assert_eq!(found, expected);
    let tasks = server.get(&format!("/api/v1/runs/{first}/tasks?letter={id}")).await.expect(200).json();
    assert_eq!(tasks["items"].as_array().unwrap().len(), 3);

    // What fails again of the same is left alone by the same pass.
    let counted = server.post(&format!("{path}/retry?run={first}&dry_run=true"), "").await.expect(200).json();
    assert_eq!(counts(&counted), [3, 3, 0]);
    let one = server.post(&format!("{path}/retry?run={first}"), "").await.expect(200).json();
    assert_eq!((one["acted"].as_u64(), &one["next"]), (Some(3), &Value::Null));
    assert_eq!(server.end(&first).await["attempts"], 7);
    let again = server.get(&path).await.expect(200).json();
    assert_eq!(again["group"]["tasks"], 5);
    let skipped = server.post(&format!("{path}/skip"), "").await.expect(200).json();
    assert_eq!(skipped["acted"], 5);
    server.get(&path).await.expect_problem(404, "not-found");
    server.post(&format!("{path}/retry"), "").await.expect_problem(404, "not-found");
    assert_eq!(server.end(&second).await["tasks"]["skipped"], 2);
    assert_eq!(letters("").await["groups"], 1);
}

#[tokio::test]
async fn a_timeline_has_every_attempt_and_how_many_were_at_work() {
    let server = Server::start().await;
    let failed =
        server.run("failed", &format!("workers = 3\nfail = true\nretry = {{ attempts = 2, backoff = \"1ms\" }}{BEARS}")).await;
    server.end(&failed).await;
    let path = format!("/api/v1/runs/{failed}/timeline");
    let timeline = server.get(&path).await.expect(200).json();
    let step = &timeline["steps"][0];
    assert_eq!((&step["step"], &step["tasks"], &step["looked_at"]), (&json!("work"), &json!(4), &json!(4)));
    let attempts = step["attempts"].as_array().unwrap();
    let run = server.get(&format!("/api/v1/runs/{failed}")).await.expect(200).json();
    assert_eq!(Some(attempts.len() as u64), run["attempts"].as_u64());
    assert!(attempts.is_sorted_by_key(|attempt| attempt["from"].as_str().unwrap().to_owned()));
    assert_eq!((&attempts[0]["index"], &attempts[0]["state"]), (&json!(0), &json!("succeeded")));
    let last = attempts.last().unwrap();
    assert_eq!((&last["state"], &last["cause"], &last["number"]), (&json!("failed"), &json!("panic"), &json!(2)));
    assert!(timeline["from"].as_str() <= attempts[0]["from"].as_str() && last["to"].as_str() <= timeline["to"].as_str());
    let sum = |name: &str| step[name].as_array().unwrap().iter().map(|part| part.as_f64().unwrap()).sum::<f64>();
    assert_eq!((step["at_work"].as_array().unwrap().len(), sum("failed")), (100, attempts.len() as f64 - 1.0));

    let two = server.get(&format!("{path}?which=failed&limit=2&step=work")).await.expect(200).json();
    let two = two["steps"][0]["attempts"].as_array().unwrap().clone();
    assert!(two.len() == 2 && two.iter().all(|attempt| attempt["state"] == "failed"), "{two:?}");
    server.get(&format!("{path}?which=oldest")).await.expect_problem(400, "invalid-parameter");
    server.get("/api/v1/runs/run_00000000000000000000000001/timeline").await.expect_problem(404, "not-found");

    let held = server.run("held", "workers = 2\nhold = true").await;
    loop {
        let timeline = server.get(&format!("/api/v1/runs/{held}/timeline")).await.expect(200).json();
        let attempts = timeline["steps"][0]["attempts"].as_array().unwrap().clone();
        let running: Vec<_> = attempts.iter().filter(|attempt| attempt["state"] == "running").collect();
        if running.len() == 2 && attempts.len() == 3 {
            assert!(running.iter().all(|attempt| attempt["to"].is_null()));
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_timeline_of_very_many_tasks_looks_at_a_part_that_stands_for_all() {
    let server = Server::start().await;
    let run = server.run("many", "workers = 5000").await;
    server.end(&run).await;
    let timeline = server.get(&format!("/api/v1/runs/{run}/timeline?which=longest&limit=7")).await.expect(200).json();
    let step = &timeline["steps"][0];
    assert_eq!((&step["tasks"], &step["attempts_in_all"]), (&json!(5001), &json!(5001)));
    let looked = step["looked_at"].as_u64().unwrap();
    assert!((2_000..2_100).contains(&looked), "{looked}");
    assert_eq!(step["attempts"].as_array().unwrap().len(), 7);
    let tasks = server.get(&format!("/api/v1/runs/{run}/tasks?step=work&from=4990&limit=5")).await.expect(200).json();
    let numbers: Vec<_> = tasks["items"].as_array().unwrap().iter().map(|task| task["index"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [4990, 4991, 4992, 4993, 4994]);
    let first = server.get(&format!("/api/v1/runs/{run}/tasks?step=work&from=0&limit=1")).await.expect(200).json();
    assert_eq!(first["items"][0]["index"], 0);
    server.get(&format!("/api/v1/runs/{run}/tasks?from=3")).await.expect_problem(400, "invalid-parameter");
}
