//! The decision: laws, the first rule that applies, who can see the person, a fair choice among
//! them, and who stands in when there is none. Pure, total and deterministic; the order of rows
//! in a file means nothing, the order of rules and of lists in a cell does.

use std::borrow::Cow;
use std::collections::VecDeque;

use jiff::civil::Date;

use crate::fhir::ids::OdsCode;
use crate::routing::input::{Decision, Loads, RouteInput};
use crate::routing::membership::Membership;
use crate::routing::place::{Desk, Place};
use crate::routing::rules::{Rule, To};
use crate::routing::suit::{Ask, Refusal, Weighed, weigh};
use crate::routing::words;

/// Sentences that most decisions do not exceed.
const REASONS: usize = 6;

/// Chooses the pool. `loads` are the open episodes of pools and link workers as they are now.
///
/// 1. The laws: restricted people to the restricted desk, whatever their practice; a practice in
///    no network to the unallocated desk.
/// 2. The first rule that applies and of whose pools one is in force names the candidates.
/// 3. Of those that can take the person: who knows them, then [`Weighed::fairer`].
/// 4. No room: overflow by consent, else over the year's figures, never over a hard limit.
/// 5. Nobody suitable: cover by neighbour order, then overflow, else the unallocated desk.
pub fn route(place: &Place, loads: &Loads, input: RouteInput) -> Decision {
    if input.restricted {
        return restricted(place, input);
    }
    let mut trail =
        Trail { place, loads, reasons: Vec::with_capacity(REASONS), passed_over: Vec::new(), seen: Vec::new() };
    let end = trail.decide(&input, &Ask::of(&input, &place.index.crews));
    trail.end(input, end)
}

/// The first law. Nothing that tells where the person is stays in the decision.
fn restricted(place: &Place, mut input: RouteInput) -> Decision {
    input.practice = None;
    input.district = None;
    input.previous = None;
    input.not.clear();
    let reasons = vec!["The record is restricted or sensitive, so it is not placed by location.".to_owned()];
    let trail = Trail { place, loads: &Loads::default(), reasons, passed_over: Vec::new(), seen: Vec::new() };
    trail.end(input, End { at: At::Desk(&place.restricted), pcn: None, rule: None })
}

/// Where it ends, and by what.
struct End<'a> {
    at: At<'a>,
    pcn: Option<&'a str>,
    rule: Option<&'a Rule>,
}

enum At<'a> {
    Desk(&'a Desk),
    Pool(Weighed<'a>),
}

/// What was seen on the way to a decision.
struct Trail<'a> {
    place: &'a Place,
    loads: &'a Loads,
    reasons: Vec<String>,
    passed_over: Vec<(String, Cow<'static, str>)>,
    seen: Vec<(String, u64)>,
}

impl<'a> Trail<'a> {
    fn decide(&mut self, input: &RouteInput, ask: &Ask<'_>) -> End<'a> {
        let unallocated = At::Desk(&self.place.unallocated);
        let Some(membership) = self.membership(input) else {
            return End { at: unallocated, pcn: None, rule: None };
        };
        let pcn = Some(self.place.rows.networks[membership.network as usize].code.as_str());
        let Some((rule, rows)) = self.rule(input, membership) else {
            self.reasons.push("No rule leads to a pool on that day.".into());
            return End { at: unallocated, pcn, rule: None };
        };
        self.reasons.push(match rule.why.as_str() {
            "" => ["The rule '", &rule.name, "' applies."].concat(),
            why => ["The rule '", &rule.name, "' applies: ", why].concat(),
        });
        let at = match &rule.to {
            To::Desk(key) => self.place.desks().find(|desk| desk.key == *key).map_or(unallocated, At::Desk),
            _ => {
                self.reasons.extend(words::asked(input, ask.language));
                self.choose(input, ask, rows).map_or(unallocated, At::Pool)
            }
        };
        End { at, pcn, rule: Some(rule) }
    }

    /// The practice and its network on the day; `None` with the reason said.
    fn membership(&mut self, input: &RouteInput) -> Option<&'a Membership> {
        let Some(ods) = &input.practice else {
            self.reasons.push("No practice is known.".to_owned());
            return None;
        };
        let index = &self.place.index;
        let all = index.practices.get(ods).map_or(&[][..], |rows| rows.memberships.of(&index.memberships));
        let Some(membership) = all.iter().find(|membership| membership.period.holds(input.on)) else {
            self.reasons.push(self.no_membership(ods, input.on));
            return None;
        };
        let mut said = String::with_capacity(membership.said.len() + words::DAY + 1);
        said.push_str(&membership.said);
        words::day(&mut said, input.on);
        said.push('.');
        self.reasons.push(said);
        Some(membership)
    }

    /// Why a practice is in no network on the day.
    fn no_membership(&self, ods: &OdsCode, on: Date) -> String {
        let Some(practice) = self.place.practice(ods, on) else {
            return format!("Practice {ods} is not known to {} on {on}.", self.place.name);
        };
        let name = &practice.name;
        match &practice.pcn {
            None => format!("{name} ({ods}) is in no network on {on}."),
            Some(code) => format!("{name} ({ods}) is in network {code}, which is not in force on {on}."),
        }
    }

    /// The first rule that applies and of whose pools one is in force, and the rows of them all; none for a desk.
    fn rule(&self, input: &RouteInput, membership: &Membership) -> Option<(&'a Rule, &'a [u32])> {
        let (place, index) = (self.place, &self.place.index);
        for at in membership.rules.of(&index.rules) {
            let rule = &place.rules()[usize::from(*at)];
            if !rule.when.holds_for_person(input) {
                continue;
            }
            let rows = index.led_to(*at, &rule.to, membership);
            if matches!(rule.to, To::Desk(_)) || rows.iter().any(|row| self.is_in_force(*row, input)) {
                return Some((rule, rows));
            }
        }
        None
    }

    fn is_in_force(&self, row: u32, input: &RouteInput) -> bool {
        self.place.rows.pools[row as usize].period.holds(input.on)
    }

    /// The row of a pool that is in force on the day.
    fn in_force(&self, id: &str, input: &RouteInput) -> Option<usize> {
        let mut rows = self.place.index.pools.get(id)?.clone();
        rows.find(|row| self.place.rows.pools[*row].period.holds(input.on))
    }

    fn choose(&mut self, input: &RouteInput, ask: &Ask<'_>, rows: &[u32]) -> Option<Weighed<'a>> {
        let mut able = Vec::with_capacity(rows.len());
        let mut unable = Vec::new();
        for row in rows {
            if !self.is_in_force(*row, input) {
                continue;
            }
            let weighed = self.weigh(input, ask, *row as usize);
            if weighed.refusal.is_none() { able.push(weighed) } else { unable.push(weighed) }
        }
        able.sort_by(Weighed::fairer);
        unable.sort_by(|a, b| a.pool.id.cmp(&b.pool.id));
        let known = able.iter().position(|weighed| weighed.known).or_else(|| {
            let (before, _) = ask.previous?;
            able.iter().position(|weighed| weighed.pool.id == before && !weighed.is_full())
        });
        if let Some(at) = known {
            let best = able.remove(at);
            self.reasons.push(self.known_there(&best));
            return Some(self.take(best, able, unable, "the person is known elsewhere"));
        }
        if able.is_empty() {
            return self.stand_in(input, ask, unable);
        }
        let best = able.remove(0);
        if best.is_full() {
            let sources: Vec<&Weighed<'a>> = std::iter::once(&best).chain(&able).collect();
            if let Some(other) = self.overflow(input, ask, &sources, rows, true) {
                able.insert(0, best);
                return Some(self.take(other, able, unable, "full"));
            }
        }
        self.reasons.push(fair(&best, able.len(), unable.len()));
        Some(self.take(best, able, unable, "busier for its number of link workers"))
    }

    /// Nobody of the candidates can take the person: cover, then overflow.
    fn stand_in(&mut self, input: &RouteInput, ask: &Ask<'_>, unable: Vec<Weighed<'a>>) -> Option<Weighed<'a>> {
        for weighed in &unable {
            if let Some(why) = weighed.refusal {
                self.reasons.push([&weighed.pool.name, " ", &*words::refusal(why), "."].concat());
            }
        }
        let asking: Vec<&Weighed<'a>> = unable.iter().filter(|w| w.refusal.is_some_and(Refusal::wants_cover)).collect();
        let mut chosen = self.cover(input, ask, &asking);
        if chosen.is_none() {
            let full: Vec<&Weighed<'a>> =
                unable.iter().filter(|w| w.refusal.is_some_and(Refusal::wants_overflow)).collect();
            let with_room = self.overflow(input, ask, &full, &[], true);
            chosen = with_room.or_else(|| self.overflow(input, ask, &full, &[], false));
        }
        if chosen.is_none() {
            self.reasons.push("No other pool stands in for it.".into());
        }
        for weighed in &unable {
            self.pass_over(weighed, "");
        }
        chosen
    }

    /// Neighbours of pools where nobody suitable is at work, nearest first, theirs after them: the
    /// first with room, or else the first that can.
    fn cover(&mut self, input: &RouteInput, ask: &Ask<'_>, asking: &[&Weighed<'a>]) -> Option<Weighed<'a>> {
        let mut tried: Vec<&str> = asking.iter().map(|weighed| weighed.pool.id.as_str()).collect();
        let mut next: VecDeque<&'a str> = asking.iter().flat_map(|w| &w.pool.cover).map(String::as_str).collect();
        let mut full: Option<Weighed<'a>> = None;
        while let Some(id) = next.pop_front() {
            if tried.contains(&id) {
                continue;
            }
            tried.push(id);
            let Some(row) = self.in_force(id, input) else { continue };
            let weighed = self.weigh(input, ask, row);
            if weighed.refusal.is_some_and(Refusal::wants_cover) {
                next.extend(weighed.pool.cover.iter().map(String::as_str));
            }
            if weighed.refusal.is_some() {
                self.pass_over(&weighed, "");
            } else if !weighed.is_full() {
                if let Some(full) = &full {
                    self.pass_over(full, "full");
                }
                self.reasons.push(stands_in(&weighed));
                return Some(weighed);
            } else if full.is_none() {
                full = Some(weighed);
            } else {
                self.pass_over(&weighed, "full, and further away");
            }
        }
        if let Some(full) = &full {
            self.reasons.push(stands_in(full));
        }
        full
    }

    /// Pools that consent to take the overflow of `sources`, by the sources' own order.
    fn overflow(
        &mut self,
        input: &RouteInput,
        ask: &Ask<'_>,
        sources: &[&Weighed<'a>],
        but: &[u32],
        with_room: bool,
    ) -> Option<Weighed<'a>> {
        let mut tried: Vec<usize> = but.iter().map(|row| *row as usize).collect();
        for source in sources {
            let giver = source.pool;
            for id in &giver.overflow {
                let Some(row) = self.in_force(id, input).filter(|row| !tried.contains(row)) else { continue };
                tried.push(row);
                let taker = &self.place.rows.pools[row];
                if !taker.takes_overflow_from.contains(&giver.id) {
                    continue;
                }
                let weighed = self.weigh(input, ask, row);
                if weighed.refusal.is_none() && !(with_room && weighed.is_full()) {
                    self.reasons.push(match source.is_full() {
                        true => words::sentence(&[&giver.name, " has no room"], source),
                        false => [&giver.name, " cannot take it."].concat(),
                    });
                    self.reasons.push(words::sentence(&[&weighed.pool.name, " takes its overflow"], &weighed));
                    return Some(weighed);
                }
                self.pass_over(&weighed, "has no room for others' overflow");
            }
        }
        None
    }

    /// Looks at a pool, and notes its load and who of its link workers is not the one.
    fn weigh(&mut self, input: &RouteInput, ask: &Ask<'_>, row: usize) -> Weighed<'a> {
        let passed_over = &mut self.passed_over;
        let mut weighed = weigh(self.place, self.loads, ask, row, |hand, why| {
            passed_over.push((hand.path.to_string(), Cow::Borrowed(words::unfit(why))));
        });
        if input.not.contains(&weighed.pool.id) {
            weighed.refusal = Some(Refusal::HandedBack);
        }
        self.seen.push((weighed.pool.id.clone(), weighed.open));
        weighed
    }

    /// `best` it is; the others are passed over.
    fn take(&mut self, best: Weighed<'a>, able: Vec<Weighed<'a>>, unable: Vec<Weighed<'a>>, why: &str) -> Weighed<'a> {
        for other in &able {
            self.pass_over(other, if other.is_full() && !best.is_full() { "full" } else { why });
        }
        for other in &unable {
            self.pass_over(other, "");
        }
        best
    }

    fn pass_over(&mut self, weighed: &Weighed<'_>, why: &str) {
        let text = match weighed.refusal {
            Some(refusal) => words::refusal(refusal),
            None => {
                let mut text = [why, ": "].concat();
                words::load(&mut text, weighed);
                text.into()
            }
        };
        self.passed_over.push((weighed.pool.id.clone(), text));
    }

    fn known_there(&self, best: &Weighed<'_>) -> String {
        let name = &best.pool.name;
        match best.worker.filter(|_| best.known) {
            Some(hand) => {
                let worker = &self.place.rows.workers[hand.row as usize];
                words::sentence(&[&worker.name, " of ", name, " saw the person before"], best)
            }
            None => words::sentence(&[name, " had the person before and has room"], best),
        }
    }

    fn end(mut self, input: RouteInput, end: End<'a>) -> Decision {
        let (pool, pool_name, worker) = match end.at {
            At::Desk(desk) => {
                self.reasons.push(words::desk(desk));
                (desk.pool.clone(), desk.name.clone(), None)
            }
            At::Pool(weighed) => {
                let worker = weighed.worker.map(|hand| hand.id().to_owned());
                (weighed.pool.id.clone(), weighed.pool.name.clone(), worker)
            }
        };
        self.passed_over.sort();
        self.passed_over.dedup();
        self.seen.sort();
        self.seen.dedup();
        Decision {
            pool,
            pool_name,
            pcn: end.pcn.map(str::to_owned),
            rule: end.rule.map_or(String::new(), |rule| rule.name.clone()),
            worker,
            by_hand: None,
            input,
            reasons: self.reasons,
            passed_over: self.passed_over,
            seen: self.seen,
            version: self.place.version.clone(),
        }
    }
}

fn stands_in(weighed: &Weighed<'_>) -> String {
    words::sentence(&[&weighed.pool.name, " stands in"], weighed)
}

/// Why the best of the candidates is the best.
fn fair(best: &Weighed<'_>, others: usize, unable: usize) -> String {
    let (before, after) = match (best.is_full(), others, unable) {
        (false, 0, 0) => ("", " is the only pool that is asked"),
        (false, 0, _) => ("", " is the only one that can take the person"),
        (false, ..) => ("", " is the least loaded with room"),
        (true, 0, 0) => ("", " is the only pool that is asked; it is full"),
        (true, 0, _) => ("", " is the only one that can take the person; it is full"),
        (true, ..) => ("Every pool that can take the person is full; ", " is the least loaded"),
    };
    words::sentence(&[before, &best.pool.name, after], best)
}

#[cfg(test)]
mod tests;
