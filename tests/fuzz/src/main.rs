//! Fuzzes from a terminal, for as long as is wanted.

use std::process::ExitCode;
use std::time::Duration;

use bulkhead_fuzz::Campaign;

const USAGE: &str = "usage: bulkhead-fuzz [--seed N] [--seeds N] [--seconds N]

  --seed N      the case of seed N, or the first of several; a fresh one where nothing is said
  --seeds N     so many cases
  --seconds N   cases for so long (60 where nothing is said), and beside them mutations of large plugins";

fn main() -> ExitCode {
    let (mut seed, mut seeds, mut seconds) = (None, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
        let slot = match argument.as_str() {
            "--seed" => &mut seed,
            "--seeds" => &mut seeds,
            "--seconds" => &mut seconds,
            _ => return refuse(),
        };
        if value.is_none() {
            return refuse();
        }
        *slot = value;
    }
    let campaign = Campaign {
        seed: seed.unwrap_or_else(|| rand::random_range(0..1 << 32)),
        cases: seeds.unwrap_or(u64::MAX),
        large: seeds.is_none(),
        time: Duration::from_secs(seconds.unwrap_or(if seeds.is_some() { u64::from(u32::MAX) } else { 60 })),
    };
    eprintln!("the first case has the seed {}", campaign.seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("{}", runtime.block_on(bulkhead_fuzz::run(campaign)));
    ExitCode::SUCCESS
}

fn refuse() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
