//! What other clients make of what is pushed, and what is made of what they push: wkg of the Bytecode Alliance's tools, and skopeo, which
//! knows nothing of WebAssembly.

use std::process::{Command, Output};

use bulkhead_e2e::registry::{OciRegistry, tool};
use serde_json::json;

use super::{Place, call, copy, definition, push, run, said, sha256, start};

/// Calls a program, which succeeds.
fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output
}

#[tokio::test]
async fn what_wkg_pushes_runs_and_what_is_pushed_wkg_pulls() {
    let Some(wkg) = tool("wkg") else { return };
    let Some(registry) = OciRegistry::start() else { return };
    let place = Place::new();
    let file = copy(place.path(), "noop");
    let bytes = std::fs::read(&file).unwrap();
    let host = registry.host();
    let wkg = |args: &[&str]| succeed(Command::new(&wkg).args(["oci"]).args(args).env("WKG_OCI_INSECURE", host));

    push(&file, &registry, "ours/noop:1.0");
    wkg(&["pull", &format!("{host}/ours/noop:1.0"), "-o", &place.text("theirs.wasm")]);
    assert!(std::fs::read(place.at("theirs.wasm")).unwrap() == bytes, "wkg pulls what was pushed");

    let args =
        ["push", &format!("{host}/theirs/noop:1.0"), &place.text("noop.wasm"), "--author", "ann", "--annotation", "key=value"];
    let pushed = String::from_utf8(wkg(&args).stdout).unwrap();
    let digest = pushed.lines().find_map(|line| line.strip_prefix("digest: ")).unwrap_or_else(|| panic!("{pushed}"));
    let pulled = call(&["plugin", "pull", &format!("oci://{host}/theirs/noop:1.0"), "-o", &place.text("ours.wasm")]);
    let pinned = format!("oci://{host}/theirs/noop@{digest}");
    assert_eq!((&pulled["reference"], &pulled["digest"]), (&json!(pinned), &json!(sha256(&bytes))));
    assert!(std::fs::read(place.at("ours.wasm")).unwrap() == bytes, "what wkg pushed is pulled");
    let (_server, api) = start(&place.at("data"), &["--registry", host]);
    api.put_definition("job", &definition(&pinned)).await.ok();
    run(&api).await;
}

#[tokio::test]
async fn what_skopeo_copies_between_registries_stays_what_it_is_pinned_to() {
    let Some(skopeo) = tool("skopeo") else { return };
    let (Some(from), Some(to)) = (OciRegistry::start(), OciRegistry::start()) else { return };
    let place = Place::new();
    let pinned = push(&copy(place.path(), "noop"), &from, "team/noop:1.0");
    let copy = |from: &str, to: &str| {
        let flags = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
        succeed(Command::new(&skopeo).args(flags).args([from, to]))
    };
    // Through a directory, as it is carried to where no network leads.
    let layout = format!("oci:{}:noop", place.text("layout"));
    copy(&format!("docker://{}/team/noop:1.0", from.host()), &layout);
    drop(from);
    copy(&layout, &format!("docker://{}/mirror/noop:1.0", to.host()));

    let digest = pinned.split_once('@').expect("it is pinned").1;
    let mirrored = format!("oci://{}/mirror/noop@{digest}", to.host());
    let (_server, api) = start(&place.at("data"), &["--registry", to.host()]);
    api.put_definition("job", &definition(&mirrored)).await.ok();
    run(&api).await;
    // What was pinned before it was copied means the same.
    api.put_definition("job", &definition(&pinned)).await.ok();
    run(&api).await;
}
