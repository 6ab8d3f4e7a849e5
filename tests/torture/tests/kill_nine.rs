//! SIGKILL at random moments.

use std::time::{Duration, Instant};

use bulkhead_torture::{Audit, Dice, audit, doctor, number_of, setting, start};

/// 2,000 tasks and the three that plan them. All first attempts together take longer than the kills do: a task that loses its
/// host goes to the end of the queue, so nobody meets three kills by chance, and the quarantine must stay empty.
const DEFINITION: &str = r#"
id = "kill-nine"

[error_tolerance]
max_child_failures = 1000

[step.quick]
plugin = "noop"
tasks = 150
lines = 4

[step.busy]
plugin = "stress"
kind = "cpu"
tasks = 150
min_size = 100
max_size = 4000

[step.steady]
plugin = "generator"
worker_count = 1700
log_count = 8
log_delay_ms = 40
failure_rate = 0.05
"#;

/// Attempts at once while the server is being killed: enough that every kill hits some.
const SLOTS: &str = "4";

#[tokio::test]
async fn a_job_of_2000_tasks_survives_100_kills() {
    let kills = setting("BULKHEAD_KILLS", 100);
    let mut dice = Dice::fresh();
    let data = tempfile::tempdir().expect("a temporary directory");
    let (mut server, _) = start(data.path(), &["--slots", SLOTS]).await;
    server.wait_until_loaded();
    let api = server.api();
    api.put_definition("kill-nine", DEFINITION).await.ok();
    let run = api.trigger("kill-nine").await;
    api.wait_for(&run, "planned", |run| number_of(&run["tasks"], "total") == 2_003).await;

    let mut slowest = Duration::ZERO;
    let started = Instant::now();
    for kill in 1..=kills {
        // The moment of the kill is the test's input, not a wait for anything.
        tokio::time::sleep(dice.millis(0, 500)).await;
        server.kill();
        let (next, ready) = start(data.path(), &["--slots", SLOTS]).await;
        println!("kill {kill}: ready again after {} ms", ready.as_millis());
        (server, slowest) = (next, slowest.max(ready));
    }
    let api = server.api();
    let midway = api.run(&run).await;
    println!("{kills} kills in {:.1} s, the slowest restart took {} ms", started.elapsed().as_secs_f64(), slowest.as_millis());
    println!("after the last kill: {}", midway["tasks"]);
    assert_ne!(midway["state"], "succeeded", "the job was too short for {kills} kills");

    // What is left may go faster.
    server.kill();
    let (server, _) = start(data.path(), &["--slots", "128"]).await;
    let api = server.api();
    api.wait_for_end(&run).await;
    let found = audit(&api, &run).await;
    check_results(&found);
    server.kill();
    doctor(data.path());
}

/// Every task has the result that it would have had without the kills.
fn check_results(found: &Audit) {
    assert_eq!(found.tasks.len(), 2_003);
    assert_eq!(found.run["state"], "succeeded", "{:#}", found.run["failure"]);
    let (mut attempts, mut deaths, mut ordered) = (0, 0, 0);
    for task in &found.tasks {
        attempts += number_of(task, "attempt");
        deaths += number_of(task, "host_deaths");
        if task["state"] == "failed" {
            assert_eq!(task["failure"]["cause"], "plugin-error", "{task:#}");
            ordered += 1;
        }
    }
    println!("{attempts} attempts at 2,003 tasks, {deaths} lost with their host, {ordered} failed as ordered");
    assert!((50..=130).contains(&ordered), "{ordered} of 1,700 workers failed at a rate of 0.05");
    // A worker that succeeded wrote all its lines in its last attempt.
    for task in found.tasks.iter().filter(|task| task["step"] == "steady" && task["index"] != 0) {
        let last = |line: &&serde_json::Value| {
            line["step"] == "steady" && line["task"] == task["index"] && line["attempt"] == task["attempt"]
        };
        let said = found.lines.iter().filter(last).filter(|line| line["source"] == "plugin").count();
        assert_eq!(said, 8, "{task:#}");
    }
    // Nor did any attempt of another step say more than it has to say.
    let mut said = std::collections::HashMap::<_, u64>::new();
    for line in found.lines.iter().filter(|line| line["step"] == "quick" && line["source"] == "plugin") {
        let count = said.entry((number_of(line, "task"), number_of(line, "attempt"))).or_default();
        *count += 1;
        assert!(*count <= 4, "a line is repeated: {line:#}");
    }
}

#[tokio::test]
async fn a_task_that_dies_with_its_host_three_times_is_quarantined_and_the_others_are_not() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let definition = r#"
id = "quarantine"

[error_tolerance]
max_child_failures = 1

[step.endless]
plugin = "generator"
worker_count = 1
log_count = 1000000
log_delay_ms = 50
timeout = "1h"

[step.quick]
plugin = "noop"
tasks = 50
lines = 1
"#;
    let (mut server, _) = start(data.path(), &[]).await;
    server.wait_until_loaded();
    let api = server.api();
    api.put_definition("quarantine", definition).await.ok();
    let run = api.trigger("quarantine").await;
    for death in 1..=3 {
        let api = server.api();
        // The endless worker is at it again, and everybody else is done.
        api.wait_for(&run, "down to one task", |run| {
            let counts = &run["tasks"];
            number_of(counts, "running") == 1 && number_of(counts, "succeeded") == 52
        })
        .await;
        let page = api.get(&format!("/runs/{run}/logs?step=endless&limit=1")).await.ok();
        println!("death {death}: the log begins {}", page["lines"][0]["message"]);
        server.kill();
        (server, _) = start(data.path(), &[]).await;
    }
    let api = server.api();
    api.wait_for_end(&run).await;
    let found = audit(&api, &run).await;
    let lost = found.failed_with("host-lost");
    assert_eq!(lost.len(), 1, "{lost:#?}");
    assert_eq!((number_of(lost[0], "attempt"), number_of(lost[0], "host_deaths")), (3, 3), "{:#}", lost[0]);
    assert_eq!(found.run["tasks"]["succeeded"], 52);
    assert_eq!(found.run["state"], "succeeded", "one failure is borne");
    let evidence = api.get(&format!("/tasks/{}", lost[0]["id"].as_str().expect("a task has an id"))).await.ok();
    let ends: Vec<_> = evidence["attempts"].as_array().expect("attempts").iter().map(|attempt| attempt["end"].clone()).collect();
    assert_eq!(ends, ["host-lost"; 3], "{evidence:#}");
    server.kill();
    doctor(data.path());
}
