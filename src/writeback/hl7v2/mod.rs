//! HL7 v2.4 for practice systems that take results or documents that way: ORU^R01 for scores and
//! coded entries, MDM^T02 for the readable document.
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=185>
//!
//! No UK profile of either exists for social prescribing; what can be is as the ITK HL7 v2 profile
//! of ADT has it: version 2.4, NHS number typed `NHS`, ODS codes in MSH-4 and MSH-6, numeric PID-8,
//! `GBR`, an MSH-9 of three parts, UTF-8. Nothing says that a receiver files it: an agreement is
//! needed, and without one the route is not configured. MSH-15 and 16 are empty: original mode.
//!
//! A text of more than 65,536 characters is several OBX of the same OBX-3, or several NTE, to be read
//! in order: OBX-4 counts them.

mod er7;

use er7::{field, segment};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::entry::{Coded, Encoded, EntryValue, Online, Submission, Unencodable};
use super::wording;
use super::{carried, document};
use crate::fhir::ids::{NhsNumber, SNOMED, stable_id};

/// The media type of a message by HTTP or in a file.
pub const CONTENT_TYPE: &str = "application/hl7-v2";
/// Characters that v2.4 allows in MSH-10 and in identifiers of orders and documents.
const ID_LENGTH: usize = 20;
const APPLICATION: &str = "FINGERPOST";

/// The coded entry as an ORU^R01: an OBX for the entry or its value, more where its text is long, and
/// one for each item of a panel.
///
/// # Errors
/// For an entry that must be hidden, a person without a good NHS number, or a value that is no number.
pub fn result(submission: &Submission) -> Result<Encoded, Unencodable> {
    check(submission)?;
    let entry = &submission.entry;
    let id = message_id(submission, "oru");
    let mut out = header(submission, "ORU^R01^ORU_R01", &id);
    out.push_str(&person(submission));
    let observed = moment(&entry.effective);
    out.push_str(&segment(
        "OBR",
        &[
            (1, "1".into()),
            (3, field(&[&filler(&entry.id), APPLICATION])),
            (4, coded(&entry.code)),
            (7, observed.clone()),
            (22, stamp(submission.recorded)),
            (25, status(&entry.status).into()),
        ],
    ));
    let (kind, values, unit) = match &entry.value {
        Some(EntryValue::Quantity { digits, unit, ucum }) => {
            ("NM", vec![number(digits)?], field(&[ucum, unit, "UCUM"]))
        }
        Some(EntryValue::Coded(code)) => ("CE", vec![coded(code)], String::new()),
        Some(EntryValue::Text(text)) => ("TX", er7::pieces(text), String::new()),
        None if entry.components.is_empty() => ("CE", vec![coded(&entry.code)], String::new()),
        None => ("TX", er7::pieces(&entry.code.display), String::new()),
    };
    let line = Line { status: status(&entry.status), observed: &observed, by: &author(submission) };
    let (count, many) = (values.len(), values.len() > 1);
    for (at, value) in values.into_iter().enumerate() {
        out.push_str(&line.observation((at + 1, many.then_some(at + 1)), kind, &entry.code, value, unit.clone()));
    }
    out.push_str(&notes(submission));
    for (at, (code, digits)) in entry.components.iter().enumerate() {
        let unit = field(&["{score}", "score", "UCUM"]);
        out.push_str(&line.observation((count + at + 1, None), "NM", code, number(digits)?, unit));
    }
    Ok(encoded(out, id))
}

/// The words, who recorded it and the key, as notes on the entry.
fn notes(submission: &Submission) -> String {
    let said = [wording::narrative(submission).to_owned(), wording::byline(&submission.entry.author)];
    let notes = said.into_iter().chain([wording::reference(submission.key)]).filter(|note| !note.is_empty());
    let pieces = notes.flat_map(|note| er7::pieces(&note)).enumerate();
    pieces.map(|(at, piece)| segment("NTE", &[(1, (at + 1).to_string()), (3, piece)])).collect()
}

/// The readable document as an MDM: T02 for a new one, T10 for one that replaces another. The words
/// as lines of text, then the PDF.
///
/// # Errors
/// For an entry that must be hidden, or a person without a good NHS number.
pub fn letter(submission: &Submission) -> Result<Encoded, Unencodable> {
    document(submission, submission.replaces)
}

/// As [`letter`], always T02: for a correction of what went another way, where there is no document
/// to replace. Its words name what they correct.
///
/// # Errors
/// As [`letter`].
pub fn first_letter(submission: &Submission) -> Result<Encoded, Unencodable> {
    document(submission, None)
}

fn document(submission: &Submission, replaces: Option<Uuid>) -> Result<Encoded, Unencodable> {
    check(submission)?;
    let id = message_id(submission, "mdm");
    let event = if replaces.is_some() { "T10" } else { "T02" };
    let mut out = header(submission, &format!("MDM^{event}^MDM_T02"), &id);
    out.push_str(&segment("EVN", &[(1, event.into()), (2, stamp(submission.recorded))]));
    out.push_str(&person(submission));
    out.push_str(&segment("PV1", &[(1, "1".into()), (2, "N".into())]));
    let parent = replaces.map(|key| field(&[&short(&["hl7v2-document", &key.to_string()]), APPLICATION]));
    out.push_str(&segment(
        "TXA",
        &[
            (1, "1".into()),
            (2, "PR".into()),
            (3, "TX".into()),
            (4, moment(&submission.entry.effective)),
            (5, author(submission)),
            (6, stamp(submission.recorded)),
            (12, field(&[&short(&["hl7v2-document", &submission.key.to_string()]), APPLICATION])),
            (13, parent.unwrap_or_default()),
            (17, "AU".into()),
        ],
    ));
    let document = document::of(submission);
    let lines = document_lines(&document);
    out.push_str(&words(submission, &lines));
    let pdf = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, document::pdf::file(&document));
    let value = format!("{}^application^pdf^Base64^{pdf}", APPLICATION);
    let at = lines.len() + 1;
    let line = Line { status: status(&submission.entry.status), observed: "", by: "" };
    out.push_str(&line.observation((at, Some(at)), "ED", &document_code(), value, String::new()));
    Ok(encoded(out, id))
}

fn encoded(out: String, id: String) -> Encoded {
    Encoded { bytes: out.into_bytes(), content_type: CONTENT_TYPE, message: id, workflow: "" }
}

fn check(submission: &Submission) -> Result<(), Unencodable> {
    if submission.entry.online == Online::Hide {
        return Err(Unencodable("HL7 v2 cannot mark an entry as hidden from the person".to_owned()));
    }
    if NhsNumber::parse(&submission.person.nhs_number).is_err() {
        return Err(Unencodable("the person's NHS number is missing or fails its check digit".to_owned()));
    }
    if submission.entry.code.code.is_empty() || submission.entry.code.display.is_empty() {
        return Err(Unencodable("the entry's code or term is missing".to_owned()));
    }
    carried::check(submission)
}

fn words(submission: &Submission, lines: &[String]) -> String {
    let segments = (1..).zip(lines).map(|(at, line)| {
        let of = Line { status: status(&submission.entry.status), observed: "", by: "" };
        of.observation((at, Some(at)), "TX", &document_code(), line.clone(), String::new())
    });
    segments.collect()
}

/// What the document's own OBX are: never the entry's code, which a receiver would file once a line.
fn document_code() -> Coded {
    Coded { code: "LETTER".to_owned(), display: "Social prescribing outcome".to_owned(), ..Coded::default() }
}

/// The document's lines as values; one that is too long for a value is several.
fn document_lines(document: &document::Document) -> Vec<String> {
    let mut lines = vec![document.title.clone()];
    for section in &document.sections {
        lines.push(section.heading.to_owned());
        lines.extend(section.lines.iter().map(|(label, text)| match *label {
            "" => text.clone(),
            label => format!("{label}: {text}"),
        }));
    }
    lines.iter().flat_map(|line| er7::pieces(line)).collect()
}

fn header(submission: &Submission, kind: &str, id: &str) -> String {
    // MSH-1 is the separator itself, so what stands in place n here is field n + 1.
    segment(
        "MSH",
        &[
            (1, "^~\\&".into()),
            (2, APPLICATION.into()),
            (3, submission.sender.as_str().into()),
            (5, submission.practice.as_str().into()),
            (6, stamp(submission.recorded)),
            (8, kind.into()),
            (9, id.into()),
            (10, "P".into()),
            (11, "2.4".into()),
            (16, "GBR".into()),
            (17, "UNICODE UTF-8".into()),
        ],
    )
}

fn person(submission: &Submission) -> String {
    let person = &submission.person;
    let mut given = person.given.iter().map(String::as_str);
    let first = given.next().unwrap_or("");
    let rest = given.collect::<Vec<_>>().join(" ");
    let gender = match person.gender.as_str() {
        "male" => "1",
        "female" => "2",
        "other" => "9",
        _ => "0",
    };
    segment(
        "PID",
        &[
            (1, "1".into()),
            (3, field(&[&person.nhs_number, "", "", "NHS"])),
            (5, field(&[&person.family, first, &rest, "", "", "", "L"])),
            (7, person.birth_date.chars().filter(char::is_ascii_digit).collect()),
            (8, gender.into()),
        ],
    )
}

/// `^FAMILY^GIVEN`: without an identifier, for there is none.
fn author(submission: &Submission) -> String {
    let author = &submission.entry.author;
    let shown = if author.name.is_empty() { &author.role } else { &author.name };
    field(&["", shown])
}

/// What every OBX of a message says alike; empty fields are left out.
struct Line<'a> {
    status: &'static str,
    observed: &'a str,
    /// OBX-16, the responsible observer: not OBR-16, which is whoever ordered.
    by: &'a str,
}

impl Line<'_> {
    /// `at`: OBX-1, the place in the message; and OBX-4, the place among those of the same OBX-3,
    /// where there are several.
    fn observation(&self, at: (usize, Option<usize>), kind: &str, code: &Coded, value: String, unit: String) -> String {
        segment(
            "OBX",
            &[
                (1, at.0.to_string()),
                (2, kind.into()),
                (3, coded(code)),
                (4, at.1.map(|at| at.to_string()).unwrap_or_default()),
                (5, value),
                (6, unit),
                (11, self.status.into()),
                (14, self.observed.into()),
                (16, self.by.into()),
            ],
        )
    }
}

/// A code with its term: `SCT` for SNOMED CT, `L` for any other system.
fn coded(code: &Coded) -> String {
    field(&[&code.code, &code.display, if code.system == SNOMED { "SCT" } else { "L" }])
}

fn status(fhir: &str) -> &'static str {
    match fhir {
        "amended" | "corrected" => "C",
        "entered-in-error" => "W",
        _ => "F",
    }
}

fn number(digits: &str) -> Result<String, Unencodable> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    if plain && digits.parse::<f64>().is_ok() {
        Ok(digits.to_owned())
    } else {
        Err(Unencodable("a value of the entry is no number".to_owned()))
    }
}

/// MSH-10: the same on every try.
fn message_id(submission: &Submission, kind: &str) -> String {
    short(&["hl7v2", kind, &submission.key.to_string()])
}

/// The result's number: the same for all versions of an entry, so that a correction finds it.
fn filler(entry: &str) -> String {
    short(&["hl7v2-filler", entry])
}

fn short(parts: &[&str]) -> String {
    stable_id(parts).simple().to_string().chars().take(ID_LENGTH).collect::<String>().to_ascii_uppercase()
}

fn stamp(at: Timestamp) -> String {
    at.to_zoned(TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC)).strftime("%Y%m%d%H%M%S%z").to_string()
}

/// A FHIR dateTime: as exact as it was given.
fn moment(effective: &str) -> String {
    effective.parse::<Timestamp>().map_or_else(|_| effective.chars().filter(char::is_ascii_digit).collect(), stamp)
}
