//! What must not or cannot be sent is refused with the reason, and without the person's details.

use fingerpost::writeback::entry::{Encoded, EntryValue, Online, Submission, Unencodable};
use fingerpost::writeback::file_record::{self, Pairing};
use fingerpost::writeback::hl7v2;
use fingerpost::writeback::itk3::{Envelope, send_document, update_record};
use jiff::SignedDuration;

use super::{envelope, samples};

pub type Encoder = fn(&Submission) -> Result<Encoded, Unencodable>;

pub const ALL: [(&str, Encoder); 5] = [
    ("update-record", |one| update_record::encode(one, &envelope(one))),
    ("send-document", |one| send_document::encode(one, &envelope(one))),
    ("file-record", |one| file_record::encode(one, Pairing::Configured)),
    ("oru", hl7v2::result),
    ("mdm", hl7v2::letter),
];

fn refused(result: Result<Encoded, Unencodable>, part: &str) {
    let why = result.unwrap_err().0;
    assert!(why.contains(part), "{why}");
    for detail in ["Ashgrove", "Merle", "1951", samples::NHS_NUMBER] {
        assert!(!why.contains(detail), "{why}");
    }
}

#[test]
fn what_the_person_must_not_see_online_goes_nowhere() {
    let mut hidden = samples::accepted();
    hidden.entry.online = Online::Hide;
    for (route, encode) in ALL {
        let why = encode(&hidden).unwrap_err().0;
        assert!(why.contains("hidden") || why.contains("must not see"), "{route}: {why}");
    }
}

#[test]
fn a_person_that_cannot_be_matched_is_not_sent() {
    let change = |with: fn(&mut Submission)| {
        let mut changed = samples::score();
        with(&mut changed);
        changed
    };
    let bad_number = change(|one| one.person.nhs_number = "9990000019".into());
    for (_, encode) in ALL.iter().filter(|(route, _)| *route != "file-record") {
        refused(encode(&bad_number), "NHS number");
    }
    let no_birth = change(|one| one.person.birth_date = "1951".into());
    let no_family = change(|one| one.person.family.clear());
    for person in [no_birth, no_family] {
        refused(update_record::encode(&person, &envelope(&person)), "family name or full date of birth");
    }
    let no_author = change(|one| one.entry.author.ods.clear());
    refused(update_record::encode(&no_author, &envelope(&no_author)), "author");
    let no_date = change(|one| one.entry.effective = "yesterday".into());
    refused(update_record::encode(&no_date, &envelope(&no_date)), "date");
    refused(file_record::encode(&no_date, Pairing::Configured), "date");
    let unready = change(|one| one.entry.status = "registered".into());
    refused(send_document::encode(&unready, &envelope(&unready)), "status");
    let whole = samples::score();
    let nowhere = Envelope { mailbox: "", ..envelope(&whole) };
    refused(update_record::encode(&whole, &nowhere), "mailbox");
}

#[test]
fn a_damaged_code_or_number_is_not_sent() {
    let mut code = samples::score();
    code.entry.code.code = "718466002".into();
    refused(update_record::encode(&code, &envelope(&code)), "check digit");
    for digits in ["", "24 ", "2e1", "NaN", "024", "\"24\""] {
        let mut value = samples::score();
        value.entry.value =
            Some(EntryValue::Quantity { digits: digits.into(), unit: String::new(), ucum: String::new() });
        refused(update_record::encode(&value, &envelope(&value)), "no number");
    }
}

#[test]
fn a_correction_is_taken_for_a_day() {
    let corrected = samples::corrected();
    let mut late = envelope(&corrected);
    late.replaced_at = Some(corrected.recorded - SignedDuration::from_hours(24));
    assert!(update_record::encode(&corrected, &late).is_ok());
    late.replaced_at = Some(corrected.recorded - SignedDuration::from_hours(24) - SignedDuration::from_secs(1));
    refused(update_record::encode(&corrected, &late), "24 hours");
    late.replaced_at = None;
    refused(update_record::encode(&corrected, &late), "not known when");
    let mut withdrawn = samples::score();
    withdrawn.entry.status = "entered-in-error".into();
    refused(update_record::encode(&withdrawn, &envelope(&withdrawn)), "withdraw");
    refused(file_record::encode(&corrected, Pairing::Configured), "new consultations only");
}

#[test]
fn file_record_needs_a_pairing_and_the_practices_own_code() {
    refused(file_record::encode(&samples::accepted(), Pairing::Absent), "pairing");
    let mut snomed_only = samples::accepted();
    snomed_only.entry.code.local = None;
    refused(file_record::encode(&snomed_only, Pairing::Configured), "dictionary");
    let mut unknown = samples::accepted();
    unknown.entry.code.local = Some(("CTV3".into(), "XaaEC".into()));
    refused(file_record::encode(&unknown, Pairing::Configured), "scheme");
    refused(file_record::encode(&samples::panel(), Pairing::Configured), "dictionary");
}
