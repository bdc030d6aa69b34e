//! The pools' caseloads as routing sees them: read from the store at most once a second, and
//! counted on in between, so that a burst is spread over the pools and no referral waits for a
//! count of all open episodes.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use crate::routing::{Decision, Loads};
use crate::store::{Store, StoreError};

/// How old a reading may be.
const AGE_MAX: SignedDuration = SignedDuration::from_secs(1);

/// Open episodes of each pool.
#[derive(Debug, Default)]
pub struct Caseloads {
    read: Mutex<Option<Reading>>,
}

/// What was read, and when.
#[derive(Debug)]
struct Reading {
    at: Timestamp,
    loads: Loads,
}

impl Caseloads {
    /// The caseloads at `now`.
    pub(crate) async fn at(&self, store: &Store, now: Timestamp) -> Result<Loads, StoreError> {
        let fresh = |at: Timestamp| now.duration_since(at).abs() < AGE_MAX;
        if let Some(reading) = &*self.lock()
            && fresh(reading.at)
        {
            return Ok(reading.loads.clone());
        }
        let mut loads = Loads::default();
        for (pool, worker, open) in store.workloads().await? {
            *loads.pools.entry(pool).or_default() += open;
            if !worker.is_empty() {
                *loads.workers.entry(worker).or_default() += open;
            }
        }
        *self.lock() = Some(Reading { at: now, loads: loads.clone() });
        Ok(loads)
    }

    /// One more for the pool and link worker of a decision, until the next reading says.
    pub(crate) fn add(&self, decision: &Decision) {
        if let Some(Reading { loads, .. }) = &mut *self.lock() {
            *loads.pools.entry(decision.pool.clone()).or_default() += 1;
            if let Some(worker) = &decision.worker {
                *loads.workers.entry(worker.clone()).or_default() += 1;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Reading>> {
        self.read.lock().unwrap_or_else(|held| held.into_inner())
    }
}
