//! The closed list of conversions that a row may name with `as`. Each takes the text of one or
//! two source cells and gives the text of a FHIR primitive, nothing, or why it cannot.
//! Local times are Europe/London. <https://hl7.org/fhir/R4/datatypes.html#dateTime>

use std::borrow::Cow;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde_json::Value;

use super::tables::without_synonym;
use crate::fhir::ids::{IdFault, NhsNumber, OdsCode, SNOMED, SnomedCode};
use crate::store::commit::Cause;

/// A named conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Each is described in mappings/README.md.
pub enum Transform {
    Text,
    Code,
    CodeText,
    IdText,
    Guid,
    GuidPath,
    Ubrn,
    Sctid,
    ReadCode,
    NhsNumber,
    Ods,
    Date,
    PartialDatetime,
    FhirDatetime,
    Boolean,
    Postcode,
    Phone,
    Email,
    Element,
}

const NAMES: [(&str, Transform); 19] = [
    ("text", Transform::Text),
    ("code", Transform::Code),
    ("code_text", Transform::CodeText),
    ("id_text", Transform::IdText),
    ("guid", Transform::Guid),
    ("guid_path", Transform::GuidPath),
    ("ubrn", Transform::Ubrn),
    ("sctid", Transform::Sctid),
    ("read_code", Transform::ReadCode),
    ("nhs_number", Transform::NhsNumber),
    ("ods", Transform::Ods),
    ("date", Transform::Date),
    ("partial_datetime", Transform::PartialDatetime),
    ("fhir_datetime", Transform::FhirDatetime),
    ("boolean", Transform::Boolean),
    ("postcode", Transform::Postcode),
    ("phone", Transform::Phone),
    ("email", Transform::Email),
    ("element", Transform::Element),
];

/// What a conversion gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Done<'a> {
    /// The cells hold nothing to convert.
    Absent,
    /// The value.
    Text(Cow<'a, str>),
    /// The value, with something to note about it.
    Noted(Cow<'a, str>, &'static str),
}

/// Why a value cannot be converted. Never holds the value.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, as the end of "the value ...".
    pub why: String,
    /// The hold's cause, unless the row names one.
    pub cause: Cause,
}

/// Control characters that FHIR strings may hold.
const ALLOWED_CONTROLS: [char; 3] = ['\t', '\n', '\r'];
/// The year since when the clocks have changed by the present rule.
const LONDON_RULE_SINCE: i16 = 1996;
/// Digits of an e-RS booking reference.
const UBRN_DIGITS: usize = 12;

impl Transform {
    /// The conversion of that name.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, transform)| *transform)
    }

    /// All names, for the fault that lists them.
    pub fn names() -> String {
        NAMES.map(|(name, _)| name).join(", ")
    }

    /// How many cells an alternative may have.
    pub const fn cells(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::GuidPath => 2..=2,
            Self::PartialDatetime => 1..=2,
            _ => 1..=1,
        }
    }

    /// True where the value is about the person, so that no text may repeat it.
    pub const fn private(self) -> bool {
        !matches!(self, Self::Code | Self::CodeText | Self::Sctid | Self::ReadCode | Self::Ods | Self::Boolean)
    }

    /// The hold's cause when the value is missing.
    pub const fn missing_cause(self) -> Cause {
        match self {
            Self::NhsNumber => Cause::NhsNumberMissing,
            Self::Sctid | Self::ReadCode => Cause::CodeUnknown,
            Self::Ods => Cause::PracticeUnknown,
            _ => Cause::Incomplete,
        }
    }

    /// Converts the text of the cells; the first is not blank.
    pub fn apply<'a>(self, first: Cow<'a, str>, second: Option<Cow<'a, str>>) -> Result<Done<'a>, Invalid> {
        if first.chars().any(|c| c.is_control() && !ALLOWED_CONTROLS.contains(&c)) || first.contains('\u{fffd}') {
            return invalid("holds characters that were damaged on the way", Cause::Encoding);
        }
        match self {
            Self::Text | Self::IdText | Self::Phone | Self::Element => Ok(Done::Text(first)),
            Self::Code | Self::CodeText => token(first),
            Self::Guid => guid(&first).map(|guid| Done::Text(guid.into())),
            Self::GuidPath => guid_path(&first, second.as_deref()),
            Self::Ubrn => ubrn(first),
            Self::Sctid => SnomedCode::parse(&first).map(|_| Done::Text(first)).map_err(damaged_code),
            Self::ReadCode => Ok(Done::Text(Cow::Owned(without_synonym(&first).to_owned()))),
            Self::NhsNumber => match NhsNumber::parse(&first) {
                Ok(number) => Ok(Done::Text(Cow::Owned(number.as_str().to_owned()))),
                Err(fault) => invalid(format!("is not an NHS number: it {fault}"), Cause::NhsNumberInvalid),
            },
            Self::Ods => match OdsCode::parse(&first) {
                Ok(code) => Ok(Done::Text(Cow::Owned(code.as_str().to_owned()))),
                Err(fault) => invalid(format!("is not an ODS code: it {fault}"), Cause::PracticeUnknown),
            },
            Self::Date => date(&first).map(|_| Done::Text(first)),
            Self::PartialDatetime => partial_datetime(first, second.as_deref().unwrap_or("")),
            Self::FhirDatetime => fhir_datetime(first),
            Self::Boolean => match boolean(&first) {
                Some(truth) => Ok(Done::Text(Cow::Borrowed(if truth { "true" } else { "false" }))),
                None => invalid("is neither true nor false", Cause::ValueUnmapped),
            },
            Self::Postcode => Ok(Done::Text(postcode(first))),
            Self::Email => email(first),
        }
    }
}

fn invalid<T>(why: impl Into<String>, cause: Cause) -> Result<T, Invalid> {
    Err(Invalid { why: why.into(), cause })
}

/// True or false as the sources write it, in any case.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "1" => Some(true),
        "0" => Some(false),
        word if word.eq_ignore_ascii_case("true") => Some(true),
        word if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn damaged_code(fault: IdFault) -> Invalid {
    Invalid { why: format!("is not a SNOMED CT concept id: it {fault}"), cause: Cause::CodeDamaged }
}

/// Every SNOMED CT coding inside a value that is taken whole must be a concept that can be.
pub fn codings(value: &Value) -> Result<(), Invalid> {
    match value {
        Value::Object(members) => {
            let snomed = members.get("system").and_then(Value::as_str) == Some(SNOMED);
            if let Some(code) = members.get("code").and_then(Value::as_str).filter(|_| snomed) {
                SnomedCode::parse(code).map_err(damaged_code)?;
            }
            members.values().try_for_each(codings)
        }
        Value::Array(items) => items.iter().try_for_each(codings),
        _ => Ok(()),
    }
}

/// <https://hl7.org/fhir/R4/datatypes.html#code>: no space but single ones inside.
fn token(text: Cow<'_, str>) -> Result<Done<'_>, Invalid> {
    if text.contains("  ") || text.contains(['\t', '\n', '\r']) {
        return invalid("is not a code: it has space that no code has", Cause::CodeDamaged);
    }
    Ok(Done::Text(text))
}

fn guid(text: &str) -> Result<String, Invalid> {
    let bare = text.trim_start_matches('{').trim_end_matches('}');
    match uuid::Uuid::try_parse(bare) {
        Ok(guid) if bare.len() == uuid::fmt::Hyphenated::LENGTH => Ok(guid.to_string().to_ascii_uppercase()),
        _ => invalid("is not a GUID", Cause::ValueUnmapped),
    }
}

fn guid_path(first: &str, second: Option<&str>) -> Result<Done<'static>, Invalid> {
    match second.filter(|second| !second.is_empty()) {
        Some(second) => Ok(Done::Text(format!("{}/{}", guid(first)?, guid(second)?).into())),
        None => Ok(Done::Absent),
    }
}

fn ubrn(text: Cow<'_, str>) -> Result<Done<'_>, Invalid> {
    let digits: String = text.chars().filter(|c| *c != ' ').collect();
    if digits.len() == UBRN_DIGITS && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Done::Text(digits.into()));
    }
    invalid("is not a booking reference of 12 digits", Cause::ValueUnmapped)
}

fn date(text: &str) -> Result<Date, Invalid> {
    let shaped = text.len() == "yyyy-MM-dd".len();
    match text.parse::<Date>() {
        Ok(date) if shaped => Ok(date),
        _ => invalid("is not a date that exists", Cause::ValueUnmapped),
    }
}

/// A date with its precision (`U`, `Y`, `YM`, `YMD`, `YMDT`), or a local date and time.
/// A blank second cell leaves the whole date, which is what the source states.
fn partial_datetime<'a>(text: Cow<'a, str>, second: &str) -> Result<Done<'a>, Invalid> {
    let (day, clock) = match text.split_once([' ', 'T']) {
        Some((day, clock)) => (day, Some(clock)),
        None => (text.as_ref(), None),
    };
    let on = date(day)?;
    match second {
        "U" => Ok(Done::Absent),
        "Y" => Ok(Done::Text(Cow::Owned(day[..4].to_owned()))),
        "YM" => Ok(Done::Text(Cow::Owned(day[..7].to_owned()))),
        "YMDT" | "" => clock.map_or_else(|| Ok(Done::Text(Cow::Owned(day.to_owned()))), |clock| local(on, clock)),
        "YMD" => Ok(Done::Text(Cow::Owned(day.to_owned()))),
        time if time.contains(':') => local(on, time),
        _ => invalid("has a precision or time that is not known", Cause::ValueUnmapped),
    }
}

/// A Europe/London time with its offset. In the hour that the clocks repeat or leave out the
/// offset cannot be known: the date stands alone, and that is noted.
fn local(on: Date, clock: &str) -> Result<Done<'static>, Invalid> {
    let Ok(time) = clock.parse::<Time>() else {
        return invalid("has a time that does not exist", Cause::ValueUnmapped);
    };
    let Some(zone) = london().filter(|_| on.year() >= LONDON_RULE_SINCE) else {
        return Ok(Done::Noted(
            on.to_string().into(),
            "the time is too old for its offset to be known; the date is kept",
        ));
    };
    let at = DateTime::from_parts(on, time);
    match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => {
            let minutes = offset.seconds() / 60;
            let zone = format!("+{:02}:{:02}", minutes / 60, minutes % 60);
            Ok(Done::Text(format!("{}{zone}", at.strftime("%Y-%m-%dT%H:%M:%S")).into()))
        }
        _ => Ok(Done::Noted(
            on.to_string().into(),
            "the time is in the hour when the clocks change, so only the date is kept; the source row has the time",
        )),
    }
}

/// Europe/London by its rule, which needs no table of the machine's.
fn london() -> Option<&'static TimeZone> {
    static LONDON: std::sync::OnceLock<Option<TimeZone>> = std::sync::OnceLock::new();
    LONDON.get_or_init(|| TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").ok()).as_ref()
}

/// A FHIR dateTime or instant as it came: a partial date, or a time with an offset.
fn fhir_datetime(text: Cow<'_, str>) -> Result<Done<'_>, Invalid> {
    let good = match text.len() {
        4 => text.bytes().all(|b| b.is_ascii_digit()),
        7 => date(&format!("{text}-01")).is_ok(),
        10 => date(&text).is_ok(),
        _ => text.contains('T') && text.parse::<jiff::Timestamp>().is_ok(),
    };
    if good { Ok(Done::Text(text)) } else { invalid("is not a FHIR date or time with an offset", Cause::ValueUnmapped) }
}

/// EMIS keeps postcodes in seven characters; people and PDS write the space.
fn postcode(text: Cow<'_, str>) -> Cow<'_, str> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
    let shaped = (5..=7).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_alphanumeric());
    if !shaped {
        return text;
    }
    let (outward, inward) = bare.split_at(bare.len() - 3);
    format!("{outward} {inward}").into()
}

fn email(text: Cow<'_, str>) -> Result<Done<'_>, Invalid> {
    if text.contains('@') && !text.contains(char::is_whitespace) {
        return Ok(Done::Text(text));
    }
    invalid("is not an e-mail address", Cause::ValueUnmapped)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn one(transform: Transform, text: &str) -> Result<Done<'_>, Cause> {
        transform.apply(text.into(), None).map_err(|fault| fault.cause)
    }

    fn two(first: &str, second: &str) -> Result<Done<'static>, Cause> {
        let done = Transform::PartialDatetime.apply(first.to_owned().into(), Some(second.to_owned().into()));
        done.map_err(|fault| fault.cause)
    }

    #[test]
    fn partial_dates_stay_partial() {
        assert_eq!(two("2025-03-01", "YM"), Ok(Done::Text("2025-03".into())));
        assert_eq!(two("2025-03-01", "Y"), Ok(Done::Text("2025".into())));
        assert_eq!(two("2025-03-01", "YMD"), Ok(Done::Text("2025-03-01".into())));
        assert_eq!(two("2025-03-01", "U"), Ok(Done::Absent));
        assert_eq!(two("2025-03-01", "YD"), Err(Cause::ValueUnmapped));
        assert_eq!(two("1976-13-25", "YMD"), Err(Cause::ValueUnmapped));
    }

    #[test]
    fn local_times_carry_londons_offset_and_the_doubtful_hour_is_left_out() {
        assert_eq!(two("2025-03-01", "11:00:00"), Ok(Done::Text("2025-03-01T11:00:00+00:00".into())));
        assert_eq!(two("2025-07-01", "11:00"), Ok(Done::Text("2025-07-01T11:00:00+01:00".into())));
        assert!(matches!(two("2025-10-26", "01:30:00"), Ok(Done::Noted(date, _)) if date == "2025-10-26"));
        assert!(matches!(two("2025-03-30", "01:30:00"), Ok(Done::Noted(date, _)) if date == "2025-03-30"));
        assert_eq!(two("2025-07-01", "25:00:00"), Err(Cause::ValueUnmapped));
    }

    #[test]
    fn identifiers_are_checked_and_never_repaired() {
        assert_eq!(one(Transform::Sctid, "1777541000006110"), Err(Cause::CodeDamaged));
        assert_eq!(one(Transform::NhsNumber, "9449305553"), Err(Cause::NhsNumberInvalid));
        assert_eq!(one(Transform::Guid, "2E3B7F41-BEC8"), Err(Cause::ValueUnmapped));
        assert_eq!(one(Transform::Text, "caf\u{fffd}"), Err(Cause::Encoding));
        assert_eq!(one(Transform::Ubrn, "1234"), Err(Cause::ValueUnmapped));
        assert_eq!(one(Transform::Postcode, "l226aa"), Ok(Done::Text("L22 6AA".into())));
        assert_eq!(one(Transform::ReadCode, "8T09.-1"), Ok(Done::Text("8T09.".into())));
        assert_eq!(one(Transform::FhirDatetime, "2025-03-01T11:00:00"), Err(Cause::ValueUnmapped));
        assert!(one(Transform::FhirDatetime, "2023-06-26T11:30:00.8+07:00").is_ok());
    }
}
