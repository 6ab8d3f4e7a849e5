//! Runs the simulation from a terminal: one seed, or fresh ones for a while.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const USAGE: &str = "usage: bulkhead-sim [--seed N] [--seeds N] [--seconds N]

  --seed N      the world of seed N, or the first of several
  --seeds N     so many worlds, one after the other
  --seconds N   worlds for so long (60 where nothing is said)";

fn main() -> ExitCode {
    let mut seed = None;
    let mut seeds = None;
    let mut seconds = None;
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
    let one = seed.is_some() && seeds.is_none() && seconds.is_none();
    let first = seed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64);
    let most = if one { 1 } else { seeds.unwrap_or(u64::MAX) };
    let time = Duration::from_secs(seconds.unwrap_or(if seeds.is_some() { u64::MAX / 2 } else { 60 }));
    run(first, most, time)
}

fn run(first: u64, most: u64, time: Duration) -> ExitCode {
    let start = Instant::now();
    let (mut worlds, mut simulated, mut met) = (0, Duration::ZERO, std::collections::BTreeMap::new());
    while worlds < most && start.elapsed() < time {
        match bulkhead_sim::simulate(first.wrapping_add(worlds), None) {
            Ok(report) => {
                worlds += 1;
                simulated += report.simulated;
                report.met.iter().for_each(|&what| *met.entry(what).or_insert(0) += 1);
                if most == 1 {
                    println!("trace {:016x}, {} lines", report.hash, report.lines);
                }
            }
            Err(broken) => {
                eprintln!("{broken}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "{worlds} worlds from seed {first}, {} simulated seconds in {:.1} s",
        simulated.as_secs(),
        start.elapsed().as_secs_f64()
    );
    println!("met: {met:?}");
    ExitCode::SUCCESS
}

fn refuse() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
