//! Plugins in real registries.

mod clients;
mod login;
mod plugins;
mod tls;

use std::path::{Path, PathBuf};
use std::process::Output;

use bulkhead_e2e::registry::OciRegistry;
use bulkhead_e2e::{Api, Reply, Server, ServerOptions, bulkhead, plugins};
use serde_json::Value;
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
    push_to(file, &format!("oci://{}/{name}", registry.host()), &[])
}

/// Pushes a file with more arguments; the reference that it is pinned by.
fn push_to(file: &Path, reference: &str, args: &[&str]) -> String {
    let pushed = call(&[&["plugins", "push", file.to_str().expect("UTF-8"), reference], args].concat());
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

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().expect("UTF-8").to_owned()
    }
}
