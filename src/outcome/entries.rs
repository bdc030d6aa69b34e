//! What is filed in a GP record for each event: `mappings/outcome/entries.csv`, one reviewed line
//! an event, compiled in and checked. What its columns mean stands in `mappings/README.md`.

use std::sync::LazyLock;

use super::{table, template, terms};
use crate::config::Fault;
use crate::fhir::ids::{SNOMED, SnomedCode, check_sctid};

/// The file, as faults name it.
const FILE: &str = "mappings/outcome/entries.csv";
/// Its text.
const TEXT: &str = include_str!("../../mappings/outcome/entries.csv");
const HEADER: [&str; 16] = [
    "event",
    "code",
    "display",
    "system",
    "description_id",
    "read2",
    "ctv3",
    "emis",
    "category",
    "heading",
    "online",
    "share",
    "text",
    "owner",
    "reviewed",
    "why",
];
/// Columns that may be empty.
const MAY_BE_EMPTY: [&str; 4] = ["description_id", "read2", "ctv3", "emis"];
/// The events that must each have a line. Others begin with [`ATTEMPT`].
const EVENTS: [&str; 12] = [
    "offered",
    "accepted",
    "declined",
    "returned",
    "closed",
    "reopened",
    "plan-agreed",
    "plan-reviewed",
    "signposted",
    "referred-onward",
    "restricted-note",
    "attention",
];
/// Events of contacts that did not come about: their codes are what a contact's outcome may be.
const ATTEMPT: &str = "attempt-";
/// What a text may name.
const SLOTS: [&str; 9] = ["business", "reason", "lacking", "met", "attempted", "summary", "to", "kind", "note"];
/// The headings of RecordStandardHeadings that entries go under.
const HEADINGS: [&str; 6] = [
    "outcome",
    "referral-details",
    "plan-and-requested-actions",
    "signpost-details",
    "outbound-referral",
    "clinical-summary",
];

/// How much of a person's outcomes must be shared for an entry to be filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Codes are enough; the words are left out then.
    Codes,
    /// All: the words are what it is about.
    All,
    /// It is never filed.
    Never,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event.
    pub event: String,
    /// The code.
    pub code: String,
    /// Its display text.
    pub display: String,
    /// Its system.
    pub system: String,
    /// The SNOMED CT description id of the display, or empty.
    pub description_id: String,
    /// `(scheme, code)` in practice systems' own dictionaries.
    pub practice_codes: Vec<(String, String)>,
    /// `Observation.category`.
    pub category: String,
    /// The heading of the record under which it stands.
    pub heading: String,
    /// True when the person may not read it online.
    pub hidden: bool,
    /// When it is filed.
    pub needs: Needs,
    /// The words, with slots.
    pub text: String,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| parse(FILE, TEXT).unwrap_or_default());

/// The line of an event. The compiled-in table has every event: `check` and a test see to it.
pub fn of(event: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.event == event)
}

/// The line of a code.
pub fn of_code(system: &str, code: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.system == system && entry.code == code)
}

/// The line of a contact that did not come about, by the SNOMED CT code of its outcome.
pub fn of_attempt(code: &str) -> Option<&'static Entry> {
    of_code(SNOMED, code).filter(|entry| entry.event.starts_with(ATTEMPT))
}

/// Every fault of the compiled-in tables; `fingerpost check` lists them.
pub fn check() -> Vec<Fault> {
    let mut faults = parse(FILE, TEXT).err().unwrap_or_default();
    faults.extend(terms::check());
    faults
}

/// Reads the table.
///
/// # Errors
/// Every fault with its line: a damaged SNOMED id, a display that is not its code's, an unknown,
/// repeated or missing event, a code twice, an unknown slot, an empty cell.
pub fn parse(file: &str, text: &str) -> Result<Vec<Entry>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    for (line, cells) in table::rows(file, text, &HEADER, &mut faults) {
        let entry = read(&cells);
        let mut wrong = wrong(&cells, &entry);
        if entries.iter().any(|known| known.event == entry.event) {
            wrong.push(format!("'{}' has a line already", entry.event));
        } else if entries.iter().any(|known| (&known.system, &known.code) == (&entry.system, &entry.code)) {
            wrong.push(format!("{} stands for two events: read back, nobody can tell which", entry.code));
        }
        faults.extend(wrong.into_iter().map(|text| Fault { file: file.to_owned(), line, text }));
        entries.push(entry);
    }
    for event in EVENTS.iter().filter(|event| entries.iter().all(|entry| entry.event != **event)) {
        faults.push(Fault { file: file.to_owned(), line: 1, text: format!("'{event}' has no line") });
    }
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

fn read(cells: &[String]) -> Entry {
    let cell = |name: &str| {
        let at = HEADER.iter().position(|column| *column == name);
        at.and_then(|at| cells.get(at)).cloned().unwrap_or_default()
    };
    let schemes = [("READ2", "read2"), ("CTV3", "ctv3"), ("EMIS", "emis")];
    let practice_codes = schemes.map(|(scheme, column)| (scheme.to_owned(), cell(column)));
    Entry {
        event: cell("event"),
        code: cell("code"),
        display: cell("display"),
        system: cell("system"),
        description_id: cell("description_id"),
        practice_codes: practice_codes.into_iter().filter(|(_, code)| !code.is_empty()).collect(),
        category: cell("category"),
        heading: cell("heading"),
        hidden: cell("online") == "hide",
        needs: match cell("share").as_str() {
            "codes" => Needs::Codes,
            "all" => Needs::All,
            _ => Needs::Never,
        },
        text: cell("text"),
    }
}

/// What is wrong with a line by itself.
fn wrong(cells: &[String], entry: &Entry) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, cell) in HEADER.iter().zip(cells) {
        let words = match *name {
            "online" => Some(&["show", "hide"][..]),
            "share" => Some(&["codes", "all", "never"][..]),
            "category" => Some(&["social-history", "survey"][..]),
            "heading" => Some(&HEADINGS[..]),
            _ => None,
        };
        if cell.is_empty() && !MAY_BE_EMPTY.contains(name) {
            wrong.push(format!("{name} is empty"));
        } else if words.is_some_and(|words| !words.contains(&cell.as_str())) {
            wrong.push(format!("{name} '{cell}' is not one of {}", words.unwrap_or_default().join(", ")));
        } else if *name == "reviewed" && cell.parse::<jiff::civil::Date>().is_err() {
            wrong.push(format!("reviewed '{cell}' is not a date"));
        }
    }
    if !EVENTS.contains(&entry.event.as_str()) && !entry.event.starts_with(ATTEMPT) {
        wrong.push(format!("'{}' is no event that is filed", entry.event));
    }
    wrong.extend(wrong_code(entry));
    match template::slots(&entry.text) {
        Err(why) => wrong.push(format!("text: {why}")),
        Ok(slots) => wrong.extend(
            slots
                .iter()
                .filter(|slot| !SLOTS.contains(&slot.as_str()))
                .map(|slot| format!("text: no slot is called '{slot}'")),
        ),
    }
    wrong
}

fn wrong_code(entry: &Entry) -> Vec<String> {
    let mut wrong = Vec::new();
    if entry.system == SNOMED {
        match SnomedCode::parse(&entry.code) {
            Err(why) => wrong.push(format!("SNOMED CT id {} {why}", entry.code)),
            Ok(_) if !terms::agrees(&entry.code, &entry.display) => {
                wrong.push(format!("'{}' is not what {} means", entry.display, entry.code));
            }
            Ok(_) => {}
        }
    } else if entry.event.starts_with(ATTEMPT) {
        wrong.push("the outcome of a contact is a SNOMED CT code".to_owned());
    }
    if !entry.description_id.is_empty() {
        if let Err(why) = check_sctid(&entry.description_id) {
            wrong.push(format!("SNOMED CT description id {} {why}", entry.description_id));
        } else if !matches!(
            entry.description_id.get(entry.description_id.len() - 3..entry.description_id.len() - 1),
            Some("01" | "11")
        ) {
            wrong.push(format!("{} is not a description id", entry.description_id));
        }
    }
    wrong
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_is_whole_and_national_codes_are_exact() {
        assert_eq!(check(), []);
        let national = |event| of(event).map(|entry| (entry.code.as_str(), entry.system.as_str()));
        assert_eq!(national("accepted"), Some(("871731000000106", SNOMED)));
        assert_eq!(national("declined"), Some(("871711000000103", SNOMED)));
        assert!(
            !TEXT.lines().any(|line| line.split(',').nth(1) == Some("871691000000100")),
            "grade C is not given out"
        );
        assert!(
            !TEXT.lines().any(|line| line.split(',').nth(1) == Some("1187911000000105")),
            "grade D is not given out"
        );
        assert_eq!(of_attempt("281399006").map(|entry| entry.event.as_str()), Some("attempt-missed"));
        assert_eq!(of_attempt("871731000000106"), None);
        assert!(ENTRIES.iter().filter(|entry| entry.hidden).all(|entry| entry.needs == Needs::All));
    }

    #[test]
    fn faults_have_their_line() {
        let planted = TEXT
            .replace("accepted,871731000000106", "accepted,871731000000107")
            .replace("declined,8717", "accepted,8717")
            .replace("Review of care plan,", "Feeling lonely,")
            .replace("signposted,signposted,", "signpost,signposted,")
            .replace(",show,all,", ",perhaps,all,");
        let faults = parse("f.csv", &planted).unwrap_err();
        let line = |word: &str| {
            faults.iter().filter(|fault| fault.text.contains(word)).map(|fault| fault.line).collect::<Vec<_>>()
        };
        assert_eq!(line("check digit"), [3]);
        assert_eq!(line("has a line already"), [4]);
        assert_eq!(line("is not what 425268008 means"), [9]);
        assert_eq!(line("'signpost' is no event"), [10]);
        assert_eq!(line("'perhaps'"), [10]);
        assert_eq!(line("has no line"), [1, 1]);
        let slot = TEXT.replace("{lacking}", "{laking}");
        assert_eq!(parse("f", &slot).unwrap_err()[0].text, "text: no slot is called 'laking'");
        let described = TEXT.replace("http://snomed.info/sct,,9Ni..", "http://snomed.info/sct,281399006,9Ni..");
        assert!(parse("f", &described).unwrap_err()[0].text.contains("is not a description id"));
    }
}
