//! When what falls due: how long a pool has until it must have made contact, when it is reminded,
//! when whoever looks after it is told, when the referral goes back. Pure.
//!
//! A pool's time is counted in working days and ends with a day; a desk's is counted in hours.
//! What falls due on a day falls due in its morning, when people are there to see it.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::calendar::Calendar;
use super::place::Place;

/// When in the day reminders, escalations and returns are made.
const MORNING: Time = Time::constant(9, 0, 0, 0);

/// A place's settings, `[clocks]` of `place.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// The share of a pool's working days after which it is reminded.
    pub reminder_percent: u32,
    /// Working days after the target until whoever looks after the pool is told.
    pub escalate_after_days: u32,
    /// Working days after that until the referral goes back to the referrer; 0: never.
    pub return_after_days: u32,
}

impl Default for Clocks {
    fn default() -> Self {
        Self { reminder_percent: 50, escalate_after_days: 1, return_after_days: 10 }
    }
}

/// The clock of one referral with one pool or desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// By when the person should have been contacted (a pool), or the referral placed (a desk).
    pub target: Timestamp,
    /// When the pool is reminded; a desk is not.
    pub remind: Option<Timestamp>,
    /// When whoever looks after it is told.
    pub escalate: Timestamp,
}

impl Place {
    /// The clock that begins when a referral comes to `pool` at `at`; `None`: it has none.
    pub fn clock(&self, calendar: &Calendar, pool: &str, at: Timestamp) -> Option<Plan> {
        let zone = crate::clock::london();
        if let Some(desk) = self.desk(pool) {
            let hours = SignedDuration::from_hours(i64::from(desk.clock_hours));
            let target = at.checked_add(hours).ok().filter(|_| desk.clock_hours > 0)?;
            return Some(Plan { target, remind: None, escalate: target });
        }
        let on = at.to_zoned(zone.clone()).date();
        let days = self.first_contact_days(pool, on)?;
        let last = calendar.after(on, days);
        let target = morning(last.tomorrow().unwrap_or(last), Time::midnight(), &zone);
        let reminded = calendar.after(on, days * self.clocks.reminder_percent / 100);
        // A reminder on the last day, or at once, would help nobody.
        let remind = (reminded > on && reminded < last).then(|| morning(reminded, MORNING, &zone));
        let told = calendar.after(last, self.clocks.escalate_after_days.max(1));
        Some(Plan { target, remind, escalate: morning(told, MORNING, &zone) })
    }

    /// When the referral goes back, if whoever was told at `told` does nothing; `None`: never.
    pub fn gives_back(&self, calendar: &Calendar, told: Timestamp) -> Option<Timestamp> {
        let zone = crate::clock::london();
        let days = self.clocks.return_after_days;
        let on = told.to_zoned(zone.clone()).date();
        (days > 0).then(|| morning(calendar.after(on, days), MORNING, &zone))
    }
}

/// An hour of a day in a zone; one that the change of the clocks leaves out is the next that is.
fn morning(on: Date, time: Time, zone: &TimeZone) -> Timestamp {
    on.to_datetime(time).to_zoned(zone.clone()).map_or(Timestamp::UNIX_EPOCH, |at| at.timestamp())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::routing::PlaceFiles;

    fn place() -> Place {
        Place::load("sefton", &PlaceFiles::shipped("sefton").unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_pool_counts_working_days_and_ends_with_a_day() {
        let (mut place, calendar) = (place(), Calendar::shipped());
        place.clocks = Clocks { reminder_percent: 60, escalate_after_days: 1, return_after_days: 10 };
        let pool = place.pools().iter().find(|pool| pool.first_contact_days.is_some()).unwrap();
        let (id, days) = (pool.id.clone(), pool.first_contact_days.unwrap());
        // The Wednesday before Christmas, in winter time.
        let begun = at("2026-12-23T23:30:00Z");
        let plan = place.clock(&calendar, &id, begun).unwrap();
        let last = calendar.after("2026-12-23".parse().unwrap(), days);
        assert_eq!(plan.target, at(&format!("{}T00:00:00Z", last.tomorrow().unwrap())));
        assert_eq!(plan.escalate, at(&format!("{}T09:00:00Z", calendar.after(last, 1))));
        assert!(plan.remind.is_none_or(|remind| begun < remind && remind < plan.target));
        // In summer time nine o'clock is eight in UTC.
        let summer = place.clock(&calendar, &id, at("2026-07-01T10:00:00Z")).unwrap();
        assert!(summer.escalate.to_string().ends_with("T08:00:00Z"), "{}", summer.escalate);
    }

    #[test]
    fn a_desk_counts_hours_and_one_without_a_clock_has_none() {
        let (place, calendar) = (place(), Calendar::shipped());
        let begun = at("2026-12-24T12:00:00Z");
        let plan = place.clock(&calendar, "unallocated", begun).unwrap();
        let hours = i64::from(place.unallocated.clock_hours);
        assert_eq!((plan.target, plan.remind), (begun + SignedDuration::from_hours(hours), None));
        assert_eq!(place.clock(&calendar, "nowhere", begun), None);
    }

    #[test]
    fn it_goes_back_from_when_somebody_was_told_or_never() {
        let (mut place, calendar) = (place(), Calendar::shipped());
        let told = at("2026-12-24T09:00:00Z");
        assert_eq!(place.gives_back(&calendar, told), Some(at("2027-01-12T09:00:00Z")));
        place.clocks.return_after_days = 0;
        assert_eq!(place.gives_back(&calendar, told), None);
    }
}
