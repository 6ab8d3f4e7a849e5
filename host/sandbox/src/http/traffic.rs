//! What an attempt sent and received so far: its exchanges, its quotas, what it was denied.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_core::log::Source;
use bulkhead_core::plan::Limits;
use bulkhead_core::run::Usage;
use bulkhead_engine::attempt::{AttemptHost, LogQuotaPassed};
use bulkhead_engine::egress::EgressError;
use http::Request;

use super::record::{Direction, Exchange, Record};
use crate::outcome::Stop;

/// The traffic of one attempt.
pub(crate) struct Traffic {
    /// Absent while a plugin describes itself.
    host: Option<AttemptHost>,
    limits: Limits,
    tally: Mutex<Tally>,
}

/// Sums, and what is not written to the log yet. Both lists are bounded by a guest's resources: an exchange is open while the
/// guest holds a part of it, and what waits is written before the next one begins.
#[derive(Default)]
struct Tally {
    requests: u64,
    sent: u64,
    received: u64,
    open: HashMap<u64, Exchange>,
    waiting: VecDeque<Record>,
    /// The last request that was denied, and why.
    denied: Option<String>,
    passed: Option<HttpQuota>,
    refused: Option<LogQuotaPassed>,
}

/// A limit on HTTP that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpQuota {
    #[error("it sent more than {0} HTTP requests (`limits.http_requests`)")]
    Requests(u64),
    #[error("the bodies of its HTTP requests have more than {0} bytes (`limits.http_request_bytes`)")]
    Sent(u64),
    #[error("the bodies of the answers to its HTTP requests have more than {0} bytes (`limits.http_response_bytes`)")]
    Received(u64),
}

impl Traffic {
    pub(crate) fn new(host: Option<AttemptHost>, limits: Limits) -> Arc<Self> {
        Arc::new(Self { host, limits, tally: Mutex::default() })
    }

    /// A request is about to be sent.
    pub(super) fn begin<B>(self: &Arc<Self>, request: &Request<B>) -> Result<Exchange, HttpQuota> {
        let mut tally = self.tally();
        tally.requests += 1;
        if tally.requests > self.limits.http_requests {
            let quota = HttpQuota::Requests(self.limits.http_requests);
            tally.passed.get_or_insert(quota);
            return Err(quota);
        }
        let exchange = Exchange::new(self, tally.requests, request);
        // Where nothing is recorded nobody asks for what is open, either.
        if self.host.is_some() {
            let number = tally.requests;
            tally.open.insert(number, exchange.clone());
        }
        Ok(exchange)
    }

    /// Counts bytes of a body.
    pub(super) fn count(&self, direction: Direction, bytes: u64) -> Result<(), HttpQuota> {
        let mut tally = self.tally();
        let (sum, limit, quota) = match direction {
            Direction::Sent => (&mut tally.sent, self.limits.http_request_bytes, HttpQuota::Sent as fn(u64) -> HttpQuota),
            Direction::Received => {
                (&mut tally.received, self.limits.http_response_bytes, HttpQuota::Received as fn(u64) -> HttpQuota)
            }
        };
        *sum += bytes;
        if *sum <= limit {
            return Ok(());
        }
        let quota = quota(limit);
        tally.passed.get_or_insert(quota);
        Err(quota)
    }

    pub(super) fn denied(&self, error: &EgressError) {
        self.tally().denied = Some(error.to_string());
    }

    /// An exchange ended. Its record goes to the log, or waits until there is room.
    pub(super) fn end(&self, number: u64, record: Record) {
        let mut tally = self.tally();
        tally.open.remove(&number);
        self.accept(&mut tally, record);
    }

    fn accept(&self, tally: &mut Tally, record: Record) {
        let Some(host) = &self.host else { return };
        if tally.waiting.is_empty() {
            match host.try_log(record.level, Source::Host, &record.message, Some(&record.fields)) {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tally.refused = Some(error);
                    return;
                }
            }
        }
        tally.waiting.push_back(record);
    }

    /// Writes what waits to the log, for as long as that takes: who asks too fast for the log asks slower.
    pub(super) async fn write_records(&self) {
        let Some(host) = &self.host else { return };
        loop {
            let Some(record) = self.tally().waiting.pop_front() else { return };
            if let Err(error) = host.log(record.level, Source::Host, &record.message, Some(&record.fields)).await {
                self.tally().refused = Some(error);
            }
        }
    }

    /// Records what the guest left open, and writes what waits. For when the guest has ended.
    pub(crate) async fn finish(&self) {
        let open: Vec<_> = self.tally().open.drain().map(|(_, exchange)| exchange).collect();
        for exchange in open {
            exchange.abandoned();
        }
        self.write_records().await;
    }

    /// Why the attempt may not go on, if it may not.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        let tally = self.tally();
        match (tally.passed, tally.refused) {
            (Some(quota), _) => Err(Stop::Http(quota)),
            (None, Some(refused)) => Err(Stop::Log(refused)),
            (None, None) => Ok(()),
        }
    }

    /// Adds what was sent and received to what the attempt used. A request that passed the limit was not sent.
    pub(crate) fn add_to(&self, usage: &mut Usage) {
        let tally = self.tally();
        usage.http_requests = tally.requests.min(self.limits.http_requests);
        usage.http_sent = tally.sent;
        usage.http_received = tally.received;
    }

    /// The last request that was denied, and why.
    pub(crate) fn denial(&self) -> Option<String> {
        self.tally().denied.clone()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
