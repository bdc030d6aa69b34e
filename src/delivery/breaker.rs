//! Which queues are let rest: a receiver that failed several times in a row is asked again only
//! after a wait that doubles, by one row at a time. What it costs the others is bounded so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::attempt::backoff;
use crate::config::Delivery;

/// Failures in a row after which a queue rests.
const FAILURES_MAX: u32 = 3;

/// One receiver's run of failures.
#[derive(Debug, Clone, Copy)]
struct Sick {
    failures: u32,
    rests_until: Timestamp,
}

/// The queues whose last send failed; one that succeeds is forgotten.
#[derive(Debug, Clone, Default)]
pub struct Breakers(Arc<Mutex<HashMap<String, Sick>>>);

impl Breakers {
    /// True when nothing is sent to the queue yet.
    pub fn rests(&self, queue: &str, now: Timestamp) -> bool {
        self.sick().get(queue).is_some_and(|sick| sick.failures >= FAILURES_MAX && sick.rests_until > now)
    }

    /// True when the last send failed: the next is a probe, one row alone.
    pub fn is_sick(&self, queue: &str) -> bool {
        self.sick().contains_key(queue)
    }

    /// Notes how a send went.
    pub fn note(&self, queue: &str, good: bool, config: &Delivery, now: Timestamp) {
        let mut all = self.sick();
        if good {
            all.remove(queue);
            return;
        }
        let sick = all.entry(queue.to_owned()).or_insert(Sick { failures: 0, rests_until: now });
        sick.failures = sick.failures.saturating_add(1);
        let rest = backoff(config, sick.failures.saturating_sub(FAILURES_MAX), 1.0);
        let rest = SignedDuration::try_from(rest).unwrap_or(SignedDuration::from_hours(1));
        sick.rests_until = now.checked_add(rest).unwrap_or(now);
    }

    fn sick(&self) -> MutexGuard<'_, HashMap<String, Sick>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_rests_longer_each_time_and_is_well_at_once() {
        let config: crate::config::Config = toml::from_str(crate::config::DEFAULTS).unwrap();
        let (breakers, at) = (Breakers::default(), |ms| Timestamp::from_millisecond(ms).unwrap());
        for _ in 0..2 {
            breakers.note("a", false, &config.delivery, at(0));
        }
        assert!(breakers.is_sick("a") && !breakers.rests("a", at(1)));
        breakers.note("a", false, &config.delivery, at(0));
        assert!(breakers.rests("a", at(499)) && !breakers.rests("a", at(500)));
        breakers.note("a", false, &config.delivery, at(500));
        assert!(breakers.rests("a", at(1499)) && !breakers.rests("a", at(1500)));
        assert!(!breakers.rests("b", at(0)) && !breakers.is_sick("b"));
        breakers.note("a", true, &config.delivery, at(1500));
        assert!(!breakers.is_sick("a"));
    }
}
