//! Slots for contacts: what the link workers of a pool can do on a day.
//!
//! A full-time link worker sees so many people in a year (`capacity.yearly_per_fte`), each so many
//! times: that is their contacts in a year, spread evenly over the days of the week on which they
//! work. On a day of absence there are none. Bank holidays and leave that nobody has entered are in
//! the yearly figure already.

use std::collections::{HashMap, HashSet};

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::{Contacts, Plan};
use crate::routing::{Day, Place};

/// Closed referrals with a contact, from which on stored Encounters say more than the figures.
const MEASURED_MIN: u64 = 30;
/// How far a measured mean is spread to both sides.
const SPREAD: u32 = 3;
/// Weeks of a year.
const WEEKS: u64 = 52;

/// Contacts a person: measured where there are enough, else the place's figures.
pub fn contacts(plan: &Plan<'_>) -> Contacts {
    let capacity = plan.new.capacity;
    let spread_days = capacity.weeks_open * 7;
    let enough = plan.measured.filter(|measured| measured.people >= MEASURED_MIN);
    let mean = enough.and_then(|measured| u32::try_from(measured.contacts / measured.people).ok());
    match mean {
        Some(mean) => {
            Contacts { least: mean.saturating_sub(SPREAD).max(1), most: mean + SPREAD, spread_days, measured: true }
        }
        None => {
            let (least, most) = (capacity.contacts_min, capacity.contacts_max.max(capacity.contacts_min));
            Contacts { least, most, spread_days, measured: false }
        }
    }
}

/// The link workers of a place, as slots.
#[derive(Debug)]
pub struct Workforce<'a> {
    place: &'a Place,
    /// Thousandths of a contact in a week by a hundredth of full-time, times 100.
    weekly: u64,
    pools: HashSet<&'a str>,
    /// Days worked in a week, by link worker and pool.
    week: HashMap<(&'a str, &'a str), u64>,
}

impl<'a> Workforce<'a> {
    /// The link workers of a place with so many contacts a person.
    pub fn of(place: &'a Place, contacts: Contacts) -> Self {
        let mean_twice = u64::from(contacts.least) + u64::from(contacts.most);
        let weekly = u64::from(place.capacity.yearly_per_fte) * mean_twice * 1000 / (2 * WEEKS);
        let mut week = HashMap::new();
        for worker in place.workers() {
            let days: HashSet<Day> = worker.shifts.iter().map(|shift| shift.day).collect();
            week.insert((worker.id.as_str(), worker.pool.as_str()), days.len() as u64);
        }
        let pools = place.pools().iter().map(|pool| pool.id.as_str()).collect();
        Self { place, weekly, pools, week }
    }

    /// True for a pool of the place; false for a desk.
    pub fn has(&self, pool: &str) -> bool {
        self.pools.contains(pool)
    }

    /// Thousandths of contacts that a pool has time for on a day, counted from 1970-01-01.
    pub fn slots(&self, pool: &str, on: i64) -> u64 {
        let Ok(on) = Date::constant(1970, 1, 1).checked_add(on.days()) else { return 0 };
        let today = Day::of(on);
        let here = self.place.crew(pool, on).filter(|(_, here)| *here).map(|(worker, _)| worker);
        here.filter(|worker| worker.shifts.iter().any(|shift| shift.day == today))
            .map(|worker| {
                let days = self.week.get(&(worker.id.as_str(), worker.pool.as_str())).copied().unwrap_or(5).max(1);
                u64::from(worker.fte_hundredths) * self.weekly / (100 * days)
            })
            .sum()
    }
}
