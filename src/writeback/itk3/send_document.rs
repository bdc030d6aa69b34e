//! GP Connect Send Document: the outcome as a readable document, for a practice that takes no coded
//! entries from here. <https://simplifier.net/guide/gp-connect-send-document>
//!
//! The fallback: a person at the practice must code it. Two attachments, PDF first, and HTML with
//! the same words, both on the guide's list of types. The guide has use cases of its own; a social
//! prescribing outcome goes as the generic example does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::envelope::{self, Letter, identifier, refer, words};
use super::people::{self, People};
use super::tree::Node;
use super::{Envelope, check, terms};
use crate::writeback::document::{self, html, pdf};
use crate::writeback::entry::{Encoded, Submission, Unencodable};

/// The MESH workflow.
pub const WORKFLOW: &str = "GPCONNECT_SEND_DOCUMENT";
/// The event.
pub const EVENT: &str = "ITK007C";

pub(super) const ROUTE: &str = "send-document";

/// The message. For action when the outcome asks something of the practice, else for information.
///
/// # Errors
/// When it may not or cannot be sent this way: hidden from the person, an incomplete person or
/// author, a damaged code.
pub fn encode(submission: &Submission, envelope: &Envelope<'_>) -> Result<Encoded, Unencodable> {
    check::submission(submission, envelope)?;
    let asked = document::requested(submission).is_some();
    let letter = Letter {
        route: ROUTE,
        event: (EVENT, "ITK GP Connect Send Document"),
        recipient: if asked { ("FA", "For Action") } else { ("FI", "For Information") },
        definition: "https://fhir.nhs.uk/STU3/MessageDefinition/ITK-GPConnectSendDocument-MessageDefinition-1",
        submission,
        envelope,
    };
    Ok(letter.encoded(resources(&letter), WORKFLOW))
}

fn resources(letter: &Letter<'_>) -> Vec<(Uuid, Node)> {
    let people = People::of(letter);
    let document = document::of(letter.submission);
    let mut resources = vec![
        (people.organisation, people::organisation(letter, people)),
        (people.author, people::practitioner(letter, people)),
        (people.patient, people::patient(letter, people)),
        binary(letter, "pdf", "application/pdf", &pdf::file(&document)),
        binary(letter, "html", "text/html", &html::page(&document)),
    ];
    let title = format!("{} - {}", document.title, letter.submission.entry.code.display);
    let of = resources.iter().map(|(id, _)| refer("entry", *id));
    let composition = composition(letter, people, &title, Node::of("section", of));
    resources.insert(0, composition);
    resources
}

fn composition(letter: &Letter<'_>, people: People, title: &str, section: Node) -> (Uuid, Node) {
    let submission = letter.submission;
    let id = letter.id("composition");
    let status = match submission.entry.status.as_str() {
        "entered-in-error" => "entered-in-error",
        _ if submission.replaces.is_some() => "amended",
        _ => "final",
    };
    let mut members = vec![
        Node::leaf("id", id.to_string()),
        letter.meta(terms::COMPOSITION, None),
        identifier("composition", &id.to_string()),
        Node::leaf("status", status),
        words("type", "Social prescribing outcome"),
        refer("subject", people.patient),
        Node::leaf("date", submission.recorded.to_string()),
        refer("author", people.author),
        Node::leaf("title", title),
    ];
    if let Some(replaced) = submission.replaces {
        let target = identifier("composition", &envelope::id(ROUTE, replaced, "composition").to_string());
        let target = Node { name: "targetIdentifier".to_owned(), ..target };
        members.push(Node::of("relatesTo", [Node::leaf("code", "replaces"), target]));
    }
    members.push(section);
    (id, Node::of("Composition", members))
}

fn binary(letter: &Letter<'_>, what: &str, media_type: &str, bytes: &[u8]) -> (Uuid, Node) {
    let id = letter.id(what);
    let members = [
        Node::leaf("id", id.to_string()),
        letter.meta(&terms::profile("ITK-Attachment-Binary-1"), None),
        Node::leaf("contentType", media_type),
        Node::leaf("content", STANDARD.encode(bytes)),
    ];
    (id, Node::of("Binary", members))
}
