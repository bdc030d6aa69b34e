//! Practices and their networks, joined beforehand: what a decision asks of a practice on a day
//! stands in one row.

use super::index::{Index, Stretch, pour};
use super::place::{Practice, Serves, Tables};
use super::rows::Period;

/// A practice's time in a network that is in force.
#[derive(Debug, Clone)]
pub(super) struct Membership {
    pub period: Period,
    /// The row of the network.
    pub network: u32,
    /// The rules that can apply here, in their order.
    pub rules: Stretch,
    /// The pools that serve the network.
    pub network_pools: Stretch,
    /// The pools that serve the practice's cluster.
    pub cluster_pools: Stretch,
    /// The sentence that says it, up to the day.
    pub said: Box<str>,
}

impl Index {
    /// Adds the memberships of a practice's row, in the order of the network's rows.
    pub(super) fn join(&mut self, practice: &Practice, rows: &Tables) {
        let Some(code) = &practice.pcn else { return };
        let rules = (0u8..=u8::MAX).zip(&rows.rules).filter(|(_, rule)| rule.when.holds_for_practice(practice));
        let rules = pour(&mut self.rules, rules.map(|(at, _)| at));
        let cluster = practice.cluster.as_ref().map(|name| Serves::Cluster(name.clone()));
        let cluster_pools = cluster.map_or_else(Stretch::default, |cluster| self.serving_at(&cluster));
        let network_pools = self.serving_at(&Serves::Pcn(code.clone()));
        for row in self.networks.get(code).cloned().unwrap_or_default() {
            let network = &rows.networks[row];
            let Some(period) = both(practice.period, network.period) else { continue };
            let said = format!("{} ({}) is in {} ({code}) on ", practice.name, practice.ods, network.name).into();
            let network = Stretch::between(0, row).to;
            self.memberships.push(Membership { period, network, rules, network_pools, cluster_pools, said });
        }
    }
}

/// The days that are in both periods.
fn both(a: Period, b: Period) -> Option<Period> {
    let to = match (a.to, b.to) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    a.meets(&b).then(|| Period { from: a.from.max(b.from), to })
}
