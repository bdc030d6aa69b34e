//! The sentences of a decision, in words that a receptionist understands. They say what was asked
//! and what is so of pools; of a link worker only that they are not what was asked for.

use std::borrow::Cow;

use jiff::civil::Date;

use super::input::{Day, RouteInput, Sex};
use super::place::Desk;
use super::suit::{Refusal, Unfit, Weighed, bits};

/// Bytes that the sentence of what was asked for seldom exceeds.
const ASKED: usize = 160;
/// Bytes of a date.
pub(super) const DAY: usize = 10;
/// Bytes that how busy a pool is seldom exceeds, with its brackets.
const LOAD: usize = 48;

/// English names of languages that are often asked for, by code in order; others go by their code.
const LANGUAGES: &[(&str, &str)] = &[
    ("ar", "Arabic"),
    ("bfi", "British Sign Language"),
    ("bg", "Bulgarian"),
    ("bn", "Bengali"),
    ("cs", "Czech"),
    ("es", "Spanish"),
    ("fa", "Farsi"),
    ("fr", "French"),
    ("gu", "Gujarati"),
    ("hi", "Hindi"),
    ("ku", "Kurdish"),
    ("lt", "Lithuanian"),
    ("lv", "Latvian"),
    ("pa", "Punjabi"),
    ("pl", "Polish"),
    ("ps", "Pashto"),
    ("pt", "Portuguese"),
    ("ro", "Romanian"),
    ("ru", "Russian"),
    ("sk", "Slovak"),
    ("so", "Somali"),
    ("ta", "Tamil"),
    ("ti", "Tigrinya"),
    ("tr", "Turkish"),
    ("uk", "Ukrainian"),
    ("ur", "Urdu"),
    ("vi", "Vietnamese"),
    ("yue", "Cantonese"),
    ("zh", "Chinese"),
];

/// What the referral asks for, as a sentence; `None`: nothing in particular.
pub(super) fn asked(input: &RouteInput, language: Option<&str>) -> Option<String> {
    let days = bits(&input.days);
    let mut text = Asked(String::new());
    if let Some(sex) = input.worker_sex {
        text.wish(&[if sex == Sex::Female { "a woman as link worker" } else { "a man as link worker" }]);
    }
    if let Some(code) = language {
        let known = LANGUAGES.binary_search_by_key(&code, |(code, _)| code);
        let name = known.map_or(code, |at| LANGUAGES[at].1);
        text.wish(&[name, if input.interpreter { " or an interpreter" } else { "" }]);
    }
    if input.home_visit {
        text.wish(&["a home visit"]);
    }
    if input.accessible {
        text.wish(&["a step-free place"]);
    }
    for (at, skill) in input.specialisms.iter().enumerate() {
        if at == 0 { text.wish(&["skills in ", skill]) } else { text.more(&[" and ", skill]) }
    }
    for (at, day) in Day::ALL.into_iter().filter(|day| days & bits(&[*day]) != 0).enumerate() {
        if at == 0 { text.wish(&[day.name()]) } else { text.more(&[" or ", day.name()]) }
    }
    if input.evening {
        text.wish(&["an evening"]);
    }
    if text.0.is_empty() {
        return None;
    }
    text.more(&["."]);
    Some(text.0)
}

/// The sentence of what was asked for, while it is put together.
struct Asked(String);

impl Asked {
    fn wish(&mut self, parts: &[&str]) {
        if self.0.is_empty() {
            self.0.reserve(ASKED);
            self.more(&["Asked for: "]);
        } else {
            self.more(&[", "]);
        }
        self.more(parts);
    }

    fn more(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.0.push_str(part));
    }
}

/// Why a link worker is not the one.
pub(super) fn unfit(why: Unfit) -> &'static str {
    match why {
        Unfit::Absent => "away on that day",
        Unfit::Sex => "not of the sex that was asked for",
        Unfit::Language => "does not have the language that was asked for",
        Unfit::HomeVisit => "does not see people at home",
        Unfit::Skill => "does not have the skills that were asked for",
        Unfit::Day => "does not work on the days that were asked for",
        Unfit::Evening => "has no evening on the days that were asked for",
    }
}

/// Why a pool is not the one, to follow its name.
pub(super) fn refusal(why: Refusal) -> Cow<'static, str> {
    match why {
        Refusal::HandedBack => "handed the referral back".into(),
        Refusal::Closed => "takes no new referrals".into(),
        Refusal::AtLimit(limit) => format!("is at its limit of {limit}").into(),
        Refusal::NobodyAtWork => "has nobody at work on that day".into(),
        Refusal::NobodySuitable => "has nobody suitable at work on that day".into(),
        Refusal::NoStepFreeVenue => "has no step-free place".into(),
    }
}

/// How busy a pool is, to stand between brackets.
pub(super) fn load(text: &mut String, weighed: &Weighed<'_>) {
    number(text, weighed.open);
    text.push_str(" open, room for ");
    number(text, weighed.room);
    if let Some(limit) = weighed.pool.limit {
        text.push_str(", at most ");
        number(text, limit.into());
    }
}

/// A sentence about a pool that ends with how busy it is.
pub(super) fn sentence(parts: &[&str], weighed: &Weighed<'_>) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + LOAD);
    parts.iter().for_each(|part| text.push_str(part));
    text.push_str(" (");
    load(&mut text, weighed);
    text.push_str(").");
    text
}

/// A date as `2026-01-31`.
pub(super) fn day(text: &mut String, on: Date) {
    let Ok(year) = u16::try_from(on.year()) else { return text.push_str(&on.to_string()) };
    for (value, divisor) in [(year, 1000), (year, 100), (year, 10), (year, 1)] {
        text.push(digit(u64::from(value / divisor)));
    }
    for value in [on.month().unsigned_abs(), on.day().unsigned_abs()] {
        text.push('-');
        text.push(digit(u64::from(value / 10)));
        text.push(digit(u64::from(value)));
    }
}

fn number(text: &mut String, value: u64) {
    if value >= 10 {
        number(text, value / 10);
    }
    text.push(digit(value));
}

/// The last digit.
fn digit(value: u64) -> char {
    char::from(b'0' + u8::try_from(value % 10).unwrap_or(0))
}

/// Who looks after a desk.
pub(super) fn desk(desk: &Desk) -> String {
    match desk.clock_hours {
        0 => format!("{} looks after {}.", desk.owner, desk.name),
        hours => format!("{} looks after {} and places it within {hours} hours.", desk.owner, desk.name),
    }
}

#[cfg(test)]
mod tests {
    use super::LANGUAGES;

    #[test]
    fn languages_stand_in_the_order_in_which_they_are_looked_up() {
        assert!(LANGUAGES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
