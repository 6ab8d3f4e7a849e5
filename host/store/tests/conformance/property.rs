//! Random commands, and a recount after each.

use std::time::Duration;

use bulkhead_core::failure::{Cause, CauseSet, FailureFilter};
use bulkhead_core::hook::{Answer, Delivery, Hook, HookEvent};
use bulkhead_core::id::{RunId, TaskId, WorkerId};
use bulkhead_core::machine::RunCommand;
use bulkhead_core::plan::{ErrorTolerance, FailureAction, OnError, Plan, Priority};
use bulkhead_core::task::AttemptEnd;
use bulkhead_engine::store::{
    Claimed, DeliveryEnd, DeliveryRequest, HookRecord, Retention, Settlement, StoreError, Summons, TaskOrder,
};

use crate::fixture::{FIRST, Fixture, LEASE, MIB, SECOND, failure, lines, name, plan};

/// A small generator of numbers, so that a seed is a whole test.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn of<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len() as u64) as usize].clone()) }
    }
}

fn random_plan(random: &mut Random) -> Plan {
    let mut plan = plan(&["one", "two", "three"]);
    plan.priority = Priority(random.below(3) as u8);
    plan.timeout = random.of(&[None, Some(Duration::from_secs(20))]).unwrap();
    plan.tolerance = ErrorTolerance {
        max_child_failures: random.below(2) as u32,
        failure_action: random.of(&[FailureAction::Continue, FailureAction::Stop]).unwrap(),
        ..ErrorTolerance::default()
    };
    plan.steps[1].depends = vec![FIRST];
    for step in &mut plan.steps {
        step.concurrency = random.of(&[None, Some(1), Some(3)]).unwrap();
        step.on_error = random.of(&[OnError::Fail, OnError::Continue]).unwrap();
        step.retry.attempts = 1 + random.below(2) as u32;
        step.limits.spawned_tasks = 20;
    }
    plan
}

pub(crate) async fn random_commands_keep_every_count_right(f: &mut Fixture) {
    for seed in 0..8 {
        play(f, seed).await;
    }
}

/// Refusals are part of the game; anything else is not.
fn played<T>(seed: u64, result: Result<T, StoreError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(StoreError::Rejected(_) | StoreError::NotFound(_) | StoreError::Conflict(_)) => None,
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

async fn play(f: &mut Fixture, seed: u64) {
    let mut random = Random(seed);
    let (mut runs, mut held): (Vec<RunId>, Vec<Claimed>) = (vec![], vec![]);
    let mut sent: Vec<(HookRecord, Delivery)> = vec![];
    for turn in 0..150u64 {
        match random.below(28) {
            0 | 1 => runs.push(f.create(random_plan(&mut random)).await),
            2..=5 => {
                let slots = random.below(5) as usize;
                let request = bulkhead_engine::store::ClaimRequest { worker: f.worker, slots, memory: 4 * MIB, budget: 4 * MIB };
                held.extend(played(seed, f.store().claim(request).await).unwrap_or_default().tasks);
            }
            6..=9 => {
                let ends = [
                    AttemptEnd::Succeeded,
                    AttemptEnd::Succeeded,
                    failure(Cause::Panic),
                    failure(Cause::OutOfFuel),
                    AttemptEnd::Cancelled,
                    AttemptEnd::Released,
                ];
                if let Some(task) = random.of(&held) {
                    let end = random.of(&ends).unwrap();
                    played(seed, f.complete(&task, end, random.below(3), lines(&["last", "words"])).await);
                    if random.below(4) > 0 {
                        held.retain(|other| (other.task, other.attempt) != (task.task, task.attempt));
                    }
                }
            }
            10 | 11 => {
                if let Some(task) = random.of(&held) {
                    let keys: Vec<String> = (0..random.below(6)).map(|_| format!("k{}", random.below(30))).collect();
                    played(seed, f.spawn(&task, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await);
                }
            }
            12 | 13 => {
                if let Some(task) = random.of(&held) {
                    played(seed, f.store().append_log(task.task, task.attempt, random.below(4), lines(&["a", "b", "c"])).await);
                }
            }
            14 => {
                let commands =
                    [RunCommand::Cancel, RunCommand::Pause, RunCommand::Resume, RunCommand::Resume, RunCommand::RetryFailed];
                if let Some(run) = random.of(&runs) {
                    let command = random.of(&commands).unwrap();
                    played(seed, f.store().command_run(run, command).await);
                }
            }
            20..=22 => {
                if let Some(run) = random.of(&runs) {
                    let step = random.of(&[FIRST, SECOND]).unwrap();
                    let task = TaskId::new(run, step, random.below(8) as u32);
                    let edit = TaskOrder::Edit { input: format!("{turn}").into(), by: None };
                    let orders = [TaskOrder::Retry, TaskOrder::Retry, TaskOrder::Skip, TaskOrder::Cancel, edit];
                    played(seed, f.store().order_task(task, random.of(&orders).unwrap()).await);
                }
            }
            23 => {
                if let Some(run) = random.of(&runs) {
                    let step = random.of(&[None, Some(FIRST)]).unwrap();
                    played(seed, f.store().summon(Summons { run, step, idempotency: None }).await);
                    let filter = FailureFilter { causes: CauseSet::from_names(["panic"]).unwrap(), text: None };
                    if random.below(4) == 0 {
                        played(seed, f.store().command_run(run, RunCommand::RetryMatching { step, filter }).await);
                    }
                }
            }
            24 | 25 => {
                let (per_hook, limit) = (random.below(4) as usize, random.below(6) as usize);
                let after = random.of(&[None, Some("ops"), Some("job:a")]).unwrap().map(|name| name.parse().unwrap());
                let request = DeliveryRequest { after, busy: Default::default(), per_hook, limit, lease: LEASE };
                sent.extend(f.store().lease_deliveries(request).await.unwrap().deliveries);
                if let Some((hook, delivery)) = random.of(&sent) {
                    let retry = DeliveryEnd::Retry { wait: Duration::from_secs(random.below(9)) };
                    let end = random.of(&[DeliveryEnd::Delivered, DeliveryEnd::Failed, DeliveryEnd::Failed, retry]).unwrap();
                    let answer = Answer { at: f.clock.now(), status: None, text: "said".into() };
                    let Delivery { number, id, attempts: attempt, .. } = delivery;
                    let settlement = Settlement { hook: hook.name, number, id, attempt, answer, end };
                    f.store().settle_delivery(settlement).await.unwrap();
                }
            }
            26 => {
                let number = Some(random.below(12)).filter(|number| *number < 9);
                let hook = random.of(&["ops", "job:a", "job:b"]).unwrap().parse().unwrap();
                played(seed, f.store().redeliver(hook, number).await);
            }
            27 => {
                let stated =
                    |name: &str| format!("[[hooks]]\nname = \"{name}\"\nurl = \"https://{turn}.test/\"\nsecret = \"k\"\n");
                let hook = Hook {
                    url: format!("https://{turn}.test/"),
                    events: HookEvent::ASKED.to_vec(),
                    definitions: random.of(&[vec![], vec![name("job"), name("other")]]).unwrap(),
                    secret: name("k"),
                };
                match random.below(6) {
                    0 => drop(played(seed, f.store().delete_definition(name("job")).await)),
                    1 => drop(played(seed, f.store().delete_hook(name("ops")).await)),
                    2 | 3 => drop(played(seed, f.store().put_hook(name("ops"), hook).await)),
                    _ => {
                        let hooks: String = ["a", "b"].into_iter().filter(|_| random.below(3) > 0).map(stated).collect();
                        let text = format!("id = \"job\"\n{hooks}[step.one]\nplugin = \"noop\"\n");
                        played(seed, f.store().put_definition(name("job"), text.into(), None).await);
                    }
                }
            }
            15 => {
                if let Some(run) = random.of(&runs) {
                    played(seed, f.store().delete_run(run).await);
                }
            }
            16 => {
                f.worker = WorkerId::from_u128(u128::from(random.below(3)) + 1);
                f.store().register_worker(f.worker, LEASE, random.below(3) == 0).await.unwrap();
            }
            17 => {
                f.clock.advance(Duration::from_secs(random.below(12)));
                played(seed, f.store().renew(f.worker, LEASE, vec![]).await);
            }
            18 => {
                let retention = Retention { age: Some(Duration::from_secs(60)), count: Some(10) };
                f.store().housekeep(retention).await.unwrap();
                played(seed, f.store().take_revoked(f.worker).await);
            }
            _ => match random.below(3) {
                0 => f.reopen(),
                1 => drop(played(seed, f.store().reconcile(f.worker, vec![]).await)),
                _ => {
                    if let Some(task) = random.of(&held) {
                        played(seed, f.store().save_checkpoint(task.task, task.attempt, bytes::Bytes::from_static(b"x")).await);
                    }
                }
            },
        }
        let differences = f.store().recount().await.unwrap();
        assert!(differences.is_empty(), "seed {seed}, turn {turn}:\n{}", differences.join("\n"));
    }
}
