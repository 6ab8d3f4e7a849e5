//! What one client may take: requests a second, and streams at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bulkhead_core::id::Digest;

use crate::config::RateLimit;

/// The most clients that are told apart; further ones share one allowance.
const MAX_CLIENTS: usize = 10_000;

/// Who asks, as far as limits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// Whoever has this token.
    Token(Digest),
    /// Whoever has this address.
    Address(IpAddr),
    /// An address that is not known, or one client too many.
    Others,
}

impl Client {
    /// The client at an address. Of IPv6 the network counts: its owner has all addresses in it.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            v4 => v4,
        })
    }
}

/// Token buckets, one for each client.
pub(crate) struct RateLimiter {
    rate: RateLimit,
    buckets: Mutex<HashMap<Client, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl RateLimiter {
    /// Full buckets of these measures.
    pub(crate) fn new(rate: RateLimit) -> Self {
        Self { rate, buckets: Mutex::default() }
    }

    /// Takes one request from a client's bucket.
    ///
    /// # Errors
    /// How long until there is one.
    pub(crate) fn take(&self, client: Client, now: Instant) -> Result<(), Duration> {
        if self.rate.per_second == 0 {
            return Ok(());
        }
        let (per_second, burst) = (f64::from(self.rate.per_second), f64::from(self.rate.burst.max(1)));
        let refilled =
            |bucket: &Bucket| (bucket.left + now.saturating_duration_since(bucket.at).as_secs_f64() * per_second).min(burst);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = client;
        if buckets.len() >= MAX_CLIENTS && !buckets.contains_key(&client) {
            // A full bucket says nothing that a missing one would not.
            buckets.retain(|_, bucket| refilled(bucket) < burst);
            if buckets.len() >= MAX_CLIENTS {
                client = Client::Others;
            }
        }
        let bucket = buckets.entry(client).or_insert(Bucket { left: burst, at: now });
        let left = refilled(bucket);
        *bucket = Bucket { left: if left >= 1.0 { left - 1.0 } else { left }, at: now };
        if left >= 1.0 { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - left) / per_second)) }
    }
}

/// Counts the streams that each client has open.
#[derive(Clone)]
pub(crate) struct StreamSlots {
    most: usize,
    open: Arc<Mutex<HashMap<Client, usize>>>,
}

/// A client's place for one stream, free again when dropped.
pub(crate) struct StreamSlot {
    slots: StreamSlots,
    client: Client,
}

impl StreamSlots {
    /// At most `most` for each client.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// A place for one more stream, if the client has one left.
    pub(crate) fn take(&self, client: Client) -> Option<StreamSlot> {
        let mut open = self.open();
        let count = open.entry(client).or_default();
        (*count < self.most).then(|| {
            *count += 1;
            StreamSlot { slots: self.clone(), client }
        })
    }

    /// All streams that are open.
    pub(crate) fn total(&self) -> usize {
        self.open().values().sum()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Client, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.slots.open();
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Client = Client::Address(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let limiter = RateLimiter::new(RateLimit { per_second: 10, burst: 3 });
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take(ONE, start), Ok(()));
        }
        assert_eq!(limiter.take(ONE, start), Err(Duration::from_millis(100)));
        assert_eq!(limiter.take(Client::Others, start), Ok(()));
        assert_eq!(limiter.take(ONE, start + Duration::from_millis(101)), Ok(()));
        assert!(limiter.take(ONE, start + Duration::from_millis(102)).is_err());
    }

    #[test]
    fn clients_beyond_the_most_share_one_bucket() {
        let limiter = RateLimiter::new(RateLimit { per_second: 1, burst: 2 });
        let now = Instant::now();
        let nth = |n: usize| Client::at(std::net::Ipv4Addr::from_bits(u32::try_from(n).unwrap()).into());
        for n in 0..MAX_CLIENTS {
            assert!(limiter.take(nth(n), now).is_ok());
        }
        assert!(limiter.take(nth(MAX_CLIENTS), now).is_ok());
        assert!(limiter.take(nth(MAX_CLIENTS + 1), now).is_ok());
        assert!(limiter.take(nth(MAX_CLIENTS + 2), now).is_err());
        assert!(limiter.take(nth(0), now).is_ok());
    }

    #[test]
    fn a_stream_that_ends_makes_room() {
        let slots = StreamSlots::new(1);
        let first = slots.take(ONE);
        assert!(first.is_some() && slots.take(ONE).is_none() && slots.take(Client::Others).is_some());
        drop(first);
        assert!(slots.take(ONE).is_some());
        assert_eq!(slots.total(), 0);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let at = |text: &str| Client::at(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
    }
}
