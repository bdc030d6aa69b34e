//! Which texts a message can hold. XML 1.0 and FHIR have no control characters but tab and line
//! breaks, and no U+FFFE or U+FFFF: a text with one is refused with its element named, for what a
//! record shows must be what was stored. Line breaks arrive as line breaks, in the form of the route.
//! <https://www.w3.org/TR/xml/#charsets>, <https://hl7.org/fhir/R4/datatypes.html#string>
//!
//! Not here: the PDF, whose fonts know western Europe only; the words beside it have every character.

use super::entry::{Coded, EntryValue, Submission, Unencodable};

/// True when every text of the submission can be carried by every route.
///
/// # Errors
/// With the element of the first that cannot, and nothing of its words.
pub fn check(submission: &Submission) -> Result<(), Unencodable> {
    match texts(submission).into_iter().find(|(_, text)| text.contains(is_none)) {
        None => Ok(()),
        Some((element, _)) => Err(Unencodable(format!("{element} has a control character, which no message can hold"))),
    }
}

/// Line breaks of every form as one `\n`.
pub(super) fn lines(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n").into() } else { text.into() }
}

const fn is_none(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Every text, with the element that it was stored in.
fn texts(submission: &Submission) -> Vec<(&'static str, &str)> {
    let (person, entry) = (&submission.person, &submission.entry);
    let author = &entry.author;
    let mut all = vec![
        ("Patient.name.family", person.family.as_str()),
        ("Observation.note", &entry.text),
        ("Observation.performer", &author.name),
        ("Observation.performer", &author.role),
        ("Observation.performer", &author.organisation),
        ("the practice's name", &submission.practice_name),
        ("the gateway's name", &submission.sender_name),
        ("Observation.effective", &entry.effective),
    ];
    all.extend(person.given.iter().map(|given| ("Patient.name.given", given.as_str())));
    let referral = submission.referral.iter().flat_map(|(system, value)| [system, value]);
    all.extend(referral.map(|text| ("Observation.basedOn", text.as_str())));
    all.extend(coded("Observation.code", &entry.code));
    match &entry.value {
        Some(EntryValue::Quantity { unit, ucum, .. }) => {
            all.extend([("Observation.value.unit", unit.as_str()), ("Observation.value.code", ucum)]);
        }
        Some(EntryValue::Coded(code)) => all.extend(coded("Observation.value", code)),
        Some(EntryValue::Text(text)) => all.push(("Observation.value", text)),
        None => {}
    }
    all.extend(entry.components.iter().flat_map(|(code, _)| coded("Observation.component.code", code)));
    all
}

fn coded<'a>(element: &'static str, code: &'a Coded) -> impl Iterator<Item = (&'static str, &'a str)> {
    let local = code.local.iter().flat_map(|(scheme, code)| [scheme.as_str(), code]);
    [code.system.as_str(), &code.code, &code.display].into_iter().chain(local).map(move |text| (element, text))
}
