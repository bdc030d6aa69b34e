//! MESH route: a GP Connect message to the practice's mailbox, or to the practice of the person.
//! What comes of it is said by acknowledgements, later.
//!
//! MESH knows no message twice (`POST outbox` is not idempotent), so after a lost answer it is
//! asked for the message by its local id before it is sent again. The local id is the sender's ODS
//! code, as GP Connect wants, followed by the key.

use jiff::Timestamp;

use super::entry::{Submission, Unencodable};
use super::itk3::{self, send_document, update_record};
use super::mesh;
use super::practice::Came;
use crate::config::BirthDateFormat;
use crate::nhs::mesh::{Client, MeshError, Refusal, Traced};

/// One message to send.
pub struct Letter<'a> {
    /// The gateway's mailbox.
    pub client: &'a Client,
    /// The practice's mailbox; `None`: routed by patient.
    pub mailbox: Option<&'a str>,
    /// How dates of birth are written in addresses.
    pub birth_date: BirthDateFormat,
    /// What is said.
    pub submission: &'a Submission,
    /// Send Document, not Update Record.
    pub document: bool,
    /// When the version that this one replaces was sent.
    pub replaced_at: Option<Timestamp>,
    /// True when an answer was lost: it may have been sent.
    pub may_be_sent: bool,
}

/// One try. `true`: something may have left the house.
pub async fn attempt(letter: &Letter<'_>, now: Timestamp) -> (Came, bool) {
    let envelope = itk3::Envelope { mailbox: letter.client.mailbox(), now, replaced_at: letter.replaced_at };
    let encoded = if letter.document {
        send_document::encode(letter.submission, &envelope)
    } else {
        update_record::encode(letter.submission, &envelope)
    };
    let encoded = match encoded {
        Ok(encoded) => encoded,
        Err(Unencodable(why)) => return (Came::Refused(why), false),
    };
    let message = encoded.message.clone();
    if letter.may_be_sent {
        match letter.client.find_sent(&mesh::local_id(letter.submission), now).await {
            Ok(Traced::Sent(sent)) => return (Came::Taken(vec![message, sent.id]), false),
            Ok(Traced::Several) => return (Came::Taken(vec![message]), false),
            Ok(Traced::Unknown) => {}
            Err(MeshError::Unreached) => return (Came::Unreached, false),
            // Not offered: the receiver knows the message by its id.
            Err(MeshError::Refused { refusal, .. }) if !refusal.passes() => {}
            Err(fault) => return (lost(fault.to_string(), message), false),
        }
    }
    let parcel = match mesh::parcel(letter.submission, encoded, letter.mailbox, letter.birth_date) {
        Ok(parcel) => parcel,
        Err(Unencodable(why)) => return (Came::Refused(why), false),
    };
    match letter.client.send(&parcel, now).await {
        // Acknowledgements name the message's own id, a REPORT names MESH's.
        Ok(id) => (Came::Taken(vec![message, id]), true),
        Err(fault) => failed(&fault, message),
    }
}

fn lost(why: String, message: String) -> Came {
    Came::Unanswered { why, message: Some(message), asked: None }
}

fn failed(fault: &MeshError, message: String) -> (Came, bool) {
    match fault {
        MeshError::Unreached => (Came::Unreached, false),
        MeshError::Refused { refusal, .. } => match refusal {
            Refusal::Malformed | Refusal::UnknownRecipient | Refusal::EmptyBody | Refusal::Workflow => {
                (Came::Refused(fault.to_string()), true)
            }
            _ => (lost(fault.to_string(), message), true),
        },
        MeshError::TooLarge { .. } | MeshError::Unsendable(_) => (Came::Refused(fault.to_string()), false),
        MeshError::Unanswered(_) | MeshError::Unreadable(_) => (lost(fault.to_string(), message), true),
    }
}
