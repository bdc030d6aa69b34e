//! Where the rows of a place stand, so that routing looks nothing up by walking a table.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

use super::place::{Serves, Tables};
use crate::fhir::ids::OdsCode;

/// Positions in the sorted tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// The rows of a practice.
    pub practices: HashMap<OdsCode, Range<usize>>,
    /// The rows of a network.
    pub networks: HashMap<String, Range<usize>>,
    /// The rows of a pool.
    pub pools: HashMap<String, Range<usize>>,
    /// The absences of a link worker.
    pub absences: HashMap<String, Range<usize>>,
    /// Rows of pools, by whom they serve, in the order of their ids.
    pub serving: HashMap<Serves, Vec<u32>>,
    /// Rows of link workers, by pool, in the order of their ids.
    pub crews: HashMap<String, Vec<u32>>,
}

impl Index {
    /// Indexes tables that are sorted by their keys.
    pub fn of(rows: &Tables) -> Self {
        let mut index = Self {
            practices: ranges(&rows.practices, |row| row.ods.clone()),
            networks: ranges(&rows.networks, |row| row.code.clone()),
            pools: ranges(&rows.pools, |row| row.id.clone()),
            absences: ranges(&rows.absences, |row| row.worker.clone()),
            ..Self::default()
        };
        for (row, pool) in (0u32..).zip(&rows.pools) {
            for serves in &pool.serves {
                index.serving.entry(serves.clone()).or_default().push(row);
            }
        }
        for (row, worker) in (0u32..).zip(&rows.workers) {
            index.crews.entry(worker.pool.clone()).or_default().push(row);
        }
        index
    }
}

fn ranges<T, K: Hash + Eq>(rows: &[T], key: impl Fn(&T) -> K) -> HashMap<K, Range<usize>> {
    let mut out: HashMap<K, Range<usize>> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        out.entry(key(row)).or_insert(at..at).end = at + 1;
    }
    out
}
