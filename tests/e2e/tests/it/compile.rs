//! Plugins are compiled in processes of their own, which this binary is, too.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use bulkhead_e2e::{bulkhead, job_definition, plugins};
use tempfile::tempdir;

#[test]
fn a_plugin_that_takes_too_much_memory_to_compile_is_refused_with_the_bound() {
    let dir = tempdir().expect("a temporary directory");
    let mut command = bulkhead(&["run", "--compile-memory", "12MiB", "--plugins"]);
    command.arg(plugins()).arg("--compiled-dir").arg(dir.path().join("compiled")).arg(job_definition("hello"));
    let output = command.output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(2), "there is no such plugin then");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("more than the 12 MiB that a compilation may have"), "{text}");
}

/// The process that compiles, which waits for a component of so many bytes.
fn compiler(length: u64) -> std::process::Child {
    let mut command = bulkhead(&["compile-plugin", "0", "524288", "1", "0", "4294967296"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    child.stdin.as_mut().expect("a pipe").write_all(&length.to_le_bytes()).expect("it reads");
    child
}

#[test]
fn a_compiler_whose_host_is_gone_ends() {
    // While it reads, and while it compiles.
    let mut child = compiler(1_000);
    drop(child.stdin.take());
    assert!(!child.wait().expect("it ends").success());

    let component = std::fs::read(plugins().join("crawler.wasm")).expect("a plugin");
    let mut child = compiler(component.len() as u64);
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&component).expect("it reads");
    drop(stdin);
    let mut code = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut code).expect("it ends");
    assert!(!child.wait().expect("it ends").success());
    assert!(code.is_empty(), "{} bytes of code", code.len());
}
