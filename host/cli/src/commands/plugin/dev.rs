//! `bulkhead plugin dev`: build, test, and again when something changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::test::test_on;
use super::workbench::{Purpose, Workbench};
use crate::args::DevArgs;
use crate::error::{CliError, CliResult};
use crate::exit_codes;
use crate::output::Output;
use crate::signals::Shutdown;

/// An editor writes several files, one after the other: how long it has to be quiet before the next build.
const QUIET: Duration = Duration::from_millis(150);
/// What no plugin's source is in, whatever the ignore file says.
const NEVER: [&str; 5] = [".git", "target", "node_modules", "__pycache__", ".venv"];

/// Builds and tests until Ctrl-C.
pub(crate) async fn dev(args: DevArgs, output: &Output) -> CliResult<u8> {
    let shutdown = Shutdown::listen()?;
    let mut changes = Changes::of(&args.watch, &args.test.workbench.file)?;
    loop {
        // What fails is told, and mended by the next change.
        if let Err(error) = turn(&args, &shutdown, output).await {
            output.error(error);
        }
        output.note(&format!("waiting for changes in {}; Ctrl-C ends", args.watch.display()));
        tokio::select! {
            changed = changes.next() => match changed {
                Some(path) => output.note(&format!("{} changed", path.display())),
                None => return Err(CliError::broken("changes are not told any more".to_owned())),
            },
            () = shutdown.requested.cancelled() => return Ok(exit_codes::SUCCEEDED),
        }
    }
}

/// One build and one test.
async fn turn(args: &DevArgs, shutdown: &Shutdown, output: &Output) -> CliResult<()> {
    let mut build = tokio::process::Command::new("sh");
    build.arg("-c").arg(&args.build).current_dir(&args.watch).kill_on_drop(true);
    let broken = |error| CliError::broken(format!("`{}` could not be started: {error}", args.build));
    let mut build = build.spawn().map_err(broken)?;
    let status = tokio::select! {
        status = build.wait() => status.map_err(broken)?,
        () = shutdown.requested.cancelled() => return Ok(()),
    };
    if !status.success() {
        return Err(CliError::usage(format!("`{}` ended with {status}", args.build)));
    }
    let purpose = Purpose { metered: true, tasks: 1, ..Purpose::default() };
    let workbench = Workbench::open(&args.test.workbench, &purpose).await?;
    test_on(&workbench, &args.test, shutdown, output).await.map(drop)
}

/// Changes of a plugin's source.
struct Changes {
    paths: mpsc::UnboundedReceiver<PathBuf>,
    _watcher: notify::RecommendedWatcher,
}

impl Changes {
    /// Watches a directory, but for what its `.gitignore` leaves out and the plugin that is built there.
    fn of(dir: &Path, built: &Path) -> CliResult<Self> {
        let broken = |error: &dyn std::fmt::Display| CliError::broken(format!("{} cannot be watched: {error}", dir.display()));
        let source = Source::of(dir, built)?;
        let root = source.root.clone();
        let (sender, paths) = mpsc::unbounded_channel();
        let tell = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_)) {
                for path in event.paths.into_iter().filter(|path| source.has(path)) {
                    // Nobody listens any more at the end.
                    let _ = sender.send(path);
                }
            }
        };
        let mut watcher = notify::recommended_watcher(tell).map_err(|error| broken(&error))?;
        watcher.watch(&root, RecursiveMode::Recursive).map_err(|error| broken(&error))?;
        Ok(Self { paths, _watcher: watcher })
    }

    /// Waits for a change and for quiet after it; gives the first path.
    async fn next(&mut self) -> Option<PathBuf> {
        let first = self.paths.recv().await?;
        while let Ok(Some(_)) = tokio::time::timeout(QUIET, self.paths.recv()).await {}
        Some(first)
    }
}

/// Which files are a plugin's source.
struct Source {
    root: PathBuf,
    ignored: Gitignore,
    built: PathBuf,
}

impl Source {
    fn of(dir: &Path, built: &Path) -> CliResult<Self> {
        let root = dir.canonicalize().map_err(CliError::read(dir))?;
        let mut builder = GitignoreBuilder::new(&root);
        // What it cannot read it leaves as it is: then more is built than need be.
        let _ = builder.add(root.join(".gitignore"));
        let ignored = builder.build().unwrap_or_else(|_| Gitignore::empty());
        let built = std::path::absolute(built).map_err(CliError::read(built))?;
        // It may not be there yet.
        let built = built
            .parent()
            .and_then(|dir| dir.canonicalize().ok())
            .zip(built.file_name())
            .map_or(built.clone(), |(dir, name)| dir.join(name));
        Ok(Self { root, ignored, built })
    }

    fn has(&self, path: &Path) -> bool {
        let Ok(inner) = path.strip_prefix(&self.root) else { return false };
        let never = inner.iter().any(|part| NEVER.iter().any(|never| part == *never));
        !never && path != self.built && !self.ignored.matched_path_or_any_parents(inner, path.is_dir()).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_or_ignored_is_no_source() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".gitignore"), "/dist\n*.o\n").unwrap();
        let source = Source::of(dir.path(), &dir.path().join("hello.wasm")).unwrap();
        let has = |path: &str| source.has(&source.root.join(path));
        assert!(has("src/app.py") && has("Makefile") && has("src/target.py"));
        for path in ["hello.wasm", "dist/x.js", "a/b.o", "target/debug/x.rs", "node_modules/x/index.js", ".git/index"] {
            assert!(!has(path), "{path}");
        }
        assert!(!source.has(Path::new("/elsewhere/app.py")));
    }

    #[tokio::test]
    async fn a_change_is_told_once_it_is_quiet() {
        let dir = tempfile::tempdir().unwrap();
        let mut changes = Changes::of(dir.path(), &dir.path().join("hello.wasm")).unwrap();
        std::fs::write(dir.path().join("hello.wasm"), "built").unwrap();
        std::fs::write(dir.path().join("app.py"), "source").unwrap();
        let changed = tokio::time::timeout(Duration::from_secs(60), changes.next()).await.unwrap().unwrap();
        assert!(changed.ends_with("app.py"), "{}", changed.display());
    }
}
