//! What pools must be true of each other: cover, overflow by consent, link workers in their time.

use std::collections::{BTreeMap, BTreeSet};

use super::Add;
use crate::routing::place::{Place, Pool};
use crate::routing::spans::{minus, span, union, words};

const FILE: &str = "pools.csv";

/// Adds every fault of pools among themselves and with their link workers.
pub(super) fn pools(place: &Place, add: &mut Add<'_>) {
    for (row, pool) in place.rows.pools.iter().enumerate() {
        for (column, ids) in
            [("cover", &pool.cover), ("overflow", &pool.overflow), ("takes_overflow_from", &pool.takes_overflow_from)]
        {
            named(place, pool, column, ids, add);
        }
        consent(place, pool, add);
        staffed(place, row, pool, add);
        let mut seen = BTreeSet::new();
        for serves in pool.serves.iter().map(|serves| format!("{serves:?}")) {
            if !seen.insert(serves) {
                add(FILE, pool.line, format!("pool {}: serves the same twice", pool.id));
            }
        }
    }
    circles(place, add);
}

fn named(place: &Place, pool: &Pool, column: &str, ids: &[String], add: &mut Add<'_>) {
    for (at, id) in ids.iter().enumerate() {
        let why = if *id == pool.id {
            "is the pool itself"
        } else if place.desk(id).is_some() {
            "is a desk, not a pool"
        } else if !place.index.pools.contains_key(id) {
            "is no pool in pools.csv"
        } else if ids[..at].contains(id) {
            "stands there twice"
        } else {
            continue;
        };
        add(FILE, pool.line, format!("pool {}: {column} '{id}' {why}", pool.id));
    }
}

fn consent(place: &Place, pool: &Pool, add: &mut Add<'_>) {
    for id in &pool.overflow {
        let Some(rows) = place.index.pools.get(id) else { continue };
        let mut rows = place.rows.pools[rows.clone()].iter().filter(|taker| taker.period.meets(&pool.period));
        if !rows.any(|taker| taker.takes_overflow_from.contains(&pool.id)) {
            let text =
                format!("pool {0}: overflow to '{id}' without consent: {id} has no takes_overflow_from {0}", pool.id);
            add(FILE, pool.line, text);
        }
    }
}

fn staffed(place: &Place, row: usize, pool: &Pool, add: &mut Add<'_>) {
    let crew = place.index.crews.pool(row).iter().map(|hand| span(hand.period));
    let gaps = minus(&[span(pool.period)], &union(crew.collect()));
    if pool.open && !gaps.is_empty() {
        add(FILE, pool.line, format!("pool {} has no link worker in workers.csv {}", pool.id, words(&gaps)));
    }
}

/// Cover that comes back to where it began, each circle once.
fn circles(place: &Place, add: &mut Add<'_>) {
    let mut covers: BTreeMap<&str, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for pool in &place.rows.pools {
        let entry = covers.entry(&pool.id).or_insert((BTreeSet::new(), pool.line));
        entry.0.extend(pool.cover.iter().map(String::as_str).filter(|id| *id != pool.id));
    }
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in covers.keys() {
        let mut trail: Vec<(&str, Vec<&str>)> = vec![(start, next(&covers, start))];
        while let Some((at, rest)) = trail.last_mut() {
            let at = *at;
            let Some(id) = rest.pop() else {
                done.insert(at);
                trail.pop();
                continue;
            };
            if let Some(from) = trail.iter().position(|(before, _)| *before == id) {
                let circle: Vec<&str> = trail[from..].iter().map(|(id, _)| *id).chain([id]).collect();
                let line = covers.get(at).map_or(0, |(_, line)| *line);
                add(FILE, line, format!("pool {at}: cover runs in a circle: {}", circle.join(" -> ")));
            } else if !done.contains(id) {
                let nearer = next(&covers, id);
                trail.push((id, nearer));
            }
        }
    }
}

fn next<'a>(covers: &BTreeMap<&'a str, (BTreeSet<&'a str>, usize)>, id: &str) -> Vec<&'a str> {
    covers.get(id).map(|(ids, _)| ids.iter().rev().copied().collect()).unwrap_or_default()
}
