//! Single tasks: claims, fences, retries, lost workers.

use std::time::Duration;

use super::world::{World, failed, plan, single, worker};
use crate::failure::{Cause, Failure};
use crate::machine::{Rejected, RunCommand};
use crate::plan::{Plan, RetryPolicy};
use crate::run::{RunStatus, StepStatus};
use crate::task::{AttemptEnd, MAX_HISTORY, QUARANTINE_HOST_DEATHS, TaskState, TaskStatus};

fn retrying(attempts: u32) -> Plan {
    let mut plan = single();
    let (backoff, max_backoff) = (Duration::from_secs(10), Duration::from_secs(25));
    plan.steps[0].retry = RetryPolicy { attempts, backoff, max_backoff, jitter: 0.0, ..RetryPolicy::default() };
    plan
}

#[test]
fn the_first_claim_starts_the_run() {
    let mut world = World::new(single());
    assert_eq!((world.status_of_run(), world.run.started_at), (RunStatus::Queued, None));
    world.tick(Duration::from_secs(1));
    assert_eq!(world.claim(0, 0), Ok(1));
    assert_eq!((world.status_of_run(), world.run.started_at), (RunStatus::Running, Some(world.now)));
}

#[test]
fn a_held_task_is_not_given_away_again() {
    let mut world = World::new(single());
    world.claim(0, 0).unwrap();
    assert!(matches!(world.claim_by(0, 0, worker(2)), Err(Rejected::RunState { .. } | Rejected::TaskState { .. })));
}

#[test]
fn a_claim_waits_until_the_task_is_due() {
    let mut world = World::new(retrying(2));
    world.through(0, 0, failed(true));
    world.tick(Duration::from_secs(9));
    assert_eq!(world.claim(0, 0), Err(Rejected::TaskState { state: "retrying", command: "claimed" }));
    world.tick(Duration::from_secs(1));
    assert_eq!(world.claim(0, 0), Ok(2));
}

#[test]
fn concurrency_bounds_the_tasks_of_its_step_alone() {
    let mut plan = plan(&[&[], &[]]);
    plan.steps[0].concurrency = Some(2);
    let mut world = World::new(plan);
    world.expand(0, 3);
    world.expand(1, 3);
    for index in 1..=2 {
        world.claim(0, index).unwrap();
    }
    assert!(world.claim(0, 3).is_err());
    for index in 1..=3 {
        world.claim(1, index).unwrap();
    }
    world.end(0, 1, AttemptEnd::Succeeded).unwrap();
    world.claim(0, 3).unwrap();
}

#[test]
fn a_late_writer_is_refused() {
    let mut world = World::new(single());
    let first = world.claim(0, 0).unwrap();
    world.lose(0, 0).unwrap();
    let second = world.claim_by(0, 0, worker(2)).unwrap();
    let fenced = Err(Rejected::Fenced { attempt: first, current: second, state: "running" });
    assert_eq!(world.complete(0, 0, first, AttemptEnd::Succeeded), fenced);
    assert_eq!(world.task(0, 0).check_fence(first), fenced);
    assert_eq!(world.task(0, 0).check_fence(second), Ok(()));
    world.complete(0, 0, second, AttemptEnd::Succeeded).unwrap();
    let fenced = Err(Rejected::Fenced { attempt: second, current: second, state: "succeeded" });
    assert_eq!(world.complete(0, 0, second, AttemptEnd::Succeeded), fenced);
}

#[test]
fn waits_double_up_to_the_longest() {
    let mut world = World::new(retrying(5));
    for (attempt, seconds) in [(1, 10), (2, 20), (3, 25), (4, 25)] {
        world.through(0, 0, failed(true));
        assert_eq!(world.task(0, 0).attempt, attempt);
        let due = world.now.after(Duration::from_secs(seconds));
        assert_eq!(world.task(0, 0).state, TaskState::Retrying { due, cause: Cause::PluginError { retryable: true } });
        world.tick(Duration::from_secs(seconds));
    }
    world.through(0, 0, failed(true));
    assert_eq!(world.status(0, 0), TaskStatus::Failed);
}

#[test]
fn jitter_spreads_a_wait_within_its_share() {
    let policy = RetryPolicy {
        attempts: 9,
        backoff: Duration::from_secs(10),
        max_backoff: Duration::from_secs(3600),
        ..RetryPolicy::default()
    };
    assert_eq!(policy.delay(1, 0), Duration::from_secs(8));
    assert_eq!(policy.delay(1, u32::MAX), Duration::from_secs(12));
    assert_eq!(RetryPolicy { jitter: 1.0, ..policy }.delay(1, 0), Duration::ZERO);
    for random in (0..=u32::MAX).step_by(1 << 24) {
        let wait = policy.delay(2, random);
        assert!((Duration::from_secs(16)..=Duration::from_secs(24)).contains(&wait), "{wait:?}");
    }
    assert!(policy.delay(u32::MAX, u32::MAX) <= Duration::from_secs(4320), "no number of failures overflows");
}

#[test]
fn what_would_fail_again_is_not_retried() {
    let ends = [
        failed(false),
        AttemptEnd::Failed(Failure::new(Cause::OutOfFuel, "no fuel left")),
        AttemptEnd::Failed(Failure::new(Cause::Denied, "no network")),
    ];
    for end in ends {
        let mut world = World::new(retrying(5));
        world.through(0, 0, end);
        assert_eq!(world.status(0, 0), TaskStatus::Failed);
    }
}

#[test]
fn a_released_task_is_due_at_once_and_nothing_is_counted() {
    let mut world = World::new(retrying(2));
    world.through(0, 0, AttemptEnd::Released);
    assert_eq!(world.task(0, 0).state, TaskState::Queued { due: world.now });
    assert_eq!((world.task(0, 0).failures, world.task(0, 0).host_deaths), (0, 0));
}

#[test]
fn a_lost_host_counts_against_no_retry_policy() {
    let mut world = World::new(retrying(2));
    for _ in 1..QUARANTINE_HOST_DEATHS {
        world.claim(0, 0).unwrap();
        world.lose(0, 0).unwrap();
        assert_eq!(world.task(0, 0).state, TaskState::Queued { due: world.now });
    }
    world.through(0, 0, failed(true));
    assert_eq!((world.status(0, 0), world.task(0, 0).failures), (TaskStatus::Retrying, 1));
}

#[test]
fn a_task_whose_hosts_keep_dying_is_quarantined() {
    let mut world = World::new(retrying(100));
    for _ in 0..QUARANTINE_HOST_DEATHS {
        world.claim(0, 0).unwrap();
        world.lose(0, 0).unwrap();
    }
    let TaskState::Failed(failure) = &world.task(0, 0).state else { panic!("not quarantined") };
    assert_eq!(failure.cause, Cause::HostLost);
    assert!(failure.message.contains("3 processes died"), "{failure}");
    assert_eq!((world.task(0, 0).failures, world.step(0)), (0, StepStatus::Failed));
}

#[test]
fn only_a_running_task_can_lose_its_worker() {
    let mut world = World::new(single());
    assert_eq!(world.lose(0, 0), Err(Rejected::TaskState { state: "queued", command: "taken from its worker" }));
}

#[test]
fn the_history_keeps_the_latest_attempts() {
    let mut world = World::new(single());
    let attempts = u32::try_from(MAX_HISTORY).unwrap() + 5;
    for _ in 0..attempts {
        world.through(0, 0, AttemptEnd::Released);
    }
    let history = &world.task(0, 0).history;
    assert_eq!((history.len(), history[0].number, history[MAX_HISTORY - 1].number), (MAX_HISTORY, 6, attempts));
    assert_eq!(world.run.steps[0].usage.fuel, 5 * u64::from(attempts));
}

#[test]
fn a_step_spawns_no_more_than_its_limit() {
    let mut plan = single();
    plan.steps[0].limits.spawned_tasks = 3;
    let mut world = World::new(plan);
    world.claim(0, 0).unwrap();
    world.spawn(0, 0, 2).unwrap();
    assert_eq!(world.spawn(0, 0, 2), Err(Rejected::SpawnQuota { limit: 3 }));
    world.spawn(0, 0, 1).unwrap();
    world.spawn(0, 0, 0).unwrap();
    assert_eq!(world.counts(0).total(), 4);
    assert_eq!(world.task(0, 3).parent, Some(0));
}

#[test]
fn a_stopping_run_lets_nobody_spawn() {
    let mut world = World::new(single());
    world.claim(0, 0).unwrap();
    world.ask(RunCommand::Cancel).unwrap();
    assert_eq!(world.spawn(0, 0, 1), Err(Rejected::Stopping));
}

#[test]
fn only_the_causes_that_the_policy_names_are_tried_again() {
    use crate::failure::{CauseSet, Quota};
    let set = |names: &[&'static str]| CauseSet::from_names(names.iter().copied()).unwrap();
    let retried = |on: &[&'static str], except: &[&'static str]| {
        let policy = RetryPolicy { on: set(on), except: set(except), ..RetryPolicy::default() };
        let causes = [
            Cause::PluginError { retryable: true },
            Cause::PluginError { retryable: false },
            Cause::Panic,
            Cause::TimedOut,
            Cause::OutOfFuel,
            Cause::Limit(Quota::Output),
            Cause::HostLost,
            Cause::Cancelled,
        ];
        causes.map(|cause| policy.retries(cause))
    };
    assert_eq!(retried(&[], &[]), [true, false, true, true, false, false, false, false]);
    assert_eq!(retried(&["panic", "out-of-fuel"], &[]), [false, false, true, false, true, false, false, false]);
    assert_eq!(retried(&[], &["panic"]), [true, false, false, true, false, false, false, false]);
    assert_eq!(
        retried(&["plugin-error", "panic", "host-lost"], &["panic"]),
        [true, false, false, false, false, false, false, false]
    );
}
