//! What rules must be true of the place and of each other: known names, each can be reached, and
//! every practice reaches a pool or a desk on every day of its rows.

use std::collections::{BTreeMap, HashMap};

use super::Add;
use crate::routing::input::RouteInput;
use crate::routing::place::{Place, Pool, Practice, Serves};
use crate::routing::rules::{Own, Rule, To, When};
use crate::routing::spans::{Spans, always, both, minus, span, union, words};

const FILE: &str = "routing.toml";

/// Adds every fault of the rules.
pub(super) fn rules(place: &Place, add: &mut Add<'_>) {
    let rules = &place.rows.rules;
    for (at, rule) in rules.iter().enumerate() {
        if let Some(before) = rules[..at].iter().find(|before| before.name == rule.name) {
            add(FILE, rule.line, format!("rule '{}' has the name of line {}", rule.name, before.line));
        }
        names(place, rule, add);
    }
    match rules.last() {
        Some(last) if last.when.is_always() => {}
        last => {
            let line = last.map_or(1, |rule| rule.line);
            add(FILE, line, "the last rule must ask nothing (no when), so that every practice reaches a pool".into());
        }
    }
    let mut reach = Reach { place, known: HashMap::new() };
    for (at, rule) in rules.iter().enumerate() {
        if let Some(why) = reach.unreachable(at, rule) {
            add(FILE, rule.line, why);
        }
    }
    if !rules.is_empty() {
        reach.gaps(add);
    }
}

fn names(place: &Place, rule: &Rule, add: &mut Add<'_>) {
    let mut unknown = |key: &str, word: &str, why: &str| {
        let line = rule.lines.get(key).copied().unwrap_or(rule.line);
        add(FILE, line, format!("rule '{}': {key} '{word}' {why}", rule.name));
    };
    for code in rule.when.practice.iter().filter(|code| !place.index.practices.contains_key(*code)) {
        unknown("when.practice", code.as_str(), "is not in practices.csv");
    }
    for code in rule.when.network.iter().filter(|code| !place.index.networks.contains_key(*code)) {
        unknown("when.network", code, "is not in networks.csv");
    }
    let in_cluster = |name: &String| place.rows.practices.iter().any(|row| row.cluster.as_ref() == Some(name));
    for name in rule.when.cluster.iter().filter(|name| !in_cluster(name)) {
        unknown("when.cluster", name, "has no practice in practices.csv");
    }
    if let Some(district) = rule.when.district.first().filter(|_| !place.districts) {
        unknown("when.district", district, "needs districts = true in place.toml");
    }
    match &rule.to {
        To::Pools(ids) => {
            for (at, id) in ids.iter().enumerate() {
                if place.desk(id).is_some() {
                    unknown("to.pools", id, "is a desk: use to.desk");
                } else if !place.index.pools.contains_key(id) {
                    unknown("to.pools", id, "is no pool in pools.csv");
                } else if ids[..at].contains(id) {
                    unknown("to.pools", id, "stands there twice");
                }
            }
        }
        To::Desk(key) if !place.desks().any(|desk| desk.key == *key) => {
            unknown("to.desk", key, "is no desk in place.toml");
        }
        _ => {}
    }
}

/// A network, a cluster, and days as words.
type Gap<'a> = (Option<&'a str>, Option<&'a str>, String);

/// The days on which rules lead somewhere.
struct Reach<'a> {
    place: &'a Place,
    /// By rule and whose pools: days on which one of its pools is in force, and on which one takes
    /// referrals or has somebody who stands in.
    known: HashMap<(usize, &'a str), (Spans, Spans)>,
}

impl<'a> Reach<'a> {
    fn of(&mut self, at: usize, practice: &'a Practice) -> (Spans, Spans) {
        let place = self.place;
        let rule = &place.rows.rules[at];
        let key = match &rule.to {
            To::Own(Own::Network) => practice.pcn.as_deref().unwrap_or(""),
            To::Own(Own::Cluster) => practice.cluster.as_deref().unwrap_or(""),
            _ => "",
        };
        if let Some(known) = self.known.get(&(at, key)) {
            return known.clone();
        }
        let rows: Vec<usize> = match &rule.to {
            To::Desk(_) => {
                return (always(), always());
            }
            To::Pools(ids) => ids.iter().filter_map(|id| place.index.pools.get(id).cloned()).flatten().collect(),
            To::Own(own) => {
                let serves = match own {
                    Own::Network => Serves::Pcn(key.to_owned()),
                    Own::Cluster => Serves::Cluster(key.to_owned()),
                    Own::Place => Serves::Place,
                };
                place.index.serving(&serves).iter().map(|row| *row as usize).collect()
            }
        };
        let pools: Vec<&Pool> = rows.into_iter().filter_map(|row| place.rows.pools.get(row)).collect();
        let force = union(pools.iter().map(|pool| span(pool.period)).collect());
        let takes = union(pools.iter().flat_map(|pool| takes(place, pool)).collect());
        self.known.insert((at, key), (force.clone(), takes.clone()));
        (force, takes)
    }

    /// Why a rule is never reached.
    fn unreachable(&mut self, at: usize, rule: &Rule) -> Option<String> {
        let rules = &self.place.rows.rules;
        let wider: Vec<usize> = (0..at).filter(|before| implies(&rule.when, &rules[*before].when)).collect();
        let mut by: Option<usize> = None;
        let mut practices = 0;
        let place = self.place;
        for practice in place.rows.practices.iter().filter(|row| row.pcn.is_some()) {
            if !rule.when.holds_for_practice(practice) {
                continue;
            }
            practices += 1;
            let mut left = both(&self.of(at, practice).0, &[span(practice.period)]);
            for before in &wider {
                if rules[*before].when.holds_for_practice(practice) {
                    let less = minus(&left, &self.of(*before, practice).0);
                    by = by.or(Some(*before).filter(|_| less != left));
                    left = less;
                }
            }
            if !left.is_empty() {
                return None;
            }
        }
        let before = &rules[by.filter(|_| practices > 0)?];
        Some(if before.when == rule.when && before.to != rule.to {
            format!(
                "rule '{}' asks the same as '{}' (line {}) but leads elsewhere",
                rule.name, before.name, before.line
            )
        } else {
            format!("rule '{}' is never reached: '{}' (line {}) applies before it", rule.name, before.name, before.line)
        })
    }

    /// Days on which somebody of whom nothing is said reaches neither pool nor desk; practices of one
    /// network with the same gap are one fault.
    fn gaps(&mut self, add: &mut Add<'_>) {
        // By network, cluster and days: the practices, the first of which says it for all.
        let mut found: BTreeMap<Gap<'_>, Vec<&Practice>> = BTreeMap::new();
        let place = self.place;
        for practice in place.rows.practices.iter().filter(|row| row.pcn.is_some()) {
            let plain = RouteInput::at(practice.ods.clone(), practice.period.from);
            // A network that is not there on some days is said elsewhere.
            let network =
                practice.pcn.as_deref().and_then(|pcn| place.index.networks.get(pcn)).cloned().unwrap_or(0..0);
            let network = union(place.rows.networks[network].iter().map(|row| span(row.period)).collect());
            let mut left: Spans = both(&[span(practice.period)], &network);
            let mut gaps: Spans = Vec::new();
            for (at, rule) in place.rows.rules.iter().enumerate() {
                if left.is_empty() || !rule.when.holds(&plain, practice) {
                    continue;
                }
                let (force, takes) = self.of(at, practice);
                gaps.extend(minus(&both(&left, &force), &takes));
                left = minus(&left, &force);
            }
            gaps.extend(left);
            if gaps.is_empty() {
                continue;
            }
            let key = (practice.pcn.as_deref(), practice.cluster.as_deref(), words(&union(gaps)));
            found.entry(key).or_default().push(practice);
        }
        for ((pcn, _, days), practices) in found {
            let Some(first) = practices.iter().min_by_key(|practice| practice.line) else { continue };
            let more = match practices.len() {
                1 => String::new(),
                count => format!(" (and {} more of its network)", count - 1),
            };
            let (ods, network) = (&first.ods, pcn.unwrap_or(""));
            let text = format!("{ods} in {network}{more} reaches no pool that takes referrals {days}");
            add("practices.csv", first.line, text);
        }
    }
}

/// Days on which a pool takes referrals, or is closed and another one stands in.
fn takes(place: &Place, pool: &Pool) -> Spans {
    if pool.open {
        return vec![span(pool.period)];
    }
    let ids = pool.cover.iter().chain(&pool.overflow);
    let rows = ids.filter_map(|id| place.index.pools.get(id).cloned()).flatten();
    let others = rows.filter_map(|row| place.rows.pools.get(row)).filter(|other| other.open);
    both(&[span(pool.period)], &union(others.map(|other| span(other.period)).collect()))
}

/// True when all that `narrow` asks of the person is asked by `wide` too, or not at all.
fn implies(narrow: &When, wide: &When) -> bool {
    let age = |(from, to): (u8, u8)| narrow.age.is_some_and(|(a, b)| from <= a && b <= to);
    wide.age.is_none_or(age)
        && within(&narrow.district, &wide.district)
        && within(&narrow.need, &wide.need)
        && within(&narrow.language, &wide.language)
        && within(&narrow.day, &wide.day)
        && within(&narrow.source, &wide.source)
        && within(&narrow.specialism, &wide.specialism)
        && same(narrow.interpreter, wide.interpreter)
        && same(narrow.worker_sex, wide.worker_sex)
        && same(narrow.home_visit, wide.home_visit)
        && same(narrow.accessible, wide.accessible)
        && same(narrow.evening, wide.evening)
        && same(narrow.safeguarding, wide.safeguarding)
}

fn within<T: PartialEq>(narrow: &[T], wide: &[T]) -> bool {
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|word| wide.contains(word)))
}

fn same<T: PartialEq>(narrow: Option<T>, wide: Option<T>) -> bool {
    wide.is_none() || narrow == wide
}
