//! How long people wait for their first contact: a discrete-event simulation, a pool at a time.
//!
//! Arrivals are the stored referrals on their own days. Each person needs some contacts (drawn
//! evenly from the place's range, the same draw before and after) spread over the weeks that an
//! episode stays open. A pool has slots for contacts on each day that one of its link workers is
//! there; people who are already seen come before new ones, new ones in the order of arrival, and
//! nobody is seen on the day they were referred. It does not model which worker suits whom, nor
//! people who give up waiting; desks have no link workers and are left out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use jiff::civil::Date;

use super::workforce::Workforce;
use super::{Contacts, Past, day};
use crate::routing::Place;

/// Days after the last arrival for which the simulation goes on; who is not seen by then is
/// counted as not seen.
const DRAIN_DAYS: i64 = 365;

/// One contact, in the thousandths in which slots are counted.
const CONTACT: u64 = 1000;

/// What became of one referral's wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It is with a desk.
    Desk,
    /// Days from the referral to the first contact.
    Days(u32),
    /// Not within a year after the last arrival.
    Never,
}

/// Waits of a group, in days.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Spread {
    /// People whose wait was simulated.
    pub people: u64,
    /// Half of them waited no longer.
    pub median_days: Option<u32>,
    /// Nine of ten waited no longer.
    pub ninetieth_days: Option<u32>,
    /// Not seen within a year after the last arrival.
    pub not_seen: u64,
}

impl Spread {
    /// The spread of some waits; those not seen are the longest.
    pub fn of(waits: impl Iterator<Item = Wait>) -> Self {
        let (mut days, mut not_seen) = (Vec::new(), 0);
        for wait in waits {
            match wait {
                Wait::Desk => {}
                Wait::Days(count) => days.push(count),
                Wait::Never => not_seen += 1,
            }
        }
        days.sort_unstable();
        let people = days.len() as u64 + not_seen;
        // The nearest rank: the smallest wait that so many parts of a hundred do not exceed.
        let rank = |part: u64| {
            let nth = (people * part).div_ceil(100).max(1) - 1;
            usize::try_from(nth).ok().and_then(|nth| days.get(nth)).copied()
        };
        Self { people, median_days: rank(50), ninetieth_days: rank(90), not_seen }
    }
}

/// The wait of each referral at the pool given with it, in the same order.
pub fn of<'a>(
    place: &Place,
    contacts: Contacts,
    seed: u64,
    referrals: impl Iterator<Item = (&'a Past, &'a str)>,
) -> Vec<Wait> {
    let mut waits = Vec::new();
    let mut pools: BTreeMap<&str, Vec<Arrival>> = BTreeMap::new();
    for (index, (past, pool)) in referrals.enumerate() {
        waits.push(Wait::Desk);
        pools.entry(pool).or_default().push(Arrival {
            index,
            on: days(day(past.at)),
            contacts: draw(contacts, seed, &past.referral),
        });
    }
    let workforce = Workforce::of(place, contacts);
    for (pool, arrivals) in &pools {
        if !workforce.has(pool) {
            continue;
        }
        let slots = |on| workforce.slots(pool, on);
        for (arrival, wait) in arrivals.iter().zip(one_pool(slots, contacts.spread_days, arrivals)) {
            if let Some(slot) = waits.get_mut(arrival.index) {
                *slot = wait;
            }
        }
    }
    waits
}

/// A person's contacts: the same for the same referral and seed, whatever else is rehearsed.
fn draw(contacts: Contacts, seed: u64, referral: &str) -> u32 {
    // FNV-1a: small, and the same on every machine. <http://www.isthe.com/chongo/tech/comp/fnv/>
    let hash = referral
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    fastrand::Rng::with_seed(seed ^ hash).u32(contacts.least..=contacts.most.max(contacts.least))
}

/// Days since 1970-01-01.
fn days(date: Date) -> i64 {
    date.since(Date::constant(1970, 1, 1)).map_or(0, |span| i64::from(span.get_days()))
}

#[derive(Debug)]
struct Arrival {
    index: usize,
    on: i64,
    contacts: u32,
}

/// What happens on a day, in the order in which it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A person's next contact is due from this day on.
    Due,
    /// The pool sees people.
    Open,
    /// A person is referred.
    Arrives,
}

/// The waits of a pool's arrivals, which are in the order of their days.
/// `slots`: thousandths of contacts that it has time for on a day.
fn one_pool(slots: impl Fn(i64) -> u64, spread_days: u32, arrivals: &[Arrival]) -> Vec<Wait> {
    let mut waits = vec![Wait::Never; arrivals.len()];
    let Some(end) = arrivals.iter().map(|arrival| arrival.on + DRAIN_DAYS).max() else { return waits };
    let mut left: Vec<u32> = arrivals.iter().map(|arrival| arrival.contacts).collect();
    let mut events: BinaryHeap<Reverse<(i64, Event, usize)>> =
        arrivals.iter().enumerate().map(|(who, arrival)| Reverse((arrival.on, Event::Arrives, who))).collect();
    let (mut seen_before, mut new) = (VecDeque::new(), VecDeque::new());
    let (mut credit, mut will_open) = (0, false);
    while let Some(Reverse((on, event, who))) = events.pop() {
        match event {
            Event::Arrives => new.push_back(who),
            Event::Due => seen_before.push_back(who),
            Event::Open => {
                will_open = false;
                credit += slots(on);
                while credit >= CONTACT {
                    let Some(next) = seen_before.pop_front().or_else(|| new.pop_front()) else { break };
                    credit -= CONTACT;
                    if waits[next] == Wait::Never {
                        waits[next] = Wait::Days(u32::try_from(on - arrivals[next].on).unwrap_or(u32::MAX));
                    }
                    left[next] = left[next].saturating_sub(1);
                    if left[next] > 0 {
                        let pause = i64::from((spread_days / arrivals[next].contacts.max(1)).max(1));
                        events.push(Reverse((on + pause, Event::Due, next)));
                    }
                }
                // Time that nobody needed is gone.
                credit %= CONTACT;
            }
        }
        if !will_open && on < end && !(seen_before.is_empty() && new.is_empty()) {
            will_open = true;
            // Nobody is seen on the day they were referred.
            let opens = if event == Event::Due { on } else { on + 1 };
            events.push(Reverse((opens, Event::Open, 0)));
        }
    }
    waits
}

#[cfg(test)]
#[path = "waits/theory.rs"]
mod theory;
