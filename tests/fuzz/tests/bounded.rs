//! A campaign that is short enough for every change. `make fuzz SECONDS=600` is a long one.

use std::time::Duration;

use bulkhead_fuzz::Campaign;
use bulkhead_torture::setting;

#[tokio::test(flavor = "multi_thread")]
async fn random_and_mutated_plugins_fail_by_themselves_and_leave_the_server_as_it_was() {
    let seed = setting("BULKHEAD_FUZZ_SEED", rand::random_range(0..1 << 32));
    println!("BULKHEAD_FUZZ_SEED={seed}");
    // Of large plugins, which take seconds each, it would see next to nothing.
    let campaign =
        Campaign { large: false, seed, cases: u64::MAX, time: Duration::from_secs(setting("BULKHEAD_FUZZ_SECONDS", 45)) };
    let figures = bulkhead_fuzz::run(campaign).await;
    println!("{figures}");
    // That it is a test of more than the door.
    let total = figures.total();
    assert!(total.ran * 3 > total.made, "of {} binaries only {} ran", total.made, total.ran);
    assert!(total.refused > 0 && total.succeeded > 0, "{total:?}");
    assert!(figures.tasks.keys().filter(|end| end.starts_with("trap")).count() > 1, "{:?}", figures.tasks);
    assert!(figures.seen.healthy_runs > 0, "nothing well-behaved ran beside them");
}
