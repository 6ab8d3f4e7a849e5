//! Pushed, pulled, pinned, signed, and used when the registry is gone.

use std::path::Path;

use bulkhead_e2e::registry::{OciRegistry, Signer};
use bulkhead_e2e::{Api, bulkhead, plugins};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Place, call, copy, definition, problem, push, refused, run, said, sha256, start, words};

#[tokio::test]
async fn what_is_pushed_is_pulled_as_it_was_and_lies_there_as_others_expect() {
    let Some(registry) = OciRegistry::start() else { return };
    let place = Place::new();
    let file = copy(place.path(), "noop");
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
    let title = json!({ "org.opencontainers.image.title": "noop.wasm" });
    let layer = json!({ "mediaType": "application/wasm", "digest": sha256(&bytes), "size": bytes.len(), "annotations": title });
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
    let Some(registry) = OciRegistry::start() else { return };
    let place = Place::new();
    let pinned = push(&copy(place.path(), "noop"), &registry, "team/noop:1.0");
    call(&["plugin", "pull", &pinned, "-o", &place.text("carried.wasm")]);
    let (server, api) = start(&place.at("data"), &["--registry", registry.host()]);

    // Checking pulls, too, as storing does; no name means it.
    let validated = api.request(Method::POST, "/api/v1/definitions/validate").header("content-type", "application/toml");
    let validated = api.send(validated.body(definition(&pinned))).await.ok();
    assert_eq!(validated["valid"], true, "{validated:#}");
    api.put_definition("job", &definition(&pinned)).await.ok();
    assert_eq!(api.get("/plugins").await.ok()["items"], json!([]), "no name means it");
    let shown = api.get("/plugins/noop").await.ok();
    assert_eq!((&shown["name"], &shown["source"]), (&json!("noop"), &json!(pinned)), "{shown:#}");
    let by_digest = format!("/plugins/{}", shown["digest"].as_str().expect("a digest"));
    assert_eq!(api.get(&by_digest).await.ok(), shown);
    assert_eq!(api.get(&format!("/plugins/sha256:{}", "0".repeat(64))).await.status, StatusCode::NOT_FOUND);
    run(&api).await;
    let listed = server.call(&["plugins", "list", "--pinned", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["source"], &listed[1]), (&json!("noop"), &json!(pinned), &Value::Null));

    // What is remembered of a definition does not outlast its plugin, which is pulled again.
    let removed = api.send(api.request(Method::DELETE, "/api/v1/plugins/noop")).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get("/plugins?pinned=true").await.ok()["items"], json!([]));
    run(&api).await;

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
    assert_eq!(plugin["source"], Value::Null, "a name means it");
    let (_, digest) = pinned.split_once('@').unwrap();
    assert_eq!(plugin["provenance"]["manifests"], json!([digest]), "{plugin:#}");
    api.put_definition("job", &definition(&pinned)).await.ok();
    run(&api).await;

    // A manifest proves its own component and no other.
    copy(place.path(), "hello");
    std::fs::copy(place.at("carried.wasm.oci.json"), place.at("hello.wasm.oci.json")).unwrap();
    let uploaded = server.call(&["plugins", "upload", &place.text("hello.wasm")]);
    assert_eq!(uploaded.status.code(), Some(5));
    assert!(words(&said(&uploaded)).contains("the manifest is not that of a plugin: its component is"), "{}", said(&uploaded));

    // The same in a directory, for a run without a server.
    std::fs::remove_file(place.at("hello.wasm.oci.json")).unwrap();
    std::fs::write(place.at("job.toml"), definition(&pinned)).unwrap();
    let ran = bulkhead(&["run", &place.text("job.toml"), "--plugins", place.path().to_str().unwrap()]).output().unwrap();
    assert!(ran.status.success(), "{}", said(&ran));
}

#[tokio::test]
async fn what_is_not_pinned_not_allowed_or_not_the_same_is_refused() {
    let Some(registry) = OciRegistry::start() else { return };
    let place = Place::new();
    let pinned = push(&copy(place.path(), "noop"), &registry, "team/noop:1.0");
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
async fn where_keys_are_trusted_nothing_runs_that_they_did_not_sign() {
    let place = Place::new();
    let Some(ann) = Signer::new(place.path(), "ann") else { return };
    let Some(eve) = Signer::new(place.path(), "eve") else { return };
    let Some(registry) = OciRegistry::start() else { return };
    let (noop, hello) = (copy(place.path(), "noop"), copy(place.path(), "hello"));
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
