//! Spoken languages and interpreters by SNOMED CT code: `mappings/routing/languages.csv`, compiled
//! in and checked. ISO 639 codes are the two-letter ones where there are, else the three-letter.
//!
//! Sign languages are not here: how they are coded differs between UK Core and ISO 639.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::config::Fault;
use crate::fhir::ids::SnomedCode;

/// The file, as faults name it.
const FILE: &str = "mappings/routing/languages.csv";
/// Its text.
const TEXT: &str = include_str!("../../mappings/routing/languages.csv");
/// Its columns.
const COLUMNS: [&str; 7] = ["code", "language", "interpreter", "term", "owner", "reviewed", "source"];

/// What a code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// ISO 639; empty: an interpreter, whatever the language.
    pub language: String,
    /// The person needs an interpreter.
    pub interpreter: bool,
}

static CODES: LazyLock<HashMap<String, Spoken>> = LazyLock::new(|| parse(FILE, TEXT).unwrap_or_default());

/// What a SNOMED CT code says of language, if it says anything.
pub fn of(code: &str) -> Option<&'static Spoken> {
    CODES.get(code)
}

/// Every fault of the compiled-in table; `fingerpost check` lists them.
pub fn check() -> Vec<Fault> {
    parse(FILE, TEXT).err().unwrap_or_default()
}

/// Reads the table.
///
/// # Errors
/// Every fault with its line: a damaged SNOMED id, one that stands twice, a cell that is not right.
pub fn parse(file: &str, text: &str) -> Result<HashMap<String, Spoken>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut codes = HashMap::new();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut fault = |line: u64, text: String| {
        faults.push(Fault { file: file.to_owned(), line: usize::try_from(line).unwrap_or(0), text });
    };
    if reader.headers().is_ok_and(|header| header != COLUMNS.to_vec()) {
        fault(1, format!("the columns must be {}", COLUMNS.join(",")));
    }
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(why) => {
                fault(why.position().map_or(0, csv::Position::line), "the row cannot be read as CSV".to_owned());
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |i: usize| record.get(i).unwrap_or("").trim();
        if let Err(why) = SnomedCode::parse(cell(0)) {
            fault(line, format!("SNOMED CT id {} {why}", cell(0)));
        }
        let letters = cell(1).len() <= 3 && cell(1).bytes().all(|b| b.is_ascii_lowercase());
        if !letters || cell(1).len() == 1 || (cell(1).is_empty() && cell(2) != "yes") {
            fault(line, format!("'{}' is not an ISO 639 code such as ur", cell(1)));
        }
        if !matches!(cell(2), "yes" | "no") {
            fault(line, format!("interpreter is '{}', not yes or no", cell(2)));
        }
        if (3..7).any(|i| cell(i).is_empty()) {
            fault(line, "a cell is empty".to_owned());
        }
        let spoken = Spoken { language: cell(1).to_owned(), interpreter: cell(2) == "yes" };
        if codes.insert(cell(0).to_owned(), spoken).is_some() {
            fault(line, format!("{} stands on an earlier line too", cell(0)));
        }
    }
    if faults.is_empty() { Ok(codes) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_table_is_good_and_knows_urdu() {
        assert_eq!(check(), []);
        assert_eq!(of("315588006").map(|spoken| (spoken.language.as_str(), spoken.interpreter)), Some(("ur", false)));
        assert_eq!(of("204211000000109").map(|spoken| spoken.interpreter), Some(true));
        assert_eq!(of("267076002"), None);
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let text = "code,language,interpreter,term,owner,reviewed,source\n\
                    315588007,ur,no,Urdu,CI,2026-11-25,s\n\
                    315588006,Urdu,maybe,Urdu,,2026-11-25,s\n\
                    315588006,ur,no,Urdu,CI,2026-11-25,s\n";
        let faults = parse("f", text).err().unwrap_or_default();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 3, 3, 4], "{faults:?}");
    }
}
