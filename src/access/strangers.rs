//! Requests without a valid token, bounded by address: each refusal is an audit entry, and whoever
//! is not known must not fill the log. A token bucket an address; past it 429, counted, and told to
//! the log as one entry a minute. <https://www.rfc-editor.org/rfc/rfc6585#section-4>
//!
//! It never judges a caller whose token or assertion is good: others' failures do not touch it.
//! It does not stop a flood of connections; what stands before the gateway does.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;

use crate::audit::{Action, Agent, Entry, Kind, Outcome};
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::commit::Commit;

/// Addresses that have a bucket of their own; past it, new ones share one.
const ADDRESSES_MAX: usize = 4096;
/// Addresses that a summed entry names.
const NAMED_MAX: usize = 10;
/// Seconds between two summed entries.
pub const SUMMED_EVERY_SECONDS: u64 = 60;
/// The bucket of the addresses that found no room; no address is this.
const SHARED: &str = "others";
/// An IPv6 caller has at least this prefix to itself, bits.
const PREFIX_BITS: u32 = 64;

/// How much each address may fail.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Requests at once.
    pub burst: u32,
    /// Requests a minute from then on.
    pub per_minute: u32,
}

/// The buckets, and what was refused since the last summed entry.
#[derive(Debug)]
pub struct Strangers {
    allowance: Allowance,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    buckets: HashMap<String, Bucket>,
    refused: u64,
    from: BTreeSet<String>,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Default for Strangers {
    fn default() -> Self {
        Self::new(Allowance { burst: 300, per_minute: 60 })
    }
}

impl Strangers {
    /// No address has failed yet.
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, kept: Mutex::default() }
    }

    /// Counts one request without a valid token.
    ///
    /// # Errors
    /// The whole seconds after which the address may try again: it is told 429, and no audit entry
    /// is made but the summed one.
    pub fn admit(&self, address: &str, now: Timestamp) -> Result<(), u64> {
        let Allowance { burst, per_minute } = self.allowance;
        let per_second = f64::from(per_minute) / 60.0;
        let mut kept = self.lock();
        let name = kept.room_for(block_of(address), now, f64::from(burst), per_second);
        let bucket = kept.buckets.entry(name.clone()).or_insert(Bucket { left: f64::from(burst), at: now });
        bucket.fill(now, f64::from(burst), per_second);
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        // At least one a minute is configured, so this is at most 60.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let wait = ((1.0 - bucket.left) / per_second).ceil() as u64;
        kept.refused += 1;
        if kept.from.len() < NAMED_MAX {
            kept.from.insert(name);
        }
        Err(wait.max(1))
    }

    /// How many were refused since the last time this was asked, and from where; `None` for nobody.
    fn take(&self) -> Option<(u64, BTreeSet<String>)> {
        let mut kept = self.lock();
        let (refused, from) = (std::mem::take(&mut kept.refused), std::mem::take(&mut kept.from));
        (refused > 0).then_some((refused, from))
    }

    /// Puts back what could not be written down.
    fn give_back(&self, refused: u64, from: BTreeSet<String>) {
        let mut kept = self.lock();
        kept.refused += refused;
        kept.from.extend(from);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(|held| held.into_inner())
    }
}

impl Kept {
    /// The bucket for an address: its own, or the shared one where there is no room for more.
    fn room_for(&mut self, address: String, now: Timestamp, burst: f64, per_second: f64) -> String {
        if self.buckets.len() >= ADDRESSES_MAX && !self.buckets.contains_key(&address) {
            self.buckets.retain(|_, bucket| {
                bucket.fill(now, burst, per_second);
                bucket.left < burst
            });
            if self.buckets.len() >= ADDRESSES_MAX {
                return SHARED.to_owned();
            }
        }
        address
    }
}

impl Bucket {
    fn fill(&mut self, now: Timestamp, burst: f64, per_second: f64) {
        // A clock that went back fills nothing.
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.left = (self.left + passed * per_second).min(burst);
        self.at = now;
    }
}

/// An IPv4 address, or the block that an IPv6 caller has to itself.
fn block_of(address: &str) -> String {
    match address.parse().map(|ip: IpAddr| ip.to_canonical()) {
        Ok(IpAddr::V6(six)) => {
            let prefix = Ipv6Addr::from(u128::from(six) & (u128::MAX << (128 - PREFIX_BITS)));
            format!("{prefix}/{PREFIX_BITS}")
        }
        Ok(four) => four.to_string(),
        Err(_) => address.to_owned(),
    }
}

/// Writes the summed entry, where anybody was refused since the last one.
///
/// # Errors
/// The store's; the sum is kept for the next time.
pub async fn note(gateway: &Gateway) -> Result<(), StoreError> {
    let Some((refused, from)) = gateway.access.strangers.take() else { return Ok(()) };
    let named = from.iter().map(|one| if one.is_empty() { "unknown" } else { one }).collect::<Vec<_>>().join(", ");
    let agent = Agent::anonymous(if from.len() == 1 { &named } else { "" });
    let entry = Entry {
        outcome: Outcome::MinorFailure,
        detail: format!("{refused} requests without a valid token were answered 429 without an entry; from {named}"),
        ..Entry::operations(Kind::SignIn, "throttled", Action::E, agent, gateway.clock.now())
    };
    let noted = gateway.store.commit(Commit { audit: vec![entry], ..Commit::default() }).await;
    if noted.is_err() {
        gateway.access.strangers.give_back(refused, from);
    }
    noted.map(drop)
}

/// Writes the summed entry each minute, and what is left at the end.
pub async fn run(gateway: Gateway, mut stopped: tokio::sync::watch::Receiver<bool>) {
    let pause = std::time::Duration::from_secs(SUMMED_EVERY_SECONDS);
    loop {
        // An error means that nobody can say stop any more: the same as stop.
        let ended = tokio::time::timeout(pause, stopped.wait_for(|stop| *stop)).await.is_ok();
        if let Err(fault) = note(&gateway).await {
            tracing::error!(error = %fault, "the refused requests without a valid token could not be noted");
        }
        if ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn later(seconds: i64) -> Timestamp {
        AT + SignedDuration::from_secs(seconds)
    }

    fn few() -> Strangers {
        Strangers::new(Allowance { burst: 2, per_minute: 6 })
    }

    #[test]
    fn an_address_has_its_burst_and_then_its_rate() {
        let few = few();
        assert_eq!([few.admit("192.0.2.1", AT), few.admit("192.0.2.1", AT)], [Ok(()), Ok(())]);
        assert_eq!(few.admit("192.0.2.1", AT), Err(10));
        assert_eq!(few.admit("192.0.2.1", later(4)), Err(6));
        assert_eq!(few.admit("192.0.2.2", later(4)), Ok(()), "another address is not touched");
        assert_eq!(few.admit("192.0.2.1", later(10)), Ok(()));
        assert_eq!(few.admit("192.0.2.1", later(10)), Err(10));
        assert_eq!(few.admit("192.0.2.1", later(9)), Err(10), "a clock that goes back gives nothing");
        let (refused, from) = few.take().unwrap_or_default();
        assert_eq!((refused, from.into_iter().collect::<Vec<_>>()), (4, vec!["192.0.2.1".to_owned()]));
        assert!(few.take().is_none());
    }

    #[test]
    fn an_ipv6_caller_is_its_block_and_a_mapped_one_its_ipv4_address() {
        assert_eq!(block_of("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
        assert_eq!(block_of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(block_of(""), "");
    }

    #[test]
    fn more_addresses_than_there_is_room_for_share_a_bucket() {
        let few = few();
        let address = |n: usize| format!("10.0.{}.{}", n / 256, n % 256);
        assert!((0..ADDRESSES_MAX).all(|n| few.admit(&address(n), AT).is_ok()));
        let others: Vec<bool> =
            (ADDRESSES_MAX..ADDRESSES_MAX + 4).map(|n| few.admit(&address(n), AT).is_ok()).collect();
        assert_eq!(others, [true, true, false, false]);
        assert!(few.lock().buckets.len() <= ADDRESSES_MAX + 1);
        // Those that have been quiet make room.
        assert_eq!(few.admit("192.0.2.9", later(60)), Ok(()));
        assert!(few.lock().buckets.len() < 10);
    }
}
