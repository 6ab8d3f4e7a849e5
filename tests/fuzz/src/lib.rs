//! Random and mutated WebAssembly, uploaded to the real server and run, while a well-behaved job runs beside it.
//!
//! A case is a binary and a definition that runs it, both made from one number: a campaign with the seed `S` has the cases `S`,
//! `S + 1`, …, so `--seed C --seeds 1` repeats one case alone. Several are at work at once; what a case is does not depend on that.
//! Mutations of large plugins, which are compiled in the background, have numbers of their own, from 2⁶³ on.
//!
//! What holds of every case, and of the server meanwhile and afterwards, is asserted where it is looked at: [`mod@case`] has the
//! answers and the outcomes, [`mod@watch`] the process. A case that breaks something is kept in `target/fuzz`.

mod binary;
mod case;
mod figures;
mod mutate;
mod smith;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bulkhead_torture::{doctor, start};
use tokio::sync::Mutex;

pub use figures::Figures;

use crate::binary::Makers;
use crate::case::Case;
use crate::watch::Watch;

/// Cases at work at once.
const LANES: usize = 3;

/// What a campaign does.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The number of its first case.
    pub seed: u64,
    /// The most cases.
    pub cases: u64,
    /// How long it begins new ones.
    pub time: Duration,
    /// Whether plugins that take seconds to compile are mutated, too, one at a time beside the others.
    pub large: bool,
}

/// Runs a campaign on a server of its own.
///
/// # Panics
/// Where something that must hold does not. Says with which case, and how to repeat it.
pub async fn run(campaign: Campaign) -> Figures {
    let Campaign { seed, cases, time, large } = campaign;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (data, compiled) = (folder.path().join("data"), folder.path().join("compiled"));
    let compiled_dir = compiled.to_str().expect("UTF-8");
    let args = ["--compiled-dir", compiled_dir, "--slots", "32", "--memory-budget", "2GiB", "--compile-memory", "1GiB"];
    let (mut server, _) = start(&data, &args).await;
    server.wait_until_loaded();
    let api = server.api();
    let makers = Arc::new(Makers::new());
    let figures = Arc::new(Mutex::new(Figures::default()));
    let watch = Watch::begin(server.process(), api.clone());

    let started = Instant::now();
    let (next, next_large) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let ordinary = (0..LANES).map(|_| (seed, &next));
    let beside = (large && makers.has_large()).then_some((seed | case::LARGE, &next_large));
    let lanes = ordinary.chain(beside).map(|(seed, next)| {
        let (api, makers, figures, next) = (api.clone(), Arc::clone(&makers), Arc::clone(&figures), Arc::clone(next));
        tokio::spawn(async move {
            while started.elapsed() < time {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= cases {
                    break;
                }
                attempt(Case::of(seed.wrapping_add(number), &makers), &api, &makers, &figures).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
    }
    let took = started.elapsed();
    let seen = watch.end().await;
    watch::assert_tidy(server.process(), &data, &compiled).await;
    server.terminate();
    assert!(server.wait().success(), "the server did not end as it should");
    doctor(&data);
    let mut figures = std::mem::take(&mut *figures.lock().await);
    figures.seed = seed;
    figures.took = took;
    figures.seen = seen;
    figures
}

/// Takes a case through everything. Where that panics, the case stays behind, and the panic goes on with its number.
async fn attempt(case: Case, api: &bulkhead_e2e::Api, makers: &Arc<Makers>, figures: &Arc<Mutex<Figures>>) {
    let kept = kept(&case);
    let seed = case.seed;
    let work = {
        let (api, makers, figures) = (api.clone(), Arc::clone(makers), Arc::clone(figures));
        tokio::spawn(async move { case.run(&api, &makers, &figures).await })
    };
    if work.await.is_err() {
        panic!("case {seed} broke something: {} has its binary; `make fuzz SEED={seed} SEEDS=1` repeats it", kept.display());
    }
    let _ = std::fs::remove_file(kept);
}

/// Keeps a case's binary until it has passed.
fn kept(case: &Case) -> PathBuf {
    let folder = bulkhead_e2e::workspace().join("target/fuzz");
    std::fs::create_dir_all(&folder).expect("a directory for cases that break something");
    let file = folder.join(format!("{}.wasm", case.seed));
    std::fs::write(&file, &case.binary.bytes).expect("a file for the case");
    file
}
