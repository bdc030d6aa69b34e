//! The outer part of an ITK3 message, the same for every payload: message Bundle, MessageHeader with
//! its handling, the sender, and the document Bundle that the header points to.
//! <https://nhsconnect.github.io/ITK3-FHIR-Messaging-Distribution/explore_message_structure.html>

use uuid::Uuid;

use super::tree::{self, Node};
use super::{CONTENT_TYPE, Envelope, SYSTEM, terms, update_record};
use crate::fhir::ids::{ODS, stable_id};
use crate::writeback::entry::{Encoded, Submission};

/// What differs from one payload to the next.
pub(super) struct Letter<'a> {
    /// `update-record` or `send-document`: part of every id.
    pub route: &'static str,
    /// Code and display of the event.
    pub event: (&'static str, &'static str),
    /// Code and display of the recipient type.
    pub recipient: (&'static str, &'static str),
    /// `MessageDefinition`.
    pub definition: &'static str,
    /// The submission.
    pub submission: &'a Submission,
    /// How it is sent.
    pub envelope: &'a Envelope<'a>,
}

impl Letter<'_> {
    /// The id of one part of this message: the same on every try.
    pub fn id(&self, what: &str) -> Uuid {
        id(self.route, self.submission.key, what)
    }

    /// The profile of a clinical resource: each route has its set.
    pub fn care_connect(&self, kind: &str) -> String {
        match self.route {
            update_record::ROUTE => terms::profile(&format!("CareConnect-GPC-{kind}-1")),
            _ => format!("https://fhir.hl7.org.uk/STU3/StructureDefinition/CareConnect-{kind}-1"),
        }
    }

    /// The code system of an NHS number's verification: the examples of the two routes differ.
    pub fn verification(&self) -> &'static str {
        match self.route {
            update_record::ROUTE => terms::VERIFICATION,
            _ => terms::VERIFICATION_UK,
        }
    }

    /// The whole message around the resources of its document (the Composition first), for a MESH workflow.
    pub fn encoded(&self, document: Vec<(Uuid, Node)>, workflow: &'static str) -> Encoded {
        Encoded {
            bytes: tree::print(&self.message(document).without_empty()),
            content_type: CONTENT_TYPE,
            message: self.id("message").to_string(),
            workflow,
        }
    }

    fn message(&self, document: Vec<(Uuid, Node)>) -> Node {
        let (bundle, header) = (self.id("bundle"), self.id("message"));
        let (sender, focus) = (self.id("sender"), self.id("document"));
        let entries = [
            entry(header, self.header(header, sender, focus)),
            entry(sender, self.sender(sender)),
            entry(focus, self.document(focus, document)),
        ];
        let start = [
            Node::leaf("id", bundle.to_string()),
            self.meta(&terms::profile("ITK-Message-Bundle-1"), None),
            identifier("bundle", &bundle.to_string()),
            Node::leaf("type", "message"),
        ];
        Node::of("Bundle", start.into_iter().chain(entries))
    }

    /// `meta` with when the outcome was recorded, so that a second try has the same bytes.
    pub fn meta(&self, profile: &str, section: Option<(&str, &str)>) -> Node {
        let tag = section.map(|(code, display)| {
            let heading = [Node::leaf("system", terms::HEADINGS), Node::leaf("code", code)];
            Node::of("tag", heading.into_iter().chain([Node::leaf("display", display)]))
        });
        let updated = Node::leaf("lastUpdated", self.submission.recorded.to_string());
        Node::of("meta", [updated, Node::leaf("profile", profile)].into_iter().chain(tag))
    }

    fn header(&self, id: Uuid, sender: Uuid, focus: Uuid) -> Node {
        let coded = |name: &str, system: &str, (code, display): (&str, &str)| {
            Node::of(name, [Node::leaf("system", system), Node::leaf("code", code), Node::leaf("display", display)])
        };
        let yes = |url: &str| Node::extension(url, [Node::leaf("valueBoolean", "true")]);
        let words = |url: &str, value: String| Node::extension(url, [Node::leaf("valueString", value)]);
        let definition = Node::of("valueReference", [Node::leaf("reference", self.definition)]);
        let handling = [
            yes("BusAckRequested"),
            yes("InfAckRequested"),
            Node::extension("RecipientType", [coded("valueCoding", terms::RECIPIENT, self.recipient)]),
            Node::extension("MessageDefinition", [definition]),
            words("SenderReference", format!("urn:uuid:{}", self.submission.key)),
            words("LocalExtension", "None".to_owned()),
        ];
        Node::of(
            "MessageHeader",
            [
                Node::leaf("id", id.to_string()),
                self.meta(&terms::profile("ITK-MessageHeader-2"), None),
                Node::extension(terms::HANDLING, handling),
                coded("event", terms::EVENT, self.event),
                refer("sender", sender),
                Node::leaf("timestamp", self.submission.recorded.to_string()),
                Node::of("source", [Node::leaf("endpoint", self.envelope.mailbox)]),
                refer("focus", focus),
            ],
        )
    }

    fn sender(&self, id: Uuid) -> Node {
        let ods = [Node::leaf("system", ODS), Node::leaf("value", self.submission.sender.as_str())];
        Node::of(
            "Organization",
            [
                Node::leaf("id", id.to_string()),
                self.meta(&terms::profile("CareConnect-ITK-Header-Organization-1"), None),
                Node::of("identifier", ods),
            ],
        )
    }

    fn document(&self, id: Uuid, resources: Vec<(Uuid, Node)>) -> Node {
        let start = [
            Node::leaf("id", id.to_string()),
            self.meta(&terms::profile("ITK-Document-Bundle-1"), None),
            identifier("bundle", &id.to_string()),
            Node::leaf("type", "document"),
        ];
        Node::of("Bundle", start.into_iter().chain(resources.into_iter().map(|(id, one)| entry(id, one))))
    }
}

/// The id of one part of the message of a submission on a route.
pub(super) fn id(route: &str, key: Uuid, what: &str) -> Uuid {
    stable_id(&["itk3", route, &key.to_string(), what])
}

pub(super) fn entry(id: Uuid, resource: Node) -> Node {
    Node::of("entry", [Node::leaf("fullUrl", format!("urn:uuid:{id}")), Node::of("resource", [resource])])
}

/// An identifier in one of the gateway's own systems.
pub(super) fn identifier(what: &str, value: &str) -> Node {
    Node::of("identifier", [Node::leaf("system", format!("{SYSTEM}{what}")), Node::leaf("value", value)])
}

pub(super) fn refer(name: &str, to: Uuid) -> Node {
    Node::of(name, [Node::leaf("reference", format!("urn:uuid:{to}"))])
}

/// A CodeableConcept in words only.
pub(super) fn words(name: &str, text: &str) -> Node {
    Node::of(name, [Node::leaf("text", text)])
}

/// A Coding.
pub(super) fn coding(system: &str, code: &str, display: &str) -> Node {
    let mut members = vec![Node::leaf("system", system), Node::leaf("code", code)];
    if !display.is_empty() {
        members.push(Node::leaf("display", display));
    }
    Node::of("coding", members)
}
