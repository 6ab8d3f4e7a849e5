//! The courier: sends what hooks are to be told, signed, and records what came of it.
//!
//! Signatures follow Standard Webhooks 1.0 (<https://www.standardwebhooks.com>): HMAC-SHA256 over the id, the time and the body,
//! with dots between them.
//!
//! # Invariants
//! - At least once: what was not settled, because the courier died or the store was away, is sent again under the same id.
//! - A receiver that is slow or down holds up nobody else: each hook has so many deliveries at once and no more, and its turn; one
//!   that did not take the last delivery has one at a time.
//! - Redirects are answers: nobody is sent anywhere that no hook names.
//! - A secret is in the configuration and in signatures, and nowhere else: no store, log or answer has it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_core::hook::{self, Answer, Delivery, HookName};
use bulkhead_core::name::Name;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use sha2::Sha256;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::dispatcher::{Sequence, until};
use crate::egress::{Egress, EgressBody, EgressError, EgressGrant, EgressRequest, EgressTimeouts};
use crate::store::{DeliveryEnd, DeliveryRequest, HookRecord, LeasedDeliveries, SERVICE_RETRY, Settlement, Store, StoreError};

/// Deliveries at once to one hook.
pub const PER_HOOK: usize = 4;
/// Deliveries at once to all.
const AT_ONCE: usize = 64;
/// How long an attempt may take unless the configuration says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest that an attempt may be given.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// What a delivery belongs to the courier longer than an attempt may take: time to record what came of it.
const SETTLING: Duration = Duration::from_secs(5);
/// How long the rest of an answer may take whose status is known.
const REST_OF_ANSWER: Duration = Duration::from_secs(2);
/// How much of an answer is read and kept, in bytes.
const ANSWER_LEN: usize = 1_000;
/// The longest wait between two looks at the store: it bounds what a lost signal costs.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long deliveries at work may take when the courier is told to stop: what ends in time is not told twice.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// The shortest and the longest key of a signature, in bytes.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// How a courier works.
#[derive(Clone, Debug)]
pub struct CourierConfig {
    /// What signs for hooks, by the names that they use.
    pub secrets: BTreeMap<Name, SigningSecret>,
    /// Where hooks may go beside public addresses of the names in their URLs: patterns of an [`EgressGrant`].
    pub allow: Vec<String>,
    /// How often a delivery is attempted before it has failed; at least once.
    pub attempts: u32,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Spreads the waits before retries: the seed of a sequence of random numbers.
    pub seed: u64,
}

impl Default for CourierConfig {
    fn default() -> Self {
        Self { secrets: BTreeMap::new(), allow: Vec::new(), attempts: hook::ATTEMPTS, timeout: TIMEOUT, seed: 0 }
    }
}

/// What signs for a hook: one key or several. While receivers change from one to another, deliveries are signed with both.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<Box<[u8]>>);

/// A text is no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}, not `whsec_` and base64 of {} to {} random bytes", .line.map_or("there is nothing".to_owned(), |line| format!("line {line} is something else")), KEY_LENGTHS.start(), KEY_LENGTHS.end())]
pub struct InvalidSecret {
    /// The line that is wrong; absent where there is none. What it holds is not told.
    line: Option<usize>,
}

impl SigningSecret {
    /// A secret of one key.
    pub fn new(key: [u8; 32]) -> Self {
        Self(vec![key.into()])
    }

    /// The signature of a delivery: `v1,` and base64 of HMAC-SHA256, for each key, with spaces between them.
    pub fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let signatures = self.0.iter().filter_map(|key| {
            // A key of any length is one.
            let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            mac.update(format!("{id}.{seconds}.").as_bytes());
            mac.update(body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }

    /// The secret as receivers' libraries take it, a key a line.
    pub fn reveal(&self) -> String {
        self.0.iter().map(|key| format!("whsec_{}\n", STANDARD.encode(key))).collect()
    }
}

impl FromStr for SigningSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let key = |line: &str| {
            let bytes = STANDARD.decode(line.strip_prefix("whsec_")?).ok()?;
            KEY_LENGTHS.contains(&bytes.len()).then(|| bytes.into_boxed_slice())
        };
        let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
        let keys: Vec<_> =
            lines.map(|(number, line)| key(line).ok_or(InvalidSecret { line: Some(number) })).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(InvalidSecret { line: None }) } else { Ok(Self(keys)) }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// A running courier. [`Courier::stop`] ends it in order; dropping it ends it at once, and what was at work is sent again.
pub struct Courier {
    service: JoinHandle<()>,
    stop: CancellationToken,
}

impl Courier {
    /// Starts on the current runtime.
    pub fn start(store: Arc<dyn Store>, egress: Arc<dyn Egress>, config: CourierConfig) -> Self {
        let stop = CancellationToken::new();
        let desk = Arc::new(Desk { store, egress, config });
        Self { service: tokio::spawn(desk.deliver(stop.clone())), stop }
    }

    /// Sends nothing new, and returns soon: what is at work may end, and is sent again where it does not.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.service).await;
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.service.abort();
    }
}

/// What deliveries need.
struct Desk {
    store: Arc<dyn Store>,
    egress: Arc<dyn Egress>,
    config: CourierConfig,
}

/// What a receiver said.
struct Received {
    status: StatusCode,
    retry_after: Option<Duration>,
    text: String,
}

impl Desk {
    async fn deliver(self: Arc<Self>, stop: CancellationToken) {
        let mut signal = self.store.hook_signal();
        let mut random = Sequence(self.config.seed);
        let mut at_work: HashMap<Id, HookName> = HashMap::new();
        let mut failing: BTreeSet<HookName> = BTreeSet::new();
        let mut sending = JoinSet::new();
        let mut after = None;
        while !stop.is_cancelled() {
            let request = DeliveryRequest {
                after: after.clone(),
                busy: busy(&at_work, &failing),
                per_hook: PER_HOOK,
                limit: AT_ONCE.saturating_sub(sending.len()),
                lease: self.lease(),
            };
            let wait = match self.store.lease_deliveries(request).await {
                Ok(LeasedDeliveries { deliveries, next }) => {
                    for (hook, delivery) in deliveries {
                        let name = hook.name.clone();
                        after = Some(name.clone());
                        let task = sending.spawn(self.clone().attempt(hook, delivery, random.next()));
                        at_work.insert(task.id(), name);
                    }
                    next.map_or(LONGEST_WAIT, |next| until(next, self.store.now()).min(LONGEST_WAIT))
                }
                Err(error) => {
                    tracing::warn!(%error, "deliveries wait for the store");
                    SERVICE_RETRY
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(ended) = sending.join_next_with_id() => {
                    let (id, taken) = ended.unwrap_or_else(|error| (error.id(), false));
                    if let Some(hook) = at_work.remove(&id) {
                        if taken {
                            failing.remove(&hook);
                        } else {
                            failing.insert(hook);
                        }
                    }
                }
                () = signal.wait() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        let _ = tokio::time::timeout(STOP_LIMIT, async { while sending.join_next().await.is_some() {} }).await;
    }

    /// How long a delivery belongs to this courier: longer than an attempt and its record take.
    fn lease(&self) -> Duration {
        self.config.timeout + REST_OF_ANSWER + SETTLING
    }

    /// Sends one delivery, and records what came of it. Whether it was taken.
    async fn attempt(self: Arc<Self>, hook: HookRecord, delivery: Delivery, random: u32) -> bool {
        let given_up = tokio::time::Instant::now() + self.lease();
        let received = match self.request(&hook, &delivery) {
            Ok(request) => self.exchange(request).await,
            Err(why) => Err(why),
        };
        let (status, text, retry_after) = match received {
            Ok(Received { status, retry_after, text }) => (Some(status), text, retry_after),
            Err(why) => (None, why, None),
        };
        let end = match status {
            Some(status) if status.is_success() => DeliveryEnd::Delivered,
            // The receiver says that it is gone for good.
            Some(StatusCode::GONE) => DeliveryEnd::Failed,
            _ => match delivery.next_attempt(&hook::policy(self.config.attempts), retry_after, random) {
                Some(wait) => DeliveryEnd::Retry { wait },
                None => DeliveryEnd::Failed,
            },
        };
        let (number, attempt, id) = (delivery.number, delivery.attempts, delivery.id);
        tracing::debug!(hook = %hook.name, number, attempt, ?status, ?end, "a delivery was attempted");
        if end == DeliveryEnd::Failed {
            tracing::warn!(hook = %hook.name, number, attempt, ?status, "a delivery failed for good");
        }
        let answer = Answer { at: self.store.now(), status: status.map(|status| status.as_u16()), text: text.into() };
        self.settle(Settlement { hook: hook.name, number, id, attempt, answer, end }, given_up).await;
        end == DeliveryEnd::Delivered
    }

    /// Records what came of an attempt, for as long as the lease lasts: after that it is repeated anyway.
    async fn settle(&self, settlement: Settlement, given_up: tokio::time::Instant) {
        loop {
            match self.store.settle_delivery(settlement.clone()).await {
                Ok(()) => return,
                Err(StoreError::Unavailable { .. }) if tokio::time::Instant::now() < given_up => {
                    tokio::time::sleep(SERVICE_RETRY).await;
                }
                Err(error) => {
                    tracing::warn!(%error, hook = %settlement.hook, number = settlement.number, "what came of a delivery is lost");
                    return;
                }
            }
        }
    }

    /// The request of a delivery, or why there is none.
    fn request(&self, hook: &HookRecord, delivery: &Delivery) -> Result<EgressRequest, String> {
        let name = &hook.hook.secret;
        let secret = self.config.secrets.get(name);
        let secret = secret.ok_or_else(|| format!("the server has no secret `{name}`: `serve --hooks-secret {name}=FILE`"))?;
        let seconds = self.store.now().as_micros() / 1_000_000;
        let body = delivery.body();
        let request = Request::post(&hook.hook.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("bulkhead/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &*delivery.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", secret.sign(&delivery.id, seconds, body.as_bytes()));
        let body: EgressBody = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
        let request = request.body(body).map_err(|error| format!("the URL can't be used: {error}"))?;
        let mut patterns = self.config.allow.clone();
        // A name is what the hook was made for; an address is granted by the operator alone.
        if let Some(authority) = request.uri().authority()
            && authority.host().trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err()
        {
            patterns.push(authority.to_string());
        }
        let timeout = self.config.timeout;
        let timeouts = EgressTimeouts { connect: timeout, first_byte: timeout, between_bytes: timeout };
        Ok(EgressRequest { request, grant: Arc::new(EgressGrant { patterns }), timeouts })
    }

    /// Sends a request and reads the beginning of the answer.
    async fn exchange(&self, request: EgressRequest) -> Result<Received, String> {
        let answer = tokio::time::timeout(self.config.timeout, self.egress.send(request)).await;
        let response = answer.map_err(|_| format!("no answer within {:?}", self.config.timeout))?.map_err(explain)?;
        let status = response.status();
        let seconds = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Ok(Received { status, retry_after: seconds.map(Duration::from_secs), text: beginning(response).await })
    }
}

/// How much of its room each hook uses: a place for each delivery at work, and all but one where the last was not taken.
fn busy(at_work: &HashMap<Id, HookName>, failing: &BTreeSet<HookName>) -> BTreeMap<HookName, usize> {
    let mut busy: BTreeMap<_, _> = failing.iter().map(|name| (name.clone(), PER_HOOK - 1)).collect();
    for name in at_work.values() {
        *busy.entry(name.clone()).or_default() += 1;
    }
    busy
}

/// Why there is no answer, as whoever looks after hooks understands it.
fn explain(error: EgressError) -> String {
    match error {
        EgressError::Denied { host, address: Some(address), .. } => {
            let port = host.rsplit_once(':').map_or("", |(_, port)| port);
            let pattern = if address.is_ipv6() { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
            format!("the host {host} is denied: its address is not public; `serve --hooks-allow {pattern}` allows it")
        }
        EgressError::Denied { host, address: None, .. } => {
            format!("the host {host} is denied: it is an address, not a name; `serve --hooks-allow {host}` allows it")
        }
        error => error.to_string(),
    }
}

/// The beginning of an answer's body; the rest is not read.
async fn beginning(response: Response<EgressBody>) -> String {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    // Its status is what counts: however slow or broken the rest is, this was an answer.
    let _ = tokio::time::timeout(REST_OF_ANSWER, async {
        while bytes.len() < ANSWER_LEN
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data[..data.len().min(ANSWER_LEN - bytes.len())]);
            }
        }
    })
    .await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        // The example of the specification's reference libraries.
        let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_read_back_as_they_are_revealed() {
        let secret = SigningSecret::new([7; 32]);
        assert_eq!(secret.reveal().parse(), Ok(secret.clone()));
        let both = format!("{}\n  {}", secret.reveal(), SigningSecret::new([8; 32]).reveal());
        let both: SigningSecret = both.parse().unwrap();
        let signatures = both.sign("a", 1, b"");
        assert!(signatures.starts_with(&format!("{} v1,", secret.sign("a", 1, b""))), "{signatures}");
        assert_eq!(format!("{both:?}"), "SigningSecret(…)");
    }

    #[test]
    fn what_is_no_secret_is_not_repeated() {
        for text in ["whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"] {
            let said = text.parse::<SigningSecret>().unwrap_err().to_string();
            assert_eq!(said, "line 1 is something else, not `whsec_` and base64 of 24 to 64 random bytes");
        }
        let said = "\n\n".parse::<SigningSecret>().unwrap_err().to_string();
        assert_eq!(said, "there is nothing, not `whsec_` and base64 of 24 to 64 random bytes");
    }
}
