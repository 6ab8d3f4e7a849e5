//! Schedules: they follow definitions, fire once, and know of their runs.

use std::time::Duration;

use bulkhead_core::event::Event;
use bulkhead_core::machine::RunCommand;
use bulkhead_core::run::{RunStatus, Trigger};
use bulkhead_core::schedule::{FireOutcome, MAX_FIRES, ScheduleRecord};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{Fire, Fired, Idempotency, NewRun, StoreError, StoreResult};

use crate::fixture::{Fixture, name, plan};

/// Every minute, with these policies.
fn text(policies: &str) -> String {
    format!("id = \"job\"\n[schedule]\ncron = \"* * * * *\"\n{policies}\n[step.a]\nplugin = \"p\"\n")
}

/// So many seconds after the fixture's clock began, at a whole minute.
fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(1_020_000_000 + second * 1_000_000)
}

impl Fixture {
    async fn put(&self, text: &str) -> ScheduleRecord {
        self.store().put_definition(name("job"), text.into(), None).await.unwrap();
        self.schedule().await
    }

    async fn schedule(&self) -> ScheduleRecord {
        self.store().schedule(name("job")).await.unwrap()
    }

    fn scheduled(&self) -> NewRun {
        NewRun { trigger: Trigger::Schedule, ..self.new_run(plan(&["a"])) }
    }

    async fn fire(&self) -> StoreResult<Fired> {
        let version = self.schedule().await.version;
        self.store().fire(Fire { schedule: name("job"), version, run: Ok(self.scheduled()) }).await
    }

    async fn fires(&self) -> Vec<String> {
        let fires = self.store().fires(name("job"), None, 1_000).await.unwrap();
        fires.iter().rev().map(|fire| format!("{} {}", fire.time.since(at(0)).as_secs(), fire.outcome.name())).collect()
    }

    async fn is_due(&self) -> bool {
        !self.store().due_schedules(10).await.unwrap().due.is_empty()
    }

    /// Does all tasks that there are.
    async fn work(&self) {
        while let Some(claimed) = self.claim(1).await.pop() {
            self.succeed(&claimed).await;
        }
    }
}

pub(crate) async fn a_schedule_comes_changes_and_goes_with_its_definition(fixture: &mut Fixture) {
    assert!(matches!(fixture.store().schedule(name("job")).await, Err(StoreError::NotFound("schedule"))));
    fixture.store().put_definition(name("job"), "id = \"job\"".into(), None).await.unwrap();
    assert!(fixture.store().schedule(name("job")).await.is_err());
    let record = fixture.put(&text("")).await;
    assert_eq!((record.version, record.next), (2, Some(at(0))));
    let due = fixture.store().due_schedules(10).await.unwrap();
    assert_eq!((due.due.len(), due.next), (0, Some(at(0))));
    fixture.reopen();
    let record = fixture.put(&text("").replace("* * * * *", "30 * * * *")).await;
    assert_eq!((record.version, record.next), (3, Some(at(780))));
    assert_eq!(fixture.store().due_schedules(10).await.unwrap().next, Some(at(780)));
    assert_eq!(fixture.store().schedules(None, 10).await.unwrap(), [record]);
    fixture.recount().await;
    let disabled = fixture.put(&text("").replace("id =", "enabled = false\nid =")).await;
    assert_eq!(disabled.due(), None);
    assert_eq!(fixture.store().due_schedules(10).await.unwrap().next, None);
    fixture.recount().await;
    fixture.store().delete_definition(name("job")).await.unwrap();
    assert!(fixture.store().schedule(name("job")).await.is_err());
    assert!(fixture.store().schedules(None, 10).await.unwrap().is_empty());
}

pub(crate) async fn a_fire_starts_one_run_with_its_record(fixture: &mut Fixture) {
    fixture.put(&text("")).await;
    assert_eq!(fixture.fire().await.unwrap(), Fired { acted: false, run: None, again: false });
    fixture.clock.set(at(0));
    assert!(fixture.is_due().await);
    let wrong = Fire { schedule: name("job"), version: 7, run: Ok(fixture.scheduled()) };
    assert!(matches!(fixture.store().fire(wrong).await, Err(StoreError::Conflict(_))));
    let run = fixture.fire().await.unwrap().run.unwrap();
    assert_eq!(fixture.get(run).await.trigger, Trigger::Schedule);
    // Neither another caller nor another life of the process does it again, nor a clock that goes back.
    assert!(!fixture.fire().await.unwrap().acted);
    fixture.clock.set(Timestamp::from_micros(at(0).as_micros() - 5_000_000));
    fixture.reopen();
    assert!(!fixture.fire().await.unwrap().acted);
    fixture.clock.set(at(0));
    assert!(!fixture.fire().await.unwrap().acted);
    assert_eq!(fixture.fires().await, ["0 started"]);
    let events = fixture.store().events(0, 1_000).await.unwrap();
    let fired: Vec<_> = events.iter().filter(|record| matches!(record.event, Event::Fire { .. })).collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].run, Some(run));
}

pub(crate) async fn a_time_starts_one_run_even_if_the_schedule_is_made_anew(fixture: &mut Fixture) {
    fixture.put(&text("")).await;
    fixture.clock.set(at(0));
    let run = fixture.fire().await.unwrap().run.unwrap();
    fixture.store().delete_definition(name("job")).await.unwrap();
    fixture.clock.set(Timestamp::from_micros(at(0).as_micros() - 5_000_000));
    fixture.reopen();
    fixture.put(&text("")).await;
    fixture.clock.set(at(0));
    assert_eq!(fixture.fire().await.unwrap().run, Some(run));
    assert_eq!(fixture.schedule().await.active, [run]);
}

pub(crate) async fn the_end_of_a_run_makes_a_waiting_fire_due(fixture: &mut Fixture) {
    fixture.put(&text("overlap = \"queue\"\nmax_waiting = 2")).await;
    fixture.clock.set(at(0));
    let first = fixture.fire().await.unwrap().run.unwrap();
    fixture.clock.set(at(60));
    assert_eq!(fixture.fire().await.unwrap(), Fired { acted: true, run: None, again: false });
    assert!(!fixture.is_due().await);
    let mut signal = fixture.store().schedule_signal();
    fixture.work().await;
    assert_eq!(fixture.get(first).await.state.status(), RunStatus::Succeeded);
    tokio::time::timeout(Duration::from_secs(60), signal.wait()).await.expect("the scheduler is told");
    assert!(fixture.is_due().await);
    let second = fixture.fire().await.unwrap().run.unwrap();
    assert_ne!(first, second);
    assert_eq!(fixture.fires().await, ["0 started", "60 started"]);
    assert_eq!(fixture.schedule().await.active, [second]);
}

pub(crate) async fn a_fire_cancels_the_run_before_it(fixture: &mut Fixture) {
    fixture.put(&text("overlap = \"cancel\"")).await;
    fixture.clock.set(at(0));
    let first = fixture.fire().await.unwrap().run.unwrap();
    fixture.clock.set(at(60));
    fixture.fire().await.unwrap();
    fixture.housekeep().await;
    assert_eq!(fixture.get(first).await.state.status(), RunStatus::Cancelled);
    assert!(fixture.is_due().await);
    assert!(fixture.fire().await.unwrap().run.is_some());
    assert_eq!(fixture.fires().await, ["0 started", "60 started"]);
}

pub(crate) async fn a_run_that_is_retried_counts_again(fixture: &mut Fixture) {
    fixture.put(&text("")).await;
    fixture.clock.set(at(0));
    let run = fixture.fire().await.unwrap().run.unwrap();
    let claimed = fixture.claim_one().await;
    fixture.fail(&claimed, bulkhead_core::failure::Cause::Panic).await;
    assert_eq!(fixture.get(run).await.state.status(), RunStatus::Failed);
    assert!(fixture.schedule().await.active.is_empty());
    fixture.command(run, RunCommand::RetryFailed).await;
    assert_eq!(fixture.schedule().await.active, [run]);
    fixture.clock.set(at(60));
    fixture.fire().await.unwrap();
    assert_eq!(fixture.fires().await, ["0 started", "60 skipped"]);
}

pub(crate) async fn a_definition_that_can_not_run_is_refused_and_says_why(fixture: &mut Fixture) {
    fixture.put(&text("")).await;
    fixture.clock.set(at(0));
    let fire = Fire { schedule: name("job"), version: 1, run: Err("the plugin is gone".into()) };
    assert_eq!(fixture.store().fire(fire).await.unwrap(), Fired { acted: true, run: None, again: false });
    let fires = fixture.store().fires(name("job"), None, 10).await.unwrap();
    assert_eq!(fires[0].outcome, FireOutcome::Refused { reason: "the plugin is gone".into() });
    assert_eq!(fixture.store().fire_counts().await.unwrap().refused, 1);
}

pub(crate) async fn a_pause_lasts_and_somebody_may_still_ask_for_a_run(fixture: &mut Fixture) {
    fixture.put(&text("")).await;
    assert!(fixture.store().pause_schedule(name("job"), true).await.unwrap().paused);
    fixture.clock.set(at(60));
    fixture.reopen();
    assert!(!fixture.is_due().await);
    let run = NewRun {
        idempotency: Some(Idempotency { key: "k".into(), request: bulkhead_core::id::Digest::from_bytes([1; 32]) }),
        ..fixture.scheduled()
    };
    let created = fixture.store().fire_now(name("job"), run.clone()).await.unwrap();
    let again = fixture.store().fire_now(name("job"), run).await.unwrap();
    assert_eq!((created.existing, again.existing, created.run.id), (false, true, again.run.id));
    assert!(!fixture.store().pause_schedule(name("job"), false).await.unwrap().paused);
    assert_eq!(fixture.fires().await, ["60 started", "0 skipped"]);
    assert_eq!(fixture.schedule().await.active, [created.run.id]);
    fixture.clock.set(at(120));
    fixture.fire().await.unwrap();
    assert_eq!(fixture.fires().await, ["60 started", "0 skipped", "120 skipped"]);
}

pub(crate) async fn the_history_is_bounded(fixture: &mut Fixture) {
    fixture.put(&text("")).await;
    for minute in 0..MAX_FIRES + 20 {
        fixture.clock.set(at(60 * minute));
        assert!(fixture.fire().await.unwrap().acted);
    }
    let fires = fixture.fires().await;
    assert_eq!(fires.len() as u64, MAX_FIRES);
    assert_eq!(fires[0], format!("{} skipped", 60 * 20));
    let page = fixture.store().fires(name("job"), Some(100), 5).await.unwrap();
    assert_eq!(page.iter().map(|fire| fire.number).collect::<Vec<_>>(), [99, 98, 97, 96, 95]);
    let counts = fixture.store().fire_counts().await.unwrap();
    assert_eq!((counts.started, counts.skipped), (1, MAX_FIRES + 19));
}
