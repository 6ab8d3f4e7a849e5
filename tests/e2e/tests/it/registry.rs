//! Plugins in a real registry: pushed, pulled, pinned, signed, and used when the registry is gone.

use std::path::{Path, PathBuf};
use std::process::Output;

use bulkhead_e2e::registry::{OciRegistry, PASSWORD, Signer, USER};
use bulkhead_e2e::{Api, Reply, Server, ServerOptions, bulkhead, plugins};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::{TempDir, tempdir};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).replace(['\n', '│'], " ")
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Calls the binary, which succeeds; its answer as JSON.
fn call(args: &[&str]) -> Value {
    let output = bulkhead(args).arg("--json").output().expect("the binary starts");
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", said(&output)))
}

/// Calls the binary, which is refused; what it says, on one line.
fn refused(args: &[&str]) -> String {
    let output = bulkhead(args).arg("--json").output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(5), "{args:?}: {}", said(&output));
    words(&said(&output))
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// A copy of a built plugin in a directory.
fn copy(dir: &Path, plugin: &str) -> PathBuf {
    let file = dir.join(plugin).with_extension("wasm");
    std::fs::copy(plugins().join(plugin).with_extension("wasm"), &file).expect("a file can be copied");
    file
}

/// Pushes a file; the reference that it is pinned by.
fn push(file: &Path, registry: &OciRegistry, name: &str) -> String {
    let pushed = call(&["plugins", "push", file.to_str().expect("UTF-8"), &format!("oci://{}/{name}", registry.host())]);
    pushed["reference"].as_str().expect("a reference").to_owned()
}

/// A definition of one step.
fn definition(plugin: &str) -> String {
    format!("id = \"job\"\n[step.all]\nplugin = \"{plugin}\"\ntasks = 3\n")
}

fn start(data_dir: &Path, args: &[&str]) -> (Server, Api) {
    let options = ServerOptions { no_plugins: true, ..ServerOptions::default() };
    let mut server = Server::start_with(options.data_dir(data_dir).args(args));
    server.wait_until_loaded();
    let api = server.api();
    (server, api)
}

fn problem(reply: &Reply) -> String {
    assert!(!reply.status.is_success(), "{:#}", reply.body);
    words(&format!("{} {}", reply.body["detail"], reply.body["diagnostics"]).replace("\\n", " "))
}

async fn run(api: &Api) {
    let run = api.wait_for_end(&api.trigger("job").await).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempdir().expect("a temporary directory can be made"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().expect("UTF-8").to_owned()
    }
}

#[tokio::test]
async fn what_is_pushed_is_pulled_as_it_was_and_lies_there_as_others_expect() {
    let Some(registry) = OciRegistry::start(false) else { return };
    let place = Place::new();
    let file = copy(place.0.path(), "noop");
    let bytes = std::fs::read(&file).unwrap();
    let pinned = push(&file, &registry, "team/noop:1.0");
    let (_, digest) = pinned.split_once('@').expect("it is pinned");

    assert_eq!(push(&file, &registry, "team/noop:again"), pinned, "the same file has the same digest");

    let by_tag = format!("oci://{}/team/noop:1.0", registry.host());
    for reference in [&by_tag, &pinned] {
        let pulled = call(&["plugin", "pull", reference, "-o", &place.text("pulled.wasm")]);
        assert_eq!((&pulled["reference"], &pulled["digest"]), (&json!(pinned), &json!(sha256(&bytes))));
        assert_eq!(std::fs::read(place.at("pulled.wasm")).unwrap(), bytes);
        assert_eq!(sha256(&std::fs::read(place.at("pulled.wasm.oci.json")).unwrap()), digest);
        assert!(!place.at("pulled.wasm.minisig").exists());
    }

    // What wkg and oci-wasm look at before they take it for WebAssembly.
    let http = Api::new(&format!("http://{}", registry.host()), None);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let request = http.request(Method::GET, "/v2/team/noop/manifests/1.0").header("accept", kind);
    let manifest = http.send(request).await;
    assert_eq!(manifest.content_type, kind);
    let manifest = manifest.ok();
    assert_eq!((&manifest["schemaVersion"], &manifest["mediaType"]), (&json!(2), &json!(kind)));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    let layer = json!({ "mediaType": "application/wasm", "digest": sha256(&bytes), "size": bytes.len() });
    assert_eq!(manifest["layers"], json!([layer]));
    let config = manifest["config"]["digest"].as_str().expect("a digest");
    let config = http.send(http.request(Method::GET, &format!("/v2/team/noop/blobs/{config}"))).await.ok();
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(config["layerDigests"], json!([sha256(&bytes)]));
    let exports = config["component"]["exports"].as_array().expect("a component exports something");
    assert!(exports.iter().any(|name| name == "run"), "{config:#}");
    assert!(config["created"].as_str().is_some_and(|created| created.ends_with('Z')), "{config:#}");

    // What is no plugin is not pushed, and what is not there is said.
    std::fs::write(place.at("no.wasm"), "no plugin").unwrap();
    let output = bulkhead(&["plugin", "push", &place.text("no.wasm"), &by_tag]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let missing = refused(&["plugin", "pull", &by_tag.replace("1.0", "2.0"), "-o", &place.text("x")]);
    assert!(missing.contains("has no oci://"), "{missing}");
}

#[tokio::test]
async fn a_pinned_plugin_runs_and_needs_no_registry_once_it_is_here() {
    let Some(registry) = OciRegistry::start(false) else { return };
    let place = Place::new();
    let pinned = push(&copy(place.0.path(), "noop"), &registry, "team/noop:1.0");
    call(&["plugin", "pull", &pinned, "-o", &place.text("carried.wasm")]);
    let (server, api) = start(&place.at("data"), &["--registry", registry.host()]);

    // Checking pulls, too, as storing does; no name means it.
    let validated = api.request(Method::POST, "/api/v1/definitions/validate").header("content-type", "application/toml");
    let validated = api.send(validated.body(definition(&pinned))).await.ok();
    assert_eq!(validated["valid"], true, "{validated:#}");
    api.put_definition("job", &definition(&pinned)).await.ok();
    assert_eq!(api.get("/plugins/noop").await.status, StatusCode::NOT_FOUND);
    run(&api).await;
    let listed = server.call(&["plugins", "list", "--pinned", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["source"], &listed[1]), (&json!("noop"), &json!(pinned), &Value::Null));

    drop(registry);
    run(&api).await;
    drop(server);
    let (server, api) = start(&place.at("data"), &[]);
    run(&api).await;
    // Wherever the reference says that it lies: what counts is what it is pinned to.
    let elsewhere = pinned.replace("127.0.0.1", "registry.example");
    api.put_definition("job", &definition(&elsewhere)).await.ok();
    run(&api).await;
    drop(server);

    // A server that never saw a registry takes it from a file that somebody carried there, with its manifest beside.
    let (server, api) = start(&place.at("other"), &[]);
    let answer = problem(&api.put_definition("job", &definition(&pinned)).await);
    assert!(answer.contains("--registry 127.0.0.1:") && answer.contains("plugin pull"), "{answer}");
    let uploaded = server.call(&["plugins", "upload", &place.text("carried.wasm"), "--json"]);
    assert!(uploaded.status.success(), "{}", said(&uploaded));
    let plugin = api.get("/plugins/noop").await.ok();
    let (_, digest) = pinned.split_once('@').unwrap();
    assert_eq!(plugin["provenance"]["manifests"], json!([digest]), "{plugin:#}");
    api.put_definition("job", &definition(&pinned)).await.ok();
    run(&api).await;

    // A manifest proves its own component and no other.
    copy(place.0.path(), "hello");
    std::fs::copy(place.at("carried.wasm.oci.json"), place.at("hello.wasm.oci.json")).unwrap();
    let uploaded = server.call(&["plugins", "upload", &place.text("hello.wasm")]);
    assert_eq!(uploaded.status.code(), Some(5));
    assert!(words(&said(&uploaded)).contains("the manifest is not that of a plugin: its component is"), "{}", said(&uploaded));

    // The same in a directory, for a run without a server.
    std::fs::remove_file(place.at("hello.wasm.oci.json")).unwrap();
    std::fs::write(place.at("job.toml"), definition(&pinned)).unwrap();
    let ran = bulkhead(&["run", &place.text("job.toml"), "--plugins", place.0.path().to_str().unwrap()]).output().unwrap();
    assert!(ran.status.success(), "{}", said(&ran));
}

#[tokio::test]
async fn what_is_not_pinned_not_allowed_or_not_the_same_is_refused() {
    let Some(registry) = OciRegistry::start(false) else { return };
    let place = Place::new();
    let pinned = push(&copy(place.0.path(), "noop"), &registry, "team/noop:1.0");
    let tag = format!("oci://{}/team/noop:1.0", registry.host());
    let (server, api) = start(&place.at("data"), &["--registry", &format!("{}/team", registry.host())]);
    let put = async |plugin: &str| problem(&api.put_definition("job", &definition(plugin)).await);

    let answer = put(&tag).await;
    assert!(answer.contains("has to be pinned") && answer.contains(&format!("now it is `{pinned}`")), "{answer}");
    let answer = put("oci://ghcr.io/acme/hello:1").await;
    assert!(answer.contains("`bulkhead plugin pull oci://ghcr.io/acme/hello:1` tells"), "{answer}");
    let answer = put(&pinned.replace("team/", "others/")).await;
    assert!(answer.contains(&format!("`--registry {}/others/noop` this repository only", registry.host())), "{answer}");
    let answer = put(&format!("oci://{}/team/noop@sha256:{}", registry.host(), "0".repeat(64))).await;
    assert!(answer.contains("the registry has no oci://"), "{answer}");

    // One byte of the component is another, in the registry's own files.
    let noop = std::fs::read(plugins().join("noop.wasm")).unwrap();
    let blob = registry.blob(&sha256(&noop));
    let mut tampered = noop.clone();
    *tampered.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, &tampered).unwrap();
    for answer in [put(&pinned).await, refused(&["plugin", "pull", &pinned, "-o", &place.text("x.wasm")])] {
        assert!(answer.contains("gave something else than was asked for: the component should be"), "{answer}");
    }
    assert!(!place.at("x.wasm").exists());
    std::fs::write(&blob, &noop).unwrap();
    api.put_definition("job", &definition(&pinned)).await.ok();
    run(&api).await;
    drop(server);
}

#[tokio::test]
async fn a_registry_that_wants_a_login_gets_the_one_that_other_tools_use() {
    let Some(registry) = OciRegistry::start(true) else { return };
    let place = Place::new();
    let file = copy(place.0.path(), "noop");
    let reference = format!("oci://{}/team/noop:1.0", registry.host());
    let args = ["plugin", "push", file.to_str().unwrap(), &reference];
    let answer = refused(&args);
    assert!(answer.contains("refuses access to team/noop (401)") && answer.contains("docker login"), "{answer}");

    // Docker's file, with `user:password` in base64.
    std::fs::create_dir(place.at("docker")).unwrap();
    assert_eq!((USER, PASSWORD), ("ann", "secret"));
    registry.write_credentials(&place.at("docker/config.json"), "YW5uOnNlY3JldA==");
    let output = bulkhead(&args).env("DOCKER_CONFIG", place.at("docker")).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let pinned = String::from_utf8(output.stdout).unwrap().trim().to_owned();

    // The file that is named comes first, with a password that is wrong.
    registry.write_credentials(&place.at("auth.json"), "YW5uOndyb25n");
    let pull = ["plugin", "pull", &pinned, "-o", &place.text("x.wasm")];
    let output = bulkhead(&pull)
        .env("REGISTRY_AUTH_FILE", place.at("auth.json"))
        .env("DOCKER_CONFIG", place.at("docker"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));

    let env = vec![("REGISTRY_AUTH_FILE".to_owned(), place.text("docker/config.json"))];
    let options = ServerOptions { no_plugins: true, env, ..ServerOptions::default() };
    let mut server = Server::start_with(options.args(&["--registry", registry.host()]));
    server.wait_until_loaded();
    server.api().put_definition("job", &definition(&pinned)).await.ok();
    run(&server.api()).await;
}

#[tokio::test]
async fn where_keys_are_trusted_nothing_runs_that_they_did_not_sign() {
    let place = Place::new();
    let Some(ann) = Signer::new(place.0.path(), "ann") else { return };
    let Some(eve) = Signer::new(place.0.path(), "eve") else { return };
    let Some(registry) = OciRegistry::start(false) else { return };
    let (noop, hello) = (copy(place.0.path(), "noop"), copy(place.0.path(), "hello"));
    let unsigned = push(&noop, &registry, "noop:unsigned");
    let keys = ann.public.to_str().unwrap();
    let args = ["--registry", registry.host(), "--plugin-keys", keys];
    let (server, api) = start(&place.at("data"), &args);
    let upload = |file: &Path| server.call(&["plugins", "upload", file.to_str().unwrap()]);

    let output = upload(&noop);
    assert_eq!(output.status.code(), Some(5));
    assert!(words(&said(&output)).contains("it is not signed") && said(&output).contains("minisign"), "{}", said(&output));
    let answer = problem(&api.put_definition("job", &definition(&unsigned)).await);
    assert!(answer.contains("the plugin is refused: it is not signed"), "{answer}");
    eve.sign(&noop);
    let output = upload(&noop);
    assert!(words(&said(&output)).contains("a key that this server does not trust"), "{}", said(&output));
    // A signature of other bytes.
    ann.sign(&hello);
    std::fs::rename(place.at("hello.wasm.minisig"), place.at("noop.wasm.minisig")).unwrap();
    let output = upload(&noop);
    assert!(words(&said(&output)).contains("its signature is not of this file"), "{}", said(&output));
    assert_eq!(api.get("/plugins").await.ok()["items"], json!([]));

    // Signed in the registry; then the same bytes are known to be signed, also where they lie without a signature.
    ann.sign(&noop);
    let signed = push(&noop, &registry, "noop:signed");
    api.put_definition("job", &definition(&signed)).await.ok();
    run(&api).await;
    let pulled = call(&["plugin", "pull", &signed, "-o", &place.text("pulled.wasm")]);
    assert_eq!(pulled["signed"], true);
    assert!(upload(&place.at("pulled.wasm")).status.success());
    let plugin = api.get("/plugins/noop").await.ok();
    assert_eq!(plugin["provenance"]["signed_by"], "ann", "{plugin:#}");
    assert_eq!(plugin["provenance"]["source"], signed, "{plugin:#}");
    api.put_definition("job", &definition(&unsigned)).await.ok();
    drop(server);

    // Her key is trusted no more: what is stored and compiled already is not loaded.
    let (server, api) = start(&place.at("data"), &["--plugin-keys", eve.public.to_str().unwrap()]);
    let run = api.wait_for_end(&api.trigger("job").await).await;
    assert_eq!((&run["state"], &run["failure"]["cause"]), (&json!("failed"), &json!("denied")), "{run:#}");
    drop(server);

    // Of a directory, what is signed is loaded.
    let dir = place.at("dir");
    std::fs::create_dir(&dir).unwrap();
    let (signed, _) = (copy(&dir, "noop"), copy(&dir, "hello"));
    ann.sign(&signed);
    let (_server, api) = start(&place.at("third"), &["--plugin-keys", keys, "--plugins", dir.to_str().unwrap()]);
    let listed = api.get("/plugins").await.ok();
    let names: Vec<_> = listed["items"].as_array().expect("items").iter().map(|plugin| plugin["name"].clone()).collect();
    assert_eq!(names, [json!("noop")]);
}
