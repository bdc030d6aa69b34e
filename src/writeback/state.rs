//! Where one entry stands on its way into the record, and what may follow.

pub use crate::store::filing::FilingState;

use FilingState::{
    AwaitingPractice, Filed, FiledWithoutCode, NeedsPerson, PatientMatched, Queued, Received, Rejected, Sent,
    Superseded,
};

/// What may follow each state. Staying is always allowed. What no row allows is not done: a late
/// or contradicting acknowledgement is noted and changes nothing.
const FOLLOWS: [(FilingState, &[FilingState]); 10] = [
    (
        Queued,
        &[Sent, Received, PatientMatched, AwaitingPractice, Filed, FiledWithoutCode, Rejected, Superseded, NeedsPerson],
    ),
    // Back to the queue: the route refused for good, and the next one is tried.
    (
        Sent,
        &[
            Queued,
            Received,
            PatientMatched,
            AwaitingPractice,
            Filed,
            FiledWithoutCode,
            Rejected,
            Superseded,
            NeedsPerson,
        ],
    ),
    (Received, &[Queued, PatientMatched, AwaitingPractice, Filed, FiledWithoutCode, Rejected, Superseded, NeedsPerson]),
    (PatientMatched, &[Queued, AwaitingPractice, Filed, FiledWithoutCode, Rejected, Superseded, NeedsPerson]),
    (AwaitingPractice, &[Queued, Filed, FiledWithoutCode, Rejected, Superseded, NeedsPerson]),
    (Filed, &[Superseded]),
    // A person coded it.
    (FiledWithoutCode, &[Filed, Superseded]),
    // A person sends it again, or says that it is there; or the practice says so after all.
    (Rejected, &[Queued, Sent, Filed, FiledWithoutCode, Superseded]),
    (Superseded, &[]),
    (
        NeedsPerson,
        &[Queued, Sent, Received, PatientMatched, AwaitingPractice, Filed, FiledWithoutCode, Rejected, Superseded],
    ),
];

/// True when a filing in `from` may come to be in `to`.
pub fn may_follow(from: FilingState, to: FilingState) -> bool {
    from == to || FOLLOWS.iter().any(|(state, next)| *state == from && next.contains(&to))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row a state, a column a state, in the order of `FilingState::ALL`.
    const PAIRS: [&str; 10] = [
        // q s r m a F f R S N
        "x x x x x x x x x x", // queued
        "x x x x x x x x x x", // sent
        "x . x x x x x x x x", // received
        "x . . x x x x x x x", // patient-matched
        "x . . . x x x x x x", // awaiting-practice
        ". . . . . x . . x .", // filed
        ". . . . . x x . x .", // filed-without-code
        "x x . . . x x x x .", // rejected
        ". . . . . . . . x .", // superseded
        "x x x x x x x x x x", // needs-person
    ];

    #[test]
    fn every_pair_of_states_is_decided() {
        for ((from, word), row) in FilingState::ALL.iter().zip(PAIRS) {
            for ((to, other), cell) in FilingState::ALL.iter().zip(row.split(' ')) {
                assert_eq!(may_follow(*from, *to), cell == "x", "{word} -> {other}");
            }
        }
    }

    #[test]
    fn words_are_read_back() {
        for (state, word) in FilingState::ALL {
            assert_eq!(FilingState::parse(word), Some(state));
            assert_eq!(state.word(), word);
        }
        assert_eq!(FilingState::parse("lost"), None);
    }
}
