//! Registries that want to know who asks.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use bulkhead_e2e::authority::Authority;
use bulkhead_e2e::registry::{Access, OciRegistry, PASSWORD, USER, tool, write_credentials};
use bulkhead_e2e::token_service::{IDENTITY_TOKEN, TokenService, Who};
use bulkhead_e2e::{Server, ServerOptions, bulkhead};
use serde_json::{Value, json};

use super::{Place, copy, definition, problem, refused, run, said, sha256, words};

#[tokio::test]
async fn a_registry_that_wants_a_login_gets_the_one_that_other_tools_use() {
    let Some(registry) = OciRegistry::start_with(Access::Users, None) else { return };
    let place = Place::new();
    let file = copy(place.path(), "noop");
    let reference = format!("oci://{}/team/noop:1.0", registry.host());
    let args = ["plugin", "push", file.to_str().unwrap(), &reference];
    let answer = refused(&args);
    assert!(answer.contains("refuses access to team/noop (401)") && answer.contains("docker login"), "{answer}");

    // Docker's file, with `user:password` in base64.
    std::fs::create_dir(place.at("docker")).unwrap();
    assert_eq!((USER, PASSWORD), ("ann", "secret"));
    write_credentials(&place.at("docker/config.json"), registry.host(), &json!({ "auth": "YW5uOnNlY3JldA==" }));
    let output = bulkhead(&args).env("DOCKER_CONFIG", place.at("docker")).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let pinned = String::from_utf8(output.stdout).unwrap().trim().to_owned();

    // The file that is named comes first, with a password that is wrong.
    write_credentials(&place.at("auth.json"), registry.host(), &json!({ "auth": "YW5uOndyb25n" }));
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

/// A registry and a service of tokens, both over TLS with certificates of an authority of their own.
struct Tokens {
    place: Place,
    service: TokenService,
    registry: OciRegistry,
}

impl Tokens {
    async fn start() -> Option<Self> {
        let (place, authority) = (Place::new(), Authority::new());
        let certificate = authority.certify(&["localhost"]);
        authority.write(&place.at("ca.pem"));
        let service = TokenService::start(&certificate).await;
        let registry = OciRegistry::start_with(Access::Tokens(&service, &authority), Some(&certificate))?;
        copy(place.path(), "noop");
        Some(Self { place, service, registry })
    }

    fn reference(&self) -> String {
        format!("oci://{}/team/noop:1.0", self.registry.named())
    }

    /// Pushes the plugin as whom a file says, whose fields are these: the pinned reference, or what is said instead.
    fn push_as(&self, fields: &Value) -> Result<String, String> {
        write_credentials(&self.place.at("auth.json"), &self.registry.named(), fields);
        self.push(&[("REGISTRY_AUTH_FILE", &self.place.text("auth.json"))])
    }

    fn push(&self, env: &[(&str, &str)]) -> Result<String, String> {
        let (file, reference, ca) = (self.place.text("noop.wasm"), self.reference(), self.place.text("ca.pem"));
        let mut command = bulkhead(&["plugin", "push", &file, &reference, "--egress-ca", &ca]);
        let output = command.envs(env.iter().copied()).output().expect("the binary starts");
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(words(&said(&output))),
        }
    }

    /// A program that gives credentials, and a directory of Docker's that names it. The variables that make them used.
    fn helper(&self, answer: &str, status: u8) -> [(&'static str, String); 2] {
        let program = self.place.at("docker-credential-test");
        std::fs::write(&program, format!("#!/bin/sh\ncat >/dev/null\ncat <<'END'\n{answer}\nEND\nexit {status}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(self.place.at("config.json"), json!({ "credsStore": "test" }).to_string()).unwrap();
        let path = std::env::var("PATH").expect("there is a PATH");
        [("DOCKER_CONFIG", self.place.text("")), ("PATH", format!("{}:{path}", self.place.text("")))]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_service_is_asked_by_what_docker_login_left() {
    let Some(tokens) = Tokens::start().await else { return };
    let answer = tokens.push(&[]).unwrap_err();
    assert!(answer.contains("refuses access to team/noop (401)") && answer.contains("docker login"), "{answer}");
    assert_eq!(tokens.service.given().last(), Some(&("GET", Who::Nobody)));

    let pinned = tokens.push_as(&json!({ "auth": "YW5uOnNlY3JldA==" })).unwrap();
    assert_eq!(tokens.service.given().last(), Some(&("GET", Who::User)));
    let identity = json!({ "auth": "MDAwMDo=", "identitytoken": IDENTITY_TOKEN });
    assert_eq!(tokens.push_as(&identity).as_deref(), Ok(&*pinned));
    assert_eq!(tokens.service.given().last(), Some(&("POST", Who::Holder)));

    for wrong in [json!({ "identitytoken": "expired" }), json!({ "auth": "YW5uOndyb25n" })] {
        let answer = tokens.push_as(&wrong).unwrap_err();
        assert!(answer.contains("refuses access to team/noop (401)") && answer.contains("docker login localhost:"), "{answer}");
    }

    // From a helper, as Docker Desktop has them.
    let given = tokens.service.given().len();
    let answer = json!({ "ServerURL": tokens.registry.named(), "Username": "<token>", "Secret": IDENTITY_TOKEN }).to_string();
    let env = tokens.helper(&answer, 0);
    assert_eq!(tokens.push(&env.each_ref().map(|(name, value)| (*name, &**value))).as_deref(), Ok(&*pinned));
    assert_eq!(tokens.service.given()[given..], [("POST", Who::Holder)]);
    // One that has none for this registry: nobody asks.
    let env = tokens.helper("credentials not found in native keychain", 1);
    let answer = tokens.push(&env.each_ref().map(|(name, value)| (*name, &**value))).unwrap_err();
    assert!(answer.contains("refuses access to team/noop (401)"), "{answer}");
    assert_eq!(tokens.service.given().last(), Some(&("GET", Who::Nobody)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_asks_the_token_service_that_it_is_allowed_to_ask() {
    let Some(tokens) = Tokens::start().await else { return };
    let pinned = tokens.push_as(&json!({ "identitytoken": IDENTITY_TOKEN })).unwrap();
    let (place, registry) = (&tokens.place, tokens.registry.named());
    let serve = |registries: &str| {
        let env = vec![("REGISTRY_AUTH_FILE".to_owned(), place.text("auth.json"))];
        let options = ServerOptions { no_plugins: true, env, ..ServerOptions::default() };
        let mut server = Server::start_with(options.args(&["--registry", registries, "--egress-ca", &place.text("ca.pem")]));
        server.wait_until_loaded();
        server
    };
    let server = serve(&registry);
    let answer = problem(&server.api().put_definition("job", &definition(&pinned)).await);
    let service = format!("localhost:{}", tokens.service.port());
    assert!(answer.contains(&format!("sends on to {service}, which is no public name: `--registry {service}`")), "{answer}");
    drop(server);
    let server = serve(&format!("{registry},{service}"));
    server.api().put_definition("job", &definition(&pinned)).await.ok();
    run(&server.api()).await;
}

/// The service is no friend of this client only: another one gets along with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skopeo_asks_the_same_token_service() {
    let Some(skopeo) = tool("skopeo") else { return };
    let Some(tokens) = Tokens::start().await else { return };
    let pinned = tokens.push_as(&json!({ "auth": "MDAwMDo=", "identitytoken": IDENTITY_TOKEN })).unwrap();
    let given = tokens.service.given().len();
    let mut command = Command::new(skopeo);
    command.args(["inspect", "--raw", "--tls-verify=false", "--authfile", &tokens.place.text("auth.json")]);
    let output = command.arg(tokens.reference().replace("oci://", "docker://")).output().expect("skopeo starts");
    assert!(output.status.success(), "{}", said(&output));
    assert!(pinned.ends_with(&sha256(&output.stdout)), "{pinned}");
    assert_eq!(tokens.service.given()[given..], [("POST", Who::Holder)]);
}

#[tokio::test]
async fn an_identity_token_is_nothing_to_a_registry_without_a_token_service() {
    let Some(registry) = OciRegistry::start_with(Access::Users, None) else { return };
    let place = Place::new();
    write_credentials(&place.at("config.json"), registry.host(), &json!({ "identitytoken": IDENTITY_TOKEN }));
    let reference = format!("oci://{}/team/noop:1.0", registry.host());
    let output = bulkhead(&["plugin", "pull", &reference]).env("DOCKER_CONFIG", place.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let answer = words(&said(&output));
    assert!(answer.contains("they are an identity token, and the registry wants a user and a password"), "{answer}");
}
