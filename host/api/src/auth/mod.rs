//! Authorization: bearer tokens, their roles, and the table of what each route asks.
//!
//! # Invariants
//! - What a route asks is decided in one place, before any handler: [`table`] by method and path. What it lacks is refused.
//! - A secret is never stored; what is stored is its SHA-256, which a secret of 256 random bits needs no slow hash for.
//! - A removed token is refused at once by the process that removed it, and after [`CACHED_FOR`] by any other.

pub(crate) mod guard;
pub(crate) mod table;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use bulkhead_core::id::Digest;
use bulkhead_core::name::Name;
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::{Role, Store, StoreError, TokenRecord};
use sha2::{Digest as _, Sha256};

use crate::cursor::base64url;
use crate::problem::{ApiError, ApiResult, ProblemKind};

/// How long a token is taken for valid without a look into the store.
const CACHED_FOR: Duration = Duration::from_secs(5);
/// The most tokens that are kept in mind.
const MAX_CACHED: usize = 1_000;
/// What secrets begin with, so that scanners for leaked secrets can find them.
const SECRET_PREFIX: &str = "bulkhead_";

/// A new token: what to store, and the secret to show once.
pub fn new_token(name: Name, role: Role, now: Timestamp) -> (TokenRecord, String) {
    let secret = format!("{SECRET_PREFIX}{}", base64url(&rand::random::<[u8; 32]>()));
    (TokenRecord { name, role, secret: secret_digest(&secret), created_at: now }, secret)
}

/// The digest under which a secret's token is stored.
pub fn secret_digest(secret: &str) -> Digest {
    Digest::from_bytes(Sha256::digest(secret.as_bytes()).into())
}

/// Who asks, and what they may do.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The token; absent where none is needed.
    pub(crate) token: Option<(Name, Digest)>,
    /// The role.
    pub(crate) role: Role,
}

/// Knows tokens.
pub(crate) struct Authenticator {
    store: Arc<dyn Store>,
    required: AtomicBool,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    /// Counts changes, so that what was read before one is not kept after it.
    generation: u64,
    known: HashMap<Digest, Known>,
}

#[derive(Clone)]
struct Known {
    name: Name,
    role: Role,
    until: Instant,
}

impl Authenticator {
    /// Tokens of a store; `required` says whether a request needs one.
    pub(crate) fn new(store: Arc<dyn Store>, required: bool) -> Self {
        Self { store, required: AtomicBool::new(required), cache: Mutex::default() }
    }

    /// Whether a request needs a token.
    pub(crate) fn is_required(&self) -> bool {
        self.required.load(Ordering::Acquire)
    }

    /// A token was made: from now on a request needs one.
    pub(crate) fn require(&self) {
        self.required.store(true, Ordering::Release);
    }

    /// A token was removed: none is taken for valid without a look into the store.
    pub(crate) fn forget(&self) {
        let mut cache = self.cache();
        cache.generation += 1;
        cache.known.clear();
    }

    /// Who asks.
    ///
    /// # Errors
    /// [`ProblemKind::Unauthenticated`] where a token is needed and there is none or it is not known, or what the store says.
    pub(crate) async fn authenticate(&self, headers: &HeaderMap) -> ApiResult<Caller> {
        if !self.is_required() {
            return Ok(Caller { token: None, role: Role::Admin });
        }
        let secret = bearer(headers)?;
        let digest = secret_digest(secret);
        let (name, role) = self.look_up(digest).await?;
        Ok(Caller { token: Some((name, digest)), role })
    }

    async fn look_up(&self, digest: Digest) -> ApiResult<(Name, Role)> {
        let generation = {
            let cache = self.cache();
            if let Some(known) = cache.known.get(&digest)
                && Instant::now() < known.until
            {
                return Ok((known.name.clone(), known.role));
            }
            cache.generation
        };
        let token = match self.store.token(digest).await {
            Ok(token) => token,
            Err(StoreError::NotFound(_)) => {
                return Err(ApiError::new(ProblemKind::Unauthenticated, "the token is not known: it may have been removed"));
            }
            Err(error) => return Err(error.into()),
        };
        let mut cache = self.cache();
        if cache.generation == generation {
            if cache.known.len() >= MAX_CACHED {
                cache.known.clear();
            }
            let until = Instant::now() + CACHED_FOR;
            cache.known.insert(digest, Known { name: token.name.clone(), role: token.role, until });
        }
        Ok((token.name, token.role))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secret of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> ApiResult<&str> {
    let refuse = |detail: &str| ApiError::new(ProblemKind::Unauthenticated, detail);
    let value = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| refuse("send a token: `Authorization: Bearer …` (`bulkhead token create` makes one)"))?;
    let (scheme, secret) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || secret.trim().is_empty() {
        return Err(refuse("the header `Authorization` must be `Bearer` and a token"));
    }
    Ok(secret.trim())
}

/// Refuses a caller whose role is too little for a route.
pub(crate) fn allow(caller: &Caller, least: Role) -> ApiResult<()> {
    if caller.role >= least {
        return Ok(());
    }
    let detail = format!("this needs the role {}, the token has {}", least.name(), caller.role.name());
    Err(ApiError::new(ProblemKind::Forbidden, detail))
}
