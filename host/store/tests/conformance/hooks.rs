//! Hooks: told with what causes it, handed out once at a time, and counted.

use std::collections::BTreeSet;
use std::time::Duration;

use bulkhead_core::failure::Cause;
use bulkhead_core::hook::{
    Answer, Delivery, DeliveryState, GATHERED_FOR, Hook, HookCounts, HookEvent, HookName, MAX_NAMED_TASKS,
};
use bulkhead_core::machine::RunCommand;
use bulkhead_core::run::RunStatus;
use bulkhead_engine::store::{
    DELIVERED_KEPT, DeliveryEnd, DeliveryRequest, HookRecord, MAX_FAILED, MAX_WAITING, Settlement, StoreError,
};

use crate::fixture::{Fixture, LEASE, name, one_step, plan};

fn of(text: &str) -> HookName {
    text.parse().unwrap()
}

fn hook(events: &[HookEvent], definitions: &[&str]) -> Hook {
    let definitions = definitions.iter().map(|definition| name(definition)).collect();
    Hook { url: "https://example.org/told".into(), events: events.to_vec(), definitions, secret: name("key") }
}

/// A definition with these hooks.
fn text(hooks: &str) -> String {
    format!("id = \"job\"\n{hooks}\n[step.a]\nplugin = \"p\"\n")
}

fn stated(name: &str, url: &str) -> String {
    format!("[[hooks]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"key\"\n")
}

impl Fixture {
    async fn put_hook(&self, text: &str, events: &[HookEvent], definitions: &[&str]) {
        self.store().put_hook(name(text), hook(events, definitions)).await.unwrap();
    }

    async fn counts(&self, text: &str) -> HookCounts {
        self.store().hook(of(text)).await.unwrap().counts
    }

    async fn told(&self, text: &str, state: DeliveryState) -> Vec<Delivery> {
        self.store().deliveries(of(text), state, None, 10_000).await.unwrap()
    }

    async fn lease(&self, limit: usize) -> Vec<(HookRecord, Delivery)> {
        self.lease_after(None, limit, limit).await
    }

    async fn lease_after(&self, after: Option<&str>, limit: usize, per_hook: usize) -> Vec<(HookRecord, Delivery)> {
        let after = after.map(of);
        let request = DeliveryRequest { after, busy: Default::default(), per_hook, limit, lease: LEASE };
        self.store().lease_deliveries(request).await.unwrap().deliveries
    }

    async fn settle(&self, (hook, delivery): &(HookRecord, Delivery), end: DeliveryEnd) {
        let settlement = Settlement {
            hook: hook.name.clone(),
            number: delivery.number,
            id: delivery.id.clone(),
            attempt: delivery.attempts,
            answer: Answer { at: self.clock.now(), status: Some(500), text: "said so".into() },
            end,
        };
        self.store().settle_delivery(settlement).await.unwrap();
    }

    /// A run whose only task ends so.
    async fn one_run(&self, cause: Option<Cause>) {
        self.create(plan(&["a"])).await;
        let claimed = self.claim_one().await;
        match cause {
            Some(cause) => drop(self.fail(&claimed, cause).await),
            None => self.succeed(&claimed).await,
        }
    }
}

fn events(told: &[Delivery]) -> Vec<&'static str> {
    told.iter().rev().map(|delivery| delivery.event.name()).collect()
}

pub(crate) async fn who_wants_to_know_is_told_once(f: &mut Fixture) {
    f.put_hook("all", &HookEvent::ASKED, &[]).await;
    f.put_hook("ends", &[HookEvent::RunSucceeded, HookEvent::RunCancelled], &["job", "other"]).await;
    f.put_hook("elsewhere", &HookEvent::ASKED, &["other"]).await;
    f.one_run(None).await;
    f.one_run(Some(Cause::OutOfFuel)).await;
    let run = f.create(plan(&["a"])).await;
    f.command(run, RunCommand::Cancel).await;
    f.housekeep().await;
    assert_eq!(f.get(run).await.state.status(), RunStatus::Cancelled);
    f.recount().await;
    let all = f.told("all", DeliveryState::Waiting).await;
    assert_eq!(events(&all), ["run.succeeded", "task.failed", "run.failed", "run.cancelled"]);
    let ends = f.told("ends", DeliveryState::Waiting).await;
    assert_eq!(events(&ends), ["run.succeeded", "run.cancelled"]);
    assert!(f.told("elsewhere", DeliveryState::Waiting).await.is_empty());
    let ids: BTreeSet<_> = all.iter().chain(&ends).map(|delivery| &delivery.id).collect();
    assert_eq!(ids.len(), 6, "each has an id of its own");
    let body: serde_json::Value = serde_json::from_str(&all[1].body()).unwrap();
    assert_eq!((&body["type"], &body["data"]["state"]), (&"run.failed".into(), &"failed".into()));
    assert_eq!((&body["data"]["tasks"]["failed"], &body["data"]["failure"]["cause"]), (&1.into(), &"out-of-fuel".into()));
    // A run that is retried ends anew, and its end is told anew.
    let failed = f.store().runs(Default::default(), None, 10).await.unwrap();
    let failed = failed.iter().find(|run| run.state.status() == RunStatus::Failed).unwrap().id;
    f.command(failed, RunCommand::RetryFailed).await;
    f.housekeep().await;
    f.succeed(&f.claim_one().await).await;
    assert_eq!(f.counts("all").await.waiting, 5);
    assert_eq!(f.store().hook_counts().await.unwrap().waiting, 8);
}

pub(crate) async fn a_transaction_that_is_refused_tells_nothing(f: &mut Fixture) {
    f.put_hook("all", &HookEvent::ASKED, &[]).await;
    f.create(plan(&["a"])).await;
    let claimed = f.claim_one().await;
    f.fail(&claimed, Cause::OutOfFuel).await;
    let before = f.counts("all").await;
    assert!(f.end(&claimed, crate::fixture::failure(Cause::OutOfFuel)).await.is_err(), "the attempt is over");
    assert_eq!(f.counts("all").await, before);
}

pub(crate) async fn dead_letters_are_gathered_until_they_are_sent(f: &mut Fixture) {
    f.put_hook("all", &[HookEvent::TaskFailed], &[]).await;
    let keys: Vec<String> = (0..30).map(|key| format!("k{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    f.spawned(one_step(|_| {}), &keys).await;
    let claimed = f.claim(30).await;
    for claimed in &claimed[..25] {
        f.fail(claimed, Cause::OutOfFuel).await;
    }
    f.recount().await;
    assert_eq!(f.counts("all").await.waiting, 1);
    assert!(f.lease(9).await.is_empty(), "more may follow");
    f.reopen();
    f.clock.advance(GATHERED_FOR);
    let leased = f.lease(9).await;
    let body: serde_json::Value = serde_json::from_str(&leased[0].1.body()).unwrap();
    assert_eq!((&body["data"]["count"], &body["data"]["step"]), (&25.into(), &"only".into()));
    let named = body["data"]["tasks"].as_array().unwrap();
    assert_eq!((named.len(), &named[3]["key"]), (MAX_NAMED_TASKS as usize, &"k3".into()));
    // What was sent stays as it is: further ones are told anew.
    for claimed in &claimed[25..] {
        f.fail(claimed, Cause::OutOfFuel).await;
    }
    f.settle(&leased[0], DeliveryEnd::Retry { wait: Duration::ZERO }).await;
    f.clock.advance(GATHERED_FOR);
    let leased = f.lease(9).await;
    let counts: Vec<_> =
        leased.iter().map(|(_, delivery)| serde_json::from_str::<serde_json::Value>(&delivery.body()).unwrap()).collect();
    let counts: Vec<_> = counts.iter().map(|body| body["data"]["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [25, 5]);
}

pub(crate) async fn hooks_come_change_and_go_with_their_definition(f: &mut Fixture) {
    let put = async |text: String| f.store().put_definition(name("job"), text.into(), None).await.unwrap();
    put(text(&[stated("ops", "https://a.test/"), stated("audit", "https://b.test/")].concat())).await;
    let names = async || {
        let hooks = f.store().hooks(None, 10).await.unwrap();
        hooks.iter().map(|record| format!("{} {}", record.name, record.hook.url)).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["job:audit https://b.test/", "job:ops https://a.test/"]);
    assert_eq!(f.store().hooks(Some(of("job:audit")), 10).await.unwrap()[0].name, of("job:ops"));
    f.one_run(None).await;
    // What waits follows the hook to its new address.
    put(text(&[stated("new", "https://n.test/"), stated("ops", "https://c.test/")].concat())).await;
    f.recount().await;
    assert_eq!(names().await, ["job:new https://n.test/", "job:ops https://c.test/"]);
    let leased = f.lease(9).await;
    assert_eq!((leased.len(), &*leased[0].0.hook.url), (1, "https://c.test/"));
    assert!(matches!(f.store().hook(of("job:audit")).await, Err(StoreError::NotFound("hook"))));
    // A hook of the server stays, whatever its definition does.
    f.put_hook("all", &HookEvent::ASKED, &["job"]).await;
    f.store().delete_definition(name("job")).await.unwrap();
    assert_eq!(names().await, ["all https://example.org/told"]);
    f.settle(&leased[0], DeliveryEnd::Delivered).await;
    f.recount().await;
    f.store().delete_hook(name("all")).await.unwrap();
    assert!(matches!(f.store().delete_hook(name("all")).await, Err(StoreError::NotFound("hook"))));
    assert_eq!(f.store().hook_counts().await.unwrap(), HookCounts::default());
}

pub(crate) async fn a_delivery_belongs_to_one_attempt_at_a_time(f: &mut Fixture) {
    f.put_hook("all", &HookEvent::ASKED, &[]).await;
    f.store().test_hook(of("all")).await.unwrap();
    let first = f.lease(9).await.pop().unwrap();
    assert!(f.lease(9).await.is_empty());
    f.reopen();
    assert!(f.lease(9).await.is_empty(), "the lease lasts longer than the process");
    f.clock.advance(LEASE);
    let second = f.lease(9).await.pop().unwrap();
    assert_eq!((second.1.attempts, &second.1.id), (2, &first.1.id));
    f.settle(&first, DeliveryEnd::Delivered).await;
    assert_eq!(f.counts("all").await.delivered, 0, "a late answer to an earlier attempt changes nothing");
    let mut other = second.clone();
    other.1.id = "msg_of_another_life".into();
    f.settle(&other, DeliveryEnd::Delivered).await;
    assert_eq!(f.counts("all").await.delivered, 0, "neither does that to a hook of the same name");
    f.settle(&second, DeliveryEnd::Retry { wait: Duration::from_secs(5) }).await;
    f.settle(&second, DeliveryEnd::Retry { wait: Duration::from_secs(5) }).await;
    f.recount().await;
    assert!(f.lease(9).await.is_empty());
    f.clock.advance(Duration::from_secs(5));
    let third = f.lease(9).await.pop().unwrap();
    f.settle(&third, DeliveryEnd::Delivered).await;
    f.settle(&third, DeliveryEnd::Delivered).await;
    let counts = HookCounts { delivered: 1, ..HookCounts::default() };
    assert_eq!((f.counts("all").await, f.store().hook_counts().await.unwrap()), (counts, counts));
    let delivered = f.told("all", DeliveryState::Delivered).await.pop().unwrap();
    assert_eq!((delivered.attempts, delivered.last.unwrap().status), (3, Some(500)));
}

pub(crate) async fn every_hook_gets_its_turn_and_its_room(f: &mut Fixture) {
    for hook in ["a", "b", "long-name", "z"] {
        f.put_hook(hook, &HookEvent::ASKED, &[]).await;
        for _ in 0..5 {
            f.store().test_hook(of(hook)).await.unwrap();
        }
    }
    let names =
        |leased: Vec<(HookRecord, Delivery)>| -> Vec<String> { leased.iter().map(|(hook, _)| hook.name.to_string()).collect() };
    assert_eq!(names(f.lease_after(None, 3, 2).await), ["a", "a", "b"]);
    assert_eq!(names(f.lease_after(Some("b"), 4, 2).await), ["z", "z", "long-name", "long-name"]);
    assert_eq!(names(f.lease_after(Some("long-name"), 2, 1).await), ["a", "b"], "after the last one comes the first");
    let busy = [(of("a"), 2), (of("z"), 1)].into();
    let request = DeliveryRequest { after: None, busy, per_hook: 2, limit: 100, lease: LEASE };
    let leased = f.store().lease_deliveries(request).await.unwrap();
    assert_eq!(names(leased.deliveries), ["b", "b", "z", "long-name", "long-name"]);
    assert_eq!(leased.next, None, "those that are due wait for room");
    let request = DeliveryRequest { after: None, busy: Default::default(), per_hook: 9, limit: 100, lease: LEASE };
    let leased = f.store().lease_deliveries(request).await.unwrap();
    assert_eq!(names(leased.deliveries), ["a", "a", "b", "z", "z", "long-name"]);
    assert_eq!(leased.next, Some(f.clock.now().after(LEASE)), "when what was handed out is given up");
}

pub(crate) async fn failed_deliveries_are_kept_and_sent_again(f: &mut Fixture) {
    f.put_hook("all", &HookEvent::ASKED, &[]).await;
    for _ in 0..3 {
        f.store().test_hook(of("all")).await.unwrap();
    }
    for leased in f.lease(9).await {
        f.settle(&leased, DeliveryEnd::Failed).await;
    }
    f.recount().await;
    assert_eq!(f.told("all", DeliveryState::Failed).await.len(), 3);
    assert_eq!(f.store().deliveries(of("all"), DeliveryState::Failed, Some(3), 1).await.unwrap()[0].number, 2);
    assert_eq!(f.store().redeliver(of("all"), Some(2)).await.unwrap(), 1);
    let again = f.store().redeliver(of("all"), Some(2)).await;
    assert!(matches!(again, Err(StoreError::NotFound("failed delivery"))), "{again:?}");
    let leased = f.lease(9).await.pop().unwrap();
    assert_eq!((leased.1.number, leased.1.attempts, leased.1.earlier), (2, 2, 1));
    f.settle(&leased, DeliveryEnd::Delivered).await;
    assert_eq!(f.store().redeliver(of("all"), None).await.unwrap(), 2);
    assert_eq!(f.store().redeliver(of("all"), None).await.unwrap(), 0);
    assert_eq!(f.counts("all").await, HookCounts { waiting: 2, delivered: 1, ..HookCounts::default() });
    assert!(matches!(f.store().redeliver(of("none"), None).await, Err(StoreError::NotFound("hook"))));
}

pub(crate) async fn what_waits_failed_and_arrived_is_bounded(f: &mut Fixture) {
    f.put_hook("all", &[HookEvent::RunSucceeded], &[]).await;
    let tests = (0..MAX_WAITING).map(|_| f.store().test_hook(of("all")));
    for delivery in futures::future::join_all(tests).await {
        delivery.unwrap();
    }
    assert!(matches!(f.store().test_hook(of("all")).await, Err(StoreError::Conflict(_))));
    f.one_run(None).await;
    assert_eq!((f.counts("all").await.waiting, f.counts("all").await.dropped), (MAX_WAITING, 1));
    let settle = async |count: u64, end: DeliveryEnd| {
        let leased = f.lease(count as usize).await;
        assert_eq!(leased.len() as u64, count);
        futures::future::join_all(leased.iter().map(|leased| f.settle(leased, end))).await;
    };
    settle(MAX_FAILED + 5, DeliveryEnd::Failed).await;
    settle(DELIVERED_KEPT + 5, DeliveryEnd::Delivered).await;
    let counts = f.counts("all").await;
    assert_eq!((counts.failed, counts.dropped, counts.delivered), (MAX_FAILED, 6, DELIVERED_KEPT + 5));
    let failed = f.told("all", DeliveryState::Failed).await;
    assert_eq!((failed.len() as u64, failed.last().unwrap().number), (MAX_FAILED, 6), "the oldest are dropped");
    assert_eq!(f.told("all", DeliveryState::Delivered).await.len() as u64, DELIVERED_KEPT);
    f.recount().await;
    f.store().delete_hook(name("all")).await.unwrap();
}
