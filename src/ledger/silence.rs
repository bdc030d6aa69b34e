//! A practice that normally sends and has stopped: nothing comes in, so nothing else would show it.
//!
//! A practice is silent when the days since its last referral are more than [`FACTOR`] times the
//! gap that it usually leaves (nine in ten of its gaps are no longer), and more than
//! [`DAYS_MIN`]. One that has sent on fewer than [`DAYS_SENT_MIN`] days has no usual gap yet.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::store::commit::LedgerRow;

/// Times the usual gap.
pub const FACTOR: i32 = 2;
/// Days that are never called silence: a week, and the bank holidays around it.
pub const DAYS_MIN: i32 = 10;
/// Days on which a practice must have sent before it has a usual gap.
pub const DAYS_SENT_MIN: usize = 6;
/// Days back that are looked at.
const DAYS_BACK: i32 = 365;

/// A silent practice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silent {
    /// Its ODS code.
    pub practice: String,
    /// The day of its last referral, UTC.
    pub last: Date,
    /// Days since then.
    pub days: i32,
    /// The gap, in days, that nine in ten of its gaps do not exceed.
    pub usual: i32,
}

/// The practices that are silent on `today`, the longest silence first.
pub fn silent(rows: &[LedgerRow], today: Date) -> Vec<Silent> {
    let mut days: BTreeMap<&str, BTreeSet<Date>> = BTreeMap::new();
    for row in rows {
        let day = row.received_at.to_zoned(TimeZone::UTC).date();
        if let Some(practice) = row.practice.as_ref().filter(|_| between(day, today) <= DAYS_BACK) {
            days.entry(practice.as_str()).or_default().insert(day);
        }
    }
    let mut silent: Vec<Silent> = days.into_iter().filter_map(|(practice, days)| of(practice, &days, today)).collect();
    silent.sort_by(|a, b| (b.days, &a.practice).cmp(&(a.days, &b.practice)));
    silent
}

fn of(practice: &str, days: &BTreeSet<Date>, today: Date) -> Option<Silent> {
    if days.len() < DAYS_SENT_MIN {
        return None;
    }
    let days: Vec<Date> = days.iter().copied().collect();
    let mut gaps: Vec<i32> = days.windows(2).map(|pair| between(pair[0], pair[1])).collect();
    gaps.sort_unstable();
    let usual = *gaps.get((gaps.len() * 9).div_ceil(10).saturating_sub(1))?;
    let last = *days.last()?;
    let since = between(last, today);
    (since > DAYS_MIN && since > usual * FACTOR).then(|| Silent {
        practice: practice.to_owned(),
        last,
        days: since,
        usual,
    })
}

fn between(from: Date, to: Date) -> i32 {
    from.until(to).map_or(0, |span| span.get_days())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fhir::ids::OdsCode;
    use crate::store::commit::LedgerState;
    use jiff::civil::date;

    fn row(practice: &str, day: Date) -> LedgerRow {
        let at = day.to_zoned(TimeZone::UTC).unwrap().timestamp();
        LedgerRow {
            id: format!("{practice}-{day}"),
            message: uuid::Uuid::nil(),
            practice: Some(OdsCode::parse(practice).unwrap()),
            state: LedgerState::Closed,
            since: at,
            waiting_on: String::new(),
            received_at: at,
        }
    }

    #[test]
    fn a_practice_that_stopped_is_seen_and_one_that_sends_seldom_is_not() {
        let start = date(2026, 1, 5);
        let day = |n: i64| start.checked_add(jiff::Span::new().days(n)).unwrap();
        let mut rows: Vec<LedgerRow> = (0..40).step_by(2).map(|n| row("N84001", day(n))).collect();
        rows.extend((0..100).step_by(20).chain([100]).map(|n| row("N84002", day(n))));
        rows.extend([0, 1, 2].map(|n| row("N84003", day(n))));
        let today = day(130);
        let found = silent(&rows, today);
        assert_eq!(found, [Silent { practice: "N84001".into(), last: day(38), days: 92, usual: 2 }]);
        assert!(silent(&rows, day(45)).is_empty(), "a week without referrals is no silence");
        assert_eq!(silent(&rows, day(141)).len(), 2, "twice its usual 20 days");
        assert!(silent(&rows, day(500)).is_empty(), "what stopped over a year ago is no news");
    }
}
