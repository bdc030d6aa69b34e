//! What the gateway tells somebody about a referral. <https://hl7.org/fhir/R4/communication.html>
//!
//! The words are the gateway's own: no name, no NHS number, nothing that a person wrote.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ids::ODS;
use super::task::POOL;
use crate::clock::instant;

/// The gateway's kinds of notice.
const NOTICE: &str = "https://fingerpost.dev/CodeSystem/notice";

/// Whom a notice is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To<'a> {
    /// A pool or desk.
    Pool {
        /// Its id.
        id: &'a str,
        /// Its name, or who looks after it.
        name: &'a str,
    },
    /// An organisation, by ODS code.
    Organisation(&'a str),
}

/// What a notice says.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// The Communication's logical id.
    pub id: &'a str,
    /// `reminder`, `escalation`, `returned`, `duplicate`, `attention`, `attention-escalation`.
    pub kind: &'a str,
    /// The ServiceRequest's logical id.
    pub referral: &'a str,
    /// The Task's logical id.
    pub task: &'a str,
    /// `Patient/id`.
    pub patient: &'a str,
    /// Whom it is for.
    pub to: To<'a>,
    /// The gateway's ODS code.
    pub sender: &'a str,
    /// When.
    pub at: Timestamp,
    /// The words.
    pub words: &'a str,
}

/// A notice as a Communication.
pub fn notice(notice: Notice<'_>) -> Value {
    let recipient = match notice.to {
        To::Pool { id, name } => {
            json!({"type": "HealthcareService", "identifier": {"system": POOL, "value": id}, "display": name})
        }
        To::Organisation(ods) => json!({"type": "Organization", "identifier": {"system": ODS, "value": ods}}),
    };
    json!({
        "resourceType": "Communication",
        "id": notice.id,
        "basedOn": [{"reference": format!("ServiceRequest/{}", notice.referral)}],
        "status": "completed",
        "category": [{"coding": [{"system": NOTICE, "code": notice.kind}]}],
        "subject": {"reference": notice.patient},
        "about": [{"reference": format!("Task/{}", notice.task)}],
        "sent": instant(notice.at),
        "recipient": [recipient],
        "sender": {"type": "Organization", "identifier": {"system": ODS, "value": notice.sender}},
        "payload": [{"contentString": notice.words}],
    })
}

/// The kind of a notice; `None`: it is none of the gateway's.
pub fn kind(communication: &Value) -> Option<&str> {
    super::each(&communication["category"]).find_map(|category| super::coding(category, NOTICE))
}

/// A notice that somebody must see at once.
pub fn urgent(of: Notice<'_>) -> Value {
    let mut made = notice(of);
    made["priority"] = json!("urgent");
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_fhir() {
        for to in [To::Pool { id: "p", name: "P" }, To::Organisation("N84001")] {
            let made = notice(Notice {
                id: "c",
                kind: "reminder",
                referral: "r",
                task: "t",
                patient: "Patient/p",
                to,
                sender: "FPG01",
                at: Timestamp::UNIX_EPOCH,
                words: "No first contact is recorded.",
            });
            assert!(super::super::check::check(&made).is_ok(), "{made}");
        }
    }
}
