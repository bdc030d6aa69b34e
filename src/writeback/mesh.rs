//! An encoded message as a MESH parcel, and what the answer to it means. Pure.
//!
//! The address, the subject and the local id are GP Connect's: by the person, with the person's name and
//! NHS number in the subject, and with the sender's ODS code as local id. All but the last are personal
//! data in headers; a [`Parcel`] never prints them.
//! <https://digital.nhs.uk/services/gp-connect>

use super::entry::{Encoded, Submission, Unencodable};
use crate::config::BirthDateFormat;
use crate::delivery::attempt::{Answer, Verdict};
use crate::nhs::mesh::{MeshError, Parcel, Refusal, address, sent};

/// What the subject begins with.
const SUBJECT: &str = "Social prescribing outcome";

/// The parcel of one encoded entry: to `mailbox`, or where that is empty to the person's own practice.
///
/// # Errors
/// When the person cannot stand in an address: a mailbox must be configured, or another route taken.
pub fn parcel(
    submission: &Submission,
    encoded: &Encoded,
    mailbox: &str,
    format: BirthDateFormat,
) -> Result<Parcel, Unencodable> {
    let person = &submission.person;
    let to = match mailbox {
        "" => address::of_person(&person.nhs_number, &person.birth_date, &person.family, format)
            .map_err(|why| Unencodable(format!("no MESH address by the person: {why}")))?,
        mailbox => mailbox.to_owned(),
    };
    let name = format!("{} {}", person.given.join(" "), person.family);
    let sender = submission.sender.as_str();
    Ok(Parcel {
        to,
        workflow: encoded.workflow.to_owned(),
        local_id: sender.to_owned(),
        subject: plain(&format!("{SUBJECT} for {}, NHS Number {}, {sender}", name.trim(), person.nhs_number)),
        file_name: format!("{}.xml", encoded.message),
        content_type: encoded.content_type.to_owned(),
        body: encoded.bytes.clone().into(),
        packed: false,
    })
}

/// What a header can hold of a text: other letters become `?`. The subject is for a person to read.
fn plain(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).take(500).collect()
}

/// What the answer to a send means, and MESH's id of the message: the one that a REPORT would name.
///
/// *Done* is that MESH has it, and nothing of the practice. What one message cannot help (the token, the
/// certificate, MESH's own trouble) is tried again; what is the message's or its address's is given up.
pub fn judge(answer: &Answer) -> (Verdict, Option<String>) {
    let fault = match sent(answer.status, &answer.body) {
        Ok(id) => return (Verdict::Done, Some(id)),
        // Taken, with no id given: acknowledgements name the message by its own.
        Err(MeshError::Unreadable(_)) => return (Verdict::Done, None),
        Err(fault) => fault,
    };
    let verdict = match fault.refusal() {
        Some(Refusal::UnknownRecipient | Refusal::Workflow | Refusal::Malformed | Refusal::EmptyBody) => {
            Verdict::GiveUp(fault.to_string())
        }
        _ => Verdict::Retry(fault.to_string(), answer.retry_after),
    };
    (verdict, None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fhir::ids::OdsCode;
    use crate::writeback::entry::{Author, Coded, Online, Person, RecordEntry};

    fn submission() -> Submission {
        let ods = |code: &str| OdsCode::parse(code).unwrap();
        Submission {
            key: uuid::Uuid::nil(),
            replaces: None,
            practice: ods("N84001"),
            practice_name: "Synthetic surgery".into(),
            sender: ods("FPG01"),
            sender_name: "Fingerpost gateway".into(),
            person: Person {
                nhs_number: "9990000018".into(),
                family: "Synthetic".into(),
                given: vec!["Zoë".into()],
                birth_date: "1950-12-31".into(),
                gender: "female".into(),
            },
            referral: None,
            recorded: jiff::Timestamp::UNIX_EPOCH,
            entry: RecordEntry {
                id: "entry".into(),
                version: 1,
                status: "final".into(),
                category: "survey".into(),
                code: Coded::default(),
                value: None,
                components: Vec::new(),
                effective: String::new(),
                text: String::new(),
                author: Author::default(),
                online: Online::Show,
            },
        }
    }

    fn encoded() -> Encoded {
        Encoded {
            bytes: b"<Bundle/>".to_vec(),
            content_type: "application/fhir+xml",
            message: "m-1".into(),
            workflow: "GPCONNECT_UPDATE_RECORD",
        }
    }

    #[test]
    fn a_parcel_goes_to_the_persons_practice_or_to_the_mailbox_that_is_configured() {
        let made = |mailbox: &str| parcel(&submission(), &encoded(), mailbox, BirthDateFormat::Ddmmyyyy).unwrap();
        assert_eq!(made("").to, "GPPROVIDER_9990000018_31121950_Synthetic");
        let made = made("X26ABC2");
        assert_eq!((made.to.as_str(), made.local_id.as_str()), ("X26ABC2", "FPG01"));
        assert_eq!(made.subject, "Social prescribing outcome for Zo? Synthetic, NHS Number 9990000018, FPG01");
        assert_eq!(made.file_name, "m-1.xml");
    }

    #[test]
    fn a_person_who_cannot_be_addressed_is_told_without_data() {
        let mut submission = submission();
        submission.person.birth_date = "1950".into();
        let why = parcel(&submission, &encoded(), "", BirthDateFormat::Ddmmyyyy).unwrap_err();
        assert!(why.0.contains("date of birth") && !why.0.contains("999"), "{why}");
    }

    #[test]
    fn only_what_the_message_cannot_help_is_tried_again() {
        let judge = |status: u16, body: &'static str| judge(&Answer { status, body: body.into(), ..Answer::default() });
        assert_eq!(judge(202, r#"{"message_id":"M1"}"#), (Verdict::Done, Some("M1".into())));
        assert_eq!(judge(202, ""), (Verdict::Done, None));
        assert!(matches!(judge(417, r#"{"detail":[{"code":"12"}]}"#).0, Verdict::GiveUp(_)));
        assert!(matches!(judge(400, "").0, Verdict::GiveUp(_)));
        for status in [403, 404, 429, 500, 503] {
            assert!(matches!(judge(status, "").0, Verdict::Retry(..)), "{status}");
        }
    }
}
