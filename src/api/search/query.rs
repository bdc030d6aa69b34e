//! Query parameters to the store's criteria. Pure. <https://hl7.org/fhir/R4/search.html>

use jiff::Timestamp;

use super::super::redact;
use crate::clock::instant;
use crate::fhir::dates::bounds;
use crate::fhir::index::{fold, fold_postcode};
use crate::fhir::parameters::{How, Parameter, of};
use crate::rejection::{IssueType, Rejection};
use crate::store::{Criterion, Test, param};

/// Alternatives of one parameter at most.
const ALTERNATIVES_MAX: usize = 200;
/// Parameters of one search at most.
const CRITERIA_MAX: usize = 30;

/// Parameters that shape the answer and do not narrow it.
const SHAPING: [&str; 8] =
    ["_count", "_total", "_format", "_summary", "_elements", "_include", super::cursor::PARAMETER, "_pretty"];

/// A query as it was understood.
#[derive(Debug, Default)]
pub struct Reading {
    /// `_id`.
    pub ids: Vec<String>,
    /// `_lastUpdated`.
    pub updated: (Option<Timestamp>, Option<Timestamp>),
    /// The rest.
    pub criteria: Vec<Criterion>,
    /// The pairs that were used, for the self link.
    pub used: Vec<(String, String)>,
    /// Names that are not known.
    pub unknown: Vec<String>,
}

/// Reads the pairs of a search for `kind`.
///
/// # Errors
/// 400 where a known parameter has a value or modifier that cannot be read or is not offered.
pub fn read_query(kind: &str, pairs: &[(String, String)]) -> Result<Reading, Rejection> {
    let mut reading = Reading::default();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        if SHAPING.contains(&name.as_str()) {
            if name != super::cursor::PARAMETER && name != "_format" {
                reading.used.push((name.clone(), value.clone()));
            }
        } else if read_one(kind, name, value, &mut reading)? {
            reading.used.push((name.clone(), value.clone()));
        } else {
            reading.unknown.push(redact::name(name));
        }
        if reading.criteria.len() > CRITERIA_MAX {
            return Err(bad("the search", "has more parameters than one search may have"));
        }
    }
    Ok(reading)
}

/// True when the parameter is known.
fn read_one(kind: &str, name: &str, value: &str, reading: &mut Reading) -> Result<bool, Rejection> {
    match name {
        "_id" => {
            reading.ids.extend(alternatives(name, value)?);
            return Ok(true);
        }
        "_lastUpdated" => {
            let (from, to) = period(name, value)?;
            reading.updated.0 = from.or(reading.updated.0).max(reading.updated.0);
            reading.updated.1 = match (to, reading.updated.1) {
                (Some(one), Some(two)) => Some(one.min(two)),
                (one, two) => one.or(two),
            };
            return Ok(true);
        }
        _ => {}
    }
    let (bare, modifier) = name.split_once(':').map_or((name, ""), |(bare, modifier)| (bare, modifier));
    let (bare, modifier) = bare.split_once('.').map_or((bare, modifier), |(bare, chained)| (bare, chained));
    let Some(parameter) = choose(kind, bare, modifier) else {
        let known = bare == "_security" || of(kind).any(|parameter| parameter.name == bare);
        return if known { Err(bad(bare, "does not have this modifier here")) } else { Ok(false) };
    };
    let criterion = if modifier == "missing" {
        Criterion { param: parameter.param, any_of: vec![Test::Missing(truth(bare, value)?)], negated: false }
    } else {
        criterion(&parameter, modifier, value)?
    };
    reading.criteria.push(criterion);
    Ok(true)
}

/// The parameter that a name and modifier mean; `None` where there is none.
fn choose(kind: &str, name: &str, modifier: &str) -> Option<Parameter> {
    if name == "_security" {
        let security = Parameter { kind: "", name: "_security", param: param::SECURITY, how: How::Token, paths: "" };
        return matches!(modifier, "" | "not" | "missing").then_some(security);
    }
    let fits = |parameter: &&Parameter| {
        parameter.name == name
            && match (parameter.how, modifier) {
                (How::Identifier, modifier) => modifier == "identifier",
                (_, "" | "missing") => true,
                (How::Token, modifier) => modifier == "not",
                (How::Reference, modifier) => modifier.starts_with(|c: char| c.is_ascii_uppercase()),
                (How::Text | How::Postcode | How::Date, _) => false,
            }
    };
    of(kind).find(fits).copied()
}

fn criterion(parameter: &Parameter, modifier: &str, value: &str) -> Result<Criterion, Rejection> {
    let mut negated = modifier == "not";
    let values = alternatives(parameter.name, value)?;
    let mut any_of = Vec::with_capacity(values.len());
    for value in &values {
        any_of.push(match parameter.how {
            How::Token | How::Identifier => token(value),
            How::Reference => reference(parameter.name, modifier, value)?,
            How::Text => Test::StartsWith(fold(value)),
            How::Postcode => Test::StartsWith(fold_postcode(value)),
            How::Date if value.starts_with("ne") && values.len() == 1 => {
                negated = true;
                within(parameter.name, &value[2..])?
            }
            How::Date => within(parameter.name, value)?,
        });
    }
    Ok(Criterion { param: parameter.param, any_of, negated })
}

fn token(value: &str) -> Test {
    match value.split_once('|') {
        None => Test::Is { value: unescape(value), extra: None },
        Some((system, "")) => Test::System(unescape(system)),
        Some((system, code)) => Test::Is { value: unescape(code), extra: Some(unescape(system)) },
    }
}

/// `Type/id`, an absolute address, or a bare id where only one type can be meant.
fn reference(name: &str, modifier: &str, value: &str) -> Result<Test, Rejection> {
    let is = |value: String| Test::Is { value, extra: None };
    if let Some((kind, id)) = crate::fhir::split_reference(value) {
        return Ok(is(format!("{kind}/{id}")));
    }
    let kind = match (modifier, name) {
        ("", "patient" | "subject") => "Patient",
        ("", "focus" | "based-on" | "incoming-referral") => "ServiceRequest",
        ("", "goal") => "Goal",
        ("", "encounter") => "Encounter",
        ("", "requester" | "performer" | "owner") => return Err(bad(name, "must be Type/id")),
        ("", _) => return Err(bad(name, "must be Type/id")),
        (kind, _) => kind,
    };
    if value.contains('/') { Err(bad(name, "is not a reference")) } else { Ok(is(format!("{kind}/{value}"))) }
}

fn within(name: &str, value: &str) -> Result<Test, Rejection> {
    let (from, to) = period(name, value)?;
    let text = |at: Option<Timestamp>| at.map(instant).unwrap_or_default();
    Ok(Test::Within { from: text(from), to: text(to) })
}

/// A prefixed date as `[from, to)`.
///
/// # Errors
/// 400.
/// <https://hl7.org/fhir/R4/search.html#prefix>
pub fn period(name: &str, value: &str) -> Result<(Option<Timestamp>, Option<Timestamp>), Rejection> {
    let prefixed = value.len() > 2 && value.is_char_boundary(2) && value.starts_with(|c: char| c.is_ascii_lowercase());
    let (prefix, date) = if prefixed { value.split_at(2) } else { ("eq", value) };
    // An offset's plus sign arrives as a space where the caller did not escape it.
    let (first, after) = bounds(&date.replace(' ', "+")).ok_or_else(|| bad(name, "is not a FHIR date"))?;
    match prefix {
        "eq" => Ok((Some(first), Some(after))),
        "gt" => Ok((Some(after), None)),
        "ge" => Ok((Some(first), None)),
        "lt" => Ok((None, Some(first))),
        "le" => Ok((None, Some(after))),
        _ => Err(bad(name, "has a prefix that is not offered: use eq, ne, gt, ge, lt or le")),
    }
}

fn truth(name: &str, value: &str) -> Result<bool, Rejection> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad(name, "must be true or false with :missing")),
    }
}

/// The values between commas that are not escaped.
fn alternatives(name: &str, value: &str) -> Result<Vec<String>, Rejection> {
    let mut all = vec![String::new()];
    let mut escaped = false;
    for c in value.chars() {
        if c == ',' && !escaped {
            all.push(String::new());
        } else if let Some(last) = all.last_mut() {
            last.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    all.retain(|value| !value.is_empty());
    if all.is_empty() || all.len() > ALTERNATIVES_MAX {
        return Err(bad(name, "has no value, or more alternatives than one search may have"));
    }
    Ok(all)
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            plain.push(c);
            escaped = false;
        }
    }
    plain
}

/// Names the parameter and never its value.
fn bad(name: &str, what: &str) -> Rejection {
    Rejection::bad_request(IssueType::Value, format!("{name} {what}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of_query(kind: &str, query: &str) -> Result<Reading, Rejection> {
        read_query(kind, &super::super::super::exchange::pairs(query.as_bytes()))
    }

    fn tests(kind: &str, query: &str) -> String {
        let reading = of_query(kind, query).unwrap();
        format!("{:?}", reading.criteria)
    }

    #[test]
    fn tokens_have_systems() {
        assert!(tests("Task", "code=a|b").contains(r#"Is { value: "b", extra: Some("a") }"#));
        assert!(tests("Task", "code=|b").contains(r#"Is { value: "b", extra: Some("") }"#));
        assert!(tests("Task", "code=a|").contains(r#"System("a")"#));
        assert!(tests("Task", r"status=a\,b,c").contains(r#""a,b""#));
        assert!(tests("Task", "status:not=a").contains("negated: true"));
        assert!(tests("Task", "status:missing=true").contains("Missing(true)"));
    }

    #[test]
    fn dates_have_prefixes() {
        assert!(
            tests("ServiceRequest", "authored=gt2026-01-05").contains(r#"from: "2026-01-06T00:00:00.000Z", to: """#)
        );
        assert!(tests("ServiceRequest", "authored=ne2026").contains("negated: true"));
        assert_eq!(of_query("ServiceRequest", "authored=ap2026").unwrap_err().status(), 400);
        assert_eq!(of_query("ServiceRequest", "authored=today").unwrap_err().status(), 400);
    }

    #[test]
    fn references_are_by_type_or_by_identifier() {
        assert!(tests("Task", "patient=p").contains(r#""Patient/p""#));
        assert!(tests("Task", "owner:Organization=o").contains(r#""Organization/o""#));
        assert!(
            tests("ServiceRequest", "patient:identifier=s|v")
                .contains(&format!("param: {}", param::SUBJECT_IDENTIFIER))
        );
        assert!(tests("ServiceRequest", "patient.identifier=s|v").contains(r#"value: "v", extra: Some("s")"#));
        assert_eq!(of_query("Task", "owner=o").unwrap_err().status(), 400);
    }

    #[test]
    fn what_is_unknown_is_named_and_never_its_value() {
        let reading = of_query("Patient", "family=A&nonsense=Secret&_count=3").unwrap();
        assert_eq!(reading.unknown, ["nonsense"]);
        assert_eq!(reading.used.len(), 2);
        let refused = of_query("Patient", "birthdate=Secret").unwrap_err();
        assert!(!refused.to_string().contains("Secret"));
        assert_eq!(of_query("Patient", "family:exact=A").unwrap_err().status(), 400);
    }
}
