//! The ledger: every referral received, each in exactly one state, and whether that adds up.
//!
//! Beside the referrals, what was recorded for the GP records (`outcomes`), each practice and day
//! (`days`), who has stopped sending (`silence`), and the whole as a signed document (`statement`).
//!
//! Pure, over rows that the store gave. It reconciles when the ledger's rows, the holds and the
//! ServiceRequests that are kept tell the same story; each way in which they do not is named.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::store::commit::{Hold, Ignored, LedgerRow, LedgerState};

pub mod days;
pub mod outcomes;
pub mod silence;
pub mod statement;

pub use days::Day;
pub use outcomes::Outcomes;
pub use silence::Silent;

/// The most departures that are named one by one; the rest are counted.
pub const FAULTS_MAX: usize = 100;

/// What the ledger is reckoned from.
#[derive(Debug)]
pub struct Books<'a> {
    /// The rows asked for.
    pub rows: &'a [LedgerRow],
    /// All holds that are not over.
    pub holds: &'a [Hold],
    /// Counts of ignored candidates that belong to the question.
    pub ignored: &'a [Ignored],
    /// Entries recorded for each practice's record, `(practice, count)`.
    pub recorded: &'a [(String, u64)],
    /// Where they stand: `(practice, state word, overdue, count)`.
    pub filings: &'a [(String, String, bool, u64)],
    /// The ids of every ServiceRequest that is kept.
    pub referrals: &'a BTreeSet<String>,
    /// True when `rows` are all rows, so that what has no row is seen too.
    pub whole: bool,
}

/// How many are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All that came in.
    pub received: u64,
    /// One half has come and the other may still.
    pub waiting: u64,
    /// With somebody.
    pub open: u64,
    /// Ended and written back.
    pub closed: u64,
    /// Given back to the referrer.
    pub returned: u64,
    /// A person must look.
    pub held: u64,
    /// Deleted at source.
    pub withdrawn: u64,
    /// Not a referral for here; nothing is kept.
    pub ignored: u64,
}

/// One referral's line.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The ServiceRequest's id.
    pub id: String,
    /// The message that brought it last.
    pub message: String,
    /// The practice's ODS code.
    pub practice: Option<String>,
    /// The state.
    pub state: LedgerState,
    /// Since when.
    pub since: Timestamp,
    /// Whom or what it waits for.
    pub waiting_on: String,
    /// When it was first received.
    pub received_at: Timestamp,
}

/// The ledger as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct Ledger {
    /// When it was reckoned.
    pub as_of: Timestamp,
    /// The totals.
    pub totals: Totals,
    /// The outcomes recorded for the practices asked about, whenever they were recorded.
    pub outcomes: Outcomes,
    /// True when everything adds up.
    pub reconciles: bool,
    /// Each way in which it does not.
    pub faults: Vec<String>,
    /// Practices that normally send and have stopped.
    pub silent: Vec<Silent>,
    /// Each practice and day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<Day>>,
    /// Outcomes by practice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub practices: Option<std::collections::BTreeMap<String, Outcomes>>,
    /// A line a referral; left out of a summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrals: Option<Vec<Line>>,
}

/// Reckons the ledger.
pub fn reckon(as_of: Timestamp, books: &Books<'_>) -> Ledger {
    let (practices, more) = outcomes::reckon(books.recorded, books.filings);
    let mut faults = departures(books);
    faults.extend(more);
    if faults.len() > FAULTS_MAX {
        let more = faults.len() - FAULTS_MAX;
        faults.truncate(FAULTS_MAX);
        faults.push(format!("and {more} more"));
    }
    Ledger {
        as_of,
        totals: totals(books),
        outcomes: outcomes::total(&practices),
        reconciles: faults.is_empty(),
        faults,
        silent: silence::silent(books.rows, as_of.to_zoned(jiff::tz::TimeZone::UTC).date()),
        days: Some(days::by_practice_and_day(books.rows, books.ignored)),
        practices: Some(practices),
        referrals: Some(books.rows.iter().map(line).collect()),
    }
}

impl Totals {
    /// The count of a state.
    fn of(&mut self, state: LedgerState) -> &mut u64 {
        match state {
            LedgerState::Waiting => &mut self.waiting,
            LedgerState::Open => &mut self.open,
            LedgerState::Closed => &mut self.closed,
            LedgerState::Returned => &mut self.returned,
            LedgerState::Held => &mut self.held,
            LedgerState::Withdrawn => &mut self.withdrawn,
        }
    }

    /// Each count with its word, in the order in which they are shown.
    pub fn words(&self) -> [(&'static str, u64); 8] {
        [
            ("received", self.received),
            ("waiting", self.waiting),
            ("open", self.open),
            ("closed", self.closed),
            ("returned", self.returned),
            ("held", self.held),
            ("withdrawn", self.withdrawn),
            ("ignored", self.ignored),
        ]
    }
}

fn totals(books: &Books<'_>) -> Totals {
    let ignored = books.ignored.iter().map(|one| one.count).sum();
    let mut totals = Totals { ignored, ..Totals::default() };
    for row in books.rows {
        *totals.of(row.state) += 1;
    }
    totals.received = books.rows.len() as u64 + ignored;
    totals
}

fn line(row: &LedgerRow) -> Line {
    Line {
        id: row.id.clone(),
        message: row.message.to_string(),
        practice: row.practice.as_ref().map(ToString::to_string),
        state: row.state,
        since: row.since,
        waiting_on: row.waiting_on.clone(),
        received_at: row.received_at,
    }
}

/// Where rows, holds and ServiceRequests do not tell the same story.
fn departures(books: &Books<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut states: BTreeMap<&str, LedgerState> = BTreeMap::new();
    let held: BTreeSet<&str> = books.holds.iter().filter_map(|hold| hold.referral.as_deref()).collect();
    for row in books.rows {
        if states.insert(&row.id, row.state).is_some() {
            faults.push(format!("{} is in the ledger more than once", row.id));
        }
        let kept = books.referrals.contains(&row.id);
        match row.state {
            LedgerState::Open | LedgerState::Closed | LedgerState::Returned if !kept => {
                faults.push(format!("{} is {} but has no ServiceRequest", row.id, row.state.word()));
            }
            LedgerState::Held if !held.contains(row.id.as_str()) => {
                faults.push(format!("{} is held but no hold says why", row.id));
            }
            LedgerState::Open if row.waiting_on.is_empty() => {
                faults.push(format!("{} is open but with nobody", row.id));
            }
            _ => {}
        }
        if row.since < row.received_at {
            faults.push(format!("{} has been {} since before it was received", row.id, row.state.word()));
        }
    }
    if books.whole {
        let missing = |id: &&str| !states.contains_key(id);
        faults
            .extend(held.iter().copied().filter(missing).map(|id| format!("{id} has a hold but is not in the ledger")));
        let kept = books.referrals.iter().map(String::as_str);
        faults.extend(kept.filter(missing).map(|id| format!("{id} is kept but is not in the ledger")));
    }
    faults
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fhir::ids::OdsCode;
    use crate::store::commit::Cause;
    use uuid::Uuid;

    static NOBODY: BTreeSet<String> = BTreeSet::new();
    const NONE: Books<'static> =
        Books { rows: &[], holds: &[], ignored: &[], recorded: &[], filings: &[], referrals: &NOBODY, whole: false };

    fn row(id: &str, state: LedgerState) -> LedgerRow {
        let at = Timestamp::UNIX_EPOCH;
        let waiting_on = "bootle".to_owned();
        LedgerRow { id: id.into(), message: Uuid::nil(), practice: None, state, since: at, waiting_on, received_at: at }
    }

    fn hold(referral: &str) -> Hold {
        Hold {
            id: Uuid::nil(),
            cause: Cause::Incomplete,
            channel: "bars".into(),
            received_at: Timestamp::UNIX_EPOCH,
            source: String::new(),
            practice: None,
            detail: String::new(),
            count: 1,
            referral: Some(referral.into()),
            replay: String::new(),
        }
    }

    fn ignored(practice: &str, count: u64) -> Ignored {
        let day = Some(jiff::civil::date(1970, 1, 1));
        Ignored { practice: OdsCode::parse(practice).unwrap(), day, reason: "test-patient".into(), count }
    }

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn books_that_agree_reconcile() {
        let rows = [row("a", LedgerState::Open), row("b", LedgerState::Held), row("c", LedgerState::Withdrawn)];
        let (holds, referrals, ignored) = ([hold("b")], ids(&["a"]), [ignored("N84001", 4)]);
        let books = Books { rows: &rows, holds: &holds, ignored: &ignored, referrals: &referrals, whole: true, ..NONE };
        let ledger = reckon(Timestamp::UNIX_EPOCH, &books);
        assert!(ledger.reconciles, "{:?}", ledger.faults);
        assert_eq!(
            ledger.totals,
            Totals { received: 7, open: 1, held: 1, withdrawn: 1, ignored: 4, ..Totals::default() }
        );
    }

    #[test]
    fn each_practice_and_day_adds_up_with_what_was_ignored_on_it() {
        let mut open = row("a", LedgerState::Open);
        open.practice = OdsCode::parse("N84001").ok();
        let mut before = ignored("N84001", 2);
        before.day = None;
        let counts = [ignored("N84001", 4), ignored("N84002", 1), before];
        let days = days::by_practice_and_day(&[open], &counts);
        let shown: Vec<_> = days
            .iter()
            .map(|day| (day.practice.as_str(), day.day.is_some(), day.totals.received, day.totals.ignored))
            .collect();
        assert_eq!(shown, [("N84001", false, 2, 2), ("N84001", true, 5, 4), ("N84002", true, 1, 1)]);
        let sums = |day: &Day| day.totals.words().iter().skip(1).map(|(_, count)| count).sum::<u64>();
        assert!(days.iter().all(|day| day.totals.received == sums(day)));
    }

    #[test]
    fn each_way_of_not_agreeing_is_named() {
        let mut early = row("e", LedgerState::Waiting);
        early.received_at = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1);
        let mut alone = row("f", LedgerState::Open);
        alone.waiting_on.clear();
        let rows =
            [row("a", LedgerState::Open), row("a", LedgerState::Open), row("b", LedgerState::Held), early, alone];
        let (holds, referrals) = ([hold("d")], ids(&["a", "c", "f"]));
        let books = Books { rows: &rows, holds: &holds, referrals: &referrals, whole: true, ..NONE };
        let ledger = reckon(Timestamp::UNIX_EPOCH, &books);
        assert!(!ledger.reconciles);
        assert_eq!(
            ledger.faults,
            [
                "a is in the ledger more than once",
                "b is held but no hold says why",
                "e has been waiting since before it was received",
                "f is open but with nobody",
                "d has a hold but is not in the ledger",
                "c is kept but is not in the ledger",
            ]
        );
        let part = Books { whole: false, ..books };
        assert_eq!(reckon(Timestamp::UNIX_EPOCH, &part).faults.len(), 4);
    }
}
