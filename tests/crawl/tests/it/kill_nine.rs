//! A crawl whose server is killed in the middle.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bulkhead_crawl::{Site, records, walk};
use bulkhead_e2e::{Server, ServerOptions};

use crate::made::{definition, make, start};

#[tokio::test]
async fn a_killed_crawl_loses_no_page_and_fetches_none_again_that_has_its_result() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    make(folder.path(), 42, 300);
    let walked = walk(folder.path(), &["/"], &["/"]);
    let site = Site::of_folder(folder.path(), "127.0.0.1:0").await;
    let data = tempfile::tempdir().expect("a temporary directory");
    let serve = || Server::start_with(ServerOptions::default().data_dir(data.path()));

    let mut server = serve();
    server.wait_until_loaded();
    // Slow enough to be killed several times on the way.
    let run = start(&server.api(), &definition(&site.host(), "request_delay_ms = 40")).await;
    let mut midway = 0;
    for kill in 1..=3 {
        // Killed as soon as it got on: a number of results, not a time.
        let enough = kill * 60;
        let state = server.api().wait_for(&run, "further", |run| run["tasks"]["succeeded"].as_u64() >= Some(enough)).await;
        midway += u32::from(state["state"] == "running");
        server.kill();
        server = serve();
    }
    assert_eq!(midway, 3, "the crawl was too short for its kills");
    let api = server.api();
    let ended = api.wait_for_end(&run).await;
    assert_eq!(ended["state"], "succeeded", "{:#}", ended["failure"]);
    let found = records(&api, &run).await;
    assert_eq!(found.of("page"), walked.pages, "no page is lost");
    assert_eq!(found.broken, walked.broken);

    let mut requests = HashMap::<String, Vec<SystemTime>>::new();
    for request in site.requests() {
        requests.entry(request.target).or_default().push(request.at);
    }
    let mut again = 0;
    for task in found.tasks.values() {
        let url = task["input"]["url"].as_str().expect("a task has an address");
        let target = url.split_once(&site.host()).expect("it is on this site").1;
        let times = &requests[target];
        let attempts = task["attempt"].as_u64().expect("a number");
        assert!(times.len() as u64 <= attempts, "{url} was fetched {} times in {attempts} attempts", times.len());
        again += times.len() - 1;
        let result = ended_at(task);
        assert!(times.iter().all(|at| *at < result), "{url} was fetched after its result was recorded: {times:?}, {result:?}");
    }
    println!("{again} pages were fetched again, because their server died before their result was recorded");
}

/// When the task's result was recorded. Times have whole milliseconds: the end of that one.
fn ended_at(task: &serde_json::Value) -> SystemTime {
    let text = task["ended_at"].as_str().expect("a task that ended says when");
    let at: jiff::Timestamp = text.parse().expect("a time");
    SystemTime::from(at) + Duration::from_millis(1)
}
