//! What a plugin costs by its language: the noop of Rust, and the example of every other language that is built.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_engine::attempt::AttemptHost;
use bulkhead_engine::store::ClaimRequest;
use bulkhead_sandbox::SandboxConfig;
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::report::Report;
use crate::setup::{self, Parts, SLOTS};

/// Tasks whose average is the cost of one.
const TASKS: u32 = 200;

/// Compiles each plugin, loads it again, and calls it for nothing.
pub(crate) async fn measure(options: &Options, report: &mut Report) {
    for file in files(&options.plugins) {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).expect("a component");
        let size = bytes.len();
        let cache = tempfile::tempdir().expect("a temporary folder");
        let (cold, _) = upload(&cache.path().join("code"), &bytes).await;
        let (warm, parts) = upload(&cache.path().join("code"), &bytes).await;
        let (task, memory) = call(&parts, &name).await;
        report.add(
            "plugins",
            name,
            format!(
                "{} KB, compiled in {:.2} s, loaded in {:.1} ms, {:.0} µs a task, {:.1} MiB of memory",
                size.div_ceil(1_000),
                cold.as_secs_f64(),
                warm.as_secs_f64() * 1e3,
                task.as_secs_f64() * 1e6,
                memory as f64 / f64::from(1 << 20),
            ),
        );
    }
}

fn files(plugins: &Path) -> Vec<PathBuf> {
    let languages = std::fs::read_dir(plugins.join("languages")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        languages.filter(|file| file.extension().is_some_and(|found| found == "wasm")).chain([plugins.join("noop.wasm")]).collect();
    files.sort();
    files
}

/// Uploads a plugin to a host of its own, which finds compiled code if there is some; how long that took.
async fn upload(cache: &Path, bytes: &[u8]) -> (Duration, Parts) {
    let parts = Parts::new(SandboxConfig { cache: Some(cache.to_owned()), ..SandboxConfig::new(SLOTS) });
    let start = Instant::now();
    parts.jobs.upload(bytes.to_vec().into(), None).await.expect("a plugin");
    (start.elapsed(), parts)
}

/// What an attempt costs that ends at once: the examples plan a step without the file that they want.
async fn call(parts: &Parts, name: &str) -> (Duration, u64) {
    setup::start_run(parts, &format!("[step.only]\nplugin = \"{name}\"\n")).await;
    let worker = setup::worker_id();
    parts.store.register_worker(worker, Duration::from_secs(600), false).await.expect("a worker");
    let request = ClaimRequest { worker, slots: 1, memory: u64::MAX, budget: u64::MAX };
    let claimed = Arc::new(parts.store.claim(request).await.expect("a claim").tasks.remove(0));
    let attempt = || AttemptHost::new(parts.store.clone(), Arc::default(), claimed.clone(), CancellationToken::new());
    let memory = parts.executor.execute(attempt()).await.usage.peak_memory;
    let start = Instant::now();
    for _ in 0..TASKS {
        parts.executor.execute(attempt()).await;
    }
    (start.elapsed() / TASKS, memory)
}
