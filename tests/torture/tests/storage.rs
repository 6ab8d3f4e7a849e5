//! A full disk, a damaged file, damaged compiled code, and an orderly end in the middle.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use bulkhead_e2e::bulkhead;
use bulkhead_torture::{Dice, LIMIT, audit, doctor, number_of, start};
use reqwest::Method;

/// A job that logs more than a small disk holds.
const TALK: &str = r#"
id = "talk"

[step.talk]
plugin = "generator"
worker_count = 8
log_count = 60000
log_delay_ms = 0
"#;

/// A job that needs a place for its run, and nothing else: it does not fill a disk that has room again.
const QUIET: &str = "id = \"quiet\"\n[step.quiet]\nplugin = \"noop\"\ntasks = 0\n";

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this process may not mount.
    fn mount(at: &Path) -> Option<Self> {
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "bulkhead-torture"]).arg(at).status();
        status.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_refused_clearly_and_the_server_recovers() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let Some(disk) = SmallDisk::mount(dir.path()) else {
        println!("skipped: this needs the right to mount a file system");
        return;
    };
    let ballast = disk.0.join("ballast");
    let data = disk.0.join("data");
    let (mut server, _) = start(&data, &["--slots", "8"]).await;
    server.wait_until_loaded();
    let api = server.api();
    api.put_definition("talk", TALK).await.ok();
    api.put_definition("quiet", QUIET).await.ok();
    let before = api.trigger("talk").await;
    api.wait_for(&before, "talking", |run| number_of(run, "last_line") > 0).await;
    // Whatever is free goes to the ballast; what the job still needs is not there.
    let mut file = fs::File::create(&ballast).expect("the ballast");
    while file.write_all(&[0; 1 << 16]).is_ok() {}
    drop(file);

    let started = Instant::now();
    let refusal = loop {
        let reply = api.post("/definitions/quiet/runs", &serde_json::json!({})).await;
        if !reply.status.is_success() {
            break reply;
        }
        assert!(started.elapsed() < LIMIT, "a full disk takes every run");
    };
    println!("refused: {} {}", refusal.status, refusal.body["detail"]);
    assert_eq!(refusal.status.as_u16(), 503, "{:#}", refusal.body);
    assert_eq!(refusal.content_type, "application/problem+json");
    // It lives, and says what is the matter rather than nothing.
    assert!(api.send(api.request(Method::GET, "/health")).await.status.is_success());
    let reply = api.get(&format!("/runs/{before}")).await;
    assert!(matches!(reply.status.as_u16(), 200 | 503), "{}: {:#}", reply.status, reply.body);

    fs::remove_file(&ballast).expect("the ballast goes");
    let freed = Instant::now();
    // The rest would not fit even so: the run is cancelled, and nothing is lost of what was said.
    loop {
        let reply = api.command(&before, "cancel").await;
        if reply.status.is_success() {
            break;
        }
        assert_eq!(reply.status.as_u16(), 503, "{:#}", reply.body);
        assert!(freed.elapsed() < LIMIT, "the server does not recover: {:#}", reply.body);
    }
    println!("works again {} ms after there is room", freed.elapsed().as_millis());
    let ended = api.wait_for_end(&before).await;
    println!("ended {}, with {} lines", ended["state"], ended["last_line"]);
    audit(&api, &before).await;
    server.terminate();
    assert!(server.wait().success());
    doctor(&data);
}

#[tokio::test]
async fn damaged_compiled_code_is_compiled_anew() {
    let mut dice = Dice::fresh();
    let data = tempfile::tempdir().expect("a temporary directory");
    let compiled = data.path().join("compiled");
    // Not where other tests keep theirs.
    let own = ["--compiled-dir", compiled.to_str().expect("a path of plain characters")];
    let definition = "id = \"quick\"\n[step.quick]\nplugin = \"noop\"\ntasks = 20\nlines = 1\n";
    let (mut server, _) = start(data.path(), &own).await;
    server.wait_until_loaded();
    server.api().put_definition("quick", definition).await.ok();
    let run = server.api().trigger("quick").await;
    assert_eq!(server.api().wait_for_end(&run).await["state"], "succeeded");
    server.kill();
    for round in 0..4 {
        let mut damaged = 0;
        for entry in fs::read_dir(&compiled).expect("compiled code is kept") {
            let path = entry.expect("an entry").path();
            let mut bytes = fs::read(&path).expect("a file");
            if bytes.is_empty() {
                continue;
            }
            match round {
                0 => bytes.truncate(bytes.len() / 2),
                1 => bytes.clear(),
                2 => bytes = (0..5_000).map(|_| dice.below(256) as u8).collect(),
                _ => (0..50).for_each(|_| {
                    let at = dice.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << dice.below(8);
                }),
            }
            fs::write(&path, bytes).expect("a file");
            damaged += 1;
        }
        assert!(damaged > 0, "nothing is compiled");
        let (mut server, _) = start(data.path(), &own).await;
        server.wait_until_loaded();
        let run = server.api().trigger("quick").await;
        assert_eq!(server.api().wait_for_end(&run).await["state"], "succeeded", "round {round}");
        server.kill();
    }
}

#[tokio::test]
async fn a_damaged_store_is_named_and_left_alone() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let (mut server, _) = start(data.path(), &[]).await;
    server.wait_until_loaded();
    server.terminate();
    assert!(server.wait().success());
    let path = data.path().join("bulkhead.redb");
    let sound = fs::read(&path).expect("the store's file");
    let half = sound[..sound.len() / 2].to_vec();
    let mut headless = sound.clone();
    headless[..512].fill(0xa5);
    let noise: Vec<u8> = (0..sound.len()).map(|at| (at * 31 % 251) as u8).collect();
    for (what, bytes) in [("cut in half", half), ("without its head", headless), ("noise", noise), ("one byte", vec![7])] {
        fs::write(&path, &bytes).expect("the file is damaged");
        let mut command = bulkhead(&["serve", "--json", "--listen", "127.0.0.1:0", "--data-dir"]);
        // It ends by itself, with an error: whoever supervises it sees that, and nothing runs on half a store.
        let output = command.arg(data.path()).output().expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        println!("{what}: {:?} {said}", output.status.code());
        assert!(output.status.code().is_some_and(|code| code != 0), "{what}: it goes on or was killed: {said}");
        assert!(said.contains("bulkhead.redb"), "{what}: it does not say which file: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
        assert_eq!(fs::read(&path).expect("the file"), bytes, "{what}: the evidence was changed");
    }
    fs::write(&path, &sound).expect("the file is whole again");
    doctor(data.path());
}

#[tokio::test]
async fn a_drain_in_the_middle_loses_nothing() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let definition = r#"
id = "drained"

[step.work]
plugin = "generator"
worker_count = 60
log_count = 10
log_delay_ms = 30
"#;
    let (mut server, _) = start(data.path(), &["--slots", "6"]).await;
    server.wait_until_loaded();
    server.api().put_definition("drained", definition).await.ok();
    let run = server.api().trigger("drained").await;
    let mut drains = 0;
    loop {
        let done = number_of(&server.api().run(&run).await["tasks"], "succeeded");
        if done == 61 {
            break;
        }
        server.api().wait_for(&run, "a bit further", |run| number_of(&run["tasks"], "succeeded") > done + 5).await;
        server.terminate();
        assert!(server.wait().success(), "an orderly end is a success");
        drains += 1;
        (server, _) = start(data.path(), &["--slots", "6"]).await;
        if drains == 5 {
            break;
        }
    }
    let api = server.api();
    assert_eq!(api.wait_for_end(&run).await["state"], "succeeded");
    let found = audit(&api, &run).await;
    // Nobody was interrupted: every task needed one attempt.
    assert!(found.tasks.iter().all(|task| task["attempt"] == 1), "a task was tried twice");
    assert_eq!(found.lines.len(), 600);
    server.kill();
    doctor(data.path());
}
