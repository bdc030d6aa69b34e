//! Every pair of state and event, decided.

use super::{Event, State, next, stage, state};

const STATES: [State; 10] = [
    State::Offered,
    State::Contacting,
    State::Accepted,
    State::Assessed,
    State::Planned,
    State::Reviewed,
    State::Closed,
    State::Declined,
    State::Returned,
    State::Withdrawn,
];

/// A letter a state, in the order of [`STATES`]; a full stop: refused.
const LETTERS: &str = "OCAMPRXDTW";

#[rustfmt::skip]
const TABLE: [(Event, &str); 17] = [
    //                 OCAMPRXDTW
    (Event::Look,     "CC........"),
    (Event::Attempt,  "CCAMPR...."),
    (Event::Meet,     "CCAMPR...."),
    (Event::Write,    "OCAMPR...."),
    (Event::Signpost, "OCAMPR...."),
    (Event::Acknowledge, "OCAMPRXDTW"),
    (Event::Accept,   "AA........"),
    (Event::Decline,  "DD........"),
    (Event::Return,   "TT........"),
    (Event::Assess,   "..MMPR...."),
    (Event::Draft,    "..AMPR...."),
    (Event::Agree,    "..PP......"),
    (Event::Review,   "....RR...."),
    (Event::Refer,    "..AMPR...."),
    (Event::Carry,    "..AMPR...."),
    (Event::Close,    "..XXXX...."),
    (Event::Reopen,   "......A..."),
];

#[test]
fn every_pair_of_state_and_event_is_decided() {
    for (event, row) in TABLE {
        for (from, wanted) in STATES.iter().zip(row.chars()) {
            let found = next(*from, event);
            let letter = found.map_or('.', |to| {
                let at = STATES.iter().position(|known| *known == to).unwrap_or(0);
                LETTERS.chars().nth(at).unwrap_or('?')
            });
            assert_eq!(letter, wanted, "{from:?} {event:?}: {found:?}");
            assert!(found.is_ok() || found.is_err_and(|why| why.len() > 10), "{from:?} {event:?} says why");
        }
    }
}

#[test]
fn nothing_follows_an_end_but_an_alerts_answer_and_a_reopening_of_what_was_accepted() {
    for from in [State::Closed, State::Declined, State::Returned, State::Withdrawn] {
        let ways: Vec<Event> =
            TABLE.iter().map(|(event, _)| *event).filter(|event| next(from, *event).is_ok()).collect();
        let reopened = (from == State::Closed).then_some(Event::Reopen);
        let wanted: Vec<Event> = std::iter::once(Event::Acknowledge).chain(reopened).collect();
        assert_eq!(ways, wanted, "{from:?}");
    }
}

#[test]
fn a_state_is_read_from_task_and_stage() {
    assert_eq!(state("requested", "", false), State::Offered);
    assert_eq!(state("on-hold", "plan-agreed", false), State::Planned);
    assert_eq!(state("accepted", "", false), State::Accepted);
    assert_eq!(state("completed", "reviewed", false), State::Closed);
    assert_eq!((state("rejected", "", true), state("rejected", "", false)), (State::Declined, State::Returned));
    assert_eq!(state("cancelled", "accepted", false), State::Withdrawn);
    for one in STATES {
        assert_eq!(
            stage(one).is_some(),
            state("accepted", stage(one).unwrap_or("none"), false) == one && one != State::Offered
        );
    }
}
