//! Link workers, when they work and when they are away, and the places where they see people.

use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use super::input::{Day, Sex};
use super::rows::Period;

/// When a working day becomes an evening.
pub const EVENING_FROM: Time = Time::constant(17, 0, 0, 0);
/// Minutes that a shift must go on after [`EVENING_FROM`] to see somebody in the evening.
pub const EVENING_MINUTES_MIN: i64 = 60;

/// One link worker's time in one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Their id; in several rows when they work for several pools, or did.
    pub id: String,
    /// Their name.
    pub name: String,
    /// The pool.
    pub pool: String,
    /// `None`: not said, so never the answer to somebody who asks for one.
    pub sex: Option<Sex>,
    /// Languages beside English in which they work, ISO 639 codes.
    pub languages: Vec<String>,
    /// When they work.
    pub shifts: Vec<Shift>,
    /// True when they see people at home.
    pub home_visits: bool,
    /// What they are skilled in, by the place's words, such as `debt`.
    pub skills: Vec<String>,
    /// Hundredths of full-time in this pool.
    pub fte_hundredths: u32,
    /// When this row is in force.
    pub period: Period,
    /// Its line; 0 when it came by FHIR.
    pub line: usize,
}

/// Some hours of a day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shift {
    /// The day.
    pub day: Day,
    /// When it begins.
    pub from: Time,
    /// When it ends.
    pub to: Time,
}

impl Shift {
    /// True when somebody can be seen in it from [`EVENING_FROM`] on.
    pub fn has_evening(&self) -> bool {
        let minutes = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
        let from = minutes(self.from).max(minutes(EVENING_FROM));
        minutes(self.to) - from >= EVENING_MINUTES_MIN
    }
}

/// Days on which a link worker is away. Why is nobody's business here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// The link worker's id: away from all pools.
    pub worker: String,
    /// First and last day; no last day: until further notice.
    pub period: Period,
    /// Its line; 0 when it came by FHIR.
    pub line: usize,
}

/// A place where a pool sees people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Venue {
    /// Its id.
    pub id: String,
    /// The pool.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// Its postcode.
    pub postcode: String,
    /// True when it is step-free.
    pub accessible: bool,
    /// When this row is in force.
    pub period: Period,
    /// Its line; 0 when it came by FHIR.
    pub line: usize,
}

/// Reads `mon-fri 09:00-17:00; sat 10:00-14:00; tue thu 17:00-20:00` as shifts in order.
///
/// # Errors
/// What is wrong: a word that is no day, hours that go back, two shifts at one time.
pub fn shifts(text: &str) -> Result<Vec<Shift>, String> {
    let mut out = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (days, hours) =
            part.rsplit_once(' ').ok_or_else(|| format!("'{part}' is not such as mon-fri 09:00-17:00"))?;
        let (from, to) = hours.split_once('-').ok_or_else(|| format!("'{hours}' is not such as 09:00-17:00"))?;
        let (from, to) = (time(from)?, time(to)?);
        if to <= from {
            return Err(format!("'{hours}' goes back in time"));
        }
        for word in days.split_whitespace() {
            out.extend(days_of(word)?.into_iter().map(|day| Shift { day, from, to }));
        }
    }
    if out.is_empty() {
        return Err("are empty: say when, such as mon-fri 09:00-17:00".into());
    }
    out.sort_unstable();
    Ok(out)
}

fn time(text: &str) -> Result<Time, String> {
    let parts = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2);
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i8>().ok()).flatten();
    parts
        .and_then(|(hour, minute)| Time::new(number(hour)?, number(minute)?, 0, 0).ok())
        .ok_or_else(|| format!("'{text}' is not a time such as 09:00"))
}

fn days_of(word: &str) -> Result<Vec<Day>, String> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (day(first)?, day(last)?);
    if last < first {
        return Err(format!("'{word}' goes back in the week"));
    }
    Ok(Day::ALL.into_iter().filter(|day| (first..=last).contains(day)).collect())
}

fn day(word: &str) -> Result<Day, String> {
    Day::parse(word).ok_or_else(|| format!("'{word}' is not one of mon, tue, wed, thu, fri, sat, sun"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn working_hours_are_read_and_bad_ones_are_named() {
        let read = shifts("sat 10:00-14:00; mon-wed fri 09:00-17:30").unwrap();
        let days: Vec<Day> = read.iter().map(|shift| shift.day).collect();
        assert_eq!(days, [Day::Mon, Day::Tue, Day::Wed, Day::Fri, Day::Sat]);
        assert!(!read[0].has_evening(), "half an hour is too short");
        assert!(shifts("wed 17:00-20:00").unwrap()[0].has_evening());
        assert!(!shifts("wed 08:00-12:00").unwrap()[0].has_evening());
        for (text, why) in [
            ("", "empty"),
            ("mon", "is not such as"),
            ("mon 9:00-17:00", "'9:00' is not a time"),
            ("mon 09:00-25:00", "'25:00' is not a time"),
            ("mon 17:00-09:00", "goes back in time"),
            ("fri-mon 09:00-17:00", "goes back in the week"),
            ("monday 09:00-17:00", "'monday' is not one of"),
        ] {
            assert!(shifts(text).unwrap_err().contains(why), "{text}");
        }
    }
}
