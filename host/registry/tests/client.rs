//! The client against a registry that does as it is told: what a real one does only when it is broken, or hostile, or far away. The
//! tests of the whole binary have a real one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bulkhead_core::oci::OciReference;
use bulkhead_egress::{EgressConfig, HttpEgress, SystemResolver};
use bulkhead_engine::registry::{Registry as _, RegistryError, digest};
use bulkhead_registry::{Credentials, Login, RegistryClient};
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// The component that the registry has.
const COMPONENT: &[u8] = b"\0asm, more or less";
/// The most that the client takes of one.
const MAX: u64 = 1_000;

/// An answer: its head without the status line's beginning, and its body.
type Answers = BTreeMap<String, (String, Vec<u8>)>;

/// A registry: what it answers to a path, and what it was asked.
struct Fake {
    host: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Starts a registry; `answers` is given its host.
    async fn start(answers: impl FnOnce(&str) -> Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let answers = Arc::new(answers(&host));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, heard) = (Arc::clone(&answers), Arc::clone(&heard));
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let (mut first, mut authorization) = (String::new(), String::new());
                    loop {
                        let mut line = String::new();
                        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                            return;
                        }
                        let line = line.trim_end();
                        if first.is_empty() {
                            first = line.trim_end_matches(" HTTP/1.1").to_owned();
                        } else if let Some(value) = line.strip_prefix("authorization: ") {
                            authorization = format!(" [{value}]");
                        } else if line.is_empty() {
                            break;
                        }
                    }
                    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                    heard.lock().unwrap().push(format!("{first}{authorization}"));
                    let known = answers.get(&format!("{path}{authorization}")).or_else(|| answers.get(&path));
                    let (head, body) = known.cloned().unwrap_or_else(|| ("404 Not Found".to_owned(), Vec::new()));
                    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.write_all(&body).await;
                });
            }
        });
        Self { host, asked }
    }

    fn reference(&self, rest: &str) -> OciReference {
        format!("oci://{}/{rest}", self.host).parse().unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn client() -> RegistryClient {
    let credentials: Credentials =
        Arc::new(|_| Ok(Some(Login::Password { user: "ann".to_owned(), password: "secret".to_owned() })));
    let egress = HttpEgress::new(EgressConfig::default(), Arc::new(SystemResolver::default()), Handle::current()).unwrap();
    RegistryClient::new(Arc::new(egress), credentials, MAX)
}

fn manifest_of(component: &[u8], size: usize) -> Vec<u8> {
    let config = digest(b"{}");
    format!(
        "{{\"schemaVersion\":2,\"config\":{{\"mediaType\":\"application/vnd.wasm.config.v0+json\",\"digest\":\"{config}\",\"size\":2}},\
         \"layers\":[{{\"mediaType\":\"application/wasm\",\"digest\":\"{}\",\"size\":{size}}}]}}",
        digest(component)
    )
    .into_bytes()
}

fn manifest() -> Vec<u8> {
    manifest_of(COMPONENT, COMPONENT.len())
}

fn blob() -> String {
    format!("/v2/a/b/blobs/{}", digest(COMPONENT))
}

/// What an honest registry answers.
fn honest() -> Answers {
    let ok = |body: Vec<u8>| ("200 OK".to_owned(), body);
    [("/v2/".to_owned(), ok(vec![])), ("/v2/a/b/manifests/1".to_owned(), ok(manifest())), (blob(), ok(COMPONENT.to_vec()))].into()
}

/// Why a pull of `a/b:1` is refused, where the registry answers a path otherwise.
async fn refused(path: &str, head: &str, body: Vec<u8>) -> RegistryError {
    let change = (path.to_owned(), (head.to_owned(), body));
    let fake = Fake::start(|_| honest().into_iter().chain([change]).collect()).await;
    client().only(vec![fake.host.parse().unwrap()]).pull(fake.reference("a/b:1")).await.unwrap_err()
}

#[tokio::test]
async fn an_artifact_is_pulled() {
    let fake = Fake::start(|_| honest()).await;
    let artifact = client().pull(fake.reference("a/b:1")).await.unwrap();
    assert_eq!((&artifact.component[..], &artifact.manifest[..]), (COMPONENT, &manifest()[..]));
    assert_eq!(client().resolve(fake.reference("a/b:1")).await.unwrap(), artifact.digest());
    // Where nobody asks who it is, nobody is told.
    assert!(fake.asked().iter().all(|asked| !asked.contains('[')), "{:?}", fake.asked());
}

#[tokio::test]
async fn a_token_is_fetched_with_the_login_and_then_used() {
    let fake = Fake::start(|host| {
        let challenge = format!("401 Unauthorized\r\nwww-authenticate: Bearer realm=\"http://{host}/token\",service=\"it\"");
        let mut answers: Answers = honest()
            .into_iter()
            .flat_map(|(path, answer)| {
                [(format!("{path} [Bearer t0ken]"), answer), (path, ("401 Unauthorized".to_owned(), vec![]))]
            })
            .collect();
        answers.insert("/v2/".to_owned(), (challenge, vec![]));
        let token = "/token?service=it&scope=repository%3Aa%2Fb%3Apull [Basic YW5uOnNlY3JldA==]";
        answers.insert(token.to_owned(), ("200 OK".to_owned(), b"{\"access_token\":\"t0ken\"}".to_vec()));
        answers
    })
    .await;
    let artifact = client().pull(fake.reference("a/b:1")).await.unwrap_or_else(|error| panic!("{error}: {:?}", fake.asked()));
    assert_eq!(&artifact.component[..], COMPONENT);
}

/// Some registries say at their door that nobody is asked who they are, and ask inside; and tokens expire.
#[tokio::test]
async fn a_login_is_given_where_it_is_asked_for() {
    let fake = Fake::start(|_| {
        let challenge = ("401 Unauthorized\r\nwww-authenticate: Basic realm=\"it\"".to_owned(), vec![]);
        let (manifest, blob) = ("/v2/a/b/manifests/1".to_owned(), blob());
        let with = |path: &str| format!("{path} [Basic YW5uOnNlY3JldA==]");
        let inside = honest().into_iter().map(|(path, answer)| (with(&path), answer));
        let door = ("/v2/".to_owned(), ("200 OK".to_owned(), vec![]));
        inside.chain([door, (manifest, challenge.clone()), (blob, challenge)]).collect()
    })
    .await;
    let artifact = client().pull(fake.reference("a/b:1")).await.unwrap_or_else(|error| panic!("{error}: {:?}", fake.asked()));
    assert_eq!(&artifact.component[..], COMPONENT);
    let to_manifest = fake.asked().iter().filter(|asked| asked.contains("manifests")).count();
    assert_eq!(to_manifest, 2, "{:?}", fake.asked());
}

#[tokio::test]
async fn what_is_too_large_is_not_read_to_its_end() {
    let large = refused("/v2/a/b/manifests/1", "200 OK", vec![b' '; 100_000]).await;
    assert!(matches!(large, RegistryError::TooLarge { what: "the manifest", .. }), "{large}");
    let said = refused("/v2/a/b/manifests/1", "200 OK", manifest_of(COMPONENT, 1_001)).await;
    assert!(matches!(said, RegistryError::TooLarge { what: "the component", max: MAX }), "{said}");
    let more = refused(&blob(), "200 OK", vec![0; 900]).await;
    assert!(matches!(more, RegistryError::TooLarge { what: "the component", max: 18 }), "{more}");
}

#[tokio::test]
async fn what_is_something_else_is_refused() {
    let other = refused(&blob(), "200 OK", vec![0; COMPONENT.len()]).await;
    assert!(matches!(other, RegistryError::Mismatch { what: "the component", .. }), "{other}");
    let fake = Fake::start(|_| {
        let pinned = format!("/v2/a/b/manifests/{}", digest(b"another"));
        honest().into_iter().chain([(pinned, ("200 OK".to_owned(), manifest()))]).collect()
    })
    .await;
    let other = client().pull(fake.reference("a/b").pinned(digest(b"another"))).await.unwrap_err();
    assert!(matches!(other, RegistryError::Mismatch { what: "the manifest", .. }), "{other}");
    let image = refused("/v2/a/b/manifests/1", "200 OK", b"{\"schemaVersion\":2,\"manifests\":[]}".to_vec()).await;
    assert!(matches!(image, RegistryError::NotWasm(_)), "{image}");
    let gone = refused("/v2/a/b/manifests/1", "404 Not Found", vec![]).await;
    assert!(matches!(gone, RegistryError::NotFound(_)), "{gone}");
    let broken = refused("/v2/a/b/manifests/1", "500 Oops", b"it\nbroke".to_vec()).await;
    assert!(broken.to_string().ends_with("answered 500 to a manifest: it broke"), "{broken}");
}

#[tokio::test]
async fn who_sends_on_sends_to_public_places_over_tls_and_not_for_ever() {
    let plain = refused(&blob(), "307 Elsewhere\r\nlocation: http://blobs.example/x", vec![]).await;
    assert!(plain.to_string().contains("which is not https"), "{plain}");
    for host in ["127.0.0.1:1", "localhost:1"] {
        let inside = refused(&blob(), &format!("307 Elsewhere\r\nlocation: https://{host}/x"), vec![]).await;
        assert!(
            inside.to_string().contains(&format!("sends on to {host}, which is no public name: `--registry {host}`")),
            "{inside}"
        );
    }
    let circle = refused(&blob(), &format!("307 Elsewhere\r\nlocation: {}", blob()), vec![]).await;
    assert!(circle.to_string().contains("more than 5 times"), "{circle}");
    let realm = "401 No\r\nwww-authenticate: Bearer realm=\"http://tokens.example/\"";
    let token = refused("/v2/", realm, vec![]).await;
    assert!(token.to_string().contains("which is not https"), "{token}");
}

#[tokio::test]
async fn nobody_is_asked_who_is_not_allowed() {
    let fake = Fake::start(|_| honest()).await;
    let client = client().only(vec![format!("{}/other", fake.host).parse().unwrap()]);
    let refused = client.pull(fake.reference("a/b:1")).await.unwrap_err();
    assert!(matches!(refused, RegistryError::NotAllowed { .. }), "{refused}");
    assert_eq!(fake.asked(), Vec::<String>::new());
    let push = client.push(&fake.reference("a/b:1"), Bytes::from_static(COMPONENT), Default::default()).await;
    assert!(matches!(push, Err(RegistryError::NotAllowed { .. })));
}
