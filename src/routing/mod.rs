//! Practice -> PCN -> link-worker pool. Pure: reference data, caseloads and the date come in.

mod check;
mod files;
mod index;
mod input;
mod people;
pub mod place;
mod read;
pub mod reference;
mod rows;
mod rules;

pub use input::{ByHand, Day, Decision, Loads, RouteInput, Sex, Source};
pub use people::{Absence, Shift, Venue, Worker};
pub use place::{Capacity, Desk, Network, Place, PlaceFiles, Pool, Practice, Serves};
pub use rows::Period;
pub use rules::{Own, RULE_KEYS, Rule, To, When};

/// Chooses the pool. Total and deterministic: the same place, caseloads and input give the same
/// decision, whatever the order of rows. `loads` are the open episodes of each pool.
///
/// 1. Restricted: the restricted desk, whatever the practice.
/// 2. The practice's network on the day; without one, the unallocated desk.
/// 3. Of the network's open pools those with room, the least loaded for its link workers first;
///    when none has room, the least loaded of the open ones, and the reason says so.
/// 4. No open pool: the unallocated desk.
pub fn route(place: &Place, loads: &Loads, input: RouteInput) -> Decision {
    let mut trail = Trail { place, reasons: Vec::new(), passed_over: Vec::new(), seen: Vec::new(), input };
    if trail.input.restricted {
        trail.reasons.push("The record is restricted or sensitive, so it is not placed by location.".into());
        trail.input.practice = None;
        return trail.end_at(&place.restricted, None);
    }
    let Some(network) = trail.network() else { return trail.end_at(&place.unallocated, None) };
    let mut open = trail.open_pools(&network, loads);
    open.sort_by(|a, b| a.full.cmp(&b.full).then_with(|| a.compare_load(b)).then_with(|| a.pool.id.cmp(&b.pool.id)));
    let Some(best) = open.first() else {
        trail.reasons.push("No pool of the network takes referrals on that day.".into());
        return trail.end_at(&place.unallocated, Some(network));
    };
    for other in &open[1..] {
        let why = if other.full && !best.full { "full" } else { "busier for its number of link workers" };
        trail.passed_over.push((other.pool.id.clone(), format!("{why}: {}", other.load())));
    }
    trail.reasons.push(match (best.full, open.len()) {
        (true, 1) => format!("{} is the network's only open pool; it is full ({}).", best.pool.name, best.load()),
        (true, _) => format!("Every open pool is full; {} is the least loaded ({}).", best.pool.name, best.load()),
        (false, 1) => format!("{} is the network's only open pool ({}).", best.pool.name, best.load()),
        (false, _) => format!("{} is the least loaded with room ({}).", best.pool.name, best.load()),
    });
    let (pool, name) = (best.pool.id.clone(), best.pool.name.clone());
    trail.end(pool, name, Some(network))
}

/// A pool that could take the referral.
struct Candidate<'a> {
    pool: &'a Pool,
    caseload: u64,
    fte_hundredths: u32,
    room: u64,
    full: bool,
}

impl Candidate<'_> {
    /// Open episodes for each full-time link worker, without dividing; nobody's pool comes last.
    fn compare_load(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (u128::from(self.fte_hundredths), u128::from(other.fte_hundredths));
        let crossed = (u128::from(self.caseload) * b).cmp(&(u128::from(other.caseload) * a));
        (a == 0).cmp(&(b == 0)).then(crossed)
    }

    fn load(&self) -> String {
        format!("{} open, room for {}", self.caseload, self.room)
    }
}

/// What was seen on the way to a decision.
struct Trail<'a> {
    place: &'a Place,
    reasons: Vec<String>,
    passed_over: Vec<(String, String)>,
    seen: Vec<(String, u64)>,
    input: RouteInput,
}

impl<'a> Trail<'a> {
    fn network(&mut self) -> Option<String> {
        let on = self.input.on;
        let Some(ods) = &self.input.practice else {
            self.reasons.push("No practice is known.".to_owned());
            return None;
        };
        let Some(practice) = self.place.practice(ods, on) else {
            self.reasons.push(format!("Practice {ods} is not known to {} on {on}.", self.place.name));
            return None;
        };
        let Some(code) = &practice.pcn else {
            self.reasons.push(format!("{} ({ods}) is in no network on {on}.", practice.name));
            return None;
        };
        let Some(network) = self.place.network(code, on) else {
            self.reasons
                .push(format!("{} ({ods}) is in network {code}, which is not in force on {on}.", practice.name));
            return None;
        };
        self.reasons.push(format!("{} ({ods}) is in {} ({code}) on {on}.", practice.name, network.name));
        Some(code.clone())
    }

    fn open_pools(&mut self, network: &str, loads: &Loads) -> Vec<Candidate<'a>> {
        let mut open = Vec::new();
        for pool in self.place.pools_serving(&Serves::Pcn(network.to_owned()), self.input.on) {
            if !pool.open {
                self.passed_over.push((pool.id.clone(), "takes no new referrals".into()));
            } else {
                let caseload = loads.pool(&pool.id);
                self.seen.push((pool.id.clone(), caseload));
                let fte_hundredths = self.place.fte_present(&pool.id, self.input.on);
                let room = self.place.capacity.room(fte_hundredths);
                open.push(Candidate { pool, caseload, fte_hundredths, room, full: caseload >= room });
            }
        }
        open
    }

    fn end_at(mut self, desk: &place::Desk, pcn: Option<String>) -> Decision {
        self.reasons.push(match desk.clock_hours {
            0 => format!("{} looks after {}.", desk.owner, desk.name),
            hours => format!("{} looks after {} and places it within {hours} hours.", desk.owner, desk.name),
        });
        self.end(desk.pool.clone(), desk.name.clone(), pcn)
    }

    fn end(mut self, pool: String, pool_name: String, pcn: Option<String>) -> Decision {
        self.passed_over.sort();
        self.seen.sort();
        let version = self.place.version.clone();
        Decision {
            pool,
            pool_name,
            pcn,
            rule: String::new(),
            worker: None,
            by_hand: None,
            input: self.input,
            reasons: self.reasons,
            passed_over: self.passed_over,
            seen: self.seen,
            version,
        }
    }
}

#[cfg(test)]
mod tests;
