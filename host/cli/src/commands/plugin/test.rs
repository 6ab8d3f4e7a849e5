//! `bulkhead plugin test`: a step, or one task, with its log, its result and what it cost.

use std::time::Duration;

use bulkhead_engine::store::Retention;

use super::workbench::{Purpose, Workbench};
use crate::args::TestArgs;
use crate::commands::run::Follower;
use crate::embedded;
use crate::error::CliResult;
use crate::output::Output;
use crate::signals::Shutdown;

/// How long attempts may go on after the first Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);
/// Results that are shown.
const SHOWN: usize = 20;

/// Runs the test; the exit code is the run's.
pub(crate) async fn test(args: TestArgs, output: &Output) -> CliResult<u8> {
    let shutdown = Shutdown::listen()?;
    let workbench = Workbench::open(&args.workbench, &Purpose { metered: true, tasks: 1, ..Purpose::default() }).await?;
    test_on(&workbench, &args, &shutdown, output).await
}

/// Does what is on a workbench.
pub(super) async fn test_on(workbench: &Workbench, args: &TestArgs, shutdown: &Shutdown, output: &Output) -> CliResult<u8> {
    let store = workbench.embedded.store.clone();
    let run = workbench.run(&args.workbench).await?;
    let engine = workbench.embedded.start(Retention::default()).await?;
    let mut follower = Follower::new(store.clone(), run, args.level, output).await?;
    let followed = follower.follow(shutdown, GRACE).await;
    embedded::stop(&engine).await;
    followed?;
    follower.print_new().await?;
    let tasks = workbench.tasks(run, SHOWN + 1).await?;
    for task in tasks.iter().take(SHOWN) {
        if let Some(result) = store.task(task.id).await?.output.as_deref() {
            follower.result(&task.key, result)?;
        }
    }
    if tasks.len() > SHOWN {
        output.note(&format!("the results of {SHOWN} tasks are shown; there are more"));
    }
    follower.summarise().await
}
