//! Seeded worlds: fresh ones for a while, the ones that once broke, and deliberately broken ones.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bulkhead_sim::{Mutant, simulate};

/// Seeds whose worlds once broke an invariant, each with what it was.
const REGRESSIONS: &[(u64, &str)] = &[
    (1_795_322_192_973_012, "a retry queued failed tasks again and left those undone that were cancelled with their step"),
    (1_795_324_919_597_950, "a run that ended and was removed by retention in one call"),
    (1_795_327_088_973_871, "two clients of the simulation drew the same run id while the clock stood still"),
    (1_795_353_669_371_192, "a step that began to fail at the end of a retry's sweep kept its waiting tasks for ever"),
];

/// How many worlds a deliberate bug may survive: it strikes only where the world gives it an occasion.
const MUTANT_SEEDS: u64 = 200;

#[test]
fn simulation_holds_its_invariants() {
    let seconds = std::env::var("BULKHEAD_SIM_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let base = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    println!("fresh worlds from seed {base} for {seconds} s");
    let start = Instant::now();
    let (mut worlds, mut simulated) = (0, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(seconds) {
        match simulate(base.wrapping_add(worlds), None) {
            Ok(report) => simulated += report.simulated,
            Err(broken) => panic!("{broken}"),
        }
        worlds += 1;
    }
    println!("{worlds} worlds, {} simulated seconds", simulated.as_secs());
}

#[test]
fn worlds_that_once_broke_hold() {
    for (seed, what) in REGRESSIONS {
        if let Err(broken) = simulate(*seed, None) {
            panic!("{broken}\nonce it was: {what}");
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_world() {
    for seed in 1..=40 {
        let (one, other) = (simulate(seed, None).expect("a sound world"), simulate(seed, None).expect("a sound world"));
        assert_eq!(one, other, "seed {seed}");
    }
    assert_ne!(simulate(1, None).expect("a sound world").hash, simulate(2, None).expect("a sound world").hash);
}

#[test]
fn every_deliberate_bug_is_caught() {
    for mutant in Mutant::ALL {
        let caught = (1..=MUTANT_SEEDS).find_map(|seed| simulate(seed, Some(mutant)).err());
        match caught {
            Some(broken) => println!("{mutant:?}: seed {}: {}", broken.seed, broken.what),
            None => panic!("{mutant:?} survives {MUTANT_SEEDS} worlds"),
        }
    }
}

#[test]
fn the_worlds_are_rough_enough() {
    let met: BTreeSet<_> = (1..=150).filter_map(|seed| simulate(seed, None).ok()).flat_map(|report| report.met).collect();
    for what in [
        "accepted upload",
        "all crashed",
        "attempt timed out",
        "cancelled run",
        "drained",
        "fenced write",
        "frozen process",
        "log quota",
        "lost acknowledgement",
        "reconciled claims",
        "started twice",
        "stubborn guest",
        "summoned task",
        "upload that ended with its processes",
    ] {
        assert!(met.contains(what), "no world of 150 has met: {what}");
    }
}
