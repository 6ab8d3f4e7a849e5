//! The largest plugin of all, Python's, is compiled while others work: apart, on the cores and with the memory that it may have.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bulkhead_e2e::{Api, Server, ServerOptions, plugins};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::tempdir;

/// Memory that compiling it may take.
const MEMORY: u64 = 2 << 30;
/// How long the process is watched.
const WATCHED: Duration = Duration::from_secs(3);

/// A process that compiles for a server.
struct Compiler(PathBuf);

impl Compiler {
    /// Waits for the one that a server starts, after another that only looks at what was uploaded.
    fn of(server: u32) -> Self {
        let parent = format!("PPid:\t{server}\n");
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            let processes = std::fs::read_dir("/proc").expect("processes").filter_map(Result::ok).map(|entry| entry.path());
            let found = processes.map(Self).find(|process| {
                process.read("status").contains(&parent) && process.read("cmdline").contains("\0compile-plugin\0compile\0")
            });
            if let Some(found) = found {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server starts no compiler");
    }

    /// A file about it; empty where it has ended.
    fn read(&self, name: &str) -> String {
        std::fs::read(self.0.join(name)).map_or_else(|_| String::new(), |text| String::from_utf8_lossy(&text).into_owned())
    }

    /// The most memory that it had so far, in bytes.
    fn memory(&self) -> u64 {
        let status = self.read("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak.and_then(|peak| peak.parse::<u64>().ok()).map_or(0, |peak| peak << 10)
    }

    /// The time that it has computed so far.
    fn computed(&self) -> Duration {
        let stat = self.read("stat");
        // What follows the name, which is in parentheses, from the third field; the two times are the 14th and the 15th.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
    }
}

async fn upload(api: &Api, name: &str, component: Vec<u8>) -> Value {
    let request = api.request(Method::POST, &format!("/api/v1/plugins?name={name}")).header("content-type", "application/wasm");
    api.send(request.header("prefer", "respond-async").body(component)).await.ok()
}

#[tokio::test]
async fn a_large_plugin_is_compiled_on_its_cores_while_others_work() {
    let Some(component) = crate::component("python") else { return };
    let component = std::fs::read(component).expect("a plugin");
    assert!(component.len() > 15 << 20, "it is large: {} bytes", component.len());
    let dir = tempdir().expect("a temporary directory");
    let compiled = dir.path().join("compiled");
    let options = ServerOptions { no_plugins: true, ..ServerOptions::default() }.data_dir(dir.path());
    let bound = MEMORY.to_string();
    let args = ["--compile-threads", "1", "--compile-memory", &bound, "--compiled-dir", compiled.to_str().expect("text")];
    let server = Server::start_with(options.args(&args));
    let api = server.api();
    let noop = server.call(&["plugins", "upload", plugins().join("noop.wasm").to_str().expect("text")]);
    assert!(noop.status.success(), "{}", String::from_utf8_lossy(&noop.stderr));
    api.put_definition("others", "id = \"others\"\n[step.all]\nplugin = \"noop\"\ntasks = 50\n").await.ok();

    let taken = upload(&api, "python", component).await;
    let path = format!("/plugin-uploads/{}", taken["digest"].as_str().expect("a digest"));
    let process = server.process();
    let compiler = tokio::task::spawn_blocking(move || Compiler::of(process)).await.expect("a compiler");
    let (watched, computed) = (Instant::now(), compiler.computed());
    let mut longest = Duration::ZERO;
    while watched.elapsed() < WATCHED {
        let started = Instant::now();
        let run = api.wait_for_end(&api.trigger("others").await).await;
        assert_eq!(run["state"], "succeeded", "{run:#}");
        longest = longest.max(started.elapsed());
    }
    let (cores, memory) = ((compiler.computed() - computed).as_secs_f64() / watched.elapsed().as_secs_f64(), compiler.memory());
    let state = api.get(&path).await.ok();
    assert_eq!(state["state"], "checking", "it was compiled all the while: {state:#}");
    // Clocks tick in hundredths of a second.
    assert!((0.01..=1.1).contains(&cores), "it took {cores} cores");
    assert!((1..MEMORY).contains(&memory), "it took {memory} bytes");

    let ended = loop {
        let state = api.get(&path).await.ok();
        if state["ended_at"].is_string() {
            break state;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((&ended["state"], &ended["failure"]), (&json!("accepted"), &Value::Null));
    println!("runs took up to {longest:?} while it compiled on {cores:.2} cores with {} MiB", memory >> 20);
}
