//! Code tables (what a source word becomes) and code sets (which codes belong together), from
//! CSV with line numbers. A table says of each word `mapped`, `no-map` or `review`, why, who
//! decided and when; a word that is not in it is nobody's decision and goes to review.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Name;
use super::yaml::Faults;
use crate::fhir::ids::SnomedCode;

/// The columns of a code table.
const TABLE_COLUMNS: [&str; 6] = ["source", "target", "decision", "why", "owner", "reviewed"];
/// The columns of a code set.
const SET_COLUMNS: [&str; 4] = ["scheme", "code", "term", "source"];
/// The coding schemes that a set may name.
pub const SCHEMES: [&str; 4] = ["snomed", "readv2", "ctv3", "emis"];

/// What was decided about one source word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It becomes the target.
    Mapped,
    /// It deliberately becomes nothing.
    NoMap,
    /// A person must look each time.
    Review,
}

/// One line of a code table.
#[derive(Debug, Clone)]
pub struct TableRow {
    /// The word as the source writes it.
    pub source: String,
    /// What it becomes; empty unless mapped.
    pub target: String,
    /// The decision.
    pub decision: Decision,
    /// Its line in the file, from 1.
    pub line: usize,
    /// As lineage names it: `tables/urgency.csv:3`.
    pub at: Name,
}

/// One code table.
#[derive(Debug, Clone, Default)]
pub struct CodeTable {
    /// As lineage names it: `tables/urgency.csv`, `codes/sex.csv`.
    pub label: String,
    /// Its file, as faults name it.
    pub file: String,
    rows: Vec<TableRow>,
    by_source: HashMap<String, usize>,
}

impl CodeTable {
    /// The row of a source word, whatever its case.
    pub fn find(&self, source: &str) -> Option<&TableRow> {
        self.rows.get(*self.by_source.get(&source.trim().to_lowercase())?)
    }

    /// All rows in the file's order.
    pub fn rows(&self) -> &[TableRow] {
        &self.rows
    }
}

/// A set of codes, by scheme.
#[derive(Debug, Clone, Default)]
pub struct CodeSet {
    by_scheme: BTreeMap<String, HashSet<String>>,
    terms: Vec<(String, String, String)>,
}

impl CodeSet {
    /// True when the set holds that code. Read and EMIS codes may carry a synonym number (`-1`).
    pub fn has(&self, scheme: &str, code: &str) -> bool {
        let code = code.trim();
        self.by_scheme
            .get(scheme)
            .is_some_and(|codes| codes.contains(code) || (scheme != "snomed" && codes.contains(without_synonym(code))))
    }

    /// Every `(scheme, code, term)` in the file's order.
    pub fn codes(&self) -> &[(String, String, String)] {
        &self.terms
    }
}

/// A Read or EMIS code without its synonym number: `8T09.-1` is `8T09.`.
pub fn without_synonym(code: &str) -> &str {
    match code.rsplit_once('-') {
        Some((bare, number)) if !bare.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => bare,
        _ => code,
    }
}

/// What all mappings share: `mappings/codes/`.
#[derive(Debug, Default)]
pub struct Codes {
    /// Tables by name.
    pub tables: BTreeMap<String, CodeTable>,
    /// Sets by name.
    pub sets: BTreeMap<String, CodeSet>,
}

/// A table or a set, told apart by the header.
pub enum Csv {
    /// A code table.
    Table(CodeTable),
    /// A code set.
    Set(CodeSet),
}

/// Reads one CSV of codes.
pub fn read(file: &str, label: &str, text: &str, faults: &mut Faults<'_>) -> Option<Csv> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().ok()?.iter().map(str::to_owned).collect();
    let rows = records(&mut reader, faults);
    if header == TABLE_COLUMNS {
        let mut table = CodeTable { label: label.to_owned(), file: file.to_owned(), ..CodeTable::default() };
        rows.iter().for_each(|(line, row)| add_row(&mut table, *line, row, faults));
        return Some(Csv::Table(table));
    }
    if header == SET_COLUMNS {
        let mut set = CodeSet::default();
        rows.iter().for_each(|(line, row)| add_code(&mut set, *line, row, faults));
        return Some(Csv::Set(set));
    }
    faults.add(
        1,
        format!("the columns must be {} (a table) or {} (a set)", TABLE_COLUMNS.join(","), SET_COLUMNS.join(",")),
    );
    None
}

/// The records of a CSV with their lines; a record that cannot be read is a fault.
pub fn records(reader: &mut csv::Reader<&[u8]>, faults: &mut Faults<'_>) -> Vec<(usize, csv::StringRecord)> {
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(row) => rows.push((row.position().map_or(1, |at| at.line() as usize), row)),
            Err(fault) => {
                let line = fault.position().map_or(1, |at| at.line() as usize);
                faults.add(line, "the row does not have the header's number of columns");
            }
        }
    }
    rows
}

fn add_row(table: &mut CodeTable, line: usize, row: &csv::StringRecord, faults: &mut Faults<'_>) {
    let cell = |at: usize| row.get(at).unwrap_or("").trim();
    let (source, target) = (cell(0), cell(1));
    let decision = match (cell(2), target.is_empty()) {
        ("mapped", false) => Decision::Mapped,
        ("mapped", true) => return faults.add(line, format!("'{source}' is mapped but has no target")),
        ("no-map", true) => Decision::NoMap,
        ("review", true) => Decision::Review,
        ("no-map" | "review", false) => {
            return faults.add(line, format!("'{source}' is not mapped, so it has no target"));
        }
        (other, _) => return faults.add(line, format!("the decision '{other}' is not mapped, no-map or review")),
    };
    if decision != Decision::Mapped && cell(3).is_empty() {
        faults.add(line, format!("'{source}' is not mapped, so 'why' must say why"));
    }
    if cell(4).is_empty() || cell(5).parse::<jiff::civil::Date>().is_err() {
        faults.add(line, "a decision needs an owner and the date it was reviewed");
    }
    let key = source.to_lowercase();
    if let Some(earlier) = table.by_source.get(&key).and_then(|at| table.rows.get(*at)) {
        return faults.add(line, format!("'{source}' is in the table twice (also line {})", earlier.line));
    }
    let at = Name::from(format!("{}:{line}", table.label));
    table.by_source.insert(key, table.rows.len());
    table.rows.push(TableRow { source: source.to_owned(), target: target.to_owned(), decision, line, at });
}

fn add_code(set: &mut CodeSet, line: usize, row: &csv::StringRecord, faults: &mut Faults<'_>) {
    let cell = |at: usize| row.get(at).unwrap_or("").trim();
    let (scheme, code) = (cell(0), cell(1));
    if !SCHEMES.contains(&scheme) {
        return faults.add(line, format!("the scheme '{scheme}' is not one of {}", SCHEMES.join(", ")));
    }
    if scheme == "snomed"
        && let Err(fault) = SnomedCode::parse(code)
    {
        return faults.add(line, format!("the SNOMED CT id {code} {fault}"));
    }
    if code.is_empty() || cell(3).is_empty() {
        faults.add(line, "a code needs its text and the source it was taken from");
    }
    if !set.by_scheme.entry(scheme.to_owned()).or_default().insert(code.to_owned()) {
        return faults.add(line, format!("{scheme} {code} is in the set twice"));
    }
    set.terms.push((scheme.to_owned(), code.to_owned(), cell(2).to_owned()));
}
