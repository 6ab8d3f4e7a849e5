//! Fuel: the same task uses the same, every time, so a limit fails the same tasks.

use std::collections::BTreeMap;
use std::fs;

use bulkhead_e2e::{Api, Server, job_definition};

/// Step and key of each task: its state, its cause, and the fuel that it used.
async fn outcomes(api: &Api) -> BTreeMap<(String, String), (String, String, u64)> {
    let run = api.trigger("stress").await;
    let ended = api.wait_for_end(&run).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let outcome = |task: &serde_json::Value| {
        let key = (text(&task["step"]), text(&task["key"]));
        (key, (text(&task["state"]), text(&task["failure"]["cause"]), task["usage"]["fuel"].as_u64().unwrap_or(0)))
    };
    api.tasks(&run).await.iter().map(outcome).collect()
}

#[tokio::test]
async fn the_same_tasks_run_out_of_fuel_every_time() {
    let server = Server::start();
    let api = server.api();
    let text = fs::read_to_string(job_definition("stress")).expect("the definition is there");
    api.put_definition("stress", &text).await.ok();
    let first = outcomes(&api).await;
    let second = outcomes(&api).await;
    assert_eq!(first, second);

    let failed = |step: &str, cause: &str| {
        first.iter().filter(|((of, _), (state, why, _))| of == step && state == "failed" && why == cause).count()
    };
    // About a quarter of the sizes lies above the limits; the exact number depends on the plugins' compiler.
    assert!((40..110).contains(&failed("cpu", "out-of-fuel")), "{}", failed("cpu", "out-of-fuel"));
    assert!((40..110).contains(&failed("memory", "out-of-fuel")), "{}", failed("memory", "out-of-fuel"));
    assert!((30..80).contains(&failed("cramped", "out-of-memory")), "{}", failed("cramped", "out-of-memory"));
    assert!(first.values().all(|(state, _, fuel)| state != "succeeded" || *fuel > 0), "fuel is recorded for every attempt");
}
