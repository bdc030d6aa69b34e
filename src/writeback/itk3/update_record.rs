//! GP Connect Update Record: one coded entry for the GP record, as an ITK3 message.
//! <https://simplifier.net/guide/gp-connect-update-record>
//!
//! Nationally authorised for Pharmacy First only: to be used for social prescribing it needs an
//! agreed use case. A receiver refuses a message whole if one profile is not in scope, so never
//! sent: ReferralRequest, Appointment, Procedure, Flag. A correction replaces the whole document.

use jiff::SignedDuration;
use uuid::Uuid;

use super::envelope::{self, Letter, coding, identifier, refer, words};
use super::people::{self, People};
use super::tree::Node;
use super::{Envelope, KEY, check, terms};
use crate::fhir::observation::OUTCOME;
use crate::writeback::entry::{Coded, Encoded, EntryValue, RecordEntry, Submission, Unencodable};
use crate::writeback::wording;

/// The MESH workflow.
pub const WORKFLOW: &str = "GPCONNECT_UPDATE_RECORD";
/// The event.
pub const EVENT: &str = "ITK014M";
/// How long after the version that it replaces a correction may follow, in hours.
pub const CORRECTION_HOURS_MAX: i64 = 24;

pub(super) const ROUTE: &str = "update-record";
const SERVICE: &str = "Social prescribing";

/// The message.
///
/// # Errors
/// When it may not or cannot be sent this way: hidden from the person, an incomplete person or
/// author, a damaged code, or a correction that comes too late.
pub fn encode(submission: &Submission, envelope: &Envelope<'_>) -> Result<Encoded, Unencodable> {
    check::submission(submission, envelope)?;
    correction(submission, envelope)?;
    let letter = Letter {
        route: ROUTE,
        event: (EVENT, "ITK Update Record"),
        recipient: ("FA", "For Action"),
        definition: "https://fhir.nhs.uk/MessageDefinition",
        submission,
        envelope,
    };
    Ok(letter.encoded(document(&letter), WORKFLOW))
}

fn correction(submission: &Submission, envelope: &Envelope<'_>) -> Result<(), Unencodable> {
    match (submission.replaces, envelope.replaced_at) {
        (None, _) if submission.entry.status == "entered-in-error" => {
            check::no("nothing was sent that this entry could withdraw")
        }
        (None, _) => Ok(()),
        (Some(_), None) => check::no("it is not known when the version that this one replaces was sent"),
        (Some(_), Some(at)) if envelope.now.duration_since(at) > SignedDuration::from_hours(CORRECTION_HOURS_MAX) => {
            Err(Unencodable(format!("a correction is only taken within {CORRECTION_HOURS_MAX} hours")))
        }
        (Some(_), Some(_)) => Ok(()),
    }
}

fn document(letter: &Letter<'_>) -> Vec<(Uuid, Node)> {
    let people = People::of(letter);
    let encounter = letter.id("encounter");
    let mut resources = vec![
        (encounter, self::encounter(letter, people, encounter)),
        (people.organisation, people::organisation(letter, people)),
        (people.author, people::practitioner(letter, people)),
        (people.role, people::role(letter, people)),
        (people.patient, people::patient(letter, people)),
        (letter.id("observation"), observation(letter, people, encounter)),
    ];
    if !wording::narrative(letter.submission).is_empty() {
        resources.push((letter.id("narrative"), narrative(letter, people, encounter)));
    }
    let composition = composition(letter, people, encounter, resources.iter().map(|(id, _)| *id));
    resources.insert(0, composition);
    resources
}

/// The Composition's identifier: one a version, so that a correction can name what it replaces.
fn document_id(key: Uuid) -> Uuid {
    envelope::id(ROUTE, key, "composition")
}

fn composition(letter: &Letter<'_>, people: People, encounter: Uuid, of: impl Iterator<Item = Uuid>) -> (Uuid, Node) {
    let submission = letter.submission;
    let id = document_id(submission.key);
    let status = match (submission.entry.status.as_str(), submission.replaces) {
        ("entered-in-error", _) => "entered-in-error",
        (_, Some(_)) => "amended",
        _ => "final",
    };
    let mut members = vec![
        Node::leaf("id", id.to_string()),
        letter.meta(terms::COMPOSITION, None),
        identifier("composition", &id.to_string()),
        Node::leaf("status", status),
        words("type", SERVICE),
        refer("subject", people.patient),
        refer("encounter", encounter),
        Node::leaf("date", submission.recorded.to_string()),
        refer("author", people.author),
        Node::leaf("title", format!("{} - {SERVICE}", organisation_name(letter))),
    ];
    if let Some(replaced) = submission.replaces {
        let target = identifier("composition", &document_id(replaced).to_string());
        let target = Node { name: "targetIdentifier".to_owned(), ..target };
        members.push(Node::of("relatesTo", [Node::leaf("code", "replaces"), target]));
    }
    members.push(Node::of("section", of.map(|id| refer("entry", id))));
    (id, Node::of("Composition", members))
}

fn organisation_name<'a>(letter: &'a Letter<'_>) -> &'a str {
    let author = &letter.submission.entry.author;
    if author.organisation.is_empty() { &author.ods } else { &author.organisation }
}

fn encounter(letter: &Letter<'_>, people: People, id: Uuid) -> Node {
    let recorder = Node::of("type", [coding(terms::PARTICIPANT, "REC", ""), Node::leaf("text", "recorder")]);
    Node::of(
        "Encounter",
        [
            Node::leaf("id", id.to_string()),
            letter.meta(&letter.care_connect("Encounter"), None),
            identifier("encounter", &id.to_string()),
            Node::leaf("status", "finished"),
            words("type", SERVICE),
            refer("subject", people.patient),
            Node::of("participant", [recorder, refer("individual", people.author)]),
            Node::of("period", [Node::leaf("start", letter.submission.entry.effective.as_str())]),
            words("reason", SERVICE),
            refer("serviceProvider", people.organisation),
        ],
    )
}

fn observation(letter: &Letter<'_>, people: People, encounter: Uuid) -> Node {
    let (submission, entry) = (letter.submission, &letter.submission.entry);
    let mut members = vec![
        Node::leaf("id", letter.id("observation").to_string()),
        letter.meta(&letter.care_connect("Observation"), Some(section(entry))),
        Node::of("identifier", [Node::leaf("system", OUTCOME), Node::leaf("value", entry.id.as_str())]),
        Node::of("identifier", [Node::leaf("system", KEY), Node::leaf("value", submission.key.to_string())]),
        Node::leaf("status", entry.status.as_str()),
        category(entry),
        concept("code", &entry.code),
        refer("subject", people.patient),
        refer("context", encounter),
        Node::leaf("effectiveDateTime", entry.effective.as_str()),
        Node::leaf("issued", submission.recorded.to_string()),
        refer("performer", people.author),
    ];
    members.extend(entry.value.as_ref().map(value));
    let comment = format!("{} {}", wording::byline(&entry.author), wording::reference(submission.key));
    members.push(Node::leaf("comment", comment));
    members.extend(
        entry
            .components
            .iter()
            .map(|(code, digits)| Node::of("component", [concept("code", code), quantity(digits, "score", "{score}")])),
    );
    Node::of("Observation", members)
}

/// The PRSB heading of an entry. Scores are assessment scales; the referral's acceptance is a detail
/// of the referral; what else is coded as social history is social context, but for how a referral
/// or an episode ended, which is an outcome.
fn section(entry: &RecordEntry) -> (&'static str, &'static str) {
    match (entry.category.as_str(), entry.code.code.as_str()) {
        ("survey", _) => ("assessment-scales", "Assessment scales"),
        (_, "871731000000106") => ("referral-details", "Referral details"),
        (_, "871711000000103" | "referral-returned" | "episode-closed") => ("outcome", "Outcome"),
        _ => ("social-context", "Social context"),
    }
}

/// A code without a value is made for social history, as the published rule has it.
fn category(entry: &RecordEntry) -> Node {
    let survey = entry.category == "survey" && (entry.value.is_some() || !entry.components.is_empty());
    let (code, display) = if survey { ("survey", "Survey") } else { ("social-history", "Social History") };
    Node::of("category", [coding(terms::CATEGORY, code, display), Node::leaf("text", display)])
}

/// A CodeableConcept whose text repeats the term.
fn concept(name: &str, coded: &Coded) -> Node {
    let mut coding = coding(&coded.system, &coded.code, &coded.display);
    if let Some(description) = &coded.description_id {
        let parts = [
            Node::extension("descriptionId", [Node::leaf("valueId", description.as_str())]),
            Node::extension("descriptionDisplay", [Node::leaf("valueString", coded.display.as_str())]),
        ];
        coding.children.insert(0, Node::extension(terms::DESCRIPTION, parts));
    }
    Node::of(name, [coding, Node::leaf("text", coded.display.as_str())])
}

fn value(value: &EntryValue) -> Node {
    match value {
        EntryValue::Quantity { digits, unit, ucum } => quantity(digits, unit, ucum),
        EntryValue::Coded(coded) => concept("valueCodeableConcept", coded),
        EntryValue::Text(text) => Node::leaf("valueString", text.as_str()),
    }
}

fn quantity(digits: &str, unit: &str, ucum: &str) -> Node {
    Node::of(
        "valueQuantity",
        [
            Node::leaf("value", digits),
            Node::leaf("unit", unit),
            Node::leaf("system", terms::UCUM),
            Node::leaf("code", ucum),
        ],
    )
}

fn narrative(letter: &Letter<'_>, people: People, encounter: Uuid) -> Node {
    let id = letter.id("narrative").to_string();
    Node::of(
        "ClinicalImpression",
        [
            Node::leaf("id", id.as_str()),
            letter.meta(&letter.care_connect("ClinicalImpression"), Some(("clinical-summary", "Clinical summary"))),
            identifier("clinical-impression", &id),
            Node::leaf("status", "completed"),
            refer("subject", people.patient),
            refer("context", encounter),
            Node::leaf("date", letter.submission.entry.effective.as_str()),
            refer("assessor", people.author),
            Node::leaf("summary", wording::narrative(letter.submission)),
        ],
    )
}
