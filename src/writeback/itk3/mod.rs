//! ITK3: FHIR STU3 messages for GP systems, carried by MESH.
//! <https://nhsconnect.github.io/ITK3-FHIR-Messaging-Distribution/>
//!
//! STU3 is not the gateway's own FHIR release: these documents are written and read as trees of
//! named elements, in the order in which the published profiles and examples have them. Every id
//! and time in a message comes from the submission, so a second try is the same bytes.

mod check;
mod envelope;
mod people;
pub mod read;
pub mod response;
pub mod send_document;
mod terms;
pub mod tree;
pub mod update_record;

use jiff::Timestamp;

/// The media type of every ITK3 message here.
pub const CONTENT_TYPE: &str = "application/fhir+xml";
/// What the gateway's own identifier systems begin with; the kind of thing follows.
pub const SYSTEM: &str = "https://fingerpost.dev/id/";
/// `Observation.identifier` that holds the idempotency key.
pub const KEY: &str = "https://fingerpost.dev/id/write-back";

/// How a message is sent.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The gateway's MESH mailbox.
    pub mailbox: &'a str,
    /// When it is encoded: says whether a correction is still allowed. Not in the message.
    pub now: Timestamp,
    /// When the version that this one replaces was sent, where there is one and it is known.
    pub replaced_at: Option<Timestamp>,
}
