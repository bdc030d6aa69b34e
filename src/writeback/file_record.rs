//! EMIS Partner API `FileRecord`: one new consultation as `MedicalRecord` XML (v3.8 of the schema).
//! <https://developer.community.nhs.uk/t/emis-partner-api-filerecord-call-creating-snomed-codes/7715>
//!
//! Needs a pairing with the supplier: without one the route is refused here, before anything is
//! sent. EMIS keeps the text and drops the code when `Code` does not resolve in the practice's own
//! dictionary; a SNOMED `MapCode` alone does not help, so an entry without its local code is refused.
//! Files new consultations only: the API has no way to change one.

use jiff::tz::TimeZone;

use super::entry::{Coded, Encoded, EntryValue, Online, Submission, Unencodable};
use super::{carried, wording};
use crate::fhir::ids::SNOMED;

const NAMESPACE: &str = "http://www.e-mis.com/emisopen/MedicalRecord";
/// The schemes that the schema knows.
const SCHEMES: [&str; 9] = [
    "READ2",
    "READ4",
    "EMISCLINICAL",
    "EMISDRUGGROUP",
    "EMISCONSTITUENT",
    "EMISDRUGNAME",
    "EMISBOTH",
    "EMISNONDRUGALLERGY",
    "SNOMED",
];
const HEADER: &str = "Social prescribing";

/// Whether the gateway and the practice's system have been paired by the supplier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// `[[writeback.practices]] pairing_file` is set.
    Configured,
    /// It is not.
    Absent,
}

/// The request body of `FileRecord`; the person is named by the request's `patientNumber`.
///
/// # Errors
/// Without a pairing; for a correction or withdrawal; for an entry that must be hidden; for a code
/// without its local code, or with one in a scheme that the schema does not know.
pub fn encode(submission: &Submission, pairing: Pairing) -> Result<Encoded, Unencodable> {
    let entry = &submission.entry;
    if pairing == Pairing::Absent {
        return no("a pairing with the practice system's supplier is needed (IM1), and none is configured");
    }
    if submission.replaces.is_some() || entry.status == "entered-in-error" {
        return no("the EMIS Partner API files new consultations only: a correction needs a person");
    }
    if entry.online == Online::Hide {
        return no("FileRecord cannot mark an entry as hidden from the person");
    }
    carried::check(submission)?;
    let when = when(&entry.effective).ok_or_else(|| Unencodable("the entry's date is no date".to_owned()))?;
    let mut events = vec![event(submission, &entry.code, entry.value.as_ref(), &when, true)?];
    for (code, digits) in &entry.components {
        let value = EntryValue::Quantity { digits: digits.clone(), unit: "score".into(), ucum: "{score}".into() };
        events.push(event(submission, code, Some(&value), &when, false)?);
    }
    let elements: String = events.iter().enumerate().map(|(at, event)| element(at, event)).collect();
    let consultation = format!("{}{}", when.xml(), tag("ElementList", &elements));
    let list = tag("ConsultationList", &tag("Consultation", &consultation));
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MedicalRecord xmlns=\"{NAMESPACE}\">{list}</MedicalRecord>\n"
    );
    Ok(Encoded {
        bytes: xml.into_bytes(),
        content_type: "application/xml",
        message: submission.key.to_string(),
        workflow: "",
    })
}

fn no<T>(why: &str) -> Result<T, Unencodable> {
    Err(Unencodable(why.to_owned()))
}

fn element(order: usize, event: &str) -> String {
    let header = tag("Header", &text("Term", HEADER));
    tag("ConsultationElement", &format!("{}{header}{}", text("DisplayOrder", &order.to_string()), tag("Event", event)))
}

fn event(
    submission: &Submission,
    code: &Coded,
    value: Option<&EntryValue>,
    when: &When,
    first: bool,
) -> Result<String, Unencodable> {
    let mut words = if first { wording::filed_text(submission) } else { wording::reference(submission.key) };
    let mut numeric = String::new();
    match value {
        Some(EntryValue::Quantity { digits, unit, .. }) => {
            if digits.parse::<f64>().is_err() {
                return no("a value of the entry is no number");
            }
            numeric = tag("NumericValue", &format!("{}{}", text("Value", digits), text("Units", unit)));
        }
        Some(other) => words = format!("{}. {words}", wording::value(other)),
        None => {}
    }
    let kind = if numeric.is_empty() { "1" } else { "5" };
    let code_xml = local(code)?;
    Ok([
        when.xml(),
        when.time.as_deref().map(|time| text("AssignedTime", time)).unwrap_or_default(),
        text("DisplayTerm", &code.display),
        text("DescriptiveText", &words),
        tag("Code", &code_xml),
        tag("TermID", &code_xml),
        numeric,
        text("EventType", kind),
    ]
    .concat())
}

/// `Code`: the practice system's own code first, the SNOMED CT concept as its map.
fn local(code: &Coded) -> Result<String, Unencodable> {
    let Some((scheme, value)) = code.local.as_ref().filter(|(_, value)| !value.is_empty()) else {
        return no("a code of the entry is not in the practice system's dictionary: its local code is needed");
    };
    if !SCHEMES.contains(&scheme.as_str()) {
        return no("a local code's scheme is none that the practice system knows");
    }
    let map = if code.system == SNOMED {
        format!("{}{}", text("MapCode", &code.code), text("MapScheme", "SNOMED"))
    } else {
        String::new()
    };
    Ok([text("Value", value), text("Scheme", scheme), text("Term", &code.display), map].concat())
}

/// A date as the schema has it: `dd/MM/yyyy`, how much of it is meant, and the time.
struct When {
    date: String,
    part: &'static str,
    time: Option<String>,
}

impl When {
    fn xml(&self) -> String {
        format!("{}{}", text("AssignedDate", &self.date), text("DatePart", self.part))
    }
}

/// A FHIR dateTime in UK time; what is not given of a date is 1 and said not to be meant.
fn when(effective: &str) -> Option<When> {
    if let Ok(at) = effective.parse::<jiff::Timestamp>() {
        let local = at.to_zoned(TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC));
        let time = Some(local.strftime("%H:%M:%S").to_string());
        return Some(When { date: local.strftime("%d/%m/%Y").to_string(), part: "4", time });
    }
    let (part, filled) = match effective.len() {
        4 => ("1", format!("{effective}-01-01")),
        7 => ("2", format!("{effective}-01")),
        10 => ("3", effective.to_owned()),
        _ => return None,
    };
    let date: jiff::civil::Date = filled.parse().ok()?;
    Some(When { date: date.strftime("%d/%m/%Y").to_string(), part, time: None })
}

fn tag(name: &str, inner: &str) -> String {
    format!("<{name}>{inner}</{name}>")
}

fn text(name: &str, value: &str) -> String {
    tag(name, &quick_xml::escape::escape(carried::lines(value).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_say_how_much_of_them_is_meant() {
        let of = |text: &str| when(text).map(|when| (when.date, when.part, when.time.unwrap_or_default()));
        assert_eq!(of("2026-07-01T11:30:00Z"), Some(("01/07/2026".into(), "4", "12:30:00".into())));
        assert_eq!(of("2026-07-31"), Some(("31/07/2026".into(), "3", String::new())));
        assert_eq!(of("2026-07"), Some(("01/07/2026".into(), "2", String::new())));
        assert_eq!(of("2026"), Some(("01/01/2026".into(), "1", String::new())));
        assert_eq!(of("2026-02-30"), None);
    }
}
