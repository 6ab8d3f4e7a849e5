//! What running one no-op task costs beside the task: part by part on one thread, and whole from many at once.
//!
//! `cargo run --release -p bulkhead-sandbox --example overhead [PLUGIN] [FUEL]`

#[path = "../tests/support/mod.rs"]
mod support;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use bulkhead_engine::executor::{ExecutionEnd, Executor};
use bulkhead_sandbox::SandboxConfig;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use support::{Lab, plugin};

const REPEATS: u32 = 20_000;
const TASKS: usize = 100_000;
const AT_ONCE: usize = 64;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "noop".into());
    let keys = arguments.next().map_or_else(String::new, |fuel| format!("limits = {{ fuel = {fuel} }}"));
    for pooling in [true, false] {
        let slots = NonZeroUsize::new(AT_ONCE).expect("not zero");
        let lab = Lab::with(SandboxConfig { pooling, ..SandboxConfig::new(slots) }).await;
        let uploaded = lab.upload(plugin(&name)).await.expect("a plugin");
        let attempt = lab.task(&uploaded, &keys, "null").await;
        lab.sandbox.measure(attempt.host.clone(), 1_000).await.expect("it succeeds");
        let parts = lab.sandbox.measure(attempt.host.clone(), REPEATS).await.expect("it succeeds");
        let sum = parts.store + parts.instantiate + parts.call + parts.drop;
        println!("{name}, pooled {}: {parts:?}, together {sum:?}", lab.sandbox.info().pooled);

        let start = Instant::now();
        let (mut running, mut begun, mut cpu, mut sample) = (FuturesUnordered::new(), 0, 0, None);
        while begun < TASKS || !running.is_empty() {
            while begun < TASKS && running.len() < AT_ONCE {
                running.push(lab.sandbox.execute(attempt.host.clone()));
                begun += 1;
            }
            let execution = running.next().await.expect("one runs");
            assert!(matches!(execution.end, ExecutionEnd::Succeeded(_)), "{:?}", execution.end);
            cpu += execution.usage.cpu_micros;
            sample.get_or_insert(execution.usage);
        }
        let elapsed = start.elapsed();
        let per_second = TASKS as f64 / elapsed.as_secs_f64();
        let cpu = Duration::from_micros(cpu) / u32::try_from(TASKS).expect("a small number");
        println!("  {AT_ONCE} at once: {per_second:.0} per second, {cpu:?} of guest CPU each, {sample:?}");
    }
}
