//! A real registry of a test's own, and minisign: the programs that `tests/e2e/tools.sh` brings.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::authority::{Authority, Certificate};
use crate::token_service::{ISSUER, SERVICE, TokenService};
use crate::workspace;

/// The program with this name, or nothing where it is not here: outside CI, that is said and the test left out.
///
/// # Panics
/// Where it is missing in CI.
pub fn tool(name: &str) -> Option<PathBuf> {
    let brought = workspace().join("target/test-tools/bin").join(name);
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&dirs).map(|dir| dir.join(name)).chain([brought]).find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is missing: run `make test-tools`");
        eprintln!("SKIPPED: {name} is missing: run `make test-tools`");
    }
    found
}

/// A running registry. Dropping it kills it.
pub struct OciRegistry {
    child: Child,
    host: String,
    dir: TempDir,
}

/// The user of a registry that wants one.
pub const USER: &str = "ann";
/// Her password.
pub const PASSWORD: &str = "secret";
/// It, after bcrypt.
const HASHED: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// Whom a registry answers.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    /// Anybody.
    Open,
    /// [`USER`], by her password.
    Users,
    /// Who comes with a token of this service, whose certificate the authority gave.
    Tokens(&'a TokenService, &'a Authority),
}

impl OciRegistry {
    /// Starts a registry on a free port that answers anybody, in plain HTTP. Nothing where there is no registry to start.
    ///
    /// # Panics
    /// Where it does not come to listen.
    pub fn start() -> Option<Self> {
        Self::start_with(Access::Open, None)
    }

    /// Starts a registry; with a certificate, it speaks TLS.
    ///
    /// # Panics
    /// Where it does not come to listen.
    pub fn start_with(access: Access<'_>, certificate: Option<&Certificate>) -> Option<Self> {
        let program = tool("docker-registry")?;
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let path = |name: &str| dir.path().join(name);
        let at = |name: &str| path(name).display().to_string();
        let tls = certificate.map_or_else(String::new, |certificate| {
            certificate.write(&path("certificate.pem"), &path("key.pem"));
            format!(", tls: {{certificate: '{}', key: '{}'}}", at("certificate.pem"), at("key.pem"))
        });
        let mut config = format!(
            "version: 0.1\nlog: {{level: info, formatter: json}}\nhttp: {{addr: '127.0.0.1:0'{tls}}}\n\
             storage: {{filesystem: {{rootdirectory: '{}'}}}}\n",
            at("content")
        );
        match access {
            Access::Open => {}
            Access::Users => {
                std::fs::write(path("users"), format!("{USER}:{HASHED}\n")).expect("a file can be written");
                config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: '{}'}}}}\n", at("users")));
            }
            Access::Tokens(service, authority) => {
                authority.write(&path("authority.pem"));
                let realm = format!("https://localhost:{}/token", service.port());
                config.push_str(&format!(
                    "auth: {{token: {{realm: '{realm}', service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: '{}'}}}}\n",
                    at("authority.pem")
                ));
            }
        }
        std::fs::write(at("config.yml"), config).expect("a file can be written");
        let mut command = Command::new(program);
        command.args(["serve", &at("config.yml")]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the registry starts");
        let mut said = BufReader::new(child.stderr.take().expect("stderr is piped")).lines().map_while(Result::ok);
        let mut before = Vec::new();
        let host = said.find_map(|line| {
            // `listening on 127.0.0.1:5000, tls`, in a string.
            let host = line.split("listening on ").nth(1).and_then(|rest| rest.split(['"', ',']).next()).map(str::to_owned);
            before.push(line);
            host
        });
        let host = host.unwrap_or_else(|| panic!("the registry does not listen: {before:#?}"));
        // It must never wait for a reader.
        std::thread::spawn(move || said.for_each(drop));
        Some(Self { child, host, dir })
    }

    /// Its host with the port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The same by the name of this machine.
    pub fn named(&self) -> String {
        self.host.replace("127.0.0.1", "localhost")
    }

    /// The file where it keeps a blob, by its `sha256:…`.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.dir.path().join("content/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }
}

/// Writes a file of credentials for a registry, in Docker's format: fields of JSON.
///
/// # Panics
/// Where it can't be written.
pub fn write_credentials(file: &Path, host: &str, fields: &serde_json::Value) {
    let text = serde_json::json!({ "auths": { host: fields } });
    std::fs::write(file, text.to_string()).expect("a file can be written");
}

impl Drop for OciRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pair of keys of minisign.
pub struct Signer {
    program: PathBuf,
    secret: PathBuf,
    /// The file with the public key.
    pub public: PathBuf,
}

impl Signer {
    /// Makes a pair in a directory. Nothing where there is no minisign.
    ///
    /// # Panics
    /// Where that fails.
    pub fn new(dir: &Path, name: &str) -> Option<Self> {
        let program = tool("minisign")?;
        let (public, secret) = (dir.join(format!("{name}.pub")), dir.join(format!("{name}.key")));
        let mut command = Command::new(&program);
        command.args(["-G", "-W", "-p"]).arg(&public).arg("-s").arg(&secret);
        assert!(command.stdout(Stdio::null()).status().expect("minisign starts").success());
        let key = std::fs::read_to_string(&public).expect("minisign made a key");
        let key = key.lines().nth(1).expect("a key is two lines");
        std::fs::write(&public, format!("untrusted comment: {name}\n{key}\n")).expect("a file can be written");
        Some(Self { program, secret, public })
    }

    /// Signs a file, beside it.
    ///
    /// # Panics
    /// Where that fails.
    pub fn sign(&self, file: &Path) {
        let mut command = Command::new(&self.program);
        command.arg("-S").arg("-s").arg(&self.secret).arg("-m").arg(file).stdout(Stdio::null()).stdin(Stdio::null());
        assert!(command.status().expect("minisign starts").success());
    }
}
