//! The courier: what it sends, signs, repeats and gives up.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_core::hook::{DeliveryState, Hook, HookEvent};
use bulkhead_core::name::Name;
use bulkhead_core::plan::Limits;
use bulkhead_engine::courier::{Courier, CourierConfig, PER_HOOK, SigningSecret};
use bulkhead_engine::egress::{Egress, EgressBody, EgressError, EgressRequest, EgressStatistics};
use bulkhead_engine::engine::Engine;
use bulkhead_engine::executor::ExecutionEnd;
use bulkhead_engine::store::{HookRecord, Hooks as _, Journal as _};
use bulkhead_store::Fault;
use bytes::Bytes;
use common::{Bench, Scripted, config, plan};
use futures::future::BoxFuture;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};

/// What a receiver got.
#[derive(Clone, Debug)]
struct Got {
    id: String,
    body: serde_json::Value,
    signed: bool,
    patterns: Vec<String>,
}

type Answers = dyn Fn(usize) -> Option<Response<&'static str>> + Send + Sync;

/// Receivers by host: how each answers its nth request; one that says nothing never answers.
struct Receivers {
    got: Mutex<HashMap<String, Vec<Got>>>,
    answers: HashMap<&'static str, Box<Answers>>,
    secret: SigningSecret,
}

impl Receivers {
    fn new(answers: Vec<(&'static str, Box<Answers>)>) -> Arc<Self> {
        let secret = SigningSecret::new([9; 32]);
        Arc::new(Self { got: Mutex::default(), answers: answers.into_iter().collect(), secret })
    }

    fn got(&self, host: &str) -> Vec<Got> {
        self.got.lock().unwrap().get(host).cloned().unwrap_or_default()
    }
}

struct Net(Arc<Receivers>);

impl Egress for Net {
    fn send(&self, request: EgressRequest) -> BoxFuture<'static, Result<Response<EgressBody>, EgressError>> {
        let net = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.request.into_parts();
            let host = head.uri.host().expect("an absolute URI").to_owned();
            let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
            let raw = body.collect().await.unwrap().to_bytes();
            let (id, seconds) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap());
            let signed = net.secret.sign(&id, seconds, &raw) == header("webhook-signature");
            let patterns = request.grant.patterns.clone();
            let number = {
                let mut all = net.got.lock().unwrap();
                let all = all.entry(host.clone()).or_default();
                all.push(Got { id, body: serde_json::from_slice(&raw).unwrap(), signed, patterns });
                all.len()
            };
            let Some(answer) = net.answers[&*host](number) else { return std::future::pending().await };
            let body: EgressBody =
                Full::new(Bytes::from_static(answer.body().as_bytes())).map_err(|never| match never {}).boxed_unsync();
            Ok(answer.map(|_| body))
        })
    }

    fn statistics(&self) -> EgressStatistics {
        EgressStatistics::default()
    }
}

fn status(code: u16) -> Option<Response<&'static str>> {
    Some(Response::builder().status(StatusCode::from_u16(code).unwrap()).body("said so").unwrap())
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

async fn hook(bench: &Bench, of: &str, events: &[HookEvent]) {
    let url = format!("https://{of}:8443/told");
    let hook = Hook { url, events: events.to_vec(), definitions: vec![], secret: name("key") };
    bench.store.put_hook(name(of), hook).await.unwrap();
}

fn courier(bench: &Bench, receivers: &Arc<Receivers>) -> Courier {
    let secrets = BTreeMap::from([(name("key"), receivers.secret.clone())]);
    let config = CourierConfig { secrets, allow: vec!["10.0.0.0/8".into()], attempts: 5, seed: 1, ..CourierConfig::default() };
    Courier::start(bench.store.clone(), Arc::new(Net(receivers.clone())), config)
}

async fn record(bench: &Bench, of: &str) -> HookRecord {
    bench.store.hook(name(of).into()).await.unwrap()
}

async fn test(bench: &Bench, of: &str) {
    bench.store.test_hook(name(of).into()).await.unwrap();
}

async fn pass(bench: &Bench, seconds: u64) {
    for _ in 0..4 * seconds {
        bench.pass(Duration::from_millis(250)).await;
    }
}

async fn recount(bench: &Bench) {
    assert_eq!(bench.store.recount().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn runs_and_dead_letters_are_told_signed_and_counted() {
    let bench = Bench::new();
    let receivers = Receivers::new(vec![("all", Box::new(|_| status(204))), ("ends", Box::new(|_| status(200)))]);
    hook(&bench, "all", &HookEvent::ASKED).await;
    hook(&bench, "ends", &[HookEvent::RunSucceeded, HookEvent::RunFailed]).await;
    let courier = courier(&bench, &receivers);
    let executor = Scripted::tasks(50, |_| async { ExecutionEnd::Failed(Failure::new(Cause::Panic, "no")) });
    let engine = Engine::start(bench.store.clone(), executor, config(8)).await.unwrap();
    let run = bench.start(plan(Limits::default())).await;
    bench.ended(run).await;
    engine.stop().await.unwrap();
    pass(&bench, 5).await;

    let all = receivers.got("all");
    assert!(all.iter().all(|got| got.signed), "{all:?}");
    assert_eq!(all[0].patterns, ["10.0.0.0/8", "all:8443"]);
    let told: u64 = all.iter().filter_map(|got| got.body["data"]["count"].as_u64()).sum();
    assert_eq!(told, 50, "each dead letter is counted once");
    assert!(all.len() < 30, "dead letters are gathered: {} deliveries", all.len());
    let failed = all.iter().find(|got| got.body["type"] == "task.failed").unwrap();
    let first = &failed.body["data"]["tasks"][0];
    assert_eq!((&failed.body["data"]["step"], &first["failure"]["cause"]), (&"only".into(), &"panic".into()));
    assert!(!all.iter().any(|got| got.body["type"] == "run.succeeded"));
    let ends = receivers.got("ends");
    assert_eq!(ends.len(), 1);
    let body = &ends[0].body;
    assert_eq!((&body["type"], &body["data"]["tasks"]["failed"]), (&"run.failed".into(), &50.into()));
    assert_eq!(body["data"]["failure"]["cause"], "panic");
    assert_eq!(record(&bench, "ends").await.counts.delivered, 1);
    let delivered = bench.store.deliveries(name("ends").into(), DeliveryState::Delivered, None, 10).await.unwrap();
    let answer = delivered[0].last.as_ref().unwrap();
    assert_eq!((&*delivered[0].id, answer.status, &*answer.text), (&*ends[0].id, Some(200), "said so"));
    courier.stop().await;
    recount(&bench).await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_repeated_under_the_same_id_and_then_kept() {
    let bench = Bench::new();
    let receivers = Receivers::new(vec![
        ("flaky", Box::new(|number| if number < 3 { status(500) } else { status(200) })),
        ("broken", Box::new(|_| status(302))),
        ("gone", Box::new(|_| status(410))),
        (
            "busy",
            Box::new(|number| {
                let later = Response::builder().status(429).header("retry-after", "60").body("later").unwrap();
                if number == 1 { Some(later) } else { status(200) }
            }),
        ),
    ]);
    for of in ["flaky", "broken", "gone", "busy"] {
        hook(&bench, of, &[HookEvent::RunFailed]).await;
        test(&bench, of).await;
    }
    let courier = courier(&bench, &receivers);
    pass(&bench, 45).await;
    let flaky = receivers.got("flaky");
    assert_eq!((flaky.len(), receivers.got("busy").len(), receivers.got("gone").len()), (3, 1, 1));
    assert!(flaky.iter().all(|got| got.id == flaky[0].id && got.body == flaky[0].body && got.signed));
    assert_eq!(flaky[0].body["type"], "hook.test");
    assert_eq!(record(&bench, "gone").await.counts.failed, 1);
    pass(&bench, 20).await;
    assert_eq!(receivers.got("busy").len(), 2);

    let failed = bench.store.deliveries(name("broken").into(), DeliveryState::Failed, None, 10).await.unwrap();
    assert_eq!((failed.len(), failed[0].attempts), (1, 5));
    assert_eq!(failed[0].last.as_ref().unwrap().status, Some(302), "nobody follows a redirect");
    assert_eq!(bench.store.redeliver(name("broken").into(), None).await.unwrap(), 1);
    pass(&bench, 60).await;
    let broken = receivers.got("broken");
    assert!(broken.len() == 10 && broken.iter().all(|got| got.id == broken[0].id), "{} attempts", broken.len());
    courier.stop().await;
    recount(&bench).await;
}

#[tokio::test(start_paused = true)]
async fn slow_receivers_hold_up_nobody() {
    let bench = Bench::new();
    // More of them than the courier has places for.
    let slow: Vec<&str> =
        "slow-a slow-b slow-c slow-d slow-e slow-f slow-g slow-h slow-i slow-j slow-k slow-l slow-m slow-n slow-o \
                           slow-p slow-q slow-r slow-s slow-t"
            .split_whitespace()
            .collect();
    let mut answers: Vec<(&'static str, Box<Answers>)> = vec![("quick", Box::new(|_| status(200)))];
    answers.extend(slow.iter().map(|of| (*of, Box::new(|_: usize| None) as Box<Answers>)));
    let receivers = Receivers::new(answers);
    for of in slow.iter().chain(&["quick"]) {
        hook(&bench, of, &[HookEvent::RunFailed]).await;
        for _ in 0..20 {
            test(&bench, of).await;
        }
    }
    let courier = courier(&bench, &receivers);
    pass(&bench, 1).await;
    let asked: Vec<_> = slow.iter().map(|of| receivers.got(of).len()).collect();
    assert!(asked.iter().all(|asked| *asked <= PER_HOOK), "{asked:?}");
    pass(&bench, 20).await;
    assert_eq!(receivers.got("quick").len(), 20, "its turn comes when the first time-outs free places");
    let asked: Vec<_> = slow.iter().map(|of| receivers.got(of).len()).collect();
    assert!(asked.iter().all(|asked| *asked <= PER_HOOK + 1), "who does not answer is asked one at a time: {asked:?}");
    courier.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_courier_that_dies_repeats_what_was_at_work_and_loses_nothing() {
    let mut bench = Bench::new();
    let receivers = Receivers::new(vec![("all", Box::new(|number| if number <= PER_HOOK { None } else { status(200) }))]);
    hook(&bench, "all", &[HookEvent::RunFailed]).await;
    for _ in 0..10 {
        test(&bench, "all").await;
    }
    let dies = courier(&bench, &receivers);
    pass(&bench, 2).await;
    drop(dies);
    bench.store = Arc::new(bench.store.crash(bench.clock.clone(), |_| None));
    let courier = courier(&bench, &receivers);
    pass(&bench, 90).await;
    let mut times = HashMap::<String, usize>::new();
    receivers.got("all").iter().for_each(|got| *times.entry(got.id.clone()).or_default() += 1);
    assert_eq!(times.len(), 10);
    assert_eq!(times.values().filter(|times| **times > 1).count(), PER_HOOK, "{times:?}");
    assert_eq!(record(&bench, "all").await.counts.delivered, 10);
    courier.stop().await;
    recount(&bench).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_costs_time_and_no_delivery() {
    let bench = Bench::new();
    let receivers = Receivers::new(vec![("all", Box::new(|_| status(200)))]);
    hook(&bench, "all", &[HookEvent::RunFailed]).await;
    bench.fault("lease_deliveries", Fault::Refuse);
    bench.fault("lease_deliveries", Fault::LoseAcknowledgement);
    bench.fault("settle_delivery", Fault::Refuse);
    bench.fault("settle_delivery", Fault::LoseAcknowledgement);
    test(&bench, "all").await;
    let courier = courier(&bench, &receivers);
    pass(&bench, 60).await;
    assert_eq!(receivers.got("all").len(), 1, "what was leased without an answer is sent after the lease");
    let counts = record(&bench, "all").await.counts;
    assert_eq!((counts.delivered, counts.total()), (1, 1));
    courier.stop().await;
    recount(&bench).await;
}

#[tokio::test(start_paused = true)]
async fn without_its_secret_nothing_is_sent() {
    let bench = Bench::new();
    let receivers = Receivers::new(vec![("all", Box::new(|_| status(200)))]);
    hook(&bench, "all", &[HookEvent::RunFailed]).await;
    test(&bench, "all").await;
    let config = CourierConfig { attempts: 1, ..CourierConfig::default() };
    let courier = Courier::start(bench.store.clone(), Arc::new(Net(receivers.clone())), config);
    pass(&bench, 2).await;
    let failed = bench.store.deliveries(name("all").into(), DeliveryState::Failed, None, 10).await.unwrap();
    let answer = failed[0].last.as_ref().unwrap();
    assert_eq!(&*answer.text, "the server has no secret `key`: `serve --hooks-secret key=FILE`");
    assert!(receivers.got("all").is_empty());
    courier.stop().await;
}
