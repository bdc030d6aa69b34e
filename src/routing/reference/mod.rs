//! Which practice is in which PCN, as the NHS publishes it, and what that changes in a place.
//!
//! Readers of the published forms, each of which says what held on one day ([`Snapshot`]); the
//! difference from what a place knows; the place's files with the difference put in, history
//! kept. Pure: bytes and texts in, texts out.
//! <https://digital.nhs.uk/services/organisation-data-service>
//!
//! Practices: role RO177 (prescribing cost centre) and RO76 (GP practice), both active. Networks:
//! RO272. The relationship: RE8 (is partner to).

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::config::Fault;
use crate::fhir::ids::OdsCode;

pub mod change;
mod dates;
mod epcn;
mod ods;
mod registered;
pub mod sheet;
mod workbook;

/// The largest file that is read, in bytes: the whole of England is under 2 MB.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most faults of one file that are listed.
pub const FAULTS_MAX: usize = 50;
/// The primary role of a practice.
pub const PRESCRIBING_COST_CENTRE: &str = "RO177";
/// The role that tells a practice from other prescribing cost centres.
pub const GP_PRACTICE: &str = "RO76";
/// The primary role of a PCN.
pub const NETWORK: &str = "RO272";
/// Practice "is partner to" PCN.
pub const PARTNER_TO: &str = "RE8";

/// What a published file says held on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The form that it was in, in words.
    pub form: &'static str,
    /// The day that it speaks of.
    pub as_of: Date,
    /// True when it lists every practice of England, so that one that is absent is closed.
    pub whole: bool,
    /// The practices open on that day.
    pub practices: BTreeMap<OdsCode, Fact>,
    /// Practices that it says are closed.
    pub closed: BTreeMap<OdsCode, Closed>,
    /// The names of the networks.
    pub networks: BTreeMap<String, String>,
}

/// What is said of one practice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// Its network's code; `None`: in no network.
    pub pcn: Option<String>,
    /// The first day in that network, where the file says so.
    pub since: Option<Date>,
    /// The code of its commissioner (sub-ICB location or CCG), where the file says so.
    pub commissioner: String,
}

/// A practice that is no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// Its last day, where the file says so.
    pub last: Option<Date>,
    /// Which practice took its patients, where the file says so.
    pub successor: Option<OdsCode>,
}

/// Reads what was published, in whichever of the forms it is: one file, or several of the
/// Organisation Data Service. `on` is the day to read it for, where the form holds periods rather
/// than one day's state; `today` where `on` is not given.
///
/// # Errors
/// Every fault with its line: not one of the forms, a code or date that is none, a practice in two
/// networks on one day.
pub fn read(files: &[(String, Vec<u8>)], on: Option<Date>, today: Date) -> Result<Snapshot, Vec<Fault>> {
    let day = on.unwrap_or(today);
    let mut documents = Vec::new();
    for (file, bytes) in files {
        let fault = |text: String| vec![Fault { file: file.clone(), line: 1, text }];
        if bytes.len() > BYTES_MAX {
            return Err(fault(format!("larger than {} MiB: not a file of practices and networks", BYTES_MAX >> 20)));
        }
        if bytes.starts_with(b"PK\x03\x04") && files.len() == 1 {
            let rows = workbook::rows(bytes, epcn::SHEET).map_err(fault)?;
            return epcn::read(file, rows, day);
        }
        let text = text(file, bytes)?;
        match text.trim_start().bytes().next() {
            None => return Err(fault("the file is empty".to_owned())),
            Some(b'{' | b'<') => documents.push((file.as_str(), text)),
            Some(_) if files.len() == 1 => return read_csv(file, text, on, day),
            Some(_) => return Err(fault("one file at a time of this form".to_owned())),
        }
    }
    ods::read(&documents, day)
}

fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Vec<Fault>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|at| {
        let line = bytes[..at.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        vec![Fault { file: file.to_owned(), line, text: "not UTF-8: export it again as UTF-8".to_owned() }]
    })
}

fn read_csv(file: &str, text: &str, on: Option<Date>, day: Date) -> Result<Snapshot, Vec<Fault>> {
    let rows = csv_rows(file, text)?;
    if registered::is_header(&rows) {
        return registered::read(file, rows, on);
    }
    if epcn::is_core_partners(&rows) {
        return epcn::read(file, rows, day);
    }
    let text = "none of the known forms: the registered patients map (a column PRACTICE_CODE and a column PCN_CODE), \
                the ePCN core partner details (11 columns, the fifth a PCN code such as U12345), ODS FHIR or ORD JSON"
        .to_owned();
    Err(vec![Fault { file: file.to_owned(), line: 1, text }])
}

/// `(line, cells)` of each row; cells without the space around them.
type TableRows = Vec<(usize, Vec<String>)>;

fn csv_rows(file: &str, text: &str) -> Result<TableRows, Vec<Fault>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|why| {
            let line = why.position().map_or(1, |at| at.line() as usize);
            vec![Fault { file: file.to_owned(), line, text: "the row cannot be read as CSV".to_owned() }]
        })?;
        let line = record.position().map_or(1, |at| at.line() as usize);
        if record.iter().any(|cell| !cell.trim().is_empty()) {
            rows.push((line, record.iter().map(|cell| cell.trim().to_owned()).collect()));
        }
    }
    Ok(rows)
}

/// Gathers the faults of one file, the first [`FAULTS_MAX`] by name.
struct Faults<'a> {
    file: &'a str,
    found: Vec<Fault>,
    more: usize,
}

impl<'a> Faults<'a> {
    fn of(file: &'a str) -> Self {
        Self { file, found: Vec::new(), more: 0 }
    }

    fn add(&mut self, line: usize, text: impl Into<String>) {
        if self.found.len() < FAULTS_MAX {
            self.found.push(Fault { file: self.file.to_owned(), line, text: text.into() });
        } else {
            self.more += 1;
        }
    }

    fn or<T>(mut self, made: T) -> Result<T, Vec<Fault>> {
        if self.more > 0 {
            let text = format!("and {} more", self.more);
            self.found.push(Fault { file: self.file.to_owned(), line: 0, text });
        }
        if self.found.is_empty() { Ok(made) } else { Err(self.found) }
    }

    fn practice(&mut self, line: usize, text: &str) -> Option<OdsCode> {
        let code = OdsCode::parse(text).ok();
        if code.is_none() {
            self.add(line, format!("'{text}' is not an ODS code"));
        }
        code
    }
}

/// True for `U` and five digits: <https://digital.nhs.uk/services/organisation-data-service>.
fn is_network_code(text: &str) -> bool {
    text.strip_prefix('U').is_some_and(|rest| rest.len() == 5 && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// A published name as it is kept: `THE DENSHAM SURGERY` is `The Densham Surgery`. A name that is
/// not all capitals is kept as it is.
fn in_print(name: &str) -> String {
    if name.bytes().any(|b| b.is_ascii_lowercase()) {
        return name.to_owned();
    }
    let word = |word: &str| match word {
        "PCN" | "NHS" | "GP" | "CCG" | "ICB" | "PMS" | "APMS" | "TCG" => word.to_owned(),
        "AND" | "OF" | "THE" | "IN" | "AT" | "ON" | "UPON" | "WITH" | "FOR" => word.to_lowercase(),
        _ => capitalised(word),
    };
    let mut text = name.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    if let Some(first) = text.get(..1) {
        text = first.to_uppercase() + &text[1..];
    }
    text
}

/// The first letter of each run of letters large, the rest small; after an apostrophe small.
fn capitalised(word: &str) -> String {
    let mut at_start = true;
    word.chars()
        .map(|c| {
            let out = if at_start { c } else { c.to_ascii_lowercase() };
            at_start = !c.is_alphanumeric() && c != '\'' && c != '\u{2019}';
            out
        })
        .collect()
}

#[cfg(test)]
mod tests;
