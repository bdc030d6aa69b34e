//! What the files of a place must be true of each other.

use std::collections::BTreeMap;

use super::place::{Place, Pool};
use super::rows::Period;
use crate::config::Fault;

/// Adds every fault between the files.
pub fn between(place: &Place, path: &dyn Fn(&str) -> String, faults: &mut Vec<Fault>) {
    let mut add = |file: &str, line: usize, text: String| faults.push(Fault { file: path(file), line, text });
    periods(
        place.networks.iter().map(|network| (network.code.as_str(), network.period, network.line)),
        &mut |line, text| add("networks.csv", line, text),
    );
    periods(
        place.practices.iter().map(|practice| (practice.ods.as_str(), practice.period, practice.line)),
        &mut |line, text| add("practices.csv", line, text),
    );
    periods(place.pools.iter().map(|pool| (pool.id.as_str(), pool.period, pool.line)), &mut |line, text| {
        add("pools.csv", line, text);
    });
    for practice in &place.practices {
        if let Some(why) = practice.pcn.as_deref().and_then(|pcn| unknown(place, pcn, practice.period)) {
            add("practices.csv", practice.line, why);
        }
    }
    for pool in &place.pools {
        if let Some(why) = unknown(place, &pool.pcn, pool.period) {
            add("pools.csv", pool.line, why);
        }
        if let Some(why) = misnamed(place, pool) {
            add("pools.csv", pool.line, why);
        }
    }
    for network in &place.networks {
        if !place.pools.iter().any(|pool| pool.pcn == network.code) {
            add("networks.csv", network.line, format!("network {} has no pool", network.code));
        }
    }
    if !place.restricted.pool.is_empty() && place.restricted.pool == place.unallocated.pool {
        add("place.toml", 1, "restricted.pool and unallocated.pool are the same queue".into());
    }
}

fn misnamed(place: &Place, pool: &Pool) -> Option<String> {
    if pool.id == place.restricted.pool || pool.id == place.unallocated.pool {
        return Some(format!("'{}' is the name of a desk in place.toml", pool.id));
    }
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = !pool.id.is_empty() && pool.id.bytes().all(fits);
    (!good).then(|| format!("id '{}' must be small letters, digits and -", pool.id))
}

/// A network that is not there at all, or not through the whole of a period.
fn unknown(place: &Place, code: &str, period: Period) -> Option<String> {
    let mut rows: Vec<Period> =
        place.networks.iter().filter(|network| network.code == code).map(|network| network.period).collect();
    if rows.is_empty() {
        return Some(format!("there is no network {code} in networks.csv"));
    }
    rows.sort_by_key(|row| row.from);
    let starts = rows.first().is_some_and(|first| first.from <= period.from);
    let ends = rows.last().is_some_and(|last| last.to.is_none_or(|to| period.to.is_some_and(|end| end <= to)));
    (!(starts && ends)).then(|| format!("network {code} is not in force for the whole of this row"))
}

/// Rows of one key must follow each other with no overlap and no gap.
fn periods<'a>(rows: impl Iterator<Item = (&'a str, Period, usize)>, add: &mut dyn FnMut(usize, String)) {
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
