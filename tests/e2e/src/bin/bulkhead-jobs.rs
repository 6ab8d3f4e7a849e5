//! Runs the job suite and prints how each job ended: `make jobs`.

use std::process::ExitCode;

use bulkhead_e2e::suite::{SUITE, run_job};

#[tokio::main]
async fn main() -> ExitCode {
    let mut wrong = 0;
    for job in SUITE {
        let verdict = run_job(*job).await;
        wrong += usize::from(!verdict.wrong.is_empty());
        println!("{verdict}");
    }
    println!("{} jobs, {wrong} of them not as expected", SUITE.len());
    ExitCode::from(u8::from(wrong > 0))
}
