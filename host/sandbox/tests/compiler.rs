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

/// What an upload comes to when the compiler is this shell script. It gets the order's arguments, and the component on stdin.
async fn upload_with(script: &str) -> Failure {
    let compiling = Compiling::Apart { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
    let lab = Lab::with(SandboxConfig { compiling, ..alone() }).await;
    let upload = tokio::time::timeout(HANG, lab.upload(plugin("noop"))).await.expect("the upload ends");
    upload.expect_err("there is no code")
}

#[tokio::test]
async fn what_the_compiler_says_of_a_component_is_the_plugins_failure() {
    let failure = upload_with("cat > /dev/null & echo it does not compile: too odd >&2; exit 3").await;
    assert_eq!(failure, Failure::new(Cause::InvalidPlugin, "it does not compile: too odd"));
}

#[tokio::test]
async fn a_compiler_that_dies_is_the_hosts_fault_and_is_told() {
    for (script, said) in [
        ("kill -9 $$", "signal: 9"),
        ("head -c 100 > /dev/null; echo what a mess >&2; kill -ABRT $$", "what a mess"),
        ("exit 77", "77"),
    ] {
        let failure = upload_with(script).await;
        assert_eq!(failure.cause, Cause::HostFault, "{script}: {failure}");
        assert!(failure.message.contains(said), "{script}: {failure}");
    }
    let compiling = Compiling::Apart { program: "/no/such/program".into(), arguments: vec![] };
    let lab = Lab::with(SandboxConfig { compiling, ..alone() }).await;
    let failure = lab.upload(plugin("noop")).await.expect_err("there is no compiler");
    assert!(failure.cause == Cause::HostFault && failure.message.contains("cannot start"), "{failure}");
}

#[tokio::test]
async fn a_compiler_that_runs_out_of_memory_is_the_plugins_failure() {
    let failure = upload_with("echo memory allocation of 4096 bytes failed >&2; kill -ABRT $$").await;
    assert_eq!(failure.cause, Cause::InvalidPlugin);
    assert!(failure.message.contains("4096 MiB"), "{failure}");
}

#[tokio::test]
async fn what_is_no_code_is_not_run() {
    let failure = upload_with("cat > /dev/null & echo code that is none").await;
    assert!(failure.cause == Cause::InvalidPlugin && failure.message.contains("does not load"), "{failure}");
    let failure = upload_with("cat > /dev/null & echo what is this").await;
    assert!(failure.cause == Cause::HostFault && failure.message.contains("a frame of no kind"), "{failure}");
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
