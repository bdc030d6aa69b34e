//! The ledger by practice and day of receipt: each cell's states add up to what was received.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::Totals;
use crate::store::commit::LedgerRow;

/// What one practice sent on one day, and where it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The practice's ODS code; empty: not known.
    pub practice: String,
    /// The day of receipt, UTC. `None`: counts that are kept without a day (ignored rows).
    pub day: Option<Date>,
    /// The totals.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The ledger's rows and ignored counts `(practice, count)` by practice and day.
pub fn by_practice_and_day(rows: &[LedgerRow], ignored: &[(String, u64)]) -> Vec<Day> {
    let mut cells: BTreeMap<(String, Option<Date>), Totals> = BTreeMap::new();
    for row in rows {
        let practice = row.practice.as_ref().map(ToString::to_string).unwrap_or_default();
        let day = row.received_at.to_zoned(TimeZone::UTC).date();
        let totals = cells.entry((practice, Some(day))).or_default();
        *totals.of(row.state) += 1;
        totals.received += 1;
    }
    for (practice, count) in ignored {
        let totals = cells.entry((practice.clone(), None)).or_default();
        totals.ignored += count;
        totals.received += count;
    }
    cells.into_iter().map(|((practice, day), totals)| Day { practice, day, totals }).collect()
}
