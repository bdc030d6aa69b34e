//! Asks every decision again, in the order of arrival, and says who moves.
//!
//! Two questions of each referral: where the proposal sends it with the caseloads of that moment (a
//! difference is the proposal's own), and where it sends it with the caseloads that the proposal
//! would have made until then (a difference of that alone is a knock-on). An unchanged place gives
//! the same answers to the same caseloads, so it moves nobody.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Past, Plan, day};
use crate::routing::{Decision, Loads, Place, Table, route};

/// One referral before and after.
#[derive(Debug)]
pub struct Replayed<'a> {
    /// The referral.
    pub past: &'a Past,
    /// The pool that it has, by the place in force.
    pub before: String,
    /// The pool that it would have.
    pub after: String,
    /// Set when these differ.
    pub moved: Option<Moved>,
    /// It came before the first day asked for: it is where it was and only keeps a pool busy.
    pub early: bool,
    /// Where the place in force would send it now, when that is not where it was sent.
    pub drift: Option<String>,
}

/// Why a referral moves.
#[derive(Debug)]
pub struct Moved {
    /// False: the proposal itself; true: only that pools would be busier or less busy by then.
    pub knock_on: bool,
    /// The proposed rule.
    pub rule: String,
    /// Why there, as the proposed decision says it.
    pub why: Vec<String>,
    /// Why not where it is.
    pub why_not: String,
}

impl Moved {
    /// Of a proposed decision, what is told of a referral that leaves the pool `before`.
    fn of(decision: Decision, before: &str, knock_on: bool) -> Self {
        let passed_over = decision.passed_over.iter().find(|(who, _)| who == before).map(|(_, why)| why.to_string());
        let why_not = passed_over.unwrap_or_else(|| "it is not among the pools that the rules ask".to_owned());
        Self { knock_on, rule: decision.rule, why: decision.reasons, why_not }
    }
}

/// How busy the pools were, and would have been.
#[derive(Debug, Default)]
struct Standing {
    before: Loads,
    after: Loads,
    ends: BinaryHeap<Reverse<(Timestamp, usize)>>,
}

/// Replays referrals that are in the order of arrival.
pub fn replay<'a>(plan: &Plan<'_>, order: &[&'a Past]) -> Vec<Replayed<'a>> {
    let mut standing = Standing::default();
    let mut out: Vec<Replayed<'a>> = Vec::with_capacity(order.len());
    for &past in order {
        standing.end_until(past.at, &out);
        let early = plan.since.is_some_and(|since| day(past.at) < since);
        let one = if early { kept(past, true) } else { asked(plan, &mut standing, past) };
        add(&mut standing.before.pools, &one.before, 1);
        add(&mut standing.after.pools, &one.after, 1);
        if let Some(ended) = past.ended.filter(|ended| *ended > past.at) {
            standing.ends.push(Reverse((ended, out.len())));
        } else if past.ended.is_some() {
            add(&mut standing.before.pools, &one.before, -1);
            add(&mut standing.after.pools, &one.after, -1);
        }
        out.push(one);
    }
    out
}

/// A referral that stays with the pool that it has.
fn kept(past: &Past, early: bool) -> Replayed<'_> {
    let pool = past.decision.pool.to_string();
    Replayed { past, before: pool.clone(), after: pool, moved: None, early, drift: None }
}

fn asked<'a>(plan: &Plan<'_>, standing: &mut Standing, past: &'a Past) -> Replayed<'a> {
    // What a person decided stands, whatever the rules.
    if past.decision.by_hand {
        return kept(past, false);
    }
    standing.take(&past.decision.seen);
    let before = at_that_moment(plan.old, standing, past).map_or_else(|| past.decision.pool.to_string(), |d| d.pool);
    let proposed = at_that_moment(Some(plan.new), standing, past);
    let same = proposed.as_ref().map_or(&*past.decision.pool, |decision| decision.pool.as_str()).to_owned();
    let grown = if standing.before == standing.after {
        proposed
    } else {
        Some(route(plan.new, &standing.after, past.decision.input.clone()))
    };
    let after = grown.as_ref().map_or_else(|| past.decision.pool.to_string(), |decision| decision.pool.clone());
    let moved = grown.filter(|_| after != before).map(|decision| Moved::of(decision, &before, same == before));
    let drift = Some(before.clone()).filter(|pool| **pool != *past.decision.pool);
    Replayed { past, before, after, moved, early: false, drift }
}

/// What a place says with the caseloads of that moment; `None`: it is the place that decided, or
/// not known, and the stored decision is what it says.
fn at_that_moment(place: Option<&Place>, standing: &Standing, past: &Past) -> Option<Decision> {
    let place = place.filter(|place| *place.version != *past.decision.version)?;
    Some(route(place, &standing.before, past.decision.input.clone()))
}

impl Standing {
    /// Takes what the decision itself saw for the truth of that moment: referrals whose decisions
    /// are not here (moved by hand, before the store began) are in it.
    fn take(&mut self, seen: &[(Arc<str>, u64)]) {
        for (pool, open) in seen {
            let (was, would) = (self.before.pool(pool), self.after.pool(pool));
            let truly = |count: u64| (count + open).saturating_sub(was);
            let would = truly(would);
            set(&mut self.before.pools, pool, *open);
            set(&mut self.after.pools, pool, would);
        }
    }

    fn end_until(&mut self, now: Timestamp, all: &[Replayed<'_>]) {
        while let Some(Reverse((at, index))) = self.ends.peek().copied() {
            if at > now {
                return;
            }
            self.ends.pop();
            if let Some(one) = all.get(index) {
                add(&mut self.before.pools, &one.before, -1);
                add(&mut self.after.pools, &one.after, -1);
            }
        }
    }
}

fn add(pools: &mut Table<String, u64>, pool: &str, by: i64) {
    let open = pools.get(pool).copied().unwrap_or(0);
    set(pools, pool, open.saturating_add_signed(by));
}

/// No entry stands for none, so that two standings that are the same compare as the same.
fn set(pools: &mut Table<String, u64>, pool: &str, open: u64) {
    match pools.get_mut(pool) {
        Some(_) if open == 0 => drop(pools.remove(pool)),
        Some(count) => *count = open,
        None if open > 0 => drop(pools.insert(pool.to_owned(), open)),
        None => {}
    }
}
