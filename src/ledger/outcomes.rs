//! What was recorded for a practice against what its record has: recorded = filed + in flight +
//! needs a person.
//!
//! Two counts that are kept apart are compared: the entries that were committed to be sent (the
//! outbox), and where each of them stands (the filings).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::store::filing::FilingState;

/// One practice's outcomes, or all practices'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Entries recorded for the GP record, each version one.
    pub recorded: u64,
    /// In the record: coded, as text only, or as a later version.
    pub filed: u64,
    /// Of those filed, the ones of which the record has the text and not the code.
    pub filed_without_code: u64,
    /// On the way.
    pub in_flight: u64,
    /// Refused, or such that only a person can say more.
    pub needs_person: u64,
    /// Of those on the way or with a person, the ones whose acknowledgement is overdue.
    pub overdue: u64,
}

impl Outcomes {
    /// True when each entry recorded is in exactly one state.
    pub fn reconciles(&self) -> bool {
        self.recorded == self.filed + self.in_flight + self.needs_person
    }

    fn add(&mut self, state: FilingState, overdue: bool, count: u64) {
        if state.is_in_record() {
            self.filed += count;
        } else if state.is_moving() {
            self.in_flight += count;
        } else {
            self.needs_person += count;
        }
        if state == FilingState::FiledWithoutCode {
            self.filed_without_code += count;
        }
        if overdue && !state.is_in_record() {
            self.overdue += count;
        }
    }
}

/// Outcomes by practice, from the entries recorded `(practice, count)` and the filings `(practice,
/// state word, overdue, count)`; and each way in which the two do not agree.
pub fn reckon(
    recorded: &[(String, u64)],
    filings: &[(String, String, bool, u64)],
) -> (BTreeMap<String, Outcomes>, Vec<String>) {
    let mut all: BTreeMap<String, Outcomes> = BTreeMap::new();
    let mut faults = Vec::new();
    for (practice, count) in recorded {
        all.entry(practice.clone()).or_default().recorded += count;
    }
    for (practice, word, overdue, count) in filings {
        match FilingState::parse(word) {
            Some(state) => all.entry(practice.clone()).or_default().add(state, *overdue, *count),
            None => faults.push(format!("{count} outcomes of {practice} are in the unknown state '{word}'")),
        }
    }
    for (practice, one) in all.iter().filter(|(_, one)| !one.reconciles()) {
        faults.push(format!(
            "{practice}: {} outcomes recorded, but {} filed, {} in flight and {} with a person",
            one.recorded, one.filed, one.in_flight, one.needs_person
        ));
    }
    (all, faults)
}

/// All practices' together.
pub fn total(all: &BTreeMap<String, Outcomes>) -> Outcomes {
    all.values().fold(Outcomes::default(), |sum, one| Outcomes {
        recorded: sum.recorded + one.recorded,
        filed: sum.filed + one.filed,
        filed_without_code: sum.filed_without_code + one.filed_without_code,
        in_flight: sum.in_flight + one.in_flight,
        needs_person: sum.needs_person + one.needs_person,
        overdue: sum.overdue + one.overdue,
    })
}

/// The practices that have any outcome.
pub fn practices(all: &BTreeMap<String, Outcomes>) -> BTreeSet<&str> {
    all.keys().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_filed_in_flight_or_with_a_person() {
        let recorded = [("A1".to_owned(), 10), ("A2".to_owned(), 2)];
        let state = |practice: &str, state: FilingState, overdue, count| {
            (practice.to_owned(), state.word().to_owned(), overdue, count)
        };
        let filings = [
            state("A1", FilingState::Filed, false, 4),
            state("A1", FilingState::FiledWithoutCode, false, 1),
            state("A1", FilingState::Superseded, true, 1),
            state("A1", FilingState::AwaitingPractice, true, 2),
            state("A1", FilingState::Queued, false, 1),
            state("A1", FilingState::Rejected, false, 1),
            state("A2", FilingState::NeedsPerson, false, 1),
        ];
        let (all, faults) = reckon(&recorded, &filings);
        let first =
            Outcomes { recorded: 10, filed: 6, filed_without_code: 1, in_flight: 3, needs_person: 1, overdue: 2 };
        assert_eq!(all["A1"], first);
        assert_eq!(faults, ["A2: 2 outcomes recorded, but 0 filed, 0 in flight and 1 with a person"]);
        assert_eq!(total(&all).recorded, 12);
        let odd = [("A1".to_owned(), "nowhere".to_owned(), false, 1)];
        assert_eq!(reckon(&[], &odd).1, ["1 outcomes of A1 are in the unknown state 'nowhere'"]);
    }
}
