//! What valid definitions mean.

use std::time::Duration;

use super::support::{plugins, valid};
use crate::definition::standing;
use crate::hook::{HookEvent, StatedHook};
use crate::id::StepIndex;
use crate::plan::{
    ErrorTolerance, FailureAction, Grants, Limits, LogOverflow, OnError, Plan, PluginRef, Priority, RetryPolicy, StepPlan,
};
use crate::schedule::Schedule;

const FULL: &str = r#"
id = "nightly"
name = "Nightly load"
description = "Everything that a definition can say."
tags = ["load", "night"]
schedule = "0 30 3 * * MON-FRI"
timeout = "1h30m"
enabled = false
auto_start = true
priority = 9

[[hooks]]
name = "ops"
url = "https://example.org/hook?a=b"
events = ["run.failed", "task.failed", "run.failed"]
secret = "ops-2026"

[[hooks]]
name = "all"
url = "http://127.0.0.1:9000"
secret = "ops-2026"

[error_tolerance]
max_child_failures = 3
failure_action = "stop"

[step.zeta]
plugin = "generator"
worker_count = 5
failure_rate = 0.1

[step.alpha]
type = "free"
description = "The second"
depends = "zeta"
on_error = "continue"
concurrency = 2
timeout = "500ms"
retry = { attempts = 3, backoff = "2s", max_backoff = "1m", jitter = 1 }
allow = { env = ["HOME"], http = ["API.example.com", "*.example.org:8443", "[::1]:80", "127.0.0.1"] }

[step.alpha.limits]
fuel = 1_000_000
memory = "1GiB"
stack = 65536
log_lines = 0
log_bytes = "10MB"
log_line_bytes = "1KiB"
log_overflow = "fail"
output_bytes = 0
artifact_bytes = "2GiB"
spawned_tasks = 7
host_calls = 99
http_requests = 5
http_request_bytes = "1KiB"
http_response_bytes = "2MiB"

[step.mid]
plugin = "free"
depends = ["alpha", "zeta"]
"#;

#[test]
fn a_definition_says_everything_that_a_plan_holds() {
    let definition = valid(FULL);
    assert_eq!(definition.id.as_str(), "nightly");
    assert_eq!(definition.schedule, Some(Schedule::new("0 30 3 * * MON-FRI")));
    let hook = |name: &str, url: &str, events: &[HookEvent]| StatedHook {
        name: name.parse().unwrap(),
        url: url.to_owned(),
        events: events.to_vec(),
        secret: "ops-2026".parse().unwrap(),
    };
    let ops = hook("ops", "https://example.org/hook?a=b", &[HookEvent::RunFailed, HookEvent::TaskFailed]);
    assert_eq!(definition.hooks, [ops, hook("all", "http://127.0.0.1:9000", &HookEvent::ASKED)]);
    let standing = standing(FULL);
    assert_eq!(standing.schedule, definition.schedule.clone().map(|schedule| (schedule, false)));
    assert_eq!(standing.hooks, definition.hooks);
    assert_eq!((definition.enabled, definition.auto_start), (false, true));
    let plugin = |at: usize| {
        let known = &plugins()[at];
        PluginRef { name: known.name.clone(), digest: known.digest }
    };
    let plain = |name: &str, at, depends: &[u16], config: &str| StepPlan {
        name: name.parse().unwrap(),
        description: String::new(),
        plugin: plugin(at),
        depends: depends.iter().copied().map(StepIndex).collect(),
        on_error: OnError::Fail,
        concurrency: None,
        timeout: Duration::from_secs(3600),
        retry: RetryPolicy::default(),
        limits: Limits::default(),
        allow: Grants::default(),
        config: config.to_owned(),
    };
    let alpha = StepPlan {
        description: "The second".to_owned(),
        on_error: OnError::Continue,
        concurrency: Some(2),
        timeout: Duration::from_millis(500),
        retry: RetryPolicy {
            attempts: 3,
            backoff: Duration::from_secs(2),
            max_backoff: Duration::from_secs(60),
            jitter: 1.0,
            ..RetryPolicy::default()
        },
        limits: Limits {
            fuel: Some(1_000_000),
            memory: 1 << 30,
            stack: 65536,
            log_lines: 0,
            log_bytes: 10_000_000,
            log_line_bytes: 1024,
            log_overflow: LogOverflow::Fail,
            output_bytes: 0,
            artifact_bytes: 2 << 30,
            spawned_tasks: 7,
            host_calls: 99,
            http_requests: 5,
            http_request_bytes: 1 << 10,
            http_response_bytes: 2 << 20,
        },
        allow: Grants {
            env: vec!["HOME".to_owned()],
            http: ["api.example.com", "*.example.org:8443", "[::1]:80", "127.0.0.1"].map(str::to_owned).to_vec(),
        },
        ..plain("alpha", 2, &[0], "{}")
    };
    let expected = Plan {
        definition: definition.id.clone(),
        name: "Nightly load".to_owned(),
        tags: vec!["load".to_owned(), "night".to_owned()],
        priority: Priority(9),
        timeout: Some(Duration::from_secs(5400)),
        tolerance: ErrorTolerance { max_child_failures: 3, failure_action: FailureAction::Stop, ..ErrorTolerance::default() },
        steps: vec![plain("zeta", 0, &[], "{\"failure_rate\":0.1,\"worker_count\":5}"), alpha, plain("mid", 2, &[1, 0], "{}")],
    };
    assert_eq!(*definition.plan, expected);
}

#[test]
fn what_is_left_out_has_a_default() {
    let definition = valid("id = \"job\"\n[step.only]\nplugin = \"free\"");
    assert_eq!((definition.schedule, definition.enabled, definition.auto_start), (None, true, false));
    let plan = definition.plan;
    assert_eq!((plan.name.as_str(), plan.priority, plan.timeout), ("job", Priority(5), None));
    assert_eq!(plan.tolerance, ErrorTolerance::default());
    assert_eq!(plan.steps[0].retry.attempts, 1);
}

#[test]
fn a_long_first_wait_is_not_cut_to_the_default_of_the_longest() {
    let plan = valid("id = \"job\"\n[step.only]\nplugin = \"free\"\nretry = { attempts = 2, backoff = \"5m\" }").plan;
    assert_eq!(plan.steps[0].retry.max_backoff, Duration::from_secs(300));
}

#[test]
fn tables_may_be_written_in_every_way_of_toml() {
    let ways = [
        "id = \"job\"\n[step.a]\nplugin = \"free\"\n[step.a.retry]\nattempts = 2",
        "id = \"job\"\n[step.a]\nplugin = \"free\"\nretry.attempts = 2",
        "id = \"job\"\n[step]\na = { plugin = \"free\", retry = { attempts = 2 } }",
        "id = \"job\"\nstep.a.plugin = \"free\"\nstep.a.retry.attempts = 2",
        "\u{feff}id = \"job\"\r\n[step.a]\r\nplugin = \"free\"\r\n[step.a.retry]\r\nattempts = 2\r\n",
    ];
    let plans = ways.map(|text| valid(text).plan);
    assert!(plans.iter().all(|plan| *plan == plans[0]), "{plans:?}");
}

#[test]
fn what_a_step_depends_on_is_followed_through_other_steps() {
    let steps = [("a", ""), ("b", "\"a\""), ("c", "\"b\""), ("d", "")];
    let steps = steps.map(|(name, depends)| format!("[step.{name}]\nplugin = \"free\"\ndepends = [{depends}]\n")).concat();
    let plan = valid(&format!("id = \"x\"\nname = \"X\"\n{steps}")).plan;
    let depends = |step: &str, on: &str| plan.depends_on(plan.step_named(step).unwrap(), plan.step_named(on).unwrap());
    assert!(depends("b", "a") && depends("c", "b") && depends("c", "a"));
    assert!(!depends("a", "b") && !depends("d", "a") && !depends("a", "a"));
}
