//! A service that gives tokens for a registry, as Docker's, GitHub's or GitLab's does: after the distribution project's specification,
//! over TLS. What it signs is checked by a real registry.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::authority::Certificate;
use crate::registry::{PASSWORD, USER};

/// What the registry calls itself to the service.
pub const SERVICE: &str = "registry.test";
/// What the service calls itself to the registry.
pub const ISSUER: &str = "tokens.test";
/// The identity token that stands for [`USER`].
pub const IDENTITY_TOKEN: &str = "an identity token/+=&";

/// A running service. It ends with its runtime.
#[derive(Clone)]
pub struct TokenService {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    certificate: Vec<u8>,
    key: Vec<u8>,
    /// How each token was asked for, and who asked: nobody, a user, or the holder of an identity token.
    given: Mutex<Vec<(&'static str, Who)>>,
}

/// Who asks for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody in particular. They may do nothing.
    Nobody,
    /// [`USER`], with her password. She may do everything.
    User,
    /// The holder of [`IDENTITY_TOKEN`], who may do everything.
    Holder,
}

type Fields = BTreeMap<String, String>;
type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

impl TokenService {
    /// Listens on a free port of this machine with a certificate, whose key signs the tokens, too.
    ///
    /// # Panics
    /// Where it can't listen.
    pub async fn start(certificate: &Certificate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Shared { certificate: certificate.der().to_owned(), key: certificate.key(), given: Mutex::default() };
        let shared = Arc::new(shared);
        let router = Router::new().route("/token", get(by_get).post(by_post)).with_state(Arc::clone(&shared));
        let listener = TlsListener { listener, acceptor: certificate.server().into() };
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The tokens that it gave so far: by which method, to whom.
    pub fn given(&self) -> Vec<(&'static str, Who)> {
        self.shared.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What every token server knows: the login in a header, the rest in the query.
async fn by_get(State(shared): State<Arc<Shared>>, headers: HeaderMap, Query(fields): Query<Fields>) -> Answer {
    let who = match headers.get("authorization") {
        None => Who::Nobody,
        Some(basic) if *basic == format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}"))) => Who::User,
        Some(_) => return Err(refused("UNAUTHORIZED")),
    };
    shared.give("GET", who, &fields, "token")
}

/// OAuth2, as Docker's documentation of its tokens has it.
async fn by_post(State(shared): State<Arc<Shared>>, Form(fields): Form<Fields>) -> Answer {
    let is = |name: &str, value: &str| fields.get(name).is_some_and(|found| found == value);
    if !is("grant_type", "refresh_token") || !fields.contains_key("client_id") {
        return Err(refused("unsupported_grant_type"));
    }
    if !is("refresh_token", IDENTITY_TOKEN) {
        return Err(refused("invalid_grant"));
    }
    shared.give("POST", Who::Holder, &fields, "access_token")
}

fn refused(why: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::UNAUTHORIZED, Json(json!({ "error": why })))
}

impl Shared {
    fn give(&self, method: &'static str, who: Who, fields: &Fields, name: &str) -> Answer {
        if fields.get("service").is_none_or(|service| service != SERVICE) {
            return Err(refused("unknown service"));
        }
        // `repository:team/hello:pull,push`
        let scope: Vec<_> = fields.get("scope").into_iter().flat_map(|scope| scope.splitn(3, ':')).collect();
        let access = match (scope.as_slice(), who) {
            (&[kind, name, actions], Who::User | Who::Holder) => {
                json!([{ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }])
            }
            _ => json!([]),
        };
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push((method, who));
        Ok(Json(json!({ name: self.token(&access), "expires_in": 300 })))
    }

    /// A JSON Web Token, as the registry wants it: with the certificate whose key signed it.
    fn token(&self, access: &Value) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970").as_secs();
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate)] });
        let claims = json!({
            "iss": ISSUER, "sub": USER, "aud": SERVICE, "jti": now.to_string(),
            "iat": now, "nbf": now - 10, "exp": now + 300, "access": access,
        });
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.key, &random).expect("a key of P-256");
        let signature = key.sign(&random, signed.as_bytes()).expect("it can be signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// Accepts connections over TLS; one that does not come about is none.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
