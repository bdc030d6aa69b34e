//! FHIR dates as ranges of instants. <https://hl7.org/fhir/R4/search.html#date>
//!
//! A partial date is the whole of its day, month or year. One without an offset is read in UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::Value;

use crate::clock::instant;

/// Where a range begins that has no beginning.
const OPEN_START: &str = "0000-01-01T00:00:00.000Z";
/// Where a range ends that has no end.
const OPEN_END: &str = "9999-12-31T23:59:59.999Z";

/// The first and last instant of a date, as 24-character UTC texts that sort as they follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The first millisecond.
    pub earliest: String,
    /// The last millisecond.
    pub latest: String,
}

/// The range of a date text or of a Period; `None` when it is neither.
pub fn range_of(value: &Value) -> Option<Range> {
    if let Some(text) = value.as_str() {
        return range(text);
    }
    let members = value.as_object()?;
    let end = |name: &str| members.get(name).and_then(Value::as_str).and_then(range);
    match (end("start"), end("end")) {
        (None, None) => None,
        (start, end) => Some(Range {
            earliest: start.map_or_else(|| OPEN_START.to_owned(), |range| range.earliest),
            latest: end.map_or_else(|| OPEN_END.to_owned(), |range| range.latest),
        }),
    }
}

/// The range of a FHIR date, dateTime or instant.
pub fn range(text: &str) -> Option<Range> {
    let (first, after) = bounds(text)?;
    Some(Range { earliest: instant(first), latest: instant(after.checked_sub(SignedDuration::from_millis(1)).ok()?) })
}

/// The first instant of a date and the first after it.
pub fn bounds(text: &str) -> Option<(Timestamp, Timestamp)> {
    let shaped = text.is_ascii() && (4..=40).contains(&text.len());
    match (shaped, text.len()) {
        (true, 4) => days(text.parse().ok()?, 1, 1, 1.year()),
        (true, 7) => days(text[..4].parse().ok()?, month(&text[4..])?, 1, 1.month()),
        (true, 10) => {
            let date: Date = text.parse().ok()?;
            days(date.year(), date.month(), date.day(), 1.day())
        }
        (true, _) => time(text),
        (false, _) => None,
    }
}

fn month(text: &str) -> Option<i8> {
    text.strip_prefix('-')?.parse().ok()
}

fn days(year: i16, month: i8, day: i8, long: jiff::Span) -> Option<(Timestamp, Timestamp)> {
    let first = Date::new(year, month, day).ok()?;
    let after = first.checked_add(long).ok()?;
    let at = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    Some((at(first)?, at(after)?))
}

/// `YYYY-MM-DDThh:mm[:ss[.fff]]` with `Z`, an offset or neither.
fn time(text: &str) -> Option<(Timestamp, Timestamp)> {
    let clock = text.get(11..)?;
    let (clock, zone) = match clock.find(['Z', '+', '-']) {
        Some(at) => clock.split_at(at),
        None => (clock, "Z"),
    };
    let (whole, long) = match clock.len() {
        5 => (format!("{clock}:00"), SignedDuration::from_secs(60)),
        8 => (clock.to_owned(), SignedDuration::from_secs(1)),
        9.. => (clock.to_owned(), SignedDuration::from_millis(1)),
        _ => return None,
    };
    let first: Timestamp = format!("{}T{whole}{zone}", text.get(..10)?).parse().ok()?;
    Some((first, first.checked_add(long).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pair(text: &str) -> Option<(String, String)> {
        range(text).map(|range| (range.earliest, range.latest))
    }

    #[test]
    fn a_date_is_as_long_as_it_is_vague() {
        let both = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(pair("2026"), both("2026-01-01T00:00:00.000Z", "2026-12-31T23:59:59.999Z"));
        assert_eq!(pair("2024-02"), both("2024-02-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z"));
        assert_eq!(pair("2026-03-29T10:00"), both("2026-03-29T10:00:00.000Z", "2026-03-29T10:00:59.999Z"));
        assert_eq!(pair("2026-01-05T10:00:00+07:00"), both("2026-01-05T03:00:00.000Z", "2026-01-05T03:00:00.999Z"));
        assert_eq!(pair("2026-01-05T10:00:00.123Z"), both("2026-01-05T10:00:00.123Z", "2026-01-05T10:00:00.123Z"));
    }

    #[test]
    fn what_is_no_date_has_no_range() {
        for text in ["", "26", "2026-13", "2026-02-30", "yesterday", "2026-01-05Tnoon", "２０２６", "2026-01-05T10"]
        {
            assert_eq!(pair(text), None, "{text}");
        }
    }

    #[test]
    fn a_period_may_be_open() {
        let range = range_of(&json!({"start": "2026-01-05"})).map(|r| (r.earliest, r.latest));
        assert_eq!(range, Some(("2026-01-05T00:00:00.000Z".into(), OPEN_END.into())));
        assert_eq!(range_of(&json!({})), None);
    }
}
