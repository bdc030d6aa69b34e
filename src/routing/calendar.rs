//! Working days in England: Monday to Friday without bank holidays, which are data
//! (`config/bank-holidays.csv`, from <https://www.gov.uk/bank-holidays>, England and Wales).
//! Pure; days are civil days in Europe/London.
//!
//! After the file's last year only weekends are free, and working days are miscounted. The gateway
//! warns when it starts and `fingerpost check` warns from [`NOTICE_DAYS`] before; from [`FAULT_DAYS`]
//! before, `check` has a fault. Extra bank holidays are rows like any.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday};
use jiff::{SignedDuration, Span, Timestamp, ToSpan as _};

use super::rows::Rows;
use crate::config::Fault;

/// The file's name under the configuration's folder.
pub const FILE: &str = "bank-holidays.csv";
/// The file as it is compiled in.
const TEXT: &str = include_str!("../../config/bank-holidays.csv");
/// Days before the calendar's end from which that is told: gov.uk has the next year's by then.
pub const NOTICE_DAYS: i32 = 365;
/// Days before the calendar's end from which it is a fault.
pub const FAULT_DAYS: i32 = 90;
/// The most working days that can be counted at once.
const DAYS_MAX: u32 = 1000;
/// The most working hours that can be counted at once.
const HOURS_MAX: u32 = 1000;
/// When a working day begins and ends, where hours are counted.
const OPENS: Time = Time::constant(9, 0, 0, 0);
const CLOSES: Time = Time::constant(17, 0, 0, 0);

/// Which days are working days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    free: BTreeSet<Date>,
}

impl Calendar {
    /// The calendar that is compiled in: a test sees to it that it has no fault.
    pub fn shipped() -> Self {
        Self::parse(FILE, TEXT).unwrap_or_default()
    }

    /// Reads `date,name,source,note`.
    ///
    /// # Errors
    /// Every fault with its line: a date that is none or stands twice, or falls on a weekend; an
    /// empty name or source; a year left out.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut free = BTreeSet::new();
        Rows::new(file, &mut faults).each(text, &["date", "name", "source", "note"], |rows, row| {
            let Ok(date) = row.cell("date").parse::<Date>() else {
                return rows.fault(row.line, format!("'{}' is not a date such as 2026-01-31", row.cell("date")));
            };
            if is_weekend(date) {
                rows.fault(row.line, format!("{date} is a {:?}: give the day that is free instead", date.weekday()));
            }
            if row.cell("name").is_empty() || row.cell("source").is_empty() {
                rows.fault(row.line, "name and source must not be empty");
            }
            if !free.insert(date) {
                rows.fault(row.line, format!("{date} stands on an earlier line too"));
            }
        });
        let years: Vec<i16> = free.iter().map(|date| date.year()).collect();
        if let Some(pair) = years.windows(2).find(|pair| pair[1] > pair[0] + 1) {
            faults.push(Fault { file: file.to_owned(), line: 1, text: format!("has no row of {}", pair[0] + 1) });
        }
        if free.is_empty() && faults.is_empty() {
            faults.push(Fault { file: file.to_owned(), line: 1, text: "has no rows".to_owned() });
        }
        if faults.is_empty() { Ok(Self { free }) } else { Err(faults) }
    }

    /// True for a day on which pools work.
    pub fn is_working(&self, on: Date) -> bool {
        !is_weekend(on) && !self.free.contains(&on)
    }

    /// The day that is `days` working days after `from`; with none, `from` or the next working day.
    pub fn after(&self, from: Date, days: u32) -> Date {
        let (mut on, mut left) = (from, days.min(DAYS_MAX));
        loop {
            if self.is_working(on) && left == 0 {
                return on;
            }
            on = later(on, 1.day());
            left -= u32::from(left > 0 && self.is_working(on));
        }
    }

    /// The instant that is `hours` working hours after `from`, in England's time.
    pub fn after_hours(&self, from: Timestamp, hours: u32) -> Timestamp {
        let zone = crate::clock::london();
        let mut at = from.to_zoned(zone.clone()).datetime();
        let mut left = SignedDuration::from_hours(i64::from(hours.min(HOURS_MAX)));
        loop {
            let (opens, closes) = (at.date().to_datetime(OPENS), at.date().to_datetime(CLOSES));
            if !self.is_working(at.date()) || at >= closes {
                at = later(at.date(), 1.day()).to_datetime(OPENS);
                continue;
            }
            at = at.max(opens);
            let room = at.duration_until(closes);
            if left <= room {
                at = at.saturating_add(left);
                return at.to_zoned(zone).map_or(from, |at| at.timestamp());
            }
            left -= room;
            at = closes;
        }
    }

    /// The last day of which the calendar knows the bank holidays.
    pub fn through(&self) -> Option<Date> {
        Date::new(self.free.last()?.year(), 12, 31).ok()
    }

    /// What must be told on a day of how long the calendar still reaches; `None`: nothing yet.
    pub fn notice(&self, on: Date) -> Option<String> {
        let through = self.through()?;
        if on > through {
            return Some(format!(
                "{FILE} ended on {through}: bank holidays since then are counted as working days; add the rows of {}",
                on.year()
            ));
        }
        self.ends_within(on, NOTICE_DAYS).then(|| {
            format!("{FILE} reaches to {through}; after that only weekends are free days: add the next year's rows")
        })
    }

    /// True when the calendar ends so soon that it is a fault, or has ended.
    pub fn is_ending(&self, on: Date) -> bool {
        self.ends_within(on, FAULT_DAYS)
    }

    fn ends_within(&self, on: Date, days: i32) -> bool {
        self.through().is_some_and(|through| later(on, Span::new().days(days)) > through)
    }
}

fn is_weekend(on: Date) -> bool {
    matches!(on.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn later(on: Date, by: Span) -> Date {
    on.saturating_add(by)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn working_hours_rest_at_night_and_on_free_days() {
        let calendar = Calendar::shipped();
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        for (from, hours, to) in [
            ("2026-01-06T09:30:00Z", 4, "2026-01-06T13:30:00Z"),
            ("2026-01-06T15:00:00Z", 4, "2026-01-07T11:00:00Z"),
            ("2026-01-06T13:00:00Z", 4, "2026-01-06T17:00:00Z"),
            ("2026-01-06T03:00:00Z", 1, "2026-01-06T10:00:00Z"),
            ("2026-01-09T16:00:00Z", 2, "2026-01-12T10:00:00Z"),
            ("2026-12-24T16:30:00Z", 1, "2026-12-29T09:30:00Z"),
            // In summer time nine o'clock is eight in UTC.
            ("2026-07-01T22:00:00Z", 4, "2026-07-02T12:00:00Z"),
        ] {
            assert_eq!(calendar.after_hours(at(from), hours), at(to), "{from}");
        }
    }

    #[test]
    fn counts_over_weekends_and_bank_holidays() {
        let calendar = Calendar::shipped();
        assert_eq!(calendar.after(day("2026-12-24"), 1), day("2026-12-29"));
        assert_eq!(calendar.after(day("2026-04-02"), 2), day("2026-04-08"));
        assert_eq!(calendar.after(day("2026-11-25"), 0), day("2026-11-25"));
        assert_eq!(calendar.after(day("2026-11-28"), 0), day("2026-11-30"));
        assert_eq!(calendar.after(day("2026-11-28"), 1), day("2026-11-30"));
        assert_eq!(calendar.after(day("2026-11-27"), 5), day("2026-12-04"));
        assert!(!calendar.is_working(day("2027-12-28")) && calendar.is_working(day("2027-12-29")));
    }

    #[test]
    fn its_end_is_told_in_time() {
        let calendar = Calendar::parse(FILE, TEXT).unwrap();
        assert_eq!(calendar.through(), Some(day("2027-12-31")));
        assert_eq!(calendar.notice(day("2026-12-31")), None);
        assert!(calendar.notice(day("2027-01-01")).unwrap().contains("reaches to 2027-12-31"));
        assert!(!calendar.is_ending(day("2027-10-02")) && calendar.is_ending(day("2027-10-03")));
        let ended = calendar.notice(day("2028-01-01")).unwrap();
        assert!(ended.contains("ended on 2027-12-31") && ended.contains("the rows of 2028"), "{ended}");
        assert!(calendar.is_ending(day("2030-01-01")));
        // What is warned of: New Year's Day, put off to the Monday, is a working day to it.
        assert!(calendar.is_working(day("2028-01-03")));
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let text = "date,name,source,note\n2026-12-26,Boxing Day,x,\n01/01/2027,New Year,x,\n2026-12-25,,x,\n2026-12-25,Christmas,x,\n2029-01-01,New Year,x,\n";
        let faults = Calendar::parse("f.csv", text).unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 1], "{faults:?}");
        assert!(Calendar::parse("f.csv", "date,name,source,note\n").is_err());
        assert!(Calendar::parse("f.csv", "date,name\n").is_err());
    }
}
