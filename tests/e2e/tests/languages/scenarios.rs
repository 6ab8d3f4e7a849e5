//! Everything that a plugin is taken through.

use std::path::Path;
use std::time::{Duration, Instant};

use bulkhead_e2e::{Api, Server, ServerOptions};
use reqwest::Method;
use serde_json::{Value, json};

use crate::conformance::Language;
use crate::text;

/// A run of one step: how it ended, its first task and its log.
struct Ended {
    run: Value,
    task: Value,
    lines: Vec<Value>,
}

/// A plugin on a server of its own.
struct Bench<'a> {
    language: &'a Language,
    api: Api,
}

/// Takes a plugin through all of it. A failure names what it was about.
pub(crate) async fn all(language: &Language, component: &Path) {
    let options = ServerOptions { no_plugins: true, ..ServerOptions::default() };
    let server = Server::start_with(options);
    let api = server.api();
    let bytes = std::fs::read(component).expect("the component can be read");
    let upload = api.request(Method::POST, "/api/v1/plugins").header("content-type", "application/wasm").body(bytes);
    let plugin = api.send(upload).await.ok();
    assert_eq!(plugin["name"], language.name, "it describes itself: {plugin:#}");
    assert_eq!(plugin["config_schema"]["properties"]["pieces"]["default"], 4, "its schema arrives whole");
    let bench = Bench { language, api };
    bench.counts().await;
    bench.invalid_utf8().await;
    bench.large_input().await;
    bench.mistyped_configuration().await;
    bench.own_error().await;
    bench.panics().await;
    bench.out_of_memory().await;
    bench.stack_overflow().await;
    bench.endless_loop().await;
    bench.sleep().await;
    bench.retry_from_checkpoint().await;
    bench.cancellation().await;
}

impl Bench<'_> {
    /// Starts a run of the step `count` with more keys.
    async fn start(&self, keys: &str, text: &[u8]) -> String {
        let definition = format!("id = \"words\"\nname = \"Words\"\n[step.count]\nplugin = \"{}\"\n{keys}\n", self.language.name);
        self.api.put_definition("words", &definition).await.ok();
        let file = self.api.send(self.api.request(Method::POST, "/api/v1/files").body(text.to_vec())).await.ok();
        let start = json!({ "files": { "text": file["digest"] } });
        let run = self.api.post("/definitions/words/runs", &start).await.ok();
        run["id"].as_str().expect("a run has an id").to_owned()
    }

    async fn end(&self, run: &str) -> Ended {
        let ended = self.api.wait_for_end(run).await;
        let tasks = self.api.tasks(run).await;
        let task = match tasks.iter().find(|task| task["key"] == "piece-1") {
            Some(task) => self.api.get(&format!("/tasks/{}", task["id"].as_str().expect("a task has an id"))).await.ok(),
            None => Value::Null,
        };
        Ended { run: ended, task, lines: self.api.lines(run).await }
    }

    async fn run(&self, keys: &str, text: &[u8]) -> Ended {
        let run = self.start(keys, text).await;
        self.end(&run).await
    }

    /// The failure of the first task of a drill.
    async fn drill(&self, mode: &str, keys: &str) -> Ended {
        let ended = self.run(&format!("pieces = 1\ndrill = \"{mode}\"\n{keys}"), b"one two three").await;
        assert_eq!(ended.task["state"], "failed", "{mode}: {:#}", ended.task);
        ended
    }

    async fn counts(&self) {
        let text = b"The quick brown fox\njumps over the lazy dog. THE end\n";
        let ended = self.run("pieces = 1\ntop = 3", text).await;
        assert_eq!(ended.run["state"], "succeeded", "counting: {:#}", ended.task);
        assert_eq!(ended.task["output"], text::counted(text, 3), "the count of a small text");
        for (level, message, field) in
            [("info", "planned", "bytes"), ("debug", "block counted", "at"), ("info", "counted", "words")]
        {
            let line = ended.line(message);
            assert_eq!(line["level"], level, "{line:#}");
            assert!(line["fields"][field].is_u64(), "`{message}` has the field `{field}`: {line:#}");
            assert_eq!(line["source"], "plugin");
        }
        // However a text is cut into pieces, no word is lost or doubled.
        let ended = self.run("pieces = 7", text).await;
        assert_eq!(self.words(&ended).await, 11, "the words of seven pieces");
    }

    async fn invalid_utf8(&self) {
        let text = b"caf\xff fine caf\xff \xc3\xa9t\xc3\xa9 \xe2\x82 \"quoted\\\"";
        let ended = self.run("pieces = 1", text).await;
        assert_eq!(ended.task["output"], text::counted(text, 10), "what is no UTF-8 becomes U+FFFD");
        let line = ended.line("not all of it is UTF-8");
        assert_eq!((line["level"].as_str(), line["fields"]["replaced"].as_u64()), (Some("warn"), Some(2)), "{line:#}");
    }

    async fn large_input(&self) {
        let text = text::generated(10 << 20);
        let expected = text::counted(&text, 5);
        let ended = self.run("pieces = 1\ntop = 5", &text).await;
        assert_eq!(ended.task["output"], expected, "10 MiB in one piece: {:#}", ended.task["failure"]);
        let ended = self.run("pieces = 4", &text).await;
        assert_eq!(json!(self.words(&ended).await), expected["words"], "10 MiB in four pieces");
    }

    async fn mistyped_configuration(&self) {
        let definition = format!("id = \"x\"\nname = \"X\"\n[step.count]\nplugin = \"{}\"\npeices = 3\n", self.language.name);
        let reply = self.api.put_definition("x", &definition).await;
        assert_eq!(reply.status, 422, "{:#}", reply.body);
        assert!(reply.body.to_string().contains("pieces"), "the nearest name is told: {:#}", reply.body);
    }

    async fn own_error(&self) {
        let ended = self.drill("error", "").await;
        let failure = &ended.task["failure"];
        assert_eq!(
            (failure["cause"].as_str(), failure["retryable"].as_bool()),
            (Some("plugin-error"), Some(false)),
            "{failure:#}"
        );
        assert_eq!(failure["message"], "the drill: there is no pump");
        let ended = self.run("file = \"other\"", b"x").await;
        let failure = ended.run["failure"]["message"].as_str().unwrap_or_default();
        assert!(failure.contains("the run has no file `other`: start it with --file other=PATH"), "{:#}", ended.run);
    }

    async fn panics(&self) {
        let ended = self.drill("panic", "").await;
        let failure = &ended.task["failure"];
        let message = failure["message"].as_str().unwrap_or_default();
        assert_eq!(failure["cause"], "panic", "{failure:#}");
        assert!(message.contains("the drill: the boiler burst") && message.contains(self.language.place), "{failure:#}");
    }

    async fn out_of_memory(&self) {
        let ended = self.drill("memory", "").await;
        let failure = &ended.task["failure"];
        assert_eq!(failure["cause"], "out-of-memory", "{failure:#}");
        assert!(failure["message"].as_str().unwrap_or_default().contains("limits.memory"), "{failure:#}");
    }

    async fn stack_overflow(&self) {
        let ended = self.drill("recursion", "").await;
        assert_eq!(ended.task["failure"]["cause"], "stack-overflow", "{:#}", ended.task["failure"]);
    }

    async fn endless_loop(&self) {
        let ended = self.drill("loop", "timeout = \"500ms\"").await;
        assert_eq!(ended.task["failure"]["cause"], "timed-out", "{:#}", ended.task["failure"]);
    }

    async fn sleep(&self) {
        let started = Instant::now();
        let ended = self.run("pieces = 1\ndrill = \"sleep\"", b"one two three").await;
        assert_eq!(ended.run["state"], "succeeded", "{:#}", ended.task);
        assert!(started.elapsed() >= Duration::from_millis(300), "it slept for {:?}", started.elapsed());
    }

    async fn retry_from_checkpoint(&self) {
        let text = text::generated(600 << 10);
        let ended = self.run("pieces = 1\ndrill = \"retry\"\nretry = { attempts = 2, backoff = \"10ms\" }", &text).await;
        assert_eq!(ended.run["state"], "succeeded", "{:#}", ended.task);
        assert_eq!(ended.task["attempt"], 2, "{:#}", ended.task);
        assert_eq!(ended.task["output"], text::counted(&text, 10), "what two attempts count together");
        let at = ended.line("going on from a checkpoint")["fields"]["at"].as_u64();
        assert!(at.is_some_and(|at| at > 200 << 10 && at <= 256 << 10), "{at:?}");
    }

    async fn cancellation(&self) {
        let started = Instant::now();
        let run = self.start("pieces = 1\ndrill = \"cancel\"", b"one two three").await;
        self.api.wait_for(&run, "at work", |run| run["tasks"]["running"] == 1 && run["tasks"]["succeeded"] == 1).await;
        // Progress is kept when the lease is renewed, which a task waits for that says it and goes on.
        let progress = async || {
            let tasks = self.api.tasks(&run).await;
            tasks.iter().find(|task| task["key"] == "piece-1").map(|task| task["progress"]["total"].clone())
        };
        while progress().await != Some(json!(13)) {
            assert!(started.elapsed() < Duration::from_secs(60), "its progress never arrives");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let started = Instant::now();
        self.api.command(&run, "cancel").await.ok();
        let ended = self.end(&run).await;
        assert_eq!(ended.run["state"], "cancelled");
        assert!(started.elapsed() < Duration::from_secs(5), "it took {:?} to end", started.elapsed());
        assert_eq!(ended.line("cancelled: ending in order")["level"], "warn", "it was told, and had the time to end");
    }

    /// The sum of the words of all tasks.
    async fn words(&self, ended: &Ended) -> u64 {
        assert_eq!(ended.run["state"], "succeeded", "{:#}", ended.run);
        let run = ended.run["id"].as_str().expect("a run has an id");
        let outputs = self.api.request(Method::GET, &format!("/api/v1/runs/{run}/steps/count/outputs"));
        let outputs = outputs.send().await.expect("the server answers").bytes().await.expect("the answer can be read");
        let outputs = bulkhead_e2e::json_lines(&outputs);
        outputs.iter().map(|output| output["output"]["words"].as_u64().expect("a count")).sum()
    }
}

impl Ended {
    /// The first line with a message.
    fn line(&self, message: &str) -> &Value {
        let line = self.lines.iter().find(|line| line["message"] == message);
        line.unwrap_or_else(|| panic!("no line `{message}`: {:#}", Value::from(self.lines.clone())))
    }
}
