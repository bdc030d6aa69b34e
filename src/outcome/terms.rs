//! Are the SNOMED CT codes in what was sent undamaged, and do they say what they mean?
//! `mappings/outcome/terms.csv`, compiled in, holds the terms of the codes that are known here.
//!
//! A display that says something else than its code is a hazard: whoever wrote it meant one of the
//! two, and nobody can tell which. Codes that are not in the list are taken as they are; that a
//! concept exists or is active is a terminology server's to say.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::config::Fault;
use crate::fhir::ids::{SNOMED, SnomedCode};
use crate::rejection::{IssueType, Rejection};

const FILE: &str = "mappings/outcome/terms.csv";
const TEXT: &str = include_str!("../../mappings/outcome/terms.csv");
const HEADER: [&str; 4] = ["code", "terms", "group", "grade"];
/// Depth to which a resource is looked through; the door has bounded it before.
const DEPTH_MAX: usize = 128;

/// Code to its terms, folded.
type Terms = BTreeMap<String, Vec<String>>;

static TERMS: LazyLock<Terms> = LazyLock::new(|| parse(FILE, TEXT).unwrap_or_default());

/// Every fault of the compiled-in list.
pub fn check() -> Vec<Fault> {
    parse(FILE, TEXT).err().unwrap_or_default()
}

fn parse(file: &str, text: &str) -> Result<Terms, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut terms = Terms::new();
    for (line, cells) in super::table::rows(file, text, &HEADER, &mut faults) {
        let mut fault = |text: String| faults.push(Fault { file: file.to_owned(), line, text });
        if let Err(why) = SnomedCode::parse(&cells[0]) {
            fault(format!("SNOMED CT id {} {why}", cells[0]));
        }
        if !matches!(cells[3].as_str(), "A" | "B") {
            fault(format!("grade '{}' is not good enough to hold senders to: A or B", cells[3]));
        }
        let known: Vec<String> = cells[1].split('|').map(fold).filter(|term| !term.is_empty()).collect();
        if known.is_empty() {
            fault("has no term".to_owned());
        }
        if terms.insert(cells[0].clone(), known).is_some() {
            fault(format!("{} has a line already", cells[0]));
        }
    }
    if faults.is_empty() { Ok(terms) } else { Err(faults) }
}

/// False when the code is known and the display is none of its terms.
pub fn agrees(code: &str, display: &str) -> bool {
    TERMS.get(code).is_none_or(|terms| terms.contains(&fold(display)))
}

/// Case, spaces, punctuation, a semantic tag and the two spellings of programme say nothing.
fn fold(term: &str) -> String {
    let bare = term.trim();
    let bare = match (bare.rfind(" ("), bare.ends_with(')')) {
        (Some(at), true) if bare[at..].chars().all(|c| c.is_lowercase() || " ()/".contains(c)) => &bare[..at],
        _ => bare,
    };
    let letters: String =
        bare.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    letters
        .split_whitespace()
        .map(|word| if word == "programme" { "program" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Looks at every SNOMED CT coding of a resource.
///
/// # Errors
/// 422 at the coding's `code` or `display`.
pub fn codings(resource: &Value) -> Result<(), Rejection> {
    walk(resource, crate::fhir::kind(resource), 0)
}

fn walk(value: &Value, path: &str, depth: usize) -> Result<(), Rejection> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    match value {
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(i, item)| walk(item, &format!("{path}[{i}]"), depth + 1))
        }
        Value::Object(members) => {
            if members.get("system").and_then(Value::as_str) == Some(SNOMED) {
                coding(value, path)?;
            }
            members.iter().try_for_each(|(name, member)| match member {
                Value::Array(_) | Value::Object(_) => walk(member, &format!("{path}.{name}"), depth + 1),
                _ => Ok(()),
            })
        }
        _ => Ok(()),
    }
}

fn coding(coding: &Value, path: &str) -> Result<(), Rejection> {
    let Some(code) = coding["code"].as_str() else { return Ok(()) };
    if let Err(why) = SnomedCode::parse(code) {
        let words = format!("the SNOMED CT id {why}; it is not repaired");
        return Err(Rejection::unprocessable(IssueType::CodeInvalid, words).at(format!("{path}.code")));
    }
    match coding["display"].as_str() {
        Some(display) if !agrees(code, display) => {
            let words = format!("the display is not what {code} means; send the right one of the two");
            Err(Rejection::unprocessable(IssueType::CodeInvalid, words).at(format!("{path}.display")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_list_is_good_and_faults_have_their_line() {
        assert_eq!(check(), []);
        let planted =
            "code,terms,group,grade\n281399007,Did not attend,contact,A\n281399006,,contact,D\n281399006,x,y,A\n";
        let lines: Vec<usize> = parse("f", planted).unwrap_err().iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 3, 4]);
    }

    #[test]
    fn a_display_may_be_spelt_differently_but_not_say_something_else() {
        for good in ["Did not attend", "DID NOT ATTEND", " did  not attend (finding)"] {
            assert!(agrees("281399006", good), "{good}");
        }
        assert!(agrees("390893007", "Referral to physical activity programme"));
        assert!(!agrees("281399006", "Attended"));
        assert!(!agrees("281399006", "Did not attend - no reason"));
        assert!(agrees("49727002", "anything: this code is not known here"));
    }

    #[test]
    fn damaged_codes_and_wrong_displays_are_named() {
        let at = |coding: Value| {
            let mut resource = json!({"resourceType": "Encounter", "type": [{"coding": [coding]}]});
            resource["type"][0]["coding"][0]["system"] = json!(SNOMED);
            codings(&resource).err().and_then(|rejection| rejection.issues[0].expression.clone())
        };
        assert_eq!(at(json!({"code": "281399006", "display": "did not attend"})), None);
        assert_eq!(at(json!({"code": "281399016"})).as_deref(), Some("Encounter.type[0].coding[0].code"));
        let wrong = json!({"code": "281399006", "display": "Feeling lonely"});
        assert_eq!(at(wrong).as_deref(), Some("Encounter.type[0].coding[0].display"));
    }
}
