//! A rehearsal: what proposed rules, pools and link workers would have done with the referrals
//! that came, before anybody lives with them.
//!
//! Each stored decision is asked again of the proposed place, in the order of arrival, with the
//! caseloads of that moment (`Decision::seen`) and again with the caseloads as they would have
//! grown. Then: who would move and why, how busy each pool would be, how long people would wait for
//! a first contact (a discrete-event simulation), and whom that falls on.
//!
//! Pure: what was stored comes in, a [`Report`] goes out; reading the store is the command's.
//! It does not say what people would have chosen, and nothing is stored or sent.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

mod busy;
pub mod deprivation;
mod equity;
mod replay;
mod report;
mod shown;
mod waits;
mod workforce;

pub use equity::Person;
pub use report::{Contacts, Drift, Equity, Group, Kept, LeftOut, Move, PoolLine, Report, Span, Waits};
pub use shown::shown;
pub use waits::Spread;

use crate::routing::{Decision, Place, RouteInput};

/// A group smaller than this is hidden where the place says nothing else.
pub const HIDE_BELOW: u64 = 5;
/// The seed of the simulation's draws where none is given: the same input gives the same report.
pub const SEED: u64 = 20_190_701;

/// One stored referral.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its ServiceRequest's id.
    pub referral: String,
    /// When it was received.
    pub at: Timestamp,
    /// The decision that stands: its input is what is asked again.
    pub decision: Decided,
    /// When it was closed, returned or withdrawn; `None`: it is open.
    pub ended: Option<Timestamp>,
    /// Which groups the person is counted in.
    pub person: Person,
}

/// What a rehearsal needs of a stored decision: of a county's year there are many, which share
/// their pools and versions.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The pool's id.
    pub pool: Arc<str>,
    /// True: a person decided.
    pub by_hand: bool,
    /// What was decided on.
    pub input: RouteInput,
    /// Open episodes of every pool that was weighed, as they were: `(pool, open episodes)`.
    pub seen: Vec<(Arc<str>, u64)>,
    /// Version of the place's files.
    pub version: Arc<str>,
}

impl From<Decision> for Decided {
    fn from(decision: Decision) -> Self {
        Self {
            pool: decision.pool.into(),
            by_hand: decision.by_hand.is_some(),
            input: decision.input,
            seen: decision.seen.into_iter().map(|(pool, open)| (pool.into(), open)).collect(),
            version: decision.version.into(),
        }
    }
}

/// What is rehearsed.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The place in force, where it is known: it tells a move that the proposal makes from one that
    /// earlier place files made, and gives the waiting times of today.
    pub old: Option<&'a Place>,
    /// The proposed place.
    pub new: &'a Place,
    /// Only referrals received on this day or later are asked again; those before it are where
    /// they were and keep the pools busy.
    pub since: Option<Date>,
    /// Contacts a person, as stored Encounters have it; `None`: the place's figures.
    pub measured: Option<Measured>,
    /// The seed of the simulation's draws.
    pub seed: u64,
    /// The deprivation data that deciles come from, such as `IoD 2025`; empty: none is configured.
    pub deprivation: &'a str,
    /// What is kept up to date by FHIR and stands over the proposed files.
    pub kept: Kept,
}

/// What stored Encounters say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Finished contacts of closed referrals.
    pub contacts: u64,
    /// Closed referrals that had a contact.
    pub people: u64,
}

/// Rehearses. `past` may come in any order.
pub fn rehearse(plan: &Plan<'_>, past: &[Past]) -> Report {
    let mut order: Vec<&Past> = past.iter().collect();
    order.sort_by(|a, b| (a.at, &a.referral).cmp(&(b.at, &b.referral)));
    let replayed = replay::replay(plan, &order);
    let contacts = workforce::contacts(plan);
    let after = waits::of(plan.new, contacts, plan.seed, replayed.iter().map(|one| (one.past, one.after.as_str())));
    let before = plan
        .old
        .map(|old| waits::of(old, contacts, plan.seed, replayed.iter().map(|one| (one.past, one.before.as_str()))));
    report::report(plan, replayed, contacts, before.as_deref(), &after)
}

/// The day in England.
fn day(at: Timestamp) -> Date {
    at.to_zoned(crate::clock::london()).date()
}

#[cfg(test)]
mod tests;
