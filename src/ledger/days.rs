//! The ledger by practice and day of receipt: each cell's states add up to what was received.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::Totals;
use crate::store::commit::{Ignored, LedgerRow};

/// What one practice sent on one day, and where it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The practice's ODS code; empty: not known.
    pub practice: String,
    /// The day of receipt, UTC. `None`: ignored rows that were counted before days were kept.
    pub day: Option<Date>,
    /// The totals.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The ledger's rows and ignored counts by practice and day.
pub fn by_practice_and_day(rows: &[LedgerRow], ignored: &[Ignored]) -> Vec<Day> {
    let mut cells: BTreeMap<(String, Option<Date>), Totals> = BTreeMap::new();
    for row in rows {
        let practice = row.practice.as_ref().map(ToString::to_string).unwrap_or_default();
        let day = row.received_at.to_zoned(TimeZone::UTC).date();
        let totals = cells.entry((practice, Some(day))).or_default();
        *totals.of(row.state) += 1;
        totals.received += 1;
    }
    for Ignored { practice, day, count, .. } in ignored {
        let totals = cells.entry((practice.to_string(), *day)).or_default();
        totals.ignored += count;
        totals.received += count;
    }
    cells.into_iter().map(|((practice, day), totals)| Day { practice, day, totals }).collect()
}
