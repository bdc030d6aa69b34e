//! The readable document of an outcome, for routes that file no codes: who, what, when, by whom, and
//! first of all what is asked of the practice.
//!
//! Order of the parts: PRSB social prescribing standard, "plan and requested actions" first.
//! <https://theprsb.org/standards/social-prescribing-standard/>
//! Made from the entry that is safe to show; text that must be hidden is an entry of its own and
//! is refused before it comes here.

mod glyphs;
pub mod html;
mod layout;
pub mod pdf;

use super::entry::{EntryValue, Submission};
use super::wording;

/// What the document is in: for screen readers.
pub const LANGUAGE: &str = "en-GB";

/// The code of the entry that a score needs attention, and its system (`mappings/outcome/entries.csv`).
const ATTENTION: &str = "score-needs-attention";
const OUTCOME: &str = "https://fingerpost.dev/CodeSystem/outcome";

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// Its parts.
    pub sections: Vec<Section>,
    /// What stands at the foot of each page: whose document it is.
    pub foot: String,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub heading: &'static str,
    /// Label and text; a paragraph has no label.
    pub lines: Vec<(&'static str, String)>,
}

/// What the practice is asked to do, as the entry's coded value has it; `None` when nothing.
///
/// Only the ITK referral codes that hand something over ask anything: an escalation or a signpost to
/// the GP, or to urgent care; and a score that needs attention.
pub fn requested(submission: &Submission) -> Option<String> {
    let code = &submission.entry.code;
    if (code.system.as_str(), code.code.as_str()) == (OUTCOME, ATTENTION) {
        return Some("For action today: please speak to the social prescribing service about this person.".to_owned());
    }
    let Some(EntryValue::Coded(value)) = &submission.entry.value else { return None };
    match value.code.as_str() {
        "30007" => Some("Please review: the link worker has passed this back to the GP.".to_owned()),
        "30008" => Some("The person was advised to contact the practice; not urgent.".to_owned()),
        "30009" | "30010" => Some("For awareness: the person was directed to urgent or emergency care.".to_owned()),
        _ => None,
    }
}

/// The document of a submission.
pub fn of(submission: &Submission) -> Document {
    let person = &submission.person;
    let sections = vec![
        Section { heading: "Plan and requested actions", lines: plan(submission) },
        Section { heading: "Outcome", lines: outcome(submission) },
        Section { heading: "Person", lines: about(submission) },
        Section { heading: "Recorded by", lines: author(submission) },
        Section { heading: "Sent", lines: sent(submission) },
    ];
    Document {
        title: "Social prescribing outcome".to_owned(),
        sections,
        foot: format!("NHS number {}", spaced(&person.nhs_number)),
    }
}

fn plan(submission: &Submission) -> Vec<(&'static str, String)> {
    let asked = requested(submission).unwrap_or_else(|| "None requested in this entry. For information.".to_owned());
    vec![("", asked)]
}

fn outcome(submission: &Submission) -> Vec<(&'static str, String)> {
    let entry = &submission.entry;
    let mut lines = vec![("", entry.code.display.clone())];
    if entry.status == "entered-in-error" {
        lines.insert(0, ("", "Withdrawn: this was recorded in error.".to_owned()));
    }
    lines.extend(entry.value.as_ref().map(|value| ("Value", wording::value(value))));
    lines.extend(entry.components.iter().map(|(code, digits)| ("Item", format!("{}: {digits}", code.display))));
    lines.push(("Date", date(&entry.effective)));
    let narrative = wording::narrative(submission);
    if !narrative.is_empty() {
        lines.push(("Notes", narrative.to_owned()));
    }
    lines.push(("Code", format!("{} ({})", entry.code.code, system(&entry.code.system))));
    lines
}

fn about(submission: &Submission) -> Vec<(&'static str, String)> {
    let person = &submission.person;
    vec![
        ("Name", format!("{} {}", person.given.join(" "), person.family).trim().to_owned()),
        ("Born", date(&person.birth_date)),
        ("NHS number", spaced(&person.nhs_number)),
    ]
}

fn author(submission: &Submission) -> Vec<(&'static str, String)> {
    let author = &submission.entry.author;
    let lines = [
        ("Name", author.name.clone()),
        ("Role", author.role.clone()),
        ("Organisation", format!("{} {}", author.organisation, author.ods).trim().to_owned()),
        ("Recorded", submission.recorded.to_zoned(london()).strftime("%-d %B %Y, %H:%M").to_string()),
    ];
    lines.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

fn sent(submission: &Submission) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("To", format!("{} {}", submission.practice_name, submission.practice).trim().to_owned()),
        ("From", format!("{} {}", submission.sender_name, submission.sender).trim().to_owned()),
    ];
    lines.extend(submission.referral.as_ref().map(|(_, value)| ("Referral", value.clone())));
    lines.push(("Reference", wording::reference(submission.key)));
    if let Some(replaced) = submission.replaces {
        lines.push(("Replaces", wording::reference(replaced)));
    }
    lines
}

fn system(uri: &str) -> &str {
    if uri == crate::fhir::ids::SNOMED { "SNOMED CT" } else { uri }
}

fn london() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get("Europe/London").unwrap_or(jiff::tz::TimeZone::UTC)
}

/// A FHIR date or dateTime in words, as it was given: `4 March 2026`.
fn date(text: &str) -> String {
    let day = text.get(..10).and_then(|day| day.parse::<jiff::civil::Date>().ok());
    let zoned = text.parse::<jiff::Timestamp>().ok().map(|at| at.to_zoned(london()).date());
    zoned.or(day).map_or_else(|| text.to_owned(), |day| day.strftime("%-d %B %Y").to_string())
}

/// `999 000 0018`.
fn spaced(number: &str) -> String {
    match (number.get(..3), number.get(3..6), number.get(6..)) {
        (Some(first), Some(second), Some(last)) => format!("{first} {second} {last}"),
        _ => number.to_owned(),
    }
}
