//! The sentences of a decision, in words that a receptionist understands. They say what was asked
//! and what is so of pools; of a link worker only that they are not what was asked for.

use std::borrow::Cow;

use jiff::civil::Date;

use super::input::{Day, RouteInput, Sex};
use super::place::Desk;
use super::suit::{Refusal, Unfit, Weighed, bits};

/// Pieces that the sentence of what was asked for seldom exceeds.
const PIECES: usize = 24;

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
    // Pieces of the sentence, each wish after a comma; put together in one go.
    let mut text: Vec<&str> = Vec::with_capacity(PIECES);
    if let Some(sex) = input.worker_sex {
        text.extend([", ", if sex == Sex::Female { "a woman as link worker" } else { "a man as link worker" }]);
    }
    if let Some(code) = language {
        let known = LANGUAGES.binary_search_by_key(&code, |(code, _)| code);
        let name = known.map_or(code, |at| LANGUAGES[at].1);
        text.extend([", ", name, if input.interpreter { " or an interpreter" } else { "" }]);
    }
    if input.home_visit {
        text.extend([", ", "a home visit"]);
    }
    if input.accessible {
        text.extend([", ", "a step-free place"]);
    }
    for (at, skill) in input.specialisms.iter().enumerate() {
        text.extend(if at == 0 { [", ", "skills in ", skill] } else { ["", " and ", skill] });
    }
    let days = bits(&input.days);
    for (at, day) in Day::ALL.into_iter().filter(|day| days & bits(&[*day]) != 0).enumerate() {
        text.extend([if at == 0 { ", " } else { " or " }, day.name()]);
    }
    if input.evening {
        text.extend([", ", "an evening"]);
    }
    *text.first_mut()? = "Asked for: ";
    text.push(".");
    Some(text.concat())
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

/// How busy a pool is.
pub(super) fn load(weighed: &Weighed<'_>) -> String {
    let mut text = String::with_capacity(48);
    number(&mut text, weighed.open);
    text.push_str(" open, room for ");
    number(&mut text, weighed.room);
    if let Some(limit) = weighed.pool.limit {
        text.push_str(", at most ");
        number(&mut text, limit.into());
    }
    text
}

/// A date as `2026-01-31`.
pub(super) fn day(on: Date) -> String {
    let Ok(year) = u16::try_from(on.year()) else { return on.to_string() };
    let (month, day) = (on.month().unsigned_abs(), on.day().unsigned_abs());
    let mut text = String::with_capacity(10);
    for (value, divisor) in [(year, 1000), (year, 100), (year, 10), (year, 1)] {
        text.push(digit(u64::from(value / divisor)));
    }
    for value in [month, day] {
        text.push('-');
        text.push(digit(u64::from(value / 10)));
        text.push(digit(u64::from(value)));
    }
    text
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
