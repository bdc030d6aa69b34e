//! The people and organisations of a message: the person, who recorded it, and for whom they work.

use uuid::Uuid;

use super::envelope::{Letter, coding, identifier, refer, words};
use super::terms;
use super::tree::Node;
use crate::fhir::ids::{NHS_NUMBER, ODS, stable_id};

/// The ids of the people of one message.
#[derive(Clone, Copy)]
pub(super) struct People {
    /// Patient.
    pub patient: Uuid,
    /// Practitioner.
    pub author: Uuid,
    /// PractitionerRole.
    pub role: Uuid,
    /// Organization.
    pub organisation: Uuid,
}

impl People {
    pub fn of(letter: &Letter<'_>) -> Self {
        Self {
            patient: letter.id("patient"),
            author: letter.id("author"),
            role: letter.id("role"),
            organisation: letter.id("organisation"),
        }
    }
}

/// The author's organisation.
pub(super) fn organisation(letter: &Letter<'_>, people: People) -> Node {
    let author = &letter.submission.entry.author;
    let mut members = vec![
        Node::leaf("id", people.organisation.to_string()),
        letter.meta(&letter.care_connect("Organization"), None),
        Node::of("identifier", [Node::leaf("system", ODS), Node::leaf("value", author.ods.as_str())]),
    ];
    members.push(Node::leaf("name", author.organisation.as_str()));
    Node::of("Organization", members)
}

/// Who recorded it. The profile wants a family name: without a name their role stands there.
pub(super) fn practitioner(letter: &Letter<'_>, people: People) -> Node {
    let author = &letter.submission.entry.author;
    let staff = stable_id(&["staff", &author.ods, &author.name, &author.role]).to_string();
    let unnamed = author.name.trim().is_empty();
    let shown = if unnamed { &author.role } else { &author.name };
    let mut given: Vec<&str> = if unnamed { Vec::new() } else { shown.split_whitespace().collect() };
    let family = given.pop().unwrap_or(shown);
    let mut name = vec![Node::leaf("text", shown.as_str()), Node::leaf("family", family)];
    name.extend(given.into_iter().map(|part| Node::leaf("given", part)));
    Node::of(
        "Practitioner",
        [
            Node::leaf("id", people.author.to_string()),
            letter.meta(&letter.care_connect("Practitioner"), None),
            identifier("staff", &staff),
            Node::of("name", name),
        ],
    )
}

/// Their role, in words: the national list of job roles has none for a link worker.
pub(super) fn role(letter: &Letter<'_>, people: People) -> Node {
    Node::of(
        "PractitionerRole",
        [
            Node::leaf("id", people.role.to_string()),
            letter.meta(&letter.care_connect("PractitionerRole"), None),
            refer("practitioner", people.author),
            refer("organization", people.organisation),
            words("code", &letter.submission.entry.author.role),
        ],
    )
}

/// The person. The number is "present but not traced": nobody here says that PDS was asked.
pub(super) fn patient(letter: &Letter<'_>, people: People) -> Node {
    let person = &letter.submission.person;
    let verification =
        Node::of("valueCodeableConcept", [coding(letter.verification(), "02", UNTRACED), Node::leaf("text", UNTRACED)]);
    let number = Node::of(
        "identifier",
        [
            Node::extension(&terms::profile("Extension-CareConnect-GPC-NHSNumberVerificationStatus-1"), [verification]),
            Node::leaf("system", NHS_NUMBER),
            Node::leaf("value", person.nhs_number.as_str()),
        ],
    );
    let mut name = vec![Node::leaf("use", "official"), Node::leaf("family", person.family.as_str())];
    name.extend(person.given.iter().map(|given| Node::leaf("given", given.as_str())));
    let mut members = vec![
        Node::leaf("id", people.patient.to_string()),
        letter.meta(&letter.care_connect("Patient"), None),
        number,
        Node::of("name", name),
    ];
    if matches!(person.gender.as_str(), "male" | "female" | "other" | "unknown") {
        members.push(Node::leaf("gender", person.gender.as_str()));
    }
    members.push(Node::leaf("birthDate", person.birth_date.as_str()));
    Node::of("Patient", members)
}

const UNTRACED: &str = "Number present but not traced";
