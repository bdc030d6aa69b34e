//! Whom a proposal falls on: the share moved and the wait of each group, with small numbers hidden.
//!
//! Groups are compared one characteristic at a time. What was not sent is a group of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::replay::Replayed;
use super::report::{Equity, Group};
use super::waits::{Spread, Wait};
use crate::fhir::ethnicity;
use crate::suppress::{cover, hide};

/// What is known of a person for this; nothing that names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Age in years at the referral.
    pub age: Option<u8>,
    /// FHIR's administrative gender.
    pub sex: Option<Arc<str>>,
    /// Ethnic category code; `None`: not sent.
    pub ethnicity: Option<Arc<str>>,
    /// ISO 639 code; `None`: not recorded.
    pub language: Option<Arc<str>>,
    /// Decile of deprivation, 1 the most deprived; `None` for withheld and unknown addresses.
    pub decile: Option<u8>,
}

/// First year of age of each band after the first.
const BANDS: [u8; 7] = [18, 25, 35, 50, 65, 75, 85];

/// The characteristics and the group of a person in each; with deciles where they are configured.
fn groups(person: &Person, deciles: bool) -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let known = |code: Option<&str>| code.map_or_else(unknown, str::to_owned);
    let mut out = vec![
        ("age band", person.age.map_or_else(unknown, band)),
        ("sex", known(person.sex.as_deref())),
        ("ethnicity", person.ethnicity.as_deref().map_or("not sent", ethnicity::category).to_owned()),
        ("language", known(person.language.as_deref())),
    ];
    if deciles {
        out.push(("deprivation decile", person.decile.map_or_else(unknown, |decile| format!("{decile:02}"))));
    }
    out
}

fn band(age: u8) -> String {
    let next = BANDS.iter().position(|first| age < *first);
    match next {
        Some(0) => format!("under {}", BANDS[0]),
        Some(next) => format!("{} to {}", BANDS[next - 1], BANDS[next] - 1),
        None => format!("{} and over", BANDS[BANDS.len() - 1]),
    }
}

#[derive(Debug, Default)]
struct Tally {
    people: u64,
    moved: u64,
    before: Vec<Wait>,
    after: Vec<Wait>,
}

/// A table a characteristic. Waits are by the index of `replayed`; those before may be unknown.
pub fn tables(
    replayed: &[Replayed<'_>],
    before: Option<&[Wait]>,
    after: &[Wait],
    deciles: bool,
    below: u64,
) -> Vec<Equity> {
    let mut all: BTreeMap<&'static str, BTreeMap<String, Tally>> = BTreeMap::new();
    for (index, one) in replayed.iter().enumerate().filter(|(_, one)| !one.early) {
        for (by, group) in groups(&one.past.person, deciles) {
            let tally = all.entry(by).or_default().entry(group).or_default();
            tally.people += 1;
            tally.moved += u64::from(one.moved.is_some());
            tally.before.extend(before.and_then(|waits| waits.get(index)));
            tally.after.extend(after.get(index));
        }
    }
    all.into_iter().map(|(by, groups)| Equity { by: by.to_owned(), groups: table(groups, below) }).collect()
}

/// One characteristic's groups, small numbers hidden. The sums of both columns are known from the
/// rest of the report.
fn table(groups: BTreeMap<String, Tally>, below: u64) -> Vec<Group> {
    let people: Vec<u64> = groups.values().map(|tally| tally.people).collect();
    let moved: Vec<u64> = groups.values().map(|tally| tally.moved).collect();
    let rows_hidden = hide(&people, None, below);
    let mut moved_hidden = hide(&moved, Some(&people), below);
    for (moved, row) in moved_hidden.iter_mut().zip(&rows_hidden) {
        *moved |= *row;
    }
    cover(&moved, &mut moved_hidden, below);
    let rows = groups.into_iter().zip(rows_hidden.into_iter().zip(moved_hidden));
    rows.map(|((group, tally), (row_hidden, moved_hidden))| {
        let median = |waits: &[Wait]| {
            let spread = Spread::of(waits.iter().copied());
            // The median of fewer than that many would be about somebody.
            Some(spread).filter(|spread| !row_hidden && spread.people >= below).and_then(|spread| spread.median_days)
        };
        Group {
            group,
            people: Some(tally.people).filter(|_| !row_hidden),
            moved: Some(tally.moved).filter(|_| !moved_hidden),
            median_wait_days: (median(&tally.before), median(&tally.after)),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What somebody can work out of a hidden cell: the least and the most that it may be, given the
    /// column's sum, what is shown of it, and the most that each hidden cell can be.
    fn bounds(total: u64, shown: &[Option<u64>], most: &[u64]) -> Vec<(u64, u64)> {
        let rest = total - shown.iter().flatten().sum::<u64>();
        let hidden: Vec<usize> = (0..shown.len()).filter(|at| shown[*at].is_none()).collect();
        let others = |at: usize| hidden.iter().filter(|other| **other != at).map(|other| most[*other]).sum::<u64>();
        hidden.iter().map(|at| (rest.saturating_sub(others(*at)), most[*at].min(rest))).collect()
    }

    proptest! {
        #[test]
        fn what_is_hidden_cannot_be_worked_out_from_the_sums(
            counts in proptest::collection::vec((0u64..30, 0u64..30), 2..7),
            below in 2u64..8,
        ) {
            let counts: Vec<(u64, u64)> = counts.into_iter().map(|(a, b)| (a.max(b).max(1), a.min(b))).collect();
            let tally = |(people, moved): &(u64, u64)| Tally { people: *people, moved: *moved, ..Tally::default() };
            let rows = table(counts.iter().enumerate().map(|(n, one)| (format!("g{n}"), tally(one))).collect(), below);
            let (asked, moving): (u64, u64) = counts.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let people: Vec<Option<u64>> = rows.iter().map(|row| row.people).collect();
            for (least, most) in bounds(asked, &people, &vec![asked; rows.len()]) {
                prop_assert!(least < most, "people are {least} in {rows:?}");
            }
            let whole: Vec<u64> = people.iter().map(|shown| shown.unwrap_or(asked)).collect();
            let moved: Vec<Option<u64>> = rows.iter().map(|row| row.moved).collect();
            // Nobody or everybody moves: the report's first line says so of each group.
            for (least, most) in bounds(moving, &moved, &whole).into_iter().filter(|_| moving > 0 && moving < asked) {
                prop_assert!(least < most, "{least} moved in {rows:?}");
            }
            for (row, (people, moved)) in rows.iter().zip(&counts) {
                let small = |count: u64| count > 0 && count < below;
                prop_assert!(row.people.is_none() || !small(*people));
                prop_assert!(row.moved.is_none() || !(small(*moved) || small(people - moved)));
                prop_assert!(row.people.is_some() || row.moved.is_none(), "a moved count says how many there are at least");
            }
        }
    }
}
