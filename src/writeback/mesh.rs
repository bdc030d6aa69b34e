//! An encoded message as a MESH parcel. Pure.
//!
//! The address, the subject and the local id are GP Connect's: by the person, with the person's name and
//! NHS number in the subject, and a local id that begins with the sender's ODS code. All but the last
//! are personal data in headers; a [`Parcel`] never prints them.
//! <https://digital.nhs.uk/services/gp-connect>

use super::entry::{Encoded, Submission, Unencodable};
use crate::config::BirthDateFormat;
use crate::nhs::mesh::{Parcel, address};

/// What the subject begins with.
const SUBJECT: &str = "Social prescribing outcome";
/// Characters of a subject; MESH takes 500.
const SUBJECT_CHARS_MAX: usize = 500;

/// The sender's own id of a message: its ODS code, as GP Connect wants, and the key, by which it can be
/// asked for after a lost answer and by which a report on it is known.
pub fn local_id(submission: &Submission) -> String {
    format!("{}_{}", submission.sender, submission.key)
}

/// The parcel of one encoded entry: to `mailbox`, or without one to the person's own practice.
///
/// # Errors
/// When the person cannot stand in an address: a mailbox must be configured, or another route taken.
pub fn parcel(
    submission: &Submission,
    encoded: Encoded,
    mailbox: Option<&str>,
    format: BirthDateFormat,
) -> Result<Parcel, Unencodable> {
    let person = &submission.person;
    let to = match mailbox {
        None => address::of_person(&person.nhs_number, &person.birth_date, &person.family, format)
            .map_err(|why| Unencodable(format!("no MESH address by the person: {why}")))?,
        Some(mailbox) => mailbox.to_owned(),
    };
    let name = format!("{} {}", person.given.join(" "), person.family);
    let sender = submission.sender.as_str();
    Ok(Parcel {
        to,
        workflow: encoded.workflow.to_owned(),
        local_id: local_id(submission),
        subject: plain(&format!("{SUBJECT} for {}, NHS Number {}, {sender}", name.trim(), person.nhs_number)),
        file_name: format!("{}.xml", encoded.message),
        content_type: encoded.content_type.to_owned(),
        body: encoded.bytes.into(),
        packed: false,
    })
}

/// What a header can hold of a text: other letters become `?`. The subject is for a person to read.
fn plain(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).take(SUBJECT_CHARS_MAX).collect()
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
        let made = |mailbox| parcel(&submission(), encoded(), mailbox, BirthDateFormat::Ddmmyyyy).unwrap();
        assert_eq!(made(None).to, "GPPROVIDER_9990000018_31121950_Synthetic");
        let made = made(Some("X26ABC2"));
        assert_eq!(
            (made.to.as_str(), made.local_id.as_str()),
            ("X26ABC2", "FPG01_00000000-0000-0000-0000-000000000000")
        );
        assert_eq!(made.subject, "Social prescribing outcome for Zo? Synthetic, NHS Number 9990000018, FPG01");
        assert_eq!(made.file_name, "m-1.xml");
    }

    #[test]
    fn a_person_who_cannot_be_addressed_is_told_without_data() {
        let mut submission = submission();
        submission.person.birth_date = "1950".into();
        let why = parcel(&submission, encoded(), None, BirthDateFormat::Ddmmyyyy).unwrap_err();
        assert!(why.0.contains("date of birth") && !why.0.contains("999"), "{why}");
    }
}
