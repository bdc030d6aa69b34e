//! Searches as the audit log may keep them: what names a person is replaced by `*`.

use super::audit_event;
use super::interaction::TYPES;
use crate::fhir::ids::NhsNumber;
use crate::fhir::parameters::{How, of};

/// Token parameters whose values say nothing of who a person is.
const OPEN_TOKENS: [&str; 8] = ["status", "priority", "code", "category", "business-status", "class", "type", "active"];
/// Shaping parameters and others that hold no patient's data.
const OPEN: [&str; 12] = [
    "_count",
    "_total",
    "_summary",
    "_lastUpdated",
    "_id",
    "_security",
    "_include",
    "agent",
    "action",
    "outcome",
    "entity",
    "date",
];

/// Parameters that shape the answer, beside those of [`OPEN`].
const SHAPING: [&str; 5] = ["_format", "_elements", "_pretty", "_sort", "_revinclude"];
/// What may stand behind a parameter's name, beside a resource type.
const MODIFIERS: [&str; 5] = ["not", "missing", "identifier", "exact", "contains"];
/// Characters of a value that are kept.
const VALUE_CHARS_MAX: usize = 200;
/// Characters of an unknown parameter's name that are repeated to the caller.
const NAME_CHARS_MAX: usize = 40;
/// Digits of such a name: an NHS number has ten.
const NAME_DIGITS_MAX: usize = 2;

/// The query with the values of all but harmless parameters replaced, and names that are none.
pub fn query(kind: &str, pairs: &[(String, String)]) -> String {
    let one = |(name, value): &(String, String)| match (known(kind, name), open(kind, name) && is_plain(value)) {
        (true, true) => format!("{name}={value}"),
        (true, false) => format!("{name}=*"),
        (false, _) => "*=*".to_owned(),
    };
    pairs.iter().filter(|(name, _)| name != "_cursor").map(one).collect::<Vec<_>>().join("&")
}

/// An unknown parameter's name as it may be repeated: what was typed in its place may be anything.
pub fn name(text: &str) -> String {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':' | b'.');
    let fits = text.len() <= NAME_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.bytes().all(legal)
        && text.bytes().filter(u8::is_ascii_digit).count() <= NAME_DIGITS_MAX;
    if fits { text.to_owned() } else { "what cannot be a parameter's name".to_owned() }
}

fn known(kind: &str, name: &str) -> bool {
    let (bare, modifier) = name.split_once([':', '.']).unwrap_or((name, ""));
    let of_log = kind == "AuditEvent" && audit_event::PARAMETERS.iter().any(|(parameter, _)| *parameter == bare);
    let named = of_log
        || OPEN.contains(&bare)
        || OPEN_TOKENS.contains(&bare)
        || SHAPING.contains(&bare)
        || of(kind).any(|parameter| parameter.name == bare);
    named && (modifier.is_empty() || MODIFIERS.contains(&modifier) || TYPES.iter().any(|kind| kind.name == modifier))
}

/// Codes, ids, references and dates: no words, and no number that could be a person's.
fn is_plain(value: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._:/|,+\\#$".contains(&b);
    value.len() <= VALUE_CHARS_MAX
        && value.bytes().all(legal)
        && !value
            .split(|c: char| !c.is_ascii_digit() && c != '-')
            .any(|part| NhsNumber::parse(&part.replace('-', "")).is_ok())
}

fn open(kind: &str, name: &str) -> bool {
    let bare = name.strip_suffix(":not").or_else(|| name.strip_suffix(":missing")).unwrap_or(name);
    if OPEN.contains(&bare) {
        return true;
    }
    of(kind).any(|parameter| {
        parameter.name == bare
            && match parameter.how {
                How::Token => OPEN_TOKENS.contains(&bare),
                How::Reference => true,
                How::Date => bare != "birthdate",
                How::Identifier | How::Text | How::Postcode => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_named() {
        let pairs = super::super::exchange::pairs(
            b"family=Secret&birthdate=1950-01-01&identifier=x|999&status=active&patient:identifier=n|999&patient=p&odd=1",
        );
        assert_eq!(query("Patient", &pairs[..4]), "family=*&birthdate=*&identifier=*&status=*");
        assert_eq!(query("Task", &pairs[3..]), "status=active&patient:identifier=*&patient=p&*=*");
    }

    #[test]
    fn what_is_typed_in_the_wrong_place_is_not_kept() {
        let of = |text: &str| query("Task", &super::super::exchange::pairs(text.as_bytes()));
        assert_eq!(of("9990000018&Mr+Secret=1&secret=x&owner:Secret=x"), "*=*&*=*&*=*&*=*");
        assert_eq!(
            of("patient=9990000018&_id=999-000-0018&status=Mr+Secret&code=s|871731000000106"),
            "patient=*&_id=*&status=*&code=s|871731000000106"
        );
        assert_eq!(
            of("owner:Organization=o&_lastUpdated=gt2026-01-01T00:00:00Z&_include=Task:owner"),
            "owner:Organization=*&_lastUpdated=gt2026-01-01T00:00:00Z&_include=Task:owner"
        );
        let nameless = "what cannot be a parameter's name";
        for hostile in ["", "Secret", "9990000018", "a9990000018", "mr secret", "a\u{202e}b", &"a".repeat(41)] {
            assert_eq!(name(hostile), nameless);
        }
        assert_eq!(name("nonsense:exact"), "nonsense:exact");
    }
}
