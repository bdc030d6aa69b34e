//! ITK3 messages read: by the simulated GP system, and to prove that what is sent can be found.
//!
//! Reads Update Record and Send Document. Of other resources in a document (Condition,
//! MedicationDispense) it only counts the types; a real GP system files those too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::tree::{self, Node, Unreadable, bare};
use super::{KEY, update_record};
use crate::fhir::ids::NHS_NUMBER;
use crate::writeback::entry::{Coded, EntryValue, Person};

/// An Update Record message.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// `MessageHeader.id`: what acknowledgements name.
    pub message: String,
    /// The person.
    pub person: Person,
    /// The coded entries.
    pub entries: Vec<ReceivedEntry>,
    /// The texts, each with the code of its heading.
    pub narratives: Vec<(String, String)>,
    /// The sender's idempotency key: `SenderReference`.
    pub key: String,
    /// The document's own identifier.
    pub document_id: String,
    /// The identifier of the document that this one replaces.
    pub replaces: Option<String>,
    /// The types of the resources in the document, in order.
    pub kinds: Vec<String>,
}

/// One coded entry of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedEntry {
    /// `(system, value)` of its identifiers.
    pub identifiers: Vec<(String, String)>,
    /// `final`, `amended`, ...
    pub status: String,
    /// The code of the heading that it belongs to, or empty.
    pub section: String,
    /// What it says.
    pub code: Coded,
    /// Its value.
    pub value: Option<EntryValue>,
    /// Its parts.
    pub components: Vec<(Coded, Option<EntryValue>)>,
    /// In words: the code's text.
    pub text: String,
    /// The comment: who recorded it, and the reference.
    pub comment: String,
    /// When it was so.
    pub effective: String,
}

impl ReceivedEntry {
    /// The idempotency key among its identifiers.
    pub fn key(&self) -> Option<&str> {
        self.identifiers.iter().find(|(system, _)| system == KEY).map(|(_, value)| value.as_str())
    }
}

/// Reads an Update Record message, XML or JSON.
///
/// # Errors
/// When the bytes are no FHIR document, the event is another, or header, document, Composition or
/// person are missing.
pub fn update_record(bytes: &[u8]) -> Result<Received, Unreadable> {
    let bundle = tree::read(bytes)?;
    let (header, document) = parts(&bundle, update_record::EVENT)?;
    let composition = document.resource("Composition").ok_or_else(|| lacks("Composition"))?;
    let person = document.resource("Patient").ok_or_else(|| lacks("Patient"))?;
    let all = |kind: &'static str| document.entries().map(|(_, one)| one).filter(move |one| one.name == kind);
    let replaces = composition.all("relatesTo").find(|relation| relation.text("code") == "replaces");
    Ok(Received {
        message: header.text("id").to_owned(),
        person: read_person(person),
        entries: all("Observation").map(observation).collect(),
        narratives: all("ClinicalImpression")
            .map(|one| (one.text("meta/tag/code").to_owned(), one.text("summary").to_owned()))
            .collect(),
        key: key(header).to_owned(),
        document_id: composition.text("identifier/value").to_owned(),
        replaces: replaces.map(|relation| target(relation).to_owned()),
        kinds: document.entries().map(|(_, one)| one.name.clone()).collect(),
    })
}

/// The code of a message's event, such as `ITK014M`.
///
/// # Errors
/// When the bytes are no message.
pub fn event(bytes: &[u8]) -> Result<String, Unreadable> {
    let bundle = tree::read(bytes)?;
    let header = bundle.resource("MessageHeader").ok_or_else(|| lacks("MessageHeader"))?;
    Ok(header.text("event/code").to_owned())
}

/// A Send Document message.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedDocument {
    /// `MessageHeader.id`.
    pub message: String,
    /// The person.
    pub person: Person,
    /// The document's title.
    pub title: String,
    /// The sender's idempotency key: `SenderReference`.
    pub key: String,
    /// The document's own identifier.
    pub document_id: String,
    /// Media type and bytes of each attachment.
    pub attachments: Vec<(String, Vec<u8>)>,
}

/// Reads a Send Document message.
///
/// # Errors
/// As [`update_record`], and when an attachment is not base64.
pub fn send_document(bytes: &[u8]) -> Result<ReceivedDocument, Unreadable> {
    let bundle = tree::read(bytes)?;
    let (header, document) = parts(&bundle, "ITK007C")?;
    let composition = document.resource("Composition").ok_or_else(|| lacks("Composition"))?;
    let person = document.resource("Patient").ok_or_else(|| lacks("Patient"))?;
    let binaries = document.entries().map(|(_, one)| one).filter(|one| one.name == "Binary");
    Ok(ReceivedDocument {
        message: header.text("id").to_owned(),
        person: read_person(person),
        title: composition.text("title").to_owned(),
        key: key(header).to_owned(),
        document_id: composition.text("identifier/value").to_owned(),
        attachments: binaries.map(attachment).collect::<Result<_, _>>()?,
    })
}

fn attachment(binary: &Node) -> Result<(String, Vec<u8>), Unreadable> {
    let text: String = binary.text("content").chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(text).map_err(|_| Unreadable::because("an attachment is not base64"))?;
    Ok((binary.text("contentType").to_owned(), bytes))
}

/// The header and the document that it points to.
fn parts<'a>(bundle: &'a Node, event: &str) -> Result<(&'a Node, &'a Node), Unreadable> {
    let header = bundle.resource("MessageHeader").ok_or_else(|| lacks("MessageHeader"))?;
    if header.text("event/code") != event {
        return Err(Unreadable(format!("the event is not {event}")));
    }
    let document = bundle.resolve(header.text("focus/reference")).filter(|one| one.name == "Bundle");
    Ok((header, document.ok_or_else(|| lacks("document that its focus names"))?))
}

fn lacks(what: &str) -> Unreadable {
    Unreadable(format!("the message has no {what}"))
}

fn key(header: &Node) -> &str {
    let parts = header.all("extension").flat_map(|handling| handling.all("extension"));
    let reference = parts.into_iter().find(|part| part.url.as_deref() == Some("SenderReference"));
    reference.map_or("", |part| bare(part.text("valueString")))
}

fn target(relation: &Node) -> &str {
    match relation.text("targetIdentifier/value") {
        "" => bare(relation.text("targetReference/reference")),
        value => value,
    }
}

fn read_person(patient: &Node) -> Person {
    let number = patient.all("identifier").find(|one| one.text("system") == NHS_NUMBER);
    let name = patient.all("name").find(|name| name.text("use") == "official").or_else(|| patient.at("name"));
    Person {
        nhs_number: number.map_or("", |one| one.text("value")).to_owned(),
        family: name.map_or("", |name| name.text("family")).to_owned(),
        given: name.into_iter().flat_map(|name| name.all("given")).filter_map(|one| one.value.clone()).collect(),
        birth_date: patient.text("birthDate").to_owned(),
        gender: patient.text("gender").to_owned(),
    }
}

fn observation(node: &Node) -> ReceivedEntry {
    let pair = |one: &Node| (one.text("system").to_owned(), one.text("value").to_owned());
    ReceivedEntry {
        identifiers: node.all("identifier").map(pair).collect(),
        status: node.text("status").to_owned(),
        section: node.text("meta/tag/code").to_owned(),
        code: node.at("code").map(coded).unwrap_or_default(),
        value: value(node),
        components: node
            .all("component")
            .map(|part| (part.at("code").map(coded).unwrap_or_default(), value(part)))
            .collect(),
        text: node.text("code/text").to_owned(),
        comment: node.text("comment").to_owned(),
        effective: node.text("effectiveDateTime").to_owned(),
    }
}

fn coded(concept: &Node) -> Coded {
    let part = |coding: &Node, url: &str| {
        let parts = coding.all("extension").flat_map(|one| one.all("extension"));
        parts.into_iter().find(|part| part.url.as_deref() == Some(url)).map(|part| part.text("valueId").to_owned())
    };
    let Some(coding) = concept.at("coding") else {
        return Coded { display: concept.text("text").to_owned(), ..Coded::default() };
    };
    Coded {
        system: coding.text("system").to_owned(),
        code: coding.text("code").to_owned(),
        display: coding.text("display").to_owned(),
        description_id: part(coding, "descriptionId"),
        local: None,
    }
}

fn value(node: &Node) -> Option<EntryValue> {
    if let Some(quantity) = node.at("valueQuantity") {
        return Some(EntryValue::Quantity {
            digits: quantity.text("value").to_owned(),
            unit: quantity.text("unit").to_owned(),
            ucum: quantity.text("code").to_owned(),
        });
    }
    let concept = node.at("valueCodeableConcept").map(coded).map(EntryValue::Coded);
    concept.or_else(|| node.at("valueString")?.value.clone().map(EntryValue::Text))
}
