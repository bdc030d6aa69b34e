//! Where the rows of a place stand, so that routing looks nothing up by walking a table, and what
//! a decision asks of them side by side: most of its time would else go into waiting for memory.

use std::hash::Hash;
use std::ops::Range;

use super::crew::Crews;
use super::membership::Membership;
use super::place::{Pool, Serves, Tables};
use super::rows::Period;
use super::rules::{Own, To};
use super::table::Table;
use crate::fhir::ids::OdsCode;

/// Positions in the sorted tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// The rows of a practice.
    pub practices: Table<OdsCode, Rows>,
    /// The rows of a network.
    pub networks: Table<String, Range<usize>>,
    /// The rows of a pool.
    pub pools: Table<String, Range<usize>>,
    /// The rows of a link worker.
    pub workers: Table<String, Range<usize>>,
    /// Memberships, in the order of the practices' rows.
    pub memberships: Vec<Membership>,
    /// Positions of the rules that can apply in each membership.
    pub rules: Vec<u8>,
    /// For each rule that names pools, their rows.
    named: Vec<Stretch>,
    /// Pools that serve each network, cluster and the place.
    serves: Table<Serves, Stretch>,
    /// Rows of pools, to which stretches refer; those that serve the same in the order of their ids.
    candidates: Vec<u32>,
    /// For each row of a pool, its link workers.
    pub crews: Crews,
    /// For each row of a pool, when it has a step-free venue.
    pub step_free: Vec<Vec<Period>>,
}

/// The rows of a practice.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rows {
    /// In the table of practices.
    pub own: Stretch,
    /// Its memberships.
    pub memberships: Stretch,
}

/// A part of a list, from a position to before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    pub from: u32,
    pub to: u32,
}

impl Stretch {
    /// Lists that are indexed are far shorter than `u32` reaches: files have at most 50,000 rows.
    pub fn between(from: usize, to: usize) -> Self {
        let near = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { from: near(from), to: near(to) }
    }

    pub fn range(self) -> Range<usize> {
        self.from as usize..self.to as usize
    }

    pub fn of<T>(self, list: &[T]) -> &[T] {
        &list[self.range()]
    }
}

/// Adds items to a list; tells where they stand.
pub(super) fn pour<T>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Stretch {
    let from = list.len();
    list.extend(items);
    Stretch::between(from, list.len())
}

impl Index {
    /// Indexes tables that are sorted by their keys.
    pub fn of(rows: &Tables) -> Self {
        let step_free = |pool: &Pool| {
            let venues = rows.venues.iter().filter(|venue| venue.accessible && venue.pool == pool.id);
            venues.map(|venue| venue.period).collect()
        };
        let mut index = Self {
            networks: ranges(&rows.networks, |row| row.code.clone()),
            pools: ranges(&rows.pools, |row| row.id.clone()),
            workers: ranges(&rows.workers, |row| row.id.clone()),
            crews: Crews::of(rows),
            step_free: rows.pools.iter().map(step_free).collect(),
            ..Self::default()
        };
        index.candidates(rows);
        for (ods, own) in in_order(&rows.practices, |row| row.ods.clone()) {
            let from = index.memberships.len();
            rows.practices[own.clone()].iter().for_each(|practice| index.join(practice, rows));
            let memberships = Stretch::between(from, index.memberships.len());
            index.practices.insert(ods, Rows { own: Stretch::between(own.start, own.end), memberships });
        }
        index
    }

    fn candidates(&mut self, rows: &Tables) {
        let mut serves: Table<&Serves, Vec<u32>> = Table::default();
        for (row, pool) in (0u32..).zip(&rows.pools) {
            pool.serves.iter().for_each(|whom| serves.entry(whom).or_default().push(row));
        }
        for (whom, pools) in serves {
            self.serves.insert(whom.clone(), pour(&mut self.candidates, pools));
        }
        for rule in &rows.rules {
            let ids = if let To::Pools(ids) = &rule.to { ids.as_slice() } else { &[] };
            let pools = ids.iter().filter_map(|id| self.pools.get(id).cloned()).flatten();
            self.named.push(pour(&mut self.candidates, pools.map(|row| Stretch::between(0, row).to)));
        }
    }

    /// Rows of pools that serve a network, a cluster or the place, at any time.
    pub fn serving(&self, serves: &Serves) -> &[u32] {
        self.serving_at(serves).of(&self.candidates)
    }

    /// Where [`Index::serving`] stands.
    pub fn serving_at(&self, serves: &Serves) -> Stretch {
        self.serves.get(serves).copied().unwrap_or_default()
    }

    /// Rows of the pools to which a rule leads, by its position, at any time; none for a desk.
    pub fn led_to(&self, at: u8, to: &To, membership: &Membership) -> &[u32] {
        match to {
            To::Own(Own::Network) => membership.network_pools.of(&self.candidates),
            To::Own(Own::Cluster) => membership.cluster_pools.of(&self.candidates),
            To::Own(Own::Place) => self.serving(&Serves::Place),
            To::Pools(_) => self.named[usize::from(at)].of(&self.candidates),
            To::Desk(_) => &[],
        }
    }
}

fn ranges<T, K: Hash + Eq>(rows: &[T], key: impl Fn(&T) -> K) -> Table<K, Range<usize>> {
    in_order(rows, key).into_iter().collect()
}

/// The keys of sorted rows, each with its rows.
fn in_order<T, K: Eq>(rows: &[T], key: impl Fn(&T) -> K) -> Vec<(K, Range<usize>)> {
    let mut out: Vec<(K, Range<usize>)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let key = key(row);
        match out.last_mut() {
            Some((last, range)) if *last == key => range.end = at + 1,
            _ => out.push((key, at..at + 1)),
        }
    }
    out
}
