//! What must hold before a submission is put into an ITK3 message.

use super::Envelope;
use crate::fhir::dates;
use crate::fhir::ids::{NhsNumber, OdsCode, SNOMED, SnomedCode};
use crate::writeback::carried;
use crate::writeback::entry::{Coded, EntryValue, Online, Submission, Unencodable};

const STATUSES: [&str; 4] = ["final", "amended", "corrected", "entered-in-error"];

/// Checks mailbox, person, author, codes, numbers and date.
///
/// # Errors
/// The first fault, without patient data.
pub(super) fn submission(submission: &Submission, envelope: &Envelope<'_>) -> Result<(), Unencodable> {
    let entry = &submission.entry;
    if envelope.mailbox.trim().is_empty() {
        return no("the gateway's MESH mailbox is not configured");
    }
    if entry.id.is_empty() || !STATUSES.contains(&entry.status.as_str()) {
        return no("the entry's id is missing, or its status is none that is filed");
    }
    if entry.online == Online::Hide {
        return no("an entry that the person must not see online cannot be marked so in an ITK3 message");
    }
    let person = &submission.person;
    if NhsNumber::parse(&person.nhs_number).is_err() {
        return no("the person's NHS number is missing or fails its check digit");
    }
    let full_date = person.birth_date.len() == 10 && dates::bounds(&person.birth_date).is_some();
    if person.family.trim().is_empty() || !full_date {
        return no("the person's family name or full date of birth is missing: the practice is found by them");
    }
    if OdsCode::parse(&entry.author.ods).is_err() || entry.author.role.trim().is_empty() {
        return no("the author's organisation or role is missing");
    }
    if dates::bounds(&entry.effective).is_none() {
        return no("the entry's date is missing or no date");
    }
    carried::check(submission)?;
    coded(&entry.code)?;
    entry.components.iter().try_for_each(|(code, digits)| coded(code).and_then(|()| number(digits)))?;
    match &entry.value {
        Some(EntryValue::Coded(value)) => coded(value),
        Some(EntryValue::Quantity { digits, .. }) => number(digits),
        Some(EntryValue::Text(_)) | None => Ok(()),
    }
}

fn coded(coded: &Coded) -> Result<(), Unencodable> {
    if coded.code.is_empty() || coded.system.is_empty() || coded.display.trim().is_empty() {
        return no("a code of the entry lacks its system, code or term");
    }
    if coded.system == SNOMED
        && let Err(why) = SnomedCode::parse(&coded.code)
    {
        return Err(Unencodable(format!("SNOMED CT id {} {why}", coded.code)));
    }
    Ok(())
}

/// A FHIR STU3 decimal: no exponent, no leading zeros.
fn number(digits: &str) -> Result<(), Unencodable> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    if plain && serde_json::from_str::<serde_json::Number>(digits).is_ok() {
        Ok(())
    } else {
        no("a value of the entry is no number")
    }
}

pub(super) fn no(why: &str) -> Result<(), Unencodable> {
    Err(Unencodable(why.to_owned()))
}
