//! The transition tables, row by row.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::world::{World, single};
use crate::event::Event;
use crate::id::StepIndex;
use crate::machine::{evolve, run_may_become, step_may_become, task_may_become};
use crate::run::{RunState, RunStatus, StepStatus};
use crate::task::TaskStatus;

const STEPS: [StepStatus; 6] = [
    StepStatus::Blocked,
    StepStatus::Running,
    StepStatus::Succeeded,
    StepStatus::Failed,
    StepStatus::Cancelled,
    StepStatus::Skipped,
];

#[test]
fn a_run_goes_only_where_the_table_says() {
    use RunStatus::{Cancelled, Failed, Paused, Queued, Running, Succeeded};
    let table = [
        (Queued, vec![Running, Paused, Succeeded, Failed, Cancelled]),
        (Running, vec![Paused, Succeeded, Failed, Cancelled]),
        (Paused, vec![Queued, Running, Succeeded, Failed, Cancelled]),
        (Succeeded, vec![Running]),
        (Failed, vec![Running]),
        (Cancelled, vec![]),
    ];
    for (from, allowed) in table {
        let may: Vec<_> = RunStatus::ALL.into_iter().filter(|to| run_may_become(from, *to)).collect();
        assert_eq!(may, allowed, "from {from:?}");
    }
}

#[test]
fn a_step_goes_only_where_the_table_says() {
    use StepStatus::{Blocked, Cancelled, Failed, Running, Skipped, Succeeded};
    let table = [
        (Blocked, vec![Running, Cancelled, Skipped]),
        (Running, vec![Succeeded, Failed, Cancelled]),
        (Succeeded, vec![Running]),
        (Failed, vec![Running]),
        (Cancelled, vec![Blocked, Running]),
        (Skipped, vec![Blocked]),
    ];
    for (from, allowed) in table {
        let may: Vec<_> = STEPS.into_iter().filter(|to| step_may_become(from, *to)).collect();
        assert_eq!(may, allowed, "from {from:?}");
    }
}

#[test]
fn a_task_goes_only_where_the_table_says() {
    use TaskStatus::{Cancelled, Failed, Queued, Retrying, Running, Skipped, Succeeded};
    let table = [
        (Queued, vec![Running, Cancelled, Skipped]),
        (Running, vec![Queued, Retrying, Succeeded, Failed, Cancelled]),
        (Retrying, vec![Running, Cancelled, Skipped]),
        (Succeeded, vec![]),
        (Failed, vec![Queued, Skipped]),
        (Cancelled, vec![Queued, Skipped]),
        (Skipped, vec![Queued]),
    ];
    for (from, allowed) in table {
        let may: Vec<_> = TaskStatus::ALL.into_iter().filter(|to| task_may_become(from, *to)).collect();
        assert_eq!(may, allowed, "from {from:?}");
    }
}

#[test]
fn an_event_that_does_not_follow_is_a_bug_and_changes_nothing() {
    let world = World::new(single());
    let impossible = [
        Event::Run { from: RunStatus::Running, to: RunState::Paused },
        Event::Run { from: RunStatus::Queued, to: RunState::Queued },
        Event::TasksCreated { step: StepIndex(0), first: 5, count: 1, parent: None },
    ];
    for event in impossible {
        let mut run = world.run.clone();
        let refused = catch_unwind(AssertUnwindSafe(|| evolve(&mut run, None, &event, world.now))).is_err();
        assert!(refused, "{event:?} was applied");
        assert_eq!(run, world.run);
    }
}

#[test]
fn names_of_states_are_read_back() {
    for status in RunStatus::ALL {
        assert_eq!(RunStatus::from_name(status.name()), Some(status));
    }
    for status in TaskStatus::ALL {
        assert_eq!(TaskStatus::from_name(status.name()), Some(status));
    }
    assert_eq!((RunStatus::from_name("done"), TaskStatus::from_name("")), (None, None));
}
