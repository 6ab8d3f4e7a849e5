//! SIGKILL while files come in and artifacts go out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bulkhead_e2e::{Api, job_definition};
use bulkhead_torture::{Dice, LIMIT, doctor, setting, start};
use bytes::Bytes;
use futures::stream;
use reqwest::{Body, Method};
use serde_json::json;

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Waits for something that is sure to come.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_upload_that_dies_with_its_server_leaves_nothing() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let (server, _) = start(data.path(), &[]).await;
    let api = server.api();
    let kept = api.send(api.request(Method::POST, "/api/v1/files").body("a,b\n1,2\n")).await.ok();
    let endless = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from(vec![7; 64 << 10])), ()))
    });
    let upload = tokio::spawn(api.request(Method::POST, "/api/v1/files").body(Body::wrap_stream(endless)).send());
    let drafts = data.path().join("artifacts/drafts");
    let some = || files(&drafts).iter().any(|file| fs::metadata(file).is_ok_and(|metadata| metadata.len() > 1 << 20));
    until("the upload's draft", some).await;
    server.kill();
    assert!(upload.await.expect("the upload's task ends").is_err(), "nobody answers");
    assert_eq!(files(&drafts).len(), 1);
    doctor(data.path());
    let (server, _) = start(data.path(), &[]).await;
    assert!(files(&drafts).is_empty(), "what was on its way is gone");
    let again = server.api();
    let same = again.send(again.request(Method::POST, "/api/v1/files").body("a,b\n1,2\n")).await.ok();
    assert_eq!(same["digest"], kept["digest"]);
    server.kill();
    assert_eq!(files(&data.path().join("artifacts/sha256")).len(), 1);
    doctor(data.path());
}

async fn results(api: &Api, run: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for name in ["results.csv", "results.ndjson", "rejects.csv"] {
        let reply = api.get(&format!("/runs/{run}/artifacts/collect/{name}")).await;
        assert!(reply.status.is_success(), "{name}: {:#}", reply.body);
        texts.push(reply.body.as_str().expect("text").to_owned());
    }
    texts
}

#[tokio::test]
async fn kills_change_nothing_of_what_a_batch_leaves() {
    let mut dice = Dice::fresh();
    let data = tempfile::tempdir().expect("a temporary directory");
    let (mut server, _) = start(data.path(), &["--slots", "2"]).await;
    server.wait_until_loaded();
    let api = server.api();
    api.put_definition("batch", &fs::read_to_string(job_definition("batch")).expect("the definition")).await.ok();
    let rows: String = (0..1_500)
        .map(|row| format!("{},Name {row},n{row}@example.org,US,2026-01-02,{},1.5\n", 10_000 + row, row % 1_100))
        .collect();
    let rows = format!("id,name,email,country,ordered,quantity,price\n{rows}");
    let file = api.send(api.request(Method::POST, "/api/v1/files").body(rows)).await.ok();
    let body = json!({ "files": { "rows": file["digest"] } });
    let run = api.post("/definitions/batch/runs", &body).await.ok()["id"].as_str().expect("an id").to_owned();
    for kill in 1..=setting("BULKHEAD_KILLS", 100).min(10) {
        // The moment of the kill is the test's input, not a wait for anything.
        tokio::time::sleep(dice.millis(0, 700)).await;
        server.kill();
        (server, _) = start(data.path(), &["--slots", "2"]).await;
        println!("kill {kill}: {}", server.api().run(&run).await["tasks"]);
    }
    let api = server.api();
    assert_eq!(api.wait_for_end(&run).await["state"], "succeeded");
    // Another run of the same file that nobody kills.
    let quiet = api.post("/definitions/batch/runs", &body).await.ok()["id"].as_str().expect("an id").to_owned();
    assert_eq!(api.wait_for_end(&quiet).await["state"], "succeeded");
    assert_eq!(results(&api, &run).await, results(&api, &quiet).await);
    // The same results are the same content: the file, and what `collect` left, once.
    assert_eq!(api.get("/statistics").await.ok()["contents"], 5);
    server.kill();
    doctor(data.path());
}
