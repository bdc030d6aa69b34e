//! Where the rows of a place stand, so that routing looks nothing up by walking a table.

use std::hash::Hash;
use std::ops::Range;

use super::people::Worker;
use super::place::{Pool, Practice, Serves, Tables};
use super::rows::Period;
use super::suit::bits;
use super::table::Table;
use crate::fhir::ids::OdsCode;

/// Positions in the sorted tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// The rows of a practice.
    pub practices: Table<OdsCode, Range<usize>>,
    /// The rows of a network.
    pub networks: Table<String, Range<usize>>,
    /// The rows of a pool.
    pub pools: Table<String, Range<usize>>,
    /// The rows of a link worker.
    pub workers: Table<String, Range<usize>>,
    /// For each row of a practice, the rules that can apply there, in their order.
    pub rules: Vec<Vec<u8>>,
    /// Rows of pools that serve a network, in the order of their ids; so below.
    pub by_network: Table<String, Vec<u32>>,
    /// Rows of pools that serve a cluster.
    pub by_cluster: Table<String, Vec<u32>>,
    /// Rows of pools that serve the place.
    pub by_place: Vec<u32>,
    /// For each row of a pool, the rows of its link workers in the order of their ids.
    pub crews: Vec<Vec<u32>>,
    /// For each row of a pool, when it has a step-free venue.
    pub step_free: Vec<Vec<Period>>,
    /// For each row of a link worker, when they work.
    pub hours: Vec<Hours>,
    /// For each row of a link worker, the rows of their absences.
    pub away: Vec<Range<usize>>,
}

/// Days of the week as bits, Monday lowest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hours {
    /// Days with a shift.
    pub days: u8,
    /// Days with a shift that has an evening.
    pub evenings: u8,
}

impl Hours {
    fn of(worker: &Worker) -> Self {
        let on = |evening: bool| {
            let shifts = worker.shifts.iter().filter(|shift| !evening || shift.has_evening());
            bits(&shifts.map(|shift| shift.day).collect::<Vec<_>>())
        };
        Self { days: on(false), evenings: on(true) }
    }
}

impl Index {
    /// Indexes tables that are sorted by their keys.
    pub fn of(rows: &Tables) -> Self {
        let absences = ranges(&rows.absences, |row| row.worker.clone());
        let mut crews: Table<&str, Vec<u32>> = Table::default();
        for (row, worker) in (0u32..).zip(&rows.workers) {
            crews.entry(&worker.pool).or_default().push(row);
        }
        let step_free = |pool: &Pool| {
            let venues = rows.venues.iter().filter(|venue| venue.accessible && venue.pool == pool.id);
            venues.map(|venue| venue.period).collect()
        };
        let rules = |practice: &Practice| {
            let rules = (0u8..=u8::MAX).zip(&rows.rules);
            rules.filter(|(_, rule)| rule.when.holds_for_practice(practice)).map(|(at, _)| at).collect()
        };
        let mut index = Self {
            rules: rows.practices.iter().map(rules).collect(),
            practices: ranges(&rows.practices, |row| row.ods.clone()),
            networks: ranges(&rows.networks, |row| row.code.clone()),
            pools: ranges(&rows.pools, |row| row.id.clone()),
            workers: ranges(&rows.workers, |row| row.id.clone()),
            crews: rows.pools.iter().map(|pool| crews.get(pool.id.as_str()).cloned().unwrap_or_default()).collect(),
            step_free: rows.pools.iter().map(step_free).collect(),
            hours: rows.workers.iter().map(Hours::of).collect(),
            away: rows.workers.iter().map(|row| absences.get(&row.id).cloned().unwrap_or(0..0)).collect(),
            ..Self::default()
        };
        for (row, pool) in (0u32..).zip(&rows.pools) {
            for serves in &pool.serves {
                match serves {
                    Serves::Pcn(code) => index.by_network.entry(code.clone()).or_default().push(row),
                    Serves::Cluster(name) => index.by_cluster.entry(name.clone()).or_default().push(row),
                    Serves::Place => index.by_place.push(row),
                }
            }
        }
        index
    }

    /// Rows of pools that serve a network, a cluster or the place, at any time.
    pub fn serving(&self, serves: &Serves) -> &[u32] {
        match serves {
            Serves::Pcn(code) => self.by_network.get(code).map_or(&[], Vec::as_slice),
            Serves::Cluster(name) => self.by_cluster.get(name).map_or(&[], Vec::as_slice),
            Serves::Place => &self.by_place,
        }
    }
}

fn ranges<T, K: Hash + Eq>(rows: &[T], key: impl Fn(&T) -> K) -> Table<K, Range<usize>> {
    let mut out: Table<K, Range<usize>> = Table::default();
    for (at, row) in rows.iter().enumerate() {
        out.entry(key(row)).or_insert(at..at).end = at + 1;
    }
    out
}
