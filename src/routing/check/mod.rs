//! What the files of a place must be true of each other. Every fault is listed, not the first.
//!
//! Rows that came by FHIR are checked like the files' (line 0), so each text names its row.

use std::collections::{BTreeMap, BTreeSet};

mod people;
mod pools;
mod rules;

use crate::config::Fault;
use crate::routing::place::{Desk, Place, Pool, Serves};
use crate::routing::rows::Period;

/// Takes a fault: the file, the line, what is wrong.
type Add<'a> = dyn FnMut(&str, usize, String) + 'a;

/// Adds every fault between the files.
pub fn between(place: &Place, path: &dyn Fn(&str) -> String, faults: &mut Vec<Fault>) {
    let mut add = |file: &str, line: usize, text: String| faults.push(Fault { file: path(file), line, text });
    desks(place, &mut add);
    let rows = &place.rows;
    follow(
        rows.networks.iter().map(|network| (network.code.as_str(), network.period, network.line)),
        &mut |line, text| add("networks.csv", line, text),
    );
    follow(
        rows.practices.iter().map(|practice| (practice.ods.as_str(), practice.period, practice.line)),
        &mut |line, text| add("practices.csv", line, text),
    );
    follow(rows.pools.iter().map(|pool| (pool.id.as_str(), pool.period, pool.line)), &mut |line, text| {
        add("pools.csv", line, format!("pool {text}"));
    });
    for practice in &rows.practices {
        if let Some(why) = practice.pcn.as_deref().and_then(|pcn| network(place, pcn, practice.period)) {
            add("practices.csv", practice.line, why);
        }
    }
    let clusters: BTreeSet<&str> = rows.practices.iter().filter_map(|row| row.cluster.as_deref()).collect();
    for pool in &rows.pools {
        serves(place, &clusters, pool, &mut add);
        if let Some(why) = misnamed(place, pool) {
            add("pools.csv", pool.line, why);
        }
    }
    pools::pools(place, &mut add);
    people::people(place, &mut add);
    rules::rules(place, &mut add);
}

/// Desks must be different queues with names that a pool may have.
fn desks(place: &Place, add: &mut Add<'_>) {
    let all: Vec<&Desk> = place.desks().filter(|desk| !desk.pool.is_empty()).collect();
    for (at, desk) in all.iter().enumerate() {
        if let Some(before) = all[..at].iter().find(|before| before.pool == desk.pool) {
            let text = format!("{}.pool and {}.pool are the same queue", before.key, desk.key);
            add("place.toml", desk.line, text);
        }
        if !is_id(&desk.pool) {
            add("place.toml", desk.line, format!("pool '{}' must be small letters, digits and -", desk.pool));
        }
    }
    for desk in place.rows.desks.iter().filter(|desk| matches!(desk.key.as_str(), "restricted" | "unallocated")) {
        add("place.toml", desk.line, format!("desks.{0} is written as [{0}]", desk.key));
    }
}

fn serves(place: &Place, clusters: &BTreeSet<&str>, pool: &Pool, add: &mut Add<'_>) {
    for serves in &pool.serves {
        let why = match serves {
            Serves::Pcn(code) => network(place, code, pool.period),
            Serves::Cluster(name) if !clusters.contains(name.as_str()) => {
                Some(format!("no practice is in cluster {name}"))
            }
            _ => None,
        };
        if let Some(why) = why {
            add("pools.csv", pool.line, format!("pool {}: {why}", pool.id));
        }
    }
}

fn misnamed(place: &Place, pool: &Pool) -> Option<String> {
    if place.desk(&pool.id).is_some() {
        return Some(format!("pool {0}: '{0}' is the name of a desk in place.toml", pool.id));
    }
    (!is_id(&pool.id)).then(|| format!("pool {0}: id '{0}' must be small letters, digits and -", pool.id))
}

/// True for small letters, digits and `-`.
fn is_id(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

/// A network that is not there at all, or not through the whole of a period.
fn network(place: &Place, code: &str, period: Period) -> Option<String> {
    let Some(rows) = place.index.networks.get(code) else {
        return Some(format!("there is no network {code} in networks.csv"));
    };
    let rows = &place.rows.networks[rows.clone()];
    let starts = rows.first().is_some_and(|first| first.period.from <= period.from);
    let ends = rows.last().and_then(|last| last.period.to).is_none_or(|to| period.to.is_some_and(|end| end <= to));
    (!(starts && ends)).then(|| format!("network {code} is not in force for the whole of this row"))
}

/// Rows of one key must follow each other with no overlap and no gap.
fn follow<'a>(rows: impl Iterator<Item = (&'a str, Period, usize)>, add: &mut dyn FnMut(usize, String)) {
    let mut by_key: BTreeMap<&str, Vec<(Period, usize)>> = BTreeMap::new();
    for (key, period, line) in rows {
        by_key.entry(key).or_default().push((period, line));
    }
    for (key, mut rows) in by_key {
        rows.sort_by_key(|(period, line)| (period.from, *line));
        for pair in rows.windows(2) {
            let [(before, first), (after, line)] = pair else { continue };
            match before.to {
                Some(to) if to >= after.from => add(*line, format!("{key} overlaps line {first}")),
                None => add(*line, format!("{key} overlaps line {first}, which has no valid_to")),
                Some(to) if to.tomorrow().is_ok_and(|next| next < after.from) => {
                    add(*line, format!("{key} has a gap after line {first}: say with a row what holds between them"));
                }
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
