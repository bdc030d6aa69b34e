//! The codes under which outcomes are filed: `mappings/outcome/entries.csv`, one line an event,
//! compiled in and checked. Measures have their codes in `mappings/outcome/measures.csv`.

use std::sync::LazyLock;

use crate::config::Fault;
use crate::fhir::ids::{SNOMED, SnomedCode};

/// The file, as faults name it.
const FILE: &str = "mappings/outcome/entries.csv";
/// Its text.
const TEXT: &str = include_str!("../../mappings/outcome/entries.csv");
/// The events that must each have a line.
const EVENTS: [&str; 4] = ["accepted", "declined", "returned", "closed"];

/// One line: the code of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The event.
    pub event: String,
    /// The code.
    pub code: String,
    /// Its display text.
    pub display: String,
    /// Its system.
    pub system: String,
}

static ENTRIES: LazyLock<Vec<Code>> = LazyLock::new(|| parse(FILE, TEXT).unwrap_or_default());

/// The code of an event. The compiled-in table has every event: `check` and a test see to it.
pub fn code(event: &str) -> Option<&'static Code> {
    ENTRIES.iter().find(|entry| entry.event == event)
}

/// Every fault of the compiled-in table; `fingerpost check` lists them.
pub fn check() -> Vec<Fault> {
    parse(FILE, TEXT).err().unwrap_or_default()
}

/// Reads the table.
///
/// # Errors
/// Every fault with its line: a damaged SNOMED id, an unknown, repeated or missing event, an empty cell.
pub fn parse(file: &str, text: &str) -> Result<Vec<Code>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut fault = |line: usize, text: String| faults.push(Fault { file: file.to_owned(), line, text });
    let mut codes: Vec<Code> = Vec::new();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    if reader.headers().is_ok_and(|header| header != vec!["event", "code", "display", "system", "why"]) {
        fault(1, "the columns must be event,code,display,system,why".to_owned());
    }
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(why) => {
                let line = why.position().map_or(0, csv::Position::line);
                fault(usize::try_from(line).unwrap_or(0), "the row cannot be read as CSV".to_owned());
                continue;
            }
        };
        let line = record.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
        let cell = |i: usize| record.get(i).unwrap_or("").trim().to_owned();
        let code = Code { event: cell(0), code: cell(1), display: cell(2), system: cell(3) };
        if (0..5).any(|i| cell(i).is_empty()) {
            fault(line, "a cell is empty".to_owned());
        }
        if !EVENTS.contains(&code.event.as_str()) {
            fault(line, format!("'{}' is no event that is filed", code.event));
        } else if codes.iter().any(|known| known.event == code.event) {
            fault(line, format!("'{}' has a line already", code.event));
        }
        if code.system == SNOMED
            && let Err(why) = SnomedCode::parse(&code.code)
        {
            fault(line, format!("SNOMED CT id {} {why}", code.code));
        }
        codes.push(code);
    }
    for event in EVENTS.iter().filter(|event| codes.iter().all(|code| code.event != **event)) {
        fault(1, format!("'{event}' has no line"));
    }
    if faults.is_empty() { Ok(codes) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_is_whole_and_national_codes_are_exact() {
        assert_eq!(check(), []);
        let national = |event| code(event).map(|code| (code.code.as_str(), code.system.as_str()));
        assert_eq!(national("accepted"), Some(("871731000000106", SNOMED)));
        assert_eq!(national("declined"), Some(("871711000000103", SNOMED)));
        assert_ne!(national("closed").map(|(_, system)| system), Some(SNOMED));
    }

    #[test]
    fn faults_have_their_line() {
        let planted = TEXT
            .replace("871731000000106", "871731000000107")
            .replace("closed,episode", "shut,episode")
            .replace("declined,8717", "accepted,8717");
        let faults = parse("f.csv", &planted).err().unwrap_or_default();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 5, 1, 1]);
    }
}
