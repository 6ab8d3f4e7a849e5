//! `bulkhead plugin profile`: where a plugin spends its time.

use std::path::{Path, PathBuf};

use bulkhead_core::log::Level;

use super::test::test_on;
use super::workbench::{Purpose, Workbench};
use crate::args::{ProfileArgs, TestArgs};
use crate::error::{CliError, CliResult};
use crate::output::{Output, format};
use crate::signals::Shutdown;

/// Does the step, or the one task, with samples; leaves the profile of the attempt that took most samples. The exit code is the
/// run's.
pub(crate) async fn profile(args: ProfileArgs, output: &Output) -> CliResult<u8> {
    let shutdown = Shutdown::listen()?;
    let dir = tempfile::Builder::new().prefix("bulkhead-profile-").tempdir().map_err(CliError::write(std::env::temp_dir()))?;
    let purpose = Purpose { profiles: Some(dir.path().to_owned()), tasks: 1, ..Purpose::default() };
    let workbench = Workbench::open(&args.workbench, &purpose).await?;
    let file = args.output.clone().unwrap_or_else(|| args.workbench.file.with_extension("profile.json"));
    let test = TestArgs { workbench: args.workbench, level: Level::Info };
    let code = test_on(&workbench, &test, &shutdown, output).await?;
    // Files grow with their samples.
    let Some((size, largest)) = largest(dir.path())? else {
        return Err(CliError::broken("no attempt left a profile".to_owned()));
    };
    std::fs::copy(&largest, &file).map_err(CliError::write(&file))?;
    output.note(&format!(
        "{} ({}): open it at https://profiler.firefox.com, which reads it in the browser and sends it nowhere",
        file.display(),
        format::bytes(size)
    ));
    Ok(code)
}

/// The largest file of a directory.
fn largest(dir: &Path) -> CliResult<Option<(u64, PathBuf)>> {
    let mut largest = None;
    for entry in std::fs::read_dir(dir).map_err(CliError::read(dir))? {
        let entry = entry.map_err(CliError::read(dir))?;
        let size = entry.metadata().map_err(CliError::read(&entry.path()))?.len();
        largest = largest.max(Some((size, entry.path())));
    }
    Ok(largest)
}
