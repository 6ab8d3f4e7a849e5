//! One case: a binary is uploaded, a definition uses it, a run of it ends; and every answer on the way says what it must.

use std::time::{Duration, Instant};

use bulkhead_e2e::{Api, Reply};
use bulkhead_torture::{Dice, audit};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::binary::{Binary, Makers};
use crate::figures::Figures;

/// How many words of a refusal tell it from others in the figures.
const WORDS: usize = 7;

/// What tasks of random plugins and programs are started with: JSON, and what is close to it.
const TEXTS: [&str; 6] = ["", "x", "{\"from\": 0, \"to\": 4}", "\u{1f6a2}\u{0}\u{feff}", "[[[[]]]]", "-1e400"];

/// What the number of a case of a large plugin has, and no other's.
pub(crate) const LARGE: u64 = 1 << 63;

/// How long a large plugin may wait for its check, and be checked.
const CHECKED: Duration = Duration::from_secs(600);
/// The pause before the state of an upload is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A binary, and the definition that uses it.
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) binary: Binary,
    dice: Dice,
}

impl Case {
    /// The case of a number.
    pub(crate) fn of(seed: u64, makers: &Makers) -> Self {
        let mut dice = Dice::of(seed);
        let binary = if seed & LARGE == 0 { makers.make(&mut dice) } else { makers.make_large(&mut dice) };
        Self { seed, binary, dice }
    }

    /// Takes it through everything, and counts what comes of it.
    pub(crate) async fn run(mut self, api: &Api, makers: &Makers, figures: &Mutex<Figures>) {
        let kind = (self.binary.kind, self.binary.large);
        // The plugin of its name, until the run has ended.
        let _turn = makers.turns[self.binary.family].lock().await;
        let uploaded = self.upload(api).await;
        let mut counted = figures.lock().await;
        counted.fates.entry(kind).or_default().made += 1;
        let name = match uploaded {
            Ok(name) => name,
            Err(why) => {
                counted.fates.entry(kind).or_default().refused += 1;
                *counted.refusals.entry(why).or_default() += 1;
                return;
            }
        };
        drop(counted);
        let is_program = name.starts_with("program-");

        let id = format!("case-{}", self.seed);
        let reply = api.put_definition(&id, &self.definition(&id, &name, is_program)).await;
        if reply.status.is_success() {
            let run = self.trigger(api, &id).await;
            self.outcome(api, &run, figures).await;
            forget(api, &format!("runs/{run}")).await;
            forget(api, &format!("definitions/{id}")).await;
        } else {
            // A mutated plugin may describe another configuration, or one that nothing fulfils.
            assert_eq!((reply.status.as_u16(), &*problem(&reply)), (422, "invalid-definition"), "{:#}", reply.body);
            let diagnostics = reply.body["diagnostics"].as_array().expect("an invalid definition has diagnostics");
            assert!(diagnostics.iter().all(|found| says(&found["message"])) && !diagnostics.is_empty(), "{:#}", reply.body);
            figures.lock().await.fates.entry(kind).or_default().misdescribed += 1;
        }
        // Most go at once; what is left has to bother nobody. Large ones would fill the memory.
        if self.binary.large || self.dice.below(8) > 0 {
            forget(api, &format!("plugins/{name}")).await;
        }
    }

    /// Uploads it, a large one in the background: the plugin's name, or why it is none.
    async fn upload(&mut self, api: &Api) -> Result<String, String> {
        let path = format!("/api/v1/plugins?name=program-{}", self.seed);
        let mut request = api.request(Method::POST, &path).header("content-type", "application/wasm");
        if self.binary.large {
            request = request.header("prefer", "respond-async");
        }
        let reply = api.send(request.body(std::mem::take(&mut self.binary.bytes))).await;
        if !reply.status.is_success() {
            return Err(refusal(&reply));
        }
        let name = |name: &Value| name.as_str().expect("a plugin has a name").to_owned();
        if reply.status.as_u16() != 202 {
            return Ok(name(&reply.body["name"]));
        }
        let digest = reply.body["digest"].as_str().expect("an upload has a digest");
        let started = Instant::now();
        loop {
            let upload = api.get(&format!("/plugin-uploads/{digest}")).await.ok();
            match upload["state"].as_str() {
                Some("accepted") => return Ok(name(&upload["plugin"])),
                Some("refused") => return Err(words(&upload["failure"])),
                _ => assert!(started.elapsed() < CHECKED, "an upload is not checked within {CHECKED:?}: {upload:#}"),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// A definition with one step, whose limits are small and drawn.
    fn definition(&mut self, id: &str, plugin: &str, is_program: bool) -> String {
        let dice = &mut self.dice;
        let mut text = format!("id = \"{id}\"\n[step.work]\nplugin = \"{plugin}\"\ntimeout = \"1s\"\n");
        let mut add = |line: String| text.push_str(&line);
        add(format!("limits.memory = \"{}MiB\"\n", 1 << dice.below(7)));
        if dice.below(4) == 0 {
            add(format!("limits.fuel = {}\n", 1 << dice.below(30)));
        }
        if dice.below(4) == 0 {
            add(format!("limits.log_lines = {}\nlimits.log_overflow = \"fail\"\n", dice.below(20)));
        }
        if dice.below(4) == 0 {
            add(format!("limits.output_bytes = {}\nlimits.host_calls = {}\n", dice.below(64), 1 + dice.below(64)));
        }
        if dice.below(4) == 0 {
            add("retry = { attempts = 2, backoff = \"10ms\" }\n".to_owned());
        }
        if is_program {
            let mut drawn = || json!(TEXTS[dice.below(TEXTS.len() as u64) as usize].replace('\0', "?")).to_string();
            add(format!("items = [{}, {}]\nargs = [{}]\nenv = {{ A = {} }}\n", drawn(), drawn(), drawn(), drawn()));
            add(format!("output = \"{}\"\n", ["json", "text", "none"][dice.below(3) as usize]));
        } else {
            add(format!("{}\n", self.binary.keys));
        }
        text
    }

    /// Starts a run, with a file.
    async fn trigger(&mut self, api: &Api, definition: &str) -> String {
        let text = TEXTS[self.dice.below(TEXTS.len() as u64) as usize].repeat(1 + self.dice.below(1_000) as usize);
        let file = api.send(api.request(Method::POST, "/api/v1/files").body(text)).await.ok();
        let start = json!({ "files": { "text": file["digest"] } });
        let run = api.post(&format!("/definitions/{definition}/runs"), &start).await.ok();
        run["id"].as_str().expect("a run has an id").to_owned()
    }

    /// Waits for a run's end, recounts it, and looks at how each task ended.
    async fn outcome(&self, api: &Api, run: &str, figures: &Mutex<Figures>) {
        api.wait_for_end(run).await;
        let found = audit(api, run).await;
        let mut figures = figures.lock().await;
        let fate = figures.fates.entry((self.binary.kind, self.binary.large)).or_default();
        fate.ran += 1;
        fate.succeeded += u64::from(found.run["state"] == "succeeded");
        for task in &found.tasks {
            let end = match task["state"].as_str() {
                Some("failed") => cause(&task["failure"]),
                state => state.unwrap_or_default().to_owned(),
            };
            *figures.tasks.entry(end).or_default() += 1;
        }
    }
}

/// What a refusal of an upload says: a problem, with a failure that has a cause and a message.
fn refusal(reply: &Reply) -> String {
    assert_eq!((reply.status.as_u16(), &*problem(reply)), (422, "invalid-plugin"), "{:#}", reply.body);
    assert!(says(&reply.body["detail"]), "{:#}", reply.body);
    words(&reply.body["failure"])
}

/// The cause of a failed check, and the first words of what it says.
fn words(failure: &Value) -> String {
    let cause = cause(failure);
    let message = failure["message"].as_str().unwrap_or_default();
    format!("{cause}: {} …", message.split_whitespace().take(WORDS).collect::<Vec<_>>().join(" "))
}

/// The last part of a problem's type.
fn problem(reply: &Reply) -> String {
    assert_eq!(reply.content_type, "application/problem+json", "{}: {:#}", reply.status, reply.body);
    reply.body["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default().to_owned()
}

/// The cause of a failure, which is never the host, and comes with words.
fn cause(failure: &Value) -> String {
    let cause = failure["cause"].as_str().unwrap_or_else(|| panic!("a failure has a cause: {failure:#}"));
    assert!(!cause.starts_with("host-"), "the host failed: {failure:#}");
    assert!(says(&failure["message"]), "a failure says something: {failure:#}");
    match failure["detail"].as_str() {
        Some(code) => format!("{cause} ({code})"),
        None => cause.to_owned(),
    }
}

fn says(text: &Value) -> bool {
    text.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// Removes something that nothing uses any more.
async fn forget(api: &Api, what: &str) {
    let reply = api.send(api.request(Method::DELETE, &format!("/api/v1/{what}"))).await;
    assert!(reply.status.is_success(), "{what} stays: {}: {:#}", reply.status, reply.body);
}
