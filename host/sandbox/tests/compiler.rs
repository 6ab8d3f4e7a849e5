//! Compiling in a process of its own: whatever becomes of it is the failure of one upload.

mod support;

use std::time::Duration;

use bulkhead_core::failure::{Cause, Failure};
use bulkhead_sandbox::{Compiling, SandboxConfig};
use support::{HANG, Lab, config, plugin};

/// Where no other test has compiled anything.
fn alone() -> SandboxConfig {
    SandboxConfig { cache: None, ..config() }
}

/// What looking at an upload says of it.
const FINDINGS: &str = r#"{"kind":"Plugin","form":"Component","contract":null,"labels":{"version":null,"description":null},"interfaces":{"imports":[],"exports":[]}}"#;

/// What an upload comes to when the compiler is this shell script. It gets the order's arguments, the first as `$0`, and what was
/// uploaded on stdin.
async fn upload_with(script: &str) -> Failure {
    let compiling = Compiling::Apart { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
    let lab = Lab::with(SandboxConfig { compiling, ..alone() }).await;
    let upload = tokio::time::timeout(HANG, lab.upload(plugin("noop"))).await.expect("the upload ends");
    upload.expect_err("there is no code")
}

/// Likewise where looking at it goes well, and the script compiles.
async fn compile_with(script: &str) -> Failure {
    let look = format!("if [ \"$0\" = look ]; then cat > /dev/null & printf '%s' 'r{FINDINGS}'; exit 0; fi");
    upload_with(&format!("{look}; {script}")).await
}

#[tokio::test]
async fn what_the_compiler_says_of_a_component_is_the_plugins_failure() {
    let script = "cat > /dev/null & echo it does not compile: too odd >&2; exit 3";
    for failure in [upload_with(script).await, compile_with(script).await] {
        assert_eq!(failure, Failure::new(Cause::InvalidPlugin, "it does not compile: too odd"));
    }
}

#[tokio::test]
async fn a_compiler_that_dies_is_the_hosts_fault_and_is_told() {
    for (script, said) in [
        ("kill -9 $$", "signal: 9"),
        ("head -c 100 > /dev/null; echo what a mess >&2; kill -ABRT $$", "what a mess"),
        ("exit 77", "77"),
    ] {
        for failure in [upload_with(script).await, compile_with(script).await] {
            assert_eq!(failure.cause, Cause::HostFault, "{script}: {failure}");
            assert!(failure.message.contains(said), "{script}: {failure}");
        }
    }
    let compiling = Compiling::Apart { program: "/no/such/program".into(), arguments: vec![] };
    let lab = Lab::with(SandboxConfig { compiling, ..alone() }).await;
    let failure = lab.upload(plugin("noop")).await.expect_err("there is no compiler");
    assert!(failure.cause == Cause::HostFault && failure.message.contains("cannot start"), "{failure}");
}

#[tokio::test]
async fn a_compiler_that_runs_out_of_memory_or_stack_is_the_plugins_failure() {
    let script = "echo memory allocation of 4096 bytes failed >&2; kill -ABRT $$";
    for (failure, doing) in [(upload_with(script).await, "reading"), (compile_with(script).await, "compiling")] {
        assert_eq!(failure.cause, Cause::InvalidPlugin);
        assert!(failure.message.starts_with(doing) && failure.message.contains("4096 MiB"), "{failure}");
    }
    let failure = upload_with("echo \"thread 'main' has overflowed its stack\" >&2; kill -ABRT $$").await;
    assert_eq!(failure.cause, Cause::InvalidPlugin);
    assert!(failure.message.contains("nests without end"), "{failure}");
}

#[tokio::test]
async fn what_is_no_code_is_not_run() {
    let failure = compile_with("cat > /dev/null & echo r code that is none").await;
    assert!(failure.cause == Cause::InvalidPlugin && failure.message.contains("does not load"), "{failure}");
    let failure = compile_with("cat > /dev/null & echo what is this").await;
    assert!(failure.cause == Cause::HostFault && failure.message.contains("a frame of no kind"), "{failure}");
    let failure = upload_with("cat > /dev/null & echo r no findings").await;
    assert!(failure.cause == Cause::HostFault && failure.message.contains("can't be read"), "{failure}");
}

#[tokio::test]
async fn who_says_much_before_it_reads_holds_nothing_up() {
    let failure = upload_with("head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero; exit 9").await;
    assert_eq!(failure.cause, Cause::HostFault);
    assert!(failure.message.len() < 20_000, "{} bytes", failure.message.len());
}

#[tokio::test]
async fn a_compilation_that_goes_on_is_ended_with_its_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let compiling = Compiling::Apart {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), format!("echo $$ > '{0}.new'; mv '{0}.new' '{0}'; exec sleep 1000", pid.display()).into()],
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let lab = Lab::with(SandboxConfig { compiling, ..alone() }).await;
    runtime.spawn(async move { lab.upload(plugin("noop")).await });
    let pid = tokio::time::timeout(HANG, async {
        loop {
            if let Ok(text) = std::fs::read_to_string(&pid) {
                return text.trim().parse::<i32>().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let pid = rustix::process::Pid::from_raw(pid.await.unwrap()).unwrap();
    runtime.shutdown_background();
    let gone = async {
        while rustix::process::test_kill_process(pid).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(HANG, gone).await.expect("the process ends");
}
