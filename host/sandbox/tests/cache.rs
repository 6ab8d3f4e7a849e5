//! Compiled code on disk: found again, and never trusted blindly.

mod support;

use std::path::{Path, PathBuf};

use bulkhead_sandbox::SandboxConfig;
use support::{Lab, config, plugin, succeeded};

async fn run_noop(dir: &Path) {
    let lab = Lab::with(SandboxConfig { cache: Some(dir.to_owned()), ..config() }).await;
    assert!(lab.sandbox.info().cached);
    let noop = lab.upload(plugin("noop")).await.unwrap();
    let attempt = lab.task(&noop, "", "null").await;
    succeeded(&lab.execute(&attempt).await);
}

fn code(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

fn modified(path: &Path) -> std::time::SystemTime {
    std::fs::metadata(path).unwrap().modified().unwrap()
}

#[tokio::test]
async fn compiled_code_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("code");
    run_noop(&cache).await;
    let [file] = &code(&cache)[..] else { panic!("one file of code") };
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(file).unwrap());
    let before = modified(file);
    run_noop(&cache).await;
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(file).unwrap()), inode, "it was not written again");
    assert!(modified(file) > before, "it was used");
}

#[tokio::test]
async fn unsound_code_is_compiled_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("code");
    run_noop(&cache).await;
    let [file] = &code(&cache)[..] else { panic!("one file of code") };
    let sound = std::fs::read(file).unwrap();
    let mut flipped = sound.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for unsound in [&flipped[..], &sound[..sound.len() / 2], b"", b"not code at all"] {
        std::fs::write(file, unsound).unwrap();
        run_noop(&cache).await;
        assert_eq!(std::fs::read(file).unwrap().len(), sound.len(), "it was written again");
    }
    std::fs::remove_file(file.with_extension("sha256")).unwrap();
    run_noop(&cache).await;
}

#[tokio::test]
async fn a_directory_that_others_may_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let lab = Lab::with(SandboxConfig { cache: Some(dir.path().to_owned()), ..config() }).await;
    assert!(!lab.sandbox.info().cached);
    lab.upload(plugin("noop")).await.unwrap();
    assert!(code(dir.path()).is_empty());
}

#[tokio::test]
async fn the_directory_has_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::with(SandboxConfig { cache: Some(dir.path().join("code")), cache_bytes: 1, ..config() }).await;
    for name in ["noop", "generator", "stress"] {
        lab.upload(plugin(name)).await.unwrap();
    }
    assert_eq!(code(&dir.path().join("code")).len(), 1, "the latest only");
}
