//! Hooks: every event arrives, signed, whatever is killed and whoever does not listen.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_e2e::{Answer, Api, Received, Receiver, Server, ServerOptions};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::tempdir;

/// How long a test waits for what is sure to come.
const LIMIT: Duration = Duration::from_secs(180);

/// A run that succeeds.
const GOOD: &str = "id = \"good\"\n[step.all]\nplugin = \"noop\"\ntasks = 3\n";

/// A run with 40 dead letters, which tells a receiver of its own.
fn bad(receiver: &Receiver) -> String {
    format!(
        "id = \"bad\"\n[[hooks]]\nname = \"mine\"\nurl = \"http://{}/mine\"\nevents = [\"run.failed\"]\nsecret = \"ops\"\n\
         [step.all]\nplugin = \"generator\"\nworker_count = 40\nlog_count = 1\nlog_delay_ms = 0\nfailure_rate = 1.0\n",
        receiver.address()
    )
}

fn start(data_dir: &Path, secret: &Path, receiver: &Receiver, args: &[&str]) -> (Server, Api) {
    let secret = format!("ops={}", secret.display());
    let allow = receiver.address().to_string();
    let options = ServerOptions::default().data_dir(data_dir).args(&["--hooks-secret", &secret, "--hooks-allow", &allow]);
    let mut server = Server::start_with(options.args(args));
    server.wait_until_loaded();
    let api = server.api();
    (server, api)
}

async fn put_hook(api: &Api, name: &str, url: &str) -> Value {
    let request = api.request(reqwest::Method::PUT, &format!("/api/v1/hooks/{name}"));
    api.send(request.json(&json!({ "url": url, "secret": "ops" }))).await.ok()
}

/// Waits until a hook is as wanted.
async fn wait_for_hook(api: &Api, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let hook = api.get(&format!("/hooks/{name}")).await.ok();
        if is_so(&hook["deliveries"]) {
            return hook;
        }
        assert!(started.elapsed() < LIMIT, "the hook does not come to that: {hook:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Checks a delivery as a receiver does that knows nothing but Standard Webhooks.
fn verify(received: &Received, key: &[u8]) {
    let header = |name: &str| received.headers.get(name).unwrap_or_else(|| panic!("no {name}: {received:?}"));
    let (id, seconds) = (header("webhook-id"), header("webhook-timestamp"));
    let now = jiff::Timestamp::now().as_second();
    let sent: i64 = seconds.parse().expect("seconds since the epoch");
    assert!((now - sent).abs() < 300, "sent at {sent}, now is {now}");
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(&received.body);
    let signature = header("webhook-signature").strip_prefix("v1,").expect("a signature of version 1");
    let signature = STANDARD.decode(signature).expect("base64");
    mac.verify_slice(&signature).expect("the signature is of this id, this time and this body");
    assert_eq!(header("content-type"), "application/json");
}

/// Deliveries by id; what came under one id is always the same.
fn by_id<'a>(received: impl IntoIterator<Item = &'a Received>) -> BTreeMap<&'a str, Value> {
    let mut found = BTreeMap::new();
    for received in received {
        let id = received.headers["webhook-id"].as_str();
        let body = received.json();
        if let Some(before) = found.insert(id, body.clone()) {
            assert_eq!(before, body, "{id} says something else");
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_signed_although_the_server_is_killed_before_and_in_the_middle() {
    let dir = tempdir().expect("a temporary directory");
    let (data_dir, secret) = (dir.path().join("data"), dir.path().join("ops.secret"));
    let receiver = Receiver::start(Answer::Status(500)).await;
    let args = ["--hooks-timeout", "1s"];
    let (server, api) = start(&data_dir, &secret, &receiver, &args);
    let text = std::fs::read_to_string(&secret).expect("the server made a secret");
    let encoded = text.trim().strip_prefix("whsec_").expect("a secret of Standard Webhooks").to_owned();
    let key = STANDARD.decode(&encoded).expect("base64");
    put_hook(&api, "all", &format!("http://{}/all", receiver.address())).await;
    api.put_definition("good", GOOD).await.ok();
    api.put_definition("bad", &bad(&receiver)).await.ok();

    // Killed between the events and their deliveries: nobody takes one.
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.extend([api.trigger("good").await, api.trigger("bad").await]);
    }
    for run in &runs {
        api.wait_for_end(run).await;
    }
    server.kill();
    assert!(receiver.received().iter().all(|received| received.answer == Answer::Status(500)));

    // Killed in the middle of deliveries: requests are there and nobody has answered them.
    receiver.answer(|_| Answer::Hang);
    let (server, api) = start(&data_dir, &secret, &receiver, &args);
    wait_until("a delivery without an answer", || receiver.hanging() > 3).await;
    runs.push(api.trigger("good").await);
    api.wait_for_end(&runs[8]).await;
    server.kill();

    // Some fail once more, some time out; then each is taken.
    receiver.answer(|number| match number {
        0 | 3 => Answer::Status(503),
        1 => Answer::Hang,
        2 => Answer::Status(302),
        _ => Answer::Status(204),
    });
    let (server, api) = start(&data_dir, &secret, &receiver, &args);
    runs.push(api.trigger("bad").await);
    api.wait_for_end(&runs[9]).await;
    let all = wait_for_hook(&api, "all", |counts| counts["waiting"] == 0).await;
    let mine = wait_for_hook(&api, "bad:mine", |counts| counts["waiting"] == 0).await;

    let received = receiver.received();
    received.iter().for_each(|received| verify(received, &key));
    assert!(!received.iter().any(|received| received.path == "/elsewhere"), "a redirect was followed");
    let told = |path: &str| by_id(received.iter().filter(|received| received.path == path));
    let taken = |path: &str| {
        let taken = received.iter().filter(|received| received.path == path && received.answer == Answer::Status(204));
        by_id(taken)
    };
    assert_eq!(told("/all"), taken("/all"), "what was sent was taken in the end");
    let ends = |told: &BTreeMap<&str, Value>, kind: &str| {
        let mut runs: Vec<_> = told
            .values()
            .filter(|body| body["type"] == kind)
            .map(|body| body["data"]["run"].as_str().expect("a run").to_owned())
            .collect();
        runs.sort_unstable();
        runs
    };
    let expected = |parity: usize| {
        let of_parity = (0..8).filter(|at| at % 2 == parity).chain([8 + parity]).map(|at| runs[at].clone());
        let mut expected: Vec<_> = of_parity.collect();
        expected.sort_unstable();
        expected
    };
    let (to_all, to_mine) = (taken("/all"), taken("/mine"));
    assert_eq!(ends(&to_all, "run.succeeded"), expected(0), "each end is told once, under one id");
    assert_eq!(ends(&to_all, "run.failed"), expected(1));
    assert_eq!(ends(&to_mine, "run.failed"), expected(1));
    assert_eq!(to_mine.len(), 5);
    let dead: u64 = to_all.values().filter_map(|body| body["data"]["count"].as_u64()).sum();
    assert_eq!(dead, 5 * 40, "each dead letter is counted once");
    for (hook, told) in [(&all, &to_all), (&mine, &to_mine)] {
        let counts = json!({ "waiting": 0, "delivered": told.len(), "failed": 0, "dropped": 0 });
        assert_eq!(hook["deliveries"], counts);
    }

    // The secret is nowhere but in its file and in the receiver's hands.
    for path in
        ["/hooks", "/hooks/all/deliveries?state=delivered", "/definitions/bad", "/openapi.json", &format!("/runs/{}", runs[1])]
    {
        let shown = api.get(path).await.ok().to_string();
        assert!(!shown.contains(&encoded), "{path} shows the secret");
    }
    server.kill();
    let output = bulkhead_e2e::bulkhead(&["doctor", "--data-dir"]).arg(&data_dir).output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_listed_and_sent_again_from_the_command_line() {
    let dir = tempdir().expect("a temporary directory");
    let secret = dir.path().join("ops.secret");
    let receiver = Receiver::start(Answer::Status(500)).await;
    let (server, api) = start(&dir.path().join("data"), &secret, &receiver, &["--hooks-attempts", "2"]);
    let told = |args: &[&str]| {
        let output = server.call(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let url = format!("http://{}/x", receiver.address());
    told(&["hooks", "put", "all", &url, "--secret", "ops", "--event", "run.succeeded"]);
    for _ in 0..3 {
        told(&["hooks", "test", "all"]);
    }
    wait_for_hook(&api, "all", |counts| counts["failed"] == 3).await;
    assert_eq!(receiver.received().len(), 6, "two attempts at each");
    let failed: Value = serde_json::from_str(&told(&["hooks", "deliveries", "all", "--json"])).expect("JSON");
    let failed = failed.as_array().expect("a list");
    assert_eq!((failed.len(), &failed[0]["status"], &failed[0]["answer"]), (3, &json!(500), &json!("as told")));
    receiver.answer(|_| Answer::Status(200));
    assert!(told(&["hooks", "redeliver", "all", "2"]).starts_with('1'));
    wait_for_hook(&api, "all", |counts| counts["delivered"] == 1).await;
    assert!(told(&["hooks", "redeliver", "all"]).starts_with('2'));
    wait_for_hook(&api, "all", |counts| counts["delivered"] == 3).await;
    assert_eq!(by_id(&receiver.received()).len(), 3, "what is sent again has its id");
    assert!(told(&["hooks"]).contains("all") && told(&["hooks", "deliveries", "all"]).contains("no failed deliveries"));
    told(&["hooks", "remove", "all"]);
    assert!(told(&["hooks"]).contains("no hooks"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_go_to_no_private_address_unless_the_operator_says_so() {
    let dir = tempdir().expect("a temporary directory");
    let (secret, elsewhere) = (dir.path().join("ops.secret"), Receiver::start(Answer::Status(200)).await);
    let receiver = Receiver::start(Answer::Status(200)).await;
    // Another port than the one that is allowed.
    let (_server, api) = start(&dir.path().join("data"), &secret, &elsewhere, &["--hooks-attempts", "1"]);
    let port = receiver.address().port();
    for (name, host) in [("address", format!("127.0.0.1:{port}")), ("name", format!("localhost:{port}"))] {
        put_hook(&api, name, &format!("http://{host}/")).await;
        api.post(&format!("/hooks/{name}/test"), &json!({})).await.ok();
        wait_for_hook(&api, name, |counts| counts["failed"] == 1).await;
        let failed = api.get(&format!("/hooks/{name}/deliveries")).await.ok();
        let answer = failed["items"][0]["answer"].as_str().expect("a reason");
        assert!(answer.contains(&format!("{host} is denied")) && answer.contains("serve --hooks-allow"), "{answer}");
    }
    assert!(receiver.received().is_empty());
}
